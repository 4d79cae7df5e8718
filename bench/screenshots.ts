import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { type Browser, chromium, type Page } from 'playwright-core';
import { packagePath } from '../export/files/package.js';
import { startServer } from './server.js';

// Takes a picture of every view of the page, light and dark, on a phone and a desktop, for people to look at.

const WIDTHS = [360, 1440];
const SCHEMES = ['light', 'dark'] as const;
/** Milliseconds for which a view must rest until its picture is taken. */
const REST = 600;

/** What is shown, by the name of the picture. */
const ADDRESSES: Readonly<Record<string, string>> = {
  try: 'try',
  'try-bag': 'try?sample=bag',
  line: 'interpolate?t=0.40',
  grid: 'interpolate?shape=grid',
  explore: 'explore?sample=bag&silent=3.17&noise=0.30',
  metamers: 'explore?metamers=yes',
  analyses: 'analyses?experiment=metamer',
  models: 'models',
};

const { output, only, models } = new Command('screenshots')
  .description('Takes pictures of every view of the page.')
  .option('--output <folder>', 'where they go', packagePath('screenshots'))
  .option('--models <folder>', 'models folder of the service', packagePath('onnx'))
  .option('--only <name>', `one of ${Object.keys(ADDRESSES).join(', ')}`)
  .parse()
  .opts<{ output: string; only?: string; models: string }>();

const executablePath = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync);
if (executablePath === undefined) throw new Error('there is no browser: on Debian, apt-get install chromium');
await mkdir(output, { recursive: true });
await using server = await startServer(['--log-level', 'error', '--models', models]);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  if (only === undefined || only === 'analyses') await analyse(browser);
  for (const colorScheme of SCHEMES)
    for (const width of WIDTHS) {
      const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
      page.on('console', (message) => void (message.type() === 'error' && console.error(message.text())));
      for (const [name, address] of Object.entries(ADDRESSES)) {
        if (only !== undefined && only !== name) continue;
        const path = join(output, `${name}-${colorScheme}-${width}.png`);
        await page.goto(`${server.base}/#/${address}`);
        if (name === 'analyses') await showTwo(page);
        await rest(page);
        await page.screenshot({ path, fullPage: true });
        console.log(path);
      }
      await page.close();
    }
} finally {
  await browser.close();
}

/** Two analyses are started on the page, so that there is something to see; the second is shown beside the first. */
async function analyse(browser: Browser): Promise<void> {
  const page = await browser.newPage();
  for (const limit of ['100', '200']) {
    await page.goto(`${server.base}/#/${ADDRESSES.analyses}&limit=${limit}`);
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.locator('.chart canvas').first().waitFor({ timeout: 300_000 });
  }
  await page.close();
}

async function showTwo(page: Page): Promise<void> {
  await page.locator('.list button').first().click();
  await page.getByLabel('beside it').selectOption({ index: 1 });
}

/** Waits until nothing is on its way. */
async function rest(page: Page): Promise<void> {
  await page.locator('h1').waitFor();
  for (let quiet = 0; quiet < REST; quiet += 100) {
    await sleep(100);
    if ((await page.locator('[aria-busy=true], .busy, .waiting').count()) > 0) quiet = 0;
  }
}
