/** Every series finds its chart, in the design's order; lines are named and summed up. */
import { expect, test } from 'vitest';
import { en } from '../i18n/en';
import type { LiveSeries } from '../state/rows';
import { catalogue, virtualInterfaces, type ChartSpec } from './catalogue';
import { draw, lineAt, shared, summary } from './lines';

test('groups come in the design order and no series is lost', () => {
  const rows = [
    row('temperature_of_the_oven', 'oven'),
    row('cpu_temperature_celsius', 'cpu', { sensor: 'a' }),
    row('network_receive_bytes_total', 'network', { interface: 'eth0' }),
    row('disk_read_bytes_total', 'disk', { device: 'sda' }),
    row('disk_usage_ratio', 'disk', { mount: '/' }),
    row('memory_usage_ratio', 'memory'),
    row('load1', 'load'),
    row('cpu_cores', 'cpu'),
    row('cpu_usage_ratio', 'cpu'),
    row('host_info', 'load', { hostname: 'a' }),
  ];
  const groups = catalogue(rows, [], en);
  expect(groups.map((group) => group.id)).toEqual(['cpu', 'load', 'memory', 'disk', 'io', 'network', 'temperature', 'oven']);
  const drawn = groups.flatMap((group) => group.charts.flatMap((chart) => chart.metrics));
  expect(drawn.sort()).toEqual(rows.map((one) => one.metric).filter((metric) => metric !== 'host_info' && metric !== 'cpu_cores').sort());
});

test('what an exporter says of itself comes last of its collector', () => {
  const metrics = ['go_goroutines', 'node_entropy_bits', 'scrape_samples', 'process_open_fds', 'go', 'promhttp_requests', 'node_time_seconds', 'python_info'];
  const charts = catalogue(metrics.map((metric) => row(metric, 'scrape-9100')), [], en)[0]!.charts;
  expect(charts.map((chart) => chart.id)).toEqual(
    ['node_entropy_bits', 'go', 'node_time_seconds', 'go_goroutines', 'scrape_samples', 'process_open_fds', 'promhttp_requests', 'python_info'],
  );
});

test('lines are named by what tells them apart, a single one not by where it was scraped', () => {
  const spec: ChartSpec = { id: 'm', title: '', metrics: ['m'], labels: {}, hidden: [], unit: '', intervalMs: 1_000 };
  const names = (chart: ChartSpec, ...all: Record<string, string>[]) =>
    draw(chart, all.map((labels) => ({ metric: 'm', labels, unit: '', resolutionMs: 1_000, points: [], gaps: [] })), new Map(), [0, 1], 0, en).lines.map((line) => line.name);
  const place = { instance: '127.0.0.1:9860', job: 'scrape-9860' };
  expect(names(spec, { ...place, reason: 'late' }, { ...place, reason: 'malformed' })).toEqual(['late', 'malformed']);
  expect(names(spec, { ...place, mount: '/' })).toEqual(['/']);
  expect(names(spec, place)).toEqual(['m']);
  expect(names(spec, { ...place, instance: 'a' }, { ...place, instance: 'b' })).toEqual(['a', 'b']);
  expect(names(spec, place, { ...place, cpu: '0' }).sort()).toEqual(['0', 'm']);
  expect(names({ ...spec, labels: { device: 'sda' } }, { device: 'sda', kind: 'x' })).toEqual(['x']);
  expect(names(spec)).toEqual([]);
});

test('each interface has its chart, and those without hardware are left out unless asked', () => {
  const rows = ['eth0', 'veth9'].flatMap((name) => [
    row('network_receive_bytes_total', 'network', { interface: name }),
    row('network_link_up', 'network', { interface: name, physical: String(name === 'eth0') }),
  ]);
  expect(virtualInterfaces(rows)).toEqual(['veth9']);
  const titles = (hidden: string[]) => catalogue(rows, hidden, en).flatMap((group) => group.charts.map((chart) => chart.title));
  expect(titles(['veth9'])).toEqual(['Traffic on eth0', 'Link up']);
  expect(titles([])).toContain('Traffic on veth9');
});

test('a series that only the stream knows is drawn too, and a gap has nulls in its columns', () => {
  const spec: ChartSpec = { id: 'x', title: '', metrics: ['load1', 'load5'], labels: {}, hidden: [], unit: '', intervalMs: 1_000 };
  const track = {
    metric: 'load1',
    labels: {},
    unit: '',
    resolutionMs: 1_000,
    points: [[1_000, 1, 1, 1], [2_000, 3, 3, 3]] as const,
    gaps: [{ from: 2_000, to: 5_000, reason: 'hub stopped' }],
  };
  const tails = new Map([
    ['load1{}', { metric: 'load1', labels: {}, samples: [{ t: 5_000, v: 7 }], gaps: [] }],
    ['load5{}', { metric: 'load5', labels: {}, samples: [{ t: 5_000, v: 9 }], gaps: [] }],
  ]);
  const drawing = draw(spec, [track], tails, [0, 6_000], 2_500, en);
  expect(drawing.lines.map((line) => line.name)).toEqual(['1 min', '5 min']);
  expect(drawing.columns[0]).toEqual([1_000, 2_000, 2_001, 5_000]);
  expect(drawing.columns[1]).toEqual([1, 3, null, 7]);
  expect(drawing.gaps).toEqual([{ from: 2_000, to: 5_000, reason: 'hub stopped' }]);
  const line = drawing.lines[0]!;
  expect(summary(line, [0, 6_000])).toEqual({ now: 7, min: 1, avg: 11 / 3, max: 7 });
  expect([500, 2_000, 3_500, 5_000].map((time) => lineAt(line, time))).toEqual([null, 3, null, 7]);
});

test('gaps of several lines with one reason are one block inside the span', () => {
  const block = (from: number, to: number | null, reason: string) => ({ from, to, reason });
  expect(shared([block(10, 20, 'a'), block(12, 25, 'a'), block(15, null, 'b')], [11, 40])).toEqual([block(11, 25, 'a'), block(15, 40, 'b')]);
});

function row(metric: string, collector: string, labels: Record<string, string> = {}): LiveSeries {
  return { id: metric + JSON.stringify(labels), metric, labels, unit: '', kind: 'gauge', collector, intervalMs: 1_000, atMs: 1, value: 1, gap: null };
}
