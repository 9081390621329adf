/** What is asked and told over HTTP. Everything rejects with a sentence that fits a person. */
import { fields, text } from './cells';

const DEADLINE_MS = 15_000;

/** Why a request was not answered as wished. */
export class Refusal extends Error {
  constructor(
    /** The HTTP status; 0 if there was no answer at all. */
    readonly status: number,
    detail: string,
    /** The daemon's word for it; empty if it has none. */
    readonly code = '',
  ) {
    super(detail);
  }
}

/** Asks for a path below `/api/v1`. */
export async function ask(path: string, options: RequestInit): Promise<unknown> {
  const signals = [AbortSignal.timeout(DEADLINE_MS), ...(options.signal ? [options.signal] : [])];
  let answer: Response;
  try {
    answer = await fetch(`/api/v1${path}`, { ...options, signal: AbortSignal.any(signals) });
  } catch (error) {
    throw new Refusal(0, reasonOf(error));
  }
  const body: unknown = await answer.json().catch(() => null);
  if (!answer.ok) {
    const { error, detail } = fields(body);
    throw new Refusal(answer.status, text(detail) ?? `HTTP ${answer.status}`, text(error) ?? '');
  }
  return body;
}

/** Tells the daemon something. Status 401: a right is missing. */
export function tell(path: string, body: unknown): Promise<unknown> {
  return ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
}

/** Signs this browser in. The answer is the page itself, and the cookie that comes with it. */
export async function signIn(token: string): Promise<void> {
  await ask(`/signin?token=${encodeURIComponent(token)}`, {});
}

/** Why something failed, in words. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The HTTP status of a refusal; 0 for any other failure. */
export function statusOf(error: unknown): number {
  return error instanceof Refusal ? error.status : 0;
}

/** The same, but null where there is no such thing. */
export async function unlessMissing<Value>(answer: Promise<Value>): Promise<Value | null> {
  try {
    return await answer;
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw error;
  }
}
