/**
 * The frames of the stream protocol `bartizan.v1`, and the only place that
 * turns text from the socket into them.
 *
 * Text that does not have a shape promised here is no frame and changes
 * nothing; what it should have changed shows up as a missing tick.
 */

/** One cell of a row: the protocol's tables hold plain JSON. */
export type Cell = string | number | boolean | null | { readonly [key: string]: string };

/** Values of one row, in the order of the topic's columns (without the id). */
export type Row = readonly Cell[];

/** First frame of a connection. Times are milliseconds since 1970, by the hub's clock. */
export interface Hello {
  readonly t: 'hello';
  readonly v: number;
  readonly epoch: string;
  readonly now: number;
  readonly interval: number;
  readonly version: string;
}

/** The whole table of a topic. */
export interface Snap {
  readonly t: 'snap';
  readonly topic: string;
  readonly seq: number;
  readonly at: number;
  readonly cols: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** What changed in a topic between two ticks. */
export interface Delta {
  readonly t: 'd';
  readonly topic: string;
  readonly from: number;
  readonly to: number;
  readonly at: number;
  readonly rows: readonly (readonly Cell[])[];
  readonly gone: readonly string[];
}

/** The hub cannot continue from where we were; fresh snapshots follow. */
export interface Resync {
  readonly t: 'resync';
  readonly reason: string;
}

export type Frame = Hello | Snap | Delta | Resync;

/** What the page asks for; each one replaces the one before. */
export interface Sub {
  readonly t: 'sub';
  readonly topics: readonly string[];
  readonly hz: 0 | 1;
  readonly resume?: { readonly epoch: string; readonly seq: number };
}

type Fields = Record<string, unknown>;

const isNumber = (value: unknown): value is number => typeof value === 'number';
const isText = (value: unknown): value is string => typeof value === 'string';
const isRows = (value: unknown): value is Cell[][] =>
  Array.isArray(value) && value.every((row) => Array.isArray(row) && isText(row[0]));
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

function parseFields(text: string): Fields | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Fields) : null;
  } catch {
    return null;
  }
}

/** Reads one text frame; null if it is not one of this protocol. */
export function parseFrame(text: string): Frame | null {
  const f = parseFields(text);
  if (!f) return null;
  switch (f['t']) {
    case 'hello': {
      const { v, epoch, now, interval, version } = f;
      if (!isNumber(v) || !isText(epoch) || !isNumber(now) || !isNumber(interval)) return null;
      return { t: 'hello', v, epoch, now, interval, version: isText(version) ? version : '' };
    }
    case 'snap': {
      const { topic, seq, at, cols, rows } = f;
      if (!isText(topic) || !isNumber(seq) || !isNumber(at) || !isTexts(cols) || !isRows(rows)) return null;
      return { t: 'snap', topic, seq, at, cols, rows };
    }
    case 'd': {
      const { topic, from, to, at, rows } = f;
      const gone = f['gone'] ?? [];
      if (!isText(topic) || !isNumber(from) || !isNumber(to) || !isNumber(at) || !isRows(rows)) return null;
      if (!isTexts(gone)) return null;
      return { t: 'd', topic, from, to, at, rows, gone };
    }
    case 'resync':
      return { t: 'resync', reason: isText(f['reason']) ? f['reason'] : '' };
    default:
      return null;
  }
}
