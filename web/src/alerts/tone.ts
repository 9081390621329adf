/**
 * The two tones, made by the browser itself: no file is loaded. A browser lets
 * no page sound before a person has touched it; until then `ready` is false.
 */
import type { Severity } from './rows';

/** One note: hertz, start and length in seconds, loudness 0..1. */
type Note = readonly [pitch: number, start: number, length: number, loudness: number];

/** Critical: a falling pair, twice. A warning: one low note. */
const NOTES: Readonly<Record<Severity, readonly Note[]>> = {
  critical: [
    [880, 0, 0.16, 0.35],
    [659, 0.18, 0.22, 0.35],
    [880, 0.5, 0.16, 0.35],
    [659, 0.68, 0.3, 0.35],
  ],
  warning: [[523, 0, 0.4, 0.14]],
};

/** Shortest rise and fall of a note that does not click. */
const EDGE_S = 0.02;

/** See the module. */
export class Tones {
  private context: AudioContext | null = null;

  get ready(): boolean {
    return this.context?.state === 'running';
  }

  /** Asks the browser for its leave, best from within a click; true if it was given. */
  async wake(): Promise<boolean> {
    try {
      this.context ??= new AudioContext();
      // Without a person's touch this promise would stay open for ever.
      await Promise.race([this.context.resume(), new Promise((resolve) => setTimeout(resolve, 500))]);
    } catch {
      // A browser without sound is one that gives no leave.
    }
    return this.ready;
  }

  /** Sounds at once; false if it could not. */
  play(level: Severity): boolean {
    const { context } = this;
    if (!context || !this.ready) return false;
    for (const [pitch, start, length, loudness] of NOTES[level]) {
      const [from, to] = [context.currentTime + start, context.currentTime + start + length];
      const note = context.createOscillator();
      const gain = context.createGain();
      note.frequency.value = pitch;
      gain.gain.setValueAtTime(0, from);
      gain.gain.linearRampToValueAtTime(loudness, from + EDGE_S);
      gain.gain.setValueAtTime(loudness, to - EDGE_S);
      gain.gain.linearRampToValueAtTime(0, to);
      note.connect(gain).connect(context.destination);
      note.start(from);
      note.stop(to);
    }
    return true;
  }
}
