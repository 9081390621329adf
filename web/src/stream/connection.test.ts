/** A connection on a scripted wire and a clock that is moved by hand. */
import { expect, test } from 'vitest';
import { Connection, type Surroundings, type WireEvents } from './connection';
import { offsetAtFrame, wasSuspended } from './pulse';
import { retryDelayMs } from './retry';

test('a page is live with its first data and lost after two seconds of silence', () => {
  const page = opened();
  expect(page.connection.link.phase).toBe('live');
  page.run(1_900);
  expect(page.connection.link.phase).toBe('live');
  page.run(500);
  expect(page.connection.link.phase).toBe('lost');
  expect(page.connection.link.lastAtMs).toBe(1_000_000);
});

test('it tries again for ever, and says so when it is back', () => {
  const page = opened();
  page.last().closed(1012);
  for (let round = 0; round < 12; round++) {
    page.run(40_000);
    page.last().closed(1006);
  }
  expect(page.wires.length).toBeGreaterThan(12);
  page.connection.retry();
  page.hello();
  expect(page.sent().at(-1)).toMatchObject({ t: 'sub', resume: { epoch: 'boot', seq: 1 } });
  page.delta(1, 9);
  expect(page.connection.link).toMatchObject({ phase: 'live', restoredAtMs: page.now, outages: 1 });
});

test('after a suspension the backlog of the old socket is not believed', () => {
  const page = opened();
  page.sleep(60_000);
  const old = page.last();
  old.text(JSON.stringify({ t: 'd', topic: 'wall', from: 1, to: 2, at: 1_001_000, rows: [['x', 1, 2]], gone: [] }));
  expect(page.connection.link.phase).toBe('lost');
  expect(page.connection.feed.tables.get('wall')!.seq).toBe(1);
  expect(page.last()).not.toBe(old);
  old.text(JSON.stringify({ t: 'd', topic: 'wall', from: 1, to: 2, at: 1_001_000, rows: [['x', 1, 2]], gone: [] }));
  expect(page.connection.feed.tables.get('wall')!.seq).toBe(1);

  page.hello();
  page.delta(1, 61);
  expect(page.connection.link).toMatchObject({ phase: 'live', outages: 1 });
});

test('a hidden page is paused and held until its first frame after the return', () => {
  const page = opened();
  page.connection.hide();
  expect(page.sent().at(-1)).toMatchObject({ hz: 0 });
  expect(page.connection.link.held).toBe(true);
  page.sleep(60_000);
  page.connection.tick();
  expect(page.connection.link.phase).toBe('live');

  page.connection.show();
  expect(page.sent().at(-1)).toMatchObject({ hz: 1, resume: { epoch: 'boot', seq: 1 } });
  expect(page.connection.link.held).toBe(true);
  page.delta(1, 61);
  expect(page.connection.link).toMatchObject({ held: false, phase: 'live' });
});

test('kept topics are followed while the page is hidden, and nothing else', () => {
  const page = opened();
  page.connection.watch(['wall', 'alerts']);
  page.snap(2);
  page.snap(2, 'alerts');
  page.connection.keep(['alerts']);
  page.connection.hide();
  expect(page.sent().at(-1)).toEqual({ t: 'sub', topics: ['alerts'], hz: 1, resume: { epoch: 'boot', seq: 2 } });
  page.delta(2, 3, 'alerts');
  expect(page.connection.feed.tables.get('alerts')!.seq).toBe(3);
  expect(page.connection.link).toMatchObject({ phase: 'live', held: true });

  page.run(3_000);
  expect(page.connection.link.phase).toBe('lost');
  page.run(3_000);
  page.hello();
  expect(page.sent().at(-1)).toEqual({ t: 'sub', topics: ['alerts'], hz: 1, resume: { epoch: 'boot', seq: 3 } });
  page.delta(3, 9, 'alerts');

  page.connection.show();
  expect(page.sent().at(-1)).toEqual({ t: 'sub', topics: ['wall', 'alerts'], hz: 1 });
  page.snap(10, 'alerts');
  expect(page.connection.link.held).toBe(true);
  page.snap(10);
  expect(page.connection.link).toMatchObject({ held: false, phase: 'live' });
});

