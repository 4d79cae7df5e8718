import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { image } from '../../../../src/analysis/image.js';
import { type Config, readConfig } from '../../../../src/common/config.js';
import { buildApp } from '../../../../src/http/app.js';
import type { App } from '../../../../src/http/app-type.js';
import { appOn, randomModels, service } from '../../../helpers/app.js';
import { startCli } from '../../../helpers/cli.js';
import { dataPath, miniature, small } from '../../../helpers/networks.js';

// The test runner puts a module loader of its own there, which doubles the time of every process.
delete process.env.NODE_OPTIONS;

const clothes = dataPath('fashion-mnist');
const models = await randomModels(t, {
  random: { config: small },
  resnet: { architecture: 'resnet', config: miniature.resnet },
});
const settings = { models, model: 'random', datasets: `clothes=${clothes}` };
const { engine } = await service(t, { ...settings, workers: 1 });

const open = async (t: Test, more: Partial<Config> = {}): Promise<App> =>
  (await appOn(t, engine, { ...settings, ...more })).app;

type Body = Record<string, unknown>;
const quick = { experiment: 'image', data: 'clothes', options: { limit: 3, spectrum: false, channels: 1 } };
/** Takes minutes. */
const slow = { experiment: 'inversion', data: 'clothes', options: { images: 200 } };

const post = (app: App, body: Body) => app.inject({ method: 'POST', url: '/analyses', payload: JSON.stringify(body) });
async function begun(app: App, body: Body): Promise<string> {
  const reply = await post(app, body);
  t.equal(reply.statusCode, 202);
  return reply.json().id;
}
const get = async (app: App, url: string): Promise<Body> => (await app.inject(`/analyses${url}`)).json();
const cancel = (app: App, id: string) => app.inject({ method: 'DELETE', url: `/analyses/${id}` });

/** The jobs of the events of a job, which come until it is over. */
async function events(app: App, id: string): Promise<Body[]> {
  const { body } = await app.inject(`/analyses/${id}/events`);
  const all = body.split('\n\n').filter((event) => event.startsWith('event: job\ndata: '));
  return all.map((event) => JSON.parse(event.slice('event: job\ndata: '.length)));
}
const ended = async (app: App, id: string): Promise<Body> => (await events(app, id)).at(-1)!;

async function until(holds: () => unknown): Promise<void> {
  while (!(await holds())) await sleep(20);
}
const running = (app: App, id: string) => until(async () => (await get(app, `/${id}`)).progress);

/** Processes that have a text in their arguments. */
const processesWith = (text: string): string[] =>
  readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
      } catch {
        return false;
      }
    });
const linux = process.platform !== 'linux' && 'looks into /proc';

t.test('a job runs to its end: events, result, figure', async (t) => {
  const app = await open(t);
  const reply = await post(app, quick);
  t.equal(reply.statusCode, 202);
  const { id, ...queued } = reply.json();
  t.equal(reply.headers.location, `/analyses/${id}`);
  t.match(queued, { ...quick, model: 'random', finishedAt: null, error: null, links: { figure: null } });

  const early = await app.inject(`/analyses/${id}/figure`);
  t.match(early.json(), { status: 409, code: 'analysis-unfinished' });

  const told = await events(app, id);
  t.match(told[0], { id, state: 'running' });
  t.match(told.at(-1), { id, state: 'done', progress: null, error: null, links: { figure: `/analyses/${id}/figure` } });
  t.notOk(told.some((job) => 'result' in job));

  const { result, ...job } = await get(app, `/${id}`);
  t.same(job, told.at(-1));
  t.match(result, { name: /^class/, top: [{ label: /^class/ }, {}, {}, {}, {}] });
  t.same(Object.keys(result as Body).sort(), Object.keys(image.result.properties).sort());

  const figures: [url: string, accept: string | undefined, type: string, start: RegExp][] = [
    ['', undefined, 'image/svg+xml', /^<svg/],
    ['', 'image/png,*/*;q=0.1', 'image/png', /^.PNG/],
    ['', 'application/json', 'application/json', /"\$schema"/],
    ['?format=vl.json', 'image/png', 'application/json', /vega-lite\/v6\.json/],
    ['?format=png', undefined, 'image/png', /^.PNG/],
  ];
  for (const [query, accept, type, start] of figures) {
    const figure = await app.inject({ url: `/analyses/${id}/figure${query}`, headers: accept ? { accept } : {} });
    t.match(figure, { statusCode: 200, headers: { 'content-type': type } }, `${query} ${accept}`);
    t.match(figure.rawPayload.toString('latin1').slice(0, 2000), start);
  }
  const wrong = await app.inject({ url: `/analyses/${id}/figure`, headers: { accept: 'text/csv' } });
  t.match(wrong.json(), { code: 'not-acceptable' });

  t.match(await get(app, ''), { analyses: [job], datasets: /clothes/ });
  t.match((await cancel(app, id)).json(), { id, state: 'done' }, 'one that is over is removed');
  for (const url of [`/${id}`, `/${id}/events`, `/${id}/figure`])
    t.match(await get(app, url), { code: 'unknown-analysis' });
  t.match((await cancel(app, id)).json(), { code: 'unknown-analysis' });
});

