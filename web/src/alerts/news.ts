/**
 * Which alerts are news: worth a sound, a notification, an announcement.
 *
 * # Invariants
 *
 * - What was there when the page was opened is never news, however it is told
 *   again: by a snapshot after a reconnection, by another boot of the daemon.
 * - What began while the page was disconnected is news when it is back, unless
 *   it was away for so long that a person rather looks than listens.
 * - A level that rises is news; the same level is not, nor one that somebody
 *   has taken on already, nor what a flapping incident repeats.
 *
 * Pure. Times are the hub's.
 */
import { isOpen, type Alert, type Severity } from './rows';

/** What has been told of, by incident. */
export interface Memory {
  /** When the first table was seen: what began before was there already. */
  readonly sinceMs: number;
  /** When the last table was. */
  readonly atMs: number;
  readonly told: ReadonlyMap<string, Severity>;
}

/** What is remembered, and what is new. */
export interface Heard {
  readonly memory: Memory;
  readonly news: readonly Alert[];
}

/** Longest absence after which what began meanwhile is still announced. */
export const ABSENCE_MAX_MS = 3_600_000;

/** An incident may reach the stream this long after it began. */
const LATE_MS = 10_000;

/** Incidents that are remembered; their numbers are never given twice. */
const TOLD_MAX = 2_000;

/** Takes over the alerts of a table of time `atMs`. */
export function hear(memory: Memory | null, alerts: readonly Alert[], atMs: number): Heard {
  const open = alerts.filter(isOpen);
  const told = new Map(memory?.told);
  const news: Alert[] = [];
  for (const alert of open) {
    const before = told.get(alert.id);
    const isRise = before === 'warning' && alert.level === 'critical';
    if (memory && alert.ackedBy === null && (before === undefined ? beganSince(memory, alert, atMs) : isRise && isPresent(memory, atMs))) {
      news.push(alert);
    }
    const level = alert.flapping && before === 'critical' ? before : alert.level;
    // Put at the end again, so that the oldest are forgotten first.
    told.delete(alert.id);
    told.set(alert.id, level);
  }
  for (const id of told.keys()) {
    if (told.size <= Math.max(TOLD_MAX, open.length)) break;
    told.delete(id);
  }
  return { memory: { sinceMs: memory?.sinceMs ?? atMs, atMs, told }, news };
}

function beganSince(memory: Memory, alert: Alert, atMs: number): boolean {
  const { openedMs } = alert;
  if (openedMs === null) return isPresent(memory, atMs);
  return openedMs >= memory.sinceMs - LATE_MS && openedMs >= atMs - ABSENCE_MAX_MS;
}

function isPresent(memory: Memory, atMs: number): boolean {
  return atMs - memory.atMs <= ABSENCE_MAX_MS;
}
