import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import t, { type Test } from 'tap';
import type { Config } from '../../../src/common/config.js';
import type { App } from '../../../src/http/app-type.js';
import { appOn, randomModels, service } from '../../helpers/app.js';
import { dataPath, miniature, small } from '../../helpers/networks.js';

const chrome = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync);
const skip = chrome === undefined && 'there is no browser: on Debian, apt-get install chromium';
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const VIEWS = ['try', 'interpolate', 'interpolate?shape=grid', 'explore', 'analyses', 'models'];
/** A browser on two busy cores may take its time. */
const PATIENCE = 60_000;

/** What axe-core finds on a page. */
async function faults(page: Page): Promise<string[]> {
  const found = (await page.evaluate(`(() => {${axe}})(), axe.run()`)) as { violations: { id: string }[] };
  return found.violations.map(({ id }) => id);
}

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

  await t.test('changes of features are in the address', async (t) => {
    const { page, wrong } = await visit(t, `${base}/#/explore?sample=bag&scale=1.5&silent=3.17&permuted=yes`);
    const scale = page.getByLabel('scale');
    t.equal(await scale.inputValue(), '1.5');
    await page.getByText('Silent channels: 3, 17.').waitFor();
    t.equal(await page.getByRole('button', { name: 'Permute the places' }).getAttribute('aria-pressed'), 'true');
    await scale.press('ArrowRight');
    await page.waitForURL(/scale=1\.51/);
    await page.getByRole('button', { name: 'Undo all' }).click();
    await page.waitForURL(/#\/explore\?sample=bag$/);
    t.same(wrong, []);
  });

  await t.test('a grid between four pictures: what each blend is taken for; back to the line', async (t) => {
    const { page, wrong } = await visit(t, `${base}/#/interpolate?shape=grid&a=sneaker&b=bag&c=trouser&d=sandal`);
    await page.getByRole('heading', { name: 'Between a sneaker, a bag, a trouser and a sandal' }).waitFor();
    const corners = { 0: 'Sneaker', 4: 'Bag', 20: 'Trouser', 24: 'Sandal' };
    for (const space of [0, 1])
      for (const [cell, label] of Object.entries(corners))
        await page.locator('.cells').nth(space).locator('li').nth(Number(cell)).getByText(label).waitFor();
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save as PNG' }).click();
    t.equal((await saved).suggestedFilename(), 'grid.png');
    await page.getByRole('button', { name: 'A line between two' }).click();
    await page.getByRole('heading', { name: 'Between a sneaker and a bag' }).waitFor();
    t.same(wrong, []);
  });

  await t.test('metamers: another picture with the scores of the first', async (t) => {
    const { page, wrong } = await visit(t, `${base}/#/explore?sample=sneaker&other=bag`);
    await page.getByRole('button', { name: 'Find them' }).click();
    const labels = page.locator('.four figcaption');
    for (const [n, label] of ['Sneaker', 'Bag', 'Sneaker', 'Sneaker'].entries()) {
      await labels.nth(n).getByText(label).waitFor();
    }
    t.match(page.url(), /metamers=yes/);
    await page.getByText('The scores (logits)').click();
    const row = page.getByRole('row', { name: /^Sneaker/ }).locator('td');
    const [a, b, moved, permuted] = (await row.allInnerTexts()).map(Number) as [number, number, number, number];
    t.ok(
      Math.abs(a - b) > 1 && Math.abs(a - moved) < 2e-3 && Math.abs(a - permuted) < 2e-3,
      `${[a, b, moved, permuted]}`,
    );
    t.same(wrong, []);
  });

  await t.test(
    'an analysis is started, watched, shown with values and files, and put beside another one',
    async (t) => {
      const { page, wrong } = await visit(t, `${base}/#/analyses?experiment=metamer&limit=20`, {
        viewport: { width: 1280, height: 1800 },
      });
      const begin = async () => {
        await page.getByRole('button', { name: 'Start', exact: true }).click();
        await page.waitForURL(/job=/);
        await page.locator('.chart canvas').waitFor({ timeout: 3 * PATIENCE });
        return /job=(\w+)/.exec(page.url())![1];
      };
      const first = await begin();
      const box = (await page.locator('.chart canvas').boundingBox())!;
      const values = page.locator('.hover');
      // Rows of points are 24 pixels apart.
      search: for (let y = 0.7 * box.height; y < 0.7 * box.height + 24; y += 5)
        for (let x = 0; x < 560; x += 4) {
          await page.mouse.move(box.x + x, box.y + y);
          if (await values.isVisible()) break search;
        }
      t.match(await values.innerText(), /logit/);
      await page.getByText('The values').click();
      await page.getByRole('rowheader', { name: 'moved.difference', exact: true }).waitFor();
      for (const format of ['SVG', 'PNG', 'Vega-Lite', 'JSON', 'CSV']) {
        const saved = page.waitForEvent('download');
        await page.getByRole('button', { name: format, exact: true }).click();
        t.match((await saved).suggestedFilename(), /^metamer-fashion-mnist\./);
      }
      await page.goto(`${base}/#/analyses?experiment=metamer&limit=30`);
      const second = await begin();
      t.not(second, first);
      await page.getByLabel('beside it').selectOption(first!);
      await page.locator('.chart canvas').nth(1).waitFor();
      await page.waitForURL(new RegExp(`beside=${first}`));
      t.same(await faults(page), []);
      await page.getByRole('button', { name: 'Remove' }).first().click();
      await page.waitForURL(new RegExp(`job=${first}$`));
      t.equal(await page.getByRole('article').count(), 1);
      await page.goto(`${base}/#/analyses?job=${second}`);
      await page.getByText('The analysis of this address is not kept any more.').waitFor();
      t.same(wrong, []);
    },
  );

  await t.test('an analysis that cannot run is refused in words; one that runs is cancelled', async (t) => {
    const { page } = await visit(t, `${base}/#/analyses?experiment=separability&limit=10000000000`);
    const start = page.getByRole('button', { name: 'Start', exact: true });
    await start.click();
    await page.getByRole('alert').waitFor();
    t.match(await page.getByRole('alert').innerText(), /limit[\s\S]*option-invalid/);
    await page.getByLabel('images of each part').fill('2000');
    await start.click();
    await page.getByRole('article').getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('It was cancelled.').waitFor();
    await page.getByRole('button', { name: 'Start it again' }).waitFor();
    await page.getByRole('button', { name: 'Remove' }).first().click();
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
        t.same(await faults(page), [], `${view}, ${colorScheme}, ${width}`);
        const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
        t.ok((wide as number) <= 0, `${view} is no wider than ${width} pixels`);
      }
      t.same(wrong, []);
    }
  });

  await t.test('the training record of a model is on its card', async (t) => {
    const { page } = await visit(t, `${base}/#/models`);
    const card = page.locator('article.model', { has: page.getByRole('heading', { name: 'fashion-mnist' }) });
    const entry = card.locator('.record > div', { has: page.getByText('epochs', { exact: true }) });
    t.equal(await entry.locator('dd').textContent(), '40');
  });

  await t.test('a service without analyses says so calmly', async (t) => {
    const { page } = await visit(t, `${await other(t, { analysisWorkers: 0 })}/#/analyses?experiment=metamer`);
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByText('This service runs no analyses.').waitFor();
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
    const models = await randomModels(t, {
      plain: { architecture: 'resnet', config: miniature.resnet },
      grid: { config: small },
    });
    const manifest = join(models, 'grid', 'manifest.json');
    const inversion = { exactFloat: 3, exactPixels: 4, relativeErrorMean: 0, relativeErrorMax: 1e-7 };
    const measured = { data: 'four images', images: 4, accuracy: 0.5, inversion };
    await writeFile(manifest, JSON.stringify({ ...JSON.parse(await readFile(manifest, 'utf8')), measured }));
    const plain = await service(t, { models, model: 'plain' });
    const { page: second } = await visit(t, await listen(plain.app));
    await second.getByText('This network cannot give it back.').first().waitFor();
    t.ok(await second.locator('.bars li').count());
    await second.goto(`${second.url().split('#')[0]}#/models`);
    const row = (name: string) => second.getByRole('row', { name }).locator('td');
    t.match(await row('grid').allInnerTexts(), ['50.00%', /^\d/, '75.0%', '≤ 1.0e-7', 'four images']);
    t.match(await row('plain').allInnerTexts(), ['–', /^\d/, '–', '–', '–']);
    await second.getByText('Its manifest says nothing of a training.').first().waitFor();
  });
});
