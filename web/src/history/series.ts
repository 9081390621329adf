/**
 * History over HTTP: asks `GET /api/v1/series` and checks what comes back.
 *
 * At most six questions are under way at once, so that a page of forty charts
 * does not stand in the way of its own stream.
 */

/** [time, mean, min, max]; times in milliseconds since 1970, null where nothing is known. */
export type Point = readonly [number, number | null, number | null, number | null];

/** A span without samples and why; `to` is null while it lasts, `reason` where none was recorded. */
export interface Gap {
  readonly from: number;
  readonly to: number | null;
  readonly reason: string | null;
}

/** One series of an answer. */
export interface Track {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly unit: string;
  readonly resolutionMs: number;
  readonly points: readonly Point[];
  readonly gaps: readonly Gap[];
}

/** What came back; `partial` if the hub could not read all of it. */
export interface Answer {
  readonly tracks: readonly Track[];
  readonly partial: boolean;
}

/** What to ask for. */
export interface Question {
  readonly server: string;
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly fromMs: number;
  readonly toMs: number;
  readonly points: number;
}

const AT_ONCE = 6;
const DEADLINE_MS = 15_000;
let underWay = 0;
const waiting: (() => void)[] = [];

/** All tracks of a metric. Rejects with a sentence that fits a person. */
export async function fetchTracks(question: Question, signal: AbortSignal): Promise<Answer> {
  await turn();
  try {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
    const answer = await fetch(`/api/v1/series?${queryOf(question)}`, { signal: deadline });
    const body: unknown = await answer.json().catch(() => null);
    if (!answer.ok) throw new Error(detailOf(body) ?? `HTTP ${answer.status}`);
    return { tracks: parseTracks(question.metric, body), partial: (body as { partial?: unknown } | null)?.partial === true };
  } finally {
    underWay--;
    waiting.shift()?.();
  }
}

async function turn(): Promise<void> {
  while (underWay >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  underWay++;
}

/** The query string of a question. */
export function queryOf(question: Question): string {
  const query = new URLSearchParams({
    server: question.server,
    metric: question.metric,
    from: String(Math.floor(question.fromMs)),
    to: String(Math.ceil(question.toMs)),
    points: String(question.points),
  });
  for (const [label, value] of Object.entries(question.labels)) query.set(`label.${label}`, value);
  return query.toString();
}

function detailOf(body: unknown): string | null {
  const detail = (body as { detail?: unknown } | null)?.detail;
  return typeof detail === 'string' ? detail : null;
}

/** Checks an answer; anything that is not of the promised shape is left out. */
export function parseTracks(metric: string, body: unknown): Track[] {
  const series = (body as { series?: unknown } | null)?.series;
  if (!Array.isArray(series)) return [];
  return series.map((entry: Record<string, unknown>) => ({
    metric,
    labels: (entry['labels'] ?? {}) as Record<string, string>,
    unit: typeof entry['unit'] === 'string' ? entry['unit'] : '',
    resolutionMs: typeof entry['resolution_ms'] === 'number' ? entry['resolution_ms'] : 1_000,
    points: Array.isArray(entry['points']) ? entry['points'].filter(isPoint) : [],
    gaps: Array.isArray(entry['gaps']) ? entry['gaps'].filter(isGap) : [],
  }));
}

const isValue = (value: unknown): boolean => value === null || typeof value === 'number';

function isPoint(point: unknown): point is Point {
  return Array.isArray(point) && typeof point[0] === 'number' && point.length === 4 && point.slice(1).every(isValue);
}

function isGap(gap: unknown): gap is Gap {
  const { from, to, reason } = (gap ?? {}) as Record<string, unknown>;
  return typeof from === 'number' && isValue(to ?? null) && (reason === null || typeof reason === 'string');
}
