/** What is on the screen and what is in the URL are the same. */
import { expect, test } from 'vitest';
import { alertsPath, nearestPreset, pageOf, rangeOf, serverPath, shifted, spanOf, topicsOf, withKey, withRange, withToggled } from './route';

test('every page has its path', () => {
  expect(pageOf('/')).toEqual({ name: 'wall' });
  expect(pageOf('/plugins')).toEqual({ name: 'collectors' });
  expect(pageOf(serverPath('büro 1/2'))).toEqual({ name: 'server', server: 'büro 1/2' });
  expect(pageOf('/alerts')).toEqual({ name: 'alerts' });
  expect(pageOf('/a/17')).toEqual({ name: 'incident', id: '17' });
  expect(pageOf('/delivery')).toEqual({ name: 'delivery' });
  expect(pageOf('/servers/add')).toEqual({ name: 'enrol' });
  expect(alertsPath('a&b 1')).toBe('/alerts?server=a%26b+1');
  for (const path of ['/x', '/s/', '/s/a/b', '/s/%ff', '/a/', '/a/x', '/a/1/2', '/alerts/1']) expect(pageOf(path), path).toEqual({ name: 'missing' });
});

test('every page follows the alerts', () => {
  for (const path of ['/', '/s/a', '/plugins', '/alerts', '/a/1', '/delivery', '/nowhere']) {
    expect(topicsOf(pageOf(path)), path).toContain('alerts');
  }
  expect(topicsOf(pageOf('/s/a'))).toEqual(['server:a', 'wall:a', 'alerts']);
});

test('a range survives its way through the URL and leaves the rest alone', () => {
  const before = new URLSearchParams('virtual=1&range=1h');
  const fixed = { kind: 'fixed', fromMs: 1_000_000, toMs: 1_060_000 } as const;
  const after = withRange(before, fixed);
  expect(after.toString()).toBe('virtual=1&from=1000000&to=1060000');
  expect(rangeOf(after)).toEqual(fixed);
  expect(rangeOf(withRange(after, { kind: 'follow', preset: '90d' }))).toEqual({ kind: 'follow', preset: '90d' });
});

test('a range that makes no sense is the default', () => {
  for (const text of ['', 'range=9y', 'from=5&to=1', 'from=a&to=b', 'from=1000&to=2000', 'range=toString']) {
    expect(rangeOf(new URLSearchParams(text)), text).toEqual({ kind: 'follow', preset: '15m' });
  }
});

test('spans follow the present or stand still, and never pass it', () => {
  expect(spanOf({ kind: 'follow', preset: '5m' }, 1_000_000)).toEqual([700_000, 1_000_000]);
  expect(shifted([400, 800], -1, 1_000)).toEqual({ kind: 'fixed', fromMs: 200, toMs: 600 });
  expect(shifted([400, 800], 1, 900)).toEqual({ kind: 'fixed', fromMs: 500, toMs: 900 });
  expect([nearestPreset(1_000), nearestPreset(900_000), nearestPreset(1e12)]).toEqual(['5m', '15m', '1y']);
});

test('an empty value leaves the URL', () => {
  expect(withKey(new URLSearchParams('q=a&state=up'), 'q', '').toString()).toBe('state=up');
});

test('one of several values comes into the URL and leaves it', () => {
  const one = withToggled(new URLSearchParams('q=a&tag=env%3Dprod'), 'tag', 'role=a&b');
  expect(one.getAll('tag')).toEqual(['env=prod', 'role=a&b']);
  expect(withToggled(one, 'tag', 'env=prod').toString()).toBe('q=a&tag=role%3Da%26b');
});
