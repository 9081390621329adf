/**
 * Taking an incident on: under a name that this browser remembers, and with a
 * right that may have to be had first. `parts/AckDialog.svelte` asks for both.
 */
import { announcements } from '../state/announce.svelte';
import { reasonOf, signIn, statusOf } from '../state/asking';
import { live } from '../state/live.svelte';
import { settings } from '../state/settings.svelte';
import { store, stored } from '../state/stored';
import { acknowledge } from './requests';
import { isOpen, type Alert } from './rows';
import { lineOf } from './wording';

const NAME_KEY = 'bartizan.name';

/** Who has taken an incident on, and when. */
export interface Taken {
  readonly by: string;
  readonly atMs: number | null;
}

class Acknowledging {
  /** In whose name; empty until somebody has said. */
  name = $state(stored(NAME_KEY) ?? '');
  /** What the dialog asks about; null while it is closed. */
  asking = $state.raw<Alert | null>(null);
  /** True if the daemon wants to know who we are. */
  unsigned = $state(false);
  /** Why the last attempt failed, in words. */
  failure = $state('');
  /** The incident that is being told to the daemon. */
  busy = $state<string | null>(null);
  /** Answers that the stream has not brought yet. */
  private done = $state.raw<ReadonlyMap<string, Taken>>(new Map());

  /** Who has taken it on, null if nobody has. */
  of(alert: Alert): Taken | null {
    if (alert.ackedBy !== null) return { by: alert.ackedBy, atMs: alert.ackedMs };
    return this.done.get(alert.id) ?? null;
  }

  /** True if it can be taken on. */
  fits(alert: Alert): boolean {
    return isOpen(alert) && this.of(alert) === null;
  }

  /** Takes it on, asking only for what is not known. */
  begin(alert: Alert): void {
    if (!this.fits(alert) || this.busy !== null) return;
    this.failure = '';
    this.unsigned = false;
    if (this.name === '') this.asking = alert;
    else void this.tell(alert);
  }

  /** The dialog's answer. */
  async answer(name: string, token: string): Promise<void> {
    const alert = this.asking;
    if (!alert || name === '') return;
    this.name = name;
    store(NAME_KEY, name);
    this.failure = '';
    if (token !== '') {
      try {
        await signIn(token);
      } catch (error) {
        const isWrong = statusOf(error) === 401;
        this.failure = isWrong ? settings.words.signin.wrong : settings.words.ack.failed(reasonOf(error));
        return;
      }
    }
    await this.tell(alert);
  }

  /** Another name from now on. */
  forgetName(): void {
    this.name = '';
    store(NAME_KEY, '');
  }

  private async tell(alert: Alert): Promise<void> {
    const { words } = settings;
    this.busy = alert.id;
    try {
      await acknowledge(alert.id, this.name);
      this.done = new Map(this.done).set(alert.id, { by: this.name, atMs: live.nowMs });
      this.asking = null;
      announcements.say(words.ack.done(lineOf(alert, words)), false);
    } catch (error) {
      const status = statusOf(error);
      this.unsigned = status === 401;
      if (status === 401) this.failure = '';
      else this.failure = status === 409 ? words.ack.over : words.ack.failed(reasonOf(error));
      this.asking = alert;
    } finally {
      this.busy = null;
    }
  }
}

/** The one of this page. */
export const acknowledging = new Acknowledging();
