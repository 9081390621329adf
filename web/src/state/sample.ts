/** A server that is well, for tests to change. */
import type { WallServer } from './rows';

export const NOW = 1_000_000;

export function aServer(name: string, change: Partial<WallServer>): WallServer {
  const values = { cpu: 0.1, memory: 0.2, disk: 0.3, diskMount: '/', rx: 1, tx: 1, load: 1, cores: 4, uptime: 1, temperature: null };
  const place = { tags: {}, origin: null, skewMs: null };
  return { name, state: 'up', lastSeenMs: NOW, intervalMs: 1_000, up: 5, down: 0, incidents: 0, level: null, ...place, ...values, ...change };
}
