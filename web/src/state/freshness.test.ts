/** The promise of the whole page: an old number is never shown as new. */
import { expect, test } from 'vitest';
import { freshness } from './freshness';

test('a value is fresh for two intervals and its delivery, old up to three, unknown beyond', () => {
  const at = (ageMs: number) => freshness(100_000 - ageMs, 1_000, 100_000);
  expect([0, 2_000, 2_500].map(at)).toEqual(['fresh', 'fresh', 'fresh']);
  expect([2_501, 3_000].map(at)).toEqual(['old', 'old']);
  expect([3_001, 60_000].map(at)).toEqual(['unknown', 'unknown']);
});

test('the limits grow with the interval', () => {
  const at = (ageMs: number) => freshness(100_000 - ageMs, 10_000, 100_000);
  expect([20_000, 20_501, 30_001].map(at)).toEqual(['fresh', 'old', 'unknown']);
});

test('no sample is unknown', () => expect(freshness(null, 1_000, 0)).toBe('unknown'));
