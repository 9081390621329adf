/** How far a server has come, what was typed, and what goes in and out, from the JSON of a hub. */
import { expect, test } from 'vitest';
import { enrolledOf, enrolmentOf, isComplete, presentError, progressOf, tagsTyped } from './enrolment';
import { sendersOf, targetsOf, toneOf } from './passage';

const steps = (...times: (number | null)[]) =>
  ['created', 'connected', 'token_known', 'first_sample'].map((step, i) => ({ step, at_ms: times[i] ?? null }));

function enrolment(body: unknown) {
  const read = enrolmentOf(body);
  if (!read) throw new Error('no enrolment');
  return read;
}

test('the first step that has not happened is the one that is waited for', () => {
  const read = enrolment({ name: 'web-1', steps: steps(1_000, 2_000), error: null });
  expect(progressOf(read)).toEqual(['done', 'done', 'waiting', 'later']);
  expect(isComplete(read)).toBe(false);
});

test('an error stands at the step that it stopped, until something goes well after it', () => {
  const failed = enrolment({ steps: steps(1_000, 2_000), error: { detail: 'wrong token', at_ms: 3_000 } });
  expect(progressOf(failed)).toEqual(['done', 'done', 'failed', 'later']);
  expect(presentError(failed)?.detail).toBe('wrong token');
  const past = enrolment({ steps: steps(1_000, 2_000, 4_000), error: { detail: 'wrong token', at_ms: 3_000 } });
  expect(progressOf(past)).toEqual(['done', 'done', 'done', 'waiting']);
  expect(presentError(past)).toBeNull();
});

test('an error of an unknown time is shown; none is once all has happened', () => {
  expect(progressOf(enrolment({ steps: steps(1_000), error: { detail: 'no route' } }))[1]).toBe('failed');
  const complete = enrolment({ steps: steps(1, 2, 3, 4), error: { detail: 'no route' } });
  expect([isComplete(complete), presentError(complete)]).toEqual([true, null]);
});

test('what is no enrolment is none', () => {
  for (const body of [null, [], { steps: [] }, { steps: [{ at_ms: 1 }] }, { steps: 'created' }]) expect(enrolmentOf(body)).toBeNull();
  expect(enrolledOf({ name: 'web-1', command: 'bartizan join' })).toEqual({ name: 'web-1', command: 'bartizan join', note: null });
  expect(enrolledOf({ name: 'web-1' })).toBeNull();
});

test('tags are typed with spaces or commas between them', () => {
  expect(tagsTyped(' env=prod,role=db  q=a=b，rack=3 ')).toEqual({ tags: { env: 'prod', role: 'db', q: 'a=b', rack: '3' } });
  expect(tagsTyped('')).toEqual({ tags: {} });
  for (const odd of ['prod', '=prod', 'env=']) expect(tagsTyped(`a=b ${odd}`)).toEqual({ odd });
});

test('a target that loses samples or is held is never fine', () => {
  const target = { name: 'hub', url: 'https://hub', protocol: '1.0', state: 'sending', lag_seconds: 0.9, lag_bytes: 10, sent: 5, refused: 0, lost: 0, error: null };
  const tone = (change: Record<string, unknown>) => toneOf(targetsOf({ targets: [{ ...target, ...change }] })[0]!);
  expect(tone({})).toBe('ok');
  expect([tone({ state: 'waiting' }), tone({ error: 'timeout' }), tone({ lag_seconds: 60.1 })]).toEqual(['warning', 'warning', 'warning']);
  expect([tone({ lost: 1 }), tone({ state: 'held' })]).toEqual(['critical', 'critical']);
});

test('what an older or newer hub does not say is unknown, not zero', () => {
  expect(targetsOf({ targets: [{ name: 'hub' }] })[0]).toMatchObject({ lagMs: null, lagBytes: null, error: null, errorMs: null });
  expect(targetsOf({})).toEqual([]);
  expect(sendersOf({ tokens: [{ id: 'a1' }] })[0]).toMatchObject({ id: 'a1', server: null, servers: null, series: null, lastMs: null, error: null, refused: [] });
});

test('refusals of a sender are named, most first, with the words of the last one', () => {
  const refusal = { error_ms: 7, error: 'the token may not write db-1' };
  const [sender] = sendersOf({ tokens: [{ id: 'a', server: 'web-*', servers: 12, samples: 5, refused: { late: 2, future: 9, rate: 0 }, ...refusal }] });
  expect(sender).toMatchObject({ server: 'web-*', servers: 12, stored: 5, error: 'the token may not write db-1', errorMs: 7 });
  expect(sender!.refused).toEqual([['future', 9], ['late', 2]]);
});
