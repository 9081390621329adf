/** Rows, order, wording and the JSON of one incident, on a handful of alerts. */
import { expect, test } from 'vitest';
import { en } from '../i18n/en';
import { zh } from '../i18n/zh';
import type { Row } from '../stream/frames';
import { deliveryOf, incidentOf, isUnderWay, webAddress } from './incident';
import { alertFilter, inTab, openCounts, tabCounts, tabNamed } from './order';
import { alertRows, type Alert } from './rows';
import { anAlert as alert } from './sample';
import { announcementOf, comparedOf, lineOf, markOf, whatOf } from './wording';

const COLS =
  'server rule metric labels unit level worst state unknown flapping opened_ms closed_ms due_ms value side limit summary acked_by acked_ms in_absence absence email sms webhook'.split(' ');

function tableOf(id: string, change: Record<string, unknown>) {
  const values: Record<string, unknown> = { server: 'web-1', metric: 'cpu_usage_ratio', labels: {}, level: 'warning', state: 'firing', ...change };
  return { cols: COLS, rows: new Map([[id, COLS.map((column) => values[column] ?? null) as Row]]) };
}

test('a row is read by the names of its columns', () => {
  const [read] = alertRows(tableOf('17', { value: 0.97, side: 'above', limit: 0.95, unit: 'ratio', email: 'sent', sms: 'odd', acked_by: 'ann', in_absence: true }));
  expect(read).toMatchObject({
    id: '17',
    level: 'warning',
    worst: 'warning',
    limit: { side: 'above', at: 0.95 },
    delivery: { email: 'sent' },
    ackedBy: 'ann',
    inAbsence: true,
    flapping: false,
    openedMs: null,
  });
});

test('a level or a state of a newer daemon is not hidden', () => {
  const [read] = alertRows(tableOf('1', { level: 'apocalyptic', state: 'burning' }));
  expect(read).toMatchObject({ level: 'critical', state: 'firing' });
});

test('a row that did not change stays the same object', () => {
  const kept = new WeakMap<Row, Alert>();
  const table = tableOf('1', {});
  expect(alertRows(table, kept)[0]).toBe(alertRows(table, kept)[0]);
});

test('what lasts is worst first and newest first, what is over the last end first', () => {
  const list = [
    alert('1', { level: 'warning', openedMs: 500 }),
    alert('2', { level: 'critical', openedMs: 100 }),
    alert('3', { level: 'critical', openedMs: 300, unknown: 'agent offline' }),
    alert('4', { state: 'clearing', level: 'warning', openedMs: 600 }),
    alert('5', { state: 'resolved', level: 'warning', closedMs: 900 }),
    alert('6', { state: 'withdrawn', level: 'critical', closedMs: 800 }),
    alert('pending:1', { state: 'pending' }),
  ];
  const ids = (tab: 'firing' | 'pending' | 'past') => inTab(list, tab).map((one) => one.id);
  expect([ids('firing'), ids('pending'), ids('past')]).toEqual([['3', '2', '4', '1'], ['pending:1'], ['5', '6']]);
  expect(tabCounts(list)).toEqual({ firing: 4, pending: 1, past: 2 });
  expect(openCounts(list)).toEqual({ critical: 2, warning: 2 });
  expect([tabNamed('past'), tabNamed('x'), tabNamed(null)]).toEqual(['past', 'firing', 'firing']);
});

test('the filter looks at everything that a row says', () => {
  const list = [
    alert('1', { server: 'web-1', metric: 'disk_usage_ratio', labels: { mount: '/var' } }),
    alert('2', { server: 'web-10', level: 'critical', rule: 'cpu-hot' }),
  ];
  const found = (text: string, server = '') => list.filter(alertFilter(text, server, en)).map((one) => one.id);
  expect([found(''), found('WEB /var'), found('critical'), found('hot'), found('disk hot'), found('', 'web-1')]).toEqual([['1', '2'], ['1'], ['2'], ['2'], [], ['1']]);
  expect(list.filter(alertFilter('磁盘', '', zh)).map((one) => one.id)).toEqual(['1']);
});

test('what is wrong is the metric in words and the labels that tell it apart', () => {
  expect(whatOf(alert('1', { metric: 'disk_usage_ratio', labels: { mount: '/var', filesystem: 'ext4' } }), en)).toBe('Disk usage /var');
  expect(whatOf(alert('1', { metric: 'nginx_open_files_total', labels: { pool: 'a' } }), en)).toBe('nginx open files a');
  expect(whatOf(alert('1', { metric: 'toString' }), en)).toBe('toString');
  expect(whatOf(alert('1', { absence: true }), en)).toBe('No data: CPU usage');
  expect(whatOf(alert('1', { metric: 'bartizan_collector_state', labels: { collector: 'disk' } }), zh)).toBe('采集器停止： disk');
});

