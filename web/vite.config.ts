/**
 * How the dashboard is built and tested.
 *
 * The build fails when all JavaScript and CSS that a visitor of any one language
 * may fetch pass 100 KB of gzip together, and leaves a gzip copy beside each
 * text file, so that the daemon never compresses anything while it serves.
 */
import { gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vitest/config';

/** Most bytes of gzip that a visitor may be asked to fetch as code and style. */
const GZIP_BYTES_MAX = 100_000;

/** The chunks of which a visitor fetches one: the words of a language, with everything that only they import. */
const LANGUAGE = /\/i18n\/(en|zh)\.ts$/;

/** Measures what is about to be written, and adds the compressed copies. */
function weigh(): Plugin {
  return {
    name: 'bartizan-weigh',
    apply: 'build',
    enforce: 'post',
    // After Vite itself: a copy of what it has not finished would be another program than the one beside it.
    generateBundle: {
      order: 'post',
      handler(_, bundle) {
        let total = 0;
        let largest = 0;
        for (const [name, part] of Object.entries(bundle)) {
          if (!/\.(js|css|html|svg|webmanifest)$/.test(name)) continue;
          const packed = gzipSync(part.type === 'chunk' ? part.code : part.source, { level: 9 });
          if (part.type === 'chunk' && LANGUAGE.test(part.facadeModuleId ?? '')) largest = Math.max(largest, packed.length);
          else if (/\.(js|css)$/.test(name)) total += packed.length;
          this.emitFile({ type: 'asset', fileName: `${name}.gz`, source: packed });
        }
        total += largest;
        if (total > GZIP_BYTES_MAX) {
          this.error(`code and style in one language are ${total} bytes of gzip, must be at most ${GZIP_BYTES_MAX}`);
        }
        this.info(`code and style in one language are ${total} bytes of gzip, at most ${GZIP_BYTES_MAX}`);
      },
    },
  };
}

/** Ways of drawing a line that no chart here uses; a sixth of uPlot, which cannot be left out by not importing it. */
const UNUSED = ['(paths.stepped = stepped);', '(paths.bars    = bars);', '(paths.spline  = monotoneCubic);', 'uPlot.join = join;'];

/** Takes them out of uPlot, so that what only they call is left out too. */
function prune(): Plugin {
  return {
    name: 'bartizan-prune',
    apply: 'build',
    transform: {
      filter: { id: /\/uPlot\.esm\.js$/ },
      handler(code) {
        for (const line of UNUSED) {
          if (!code.includes(line)) this.error(`uPlot has no line \`${line}\` any more: look again for what no chart uses`);
          code = code.replace(line, '');
        }
        return { code, map: null };
      },
    },
  };
}

export default defineConfig({
  plugins: [svelte(), prune(), weigh()],
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
