/**
 * Single keys and two-key sequences. Nothing is taken from a field that is
 * being typed into, nor from a key held with Ctrl, Alt or Meta.
 */

/** Longest pause between the two keys of a sequence. */
const SEQUENCE_MS = 1_200;

/** What a key or a sequence ("g w") does. */
export type Bindings = Readonly<Record<string, () => void>>;

/** See the module. */
export class Keyboard {
  private first: { key: string; atMs: number } | null = null;

  constructor(private readonly bindings: Bindings) {}

  press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const typing = event.target instanceof Element && event.target.closest('input, select, textarea') !== null;
    if (typing && event.key !== 'Escape') return;
    const sequence = this.sequence(event.key, event.timeStamp);
    const action = this.bindings[sequence] ?? this.bindings[event.key];
    if (!action) return;
    event.preventDefault();
    this.first = null;
    action();
  }

  private sequence(key: string, atMs: number): string {
    const first = this.first;
    this.first = { key, atMs };
    return first && atMs - first.atMs < SEQUENCE_MS ? `${first.key} ${key}` : key;
  }
}
