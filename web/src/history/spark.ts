/**
 * Fifteen minutes of one value in sixty buckets, for the small line in a cell.
 * An empty bucket is null: the line is broken there. Times come with the values.
 */

/** Length of one bucket. */
export const BUCKET_MS = 15_000;

/** Buckets in a line. */
export const BUCKETS = 60;

/** See the module. */
export class Spark {
  private readonly buckets = new Map<number, { sum: number; count: number }>();

  /** Adds a value; `weight` is the number of samples it stands for. */
  push(tMs: number, value: number, weight = 1): void {
    const key = Math.floor(tMs / BUCKET_MS);
    const bucket = this.buckets.get(key) ?? { sum: 0, count: 0 };
    bucket.sum += value * weight;
    bucket.count += weight;
    this.buckets.set(key, bucket);
    for (const old of this.buckets.keys()) if (old <= key - 2 * BUCKETS) this.buckets.delete(old);
  }

  /** Adds a value that holds for a span, to each bucket by its share of the span in seconds. */
  cover(fromMs: number, toMs: number, value: number): void {
    for (let t = fromMs; t < toMs; ) {
      const end = Math.min(toMs, (Math.floor(t / BUCKET_MS) + 1) * BUCKET_MS);
      this.push(t, value, (end - t) / 1_000);
      t = end;
    }
  }

  /** Visits every bucket: its start and its mean. */
  each(visit: (tMs: number, value: number) => void): void {
    for (const [key, { sum, count }] of this.buckets) visit(key * BUCKET_MS, sum / count);
  }

  /** Forgets everything: history is about to be read again. */
  clear(): void {
    this.buckets.clear();
  }

  /** The buckets that end at `nowMs`, oldest first. */
  values(nowMs: number): (number | null)[] {
    const last = Math.floor(nowMs / BUCKET_MS);
    return Array.from({ length: BUCKETS }, (_, i) => {
      const bucket = this.buckets.get(last - BUCKETS + 1 + i);
      return bucket ? bucket.sum / bucket.count : null;
    });
  }
}
