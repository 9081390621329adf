/** What is asked and told over HTTP about alerts. */
import { ask, tell, unlessMissing } from '../state/asking';
import { deliveryOf, incidentOf, type Delivery, type Incident } from './incident';

/** One incident; null if there is none of this number. */
export async function readIncident(id: string, signal: AbortSignal): Promise<Incident | null> {
  return incidentOf(await unlessMissing(ask(`/incidents/${encodeURIComponent(id)}`, { signal })));
}

/** What is to be sent, and what was. */
export async function readDelivery(signal: AbortSignal): Promise<Delivery> {
  return deliveryOf(await ask('/delivery', { signal }));
}

/** Takes an incident on, in the name of `by`. Status 401: a right is missing; 409: it is over already. */
export async function acknowledge(id: string, by: string): Promise<void> {
  await tell(`/incidents/${encodeURIComponent(id)}/ack`, { by });
}
