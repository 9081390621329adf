/**
 * One incident with all that happened to it, and the notices that told of it,
 * out of the JSON of `/incidents/{id}` and `/delivery`. Pure.
 */
import { fields, list, number, oneOf, text } from '../state/cells';
import { alertOf, NOTICE_STATES, WAYS, type Alert, type NoticeState, type Way } from './rows';

/** One thing that happened to an incident. An event that the dictionary lacks is shown as it is called. */
export interface Happening {
  readonly atMs: number;
  readonly event: string;
  readonly value: number | null;
  readonly detail: string | null;
}

/** One attempt to send a notice. */
export interface Attempt {
  readonly atMs: number;
  readonly tookMs: number | null;
  readonly outcome: string;
  /** What the other side said. */
  readonly said: string;
  /** Parts of an SMS. */
  readonly parts: number | null;
}

/** What one person is told by one way. */
export interface Notice {
  readonly id: number;
  readonly way: Way;
  readonly contact: string;
  readonly address: string;
  readonly what: string;
  readonly madeMs: number;
  readonly state: NoticeState;
  /** When it is tried next. */
  readonly dueMs: number | null;
  /** The earlier notice that it waits for: what is told of one incident keeps its order. */
  readonly behind: number | null;
  /** How often it was tried; of many attempts only the first and the last are told. */
  readonly tried: number;
  readonly incidents: readonly number[];
  readonly attempts: readonly Attempt[];
}

/** An incident as its own page shows it. */
export interface Incident {
  readonly alert: Alert;
  readonly runbook: string | null;
  readonly timeline: readonly Happening[];
  readonly notices: readonly Notice[];
}

/** How one way of sending is. */
export interface WayHealth {
  readonly way: Way;
  readonly configured: boolean;
  readonly counts: Readonly<Record<NoticeState, number>>;
  readonly lastSentMs: number | null;
  readonly lastError: string | null;
}

/** Everything that is, was, or is to be sent. */
export interface Delivery {
  readonly ways: readonly WayHealth[];
  readonly notices: readonly Notice[];
}

/** Names in the JSON that are not those of the stream's columns. */
function jsonColumn(body: Readonly<Record<string, unknown>>, column: string): unknown {
  switch (column) {
    case 'side':
      return fields(body['limit'])['side'];
    case 'limit':
      return fields(body['limit'])['at'];
    case 'acked_by':
      return fields(body['ack'])['by'];
    case 'acked_ms':
      return fields(body['ack'])['at_ms'];
    case 'email':
    case 'sms':
    case 'webhook':
      return fields(body['delivery'])[column];
    default:
      return body[column];
  }
}

/** The incident of an answer; null if it is none. */
export function incidentOf(answer: unknown): Incident | null {
  const body = fields(answer);
  const id = number(body['id']);
  if (id === null) return null;
  return {
    alert: alertOf(String(id), (column) => jsonColumn(body, column)),
    runbook: webAddress(text(body['runbook'])),
    timeline: list(body['timeline']).flatMap((entry) => {
      const { at_ms, event, value, detail } = fields(entry);
      const at = number(at_ms);
      return at === null ? [] : [{ atMs: at, event: text(event) ?? '', value: number(value), detail: text(detail) }];
    }),
    notices: list(body['notices']).flatMap(noticeOf),
  };
}

/** An address that a click may follow; a runbook of another scheme is no link. */
export function webAddress(address: string | null): string | null {
  return address !== null && /^https?:\/\//i.test(address) ? address : null;
}

/** No notice where the answer is none that this page can show. */
export function noticeOf(answer: unknown): Notice[] {
  const body = fields(answer);
  const [id, way, state] = [number(body['id']), oneOf(WAYS, body['way']), oneOf(NOTICE_STATES, body['state'])];
  if (id === null || !way || !state) return [];
  const attempts = list(body['attempts']).flatMap((entry): Attempt[] => {
    const one = fields(entry);
    const atMs = number(one['at_ms']);
    if (atMs === null) return [];
    return [{ atMs, tookMs: number(one['took_ms']), outcome: text(one['outcome']) ?? '', said: text(one['said']) ?? '', parts: number(one['parts']) }];
  });
  return [
    {
      id,
      way,
      state,
      attempts,
      contact: text(body['contact']) ?? '',
      address: text(body['address']) ?? '',
      what: text(body['what']) ?? '',
      madeMs: number(body['made_ms']) ?? 0,
      dueMs: number(body['due_ms']),
      behind: number(body['behind']),
      tried: number(body['tried']) ?? attempts.length,
      incidents: list(body['incidents']).filter((one): one is number => typeof one === 'number'),
    },
  ];
}

/** The outbox of an answer. */
export function deliveryOf(answer: unknown): Delivery {
  const body = fields(answer);
  return {
    ways: list(body['ways']).flatMap((entry) => {
      const one = fields(entry);
      const way = oneOf(WAYS, one['way']);
      if (!way) return [];
      const counts = Object.fromEntries(NOTICE_STATES.map((state) => [state, number(one[state]) ?? 0])) as Record<NoticeState, number>;
      return [{ way, counts, configured: one['configured'] === true, lastSentMs: number(one['last_sent_ms']), lastError: text(one['last_error']) }];
    }),
    notices: list(body['notices']).flatMap(noticeOf),
  };
}

/** Whether a notice may still change. */
export function isUnderWay(notice: Notice): boolean {
  return notice.state !== 'sent' && notice.state !== 'dead';
}
