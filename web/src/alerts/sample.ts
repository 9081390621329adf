/** An alert for tests: a warning about the CPU, with what the test wants different. */
import type { Alert } from './rows';

export function anAlert(id: string, change: Partial<Alert> = {}): Alert {
  return {
    id,
    server: 'web-1',
    rule: 'cpu',
    metric: 'cpu_usage_ratio',
    labels: {},
    unit: 'ratio',
    level: 'warning',
    worst: 'warning',
    state: 'firing',
    unknown: null,
    flapping: false,
    openedMs: null,
    closedMs: null,
    dueMs: null,
    value: null,
    limit: null,
    summary: null,
    ackedBy: null,
    ackedMs: null,
    inAbsence: false,
    absence: false,
    delivery: {},
    ...change,
  };
}
