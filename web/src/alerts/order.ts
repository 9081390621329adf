/** Which alerts a tab shows, and in which order. Pure. */
import type { Dictionary } from '../i18n/dictionary';
import { isOpen, type Alert, type Severity } from './rows';
import { whatOf } from './wording';

export const TABS = ['firing', 'pending', 'past'] as const;
export type Tab = (typeof TABS)[number];

/** The tab of an alert. */
export function tabOf(alert: Alert): Tab {
  if (alert.state === 'pending') return 'pending';
  return isOpen(alert) ? 'firing' : 'past';
}

/** The tab that a query names; anything else is what fires. */
export function tabNamed(text: string | null): Tab {
  return TABS.find((tab) => tab === text) ?? 'firing';
}

const RANK: Readonly<Record<Severity, number>> = { critical: 0, warning: 1 };

/** An incident's number; what is none yet comes by its place. */
function numberOf(alert: Alert): number {
  return Number(alert.id.replace(/^pending:/, '')) || 0;
}

/** The alerts of one tab. What lasts: worst first, newest first within a level. What is over: the last end first. */
export function inTab(alerts: readonly Alert[], tab: Tab): Alert[] {
  const level = (alert: Alert): number => (tab === 'past' ? 0 : RANK[alert.level]);
  const time = (alert: Alert): number => (tab === 'past' ? alert.closedMs : alert.openedMs) ?? 0;
  return alerts
    .filter((alert) => tabOf(alert) === tab)
    .sort((a, b) => level(a) - level(b) || time(b) - time(a) || numberOf(b) - numberOf(a));
}

/** How many alerts are in each tab. */
export function tabCounts(alerts: readonly Alert[]): Record<Tab, number> {
  const counts = { firing: 0, pending: 0, past: 0 };
  for (const alert of alerts) counts[tabOf(alert)]++;
  return counts;
}

/** How many incidents of each level are open. */
export function openCounts(alerts: readonly Alert[]): Record<Severity, number> {
  const counts = { critical: 0, warning: 0 };
  for (const alert of alerts) if (isOpen(alert)) counts[alert.level]++;
  return counts;
}

/** True where every word of `text` is somewhere in what a row says, and the server is `server` (empty: any). */
export function alertFilter(text: string, server: string, words: Dictionary): (alert: Alert) => boolean {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  return (alert) => {
    if (server !== '' && alert.server !== server) return false;
    if (wanted.length === 0) return true;
    const said = [alert.server, whatOf(alert, words), alert.rule, alert.metric, alert.summary, alert.ackedBy, words.state[alert.level]];
    const all = said.concat(Object.values(alert.labels)).join('\n').toLowerCase();
    return wanted.every((word) => all.includes(word));
  };
}