test('a value is above its limit only where it is', () => {
  const said = (change: Partial<Alert>) => Object.values(comparedOf(alert('1', change), en)).join('|');
  const limit = { side: 'above', at: 0.95 } as const;
  expect(said({ value: 0.972, limit })).toBe('97.2 %|above 95 %');
  expect(said({ value: 0.93, limit })).toBe('93.0 %|limit: above 95 %');
  expect(said({ value: null, limit })).toBe('–|limit: above 95 %');
  expect(said({ value: 4, unit: 'bytes', limit: { side: 'below', at: 1024 } })).toBe('4 B|below 1 KiB');
  expect(said({ value: 0.5, limit: null })).toBe('50.0 %|');
  expect(said({ metric: 'bartizan_server_state', unit: '', value: 0, limit: { side: 'below', at: 1 } })).toBe('|');
});

test('marks are shapes and words, and what is not known is not in the colour of its level', () => {
  const mark = (change: Partial<Alert>) => {
    const { shape, word, tone, note } = markOf(alert('1', change), en);
    return [shape, word, tone, note].join(' ');
  };
  expect(mark({ level: 'critical' })).toBe('■ Critical critical ');
  expect(mark({ level: 'warning', state: 'clearing' })).toBe('▲ Warning warning ');
  expect(mark({ level: 'critical', unknown: 'agent offline' })).toBe('◇ Critical unknown last known');
  expect(mark({ state: 'pending' })).toBe('◔ Pending text-soft Warning');
  expect(mark({ state: 'resolved', worst: 'critical' })).toBe('● Resolved ok was critical');
});

test('one announcement names three and counts the rest', () => {
  const list = ['a', 'b', 'c', 'd', 'e'].map((server, i) => alert(String(i), { server, level: 'critical', value: 0.99, limit: { side: 'above', at: 0.95 } }));
  expect(lineOf(list[0]!, zh)).toBe('a：CPU 使用率 99.0 % 高于 95 %');
  expect(announcementOf(list, en)).toBe(
    '5 new alerts, critical: a: CPU usage 99.0 % above 95 %; b: CPU usage 99.0 % above 95 %; c: CPU usage 99.0 % above 95 %; and 2 more',
  );
  expect(announcementOf([], en)).toBe('');
});

test('the JSON of an incident is read as the stream is', () => {
  const body = {
    id: 17, server: 'web-1', rule: 'cpu', metric: 'cpu_usage_ratio', labels: {}, unit: 'ratio', level: 'critical', worst: 'critical', state: 'firing',
    opened_ms: 5, value: 0.97, limit: { side: 'above', at: 0.95 }, ack: { by: 'ann', at_ms: 9 }, delivery: { sms: 'dead' }, runbook: 'https://wiki/x',
    timeline: [{ at_ms: 5, event: 'opened', value: 0.97, detail: null }, { event: 'no time' }],
    notices: [{ id: 5, way: 'sms', contact: 'ops', address: '+86137****2222', what: 'fired', made_ms: 6, state: 'retrying', due_ms: 7, tried: 9, incidents: [17, 'x'],
      attempts: [{ at_ms: 6, took_ms: 12, outcome: 'temporary', said: 'busy', parts: 2 }, {}] }, { id: 6, way: 'pigeon', state: 'sent' }],
  };
  const read = incidentOf(body)!;
  expect(read.alert).toMatchObject({ id: '17', limit: { side: 'above', at: 0.95 }, ackedBy: 'ann', ackedMs: 9, delivery: { sms: 'dead' } });
  expect(read.timeline).toEqual([{ atMs: 5, event: 'opened', value: 0.97, detail: null }]);
  expect(read.notices).toHaveLength(1);
  expect(read.notices[0]).toMatchObject({ tried: 9, incidents: [17], attempts: [{ outcome: 'temporary', parts: 2 }] });
  expect(isUnderWay(read.notices[0]!)).toBe(true);
  expect([incidentOf(null), incidentOf({}), incidentOf('x')]).toEqual([null, null, null]);
});

test('a runbook is a link only on the web', () => {
  expect(['https://a/b', 'HTTP://a', 'javascript:alert(1)', '/x', null].map(webAddress)).toEqual(['https://a/b', 'HTTP://a', null, null, null]);
});

test('the outbox of another shape is empty, not guessed at', () => {
  expect(deliveryOf(null)).toEqual({ ways: [], notices: [] });
  const { ways } = deliveryOf({ ways: [{ way: 'email', configured: true, sent: 3, last_sent_ms: 4, last_error: null }, { way: 'x' }] });
  expect(ways).toEqual([{ way: 'email', configured: true, counts: { waiting: 0, retrying: 0, held: 0, sent: 3, dead: 0 }, lastSentMs: 4, lastError: null }]);
});
