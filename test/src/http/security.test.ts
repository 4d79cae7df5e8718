import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { packagePath } from '../../../export/files/package.js';
import { writeNpy } from '../../../export/formats/npy.js';
import { tensor } from '../../../export/graph/tensor.js';
import { type Config, flagOf, readConfig, settings } from '../../../src/common/config.js';
import type { App } from '../../../src/http/app-type.js';
import { readKeys } from '../../../src/http/hooks/keys.js';
import { appOn, form, raw, service } from '../../helpers/app.js';
import { call } from '../../helpers/cli.js';
import { pngChunk, pngOf, zeros } from '../../helpers/hostile.js';

const { engine } = await service(t);
const silent = pino({ level: 'silent' });
const appOf = async (t: Test, settings: Partial<Config>, log = silent): Promise<App> => {
  const { app } = await appOn(t, engine, settings, log);
  return app;
};

const [ONE, TWO, THREE] = ['the-first-key-0001', 'the-second-key-02', 'a,third;key=#~!^`'] as const;
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const health = ['/healthz', '/readyz', '/v2/health/live', '/v2/health/ready'];

t.test('with keys, every address but those of health and the reference asks for one of them', async (t) => {
  const folder = t.testdir({ keys: `# ours\r\n\n ${TWO} \n${THREE}` });
  const app = await appOf(t, { apiKeys: ONE, apiKeysFile: join(folder, 'keys') });
  await app.ready();
  const addresses = Object.entries(app.swagger().paths ?? {}).flatMap(([path, methods]) =>
    Object.keys(methods ?? {}).map((method) => [method.toUpperCase(), path.replace(/\{\w+\}/g, 'fashion-mnist')]),
  );
  const more = ['/metrics', '/nope', '/healthz/', '/docs/nope', '/docsx'];
  const wrong = ['', ONE, `Basic ${ONE}`, `Bearer ${ONE}x`, `Bearer ${ONE.slice(1)}`, `Bearer ${ONE} ${ONE}`, 'Bearer'];
  for (const [method, url] of [...addresses, ...more.map((url) => ['GET', url]), ['PUT', '/healthz']]) {
    for (const authorization of health.includes(url!) && method === 'GET' ? [] : wrong) {
      const reply = await app.inject({ method: method as 'GET', url: url!, headers: { authorization } });
      t.equal(reply.statusCode, 401, `${method} ${url} with ${authorization}`);
      t.equal(reply.headers['www-authenticate'], 'Bearer');
    }
  }
  for (const url of health) t.equal((await app.inject(url)).statusCode, 200, url);
  for (const url of ['/docs', '/docs/', '/docs/json', '/docs/yaml', '/docs/static/swagger-initializer.js', '/'])
    t.match((await app.inject({ url, headers: bearer('an-old-key-000001') })).statusCode, /200|302/, url);
  for (const key of [ONE, TWO, THREE]) {
    t.equal((await app.inject({ url: '/models', headers: bearer(key) })).statusCode, 200);
    t.equal((await app.inject({ url: '/nope', headers: { authorization: `bearer  ${key}` } })).statusCode, 404);
  }
  t.equal((await app.inject('/models')).json().code, 'unauthorized');
});

t.test('keys that cannot be used end the start, and are not told', async (t) => {
  const folder = t.testdir({ short: `${ONE}\n# short:\ntoo-short-to-use\u00e9\n`, empty: '\n# none\n' });
  const at = (apiKeysFile: string, apiKeys = '') => readKeys({ apiKeysFile, apiKeys });
  const cases: [file: string, keys: string, message: RegExp][] = [
    [join(folder, 'short'), '', /short, line 3: expected a key of at least 16/],
    [join(folder, 'empty'), '', /empty has no key/],
    [join(folder, 'none'), '', /none cannot be read \(ENOENT\)/],
    [folder, '', /cannot be read \(EISDIR\)/],
    ['', `${ONE},too-short`, /^IREVNET_API_KEYS, key 2: expected/],
    ['', `${ONE},`, /key 2/],
  ];
  for (const [file, keys, message] of cases) {
    const error: Error = await at(file, keys).then(
      () => new Error('none'),
      (e) => e,
    );
    t.match(error, { name: 'SettingsError', message });
    t.notMatch(error.message, /too-short|the-first/);
  }
  t.same(await at(''), []);
  const started = await call('serve', '--api-keys-file', join(folder, 'short'), '--models', join(folder, 'nowhere'));
  t.match(started, { code: 2, stderr: /short, line 3/ }, 'before any model is looked for');
});

/** Statuses of requests that come one after the other. */
async function statuses(app: App, count: number, request: { url: string; headers?: Record<string, string> }) {
  const replies = [];
  for (let i = 0; i < count; i++) replies.push(await app.inject(request));
  return replies.map(({ statusCode }) => statusCode);
}

