/**
 * Values out of a table's row or out of JSON, each as what it is meant to be.
 *
 * A value of another type, or none at all, reads as null: a newer hub may add
 * and an older one lack; a wrong number must not appear.
 */
import type { Cell, Row } from '../stream/frames';
import type { Table } from '../stream/reducer';

/** Reads a column of a row by its name. */
export type Reader = (row: Row, column: string) => Cell;

/** A reader for the rows of `table`. */
export function readerOf(table: Pick<Table, 'cols'>): Reader {
  const index = new Map(table.cols.map((name, position) => [name, position]));
  return (row, column) => {
    const position = index.get(column);
    return position === undefined ? null : (row[position] ?? null);
  };
}

export const number = (value: unknown): number | null => (typeof value === 'number' ? value : null);
export const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);

/** The fields of an object; none of anything else. */
export const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

/** Labels or tags; only those whose value is a text. */
export const labels = (value: unknown): Record<string, string> =>
  Object.fromEntries(Object.entries(fields(value)).filter((pair): pair is [string, string] => typeof pair[1] === 'string'));

/** The members of a list; none of anything else. */
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** `value` if it is one of `words`. */
export function oneOf<Word extends string>(words: readonly Word[], value: unknown): Word | null {
  return words.find((word) => word === value) ?? null;
}
