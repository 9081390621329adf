//! Columns of a segment: the times of a group of rows, and the values of a series.
//!
//! The first form that fits is taken, for integers the shorter of two where they are written for good, and only if
//! decoding it gives back the very same bits; so NaN payloads, -0.0 and infinities come back as they were.
//!
//! ```text
//!  times    0x00 regular: first, step       0x01 pco: first, distances of distances
//!  values   0x4k all equal, an integer / 10^k       0x60 all equal, 8 bytes
//!           0x5k a line: first, step, / 10^k        0x30 pco over f64
//!           0x8k pco over i32: (x - first) / divisor, / 10^k     0x9k the same over i64
//!           0x31 pco over the bits, for what nothing else brings back
//!           0xak few of them, / 10^k, as in `few`                   0x70 few of them, 8 bytes each
//! ```

use pco::{
    ChunkConfig, DeltaSpec, ModeSpec,
    data_types::Number,
    wrapped::{FileCompressor, FileDecompressor},
};

use super::{
    decimal::{SCALES, integers},
    few::{divisor_of, put_few, read_few},
    wire::{Input, put_i64},
};

/// No column is longer.
pub(super) const ROWS_MAX: usize = 4096;

const TIMES_REGULAR: u8 = 0x00;
const TIMES_PCO: u8 = 0x01;
const PCO_F64: u8 = 0x30;
const PCO_BITS: u8 = 0x31;
const EQUAL: u8 = 0x40;
const LINE: u8 = 0x50;
const EQUAL_BITS: u8 = 0x60;
const PCO_I32: u8 = 0x80;
const PCO_I64: u8 = 0x90;
const FEW_INTEGERS: u8 = 0xa0;
const FEW_BITS: u8 = 0x70;

/// Of fewer values pco's own header is the most: of integers, where they come fresh; where the shortest is looked for;
/// and of what are no integers.
const FEW_FRESH_MOST: usize = 384;
const FEW_SETTLED_MOST: usize = 1024;
const FEW_OTHERS_MOST: usize = 48;

/// How much work it is worth to write less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// As samples come: it will be written once more.
    Fresh,
    /// For good: 2 % smaller, for a third of the speed.
    Settled,
}

impl Effort {
    /// pco's compression level.
    fn level(self) -> usize {
        match self {
            Self::Fresh => 4,
            Self::Settled => 8,
        }
    }
}

/// Appends the times of a group, which must ascend.
pub(super) fn put_times(out: &mut Vec<u8>, times: &[i64]) {
    let first = times.first().copied().unwrap_or_default();
    let step = times.get(1).map_or(0, |second| second.wrapping_sub(first));
    let regular =
        (0i64..).zip(times).all(|(row, time)| *time == first.wrapping_add(step.wrapping_mul(row)));
    if regular {
        out.push(TIMES_REGULAR);
        put_i64(out, first);
        put_i64(out, step);
        return;
    }
    out.push(TIMES_PCO);
    put_i64(out, first);
    // Jitter around a steady step is what remains of the first distances.
    let steps: Vec<i64> = times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    put_pco(out, &steps, DeltaSpec::TryConsecutive(order(&steps)), Effort::Fresh);
}

/// Reads the times of a group of `rows`.
pub(super) fn read_times(bytes: &[u8], rows: usize) -> Option<Vec<i64>> {
    let mut input = Input::new(bytes);
    if rows == 0 || rows > ROWS_MAX {
        return None;
    }
    let form = input.u8()?;
    let mut time = input.i64()?;
    let mut times = Vec::with_capacity(rows);
    times.push(time);
    match form {
        TIMES_REGULAR => {
            let step = input.i64()?;
            times.extend((1..rows).map(|_| {
                time = time.wrapping_add(step);
                time
            }));
        }
        TIMES_PCO => {
            times.extend(read_pco::<i64>(input.rest(), rows - 1)?.into_iter().map(|step| {
                time = time.wrapping_add(step);
                time
            }));
        }
        _ => return None,
    }
    Some(times)
}

/// Appends the values of a series.
pub(super) fn put_values(out: &mut Vec<u8>, values: &[f64], effort: Effort) {
    let start = out.len();
    if let Some((first, rest)) = values.split_first()
        && rest.iter().all(|value| value.to_bits() == first.to_bits())
    {
        put_equal(out, *first);
    } else if let Some((integers, scale)) = integers(values) {
        put_integers(out, &integers, scale, effort);
    } else if values.len() < FEW_OTHERS_MOST {
        out.push(FEW_BITS);
        values.iter().for_each(|value| out.extend_from_slice(&value.to_bits().to_le_bytes()));
        return;
    } else {
        out.push(PCO_F64);
        put_any_pco(out, values, effort);
    }
    let back = read_values(&out[start..], values.len());
    if back.is_none_or(|back| !same_bits(&back, values)) {
        out.truncate(start);
        out.push(PCO_BITS);
        let bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        put_any_pco(out, &bits, effort);
    }
}

