/**
 * Rows of the stream's tables as typed things: a server of the wall, a series
 * of a server, an actor of the tree. The only place that knows their column
 * names; those of alerts are in `alerts/rows.ts`.
 */
import { SEVERITIES, type Severity } from '../alerts/rows';
import type { Cell, Row } from '../stream/frames';
import type { Table } from '../stream/reducer';
import { labels, number, oneOf, readerOf, text, type Reader } from './cells';

/** How often samples are taken to come where the hub does not know: its own limit is then 30 s, and a little more. */
export const PRESUMED_MS = 10_001;

/** How a server's samples come here. */
export const ORIGINS = ['local', 'remote', 'scrape'] as const;
export type Origin = (typeof ORIGINS)[number];

export type ServerState = 'up' | 'degraded' | 'unknown' | 'offline';

/** A monitored server as the wall shows it. Ratios 0..1, bytes per second, seconds, °C. */
export interface WallServer {
  readonly name: string;
  readonly state: ServerState;
  readonly lastSeenMs: number | null;
  readonly intervalMs: number;
  readonly up: number;
  readonly down: number;
  /** Open incidents, and how bad the worst of them is. */
  readonly incidents: number;
  readonly level: Severity | null;
  readonly tags: Readonly<Record<string, string>>;
  /** Null where the hub does not say. */
  readonly origin: Origin | null;
  /** Its clock minus the hub's. */
  readonly skewMs: number | null;
  readonly cpu: number | null;
  readonly memory: number | null;
  readonly disk: number | null;
  readonly diskMount: string | null;
  readonly rx: number | null;
  readonly tx: number | null;
  readonly load: number | null;
  readonly cores: number | null;
  readonly uptime: number | null;
  readonly temperature: number | null;
}

/** One series of a server, as of its last sample. */
export interface LiveSeries {
  readonly id: string;
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly unit: string;
  readonly kind: string;
  readonly collector: string;
  readonly intervalMs: number;
  readonly atMs: number | null;
  readonly value: number | null;
  readonly gap: string | null;
}

/** One node of the supervision tree. */
export interface ActorNode {
  readonly id: string;
  readonly parent: string | null;
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly restarts: number;
  readonly lastError: string | null;
  readonly queue: number | null;
  readonly sinceMs: number | null;
  readonly detail: string | null;
}

const STATES: readonly string[] = ['up', 'degraded', 'unknown', 'offline'];
const stateOf = (cell: Cell): ServerState =>
  typeof cell === 'string' && STATES.includes(cell) ? (cell as ServerState) : 'unknown';

/** The servers of a `wall` table. Rows that have not changed give the servers they gave before, out of `kept`. */
export function wallServers(table: Table, kept = new WeakMap<Row, WallServer>()): WallServer[] {
  const read = readerOf(table);
  return [...table.rows].map(([name, row]) => {
    const before = kept.get(row);
    if (before) return before;
    const server = wallServer(name, row, read);
    kept.set(row, server);
    return server;
  });
}

function wallServer(name: string, row: Row, read: Reader): WallServer {
  return {
    name,
    state: stateOf(read(row, 'state')),
    lastSeenMs: number(read(row, 'last_seen_ms')),
    intervalMs: number(read(row, 'interval_ms')) ?? PRESUMED_MS,
    up: number(read(row, 'up')) ?? 0,
    down: number(read(row, 'down')) ?? 0,
    incidents: number(read(row, 'incidents')) ?? 0,
    level: oneOf(SEVERITIES, read(row, 'level')),
    tags: labels(read(row, 'tags')),
    origin: oneOf(ORIGINS, read(row, 'origin')),
    skewMs: number(read(row, 'skew_ms')),
    cpu: number(read(row, 'cpu')),
    memory: number(read(row, 'memory')),
    disk: number(read(row, 'disk')),
    diskMount: text(read(row, 'disk_mount')),
    rx: number(read(row, 'rx')),
    tx: number(read(row, 'tx')),
    load: number(read(row, 'load')),
    cores: number(read(row, 'cores')),
    uptime: number(read(row, 'uptime')),
    temperature: number(read(row, 'temperature')),
  };
}

/** The series of a `server:NAME` table. */
export function liveSeries(table: Table): LiveSeries[] {
  const read = readerOf(table);
  return [...table.rows].map(([id, row]) => ({
    id,
    metric: text(read(row, 'metric')) ?? '',
    labels: labels(read(row, 'labels')),
    unit: text(read(row, 'unit')) ?? '',
    kind: text(read(row, 'kind')) ?? 'gauge',
    collector: text(read(row, 'collector')) ?? '',
    intervalMs: number(read(row, 'interval_ms')) ?? PRESUMED_MS,
    atMs: number(read(row, 'at')),
    value: number(read(row, 'value')),
    gap: text(read(row, 'gap')),
  }));
}

/** The nodes of the `actors` table. */
export function actorNodes(table: Table): ActorNode[] {
  const read = readerOf(table);
  return [...table.rows].map(([id, row]) => ({
    id,
    parent: text(read(row, 'parent')),
    name: text(read(row, 'name')) ?? id,
    kind: text(read(row, 'kind')) ?? '',
    state: text(read(row, 'state')) ?? '',
    restarts: number(read(row, 'restarts')) ?? 0,
    lastError: text(read(row, 'last_error')),
    queue: number(read(row, 'queue')),
    sinceMs: number(read(row, 'since_ms')),
    detail: text(read(row, 'detail')),
  }));
}
