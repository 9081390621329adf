/**
 * One line of a chart: history, then what arrived since, and where neither is.
 *
 * # Invariants
 *
 * - Times rise strictly; no sample appears twice.
 * - Between two points that are not neighbours in time stands a null, so that
 *   no line is drawn where nothing was measured; and every such hole is in the
 *   list of gaps, with its reason if one is known.
 *
 * Pure.
 */
import type { Gap, Point } from './series';

/** One live sample. */
export interface Sample {
  readonly t: number;
  readonly v: number;
}

/** Neighbours may be this many steps apart: one slot skipped is jitter, more is a hole. */
const STEPS_APART_MAX = 3;

/**
 * History followed by the live tail. Where a point covers several samples, the
 * tail is put into buckets of the same length, which begin at multiples of it;
 * the bucket that was unfinished when history was read (`fetchedMs`) is
 * completed with the samples that came after.
 */
export function extend(
  points: readonly Point[],
  tail: readonly Sample[],
  resolutionMs: number,
  intervalMs: number,
  fetchedMs: number,
): Point[] {
  const joined = [...points];
  const last = joined.at(-1);
  if (resolutionMs <= intervalMs) {
    for (const { t, v } of tail) if (!last || t > last[0]) joined.push([t, v, v, v]);
    return joined;
  }
  // What history knew of its last bucket, in samples; later ones weigh as one each.
  let count = last ? Math.max(1, Math.round((Math.min(fetchedMs, last[0] + resolutionMs) - last[0]) / intervalMs)) : 0;
  for (const { t, v } of tail) {
    const bucket = Math.floor(t / resolutionMs) * resolutionMs;
    const open = joined.at(-1);
    if (!open || bucket >= open[0] + resolutionMs) {
      joined.push([bucket, v, v, v]);
      count = 1;
    } else if (open !== last || t > fetchedMs) {
      const [start, mean, min, max] = open;
      const before = mean ?? v;
      joined[joined.length - 1] = [
        start,
        (before * count + v) / (count + 1),
        Math.min(min ?? v, v),
        Math.max(max ?? v, v),
      ];
      count++;
    }
  }
  return joined;
}

/** The recorded gaps in order, and the holes that nobody recorded, up to `nowMs`. */
export function gapsOf(points: readonly Point[], recorded: readonly Gap[], stepMs: number, nowMs: number): Gap[] {
  const gaps = [...recorded];
  const covered = (from: number, to: number): boolean =>
    recorded.some((gap) => gap.from < to && (gap.to ?? nowMs) > from);
  const known = points.filter((point) => point[1] !== null);
  for (let i = 1; i < known.length; i++) {
    const [from, to] = [known[i - 1]![0] + stepMs, known[i]![0]];
    if (to - from > (STEPS_APART_MAX - 1) * stepMs && !covered(from, to)) gaps.push({ from, to, reason: null });
  }
  return gaps.sort((a, b) => a.from - b.from);
}

/** `points` with a null wherever a gap lies between two of them. */
export function broken(points: readonly Point[], gaps: readonly Gap[]): Point[] {
  const result: Point[] = [];
  let next = 0;
  let previous: number | null = null;
  for (const point of points) {
    if (previous !== null) {
      while (next < gaps.length && (gaps[next]!.to ?? Infinity) <= previous) next++;
      const gap = gaps[next];
      if (gap && gap.from < point[0] && point[0] - previous > 1) result.push([previous + 1, null, null, null]);
    }
    result.push(point);
    previous = point[0];
  }
  return result;
}

/** Columns of equal length over the union of all times; undefined where a line has no point of its own. */
export function align(lines: readonly (readonly Point[])[]): [number[], (number | null | undefined)[][]] {
  const times = [...new Set(lines.flatMap((line) => line.map((point) => point[0])))].sort((a, b) => a - b);
  const position = new Map(times.map((t, i) => [t, i]));
  const columns = lines.flatMap((line) => {
    const three = [1, 2, 3].map(() => new Array<number | null | undefined>(times.length).fill(undefined));
    for (const point of line) {
      const i = position.get(point[0])!;
      for (let k = 0; k < 3; k++) three[k]![i] = point[k + 1] as number | null;
    }
    return three;
  });
  return [times, columns];
}
