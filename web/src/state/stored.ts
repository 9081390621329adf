/**
 * What this browser keeps for a visitor. One that refuses to keep anything
 * loses it at the end of the visit and nothing else.
 */

/** The kept text; null where there is none. */
export function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Keeps a text. */
export function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A private window may refuse; the choice then holds for this visit.
  }
}
