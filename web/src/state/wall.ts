/**
 * Which servers the wall shows and in which order. Pure.
 *
 * A server's state is what the hub says, unless its last sample is too old by
 * now: then it is unknown, whatever was said before. One that is reached is as
 * bad as its worst open incident. One that is not stays unknown or offline and
 * keeps its incidents beside: it is found and counted under both, so that
 * neither hides the other.
 */
import type { Severity } from '../alerts/rows';
import { freshness, type Freshness } from './freshness';
import type { ServerState, WallServer } from './rows';

/** What a server is shown as. */
export type ShownState = ServerState | Severity;

/** Worst first. */
export const STATES: readonly ShownState[] = ['offline', 'critical', 'unknown', 'warning', 'degraded', 'up'];

/** A server as it may be shown at one moment. */
export interface ShownServer extends Omit<WallServer, 'state'> {
  readonly state: ShownState;
  readonly freshness: Freshness;
}

/** Every state that a server is counted under: its own, and the level of incidents that it only keeps. */
export function statesOf(server: ShownServer): ShownState[] {
  return server.level && server.level !== server.state ? [server.state, server.level] : [server.state];
}

/** Columns that the table can be ordered by. */
export type Column = 'state' | 'name' | 'cpu' | 'memory' | 'disk' | 'network' | 'load' | 'uptime' | 'age';

export interface Order {
  readonly column: Column;
  readonly descending: boolean;
}

const COLUMNS: readonly string[] = ['state', 'name', 'cpu', 'memory', 'disk', 'network', 'load', 'uptime', 'age'];

/** Worst first is what the page begins with. */
export const ORDER_DEFAULT: Order = { column: 'state', descending: false };

/** `-cpu` is CPU, largest first. */
export function orderOf(text: string | null): Order {
  const column = text?.replace(/^-/, '');
  if (!column || !COLUMNS.includes(column)) return ORDER_DEFAULT;
  return { column: column as Column, descending: text!.startsWith('-') };
}

/** The opposite of `orderOf`; empty for the default. */
export function orderText(order: Order): string {
  if (order.column === ORDER_DEFAULT.column && order.descending === ORDER_DEFAULT.descending) return '';
  return (order.descending ? '-' : '') + order.column;
}

/** A server with everything that is too old by `nowMs` (the hub's clock) taken away. */
export function shown(server: WallServer, nowMs: number): ShownServer {
  const fresh = freshness(server.lastSeenMs, server.intervalMs, nowMs);
  if (fresh !== 'unknown') {
    const isReached = server.state === 'up' || server.state === 'degraded';
    return { ...server, state: (isReached ? server.level : null) ?? server.state, freshness: fresh };
  }
  const nothing = { cpu: null, memory: null, disk: null, rx: null, tx: null, load: null, uptime: null, temperature: null };
  const state = server.state === 'offline' ? 'offline' : 'unknown';
  return { ...server, ...nothing, state, freshness: fresh };
}

/** How many servers are found under each state. */
export function counts(servers: readonly ShownServer[]): Record<ShownState, number> {
  const result = { offline: 0, critical: 0, unknown: 0, warning: 0, degraded: 0, up: 0 };
  for (const server of servers) for (const state of statesOf(server)) result[state]++;
  return result;
}

type Test = (server: ShownServer) => boolean;

const RATIOS: Readonly<Record<string, (server: ShownServer) => number | null>> = {
  cpu: (server) => server.cpu,
  mem: (server) => server.memory,
  memory: (server) => server.memory,
  disk: (server) => server.disk,
};

/** One word of a filter: `tag:db`, `cpu>80`, or text in the name or a tag. */
function testOf(word: string): Test {
  const compared = /^(cpu|mem|memory|disk|load)([<>])(\d+(?:\.\d+)?)$/i.exec(word);
  if (compared) {
    const [name, limit] = [compared[1]!.toLowerCase(), Number(compared[3])];
    const value = (server: ShownServer): number | null => {
      const ratio = RATIOS[name]?.(server);
      return ratio === undefined ? server.load : ratio === null ? null : ratio * 100;
    };
    const above = compared[2] === '>';
    return (server) => {
      const present = value(server);
      return present !== null && (above ? present > limit : present < limit);
    };
  }
  const wanted = word.toLowerCase();
  const tags = (server: ShownServer): string[] =>
    Object.entries(server.tags).map(([key, value]) => `${key}=${value}`.toLowerCase());
  if (wanted.startsWith('tag:')) return (server) => tags(server).some((tag) => tag.includes(wanted.slice(4)));
  return (server) => server.name.toLowerCase().includes(wanted) || tags(server).some((tag) => tag.includes(wanted));
}

/** True where every word of `text` fits and the state is among `states` (none named: any). */
export function filterOf(text: string, states: readonly string[]): Test {
  const tests = text.split(/\s+/).filter(Boolean).map(testOf);
  return (server) =>
    (states.length === 0 || statesOf(server).some((state) => states.includes(state))) && tests.every((test) => test(server));
}

/** The fullest of what a server can run out of, in tenths: rows must not change places over every percent. */
function pressure(server: ShownServer): number {
  return Math.round(10 * Math.max(server.cpu ?? 0, server.memory ?? 0, server.disk ?? 0));
}

/** Compares names as `localeCompare` does, and much faster. */
const NAMES = new Intl.Collator();

function keyOf(server: ShownServer, column: Column): number | string | null {
  switch (column) {
    case 'state':
      return Math.min(...statesOf(server).map((state) => STATES.indexOf(state)));
    case 'name':
      return server.name;
    case 'network':
      return server.rx === null && server.tx === null ? null : (server.rx ?? 0) + (server.tx ?? 0);
    case 'load':
      return loadPerCore(server);
    case 'age':
      return server.lastSeenMs;
    default:
      return server[column];
  }
}

/** Load of the last minute divided by the cores. */
export function loadPerCore(server: Pick<WallServer, 'load' | 'cores'>): number | null {
  return server.load === null || !server.cores ? null : server.load / server.cores;
}

/** A clock that is further from the hub's than this is worth a word. */
const SKEW_MS = 1_000;

/** How far a server's clock is off, if that is worth a word. */
export function skewOf(server: Pick<WallServer, 'skewMs'>): number | null {
  return server.skewMs !== null && Math.abs(server.skewMs) > SKEW_MS ? server.skewMs : null;
}

/** The servers in order; unknown values last, ties worst first, then by name. */
export function sorted(servers: readonly ShownServer[], order: Order): ShownServer[] {
  const sign = order.descending ? -1 : 1;
  // What is compared is worked out once for each: a thousand servers are ordered with every tick.
  const ranked = servers.map((server) => ({ server, key: keyOf(server, order.column), pressure: pressure(server) }));
  ranked.sort((a, b) => {
    const [x, y] = [a.key, b.key];
    if (x === null || y === null) {
      if (x !== y) return x === null ? 1 : -1;
    } else if (x !== y) {
      return (typeof x === 'string' ? NAMES.compare(x, String(y)) : x - Number(y)) * sign;
    }
    return b.pressure - a.pressure || NAMES.compare(a.server.name, b.server.name);
  });
  return ranked.map(({ server }) => server);
}
