/** What is worth a sound, over the life of a page: opened, running, disconnected, back. */
import { expect, test } from 'vitest';
import { ABSENCE_MAX_MS, hear, type Memory } from './news';
import type { Alert } from './rows';
import { anAlert as alert } from './sample';

const NOON = 1_000_000_000;

/** A page that hears tables in turn and says the numbers of what is new. */
function page() {
  let memory: Memory | null = null;
  return (atMs: number, ...alerts: Alert[]): string[] => {
    const heard = hear(memory, alerts, NOON + atMs);
    memory = heard.memory;
    return heard.news.map((one) => one.id);
  };
}

test('what was there when the page was opened is never news', () => {
  const hears = page();
  const old = alert('1', { level: 'critical', openedMs: NOON - 60_000 });
  expect(hears(0, old)).toEqual([]);
  expect(hears(1_000, old)).toEqual([]);
});

test('what begins afterwards is, once', () => {
  const hears = page();
  hears(0);
  const fresh = alert('2', { openedMs: NOON + 900 });
  expect(hears(1_000, fresh)).toEqual(['2']);
  expect(hears(2_000, fresh)).toEqual([]);
  expect(hears(3_000, alert('2', { state: 'clearing', openedMs: NOON + 900 }))).toEqual([]);
});

test('what is pending or over is not', () => {
  const hears = page();
  hears(0);
  expect(hears(1_000, alert('pending:1', { state: 'pending', openedMs: NOON }), alert('3', { state: 'resolved', openedMs: NOON }))).toEqual([]);
});

test('a level that rises is news again, one that falls is not', () => {
  const hears = page();
  hears(0, alert('1', { openedMs: NOON - 60_000 }));
  expect(hears(1_000, alert('1', { level: 'critical' }))).toEqual(['1']);
  expect(hears(2_000, alert('1', { level: 'warning' }))).toEqual([]);
  expect(hears(3_000, alert('1', { level: 'critical' }))).toEqual(['1']);
});

test('a flapping incident does not repeat itself', () => {
  const hears = page();
  hears(0, alert('1', { flapping: true }));
  expect(hears(1_000, alert('1', { flapping: true, level: 'critical' }))).toEqual(['1']);
  expect(hears(2_000, alert('1', { flapping: true }))).toEqual([]);
  expect(hears(3_000, alert('1', { flapping: true, level: 'critical' }))).toEqual([]);
});

test('what somebody has taken on already is not', () => {
  const hears = page();
  hears(0);
  expect(hears(1_000, alert('1', { openedMs: NOON + 500, ackedBy: 'ann' }))).toEqual([]);
});

test('what began during a short outage is news when the page is back', () => {
  const hears = page();
  hears(0, alert('1', { openedMs: NOON - 5_000 }));
  expect(hears(300_000, alert('1', { openedMs: NOON - 5_000 }), alert('2', { openedMs: NOON + 60_000 }))).toEqual(['2']);
});

test('after a long absence only the last hour is', () => {
  const hears = page();
  hears(0, alert('1', { openedMs: NOON - 5_000 }));
  const back = 8 * ABSENCE_MAX_MS;
  const night = alert('2', { openedMs: NOON + ABSENCE_MAX_MS });
  const morning = alert('3', { openedMs: NOON + back - 60_000 });
  expect(hears(back, alert('1', { level: 'critical' }), night, morning)).toEqual(['3']);
});

test('a daemon that starts anew and fills its table late makes no noise', () => {
  const hears = page();
  const old = alert('1', { level: 'critical', openedMs: NOON - 3_600_000 });
  hears(0, old);
  expect(hears(5_000)).toEqual([]);
  expect(hears(6_000, old)).toEqual([]);

  const opened = page();
  opened(0);
  expect(opened(1_000, old)).toEqual([]);
});

test('what is remembered has a limit', () => {
  let memory: Memory | null = null;
  for (let i = 0; i < 2_100; i++) memory = hear(memory, [alert(String(i), { openedMs: NOON })], NOON + i).memory;
  expect(memory!.told.size).toBe(2_000);
  expect(memory!.told.has('99')).toBe(false);
});
