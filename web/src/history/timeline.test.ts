/** History and live tail become one line that is never drawn across a hole. */
import { expect, test } from 'vitest';
import type { Gap, Point } from './series';
import { align, broken, extend, gapsOf } from './timeline';

const raw = (...times: number[]): Point[] => times.map((t) => [t, t, t, t]);

test('raw samples are appended by time and never twice', () => {
  const tail = [1_000, 2_000, 3_000].map((t) => ({ t, v: t }));
  expect(extend(raw(1_000, 2_000), tail, 1_000, 1_000, 2_500).map((point) => point[0])).toEqual([1_000, 2_000, 3_000]);
  expect(extend([], tail, 1_000, 1_000, 0)).toHaveLength(3);
});

test('later samples complete the bucket that was unfinished, then begin the next', () => {
  const history: Point[] = [[10_000, 5, 5, 5]];
  const tail = [
    { t: 11_000, v: 99 },
    { t: 13_000, v: 9 },
    { t: 20_000, v: 1 },
    { t: 21_000, v: 3 },
  ];
  // History was read at 12 s: its bucket held two samples, and 11 s is one of them.
  expect(extend(history, tail, 10_000, 1_000, 12_000)).toEqual([
    [10_000, (5 * 2 + 9) / 3, 5, 9],
    [20_000, 2, 1, 3],
  ]);
});

test('a hole that nobody recorded is a gap without a reason, a recorded one keeps its own', () => {
  expect(gapsOf(raw(1_000, 2_000, 9_000), [], 1_000, 10_000)).toEqual([{ from: 3_000, to: 9_000, reason: null }]);
  const recorded: Gap[] = [{ from: 2_000, to: 9_000, reason: 'plugin timeout' }];
  expect(gapsOf(raw(1_000, 2_000, 9_000), recorded, 1_000, 10_000)).toEqual(recorded);
  expect(gapsOf(raw(1_000, 3_000), [], 1_000, 10_000)).toEqual([]);
});

test('a line is broken by every gap between two points, also by short ones', () => {
  const values = (gaps: Gap[]) => broken(raw(1_000, 2_000, 3_000, 4_000), gaps).map((point) => point[1]);
  expect(values([])).toEqual([1_000, 2_000, 3_000, 4_000]);
  expect(values([{ from: 2_200, to: 2_300, reason: 'x' }])).toEqual([1_000, 2_000, null, 3_000, 4_000]);
  expect(values([{ from: 2_000, to: 3_000, reason: 'x' }])).toEqual([1_000, 2_000, null, 3_000, 4_000]);
  expect(values([{ from: 500, to: 2_500, reason: 'x' }, { from: 600, to: 700, reason: 'y' }])).toEqual([1_000, null, 2_000, null, 3_000, 4_000]);
  expect(values([{ from: 3_500, to: null, reason: 'x' }])).toEqual([1_000, 2_000, 3_000, null, 4_000]);
});

test('lines with different times share one axis; what a line lacks is no gap', () => {
  const [times, columns] = align([raw(1, 3), [[2, null, null, null]]]);
  expect(times).toEqual([1, 2, 3]);
  expect(columns[0]).toEqual([1, undefined, 3]);
  expect(columns[3]).toEqual([undefined, null, undefined]);
});
