/** Numbers and times as they are written. */
import { expect, test } from 'vitest';
import { bytes, bytesPerSecond, percent, plain, unitOf } from './numbers';
import { axisMark, clock, secondsText, span } from './times';

test('bytes are in powers of 1024 with three digits', () => {
  expect([0, 1, 1023, 1536, 1024 ** 2 * 999, 1024 ** 3].map(bytes)).toEqual(['0 B', '1 B', '1023 B', '1.50 KiB', '999 MiB', '1.00 GiB']);
  expect(bytesPerSecond(1023.7)).toBe('1.00 KiB/s');
});

test('ratios, counts and seconds', () => {
  expect([0, 0.4213, 0.9996, 1].map(percent)).toEqual(['0.0 %', '42.1 %', '100 %', '100 %']);
  expect([0, 7, 999, 12_345, 2.5e6].map(plain)).toEqual(['0', '7', '999', '12.3k', '2.50M']);
  expect([0, 0.0042, 1.5, 600, 90_000].map(unitOf('seconds').write)).toEqual(['0 s', '4.20 ms', '1.50 s', '10.0 min', '25.0 h']);
  expect(unitOf('hertz').write(3.4e9)).toBe('3.40 GHz');
});

test('what is not known is never a number', () => {
  for (const unit of ['ratio', 'bytes', 'bytes/s', 'seconds', 'seconds/s', 'celsius', 'hertz', '', 'packets', '/s']) {
    expect(unitOf(unit).write(null), unit).toBe('–');
  }
});

test('a unit that is not known is appended', () => {
  expect([unitOf('packets').write(1_500), unitOf('/s').write(3), unitOf('volts').write(3.3)]).toEqual(['1.50 k packets', '3/s', '3.30 volts']);
});

test('lengths of time have two parts at most', () => {
  const words = { year: 'y', day: 'd', hour: 'h', minute: 'm', second: 's' };
  expect([-5, 12_000, 250_000, 3_600_000, 273_600_000].map((ms) => span(ms, words))).toEqual(['0s', '12s', '4m 10s', '1h 0m', '3d 4h']);
});

test('the axis says as much as tells its marks apart', () => {
  const noon = new Date(2026, 10, 23, 12, 5, 30).getTime();
  const midnight = new Date(2026, 10, 23).getTime();
  expect(clock(noon)).toBe('12:05:30');
  expect([axisMark(noon, 10_000), axisMark(noon, 300_000), axisMark(midnight, 300_000)]).toEqual(['12:05:30', '12:05', '11-23']);
});

test('tenths of a second are told while a length is short, and no sign', () => {
  const words = { year: 'y', day: 'd', hour: 'h', minute: 'm', second: 's' };
  expect([-4_240, 900, 59_900, 190_000].map((ms) => secondsText(ms, words))).toEqual(['4.2s', '0.9s', '59.9s', '3m 10s']);
});
