/** Which lines of a long list are near the viewport. Pure. */

/** Lines `start` to before `end` exist; empty space of so many pixels stands for the others. */
export interface Window {
  readonly start: number;
  readonly end: number;
  readonly above: number;
  readonly below: number;
}

/** The lines between two heights, both from the top of the list; at least one, however far it was scrolled. */
export function windowOf<Line>(lines: readonly Line[], heightOf: (line: Line) => number, fromPx: number, toPx: number): Window {
  let [start, end, above, below, top] = [0, 0, 0, 0, 0];
  lines.forEach((line, i) => {
    const height = heightOf(line);
    const isLast = i === lines.length - 1;
    if (top + height <= fromPx && !isLast) {
      above += height;
      start = i + 1;
      end = i + 1;
    } else if (top < toPx || start === i) {
      end = i + 1;
    } else {
      below += height;
    }
    top += height;
  });
  return { start, end, above, below };
}
