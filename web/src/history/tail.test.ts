/** The live tail: what is kept of the stream's rows. */
import { expect, test } from 'vitest';
import type { LiveSeries } from '../state/rows';
import { parseTracks, queryOf } from './series';
import { BUCKET_MS, BUCKETS, Spark } from './spark';
import { ServerTail, TAIL_MS } from './tail';

test('a sample is taken once however often its row is seen', () => {
  const tail = new ServerTail();
  for (const at of [1_000, 1_000, 2_000]) tail.take([row({ atMs: at, value: at })], at);
  expect(tail.series.get('s')!.samples).toEqual([{ t: 1_000, v: 1_000 }, { t: 2_000, v: 2_000 }]);
});

test('a gap opens with its reason at the last sample and closes with the next one', () => {
  const tail = new ServerTail();
  tail.take([row({ atMs: 1_000, value: 1 })], 1_000);
  tail.take([row({ atMs: 1_000, value: null, gap: 'plugin timeout' })], 4_000);
  tail.take([row({ atMs: 1_000, value: null, gap: 'plugin timeout' })], 5_000);
  expect(tail.series.get('s')!.gaps).toEqual([{ from: 1_000, to: null, reason: 'plugin timeout' }]);
  tail.take([row({ atMs: 6_000, value: 2 })], 6_000);
  expect(tail.series.get('s')!.gaps).toEqual([{ from: 1_000, to: 6_000, reason: 'plugin timeout' }]);
});

test('what is older than the tail is forgotten', () => {
  const tail = new ServerTail();
  tail.take([row({ atMs: 1_000, value: 1 })], 1_000);
  tail.take([row({ atMs: 2_000 + TAIL_MS, value: 1 })], 2_000 + TAIL_MS);
  expect(tail.series.get('s')!.samples).toHaveLength(1);
});

test('an answer of another shape is left out, not guessed at', () => {
  expect(parseTracks('m', null)).toEqual([]);
  const [track] = parseTracks('m', { series: [{ labels: { a: 'b' }, points: [[1, 2, 3, 4], [1], ['x', 1, 1, 1]], gaps: [{ from: 1, reason: 'r' }, {}] }] });
  expect(track).toMatchObject({ points: [[1, 2, 3, 4]], gaps: [{ from: 1, reason: 'r' }] });
  expect(queryOf({ server: 'a b', metric: 'm', labels: { mount: '/' }, fromMs: 1.5, toMs: 2.5, points: 9 })).toBe(
    'server=a+b&metric=m&from=1&to=3&points=9&label.mount=%2F',
  );
});

test('a small line has sixty buckets and a null where nothing was measured', () => {
  const spark = new Spark();
  const now = 100 * BUCKET_MS;
  spark.push(now, 1);
  spark.push(now + 1_000, 3);
  spark.cover(now - 3.5 * BUCKET_MS, now - 2 * BUCKET_MS, 8);
  const values = spark.values(now + 2_000);
  expect(values).toHaveLength(BUCKETS);
  expect(values.slice(-6)).toEqual([null, 8, 8, null, null, 2]);
});

function row(change: Partial<LiveSeries>): LiveSeries {
  return { id: 's', metric: 'm', labels: {}, unit: '', kind: 'gauge', collector: 'c', intervalMs: 1_000, atMs: null, value: null, gap: null, ...change };
}
