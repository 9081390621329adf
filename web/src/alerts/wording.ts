/**
 * An alert in words: its mark, what is wrong, its value against its limit, and
 * what is read out of several at once. Pure; the words are the dictionary's.
 */
import { EXTRA_LABELS } from '../charts/lines';
import { unitOf, UNKNOWN } from '../format/numbers';
import type { Dictionary } from '../i18n/dictionary';
import type { Alert } from './rows';

/** A mark: shape, word and colour, and what weakens it. */
export interface Mark {
  readonly shape: string;
  readonly word: string;
  /** Name of a colour in tokens.css. */
  readonly tone: 'critical' | 'warning' | 'unknown' | 'ok' | 'text-soft';
  readonly note: string | null;
}

/** The mark of an alert. */
export function markOf(alert: Alert, words: Dictionary): Mark {
  const { level } = words;
  const severity = words.state[alert.level];
  switch (alert.state) {
    case 'pending':
      return { shape: '◔', word: level.pending, tone: 'text-soft', note: severity };
    case 'resolved':
      return { shape: '●', word: level.resolved, tone: 'ok', note: level.was(words.state[alert.worst]) };
    case 'withdrawn':
      return { shape: '○', word: level.withdrawn, tone: 'text-soft', note: level.was(words.state[alert.worst]) };
    default:
      if (alert.unknown !== null) return { shape: '◇', word: severity, tone: 'unknown', note: level.lastKnown };
      return { shape: SHAPES[alert.level], word: severity, tone: alert.level, note: null };
  }
}

/** The shape of each level. */
export const SHAPES = { critical: '■', warning: '▲' } as const;

/** Metrics by which the daemon judges its own parts: nobody stores them, and their values are not worth reading. */
const STATES: ReadonlySet<string> = new Set(['bartizan_server_state', 'bartizan_collector_state', 'bartizan_notices_dead']);
const isState = (metric: string): boolean => STATES.has(metric);

/** Whether the alert's values were stored as a series that can be drawn. */
export function hasSeries(alert: Alert): boolean {
  return !isState(alert.metric);
}

/** `node_open_files_total` → "node open files": a metric that the dictionary does not know. */
function spelled(metric: string): string {
  return metric.replace(/_(ratio|total|bytes|seconds|celsius)\b/g, '').replace(/_/g, ' ');
}

/** What is wrong: the metric in words, and the label values that tell it apart. */
export function whatOf(alert: Alert, words: Dictionary): string {
  const names: Readonly<Record<string, string>> = words.metric;
  const name = Object.hasOwn(names, alert.metric) ? names[alert.metric]! : spelled(alert.metric);
  const values = Object.entries(alert.labels).filter(([key]) => !EXTRA_LABELS.has(key));
  const what = [name, ...values.map(([, value]) => value)].join(' ');
  return alert.absence ? words.alerts.noData(what) : what;
}

/** A value and what it is held against. */
export interface Compared {
  readonly value: string;
  readonly against: string;
}

/** "95.0 %" → "95 %": a limit is a round number more often than not. */
function round(written: string): string {
  return written.replace(/\.0+(?=\D|$)/, '');
}

/** The alert's value against its limit; it says "above" only where the value is. */
export function comparedOf(alert: Alert, words: Dictionary): Compared {
  const unit = unitOf(alert.unit);
  const { value, limit } = alert;
  if (isState(alert.metric)) return { value: '', against: '' };
  if (limit === null) return { value: value === null ? '' : unit.write(value), against: '' };
  const at = round(unit.write(limit.at));
  const isBeyond = value !== null && (limit.side === 'above' ? value > limit.at : value < limit.at);
  return {
    value: value === null ? UNKNOWN : unit.write(value),
    against: isBeyond ? words.alerts[limit.side](at) : words.alerts.limit(words.alerts[limit.side](at)),
  };
}

/** Server, what and value in one line. */
export function lineOf(alert: Alert, words: Dictionary): string {
  const { value, against } = comparedOf(alert, words);
  return [`${alert.server}${words.colon}${whatOf(alert, words)}`, value, against].filter(Boolean).join(' ');
}

/** Most alerts that one announcement names. */
const NAMED_MAX = 3;

/** What is said of alerts that are new, all of the same level. */
export function announcementOf(alerts: readonly Alert[], words: Dictionary): string {
  const [first] = alerts;
  if (!first) return '';
  const named = alerts.slice(0, NAMED_MAX).map((alert) => lineOf(alert, words));
  const more = alerts.length - named.length;
  if (more > 0) named.push(words.alerts.more(more));
  return words.alerts.news(alerts.length, words.state[first.level]) + named.join(words.semicolon);
}
