/**
 * The stream as components see it: tables, the link, the hub's time.
 *
 * Owns the timer that drives the connection (200 ms) and the page's life-cycle
 * events. `nowMs` moves with it, so that ages grow even when nothing arrives.
 */
import { Connection, type Link } from '../stream/connection';
import type { Feed, Table } from '../stream/reducer';
import { BROWSER } from '../stream/socket';

const BEAT_MS = 200;
/** How often ages and axes move on; a screen of numbers that blinks faster is not calmer. */
const NOW_STEP_MS = 500;

class Live {
  private readonly connection = new Connection(BROWSER, () => this.changed());
  private feed = $state.raw<Feed>(this.connection.feed);
  link = $state.raw<Link>(this.connection.link);
  /** Present time by the hub's clock. */
  nowMs = $state(Date.now());
  /** Present time by the browser's clock, for waits that it measures itself. */
  browserNowMs = $state(Date.now());
  /** Topics that the page which is shown needs besides its own: known only once it has read something. */
  besides = $state.raw<readonly string[]>([]);
  /** True if what is shown may not be believed to be the present. */
  readonly dim: boolean = $derived(this.link.phase !== 'live' || this.link.held);

  /** See `Link.outages`. What depends on it runs when frames were missed, not with every frame. */
  readonly outages: number = $derived(this.link.outages);

  /** Begins; called once. */
  start(): void {
    setInterval(() => {
      this.connection.tick();
      this.moveOn(NOW_STEP_MS);
    }, BEAT_MS);
    const seen = (): void => {
      this.moveOn(0);
      if (document.hidden) this.connection.hide();
      else {
        this.connection.show();
        this.connection.retry();
      }
    };
    document.addEventListener('visibilitychange', seen);
    document.addEventListener('resume', seen);
    addEventListener('pageshow', seen);
    document.addEventListener('freeze', () => this.connection.hide());
    addEventListener('online', () => this.connection.retry());
    if (document.hidden) this.connection.hide();
    this.connection.tick();
  }

  /** Subscribes to exactly these topics, and to what the present page asked for besides. */
  watch(topics: readonly string[]): void {
    this.connection.watch([...topics, ...this.besides]);
  }

  /** Topics that are followed even while nobody sees the page. */
  keep(topics: readonly string[]): void {
    this.connection.keep(topics);
  }

  retryNow(): void {
    this.connection.retry();
  }

  /** The table of a topic, null before its first snapshot. */
  table(topic: string): Table | null {
    return this.feed.tables.get(topic) ?? null;
  }

  private changed(): void {
    this.feed = this.connection.feed;
    this.link = this.connection.link;
    this.moveOn(0);
  }

  private moveOn(stepMs: number): void {
    const now = Date.now();
    if (Math.abs(now - this.browserNowMs) < stepMs) return;
    this.browserNowMs = now;
    this.nowMs = now + this.connection.link.offsetMs;
  }
}

/** The one stream of this page. */
export const live = new Live();
