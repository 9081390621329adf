/**
 * What the stream said about one server since its page was opened, so that a
 * chart can go on where history ends.
 *
 * Holds at most `TAIL_MS` per series: history is read again before a chart
 * would miss what was forgotten. Not pure, but without a clock: times come
 * with the rows.
 */
import type { LiveSeries } from '../state/rows';
import type { Gap } from './series';
import type { Sample } from './timeline';

/** Length of the tail that is kept. */
export const TAIL_MS = 900_000;

/** Where a chart is to read history again; less than what is kept, so that the two overlap. */
export const REREAD_MS = 600_000;

/** The tail of one series. */
export interface SeriesTail {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: Sample[];
  readonly gaps: Gap[];
}

/** The tails of all series of one server. */
export class ServerTail {
  readonly series = new Map<string, SeriesTail>();

  /** Takes over the rows of a tick of time `atMs`. */
  take(rows: readonly LiveSeries[], atMs: number): void {
    for (const row of rows) {
      let tail = this.series.get(row.id);
      if (!tail) {
        tail = { metric: row.metric, labels: row.labels, samples: [], gaps: [] };
        this.series.set(row.id, tail);
      }
      takeRow(tail, row, atMs);
    }
  }
}

function takeRow(tail: SeriesTail, row: LiveSeries, atMs: number): void {
  const last = tail.samples.at(-1);
  const open = tail.gaps.at(-1);
  const isNew = row.atMs !== null && row.value !== null && (!last || row.atMs > last.t);
  if (isNew && row.gap === null) {
    if (open && open.to === null) tail.gaps[tail.gaps.length - 1] = { ...open, to: row.atMs! };
    tail.samples.push({ t: row.atMs!, v: row.value! });
  } else if (row.gap !== null && (!open || open.to !== null)) {
    tail.gaps.push({ from: row.atMs ?? atMs, to: null, reason: row.gap });
  }
  while (tail.samples.length > 0 && tail.samples[0]!.t < atMs - TAIL_MS) tail.samples.shift();
  while (tail.gaps.length > 0 && (tail.gaps[0]!.to ?? Infinity) < atMs - TAIL_MS) tail.gaps.shift();
}
