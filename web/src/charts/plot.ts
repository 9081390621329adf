/**
 * The only module that names uPlot: how lines, bands, gaps, axes and the linked
 * crosshair are drawn. Decides nothing about data; `lines.ts` does.
 */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Unit } from '../format/numbers';
import { axisMark } from '../format/times';
import type { Gap } from '../history/series';
import type { Drawing } from './lines';
import { drawLimits, drawSpans, type ChartMarks } from './marks';

/** Charts that share a crosshair. */
const SYNC_KEY = 'bartizan';
const HEIGHT = 180;
const AXIS_WIDTH = 76;
const HUES = 8;
const DRAG_PX_MIN = 4;
const BUTTONS: readonly string[] = ['mousedown', 'mouseup', 'dblclick'];

/** What the plot asks of its owner at the moment of drawing. */
export interface PlotSource {
  span(): readonly [number, number];
  gaps(): readonly Gap[];
  /** What a gap is called: its reason, or a word for one that nobody recorded. */
  gapLabel(gap: Gap): string;
  /** Limits and the times of incidents. */
  marks(): ChartMarks;
  zoomed(fromMs: number, toMs: number): void;
  zoomedOut(): void;
  /** Time under the crosshair, null when it has left. */
  pointed(timeMs: number | null): void;
}

/** A chart on the page. */
export interface Plot {
  update(drawing: Drawing): void;
  resize(width: number): void;
  show(line: number, visible: boolean): void;
  destroy(): void;
}

/** Columns for uPlot: the bands' edges are left out where no point covers more than one sample. */
function columnsOf(drawing: Drawing): uPlot.AlignedData {
  const [times, ...rest] = drawing.columns;
  return [times, ...(drawing.banded ? rest : rest.filter((_, i) => i % 3 === 0))] as uPlot.AlignedData;
}

/** Draws `drawing` into `element`. The number of lines and the bands are fixed for the plot's life. */
export function createPlot(element: HTMLElement, width: number, drawing: Drawing, unit: Unit, source: PlotSource): Plot {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const stride = drawing.banded ? 3 : 1;

  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  for (const line of drawing.lines) {
    const hue = colour(`--hue-${line.hue % HUES}`);
    const dash = line.hue < HUES ? {} : { dash: [6, 3] };
    series.push({ stroke: hue, width: 1.5, ...dash, points: { size: 4, fill: hue, show: true, filter: lonely } });
    if (!drawing.banded) continue;
    const edge: uPlot.Series = { stroke: 'transparent', width: 0, points: { show: false } };
    series.push(edge, { ...edge });
    bands.push({ series: [series.length - 1, series.length - 2], fill: `${hue}40` });
  }

  const axis: uPlot.Axis = {
    stroke: colour('--text-soft'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1, size: 4 },
    font: `11px ${colour('--font')}`,
  };
  const plot = new uPlot(
    {
      width,
      height: HEIGHT,
      ms: 1,
      series,
      bands,
      legend: { show: false },
      padding: [8, 10, 0, 0],
      scales: { x: { time: true, range: () => [...source.span()] }, y: { range: (_, min, max) => rangeOf(unit, source.marks(), min, max) } },
      axes: [
        { ...axis, size: 28, space: 70, values: (_, marks) => marks.map((mark) => axisMark(mark, (marks[1] ?? mark) - marks[0]!)) },
        {
          ...axis,
          size: AXIS_WIDTH,
          space: 32,
          ...(unit.base === 2 ? { incrs: POWERS_OF_TWO } : {}),
          values: (_, marks) => marks.map((mark) => unit.write(mark).replace(/\.0+(?=\D|$)/, '')),
        },
      ],
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false, dist: DRAG_PX_MIN },
        // The crosshair is shared, buttons are not: one drag must be one zoom, not one for each chart.
        sync: { key: SYNC_KEY, scales: ['x', null], filters: { pub: (type) => !BUTTONS.includes(type) } },
        points: { size: 6 },
        bind: {
          dblclick: () => () => {
            source.zoomedOut();
            return null;
          },
        },
      },
      hooks: {
        drawAxes: [
          (self) => hatch(self, source, colour('--hatch'), colour('--text-soft'), colour('--surface'), colour('--font')),
          (self) => drawSpans(self, source.marks(), source.span()[1], colour),
        ],
        draw: [(self) => drawLimits(self, source.marks(), colour)],
        setSelect: [
          (self) => {
            const { left, width: selected } = self.select;
            if (selected < DRAG_PX_MIN) return;
            const [from, to] = [self.posToVal(left, 'x'), self.posToVal(left + selected, 'x')];
            self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            source.zoomed(from, to);
          },
        ],
        setCursor: [(self) => source.pointed((self.cursor.left ?? -1) < 0 ? null : self.posToVal(self.cursor.left!, 'x'))],
      },
    },
    columnsOf(drawing),
    element,
  );

  return {
    update: (next) => plot.setData(columnsOf(next)),
    resize: (next) => plot.setSize({ width: next, height: HEIGHT }),
    show(line, visible) {
      for (let i = 0; i < stride; i++) plot.setSeries(1 + line * stride + i, { show: visible });
    },
    destroy: () => plot.destroy(),
  };
}

