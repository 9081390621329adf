/**
 * What a page reads over HTTP for as long as it is shown: at once, every so
 * often, and again after an outage of the stream. Never while nobody looks, and
 * never a second time before the first has been answered.
 */
import { untrack } from 'svelte';
import { reasonOf, statusOf } from './asking';
import { live } from './live.svelte';

/** What was read last, and why it could not be read anew. */
export interface Reread<Value> {
  readonly value: Value | null;
  /** Empty while all is well. */
  readonly failure: string;
  /** The HTTP status of the failure; 0 if there is none. */
  readonly status: number;
}

/** To be called while a component begins. What `because` names makes it read at once. */
export function reread<Value>(read: (signal: AbortSignal) => Promise<Value>, everyMs: number, because: () => unknown = () => null): Reread<Value> {
  let value = $state.raw<Value | null>(null);
  let failure = $state('');
  let status = $state(0);

  $effect(() => {
    void [live.outages, because()];
    const stop = new AbortController();
    let busy = false;
    const once = async (): Promise<void> => {
      if (busy) return;
      busy = true;
      try {
        const answer = await read(stop.signal);
        if (stop.signal.aborted) return;
        value = answer;
        failure = '';
        status = 0;
      } catch (error) {
        if (stop.signal.aborted) return;
        failure = reasonOf(error);
        status = statusOf(error);
      } finally {
        busy = false;
      }
    };
    untrack(() => void once());
    const timer = setInterval(() => !document.hidden && void once(), everyMs);
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  });

  return {
    get value() {
      return value;
    },
    get failure() {
      return failure;
    },
    get status() {
      return status;
    },
  };
}
