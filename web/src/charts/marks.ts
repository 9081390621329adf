/**
 * What an incident adds to a chart: its limit as a labelled line, the time that
 * it lasted as a shaded span. `plot.ts` calls these at the moment of drawing.
 */
import type uPlot from 'uplot';

/** Name of a colour in tokens.css. */
export type MarkTone = 'critical' | 'warning' | 'text-soft';

/** A value that must not be passed. */
export interface LimitMark {
  readonly at: number;
  readonly label: string;
  readonly tone: MarkTone;
}

/** A time during which something was wrong; `toMs` is null while it lasts. */
export interface SpanMark {
  readonly fromMs: number;
  readonly toMs: number | null;
  readonly tone: MarkTone;
}

/** Everything that is marked in one chart. */
export interface ChartMarks {
  readonly limits: readonly LimitMark[];
  readonly spans: readonly SpanMark[];
}

export const NO_MARKS: ChartMarks = { limits: [], spans: [] };

/** Looks a colour up by its name. */
type Colours = (name: string) => string;

/** Shades the spans and marks where each begins; under the lines. */
export function drawSpans(self: uPlot, marks: ChartMarks, endMs: number, colour: Colours): void {
  const { ctx: context, bbox } = self;
  const scale = devicePixelRatio || 1;
  context.save();
  clip(context, bbox);
  for (const mark of marks.spans) {
    const from = self.valToPos(mark.fromMs, 'x', true);
    const to = self.valToPos(mark.toMs ?? endMs, 'x', true);
    context.fillStyle = colour(`--${mark.tone}`);
    context.globalAlpha = 0.1;
    context.fillRect(from, bbox.top, Math.max(scale, to - from), bbox.height);
    context.globalAlpha = 0.8;
    context.fillRect(from, bbox.top, scale, bbox.height);
    if (mark.toMs !== null) context.fillRect(to, bbox.top, scale, bbox.height);
  }
  context.restore();
}

/** Draws the limits over the lines, each with its words at the left edge. */
export function drawLimits(self: uPlot, marks: ChartMarks, colour: Colours): void {
  const { ctx: context, bbox } = self;
  const scale = devicePixelRatio || 1;
  context.save();
  clip(context, bbox);
  context.font = `${11 * scale}px ${colour('--font')}`;
  context.textAlign = 'left';
  context.textBaseline = 'middle';
  for (const mark of marks.limits) {
    const y = Math.round(self.valToPos(mark.at, 'y', true));
    context.strokeStyle = colour(`--${mark.tone}`);
    context.lineWidth = 1.5 * scale;
    context.setLineDash([6 * scale, 4 * scale]);
    context.beginPath();
    context.moveTo(bbox.left, y);
    context.lineTo(bbox.left + bbox.width, y);
    context.stroke();
    const [pad, height] = [4 * scale, 16 * scale];
    const width = context.measureText(mark.label).width + 2 * pad;
    // Below the line where there is no room above it.
    const middle = y - height / 2 - scale < bbox.top ? y + height / 2 + scale : y - height / 2 - scale;
    context.fillStyle = colour('--surface');
    context.globalAlpha = 0.85;
    context.fillRect(bbox.left + pad, middle - height / 2, width, height);
    context.globalAlpha = 1;
    context.fillStyle = colour(`--${mark.tone}`);
    context.fillText(mark.label, bbox.left + 2 * pad, middle);
  }
  context.restore();
}

function clip(context: CanvasRenderingContext2D, box: uPlot.BBox): void {
  context.beginPath();
  context.rect(box.left, box.top, box.width, box.height);
  context.clip();
}
