/**
 * A hub that is only played, for pages about more machines than a test can start: the page itself comes from a real
 * daemon, its stream and the answers named here do not.
 *
 * Frames are those of the stream protocol, and answers those of the API; see their documentation in the daemon.
 */

/** Columns of the wall's rows, as a hub sends them. */
const COLS =
  'state last_seen_ms interval_ms up down incidents tags cpu memory disk disk_mount rx tx load cores uptime temperature level origin skew_ms'.split(' ');

const TICK_MS = 1_000;

/** A server that is well. What `change` names is otherwise; `silent` ones send nothing any more. */
export function server(name, change = {}) {
  const values = { cpu: 0.12, memory: 0.41, disk: 0.58, disk_mount: '/', rx: 81_000, tx: 12_400, load: 0.7, cores: 4, uptime: 940_000, temperature: null };
  const health = { state: 'up', last_seen_ms: Date.now(), interval_ms: 1_000, up: 5, down: 0, incidents: 0, level: null };
  return { name, silent: false, tags: {}, origin: 'remote', skew_ms: 12, ...health, ...values, ...change };
}

/** See the module. Played for one browser context. */
export class PlayedHub {
  /** @param servers as `server` makes them; their samples go on unless they are silent. */
  constructor(servers) {
    this.servers = servers;
    /** How often each path below `/api/v1` was asked for, as `GET /series`. */
    this.asked = new Map();
    this.answers = { 'GET /series': () => [200, { series: [], partial: false }] };
  }

  /** Answers a request, `POST /servers`, with what `answer(body, url)` gives: status and body. */
  on(request, answer) {
    this.answers[request] = answer;
    return this;
  }

  /** Takes the place of the daemon's stream and of the requests that have an answer. */
  async join(context) {
    await context.routeWebSocket('**/api/v1/stream', (socket) => this.#speak(socket));
    await context.route('**/api/v1/**', async (route) => {
      const url = new URL(route.request().url());
      const request = `${route.request().method()} ${url.pathname.replace('/api/v1', '')}`;
      this.asked.set(request, (this.asked.get(request) ?? 0) + 1);
      const answer = this.answers[request];
      if (!answer) return route.fallback();
      const [status, json] = answer(route.request().postDataJSON(), url);
      return route.fulfill({ status, json });
    });
  }

  /** Whoever sends goes on to send. */
  tick() {
    const now = Date.now();
    for (const one of this.servers) {
      if (one.silent) continue;
      one.last_seen_ms = now;
      if (one.cpu !== null) one.cpu = Math.min(1, Math.max(0, one.cpu + (Math.random() - 0.5) / 50));
      one.rx = Math.round(one.rx * (0.9 + Math.random() / 5));
    }
  }

  #speak(socket) {
    const say = (frame) => socket.send(JSON.stringify(frame));
    let [seq, topics] = [1, []];
    say({ t: 'hello', v: 1, epoch: 'played', now: Date.now(), interval: TICK_MS, version: 'played' });
    socket.onMessage((text) => {
      ({ topics } = JSON.parse(text));
      for (const topic of topics) say({ t: 'snap', topic, seq, at: Date.now(), cols: topic === 'wall' ? COLS : [], rows: topic === 'wall' ? this.#rows() : [] });
    });
    const timer = setInterval(() => {
      this.tick();
      for (const topic of topics) say({ t: 'd', topic, from: seq, to: seq + 1, at: Date.now(), rows: topic === 'wall' ? this.#changes() : [], gone: [] });
      seq++;
    }, TICK_MS);
    socket.onClose(() => clearInterval(timer));
  }

  #rows() {
    return this.servers.map((one) => [one.name, ...COLS.map((column) => one[column])]);
  }

  /** Every column of every server that still sends: more than a hub ever says at once. */
  #changes() {
    return this.#rows().flatMap(([name, ...values], i) => (this.servers[i].silent ? [] : [[name, 2 ** COLS.length - 1, ...values]]));
  }
}
