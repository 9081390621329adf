/**
 * Many servers in real Chromium: one is added and its handshake followed, a thousand are filtered and grouped, and the
 * page of the daemon's parts says who sends and who receives. The other machines are played. Screenshots are left in
 * target/screenshots.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PlayedHub, server } from './played_hub.mjs';
import { browser, Daemon, LOOKS, narrow, page as open, TELEPHONE, until, viewer, whole } from './stage.mjs';

const COMMAND = 'bartizan join https://hub.example.org:9797 --name web-7 --token bz_5f1c9a7e2d8b4063f1e5a97c3b8d2046e7f9a1c5b3d8e2f4';

let chromium, daemon;

before(async () => {
  chromium = await browser();
  daemon = await Daemon.prepare();
  daemon.start();
  await daemon.answers();
});

after(async () => {
  await daemon?.end();
  await chromium?.close();
});

/** A page of a played hub. */
async function visitor(hub, options = viewer(LOOKS[0])) {
  const context = await chromium.newContext(options);
  await hub.join(context);
  return open(context);
}

/** What a hub says of a new server that has come so far. */
function enrolment(done, error = null) {
  const steps = ['created', 'connected', 'token_known', 'first_sample'];
  return { name: 'web-7', steps: steps.map((step, i) => ({ step, at_ms: i < done ? Date.now() - 1_000 * (done - i) : null })), error };
}

test('a server is added by the administrator, and its handshake is seen to the first sample', async () => {
  let [signedIn, answer] = [false, enrolment(1)];
  const posted = [];
  const hub = new PlayedHub([])
    .on('GET /signin', () => [(signedIn = true) ? 200 : 0, {}])
    .on('POST /servers', (body) => {
      posted.push(body);
      if (!signedIn) return [401, { error: 'signin_required', detail: 'sign in' }];
      return [200, { name: body.name, token: 'bz_5f', url: daemon.url, command: COMMAND }];
    })
    .on('GET /servers/web-7/enrolment', () => [200, answer]);
  const page = await visitor(hub);
  const step = (name, progress) => page.locator(`[data-step="${name}"][data-progress="${progress}"]`).waitFor();

  await page.goto(daemon.url);
  await page.locator('[data-add]').click();
  await page.waitForURL(`${daemon.url}/servers/add`);
  await page.locator('input[name="name"]').fill('web-7');
  await page.locator('input[name="tags"]').fill('env prod');
  await page.locator('button.primary').click();
  await page.locator('[data-failure]').waitFor();
  assert.deepEqual(posted, [], 'what is no tag is not sent');
  await page.locator('input[name="tags"]').fill('env=prod, role=web');
  await page.locator('button.primary').click();
  await page.locator('[data-signin]').waitFor();
  page.errors.length = 0;
  await page.locator('input[name="token"]').fill('secret');
  await page.locator('button.primary').click();
  assert.equal(await page.locator('[data-command]').innerText(), COMMAND);
  assert.deepEqual(posted.at(-1), { name: 'web-7', tags: { env: 'prod', role: 'web' } });
  assert.equal(new URL(page.url()).search, '?name=web-7', 'the token is not in the address');

  await step('connected', 'waiting');
  answer = enrolment(2, { detail: 'the token is not known to this hub: run the line again as it was shown', at_ms: Date.now() });
  await step('token_known', 'failed');
  assert.match(await page.locator('[data-error]').innerText(), /not known to this hub/);
  answer = enrolment(3);
  await step('first_sample', 'waiting');
  answer = enrolment(4);
  await page.locator('[data-see][href="/s/web-7"]').waitFor();
  assert.deepEqual(page.errors, []);

  await page.reload();
  await page.locator('[data-spent]').waitFor();
  await step('first_sample', 'done');
  assert.doesNotMatch(await page.content(), /bz_5f/, 'the token was shown once');
  await page.context().close();
});

test('a server that has a token gets another one only if that is meant', async () => {
  const posted = [];
  const hub = new PlayedHub([]).on('GET /servers/web-7/enrolment', () => [200, enrolment(1)]).on('POST /servers', (body) => {
    posted.push(body);
    if (!body.again) return [409, { error: 'exists', detail: 'web-7 has a token already' }];
    return [200, { name: body.name, token: 'bz_5f', url: daemon.url, command: COMMAND }];
  });
  const page = await visitor(hub);
  await page.goto(`${daemon.url}/servers/add`);
  await page.locator('input[name="name"]').fill('web-7');
  await page.locator('button.primary').click();
  await page.locator('[data-failure]').filter({ hasText: 'has a token already' }).waitFor();
  await page.locator('button.primary').click();
  await page.locator('[data-command]').waitFor();
  assert.deepEqual(posted.map(({ again }) => again), [undefined, true]);
  await page.context().close();
});

