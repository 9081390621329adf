/**
 * The small lines of the wall: history once per server that comes into sight,
 * then the wall's own ticks. Read again after every outage of the stream.
 */
import { fetchTracks, type Track } from '../history/series';
import { BUCKET_MS, BUCKETS, Spark } from '../history/spark';
import type { WallServer } from './rows';

/** The lines of one server. Network is bytes received per second, of all physical interfaces. */
export class Sparks {
  readonly cpu = new Spark();
  readonly memory = new Spark();
  readonly network = new Spark();
  lastMs = 0;
  /** Grows when history has arrived: what is drawn depends on it. */
  version = $state(0);
}

class SparkShelf {
  private readonly shelf = new Map<string, Sparks>();
  /** Servers whose history was asked for, with the outage count at that time. */
  private readonly asked = new Map<string, number>();
  /** The lines of a server, as far as they are known. */
  of(server: string): Sparks {
    const sparks = this.entry(server);
    void sparks.version;
    return sparks;
  }

  /** Asks for the history of a server that is looked at, once for each outage. */
  want(server: string, nowMs: number, outages: number): void {
    if (this.asked.get(server) === outages) return;
    this.asked.set(server, outages);
    void this.read(server, this.entry(server), nowMs);
  }

  /** Takes over a tick of the wall. */
  take(servers: readonly Pick<WallServer, 'name' | 'lastSeenMs' | 'cpu' | 'memory' | 'rx'>[]): void {
    for (const server of servers) {
      const sparks = this.entry(server.name);
      const at = server.lastSeenMs;
      if (at === null || at <= sparks.lastMs) continue;
      sparks.lastMs = at;
      if (server.cpu !== null) sparks.cpu.push(at, server.cpu);
      if (server.memory !== null) sparks.memory.push(at, server.memory);
      if (server.rx !== null) sparks.network.push(at, server.rx);
    }
  }

  private entry(server: string): Sparks {
    let sparks = this.shelf.get(server);
    if (!sparks) {
      sparks = new Sparks();
      this.shelf.set(server, sparks);
    }
    return sparks;
  }

  private async read(server: string, sparks: Sparks, nowMs: number): Promise<void> {
    const ask = async (metric: string): Promise<readonly Track[]> => {
      const question = { server, metric, labels: {}, fromMs: nowMs - BUCKETS * BUCKET_MS, toMs: nowMs, points: BUCKETS };
      return (await fetchTracks(question, new AbortController().signal)).tracks;
    };
    try {
      const [cpu, memory, received, links] = await Promise.all(
        ['cpu_usage_ratio', 'memory_usage_ratio', 'network_receive_bytes_total', 'network_link_up'].map(ask),
      );
      fill(sparks.cpu, cpu ?? []);
      fill(sparks.memory, memory ?? []);
      const physical = (links ?? []).filter((track) => track.labels['physical'] === 'true').map((track) => track.labels['interface']);
      fill(sparks.network, (received ?? []).filter((track) => physical.includes(track.labels['interface'])));
      sparks.version++;
    } catch {
      // A cell without its line still has its number; the next outage or visit asks again.
      this.asked.delete(server);
    }
  }
}

/** Several tracks are summed bucket by bucket. */
function fill(spark: Spark, tracks: readonly Track[]): void {
  const sums = new Map<number, number>();
  for (const track of tracks) {
    const line = new Spark();
    for (const [t, mean] of track.points) if (mean !== null) line.cover(t, t + track.resolutionMs, mean);
    line.each((t, value) => sums.set(t, (sums.get(t) ?? 0) + value));
  }
  spark.clear();
  for (const [t, value] of sums) spark.cover(t, t + BUCKET_MS, value);
}

/** The one shelf of this page. */
export const sparkShelf = new SparkShelf();
