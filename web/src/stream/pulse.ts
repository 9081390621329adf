/**
 * The hub's clock, and whether this page can be believed to be running.
 *
 * Everything here is judged by the browser's wall clock, because the monotonic
 * one stands still while a laptop sleeps. Whoever wakes calls `beat` before it
 * does anything else; a hole between two beats means that the page was
 * suspended and that whatever the socket delivers next may be old.
 *
 * Pure: the clock's reading is an argument.
 */

/** No frame for this long means that the connection is lost. */
export const WATCHDOG_MS = 2_000;

/** No beat for this long means that the page itself was suspended. */
export const SUSPENDED_MS = 2_000;

/** A wall clock that steps back by more than this was set, and our offset with it. */
const STEPPED_BACK_MS = 500;

/** Milliseconds to add to the browser's clock to get the hub's. */
export function offsetAtHello(hubNowMs: number, browserNowMs: number): number {
  return hubNowMs - browserNowMs;
}

/**
 * A frame cannot come from the hub's future: one that seems to shows that the
 * hello took longer on its way, so the offset is raised. It is never lowered:
 * a late frame must look late.
 */
export function offsetAtFrame(offsetMs: number, atMs: number, browserNowMs: number): number {
  return Math.max(offsetMs, atMs - browserNowMs);
}

/** True if the time between two beats cannot be that of a page that runs. */
export function wasSuspended(lastBeatMs: number, nowMs: number): boolean {
  return nowMs - lastBeatMs > SUSPENDED_MS || lastBeatMs - nowMs > STEPPED_BACK_MS;
}
