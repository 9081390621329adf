/** Tags, headings, and which part of a long table exists. */
import { expect, test } from 'vitest';
import { aServer, NOW } from './sample';
import { groupsOf, linesOf, serverLine, tagFilter, tagsOf } from './groups';
import { shown, skewOf } from './wall';
import { windowOf } from './window';

const SERVERS = [
  aServer('db-1', { tags: { env: 'prod', rack: '10' }, level: 'critical' }),
  aServer('web-1', { tags: { env: 'prod', rack: '9' } }),
  aServer('web-2', { tags: { env: 'canary', rack: '9' } }),
  aServer('web-3', { tags: { env: 'test' }, state: 'offline', lastSeenMs: NOW - 90_000 }),
  aServer('odd', {}),
].map((server) => shown(server, NOW));

const names = (servers: readonly { name: string }[]) => servers.map(({ name }) => name);

test('every tag is offered with its values, numbers in their order', () => {
  expect(tagsOf(SERVERS)).toEqual([
    ['env', [['canary', 1], ['prod', 2], ['test', 1]]],
    ['rack', [['9', 2], ['10', 1]]],
  ]);
});

test('values of one tag are alternatives, different tags are all demanded', () => {
  const filtered = (...chosen: string[]) => names(SERVERS.filter(tagFilter(chosen)));
  expect(filtered()).toHaveLength(5);
  expect(filtered('env=prod', 'env=canary')).toEqual(['db-1', 'web-1', 'web-2']);
  expect(filtered('env=prod', 'env=canary', 'rack=9')).toEqual(['web-1', 'web-2']);
  expect(filtered('env=')).toEqual(['odd']);
  expect(filtered('env=prod=x')).toEqual([]);
});

test('headings are worst first, or by name; those without the tag come last', () => {
  const values = (worstFirst: boolean) => groupsOf(SERVERS, 'env', worstFirst).map(({ value }) => value);
  expect(values(true)).toEqual(['test', 'prod', 'canary', null]);
  expect(values(false)).toEqual(['canary', 'prod', 'test', null]);
});

test('a heading counts its servers by state, and a folded one hides them', () => {
  const groups = groupsOf(SERVERS, 'env', false);
  expect(groups[1]!.count).toMatchObject({ critical: 1, up: 1, offline: 0 });
  const lines = linesOf(groups, ['prod', '']).map((line) => ('group' in line ? `${line.group.value}${line.folded ? ' folded' : ''}` : line.server.name));
  expect(lines).toEqual(['canary', 'web-2', 'prod folded', 'test', 'web-3', 'null folded']);
});

test('a heading and a server of the same name are two lines', () => {
  const lines = linesOf(groupsOf([shown(aServer('prod', { tags: { env: 'prod' } }), NOW)], 'env', true), []);
  expect(new Set(lines.map(({ id }) => id)).size).toBe(2);
});

test('a clock is worth a word beyond a second, either way', () => {
  expect([null, 0, 1_000, -1_000, 1_001, -4_200].map((skewMs) => skewOf({ skewMs }))).toEqual([null, null, null, null, 1_001, -4_200]);
});

test('of a thousand lines only those near the viewport exist, and space stands for the rest', () => {
  const lines = Array.from({ length: 1_000 }, (_, i) => serverLine({ ...SERVERS[0]!, name: String(i) }));
  const at = (from: number, to: number) => windowOf(lines, () => 50, from, to);
  expect(at(-500, 1_000)).toEqual({ start: 0, end: 20, above: 0, below: 49_000 });
  expect(at(10_000, 11_000)).toEqual({ start: 200, end: 220, above: 10_000, below: 39_000 });
  expect(at(10_025, 11_025)).toEqual({ start: 200, end: 221, above: 10_000, below: 38_950 });
  for (const [from, to] of [[-9_000, -8_000], [90_000, 91_000], [49_999, 50_000]] as const) {
    const { start, end, above, below } = at(from, to);
    expect(end - start, `${from}`).toBeGreaterThan(0);
    expect(above + below + 50 * (end - start)).toBe(50_000);
  }
  expect(windowOf([], () => 50, 0, 100)).toEqual({ start: 0, end: 0, above: 0, below: 0 });
});