t.test('each key has its rate; health has none', async (t) => {
  const app = await appOf(t, { rateLimit: 3, apiKeys: `${ONE},${TWO}` });
  t.same(await statuses(app, 4, { url: '/models', headers: bearer(ONE) }), [200, 200, 200, 429]);
  t.same(await statuses(app, 4, { url: '/nope', headers: bearer(TWO) }), [404, 404, 404, 429]);
  t.same(await statuses(app, 9, { url: '/healthz', headers: bearer(ONE) }), Array(9).fill(200));
  t.same(await statuses(app, 9, { url: '/models' }), Array(9).fill(401));
  const refused = await app.inject({ url: '/version', headers: bearer(ONE) });
  t.equal(refused.json().code, 'rate-limited');
  t.match(refused.headers['retry-after'], /^([1-9]|[1-5]\d|60)$/);
});

t.test('without keys each address has its rate; proxies in front tell it, and nobody else', async (t) => {
  const from = (...addresses: string[]) => ({ url: '/models', headers: { 'x-forwarded-for': addresses.join(', ') } });
  const direct = await appOf(t, { rateLimit: 2 });
  t.same(await statuses(direct, 2, from('192.0.2.1')), [200, 200]);
  t.same(await statuses(direct, 1, from('192.0.2.2')), [429], 'what a client says of itself does not count');
  const behind = await appOf(t, { rateLimit: 2, trustProxy: 1 });
  t.same(await statuses(behind, 3, from('192.0.2.1')), [200, 200, 429]);
  t.same(await statuses(behind, 1, from('192.0.2.2')), [200]);
  t.same(await statuses(behind, 1, from('192.0.2.3', '192.0.2.1')), [429], 'the proxy adds the last');
  t.same(await statuses(behind, 2, from('2001:db8::1')), [200, 200]);
  t.same(await statuses(behind, 1, from('2001:db8::2')), [429], 'a network of 64 bits is one client');
});

const ORIGIN = 'https://a.example';
const preflight = (app: App, origin: string, method: 'GET' | 'POST' = 'POST') =>
  app.inject({
    method: 'OPTIONS',
    url: '/classify',
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': 'authorization,content-type,irevnet-timeout-ms',
    },
  });

t.test('pages of other origins are let in only where they are named', async (t) => {
  const closed = await appOf(t, {});
  for (const reply of [
    await preflight(closed, ORIGIN),
    await closed.inject({ url: '/models', headers: { origin: ORIGIN } }),
  ])
    t.same(
      Object.keys(reply.headers).filter((name) => name.startsWith('access-control')),
      [],
    );
  const app = await appOf(t, { corsOrigins: `${ORIGIN}, http://localhost:3000`, apiKeys: ONE });
  const allowed = await preflight(app, ORIGIN);
  t.match(allowed, { statusCode: 204, headers: { 'access-control-allow-origin': ORIGIN } });
  for (const name of [
    'authorization',
    'content-type',
    'x-request-id',
    'irevnet-timeout-ms',
    'inference-header-content-length',
  ])
    t.ok(String(allowed.headers['access-control-allow-headers']).split(', ').includes(name), name);
  const refused = await app.inject({ url: '/models', headers: { origin: ORIGIN } });
  t.match(refused, { statusCode: 401, headers: { 'access-control-allow-origin': ORIGIN } }, 'a page may read why');
  const reply = await app.inject({ url: '/models', headers: { origin: ORIGIN, ...bearer(ONE) } });
  t.match(
    String(reply.headers['access-control-expose-headers']),
    /irevnet-model.*irevnet-shape.*content-disposition.*x-request-id.*retry-after/,
  );
  t.match(String(reply.headers.vary), /origin/i);
  t.notOk((await preflight(app, 'https://a.example.org')).headers['access-control-allow-origin']);
  t.notOk((await preflight(app, 'null')).headers['access-control-allow-origin']);
  t.equal((await app.inject({ url: '/nope', headers: bearer(ONE) })).statusCode, 404);
  const all = await appOf(t, { corsOrigins: '*' });
  t.equal((await preflight(all, ORIGIN)).headers['access-control-allow-origin'], '*');
  t.notOk((await preflight(all, ORIGIN)).headers['access-control-allow-credentials']);
  for (const origins of ['a.example', `${ORIGIN}/`, `${ORIGIN},`, `*,${ORIGIN}`, 'HTTPS://A.example'])
    await t.rejects(appOf(t, { corsOrigins: origins }), {
      name: 'SettingsError',
      message: /^IREVNET_CORS_ORIGINS has /,
    });
});

t.test('no reply is run, framed, guessed or kept', async (t) => {
  const app = await appOf(t, {});
  const png = pngOf({}, pngChunk('IDAT', zeros(28 * 29)));
  const replies = [
    await app.inject('/models'),
    await app.inject('/nope'),
    await app.inject('/v2'),
    await app.inject({ method: 'POST', url: '/classify', ...raw(png) }),
    await app.inject({ method: 'POST', url: '/encode', ...raw(png) }),
    await app.inject({ method: 'POST', url: '/decode', ...raw(png) }),
  ];
  for (const [i, { headers }] of replies.entries()) {
    t.match(headers, {
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'x-frame-options': 'DENY',
    });
    t.equal(headers['cache-control'], i > 2 ? 'no-store' : undefined);
    t.notOk('strict-transport-security' in headers);
  }
});

