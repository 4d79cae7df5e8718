import { defineConfig } from 'vite';

/** Builds the page into static files with hashed names; the service compresses and serves them. */
export default defineConfig({
  root: import.meta.dirname,
  base: './',
  build: {
    outDir: '../../dist/web',
    emptyOutDir: true,
    // Pictures stay files of their own: the policy of the page allows no data: where none is needed.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
});
