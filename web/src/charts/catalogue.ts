/**
 * Which series stand together in which chart, and in which order.
 *
 * The order is the design's: CPU, load, memory, disk space, disk I/O, network,
 * temperatures, then whatever other collectors bring, under their name. Every
 * series finds a place: one that no entry names gets a chart of its own at the
 * end of its collector's group, and what an exporter says of itself comes last
 * of all there. `host_info` and `cpu_cores` are not drawn; they are the header.
 */
import type { Dictionary } from '../i18n/dictionary';
import type { LiveSeries } from '../state/rows';

type Names = Dictionary['name'];
type Titles = Dictionary['plot'];
type FixedGroup = 'cpu' | 'load' | 'memory' | 'disk' | 'io' | 'network' | 'temperature';

/** One chart: every series of these metrics whose labels include `labels`, but not of a hidden interface. */
export interface ChartSpec {
  readonly id: string;
  readonly title: string;
  readonly metrics: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly hidden: readonly string[];
  /** How the API names the unit of what is drawn: a counter's is per second. */
  readonly unit: string;
  readonly intervalMs: number;
}

/** Charts under one heading. */
export interface ChartGroup {
  readonly id: string;
  readonly title: string;
  readonly charts: readonly ChartSpec[];
}

interface Entry {
  readonly group: FixedGroup;
  readonly id: keyof Titles;
  readonly metrics: readonly string[];
  /** One chart for each value of this label. */
  readonly split?: string;
  /** Overrides the series' unit. */
  readonly unit?: string;
}

const ENTRIES: readonly Entry[] = [
  { group: 'cpu', id: 'cpu', metrics: ['cpu_usage_ratio'] },
  { group: 'cpu', id: 'cpuMode', metrics: ['cpu_mode_ratio'] },
  { group: 'cpu', id: 'cpuCore', metrics: ['cpu_core_usage_ratio'] },
  { group: 'cpu', id: 'frequency', metrics: ['cpu_frequency_hertz'] },
  { group: 'cpu', id: 'contexts', metrics: ['cpu_context_switches_total'] },
  { group: 'load', id: 'load', metrics: ['load1', 'load5', 'load15'] },
  { group: 'load', id: 'pressure', metrics: ['pressure_cpu_ratio', 'pressure_memory_ratio', 'pressure_io_ratio'] },
  {
    group: 'load',
    id: 'waiting',
    metrics: ['pressure_cpu_waiting_seconds_total', 'pressure_memory_waiting_seconds_total', 'pressure_io_waiting_seconds_total'],
    unit: 'ratio',
  },
  { group: 'load', id: 'running', metrics: ['processes_running', 'processes_blocked'] },
  { group: 'load', id: 'processes', metrics: ['processes_total'] },
  { group: 'load', id: 'uptime', metrics: ['uptime_seconds'] },
  { group: 'memory', id: 'memory', metrics: ['memory_usage_ratio'] },
  {
    group: 'memory',
    id: 'memoryParts',
    metrics: ['memory_used_bytes', 'memory_available_bytes', 'memory_cached_bytes', 'memory_buffers_bytes', 'memory_free_bytes', 'memory_total_bytes'],
  },
  { group: 'memory', id: 'swap', metrics: ['swap_usage_ratio'] },
  { group: 'memory', id: 'swapParts', metrics: ['swap_used_bytes', 'swap_total_bytes'] },
  { group: 'disk', id: 'disk', metrics: ['disk_usage_ratio'] },
  { group: 'disk', id: 'diskBytes', metrics: ['disk_used_bytes', 'disk_available_bytes', 'disk_total_bytes'], split: 'mount' },
  { group: 'disk', id: 'inodes', metrics: ['disk_inodes_usage_ratio'] },
  { group: 'disk', id: 'inodesFree', metrics: ['disk_inodes_free'] },
  { group: 'io', id: 'ioBytes', metrics: ['disk_read_bytes_total', 'disk_written_bytes_total'], split: 'device' },
  { group: 'io', id: 'ioOperations', metrics: ['disk_reads_total', 'disk_writes_total'] },
  { group: 'io', id: 'ioBusy', metrics: ['disk_io_seconds_total'], unit: 'ratio' },
  { group: 'io', id: 'ioTime', metrics: ['disk_read_seconds_total', 'disk_write_seconds_total'] },
  { group: 'network', id: 'traffic', metrics: ['network_receive_bytes_total', 'network_transmit_bytes_total'], split: 'interface' },
  { group: 'network', id: 'packets', metrics: ['network_receive_packets_total', 'network_transmit_packets_total'], split: 'interface' },
  {
    group: 'network',
    id: 'faults',
    metrics: ['network_receive_errors_total', 'network_transmit_errors_total', 'network_receive_drops_total', 'network_transmit_drops_total'],
    split: 'interface',
  },
  { group: 'network', id: 'linkSpeed', metrics: ['network_link_speed_bytes'], unit: 'bytes/s' },
  { group: 'network', id: 'linkUp', metrics: ['network_link_up'] },
  { group: 'temperature', id: 'temperature', metrics: ['cpu_temperature_celsius'] },
];

const GROUPS: readonly FixedGroup[] = ['cpu', 'load', 'memory', 'disk', 'io', 'network', 'temperature'];
const PLACED = new Set([...ENTRIES.flatMap((entry) => entry.metrics), 'host_info', 'cpu_cores']);

/** What a scrape says of itself, and an exporter of its own process. */
const OWN = /^(scrape|go|process|promhttp|python)_/;
const isOwn = (chart: ChartSpec): number => Number(OWN.test(chart.id));

