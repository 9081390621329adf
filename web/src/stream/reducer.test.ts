/** Drives the reducer with a hub that keeps the truth, and with frames lost, doubled and cut off. */
import { describe, expect, test } from 'vitest';
import { parseFrame, type Cell, type Frame, type Row } from './frames';
import { awaitSnapshots, EMPTY_FEED, reduce, resumePoint, retain, type Feed } from './reducer';

const COLS = ['a', 'b', 'c'];

describe('a single step', () => {
  const start = fold([hello(), snap(5, { x: [1, 2, 3], y: [4, 5, 6] })]);

  test('a delta changes the columns of its mask and nothing else', () => {
    const { feed } = reduce(start, { t: 'd', topic: 'wall', from: 5, to: 6, at: 60, rows: [['x', 0b101, 9, null]], gone: [] });
    expect(rowsOf(feed)).toEqual({ x: [9, 2, null], y: [4, 5, 6] });
    expect(feed.tables.get('wall')!.rows.get('y')).toBe(start.tables.get('wall')!.rows.get('y'));
  });

  test('a delta that begins after our tick asks for a snapshot, once', () => {
    const first = reduce(start, { t: 'd', topic: 'wall', from: 6, to: 7, at: 70, rows: [], gone: [] });
    expect(first.resubscribe).toBe(true);
    const second = reduce(first.feed, { t: 'd', topic: 'wall', from: 7, to: 8, at: 80, rows: [['x', 1, 0]], gone: [] });
    expect(second.resubscribe).toBe(false);
    expect(rowsOf(second.feed)).toEqual({ x: [1, 2, 3], y: [4, 5, 6] });
  });

  test('a delta that ends at our tick is old and changes nothing', () => {
    const step = reduce(start, { t: 'd', topic: 'wall', from: 4, to: 5, at: 50, rows: [['x', 1, 0]], gone: ['y'] });
    expect(step).toEqual({ feed: start, resubscribe: false });
  });

  test('an unknown row without all its columns asks for a snapshot', () => {
    const step = reduce(start, { t: 'd', topic: 'wall', from: 5, to: 6, at: 60, rows: [['z', 1, 0]], gone: [] });
    expect(step.resubscribe).toBe(true);
  });

  test('a row with too few or too many values asks for a snapshot', () => {
    for (const row of [['x', 3, 1], ['x', 1, 1, 2]] as Cell[][]) {
      expect(reduce(start, { t: 'd', topic: 'wall', from: 5, to: 6, at: 60, rows: [row], gone: [] }).resubscribe).toBe(true);
    }
  });

  test('another boot of the hub makes every table wait for its snapshot', () => {
    const { feed } = reduce(start, hello('other'));
    expect(feed.tables.get('wall')!.stale).toBe(true);
    expect(resumePoint(feed, ['wall'])).toBeNull();
  });

  test('a mask beyond 32 columns is read', () => {
    const cols = Array.from({ length: 40 }, (_, i) => `c${i}`);
    const wide = fold([hello(), { t: 'snap', topic: 'wall', seq: 1, at: 0, cols, rows: [['x', ...cols.map(() => 0)]] }]);
    const { feed } = reduce(wide, { t: 'd', topic: 'wall', from: 1, to: 2, at: 0, rows: [['x', 2 ** 39, 7]], gone: [] });
    expect(rowsOf(feed)['x']![39]).toBe(7);
  });
});

test('topics resume together only from the same tick', () => {
  const other: Frame = { t: 'snap', topic: 'actors', seq: 6, at: 0, cols: [], rows: [] };
  const feed = fold([hello(), snap(5, {}), other]);
  expect(resumePoint(feed, ['wall'])).toEqual({ epoch: 'boot', seq: 5 });
  expect(resumePoint(feed, ['wall', 'actors'])).toBeNull();
  expect(resumePoint(feed, ['wall', 'unheard'])).toBeNull();
  expect(retain(feed, ['actors']).tables.has('wall')).toBe(false);
});

test('any interleaving of snapshots, deltas, losses and resyncs ends as the hub is', () => {
  for (let seed = 1; seed <= 300; seed++) storm(seed);
});