/** A fleet in miniature with everything that a row can say. */
function fleet() {
  const prod = { env: 'prod', role: 'web' };
  return new PlayedHub([
    server('hub-1', { origin: 'local', tags: { env: 'prod', role: 'hub' } }),
    server('web-1', { tags: prod, skew_ms: 4_240, incidents: 2, level: 'critical', cpu: 0.97 }),
    server('web-2', { tags: prod, skew_ms: -190_000 }),
    server('web-3', { tags: prod, silent: true, state: 'offline', last_seen_ms: Date.now() - 7_400_000 }),
    server('db-primary.eu-west.internal.example.org', { tags: { env: 'prod', role: 'db' }, disk: 0.93, disk_mount: '/var/lib/postgresql', incidents: 1, level: 'warning' }),
    server('db-2', { tags: { env: 'test', role: 'db' }, silent: true, state: 'unknown', last_seen_ms: Date.now() - 12_000 }),
    server('switch-1', { origin: 'scrape', interval_ms: 10_000, cpu: null, memory: null, disk: null, load: null, cores: null, uptime: null, tags: { role: 'network' } }),
  ]);
}

test('rows say where samples come from, whose clock is off, and do not show what is old', async () => {
  const page = await visitor(fleet());
  await page.goto(daemon.url);
  const row = (name) => page.locator(`tr[data-server="${name}"]`);
  await row('web-1').locator('[data-skew="4240"]', { hasText: 'clock 4.2s ahead' }).waitFor();
  await row('web-2').locator('[data-skew]', { hasText: '3m 10s behind' }).waitFor();
  assert.equal(await row('hub-1').locator('[data-skew]').count(), 0);
  for (const [name, origin] of [['hub-1', 'local'], ['web-1', 'remote'], ['switch-1', 'scrape']]) await row(name).locator(`[data-origin="${origin}"]`).waitFor();
  for (const name of ['web-3', 'db-2']) {
    assert.equal(await row(name).getAttribute('data-freshness'), 'unknown');
    assert.equal(await row(name).locator('td.cpu .number').innerText(), '–', 'no old number is shown');
    assert.match(await row(name).locator('td.age').innerText(), /last seen/);
  }
  assert.match(await row('web-3').locator('td.age').innerText(), /2h 3m ago/);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('servers are filtered and grouped by tags, and all of it is in the address', async () => {
  const page = await visitor(fleet());
  const shown = () => page.locator('tr[data-server]').evaluateAll((rows) => rows.map((row) => row.dataset.server));
  const groups = () => page.locator('tr[data-group]').evaluateAll((rows) => rows.map((row) => row.dataset.group));
  await page.goto(daemon.url);
  await page.locator('[data-tag-choice]').selectOption('env=prod');
  await until('only env=prod', async () => (await shown()).length === 5);
  assert.equal(await page.locator('[data-chip="offline"] b').innerText(), '1', 'states are counted in what the tags show');
  await page.locator('tr[data-server="web-2"] .tags a', { hasText: 'role=web' }).click();
  await until('also role=web', async () => (await shown()).length === 3);
  await page.locator('[data-group-by]').selectOption('role');
  await page.locator('[data-tag="env=prod"]').click();
  await page.locator('[data-tag="role=web"]').click();
  await page.mouse.move(0, 0);
  await until('headings, worst first', async () => (await groups()).join() === 'web,db,hub,network');
  assert.match(await page.locator('tr[data-group="web"] [data-count="offline"]').textContent(), /Offline\s+1\s*$/);
  await page.locator('tr[data-group="web"] button').click();
  await until('a folded heading', async () => !(await shown()).includes('web-1'));
  const before = [await shown(), await groups()];
  await page.reload();
  await until('the same after a reload', async () => JSON.stringify([await shown(), await groups()]) === JSON.stringify(before));
  await page.goto(`${daemon.url}/?tag=env%3Dprod&state=offline&q=web`);
  await until('a filter out of an address', async () => (await shown()).join() === 'web-3');
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

const MANY = 1_000;

test('a thousand servers, all heard every second, stay fluid', async () => {
  const hub = new PlayedHub(
    Array.from({ length: MANY }, (_, i) => server(`node-${String(i).padStart(4, '0')}`, { tags: { env: i % 10 ? 'prod' : 'test', rack: String(i % 40) }, cpu: Math.random() })),
  );
  const page = await visitor(hub);
  await page.goto(`${daemon.url}/?sort=name`);
  await page.locator('tr[data-server="node-0000"]').waitFor();
  const rows = () => page.locator('tr[data-server]').count();
  assert.ok((await rows()) < 100, 'only rows near the viewport exist');
  await page.waitForTimeout(1_000);

  const at = page.locator('tr[data-server="node-0000"]');
  const first = Number(await at.getAttribute('data-at'));
  const still = await busy(page, () => page.waitForTimeout(10_000));
  assert.ok(Number(await at.getAttribute('data-at')) > first + 5_000, 'rows moved on with their samples');
  console.log(`${MANY} servers at 1 Hz: ${still.percent} % of a core, longest task ${still.longestMs} ms`);

  const asked = hub.asked.get('GET /series');
  const scrolled = await busy(page, async () => {
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    assert.ok(height > MANY * 40, 'space stands for the rows that do not exist');
    await page.evaluate(async (height) => {
      for (let top = 0; top < height; top += 2_000) {
        scrollTo(0, top);
        await new Promise(requestAnimationFrame);
      }
      scrollTo(0, height);
    }, height);
  });
  await page.locator(`tr[data-server="node-0${MANY - 1}"]`).waitFor();
  await page.waitForTimeout(1_000);
  console.log(`scrolled through in ${scrolled.tookMs} ms, longest task ${scrolled.longestMs} ms`);
  assert.ok((await rows()) < 100);
  const more = hub.asked.get('GET /series') - asked;
  assert.ok(more < 4 * 300, `rows that rush past ask for no history, but ${more} were asked for`);

  await page.evaluate(() => scrollTo(0, 0));
  await page.locator('[data-group-by]').selectOption('rack');
  await until('headings', async () => (await page.locator('tr[data-group]').count()) > 0);
  assert.ok((await rows()) < 100, 'under headings too');
  await page.locator('input[type="search"]').fill('node-0777');
  await until('the one that was looked for', async () => (await rows()) === 1);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('a thousand servers do not weigh down a small telephone', async () => {
  const page = await visitor(new PlayedHub(Array.from({ length: MANY }, (_, i) => server(`node-${i}`))), TELEPHONE);
  await page.goto(`${daemon.url}/?sort=name`);
  await page.locator('tr[data-server="node-0"]').waitFor();
  assert.ok((await page.locator('tr[data-server]').count()) < 50);
  for (const name of ['node-0', 'node-1']) assert.equal((await page.locator(`tr[data-server="${name}"]`).boundingBox()).height, 184);
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await page.locator('tr[data-server="node-999"]').waitFor();
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

/** What sends and what receives, in every condition. */
function passage(hub) {
  const target = { protocol: '1.0', state: 'sending', lag_seconds: 0.85, lag_bytes: 40_960, sent: 48_211_904, refused: 0, lost: 0, error: null, error_ms: null };
  const away = 'error sending request: connection refused (hub-2.example.org:9797)';
  const targets = [
    { ...target, name: 'hub', url: 'https://hub.example.org:9797/api/v1/write', protocol: '2.0' },
    { ...target, name: 'hub-2', url: 'https://hub-2.example.org:9797/api/v1/write', state: 'waiting', lag_seconds: 5_400, lag_bytes: 734_003_200, error: away, error_ms: Date.now() - 9_000 },
    { ...target, name: 'victoria', url: 'http://127.0.0.1:8428/api/v1/write', state: 'held', refused: 12, lost: 300, error: '401 Unauthorized', error_ms: Date.now() - 90_000 },
  ];
  const refusal = { error_ms: Date.now() - 65_000, error: 'the token bz_77ab may not write server db-1: it is bound to web-9' };
  const tokens = [
    { id: 'bz_5f1c', server: 'web-*', servers: 12, series: 14_400, samples: 918_200_411, refused: { late: 0 }, error: null, error_ms: null, last_ms: Date.now() - 400 },
    { id: 'bz_77ab', server: 'web-9', servers: 1, series: 61, samples: 40_012, refused: { late: 310, not_your_server: 4 }, ...refusal, last_ms: Date.now() - 65_000 },
  ];
  return hub.on('GET /forward', () => [200, { targets }]).on('GET /ingest', () => [200, { tokens }]);
}

test('the page of the parts says how far behind each target is, and what was refused of whom', async () => {
  const page = await visitor(passage(fleet()));
  await page.goto(`${daemon.url}/plugins`);
  for (const [name, tone, words] of [['hub', 'ok', '0.8s'], ['hub-2', 'warning', '1h 30m'], ['victoria', 'critical', '401 Unauthorized']]) {
    await page.locator(`tr[data-target="${name}"][data-tone="${tone}"]`, { hasText: words }).waitFor();
  }
  await page.locator('tr[data-sender="bz_5f1c"] th', { hasText: 'web-* bz_5f1c' }).waitFor();
  await page.locator('tr[data-sender="bz_77ab"] [data-refused="not_your_server"]', { hasText: '4' }).waitFor();
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('where nothing is sent or received, or by an older daemon, nothing is said of it', async () => {
  const missing = () => [404, { error: 'not_found', detail: 'there is nothing here' }];
  for (const answer of [missing, () => [200, { targets: [], tokens: [] }]]) {
    const hub = fleet().on('GET /forward', answer).on('GET /ingest', answer);
    const page = await visitor(hub);
    await page.goto(`${daemon.url}/plugins`);
    await page.locator('[aria-labelledby="plugins"] tbody tr').first().waitFor();
    await until('the questions', () => hub.asked.get('GET /forward') && hub.asked.get('GET /ingest'));
    assert.equal(await page.locator('[data-forward], [data-ingest]').count(), 0);
    await page.context().close();
  }
});

/** Every page with what completes it. */
const PAGES = {
  'fleet-wall': ['/', 'tr[data-server="switch-1"]'],
  'fleet-groups': ['/?group=role&tag=env%3Dprod&tag=env%3Dtest', 'tr[data-group="db"]'],
  'fleet-add': ['/servers/add', 'input[name="name"]'],
  'fleet-handshake': ['/servers/add?name=web-7', '[data-error]'],
  'fleet-passage': ['/plugins', '[data-ingest]'],
};

/** A hub where each page has something to show. */
function everything() {
  const detail = 'the token is not known to this hub: run the line again as it was shown';
  return passage(fleet()).on('GET /servers/web-7/enrolment', () => [200, enrolment(2, { detail, at_ms: Date.now() })]);
}

for (const look of LOOKS) {
  test(`every page of many servers is whole in ${look.language}, ${look.theme}`, async () => {
    const page = await visitor(everything(), viewer(look));
    for (const [name, [path, seen]] of Object.entries(PAGES)) {
      await page.goto(daemon.url + path);
      await page.locator(seen).first().waitFor();
      await page.waitForTimeout(1_500);
      await whole(page, name, look);
    }
    await made(page);
    await whole(page, 'fleet-command', look);
    await page.context().close();
  });
}

test('no page of many servers needs sideways scrolling on a small telephone', async () => {
  const page = await visitor(everything(), TELEPHONE);
  for (const [name, [path, seen]] of Object.entries(PAGES)) {
    await page.goto(daemon.url + path);
    await page.locator(seen).first().waitFor();
    await narrow(page, name);
  }
  await made(page);
  await narrow(page, 'fleet-command');
  await page.context().close();
});

/** Goes on to the line that is to be run. */
async function made(page) {
  await page.route('**/api/v1/servers', (route) =>
    route.request().method() === 'POST' ? route.fulfill({ json: { name: 'web-7', token: 'bz_5f', url: daemon.url, command: COMMAND } }) : route.fallback(),
  );
  await page.goto(`${daemon.url}/servers/add`);
  await page.locator('input[name="name"]').fill('web-7');
  await page.locator('button.primary').click();
  await page.locator('[data-command]').waitFor();
  await page.locator('[data-error]').waitFor();
}

/** How busy the page was while something was done: of one core, and its longest task. */
async function busy(page, what) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const taskSeconds = async () => (await session.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration').value;
  await page.evaluate(() => {
    window.longestMs = 0;
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => (window.longestMs = Math.max(window.longestMs, duration)))).observe({ type: 'longtask' });
  });
  const [before, began] = [await taskSeconds(), performance.now()];
  await what();
  const [spentMs, tookMs] = [1_000 * ((await taskSeconds()) - before), performance.now() - began];
  await session.detach();
  return { percent: ((100 * spentMs) / tookMs).toFixed(1), tookMs: Math.round(tookMs), longestMs: await page.evaluate(() => Math.round(window.longestMs)) };
}
