/**
 * Rows must not change places under a pointer or a focus: what a table listens
 * to, to say when somebody is among its rows.
 */

/** An action: tells `onhold` when the first of pointer and focus comes to `table`, and when the last has left. */
export function holding(table: HTMLElement, onhold: (on: boolean) => void): void {
  const come = (): void => onhold(true);
  table.addEventListener('pointerenter', come);
  table.addEventListener('focusin', come);
  table.addEventListener('pointerleave', () => onhold(table.contains(document.activeElement)));
  table.addEventListener('focusout', ({ relatedTarget }) => onhold(table.matches(':hover') || table.contains(relatedTarget as Node | null)));
}
