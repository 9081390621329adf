/** The time under the crosshair, shared by all charts of a page; null when it is on none. */
export class Pointer {
  timeMs = $state<number | null>(null);
}
