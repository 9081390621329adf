/** The alerts of the stream, as every page sees them. */
import { live } from '../state/live.svelte';
import type { Row } from '../stream/frames';
import { openCounts } from './order';
import { alertRows, type Alert } from './rows';

class AlertBoard {
  private readonly kept = new WeakMap<Row, Alert>();
  readonly table = $derived(live.table('alerts'));
  readonly all: readonly Alert[] = $derived(this.table ? alertRows(this.table, this.kept) : []);
  /** Open incidents of each level. */
  readonly open = $derived(openCounts(this.all));

  /** The alert of this id, null if the stream has none. */
  of(id: string): Alert | null {
    return this.all.find((alert) => alert.id === id) ?? null;
  }
}

/** The one board of this page. */
export const board = new AlertBoard();
