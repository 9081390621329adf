/**
 * One page's connection to the hub: socket, watchdog, retries, subscription.
 *
 * ```text
 *  connecting ──data──► live ──2 s of silence, close, suspension──► lost
 *                        ▲                                           │
 *                        └──data── (retry 1 → 30 s, for ever) ◄──────┘
 * ```
 *
 * # Invariants
 *
 * - It owns no timer: `tick` is called five times a second by its owner, and
 *   everything that is due by then happens there. Tests drive it by hand.
 * - After a suspension nothing that the old socket still delivers is believed;
 *   the socket is dropped and the page catches up over a new one.
 * - `held` is true from the moment the page is hidden until the first frame
 *   after its return, so that what it shows meanwhile is marked as old. It is
 *   true longer where the topics must begin from snapshots: until all have.
 * - Hidden, it rests, unless topics are kept (`keep`): then it follows only
 *   those, watchdog and retries included, and the others wait as they are.
 */
import { parseFrame, type Frame, type Sub } from './frames';
import { offsetAtFrame, offsetAtHello, wasSuspended, WATCHDOG_MS } from './pulse';
import { awaitSnapshots, EMPTY_FEED, reduce, resumePoint, retain, type Feed } from './reducer';
import { retryDelayMs } from './retry';

/** Longest that a socket may take to open and say hello. */
const OPEN_MS = 5_000;

/** Close code of a missing or expired right. */
const CLOSE_AUTH = 4001;

/** A socket as this module needs it. */
export interface Wire {
  send(text: string): void;
  close(): void;
}

/** What a wire tells its owner. */
export interface WireEvents {
  text(text: string): void;
  closed(code: number): void;
}

/** Why no socket can be had: asked over plain HTTP after a failed attempt. */
export type Probe = 'signin' | 'reachable' | 'unreachable';

/** The world outside, replaceable in tests. */
export interface Surroundings {
  open(events: WireEvents): Wire;
  probe(): Promise<Probe>;
  /** The browser's wall clock, milliseconds since 1970. */
  now(): number;
  /** 0..1 */
  chance(): number;
}

/** What a person is told about the connection. */
export interface Link {
  readonly phase: 'connecting' | 'live' | 'lost';
  readonly held: boolean;
  /** Time of the last tick that arrived, by the hub's clock. */
  readonly lastAtMs: number | null;
  /** When the next attempt is due, by the browser's clock; null while one is under way. */
  readonly retryAtMs: number | null;
  /** When the connection came back, by the browser's clock; null if it never was lost. */
  readonly restoredAtMs: number | null;
  /** Counts the times that frames may have been missed: history is read again at each. */
  readonly outages: number;
  readonly probe: Probe | null;
  /** Add to the browser's clock to get the hub's. */
  readonly offsetMs: number;
  readonly version: string;
}

const FIRST_LINK: Link = {
  phase: 'connecting',
  held: false,
  lastAtMs: null,
  retryAtMs: null,
  restoredAtMs: null,
  outages: 0,
  probe: null,
  offsetMs: 0,
  version: '',
};

/** See the module. `changed` is called after every change of `feed` or `link`. */
export class Connection {
  feed: Feed = EMPTY_FEED;
  link: Link = FIRST_LINK;

  private wire: Wire | null = null;
  private greeted = false;
  private deadlineMs = 0;
  private attempt = 0;
  private hidden = false;
  private topics: readonly string[] = [];
  private kept: readonly string[] = [];
  private lastBeatMs: number;

  constructor(
    private readonly world: Surroundings,
    private readonly changed: () => void,
  ) {
    this.lastBeatMs = world.now();
  }

  /** Subscribes to exactly these topics. */
  watch(topics: readonly string[]): void {
    if (topics.length === this.topics.length && topics.every((topic) => this.topics.includes(topic))) return;
    this.topics = topics;
    this.feed = retain(this.feed, topics);
    if (this.greeted) this.subscribe(false);
    this.changed();
  }

  /** Follows these topics even while the page is hidden. */
  keep(topics: readonly string[]): void {
    const before = this.kept;
    this.kept = topics;
    if (this.hidden && this.greeted && before.join() !== topics.join()) this.subscribe(false);
  }

  /** True while nothing is wanted of the hub. */
  private get resting(): boolean {
    return this.hidden && this.kept.length === 0;
  }

