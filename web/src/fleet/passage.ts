/**
 * What leaves this node for others, and what reaches it from others, out of the
 * JSON of `/forward` and `/ingest`. Pure.
 */
import { fields, list, number, text } from '../state/cells';

/** Somebody whom this node forwards to. */
export interface Target {
  readonly name: string;
  readonly url: string;
  readonly protocol: string;
  /** `starting`, `sending`, `waiting` for another try, or `held` until somebody changes something. */
  readonly state: string;
  /** How far it is behind the store. */
  readonly lagMs: number | null;
  readonly lagBytes: number | null;
  readonly sent: number;
  readonly refused: number;
  /** How often samples were deleted before they could be sent. */
  readonly lost: number;
  readonly error: string | null;
  readonly errorMs: number | null;
}

/** Somebody who writes into this node, known by a token. */
export interface Sender {
  readonly id: string;
  /** The name or pattern that the token is for; null where nothing says. */
  readonly server: string | null;
  readonly servers: number | null;
  readonly series: number | null;
  readonly stored: number;
  /** Samples and requests that were not taken, by the reason, most first. */
  readonly refused: readonly (readonly [reason: string, count: number])[];
  readonly error: string | null;
  readonly errorMs: number | null;
  readonly lastMs: number | null;
}

/** How well a target is served. */
export type TargetTone = 'ok' | 'warning' | 'critical';

/** A target that is as far behind as this is not merely busy with its next batch. */
const BEHIND_MS = 60_000;

/** The targets of an answer. */
export function targetsOf(answer: unknown): Target[] {
  return list(fields(answer)['targets']).map((entry) => {
    const one = fields(entry);
    const lag = number(one['lag_seconds']);
    return {
      name: text(one['name']) ?? '',
      url: text(one['url']) ?? '',
      protocol: text(one['protocol']) ?? '',
      state: text(one['state']) ?? '',
      lagMs: lag === null ? null : lag * 1_000,
      lagBytes: number(one['lag_bytes']),
      sent: number(one['sent']) ?? 0,
      refused: number(one['refused']) ?? 0,
      lost: number(one['lost']) ?? 0,
      error: text(one['error']),
      errorMs: number(one['error_ms']),
    };
  });
}

/** The senders of an answer. */
export function sendersOf(answer: unknown): Sender[] {
  return list(fields(answer)['tokens']).map((entry) => {
    const one = fields(entry);
    const refused = Object.entries(fields(one['refused'])).flatMap(([reason, count]): [string, number][] =>
      typeof count === 'number' && count > 0 ? [[reason, count]] : [],
    );
    return {
      id: text(one['id']) ?? '',
      server: text(one['server']),
      servers: number(one['servers']),
      series: number(one['series']),
      stored: number(one['samples']) ?? 0,
      refused: refused.sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])),
      error: text(one['error']),
      errorMs: number(one['error_ms']),
      lastMs: number(one['last_ms']),
    };
  });
}

/** Lost samples and a long way behind are never fine, whatever the state is called. */
export function toneOf(target: Target): TargetTone {
  if (target.lost > 0 || target.state === 'held') return 'critical';
  return target.state === 'waiting' || target.error !== null || (target.lagMs ?? 0) > BEHIND_MS ? 'warning' : 'ok';
}
