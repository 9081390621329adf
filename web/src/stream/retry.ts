/**
 * When to try the connection again: 1 s doubling to 30 s, ±20 %, for ever.
 * Pure; chance comes in as an argument.
 */

const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;
const JITTER = 0.2;

/** Wait before attempt `attempt` (0 is the first after the loss); `chance` is in 0..1. */
export function retryDelayMs(attempt: number, chance: number): number {
  const base = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(base * (1 - JITTER + 2 * JITTER * chance));
}
