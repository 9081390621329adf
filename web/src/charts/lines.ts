/**
 * The lines of one chart, ready to be drawn: history and live tail joined,
 * broken at gaps, named and coloured. Pure.
 */
import type { Dictionary } from '../i18n/dictionary';
import type { Gap, Point, Track } from '../history/series';
import { align, broken, extend, gapsOf, type Sample } from '../history/timeline';
import { metricName, type ChartSpec } from './catalogue';

/** One line of a chart. */
export interface Line {
  readonly key: string;
  readonly name: string;
  /** Place in the palette. */
  readonly hue: number;
  /** Strictly rising, with a null in every gap. */
  readonly points: readonly Point[];
  readonly resolutionMs: number;
  /** The last sample that the stream brought; a bucket's average is not the present. */
  readonly latest: Sample | null;
}

/** Everything a chart draws. */
export interface Drawing {
  readonly lines: readonly Line[];
  readonly gaps: readonly Gap[];
  /** uPlot's columns: time, then mean, min, max of each line. */
  readonly columns: [number[], ...(number | null | undefined)[][]];
  /** True if some point covers more than one sample. */
  readonly banded: boolean;
  /** Time of the first point, null if there is none. */
  readonly firstMs: number | null;
}

/** A chart before anything is known. */
export const NOTHING_DRAWN: Drawing = { lines: [], gaps: [], columns: [[]], banded: false, firstMs: null };

/** Samples that arrived over the stream, by the series' key. */
export interface Tail {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: readonly Sample[];
  readonly gaps: readonly Gap[];
}

/** What identifies a line: metric and labels, in a fixed order. */
export function keyOf(metric: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${metric}{${pairs.map(([key, value]) => `${key}=${value}`).join(',')}}`;
}

/** Joins and names. `span` is what is looked at, `fetchedMs` when history was read. */
export function draw(
  spec: ChartSpec,
  tracks: readonly Track[],
  tails: ReadonlyMap<string, Tail>,
  span: readonly [number, number],
  fetchedMs: number,
  words: Dictionary,
): Drawing {
  const known = new Map(tracks.map((track) => [keyOf(track.metric, track.labels), track]));
  const resolutionMs = Math.max(spec.intervalMs, ...tracks.map((track) => track.resolutionMs));
  for (const [key, tail] of tails) {
    if (!known.has(key)) known.set(key, { ...tail, unit: spec.unit, resolutionMs, points: [], gaps: [] });
  }
  const ordered = [...known].sort(([a, x], [b, y]) => {
    const byMetric = spec.metrics.indexOf(x.metric) - spec.metrics.indexOf(y.metric);
    return byMetric || modeRank(x) - modeRank(y) || a.localeCompare(b, undefined, { numeric: true });
  });

  const unsaid = unsaidOf(spec, ordered.map(([, track]) => track));
  const gaps: Gap[] = [];
  const lines = ordered.map(([key, track], hue): Line => {
    const tail = tails.get(key);
    const inside = (tail?.samples ?? []).filter((sample) => sample.t <= span[1]);
    const points = extend(track.points, inside, track.resolutionMs, spec.intervalMs, fetchedMs);
    const recorded = [...track.gaps, ...(tail?.gaps ?? [])].sort((a, b) => a.from - b.from);
    const mine = gapsOf(points, recorded, Math.max(track.resolutionMs, spec.intervalMs), span[1]);
    gaps.push(...mine);
    return { key, hue, name: nameOf(spec, track, unsaid, words), points: broken(points, mine), resolutionMs: track.resolutionMs, latest: tail?.samples.at(-1) ?? null };
  });
  const [times, columns] = align(lines.map((line) => line.points));
  return {
    lines,
    gaps: shared(gaps, span),
    columns: [times, ...columns],
    banded: resolutionMs > spec.intervalMs,
    firstMs: times[0] ?? null,
  };
}

/** CPU modes in the order in which people ask for them; time that was not used comes last. */
const MODES = ['user', 'system', 'iowait', 'nice', 'irq', 'softirq', 'steal', 'idle', 'guest'];

function modeRank(track: Track): number {
  return MODES.indexOf(track.labels['mode'] ?? '');
}

/** Labels that tell no line from another: what all have alike, and of a single line where it was scraped. */
function unsaidOf(spec: ChartSpec, tracks: readonly Track[]): ReadonlySet<string> {
  const { labels } = tracks[0] ?? spec;
  const alike = Object.keys(labels).filter((key) => tracks.every((track) => track.labels[key] === labels[key]));
  return new Set([...EXTRA_LABELS, ...(tracks.length > 1 ? alike : ['instance', 'job', ...Object.keys(spec.labels)])]);
}

function nameOf(spec: ChartSpec, track: Track, unsaid: ReadonlySet<string>, words: Dictionary): string {
  const metric = metricName(track.metric, words.name);
  const labels = Object.entries(track.labels).filter(([key]) => !unsaid.has(key));
  const values = labels.map(([, value]) => value).join(' ');
  if (values === '') return metric ?? track.metric;
  return spec.metrics.length > 1 && metric ? `${values} ${metric}` : values;
}

/** Labels that only say more about one that is already there. */
export const EXTRA_LABELS: ReadonlySet<string> = new Set(['filesystem', 'physical']);

/**
 * The gaps of all lines as blocks of the whole chart: the same or overlapping
 * ones of the same reason are one block.
 */
export function shared(gaps: readonly Gap[], span: readonly [number, number]): Gap[] {
  const blocks: { from: number; to: number; reason: string | null }[] = [];
  for (const gap of [...gaps].sort((a, b) => a.from - b.from)) {
    const [from, to] = [Math.max(gap.from, span[0]), Math.min(gap.to ?? span[1], span[1])];
    if (to <= from) continue;
    const open = blocks.find((block) => block.to >= from && (block.reason === gap.reason || gap.reason === null));
    if (open) open.to = Math.max(open.to, to);
    else blocks.push({ from, to, reason: gap.reason });
  }
  return blocks;
}

/** now, min, avg and max of a line inside a span; null where it has nothing there. */
export function summary(line: Line, span: readonly [number, number]): Record<'now' | 'min' | 'avg' | 'max', number | null> {
  let [sum, count] = [0, 0];
  let [min, max, now]: (number | null)[] = [null, null, null];
  for (const [t, mean, low, high] of line.points) {
    if (t < span[0] - line.resolutionMs || t > span[1] || mean === null) continue;
    sum += mean;
    count++;
    now = mean;
    min = Math.min(min ?? Infinity, low ?? mean);
    max = Math.max(max ?? -Infinity, high ?? mean);
  }
  return { now: now ?? null, min: min ?? null, avg: count ? sum / count : null, max: max ?? null };
}

/** The value of a line at a time: that of the point which covers it, null in a gap. */
export function lineAt(line: Line, timeMs: number): number | null {
  let [low, high] = [0, line.points.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (line.points[middle]![0] <= timeMs) low = middle;
    else high = middle - 1;
  }
  const point = line.points[low];
  if (!point || point[0] > timeMs || timeMs - point[0] > 2 * line.resolutionMs) return null;
  return point[1];
}
