/**
 * Rows of the stream's topic `alerts` as typed things. The only place that
 * knows its column names.
 *
 * A level or a state that this page does not know reads as the one that is
 * hardest to overlook: what is wrong must never be hidden by a new word.
 */
import { labels, number, oneOf, readerOf, text } from '../state/cells';
import type { Row } from '../stream/frames';
import type { Table } from '../stream/reducer';

export const SEVERITIES = ['warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

const STATES = ['pending', 'firing', 'clearing', 'resolved', 'withdrawn'] as const;
export type AlertState = (typeof STATES)[number];

export const WAYS = ['email', 'sms', 'webhook'] as const;
export type Way = (typeof WAYS)[number];

export const NOTICE_STATES = ['waiting', 'retrying', 'held', 'sent', 'dead'] as const;
export type NoticeState = (typeof NOTICE_STATES)[number];

/** The limit that is, or was, passed. */
export interface Limit {
  readonly side: 'above' | 'below';
  readonly at: number;
}

/** An incident, or what is about to become one. Times by the hub's clock. */
export interface Alert {
  /** The incident's number as text; `pending:<n>` for what is none yet. */
  readonly id: string;
  readonly server: string;
  readonly rule: string;
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly unit: string;
  readonly level: Severity;
  readonly worst: Severity;
  readonly state: AlertState;
  /** Why there are no samples; the level is then the last one known. */
  readonly unknown: string | null;
  readonly flapping: boolean;
  /** Since when the incident, or the breach of what is pending. */
  readonly openedMs: number | null;
  readonly closedMs: number | null;
  /** When what is pending becomes an incident. */
  readonly dueMs: number | null;
  readonly value: number | null;
  readonly limit: Limit | null;
  readonly summary: string | null;
  readonly ackedBy: string | null;
  readonly ackedMs: number | null;
  /** Whether it began while the daemon was not running. */
  readonly inAbsence: boolean;
  /** Whether it is the absence of samples that is wrong. */
  readonly absence: boolean;
  /** How far its notices have come; only ways that have any. */
  readonly delivery: Readonly<Partial<Record<Way, NoticeState>>>;
}

/** One alert of values that are asked for by the topic's column names. */
export function alertOf(id: string, read: (column: string) => unknown): Alert {
  const side = oneOf(['above', 'below'], read('side'));
  const at = number(read('limit'));
  const level = oneOf(SEVERITIES, read('level')) ?? 'critical';
  const delivery: Partial<Record<Way, NoticeState>> = {};
  for (const way of WAYS) {
    const state = oneOf(NOTICE_STATES, read(way));
    if (state) delivery[way] = state;
  }
  return {
    id,
    server: text(read('server')) ?? '',
    rule: text(read('rule')) ?? '',
    metric: text(read('metric')) ?? '',
    labels: labels(read('labels')),
    unit: text(read('unit')) ?? '',
    level,
    worst: oneOf(SEVERITIES, read('worst')) ?? level,
    state: oneOf(STATES, read('state')) ?? 'firing',
    unknown: text(read('unknown')),
    flapping: read('flapping') === true,
    openedMs: number(read('opened_ms')),
    closedMs: number(read('closed_ms')),
    dueMs: number(read('due_ms')),
    value: number(read('value')),
    limit: side && at !== null ? { side, at } : null,
    summary: text(read('summary')),
    ackedBy: text(read('acked_by')),
    ackedMs: number(read('acked_ms')),
    inAbsence: read('in_absence') === true,
    absence: read('absence') === true,
    delivery,
  };
}

/** The alerts of an `alerts` table. A row that did not change stays the same object, by `kept`. */
export function alertRows(table: Pick<Table, 'cols' | 'rows'>, kept = new WeakMap<Row, Alert>()): Alert[] {
  const read = readerOf(table);
  return [...table.rows].map(([id, row]) => {
    const known = kept.get(row);
    if (known) return known;
    const alert = alertOf(id, (column) => read(row, column));
    kept.set(row, alert);
    return alert;
  });
}

/** Whether somebody has to look after it: an incident that is not over. */
export function isOpen(alert: Alert): boolean {
  return alert.state === 'firing' || alert.state === 'clearing';
}