/// Reads the `rows` values of a series.
pub(super) fn read_values(bytes: &[u8], rows: usize) -> Option<Vec<f64>> {
    if rows == 0 || rows > ROWS_MAX {
        return None;
    }
    let mut input = Input::new(bytes);
    let form = input.u8()?;
    let scale = *SCALES.get(usize::from(form & 0x0f))?;
    let scaled = |integer: i64| integer as f64 / scale;
    Some(match form & 0xf0 {
        EQUAL => vec![scaled(input.i64()?); rows],
        LINE => {
            let (first, step) = (input.i64()?, input.i64()?);
            let at = |row| scaled(first.wrapping_add(step.wrapping_mul(row)));
            (0..).take(rows).map(at).collect()
        }
        EQUAL_BITS => vec![f64::from_bits(u64::from_le_bytes(input.array()?)); rows],
        PCO_I32 => {
            let (first, divisor) = (input.i64()?, input.i64()?);
            let integers = read_pco::<i32>(input.rest(), rows)?.into_iter().map(i64::from);
            integers.map(|n| scaled(first.wrapping_add(n.wrapping_mul(divisor)))).collect()
        }
        PCO_I64 => {
            let (first, divisor) = (input.i64()?, input.i64()?);
            let integers = read_pco::<i64>(input.rest(), rows)?.into_iter();
            integers.map(|n| scaled(first.wrapping_add(n.wrapping_mul(divisor)))).collect()
        }
        FEW_INTEGERS => read_few(&mut input, rows)?.into_iter().map(scaled).collect(),
        FEW_BITS => {
            let bits = input.take(rows.checked_mul(8)?)?.chunks_exact(8);
            bits.filter_map(|bits| Some(f64::from_le_bytes(bits.try_into().ok()?))).collect()
        }
        _ if form == PCO_F64 => read_pco::<f64>(input.rest(), rows)?,
        _ if form == PCO_BITS => {
            read_pco::<u64>(input.rest(), rows)?.into_iter().map(f64::from_bits).collect()
        }
        _ => return None,
    })
}

