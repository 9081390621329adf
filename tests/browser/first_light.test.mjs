/**
 * First light: from the daemon's start to a chart that moves, every page in both languages and both themes, and
 * numbers that are those of the API. Screenshots are left in target/screenshots for people to look at.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { browser, Daemon, DEADLINE_MS, fresh, LOOKS, narrow, page as open, row, SERVER, TELEPHONE, until, viewer, whole } from './stage.mjs';

let chromium, daemon;

before(async () => {
  chromium = await browser();
  daemon = await Daemon.prepare();
});

after(async () => {
  await daemon?.end();
  await chromium?.close();
});

test('the CPU chart moves soon after the start of the daemon', async () => {
  const context = await chromium.newContext();
  const page = await open(context);
  daemon.start();
  await until('the page', () => page.goto(`${daemon.url}/s/${SERVER}`).then(() => true, () => false));
  // What failed before the daemon listened was the browser's own page.
  page.errors.length = 0;
  const look = () =>
    page.evaluate(() => {
      const chart = document.querySelector('figure[data-chart="cpu"]');
      const canvas = chart?.querySelector('canvas');
      return canvas && { picture: canvas.toDataURL(), live: chart.querySelector('[data-live]')?.textContent };
    });
  const first = await until('a first number beside the CPU chart', async () => {
    const seen = await look();
    return /\d/.test(seen?.live ?? '') ? seen : null;
  });
  await until('another number and another picture', async () => {
    const seen = await look();
    return /\d/.test(seen?.live ?? '') && seen.live !== first.live && seen.picture !== first.picture;
  });
  const tookMs = performance.now() - daemon.startedMs;
  console.log(`the CPU chart moves ${(tookMs / 1000).toFixed(1)} s after the daemon's start`);
  // The promise is 5 s; a shared machine is given six times as much.
  assert.ok(tookMs < 30_000, `${tookMs} ms`);
  assert.deepEqual(page.errors, []);
  await context.close();
});

test('the page shows the numbers of the API', async () => {
  const context = await chromium.newContext();
  const page = await open(context);
  await page.goto(daemon.url);
  await fresh(page);
  const metrics = { cpu: 'cpu_usage_ratio', memory: 'memory_usage_ratio', disk: 'disk_usage_ratio' };
  for (let round = 0, at = 0; round < 3; round++) {
    const shown = await fresh(page, at);
    at = shown.at;
    for (const [cell, metric] of Object.entries(metrics)) {
      // Collectors differ in their intervals: the number is one of those that were read lately.
      const query = `server=${SERVER}&metric=${metric}&from=${at - 12_000}&to=${at + 1_000}&raw=true`;
      const { series } = await daemon.get(`/series?${query}`);
      const read = series.flatMap(({ points }) => points.map((point) => point[1] * 100));
      // Rounded twice: to 0.01 % on the way, to 0.1 % on the page.
      const near = read.some((value) => Math.abs(value - Number.parseFloat(shown[cell])) < 0.0551);
      assert.ok(near, `${cell} is shown as ${shown[cell]}, read were ${read}`);
    }
  }
  assert.deepEqual(page.errors, []);
  await context.close();
});

const pages = { wall: '/', server: `/s/${SERVER}?range=5m`, collectors: '/plugins' };

/** A chart that is worth looking at has more than a dot. */
const HISTORY_MS = 45_000;

for (const [name, path] of Object.entries(pages)) {
  for (const look of LOOKS) {
    test(`the ${name} page is whole in ${look.language}, ${look.theme}`, async () => {
      const context = await chromium.newContext(viewer(look));
      const page = await open(context);
      await visit(page, name, path);
      await whole(page, name, look);
      await context.close();
    });
  }
  test(`the ${name} page needs no sideways scrolling on a small telephone`, async () => {
    const context = await chromium.newContext(TELEPHONE);
    const page = await open(context);
    await visit(page, name, path);
    await narrow(page, name);
    await context.close();
  });
}

/** Opens a page with some history, and waits until all of it shows live data. */
async function visit(page, name, path) {
  await until('some history', async () => {
    const from = Date.now() - 10 * HISTORY_MS;
    const { series } = await daemon.get(`/series?server=${SERVER}&metric=cpu_usage_ratio&from=${from}&raw=true`);
    const { points } = series[0];
    return points.at(-1)[0] - points[0][0] >= HISTORY_MS;
  });
  await page.goto(daemon.url + path);
  const look = {
    wall: async () => (await row(page))?.freshness === 'fresh',
    server: () => page.evaluate(() => /\d/.test(document.querySelector('figure[data-chart="cpu"] [data-live]')?.textContent ?? '')),
    collectors: () => page.evaluate(() => document.querySelectorAll('tr[data-actor][data-state="up"]').length > 5),
  }[name];
  await until(`live data on the ${name} page`, look);
  // Charts read their history once they come into view.
  for (const chart of await page.locator('figure[data-chart]').all()) {
    await chart.scrollIntoViewIfNeeded();
    await chart.locator('canvas').waitFor({ timeout: DEADLINE_MS });
    await until('numbers below the chart', async () => (await chart.locator('[data-live]').count()) > 0);
  }
  await page.evaluate(() => scrollTo(0, 0));
  // And they draw only where they are seen: for a picture of the whole page the window is as high as the page.
  const { width } = page.viewportSize();
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width, height });
  await until('a drawing in every chart', () =>
    page.evaluate(() =>
      [...document.querySelectorAll('figure[data-chart] canvas')].every((canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return data.some((part) => part !== 0);
      }),
    ),
  );
}