test('a frame that is missing brings a subscription without resume', () => {
  const page = opened();
  page.delta(2, 3);
  expect(page.sent().at(-1)).toEqual({ t: 'sub', topics: ['wall'], hz: 1 });
  page.delta(3, 4);
  expect(page.sent().length).toBe(2);
  page.snap(5);
  page.delta(5, 6);
  expect(page.connection.feed.tables.get('wall')).toMatchObject({ seq: 6, stale: false });
});

test('other topics are asked for without resume and forgotten ones are dropped', () => {
  const page = opened();
  page.connection.watch(['actors']);
  expect(page.sent().at(-1)).toEqual({ t: 'sub', topics: ['actors'], hz: 1 });
  expect(page.connection.feed.tables.size).toBe(0);
});

test('a socket that never says hello is given up', () => {
  const page = harness();
  page.run(6_000);
  expect(page.connection.link.phase).toBe('lost');
});

test('a right that is missing is told apart from a hub that is away', async () => {
  const page = opened();
  page.last().closed(4001);
  expect(page.connection.link.probe).toBe('signin');
});

test('delays double from one second to thirty and stay within a fifth', () => {
  expect([0, 1, 2, 3, 4, 5, 50].map((attempt) => retryDelayMs(attempt, 0.5))).toEqual([
    1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
  ]);
  expect([retryDelayMs(0, 0), retryDelayMs(50, 1)]).toEqual([800, 36_000]);
});

test('a late frame does not make the hub seem slow, an early one corrects the hello', () => {
  expect(offsetAtFrame(-200, 9_000, 10_000)).toBe(-200);
  expect(offsetAtFrame(-200, 10_000, 10_000)).toBe(0);
});

test('a hole or a step back in time is a suspension', () => {
  expect([wasSuspended(0, 1_900), wasSuspended(0, 2_100), wasSuspended(1_000, 400)]).toEqual([false, true, true]);
});

function opened(): ReturnType<typeof harness> {
  const page = harness();
  page.hello();
  page.snap(1);
  return page;
}

function harness() {
  const wires: { events: WireEvents; sent: unknown[] }[] = [];
  const page = {
    now: 1_000_000,
    wires,
    last: (): WireEvents => wires.at(-1)!.events,
    sent: () => wires.at(-1)!.sent as Record<string, unknown>[],
    /** Time passes and the page runs. */
    run(ms: number): void {
      for (let rest = ms; rest > 0; rest -= 250) {
        page.now += 250;
        connection.tick();
      }
    },
    /** Time passes and nothing runs. */
    sleep(ms: number): void {
      page.now += ms;
    },
    say: (frame: object): void => page.last().text(JSON.stringify(frame)),
    hello: (): void => page.say({ t: 'hello', v: 1, epoch: 'boot', now: page.now, interval: 1_000, version: '1' }),
    snap: (seq: number, topic = 'wall'): void => page.say({ t: 'snap', topic, seq, at: page.now, cols: ['a'], rows: [['x', 1]] }),
    delta: (from: number, to: number, topic = 'wall'): void => page.say({ t: 'd', topic, from, to, at: page.now, rows: [], gone: [] }),
  };
  const world: Surroundings = {
    open(events) {
      const sent: unknown[] = [];
      wires.push({ events, sent });
      return { send: (text) => sent.push(JSON.parse(text)), close: () => undefined };
    },
    probe: async () => 'unreachable',
    now: () => page.now,
    chance: () => 0.5,
  };
  const connection = new Connection(world, () => undefined);
  connection.watch(['wall']);
  connection.tick();
  return { ...page, get now() { return page.now; }, connection };
}
