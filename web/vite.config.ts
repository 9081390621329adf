/**
 * How the dashboard is built and tested.
 *
 * The build fails when all JavaScript and CSS together pass 100 KB of gzip,
 * and leaves a gzip copy beside each text file, so that the daemon never
 * compresses anything while it serves.
 */
import { gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vitest/config';

/** Most bytes of gzip that a visitor may be asked to fetch as code and style. */
const GZIP_BYTES_MAX = 100_000;

/** Measures what is about to be written, and adds the compressed copies. */
function weigh(): Plugin {
  return {
    name: 'bartizan-weigh',
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      let total = 0;
      for (const [name, part] of Object.entries(bundle)) {
        if (!/\.(js|css|html|svg|webmanifest)$/.test(name)) continue;
        const packed = gzipSync(part.type === 'chunk' ? part.code : part.source, { level: 9 });
        if (/\.(js|css)$/.test(name)) total += packed.length;
        this.emitFile({ type: 'asset', fileName: `${name}.gz`, source: packed });
      }
      if (total > GZIP_BYTES_MAX) {
        this.error(`code and style are ${total} bytes of gzip, must be at most ${GZIP_BYTES_MAX}`);
      }
      this.info(`code and style are ${total} bytes of gzip, at most ${GZIP_BYTES_MAX}`);
    },
  };
}

export default defineConfig({
  plugins: [svelte(), weigh()],
  build: {
    outDir: process.env['BARTIZAN_WEB_OUT'] ?? 'dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
  },
  test: { include: ['src/**/*.test.ts'] },
});