t.test('the queue is bounded; a job is cancelled while it waits and while it runs', { skip: linux }, async (t) => {
  const app = await open(t, { analysisQueue: 1 });
  const first = await begun(app, slow);
  const second = await begun(app, quick);
  const full = await post(app, quick);
  t.match(full, { statusCode: 429, headers: { 'retry-after': '60' } });
  t.match(full.json(), { code: 'analysis-queue-full', detail: /1 analyses wait already/ });
  t.same(
    (await get(app, '')).analyses as Body[],
    [await get(app, `/${second}`), await get(app, `/${first}`)].map(({ result, ...job }) => job),
  );

  t.match(await get(app, `/${second}`), { state: 'queued', startedAt: null });
  const following = events(app, second);
  t.match((await cancel(app, second)).json(), { state: 'cancelled', startedAt: null, finishedAt: String });
  t.match((await following).at(-1), { state: 'cancelled' });

  await running(app, first);
  const [process] = processesWith(first);
  for (const thread of readdirSync(`/proc/${process}/task`)) {
    const [, fields] = readFileSync(`/proc/${process}/task/${thread}/stat`, 'utf8').split(') ');
    t.equal(fields!.split(' ')[16], '15', 'every thread has a low priority');
  }
  t.match((await cancel(app, first)).json(), { state: 'cancelled', progress: null, error: null });
  t.same(processesWith(first), [], 'its process has ended');
  t.match((await app.inject(`/analyses/${first}/figure`)).json(), { code: 'analysis-unfinished', detail: /cancelled/ });
});

t.test('a failing job tells why, and the next one runs', { skip: linux }, async (t) => {
  const folder = join(t.testdir(), 'gone');
  cpSync(clothes, folder, { recursive: true });
  const app = await open(t, { datasets: `${settings.datasets},gone=${folder}` });
  rmSync(folder, { recursive: true });
  const [missing, odd, killed, last] = [
    await begun(app, { ...quick, data: 'gone' }),
    await begun(app, { ...quick, options: { depths: [99] } }),
    await begun(app, slow),
    await begun(app, quick),
  ];
  const gone = await ended(app, missing);
  t.match(gone, { state: 'failed', error: { code: 'data-unusable', detail: /data set gone/ } });
  t.notMatch(JSON.stringify(gone), folder, 'no path leaves the service');
  t.match(await ended(app, odd), { state: 'failed', error: { code: 'option-invalid', detail: /depths names 99/ } });
  await running(app, killed);
  process.kill(Number(processesWith(killed)[0]), 'SIGKILL');
  t.match(await ended(app, killed), { state: 'failed', error: { code: 'analysis-killed', detail: /SIGKILL/ } });
  t.match(await ended(app, last), { state: 'done' });
});

t.test('jobs and results survive a restart; the oldest results go', async (t) => {
  const analyses = t.testdir();
  const before = await open(t, { analyses });
  const done = await begun(before, quick);
  await ended(before, done);
  const result = await get(before, `/${done}`);
  const [first, second, third, fourth] = [
    await begun(before, slow),
    await begun(before, quick),
    await begun(before, quick),
    await begun(before, quick),
  ];
  await running(before, first);
  const following = events(before, first);
  await before.close();
  t.match((await following).at(-1), { state: 'running' }, 'events end with the service');

  const edit = (id: string, changes: Body) => {
    const path = join(analyses, id, 'job.json');
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...changes }));
  };
  edit(third, { attempts: 3 });
  edit(fourth, { data: 'lost' });
  writeFileSync(join(analyses, second, 'job.json.tmp'), '{"half":');
  const after = await open(t, { analyses, analysesKept: 2 });
  t.same(await get(after, `/${done}`), result);
  t.equal((await after.inject(`/analyses/${done}/figure`)).statusCode, 200);
  t.match(await get(after, `/${first}`), { state: 'running', finishedAt: null }, 'it begins again');
  t.match(await get(after, `/${second}`), { state: 'queued' });
  t.match((await cancel(after, first)).json(), { state: 'cancelled' });
  t.match(await ended(after, second), { state: 'done' });
  const tried = await ended(after, third);
  t.match(tried, {
    state: 'failed',
    error: { code: 'analysis-failed', detail: /the service ended 3 times while it ran/ },
  });
  const lost = { code: 'unknown-dataset', detail: 'there is no data set lost any more' };
  t.match(await ended(after, fourth), { state: 'failed', error: lost });
  await until(() => [done, first, second].every((id) => !existsSync(join(analyses, id))));
  t.same(
    ((await get(after, '')).analyses as Body[]).map(({ id }) => id),
    [fourth, third],
  );
});

