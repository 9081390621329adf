/** What is asked and told over HTTP about other machines. A daemon without the part in question says so with null. */
import { ask, tell, unlessMissing } from '../state/asking';
import { enrolledOf, enrolmentOf, type Enrolled, type Enrolment } from './enrolment';
import { sendersOf, targetsOf, type Sender, type Target } from './passage';

/** Makes a token for a server. `again` revokes the one it has. Status 401: a right is missing; code `exists`: it has one. */
export async function enrol(name: string, tags: Readonly<Record<string, string>>, again: boolean): Promise<Enrolled> {
  const enrolled = enrolledOf(await tell('/servers', { name, tags, ...(again ? { again } : {}) }));
  if (!enrolled) throw new Error('the answer has no command');
  return enrolled;
}

/** How far a new server has come; null if there is no such enrolment. */
export async function readEnrolment(name: string, signal: AbortSignal): Promise<Enrolment | null> {
  return enrolmentOf(await unlessMissing(ask(`/servers/${encodeURIComponent(name)}/enrolment`, { signal })));
}

export async function readTargets(signal: AbortSignal): Promise<readonly Target[] | null> {
  const answer = await unlessMissing(ask('/forward', { signal }));
  return answer === null ? null : targetsOf(answer);
}

export async function readSenders(signal: AbortSignal): Promise<readonly Sender[] | null> {
  const answer = await unlessMissing(ask('/ingest', { signal }));
  return answer === null ? null : sendersOf(answer);
}
