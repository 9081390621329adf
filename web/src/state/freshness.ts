/**
 * How old a number may be before it stops being shown as the present.
 *
 * The limits are of the design: beyond 2 intervals dimmed with its age, beyond
 * 3 unknown. A sample taken right after a tick waits a whole interval for the
 * next one, so the first limit grants the delivery half a second; the second
 * grants nothing.
 */

export type Freshness = 'fresh' | 'old' | 'unknown';

/** Time a frame may take from the hub's tick to the pixels. */
export const DELIVERY_MS = 500;

/** Judges a sample of `atMs` at `nowMs`, both by the hub's clock. No sample at all is unknown. */
export function freshness(atMs: number | null, intervalMs: number, nowMs: number): Freshness {
  if (atMs === null) return 'unknown';
  const age = nowMs - atMs;
  if (age > 3 * intervalMs) return 'unknown';
  if (age > 2 * intervalMs + Math.min(DELIVERY_MS, intervalMs / 2)) return 'old';
  return 'fresh';
}
