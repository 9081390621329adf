/**
 * How far a new server has come: from its token to its first sample, out of the
 * JSON of `/servers/{name}/enrolment`. And what a person types to make one. Pure.
 */
import { fields, list, number, text } from '../state/cells';

/** One thing that has to happen. A step that the dictionary lacks is shown as it is called. */
export interface Step {
  readonly step: string;
  /** When it happened; null while it has not. */
  readonly atMs: number | null;
}

/** All steps in their order, and what went wrong last. */
export interface Enrolment {
  readonly steps: readonly Step[];
  readonly error: { readonly detail: string; readonly atMs: number | null } | null;
}

/** What is to be run on the new machine. The token in it is shown this once. */
export interface Enrolled {
  readonly name: string;
  readonly command: string;
  /** Why it may not work there, or not safely. */
  readonly note: string | null;
}

/** How a step is shown. */
export type Progress = 'done' | 'failed' | 'waiting' | 'later';

/** The enrolment of an answer; null where there are no steps in it. */
export function enrolmentOf(answer: unknown): Enrolment | null {
  const body = fields(answer);
  const steps = list(body['steps']).flatMap((entry): Step[] => {
    const { step, at_ms } = fields(entry);
    const name = text(step);
    return name === null ? [] : [{ step: name, atMs: number(at_ms) }];
  });
  const error = fields(body['error']);
  const detail = text(error['detail']);
  return steps.length === 0 ? null : { steps, error: detail === null ? null : { detail, atMs: number(error['at_ms']) } };
}

/** What an answer to `POST /servers` says to run; null where it says nothing. */
export function enrolledOf(answer: unknown): Enrolled | null {
  const body = fields(answer);
  const [name, command] = [text(body['name']), text(body['command'])];
  return name === null || command === null ? null : { name, command, note: text(body['note']) };
}

/** True once the last step has happened. */
export function isComplete(enrolment: Enrolment): boolean {
  return enrolment.steps.every((step) => step.atMs !== null);
}

/** The error, if nothing has gone well since. */
export function presentError(enrolment: Enrolment): Enrolment['error'] {
  const { error, steps } = enrolment;
  if (!error || isComplete(enrolment)) return null;
  const newest = Math.max(...steps.map((step) => step.atMs ?? 0));
  return error.atMs !== null && error.atMs < newest ? null : error;
}

/** How each step is shown: the first that has not happened is the one that waits, or the one that failed. */
export function progressOf(enrolment: Enrolment): Progress[] {
  const next = enrolment.steps.findIndex((step) => step.atMs === null);
  const stuck = presentError(enrolment) ? 'failed' : 'waiting';
  return enrolment.steps.map((step, i) => (step.atMs !== null ? 'done' : i === next ? stuck : 'later'));
}

/** The tags that somebody typed, `env=prod, role=db`; or the first part of it that is no tag. */
export function tagsTyped(typed: string): { readonly tags: Readonly<Record<string, string>> } | { readonly odd: string } {
  const tags: Record<string, string> = {};
  for (const part of typed.split(/[\s,，;；]+/).filter(Boolean)) {
    const [, key, value] = /^([^=]+)=(.+)$/.exec(part) ?? [];
    if (key === undefined || value === undefined) return { odd: part };
    tags[key] = value;
  }
  return { tags };
}
