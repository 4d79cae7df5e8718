import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Browser, type BrowserContextOptions, chromium } from 'playwright-core';
import t, { type Test } from 'tap';
import type { Config } from '../../../src/common/config.js';
import type { App } from '../../../src/http/app-type.js';
import { appOn, randomModels, service } from '../../helpers/app.js';
import { dataPath, miniature } from '../../helpers/networks.js';

const chrome = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync);
const skip = chrome === undefined && 'there is no browser: on Debian, apt-get install chromium';
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const VIEWS = ['try', 'interpolate', 'explore', 'models'];
/** A browser on two busy cores may take its time. */
const PATIENCE = 60_000;

const listen = async (app: App, port = 0): Promise<string> => {
  await app.listen({ port, host: '127.0.0.1' });
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
};

t.test('the page', { skip }, async (t) => {
  const browser: Browser = await chromium.launch({ executablePath: chrome!, args: ['--no-sandbox'] });
  t.teardown(() => browser.close());
  const { app, engine } = await service(t);
  const base = await listen(app);

  /** Opens the page. What it logs as an error, throws, or asks of another host comes into the list. */
  async function visit(t: Test, address: string, options: BrowserContextOptions = {}) {
    const context = await browser.newContext(options);
    t.teardown(() => context.close());
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    const wrong: string[] = [];
    page.on('console', (message) => void (message.type() === 'error' && wrong.push(message.text())));
    page.on('pageerror', ({ message }) => void wrong.push(message));
    page.on('request', (request) => {
      if (!/^(blob:)?http:\/\/127\.0\.0\.1:/.test(request.url())) wrong.push(request.url());
    });
    await page.goto(address);
    return { page, wrong };
  }
  const other = async (t: Test, settings: Partial<Config>) => listen((await appOn(t, engine, settings)).app);

  await t.test('a sample is classified, encoded and recovered; another one is a click away', async (t) => {
    const { page, wrong } = await visit(t, base);
    await page.getByText('Every pixel is back, to the last float32 bit.').waitFor();
    await page.getByText('Sneaker', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'bag' }).click();
    await page.getByRole('heading', { name: 'The network saw this bag' }).waitFor();
    await page.locator('.bars li').first().getByText('Bag').waitFor();
    t.match(page.url(), /#\/try\?sample=bag$/);
    t.same(wrong, []);
  });

  await t.test(
    'a picture of one’s own is taken; one that is none is refused with the sentence of the service',
    async (t) => {
      const { page, wrong } = await visit(t, base);
      await page.setInputFiles('input[type=file]', dataPath('images', 'boot-on-white.jpg'));
      await page.getByText(/^Prepared: /).waitFor();
      await page.locator('.bars li').first().getByText('Ankle boot').waitFor();
      t.notMatch(page.url(), /boot/);
      const text = join(t.testdir(), 'text.png');
      await writeFile(text, 'no picture');
      await page.setInputFiles('input[type=file]', text);
      await page.getByRole('alert').waitFor();
      t.match(await page.getByRole('alert').innerText(), /not-an-image/);
      // The browser itself logs the status of the refusal.
      t.ok(
        wrong.every((line) => /the server responded with a status of 4\d\d/.test(line)),
        wrong.join(),
      );
    },
  );

  await t.test(
    'the slider decodes points between two pictures, by keyboard too, and the address keeps t',
    async (t) => {
      const { page, wrong } = await visit(t, `${base}/#/interpolate?a=bag&b=trouser&t=0.25`);
      await page.getByRole('heading', { name: 'Between a bag and a trouser' }).waitFor();
      await page.locator('.strips canvas').first().waitFor();
      const slider = page.getByRole('slider');
      t.equal(await slider.inputValue(), '0.25');
      await slider.press('ArrowRight');
      await page.getByText('0.26').waitFor();
      await slider.press('End');
      await page.locator('.bars li').first().getByText('Trouser').waitFor();
      t.match(page.url(), /t=1\.00/);
      const saved = page.waitForEvent('download');
      await page.getByRole('button', { name: 'Save features as .npy' }).click();
      t.equal((await saved).suggestedFilename(), 'features-1.00.npy');
      t.same(wrong, []);
    },
  );

  await t.test('features are changed, and the picture follows', async (t) => {
    const { page, wrong } = await visit(t, `${base}/#/explore?sample=sneaker`);
    const first = page.locator('.bars li').first();
    await first.getByText('Sneaker').waitFor();
    const picture = page.locator('.explore canvas').nth(1);
    const pixels = () => picture.evaluate((canvas) => (canvas as unknown as { toDataURL(): string }).toDataURL());
    const before = await pixels();
    // The policy of the page lets no text be run as a script, so the browser cannot wait for this by itself.
    const until = async (same: boolean) => {
      while (((await pixels()) === before) !== same) await setTimeout(50);
    };
    await page.getByRole('button', { name: 'Permute the places' }).click();
    await page.getByText('The classifier averages over places').waitFor();
    await until(false);
    await page.getByRole('button', { name: 'Undo all' }).click();
    await until(true);
    t.same(wrong, []);
  });

  await t.test('no view has a fault of accessibility, in light or dark, on a phone or a desktop', async (t) => {
    for (const [colorScheme, width] of [
      ['light', 360],
      ['dark', 768],
      ['light', 1440],
    ] as const) {
      const { page, wrong } = await visit(t, base, { colorScheme, viewport: { width, height: 900 } });
      for (const view of VIEWS) {
        await page.goto(`${base}/#/${view}`);
        await page.locator('h1').waitFor();
        await page.waitForLoadState('networkidle');
        const found = (await page.evaluate(`(() => {${axe}})(), axe.run()`)) as { violations: { id: string }[] };
        t.same(
          found.violations.map(({ id }) => id),
          [],
          `${view}, ${colorScheme}, ${width}`,
        );
        const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
        t.ok((wide as number) <= 0, `${view} is no wider than ${width} pixels`);
      }
      t.same(wrong, []);
    }
  });

  await t.test('a service with API keys: the page loads and asks for one', async (t) => {
    const key = 'a key of the page'.replaceAll(' ', '-');
    const { page } = await visit(t, await other(t, { apiKeys: key }));
    await page.getByLabel('This service asks for an API key.').fill(key);
    await page.getByRole('button', { name: 'Use it' }).click();
    await page.getByText('Every pixel is back').waitFor();
  });

  await t.test('the service goes and comes back: the page says so, and goes on by itself', async (t) => {
    const first = await appOn(t, engine);
    const address = await listen(first.app);
    const { page } = await visit(t, address);
    await page.getByText('Every pixel is back').waitFor();
    await first.app.close();
    await page.getByRole('button', { name: 'bag' }).click();
    await page.getByText('The service does not answer.').first().waitFor();
    await listen((await appOn(t, engine)).app, Number(new URL(address).port));
    await page.locator('.bars li').first().getByText('Bag').waitFor();
    t.equal(await page.getByRole('alert').count(), 0);
  });

  await t.test('what is too large, and a network without an inverse, are said where they happen', async (t) => {
    const { page } = await visit(t, await other(t, { maxBytes: 1024 }));
    await page.setInputFiles('input[type=file]', dataPath('images', 'boot-on-white.jpg'));
    await page.getByRole('alert').waitFor();
    t.match(await page.getByRole('alert').innerText(), /1,?024|too-large/);
    const models = await randomModels(t, { plain: { architecture: 'resnet', config: miniature.resnet } });
    const plain = await service(t, { models, model: 'plain' });
    const { page: second } = await visit(t, await listen(plain.app));
    await second.getByText('This network cannot give it back.').first().waitFor();
    t.ok(await second.locator('.bars li').count());
  });
});
