/**
 * The real surroundings of a connection: WebSocket, fetch, the wall clock.
 * Holds no decision.
 */
import type { Surroundings } from './connection';

const SUBPROTOCOL = 'bartizan.v1';

/** The browser itself. */
export const BROWSER: Surroundings = {
  open(events) {
    const url = new URL('/api/v1/stream', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url, SUBPROTOCOL);
    socket.onmessage = (message) => {
      if (typeof message.data === 'string') events.text(message.data);
    };
    socket.onclose = (event) => events.closed(event.code);
    return {
      send: (text) => socket.readyState === WebSocket.OPEN && socket.send(text),
      close: () => socket.close(),
    };
  },
  async probe() {
    try {
      const answer = await fetch('/api/v1/servers', { cache: 'no-store', signal: AbortSignal.timeout(5_000) });
      return answer.status === 401 ? 'signin' : 'reachable';
    } catch {
      return 'unreachable';
    }
  },
  now: () => Date.now(),
  chance: () => Math.random(),
};
