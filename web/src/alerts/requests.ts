/** What is asked and told over HTTP about alerts. Everything rejects with a sentence that fits a person. */
import { fields, text } from '../state/cells';
import { deliveryOf, incidentOf, type Delivery, type Incident } from './incident';

const DEADLINE_MS = 15_000;

/** Why a request was not answered as wished. */
export class Refusal extends Error {
  constructor(
    /** The HTTP status; 0 if there was no answer at all. */
    readonly status: number,
    detail: string,
  ) {
    super(detail);
  }
}

async function ask(path: string, options: RequestInit): Promise<unknown> {
  const signals = [AbortSignal.timeout(DEADLINE_MS), ...(options.signal ? [options.signal] : [])];
  let answer: Response;
  try {
    answer = await fetch(`/api/v1${path}`, { ...options, signal: AbortSignal.any(signals) });
  } catch (error) {
    throw new Refusal(0, error instanceof Error ? error.message : String(error));
  }
  const body: unknown = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refusal(answer.status, text(fields(body)['detail']) ?? `HTTP ${answer.status}`);
  return body;
}

/** One incident; null if there is none of this number. */
export async function readIncident(id: string, signal: AbortSignal): Promise<Incident | null> {
  try {
    return incidentOf(await ask(`/incidents/${encodeURIComponent(id)}`, { signal }));
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
}

/** What is to be sent, and what was. */
export async function readDelivery(signal: AbortSignal): Promise<Delivery> {
  return deliveryOf(await ask('/delivery', { signal }));
}

/** Takes an incident on, in the name of `by`. Status 401: a right is missing; 409: it is over already. */
export async function acknowledge(id: string, by: string): Promise<void> {
  await ask(`/incidents/${encodeURIComponent(id)}/ack`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ by }),
  });
}

/** Signs this browser in. The answer is the page itself, and the cookie that comes with it. */
export async function signIn(token: string): Promise<void> {
  await ask(`/signin?token=${encodeURIComponent(token)}`, {});
}
