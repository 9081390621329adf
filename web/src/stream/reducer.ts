/**
 * What the hub said, folded frame by frame into one table per topic.
 *
 * # Invariants
 *
 * - A table equals the hub's table at tick `seq`, or it is `stale` and takes
 *   nothing but a snapshot.
 * - A delta is applied only where it begins exactly at our tick. One that ends
 *   at or before it is old and dropped; any other means that a frame is
 *   missing, and a new subscription without resume is asked for, once.
 * - Rows that did not change keep their identity.
 *
 * Pure: no clock, no socket.
 */
import type { Cell, Delta, Frame, Row, Snap } from './frames';

/** One topic as of tick `seq`; `at` is that tick's time, by the hub's clock. */
export interface Table {
  readonly seq: number;
  readonly at: number;
  readonly cols: readonly string[];
  readonly rows: ReadonlyMap<string, Row>;
  /** True from the moment a frame is known to be missing until the next snapshot. */
  readonly stale: boolean;
}

/** Everything known of the stream, across connections. */
export interface Feed {
  /** The hub's boot; null before the first hello. */
  readonly epoch: string | null;
  readonly tables: ReadonlyMap<string, Table>;
}

/** The new state, and whether the page must subscribe again without resume. */
export interface Step {
  readonly feed: Feed;
  readonly resubscribe: boolean;
}

/** Before anything was heard. */
export const EMPTY_FEED: Feed = { epoch: null, tables: new Map() };

/** Folds one frame into `feed`. */
export function reduce(feed: Feed, frame: Frame): Step {
  switch (frame.t) {
    case 'hello': {
      if (feed.epoch === frame.epoch) return keep(feed);
      // Another boot counts its ticks from elsewhere: no delta fits any more.
      return keep({ epoch: frame.epoch, tables: markStale(feed.tables) });
    }
    case 'resync':
      return keep({ ...feed, tables: markStale(feed.tables) });
    case 'snap':
      return keep(withTable(feed, frame.topic, tableOf(frame)));
    case 'd':
      return applyDelta(feed, frame);
  }
}

/** Forgets the tables of topics that nobody watches any more. */
export function retain(feed: Feed, topics: readonly string[]): Feed {
  const tables = new Map([...feed.tables].filter(([topic]) => topics.includes(topic)));
  return tables.size === feed.tables.size ? feed : { ...feed, tables };
}

/** Marks every table as waiting for its snapshot: said when subscribing without resume. */
export function awaitSnapshots(feed: Feed): Feed {
  return { ...feed, tables: markStale(feed.tables) };
}

/**
 * The tick to resume from, for all of `topics` at once; null if any of them
 * must start from a snapshot.
 */
export function resumePoint(feed: Feed, topics: readonly string[]): { epoch: string; seq: number } | null {
  if (feed.epoch === null || topics.length === 0) return null;
  let seq: number | null = null;
  for (const topic of topics) {
    const table = feed.tables.get(topic);
    // Topics that stopped at different ticks cannot be resumed by one number.
    if (!table || table.stale || (seq !== null && seq !== table.seq)) return null;
    seq = table.seq;
  }
  return seq === null ? null : { epoch: feed.epoch, seq };
}

function keep(feed: Feed): Step {
  return { feed, resubscribe: false };
}

function withTable(feed: Feed, topic: string, table: Table): Feed {
  return { ...feed, tables: new Map(feed.tables).set(topic, table) };
}

function markStale(tables: ReadonlyMap<string, Table>): ReadonlyMap<string, Table> {
  return new Map([...tables].map(([topic, table]) => [topic, { ...table, stale: true }]));
}

function tableOf(snap: Snap): Table {
  const rows = new Map<string, Row>();
  for (const [id, ...values] of snap.rows) rows.set(String(id), values);
  return { seq: snap.seq, at: snap.at, cols: snap.cols, rows, stale: false };
}

function applyDelta(feed: Feed, delta: Delta): Step {
  const table = feed.tables.get(delta.topic);
  // Nothing to add to: the snapshot is on its way.
  if (!table || table.stale || delta.to <= table.seq) return keep(feed);
  if (delta.from !== table.seq) return missing(feed);

  const rows = new Map(table.rows);
  for (const change of delta.rows) {
    const patched = patch(rows.get(String(change[0])), change, table.cols.length);
    if (!patched) return missing(feed);
    rows.set(String(change[0]), patched);
  }
  for (const id of delta.gone) rows.delete(id);
  return keep(withTable(feed, delta.topic, { ...table, seq: delta.to, at: delta.at, rows }));
}

function missing(feed: Feed): Step {
  return { feed: awaitSnapshots(feed), resubscribe: true };
}

/** The row after `change` = [id, mask, …values]; null if the change does not fit it. */
function patch(before: Row | undefined, change: readonly Cell[], width: number): Row | null {
  const mask = change[1];
  if (typeof mask !== 'number') return null;
  const after: Cell[] = before ? [...before] : [];
  let next = 2;
  for (let column = 0; column < width; column++) {
    if (Math.floor(mask / 2 ** column) % 2 === 1) {
      if (next >= change.length) return null;
      after[column] = change[next++] as Cell;
    } else if (!before) {
      return null;
    }
  }
  return next === change.length ? after : null;
}
