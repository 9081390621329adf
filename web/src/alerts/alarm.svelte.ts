/**
 * Tells of what is new: a sound and a notification for those who want them, an
 * announcement for everybody who listens to the page.
 *
 * Both are off until switched on here, in this browser; the switch sounds once,
 * because a browser lets a page sound only after a person has touched it. After
 * a reload the sound waits for the first touch, and says so (`blocked`).
 *
 * What a test can see: on the root element `data-sounded` counts the tones
 * that were played, `data-sounded-level` is the last one's level,
 * `data-notified` counts notifications.
 */
import { announcements } from '../state/announce.svelte';
import { navigation } from '../state/navigation.svelte';
import { settings } from '../state/settings.svelte';
import { store, stored } from '../state/stored';
import { hear, type Memory } from './news';
import type { Alert, Severity } from './rows';
import { Tones } from './tone';
import { announcementOf, lineOf } from './wording';

const SOUND_KEY = 'bartizan.sound';
const NOTIFY_KEY = 'bartizan.notify';

/** Shortest time between two alarms of the same level: a storm is one noise, not a hundred. */
const APART_MS = 4_000;

/** How long the critical tones last. */
const CRITICAL_MS = 1_000;

/** Whether this browser can show notifications at all: only on https and on the machine itself. */
const canNotify = 'Notification' in window && isSecureContext;

class Alarm {
  sound = $state(stored(SOUND_KEY) === 'on');
  notify = $state(canNotify && stored(NOTIFY_KEY) === 'on' && Notification.permission === 'granted');
  /** True while the browser gives no leave to sound. */
  blocked = $state(false);
  /** Why notifications cannot be switched on. */
  refused = $state<'insecure' | 'denied' | null>(canNotify ? null : 'insecure');

  private readonly tones = new Tones();
  private memory: Memory | null = null;
  private readonly pending: Record<Severity, Alert[]> = { critical: [], warning: [] };
  private readonly lastMs: Record<Severity, number> = { critical: 0, warning: 0 };
  private timer = 0;
  private count = { sounded: 0, notified: 0 };

  /** Begins; called once. */
  start(): void {
    this.show();
    const touched = (): void => {
      if (this.blocked) void this.tones.wake().then((ready) => (this.blocked = !ready));
    };
    addEventListener('pointerdown', touched, true);
    addEventListener('keydown', touched, true);
    if (this.sound) void this.tones.wake().then((ready) => (this.blocked = !ready));
  }

  /** True if alerts are to be watched even while nobody sees the page. */
  get awake(): boolean {
    return this.sound || this.notify;
  }

  /** Takes over the alerts of a table of time `atMs`. */
  take(alerts: readonly Alert[], atMs: number): void {
    const { memory, news } = hear(this.memory, alerts, atMs);
    this.memory = memory;
    for (const alert of news) this.pending[alert.level].push(alert);
    if (news.length > 0) this.tell();
  }

  /** Switches the sound; called from within a click or a key. */
  async switchSound(on: boolean): Promise<void> {
    this.sound = on;
    store(SOUND_KEY, on ? 'on' : 'off');
    this.blocked = on && !(await this.tones.wake());
    if (on) this.play('critical');
  }

  /** Switches notifications; the browser asks for leave the first time. */
  async switchNotify(on: boolean): Promise<void> {
    if (!canNotify) return;
    const allowed = on && (await Notification.requestPermission()) === 'granted';
    this.refused = on && !allowed ? 'denied' : null;
    this.notify = allowed;
    store(NOTIFY_KEY, allowed ? 'on' : 'off');
  }

  /** Tells of what is pending, as far as it is time. */
  private tell(): void {
    clearTimeout(this.timer);
    const now = Date.now();
    for (const level of ['critical', 'warning'] as const) {
      const alerts = this.pending[level];
      const dueMs = this.lastMs[level] + APART_MS;
      if (alerts.length === 0) continue;
      if (now < dueMs) {
        this.timer = window.setTimeout(() => this.tell(), dueMs - now);
        continue;
      }
      this.pending[level] = [];
      this.lastMs[level] = now;
      announcements.say(announcementOf(alerts, settings.words), level === 'critical');
      if (level === 'critical') this.notifyOf(alerts);
      // Under the tones of a critical one, a warning's would not be heard.
      if (level === 'critical' || now - this.lastMs.critical >= CRITICAL_MS) this.play(level);
    }
  }

  private play(level: Severity): void {
    if (!this.sound) return;
    if (this.tones.play(level)) {
      this.count.sounded++;
      document.documentElement.dataset['soundedLevel'] = level;
    } else {
      this.blocked = true;
    }
    this.show();
  }

  private notifyOf(alerts: readonly Alert[]): void {
    const [first] = alerts;
    if (!this.notify || !first) return;
    const { words } = settings;
    try {
      const body = alerts.slice(0, 5).map((alert) => lineOf(alert, words)).join('\n');
      const shown = new Notification(words.alerts.news(alerts.length, words.state.critical), { body, tag: `bartizan-${first.id}` });
      shown.onclick = () => {
        window.focus();
        navigation.go(alerts.length === 1 ? `/a/${first.id}` : '/alerts');
        shown.close();
      };
      this.count.notified++;
    } catch {
      // A telephone's browser shows none from a page; the sound and the page remain.
    }
    this.show();
  }

  private show(): void {
    document.documentElement.dataset['sounded'] = String(this.count.sounded);
    document.documentElement.dataset['notified'] = String(this.count.notified);
  }
}

/** The one alarm of this page. */
export const alarm = new Alarm();