fn put_equal(out: &mut Vec<u8>, value: f64) {
    if let Some((integers, scale)) = integers(&[value]) {
        out.push(EQUAL | scale as u8);
        put_i64(out, integers[0]);
    } else {
        out.push(EQUAL_BITS);
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

fn put_integers(out: &mut Vec<u8>, integers: &[i64], scale: usize, effort: Effort) {
    let first = integers[0];
    let step = integers.get(1).map_or(0, |second| second - first);
    if integers.windows(2).all(|pair| pair[1] - pair[0] == step) {
        out.push(LINE | scale as u8);
        put_i64(out, first);
        put_i64(out, step);
        return;
    }
    let few_most = match effort {
        Effort::Fresh => FEW_FRESH_MOST,
        Effort::Settled => FEW_SETTLED_MOST,
    };
    if integers.len() < few_most {
        let start = out.len();
        out.push(FEW_INTEGERS | scale as u8);
        put_few(out, integers);
        if effort == Effort::Settled {
            shorten(out, start, |other| put_pco_integers(other, integers, scale, effort));
        }
        return;
    }
    put_pco_integers(out, integers, scale, effort);
}

fn put_pco_integers(out: &mut Vec<u8>, integers: &[i64], scale: usize, effort: Effort) {
    let first = integers[0];
    let divisor = divisor_of(integers);
    let reduced: Vec<i64> = integers.iter().map(|n| (n - first) / divisor).collect();
    let narrow: Result<Vec<i32>, _> = reduced.iter().map(|n| i32::try_from(*n)).collect();
    out.push(if narrow.is_ok() { PCO_I32 } else { PCO_I64 } | scale as u8);
    put_i64(out, first);
    put_i64(out, divisor);
    match narrow {
        Ok(narrow) => put_shortest(out, &narrow, order(&reduced), effort),
        Err(_) => put_shortest(out, &reduced, order(&reduced), effort),
    }
}

/// Appends numbers with differences taken as often as `guess` says; where it is for good, as often as is shortest.
fn put_shortest<T: Number>(out: &mut Vec<u8>, numbers: &[T], guess: usize, effort: Effort) {
    let start = out.len();
    put_pco(out, numbers, DeltaSpec::TryConsecutive(guess), effort);
    if effort == Effort::Settled {
        for order in (0..3).filter(|order| *order != guess) {
            let delta = DeltaSpec::TryConsecutive(order);
            shorten(out, start, |other| put_pco(other, numbers, delta, effort));
        }
    }
}

/// Puts another form in the place of what stands from `start` on, if it is shorter.
fn shorten(out: &mut Vec<u8>, start: usize, put: impl FnOnce(&mut Vec<u8>)) {
    let mut other = Vec::new();
    put(&mut other);
    if other.len() < out.len() - start {
        out.truncate(start);
        out.append(&mut other);
    }
}

/// How often to take differences until the numbers are shortest, at most twice.
fn order(numbers: &[i64]) -> usize {
    let length = |numbers: &[i64]| -> u64 {
        numbers.iter().map(|n| u64::from(64 - n.unsigned_abs().leading_zeros())).sum()
    };
    let differences =
        |numbers: &[i64]| numbers.windows(2).map(|p| p[1].wrapping_sub(p[0])).collect::<Vec<_>>();
    let once = differences(numbers);
    let lengths = [length(numbers), length(&once), length(&differences(&once))];
    (0..3).min_by_key(|order| lengths[*order]).unwrap_or(1)
}

fn put_pco<T: Number>(out: &mut Vec<u8>, numbers: &[T], delta: DeltaSpec, effort: Effort) {
    let config = ChunkConfig::default()
        .with_compression_level(effort.level())
        .with_mode_spec(ModeSpec::Classic)
        .with_delta_spec(delta);
    compress(out, numbers, &config);
}

fn put_any_pco<T: Number>(out: &mut Vec<u8>, numbers: &[T], effort: Effort) {
    compress(out, numbers, &ChunkConfig::default().with_compression_level(effort.level()));
}

fn compress<T: Number>(out: &mut Vec<u8>, numbers: &[T], config: &ChunkConfig) {
    let file = FileCompressor::default();
    let written = file.chunk_compressor(numbers, config).and_then(|mut chunk| {
        let out = file.write_header(out)?;
        chunk.write_page(0, chunk.write_meta(out)?)?;
        Ok(())
    });
    // Only an invalid configuration or a failing writer is an error; neither is there.
    debug_assert!(written.is_ok(), "pco refused {} numbers", numbers.len());
}

fn read_pco<T: Number + Default>(bytes: &[u8], rows: usize) -> Option<Vec<T>> {
    let (file, rest) = FileDecompressor::new(bytes).ok()?;
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest).ok()?;
    let mut numbers = vec![T::default(); rows];
    let progress = chunk.page_decompressor(rest, rows).ok()?.read(&mut numbers).ok()?;
    (progress.n_processed == rows).then_some(numbers)
}

fn same_bits(one: &[f64], other: &[f64]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| one.to_bits() == other.to_bits())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use proptest::prelude::*;

    use super::*;

    fn any_bits() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            Just(-0.0),
            Just(f64::INFINITY),
            Just(f64::from_bits(0x7ff8_0000_0000_beef)),
            (-1_000_000i64..1_000_000).prop_map(|n| n as f64 / 1000.0),
        ]
    }

    fn columns() -> impl Strategy<Value = Vec<f64>> {
        let length = 1..300usize;
        prop_oneof![
            proptest::collection::vec(any_bits(), length.clone()),
            (any_bits(), length.clone()).prop_map(|(value, n)| vec![value; n]),
            (any::<i32>(), any::<i32>(), length.clone()).prop_map(|(a, b, n)| (0..n)
                .map(|i| f64::from(a) + f64::from(b) * i as f64)
                .collect()),
            proptest::collection::vec(
                (0u64..1 << 50).prop_map(|n| (n * 512) as f64),
                length.clone()
            ),
            proptest::collection::vec((-9_999i64..9_999).prop_map(|n| n as f64 / 100.0), length),
        ]
    }

    proptest! {
        #[test]
        fn values_come_back_bit_for_bit(values in columns(), settled in any::<bool>()) {
            let effort = if settled { Effort::Settled } else { Effort::Fresh };
            let mut bytes = Vec::new();
            put_values(&mut bytes, &values, effort);
            let back = read_values(&bytes, values.len()).unwrap();
            prop_assert!(same_bits(&back, &values));
        }

        #[test]
        fn times_come_back(times in proptest::collection::vec(any::<i64>(), 1..300)) {
            let mut bytes = Vec::new();
            put_times(&mut bytes, &times);
            prop_assert_eq!(read_times(&bytes, times.len()).unwrap(), times);
        }

        #[test]
        fn damaged_columns_do_no_harm(values in columns(), at in any::<usize>(), bit in 0u8..8) {
            let mut bytes = Vec::new();
            put_values(&mut bytes, &values, Effort::Fresh);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Some(read) = read_values(&bytes, values.len()) {
                prop_assert_eq!(read.len(), values.len());
            }
        }
    }

    #[test]
    fn what_hardly_changes_hardly_takes_room() {
        let size = |values: &[f64]| {
            let mut bytes = Vec::new();
            put_values(&mut bytes, values, Effort::Settled);
            bytes.len()
        };
        assert!(size(&[7.25; 1024]) <= 4);
        assert!(size(&(0..1024).map(|row| f64::from(row) * 100.0).collect::<Vec<_>>()) <= 6);
        let steps: Vec<_> = (0..1024).map(|row| f64::from(row / 50) * 4096.0).collect();
        assert!(size(&steps) < 128, "multiples of a page");
    }
}