  /** Does what is due. Called every 200 ms. */
  tick(): void {
    const now = this.beat();
    if (this.resting) return;
    if (this.wire ? now > this.deadlineMs : this.link.retryAtMs === null || now >= this.link.retryAtMs) {
      if (this.wire) this.lose();
      else this.connect();
    }
  }

  /** Tries at once: asked by a person, by `online`, by a page that woke. */
  retry(): void {
    this.beat();
    if (!this.wire && !this.resting) this.connect();
  }

  /** The page can no longer be seen or is about to be frozen. */
  hide(): void {
    this.lastBeatMs = this.world.now();
    if (this.hidden) return;
    this.hidden = true;
    if (this.greeted) this.subscribe(!this.resting);
    this.update({ held: true });
  }

  /** The page can be seen again. */
  show(): void {
    const now = this.world.now();
    this.lastBeatMs = now;
    if (!this.hidden) return;
    this.hidden = false;
    this.update({ outages: this.link.outages + 1 });
    if (!this.wire) this.connect();
    else {
      this.deadlineMs = now + WATCHDOG_MS;
      if (this.greeted) this.subscribe(true);
    }
  }

  /** Notes that the page runs; drops the socket if it did not run for a while. */
  private beat(): number {
    const now = this.world.now();
    const suspended = !this.hidden && wasSuspended(this.lastBeatMs, now);
    this.lastBeatMs = now;
    if (suspended) {
      this.lose();
      this.connect();
    }
    return now;
  }

  private connect(): void {
    this.deadlineMs = this.world.now() + OPEN_MS;
    this.update({ retryAtMs: null });
    let wire: Wire | null = null;
    // A wire that was let go may still speak; only the present one is heard.
    wire = this.world.open({
      text: (text) => wire !== null && wire === this.wire && this.receive(text),
      closed: (code) => wire !== null && wire === this.wire && this.lose(code),
    });
    this.wire = wire;
  }

  private receive(text: string): void {
    const wire = this.wire;
    const now = this.beat();
    if (wire !== this.wire) return;
    const frame = parseFrame(text);
    if (!frame) return;
    if (!this.resting) this.deadlineMs = now + WATCHDOG_MS;
    const step = reduce(this.feed, frame);
    this.feed = step.feed;
    if (frame.t === 'hello') {
      this.greeted = true;
      this.update({ offsetMs: offsetAtHello(frame.now, now), version: frame.version });
      this.subscribe(true);
    } else if (step.resubscribe) {
      this.subscribe(false);
    }
    this.heard(frame, now);
    this.changed();
  }

  /** A frame with data is what makes a connection live. */
  private heard(frame: Frame, now: number): void {
    if (frame.t !== 'snap' && frame.t !== 'd') return;
    if (this.feed.tables.get(frame.topic)?.stale !== false) return;
    const waits = [...this.feed.tables.values()].some((table) => table.stale);
    this.attempt = 0;
    this.link = {
      ...this.link,
      phase: 'live',
      held: this.hidden || (this.link.held && waits),
      lastAtMs: frame.at,
      retryAtMs: null,
      restoredAtMs: this.link.phase === 'lost' ? now : this.link.restoredAtMs,
      outages: this.link.outages + (this.link.phase === 'lost' ? 1 : 0),
      probe: null,
      offsetMs: offsetAtFrame(this.link.offsetMs, frame.at, now),
    };
  }

  private subscribe(mayResume: boolean): void {
    const topics = this.hidden && !this.resting ? this.kept : this.topics;
    const resume = mayResume ? resumePoint(this.feed, topics) : null;
    // Paused, the tables wait as they are: the resumption says where from.
    if (!resume && !this.hidden) this.feed = awaitSnapshots(this.feed);
    const sub: Sub = { t: 'sub', topics, hz: this.resting ? 0 : 1, ...(resume ? { resume } : {}) };
    this.wire?.send(JSON.stringify(sub));
  }

  private lose(code?: number): void {
    const opened = this.greeted;
    const wire = this.wire;
    this.wire = null;
    this.greeted = false;
    wire?.close();
    const delay = retryDelayMs(this.attempt++, this.world.chance());
    this.update({
      phase: 'lost',
      retryAtMs: this.world.now() + delay,
      ...(code === CLOSE_AUTH ? { probe: 'signin' as const } : {}),
    });
    if (!opened && wire) void this.world.probe().then((probe) => this.link.phase === 'lost' && this.update({ probe }));
  }

  private update(change: Partial<Link>): void {
    this.link = { ...this.link, ...change };
    this.changed();
  }
}