t.test('the reference loads nothing that its policy forbids, and needs no key', async (t) => {
  const app = await appOf(t, { apiKeys: ONE });
  for (const address of ['/docs', '/docs/']) {
    const page = await app.inject(address);
    const policy = Object.fromEntries(
      String(page.headers['content-security-policy'])
        .split(';')
        .map((directive) => directive.trim().split(/ (.*)/)),
    );
    t.match(policy, { 'default-src': "'none'", 'script-src': "'self'", 'frame-ancestors': "'none'" });
    t.match(policy['style-src'], /^'self'/);
    t.notMatch(page.payload, /<script(?![^>]* src=)|<style|\son\w+=|javascript:/i, 'nothing inline');
    const loaded = [...page.payload.matchAll(/<(script|link)[^>]* (?:src|href)="([^"]+)"/g)];
    t.ok(loaded.length >= 5);
    for (const [, tag, file] of loaded) {
      const { origin, pathname } = new URL(file!, `http://here${address}`);
      t.equal(origin, 'http://here');
      const type = tag === 'script' ? /javascript/ : /css|png/;
      t.match(await app.inject(pathname), { statusCode: 200, headers: { 'content-type': type } }, pathname);
    }
  }
});

t.test('a request keeps the id that it came with, if that is short and plain', async (t) => {
  const app = await appOf(t, {});
  const idOf = async (id: string) =>
    (await app.inject({ url: '/healthz', headers: { 'x-request-id': id } })).headers['x-request-id'];
  for (const id of ['a', 'A.b_c-9', 'x'.repeat(64)]) t.equal(await idOf(id), id);
  for (const id of ['', 'x'.repeat(65), 'a b', 'a,b', 'é', '<a>', 'a\tb']) t.match(await idOf(id), /^[0-9a-f-]{36}$/);
});

t.test('nothing of images, features, keys or queries is in the log, at any level', async (t) => {
  const lines: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) });
  const app = await appOf(t, { apiKeys: ONE, maxBytes: 100_000 }, log);
  const values = Float32Array.from({ length: 1024 }, (_, i) => 0.7315 + i * 1e-8);
  const features = Buffer.concat(writeNpy(tensor('float32', [1, 256, 2, 2], values)));
  const json = Buffer.from(JSON.stringify({ shape: [1, 256, 2, 2], data: Array.from(values), note: 'hidden-note' }));
  const note = pngChunk('tEXt', Buffer.from('Comment\0hidden-note'));
  const png = pngOf({}, note, pngChunk('IDAT', zeros(28 * 29)));
  const infer = Buffer.from(
    JSON.stringify({
      id: 'hidden-note',
      inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 256, 2, 2], data: Array.from(values) }],
    }),
  );
  const uploads = [
    raw(png, 'image/png'),
    raw(features),
    raw(json, 'application/json'),
    raw(infer, 'application/json'),
    raw(Buffer.concat([png, Buffer.alloc(100_000, 'hidden-note')])),
    raw(png.subarray(0, png.length - 9), 'image/hidden-note'),
    await form(['file', png]),
    await form(['a', png], ['b', features]),
    await form(['hidden-note', 'hidden-note']),
  ];
  const models = '/v2/models/fashion-mnist';
  const routes = [
    '/classify',
    '/encode',
    '/decode',
    '/invert',
    '/interpolate',
    `${models}/infer`,
    `${models}-inverse/infer`,
  ];
  const seen = new Set<number>();
  for (const path of routes) {
    for (const { headers, payload } of uploads) {
      for (const query of ['', '?model=fashion-mnist&format=hidden-note', '?hidden-note=1']) {
        for (const key of [ONE, 'hidden-note-as-key']) {
          const url = `${path}${query}`;
          const reply = await app.inject({ method: 'POST', url, headers: { ...headers, ...bearer(key) }, payload });
          seen.add(reply.statusCode);
        }
      }
    }
  }
  t.ok(
    [200, 400, 401, 413, 415].every((status) => seen.has(status)),
    `${[...seen]}`,
  );
  t.ok(lines.length >= routes.length * uploads.length * 6);
  const all = lines.join('');
  const found = ['hidden', ONE, 'topK', 'format=', '0.7315', 'IDAT', 'PNG', 'NUMPY', 'Bearer', 'uthorization'].filter(
    (s) => all.includes(s),
  );
  t.same(found, [], `${lines.find((line) => found.some((s) => line.includes(s)))}`);
});

t.test('SECURITY.md tells the limits that are the defaults', async (t) => {
  const rows = (await readFile(packagePath('SECURITY.md'), 'utf8')).matchAll(/^\| `(--[\w-]+)` \| (\d+)/gm);
  const told = Object.fromEntries(Array.from(rows, ([, flag, value]) => [flag, Number(value)]));
  const defaults = readConfig({}, {});
  const limits = settings.filter((key) =>
    /^(max(?!Batch|Delay)|rateLimit|.*[tT]imeout$|keepAlive|analysis|analysesKept)/.test(key),
  );
  t.same(told, Object.fromEntries(limits.map((key) => [flagOf(key), defaults[key]])));
});
