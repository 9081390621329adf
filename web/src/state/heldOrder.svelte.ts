/**
 * Rows that do not change places while the pointer or the focus is among them:
 * what a hand is about to press must not move away.
 */
export class HeldOrder {
  /** True while rows keep their places. */
  held = $state(false);
  private frozen = $state.raw<readonly string[]>([]);

  /** `ordered` as it is shown: in the kept order while held, what is new at its end. */
  arrange<Item>(ordered: readonly Item[], idOf: (item: Item) => string): readonly Item[] {
    if (!this.held) return ordered;
    const place = new Map(this.frozen.map((id, i) => [id, i]));
    return [...ordered].sort((a, b) => (place.get(idOf(a)) ?? Infinity) - (place.get(idOf(b)) ?? Infinity) || 0);
  }

  /** Holds or lets go; `shown` are the ids as they stand now. */
  hold(on: boolean, shown: readonly string[]): void {
    if (on && !this.held) this.frozen = shown;
    this.held = on;
  }

  /** Takes another order although they are held. */
  settle(ids: readonly string[]): void {
    this.frozen = ids;
  }
}