const POWERS_OF_TWO = Array.from({ length: 60 }, (_, i) => 2 ** i);

/** Fixed where the unit says so, else from zero (or below) to a little above the highest, limits included. */
function rangeOf(unit: Unit, marks: ChartMarks, min: number | null, max: number | null): [number, number] {
  if (unit.range) return [...unit.range];
  const limits = marks.limits.map((limit) => limit.at);
  const low = Math.min(0, min ?? 0, ...limits);
  const high = Math.max(max ?? 0, low, ...limits);
  return [low * 1.1, high === low ? low + 1 : high + (high - low) * 0.1];
}

/** Points with a gap on either side: no line shows them, so a dot must. */
const lonely: uPlot.Series.Points.Filter = (self, seriesIndex) => {
  const column = self.data[seriesIndex] ?? [];
  const found: number[] = [];
  let previous: number | null = null;
  let candidate = -1;
  for (let i = 0; i <= column.length; i++) {
    const value = i === column.length ? null : column[i];
    // Undefined is an artefact of alignment and separates nothing.
    if (value === undefined) continue;
    if (value === null) {
      if (candidate >= 0) found.push(candidate);
      candidate = -1;
    } else {
      candidate = previous === null ? i : -1;
    }
    previous = value;
  }
  return found;
};

/** Fills each gap with hatching and writes its reason where it fits. */
function hatch(self: uPlot, source: PlotSource, lines: string, text: string, ground: string, font: string): void {
  const context = self.ctx;
  const { left, top, width, height } = self.bbox;
  const scale = devicePixelRatio || 1;
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  for (const gap of source.gaps()) {
    const from = Math.max(left, self.valToPos(gap.from, 'x', true));
    const to = Math.min(left + width, self.valToPos(gap.to ?? source.span()[1], 'x', true));
    if (to <= from) continue;
    context.save();
    context.beginPath();
    context.rect(from, top, Math.max(scale, to - from), height);
    context.clip();
    context.globalAlpha = 0.45;
    context.strokeStyle = lines;
    context.lineWidth = scale;
    const step = 7 * scale;
    context.beginPath();
    for (let x = Math.floor((from - height) / step) * step; x < to; x += step) {
      context.moveTo(x, top + height);
      context.lineTo(x + height, top);
    }
    context.stroke();
    context.restore();
    write(context, source.gapLabel(gap), from, to, top, height, scale, text, ground, font);
  }
  context.restore();
}

function write(
  context: CanvasRenderingContext2D,
  label: string,
  from: number,
  to: number,
  top: number,
  height: number,
  scale: number,
  text: string,
  ground: string,
  font: string,
): void {
  context.font = `${11 * scale}px ${font}`;
  const pad = 4 * scale;
  const line = 18 * scale;
  const widthOf = (words: string): number => context.measureText(words).width + 2 * pad;
  // A narrow block carries its reason upright, as much as fits; one too narrow even for that is named under the crosshair.
  const upright = widthOf(label) > to - from;
  if (upright && to - from < line) return;
  let shortened = label;
  while (upright && widthOf(shortened) > height && shortened.length > 2) shortened = `${shortened.slice(0, -2)}…`;
  const width = widthOf(shortened);
  context.save();
  context.translate((from + to) / 2, top + height / 2);
  if (upright) context.rotate(-Math.PI / 2);
  context.fillStyle = ground;
  context.fillRect(-width / 2, -line / 2, width, line);
  context.fillStyle = text;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillText(shortened, 0, 0);
  context.restore();
}