/** What a metric is called inside its chart, where a short word exists. */
export function metricName(metric: string, names: Names): string | null {
  const words: Readonly<Record<string, string>> = {
    load1: names.load1,
    load5: names.load5,
    load15: names.load15,
    cpu_usage_ratio: names.usage,
    memory_usage_ratio: names.usage,
    swap_usage_ratio: names.usage,
    disk_usage_ratio: names.usage,
    disk_inodes_usage_ratio: names.usage,
    disk_inodes_free: names.free,
    pressure_cpu_ratio: names.cpu,
    pressure_memory_ratio: names.memory,
    pressure_io_ratio: names.io,
    pressure_cpu_waiting_seconds_total: names.cpu,
    pressure_memory_waiting_seconds_total: names.memory,
    pressure_io_waiting_seconds_total: names.io,
    processes_running: names.running,
    processes_blocked: names.blocked,
    processes_total: names.total,
    memory_used_bytes: names.used,
    memory_available_bytes: names.available,
    memory_cached_bytes: names.cached,
    memory_buffers_bytes: names.buffers,
    memory_free_bytes: names.free,
    memory_total_bytes: names.total,
    swap_used_bytes: names.used,
    swap_total_bytes: names.total,
    disk_used_bytes: names.used,
    disk_available_bytes: names.available,
    disk_total_bytes: names.total,
    disk_read_bytes_total: names.read,
    disk_written_bytes_total: names.written,
    disk_reads_total: names.reads,
    disk_writes_total: names.writes,
    disk_read_seconds_total: names.reads,
    disk_write_seconds_total: names.writes,
    network_receive_bytes_total: names.receive,
    network_transmit_bytes_total: names.transmit,
    network_receive_packets_total: names.receive,
    network_transmit_packets_total: names.transmit,
    network_receive_errors_total: names.receiveErrors,
    network_transmit_errors_total: names.transmitErrors,
    network_receive_drops_total: names.receiveDrops,
    network_transmit_drops_total: names.transmitDrops,
  };
  return words[metric] ?? null;
}

/** Interfaces that the kernel says have hardware behind them; null where it says nothing of any. */
export function physicalInterfaces(series: readonly LiveSeries[]): ReadonlySet<string> | null {
  const said = series.filter((one) => one.metric === 'network_link_up' && one.labels['physical'] !== undefined);
  if (said.length === 0) return null;
  return new Set(said.filter((one) => one.labels['physical'] === 'true').map((one) => one.labels['interface'] ?? ''));
}

/** Interfaces without hardware, which a page leaves out unless asked. */
export function virtualInterfaces(series: readonly LiveSeries[]): string[] {
  const physical = physicalInterfaces(series);
  const all = new Set(series.flatMap((one) => (one.metric.startsWith('network_') ? (one.labels['interface'] ?? []) : [])));
  return [...all].filter((name) => (physical ? !physical.has(name) : name === 'lo')).sort();
}

/** All charts of a server in their order. `hidden` interfaces get none. */
export function catalogue(series: readonly LiveSeries[], hidden: readonly string[], words: Dictionary): ChartGroup[] {
  const drawn = series.filter((one) => one.metric !== 'host_info' && !hidden.includes(one.labels['interface'] ?? ''));
  const specOf = makerOf(hidden);
  const groups = new Map<string, ChartSpec[]>(GROUPS.map((group) => [group, []]));
  for (const entry of ENTRIES) groups.get(entry.group)?.push(...chartsOf(entry, drawn, words.plot, specOf));
  for (const one of drawn) {
    if (PLACED.has(one.metric)) continue;
    const charts = groups.get(one.collector) ?? [];
    groups.set(one.collector, charts);
    if (!charts.some((chart) => chart.id === one.metric)) charts.push(specOf(one.metric, one.metric, [one.metric], {}, one, one.unit));
  }
  return [...groups]
    .filter(([, charts]) => charts.length > 0)
    .map(([id, charts]) => ({ id, charts: charts.sort((a, b) => isOwn(a) - isOwn(b)), title: titleOf(id, words) }));
}

function titleOf(group: string, words: Dictionary): string {
  const fixed = GROUPS.find((one) => one === group);
  return fixed ? words.group[fixed] : words.group.more(group);
}

type Maker = (
  id: string,
  title: string,
  metrics: readonly string[],
  labels: Readonly<Record<string, string>>,
  like: LiveSeries,
  unit: string,
) => ChartSpec;

function makerOf(hidden: readonly string[]): Maker {
  return (id, title, metrics, labels, like, unit) => ({ id, title, metrics, labels, hidden, unit, intervalMs: like.intervalMs });
}

function chartsOf(entry: Entry, series: readonly LiveSeries[], titles: Titles, specOf: Maker): ChartSpec[] {
  const mine = series.filter((one) => entry.metrics.includes(one.metric));
  const first = mine[0];
  if (!first) return [];
  const unit = entry.unit ?? first.unit;
  const metrics = entry.metrics.filter((metric) => mine.some((one) => one.metric === metric));
  const title = titles[entry.id];
  if (typeof title === 'string') return [specOf(entry.id, title, metrics, {}, first, unit)];
  const label = entry.split ?? '';
  const values = [...new Set(mine.map((one) => one.labels[label] ?? ''))].sort();
  return values.map((value) => specOf(`${entry.id}:${value}`, title(value), metrics, { [label]: value }, first, unit));
}

/** Whether a series belongs to a chart. */
export function belongs(spec: ChartSpec, metric: string, labels: Readonly<Record<string, string>>): boolean {
  if (!spec.metrics.includes(metric) || spec.hidden.includes(labels['interface'] ?? '')) return false;
  return Object.entries(spec.labels).every(([key, value]) => labels[key] === value);
}
