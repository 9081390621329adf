/**
 * The URL, which is where everything that is on the screen is written down:
 * page, filter, order, range. Pure; `navigation.svelte.ts` holds the present one.
 */

/** Lengths of the presets, newest design order. */
export const PRESETS = { '5m': 300_000, '15m': 900_000, '1h': 3_600_000, '6h': 21_600_000, '24h': 86_400_000, '7d': 604_800_000, '30d': 2_592_000_000, '90d': 7_776_000_000, '1y': 31_536_000_000 } as const;

export type Preset = keyof typeof PRESETS;

/** What a server page shows when its URL says nothing. */
export const PRESET_DEFAULT: Preset = '15m';

/** Either the last so and so much, moving with the present, or a fixed span. */
export type Range =
  | { readonly kind: 'follow'; readonly preset: Preset }
  | { readonly kind: 'fixed'; readonly fromMs: number; readonly toMs: number };

export type Page =
  | { readonly name: 'wall' }
  | { readonly name: 'server'; readonly server: string }
  | { readonly name: 'alerts' }
  | { readonly name: 'incident'; readonly id: string }
  | { readonly name: 'delivery' }
  | { readonly name: 'collectors' }
  | { readonly name: 'enrol' }
  | { readonly name: 'missing' };

/** Where a server is added. */
export const ENROL_PATH = '/servers/add';

/** Shortest span that a zoom may reach. */
export const SPAN_MIN_MS = 10_000;

/** The page of a path. */
export function pageOf(path: string): Page {
  if (path === '/') return { name: 'wall' };
  if (path === ENROL_PATH) return { name: 'enrol' };
  if (path === '/plugins') return { name: 'collectors' };
  if (path === '/alerts') return { name: 'alerts' };
  if (path === '/delivery') return { name: 'delivery' };
  const id = /^\/a\/(\d{1,20})$/.exec(path)?.[1];
  if (id !== undefined) return { name: 'incident', id };
  const server = /^\/s\/([^/]+)$/.exec(path)?.[1];
  if (server === undefined) return { name: 'missing' };
  try {
    return { name: 'server', server: decodeURIComponent(server) };
  } catch {
    return { name: 'missing' };
  }
}

/** The path of a server's page. */
export function serverPath(name: string): string {
  return `/s/${encodeURIComponent(name)}`;
}

/** The path of the alerts of one server. */
export function alertsPath(server: string): string {
  return `/alerts?${new URLSearchParams({ server }).toString()}`;
}

/** The topics of a page; `alerts` is one of every page's. */
export function topicsOf(page: Page): string[] {
  switch (page.name) {
    case 'wall':
      return ['wall', 'alerts'];
    case 'server':
      return [`server:${page.server}`, `wall:${page.server}`, 'alerts'];
    case 'collectors':
      return ['actors', 'alerts'];
    default:
      return ['alerts'];
  }
}

const isPreset = (text: string | null): text is Preset => text !== null && Object.hasOwn(PRESETS, text);

/** The range that a query names; anything that makes no sense is the default. */
export function rangeOf(query: URLSearchParams): Range {
  const [fromMs, toMs] = [Number(query.get('from')), Number(query.get('to'))];
  if (Number.isFinite(fromMs) && Number.isFinite(toMs) && fromMs > 0 && toMs - fromMs >= SPAN_MIN_MS) {
    return { kind: 'fixed', fromMs, toMs };
  }
  const preset = query.get('range');
  return { kind: 'follow', preset: isPreset(preset) ? preset : PRESET_DEFAULT };
}

/** `query` with another range; the rest stays. */
export function withRange(query: URLSearchParams, range: Range): URLSearchParams {
  const next = new URLSearchParams(query);
  for (const key of ['range', 'from', 'to']) next.delete(key);
  if (range.kind === 'fixed') {
    next.set('from', String(Math.round(range.fromMs)));
    next.set('to', String(Math.round(range.toMs)));
  } else if (range.preset !== PRESET_DEFAULT) {
    next.set('range', range.preset);
  }
  return next;
}

/** The span that a range means at `nowMs`, both by the hub's clock. */
export function spanOf(range: Range, nowMs: number): readonly [number, number] {
  return range.kind === 'fixed' ? [range.fromMs, range.toMs] : [nowMs - PRESETS[range.preset], nowMs];
}

/** The shortest preset that is at least that long. */
export function nearestPreset(lengthMs: number): Preset {
  const presets = Object.entries(PRESETS) as [Preset, number][];
  return (presets.find(([, length]) => length >= lengthMs - 1_000) ?? presets.at(-1)!)[0];
}

/** The same span half a window earlier (-1) or later (+1), never beyond the present. */
export function shifted(span: readonly [number, number], direction: 1 | -1, nowMs: number): Range {
  const length = span[1] - span[0];
  const toMs = Math.min(nowMs, span[1] + (direction * length) / 2);
  return { kind: 'fixed', fromMs: toMs - length, toMs };
}

/** `query` with `value` among those of a key that may be there several times, or without it where it was there. */
export function withToggled(query: URLSearchParams, key: string, value: string): URLSearchParams {
  const next = new URLSearchParams(query);
  const values = next.getAll(key);
  next.delete(key);
  for (const one of values) if (one !== value) next.append(key, one);
  if (!values.includes(value)) next.append(key, value);
  return next;
}

/** `query` with one key set, or removed where the value is empty. */
export function withKey(query: URLSearchParams, key: string, value: string): URLSearchParams {
  const next = new URLSearchParams(query);
  if (value === '') next.delete(key);
  else next.set(key, value);
  return next;
}
