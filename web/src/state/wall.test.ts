/** Filter, order and what age takes away, on a handful of servers. */
import { expect, test } from 'vitest';
import { wallServers } from './rows';
import { aServer as server, NOW } from './sample';
import { counts, filterOf, orderOf, orderText, shown, sorted } from './wall';

test('a server whose last sample is too old is unknown and has no values', () => {
  const old = shown(server('web-1', { lastSeenMs: NOW - 3_100 }), NOW);
  expect(old).toMatchObject({ state: 'unknown', cpu: null, memory: null, disk: null, rx: null, load: null });
});

test('an offline server stays offline however old it is', () => {
  expect(shown(server('web-1', { state: 'offline', lastSeenMs: NOW - 90_000 }), NOW).state).toBe('offline');
});

test('worst first: state, then what is fullest, then the name', () => {
  const list = [
    server('a', {}),
    server('b', { state: 'degraded' }),
    server('c', { cpu: 0.97 }),
    server('d', { state: 'offline', lastSeenMs: null }),
    server('e', { lastSeenMs: null }),
  ].map((one) => shown(one, NOW));
  expect(sorted(list, orderOf(null)).map((one) => one.name)).toEqual(['d', 'e', 'b', 'c', 'a']);
  expect(counts(list)).toEqual({ offline: 1, critical: 0, unknown: 1, warning: 0, degraded: 1, up: 2 });
});

test('a server is as bad as its worst incident, and one that is not reached is found under both', () => {
  const list = [
    server('ok', {}),
    server('warn', { level: 'warning', state: 'degraded' }),
    server('crit', { level: 'critical' }),
    server('lost', { lastSeenMs: null, level: 'critical' }),
    server('silent', { lastSeenMs: null, level: 'warning' }),
    server('gone', { state: 'offline', level: 'critical' }),
  ].map((one) => shown(one, NOW));
  expect(list.map((one) => one.state)).toEqual(['up', 'warning', 'critical', 'unknown', 'unknown', 'offline']);
  expect(counts(list)).toEqual({ offline: 1, critical: 3, unknown: 2, warning: 2, degraded: 0, up: 1 });
  expect(list.filter(filterOf('', ['critical'])).map((one) => one.name)).toEqual(['crit', 'lost', 'gone']);
  expect(sorted(list, orderOf(null)).map((one) => one.name)).toEqual(['gone', 'crit', 'lost', 'silent', 'warn', 'ok']);
});

test('unknown values come last in either direction', () => {
  const list = [server('a', { cpu: null }), server('b', { cpu: 0.2 }), server('c', { cpu: 0.9 })].map((one) => shown(one, NOW));
  expect(sorted(list, orderOf('cpu')).map((one) => one.name)).toEqual(['b', 'c', 'a']);
  expect(sorted(list, orderOf('-cpu')).map((one) => one.name)).toEqual(['c', 'b', 'a']);
});

test('the filter takes names, tags, comparisons and states', () => {
  const list = [
    server('web-1', { tags: { env: 'prod' }, cpu: 0.85 }),
    server('web-2', { tags: { env: 'test' }, cpu: 0.1 }),
    server('db-1', { tags: { env: 'prod' }, state: 'degraded', cpu: null }),
  ].map((one) => shown(one, NOW));
  const names = (text: string, states: string[] = []) => list.filter(filterOf(text, states)).map((one) => one.name);
  expect(names('WEB')).toEqual(['web-1', 'web-2']);
  expect(names('tag:prod')).toEqual(['web-1', 'db-1']);
  expect(names('web cpu>80')).toEqual(['web-1']);
  expect(names('cpu<80')).toEqual(['web-2']);
  expect(names('', ['degraded'])).toEqual(['db-1']);
  expect(names('nothing')).toEqual([]);
});

test('an order survives its way through the URL', () => {
  for (const text of ['-cpu', 'name', '-age']) expect(orderText(orderOf(text))).toBe(text);
  expect(orderText(orderOf('nonsense'))).toBe('');
});

test('a row that has not changed is the same server, and what the hub does not say is not known', () => {
  const cols = ['state', 'origin', 'skew_ms'];
  const [old, odd] = [['up', 'scrape', -4_200], ['up', 'pigeon', 'late']];
  const kept = new WeakMap();
  const read = (...rows: [string, (string | number)[]][]) => wallServers({ seq: 1, at: 1, cols, rows: new Map(rows), stale: false }, kept);
  const [first] = read(['a', old]);
  expect(first).toMatchObject({ origin: 'scrape', skewMs: -4_200 });
  const [same, other] = read(['a', old], ['b', odd]);
  expect(same).toBe(first);
  expect(other).toMatchObject({ origin: null, skewMs: null });
});

test('a server of an unknown pace is judged by the limit of the hub, 30 s', () => {
  const rows = new Map([['a', ['up', null, 1_000]]]);
  const [server] = wallServers({ seq: 1, at: 1, cols: ['state', 'interval_ms', 'last_seen_ms'], rows, stale: false });
  expect([31_000, 31_004].map((nowMs) => shown(server!, nowMs).state)).toEqual(['up', 'unknown']);
});
