/**
 * Numbers as people read them. Bytes in powers of 1024, everything else in
 * powers of 1000; three significant digits, so that a column keeps its width.
 * A number that is not known is an en dash, never a zero.
 */

/** What stands where no number is known. */
export const UNKNOWN = '–';

const IEC = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const SI = ['', 'k', 'M', 'G', 'T'];

function digits(value: number): string {
  const size = Math.abs(value);
  if (size >= 100 || value === 0) return value.toFixed(0);
  return size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function scaled(value: number, base: number, names: readonly string[]): [string, string] {
  let step = 0;
  let rest = value;
  // 999.5 would print as 1000 of the smaller unit.
  while (Math.abs(rest) >= base - 0.5 && step < names.length - 1) {
    rest /= base;
    step++;
  }
  return [step === 0 && Number.isInteger(rest) ? String(rest) : digits(rest), names[step]!];
}

/** 0.4213 → "42.1 %" */
export function percent(ratio: number | null): string {
  if (ratio === null) return UNKNOWN;
  const value = ratio * 100;
  return `${value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} %`;
}

/** 1536 → "1.50 KiB" */
export function bytes(value: number | null): string {
  return value === null ? UNKNOWN : scaled(value, 1024, IEC).join(' ');
}

/** 1536 → "1.50 KiB/s" */
export function bytesPerSecond(value: number | null): string {
  return value === null ? UNKNOWN : `${bytes(value)}/s`;
}

/** 12345 → "12.3k" */
export function plain(value: number | null): string {
  return value === null ? UNKNOWN : scaled(value, 1000, SI).join('');
}

/** How values of one unit are written, and where their axis ends if that is fixed. */
export interface Unit {
  write(value: number | null): string;
  readonly range: readonly [number, number] | null;
  /** Steps of the axis are multiples of powers of this. */
  readonly base: 2 | 10;
}

/** The way to write a series' unit, as the API names it. An unknown one is appended. */
export function unitOf(name: string): Unit {
  const suffixed = (suffix: string): Unit => ({
    write: (value) => (value === null ? UNKNOWN : `${scaled(value, 1000, SI).join(' ').trim()}${suffix}`),
    range: null,
    base: 10,
  });
  switch (name) {
    case 'ratio':
      return { write: percent, range: [0, 1], base: 10 };
    case 'bytes':
      return { write: bytes, range: null, base: 2 };
    case 'bytes/s':
      return { write: bytesPerSecond, range: null, base: 2 };
    case 'seconds':
      return { write: secondsShort, range: null, base: 10 };
    case 'celsius':
      return { write: (value) => (value === null ? UNKNOWN : `${value.toFixed(1)} °C`), range: null, base: 10 };
    case 'hertz':
      return { write: (value) => (value === null ? UNKNOWN : scaled(value, 1000, SI).join(' ') + 'Hz'), range: null, base: 10 };
    case 'seconds/s':
      return suffixed(' s/s');
    case '':
    case '1':
    case 'count':
      return { write: plain, range: null, base: 10 };
    default:
      return name.endsWith('/s') ? suffixed('/s') : suffixed(` ${name}`);
  }
}

/** 0.0042 → "4.20 ms"; long ones in the largest unit that fits. */
function secondsShort(value: number | null): string {
  if (value === null) return UNKNOWN;
  const size = Math.abs(value);
  if (size !== 0 && size < 0.001) return `${digits(value * 1e6)} µs`;
  if (size !== 0 && size < 1) return `${digits(value * 1e3)} ms`;
  if (size < 120) return `${digits(value)} s`;
  if (size < 7_200) return `${digits(value / 60)} min`;
  if (size < 172_800) return `${digits(value / 3_600)} h`;
  return `${digits(value / 86_400)} d`;
}