test('text that is no frame of the protocol is none', () => {
  for (const text of ['', 'null', '[]', '{"t":"d"}', '{"t":"snap","topic":"w","seq":1,"at":1,"cols":[],"rows":[[1]]}', '{"t":"alert"}']) {
    expect(parseFrame(text), text).toBeNull();
  }
  expect(parseFrame('{"t":"d","topic":"w","from":1,"to":2,"at":3,"rows":[]}')).toMatchObject({ gone: [] });
});

/** A hub that changes at random, over a wire that loses, doubles and resyncs at random. */
function storm(seed: number): void {
  const chance = random(seed);
  const truth = new Map<string, Cell[]>();
  let seq = 100;
  let subscribed = seq;
  let known = new Map<string, Cell[]>();
  let feed = fold([hello()]);

  const deliver = (frame: Frame): void => {
    const step = reduce(feed, frame);
    feed = step.feed;
    if (step.resubscribe) snapshot();
  };
  const snapshot = (): void => {
    feed = awaitSnapshots(feed);
    // A delta of the old subscription may still be under way.
    if (chance() < 0.3) deliver({ t: 'd', topic: 'wall', from: seq - 1, to: seq, at: seq, rows: [['k0', 1, -1]], gone: [] });
    subscribed = seq;
    known = copy(truth);
    deliver(snap(seq, Object.fromEntries(truth)));
  };
  snapshot();
  for (let step = 0; step < 60; step++) {
    seq++;
    mutate(truth, chance);
    const delta = difference(known, truth, subscribed, seq);
    subscribed = seq;
    known = copy(truth);
    const luck = chance();
    if (luck < 0.1) continue;
    if (luck < 0.15) {
      deliver({ t: 'resync', reason: 'lag' });
      snapshot();
      continue;
    }
    deliver(delta);
    if (luck > 0.9) deliver(delta);
  }
  // A last tick that arrives makes any loss before it known.
  deliver({ t: 'd', topic: 'wall', from: seq, to: seq + 1, at: 0, rows: [], gone: [] });
  expect(rowsOf(feed), `seed ${seed}`).toEqual(Object.fromEntries(truth));
}

function mutate(truth: Map<string, Cell[]>, chance: () => number): void {
  for (let i = 0; i < 3; i++) {
    const key = `k${Math.floor(chance() * 6)}`;
    const row = truth.get(key);
    if (!row) truth.set(key, [chance(), chance(), null]);
    else if (chance() < 0.2) truth.delete(key);
    else row[Math.floor(chance() * 3)] = chance();
  }
}

function difference(from: Map<string, Cell[]>, to: Map<string, Cell[]>, seq0: number, seq1: number): Frame {
  const rows = [...to].flatMap(([key, row]) => {
    const before = from.get(key);
    const changed = row.map((value, i) => !before || before[i] !== value);
    if (!changed.includes(true)) return [];
    const mask = changed.reduce((sum, is, i) => sum + (is ? 2 ** i : 0), 0);
    return [[key, mask, ...row.filter((_, i) => changed[i])] as Cell[]];
  });
  return { t: 'd', topic: 'wall', from: seq0, to: seq1, at: seq1, rows, gone: [...from.keys()].filter((key) => !to.has(key)) };
}

function copy(table: Map<string, Cell[]>): Map<string, Cell[]> {
  return new Map([...table].map(([key, row]) => [key, [...row]]));
}

function hello(epoch = 'boot'): Frame {
  return { t: 'hello', v: 1, epoch, now: 0, interval: 1_000, version: '' };
}

function snap(seq: number, rows: Record<string, readonly Cell[]>): Frame {
  return { t: 'snap', topic: 'wall', seq, at: seq * 10, cols: COLS, rows: Object.entries(rows).map(([id, row]) => [id, ...row]) };
}

function fold(frames: Frame[]): Feed {
  return frames.reduce((feed, frame) => reduce(feed, frame).feed, EMPTY_FEED);
}

function rowsOf(feed: Feed): Record<string, Row> {
  return Object.fromEntries(feed.tables.get('wall')!.rows);
}

function random(seed: number): () => number {
  let state = seed * 2_654_435_761;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e3779b9) >>> 0;
    return state / 2 ** 32;
  };
}
