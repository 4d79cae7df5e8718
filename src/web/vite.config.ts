import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/** Of 11: the last two take ten times as long for a few per cent. */
const QUALITY = 9;

/** Writes a compressed copy beside each text file, so that the service compresses nothing while it serves. */
const compressed: Plugin = {
  name: 'compressed',
  writeBundle({ dir }) {
    for (const name of readdirSync(dir!, { recursive: true, encoding: 'utf8' })) {
      if (!/\.(html|js|css|svg)$/.test(name)) continue;
      const path = join(dir!, name);
      const bytes = readFileSync(path);
      writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: QUALITY } }));
      writeFileSync(`${path}.gz`, gzipSync(bytes));
    }
  },
};

/** Builds the page into static files with hashed names. */
export default defineConfig({
  root: import.meta.dirname,
  base: './',
  plugins: [compressed],
  build: {
    outDir: '../../dist/web',
    emptyOutDir: true,
    // Pictures stay files of their own, which browsers keep.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    // Vega, which is loaded when a figure is shown.
    chunkSizeWarningLimit: 1000,
    // The compression above is most of the build.
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
});