t.test('a job survives the death of the service, and its process does not', { skip: linux }, async (t) => {
  const analyses = t.testdir();
  const flags = { ...settings, analyses, workers: 1, port: 0 };
  const child = startCli(['serve', ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`)]);
  t.teardown(() => child.kill('SIGKILL'));
  let url = '';
  createInterface(child.stdout!).on('line', (line) => {
    url = /listening at (\S+?)"/.exec(line)?.[1] ?? url;
  });
  await until(() => url);
  await until(async () => (await fetch(`${url}/readyz`)).ok);
  const start = async (body: Body): Promise<string> => {
    const reply = await fetch(`${url}/analyses`, { method: 'POST', body: JSON.stringify(body) });
    return ((await reply.json()) as { id: string }).id;
  };
  const [first, second] = [await start(slow), await start(quick)];
  await until(async () => ((await (await fetch(`${url}/analyses/${first}`)).json()) as Body).progress);
  const config = { ...readConfig({}, {}), ...settings, analyses };
  await t.rejects(buildApp(config, engine, pino({ level: 'silent' })), { reason: 'in-use', message: analyses });
  child.kill('SIGKILL');
  await once(child, 'exit');
  await until(() => processesWith(first).length === 0);
  const app = await open(t, { analyses });
  t.match(await get(app, `/${first}`), { state: 'running' });
  t.match((await cancel(app, first)).json(), { state: 'cancelled' });
  t.match(await ended(app, second), { state: 'done' });
});

t.test('what cannot be asked for is refused', async (t) => {
  const app = await open(t);
  const refused: [Body, object][] = [
    [
      { ...quick, model: 'none' },
      { status: 404, code: 'unknown-model' },
    ],
    [
      { ...slow, model: 'resnet' },
      { status: 422, code: 'not-invertible' },
    ],
    [
      { ...quick, data: clothes },
      { status: 404, code: 'unknown-dataset', detail: /there is .*clothes/ },
    ],
    [
      { ...quick, options: { limit: 0 } },
      { status: 400, code: 'option-invalid', detail: /limit must be >= 1/ },
    ],
    [
      { ...quick, options: { cache: '/etc' } },
      { code: 'option-invalid', detail: /no option cache; it has: limit, / },
    ],
  ];
  for (const [body, problem] of refused) t.match((await post(app, body)).json(), problem);
  t.match(await get(app, ''), { analyses: [] });
  const off = await open(t, { analysisWorkers: 0 });
  t.match((await post(off, quick)).json(), { status: 403, code: 'analyses-off' });
  const keys = await open(t, { apiKeys: 'abcdefghijklmnop' });
  for (const method of ['GET', 'POST'] as const)
    t.equal((await keys.inject({ method, url: '/analyses' })).statusCode, 401);
});

t.test('data sets that are not there, or twice, are told at the start', async (t) => {
  await t.rejects(open(t, { datasets: 'mine=/nowhere' }), {
    name: 'SettingsError',
    message: /nothing is at \/nowhere, where mine/,
  });
  await t.rejects(open(t, { datasets: `a=${clothes},a=${clothes}` }), {
    name: 'SettingsError',
    message: /names a twice/,
  });
});

t.test('a folder that cannot be written is told, and is used once it can', async (t) => {
  const app = await open(t);
  const { TMPDIR } = process.env;
  process.env.TMPDIR = join(t.testdir(), 'missing');
  const refused = await post(app, quick);
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
  t.match(refused.json(), { status: 507, code: 'analysis-storage', detail: /ENOENT/ });
  t.match(await get(app, ''), { analyses: [] });
  await cancel(app, await begun(app, quick));
});
