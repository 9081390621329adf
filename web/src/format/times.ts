/**
 * Points and lengths of time as people read them, in the browser's time zone
 * and a 24-hour clock. Words come from the dictionary, not from here.
 */

const two = (value: number): string => String(value).padStart(2, '0');

/** 14:13:20 */
export function clock(ms: number): string {
  const date = new Date(ms);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** 2026-11-23 14:13, for anything that is not today. */
export function dateAndClock(ms: number): string {
  const date = new Date(ms);
  return `${day(ms)} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** 2026-11-23 */
export function day(ms: number): string {
  const date = new Date(ms);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The clock if it was on the same day as `nowMs`, else date and clock. */
export function moment(ms: number, nowMs: number): string {
  return day(ms) === day(nowMs) ? clock(ms) : dateAndClock(ms);
}

/** What a mark of the time axis says: as much as tells it from its neighbours, `stepMs` away. */
export function axisMark(ms: number, stepMs: number): string {
  const date = new Date(ms);
  const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
  if (stepMs >= 86_400_000 || midnight) return `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return stepMs < 60_000 ? clock(ms) : clock(ms).slice(0, 5);
}

/** The names of the units of a length of time. */
export interface SpanWords {
  readonly year: string;
  readonly day: string;
  readonly hour: string;
  readonly minute: string;
  readonly second: string;
}

/** The two largest parts of a length of time: 3d 4h, 4m 10s, 12s. */
export function span(ms: number, words: SpanWords): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return `${days}${words.day} ${hours}${words.hour}`;
  if (hours > 0) return `${hours}${words.hour} ${minutes}${words.minute}`;
  if (minutes > 0) return `${minutes}${words.minute} ${seconds % 60}${words.second}`;
  return `${seconds}${words.second}`;
}

/** A length of time of which tenths of a second matter while it is short: 4.2s, 3m 10s. Its sign is not told. */
export function secondsText(ms: number, words: SpanWords): string {
  const length = Math.abs(ms);
  return length < 60_000 ? `${(length / 1_000).toFixed(1)}${words.second}` : span(length, words);
}
