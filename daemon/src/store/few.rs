//! Short columns of integers, bit by bit: of few numbers a larger coder's own header is the most.
//!
//! ```text
//!  divisor · base, both as in `wire` · shape u8: the differences' order in its highest bit, the width k below
//!  bits, lowest first: of each number its upper part in ones and a zero, then its k lowest bits;
//!                      twelve ones say that its length in 6 bits and it itself follow
//! ```
//!
//! This is the code of Rice (1979), with a way out for what is far off. Numbers are what is above the least of them, or
//! their distances in zigzag; whichever is shorter.

use super::wire::{Input, put_i64, put_u64, unzigzag, zigzag};

/// More ones than a number's upper part has.
const WAY_OUT: u32 = 12;
/// So many bits are read at once.
const AT_ONCE: u32 = 56;
/// Bits that tell a length of up to 64, less one.
const LENGTH: u32 = 6;

const DISTANCES: u8 = 0x80;
/// Wider lower parts are not tried: a number of 54 bits is the largest there is.
const WIDTH_MAX: u32 = 54;

/// Appends integers that are less than 2^53.
pub(super) fn put_few(out: &mut Vec<u8>, integers: &[i64]) {
    let (Some(&least), Some(&first)) = (integers.iter().min(), integers.first()) else { return };
    let divisor = divisor_of(integers);
    let above: Vec<u64> = integers.iter().map(|n| ((n - least) / divisor).unsigned_abs()).collect();
    let pairs = integers.windows(2);
    let apart: Vec<u64> = pairs.map(|pair| zigzag((pair[1] - pair[0]) / divisor)).collect();
    let ((above_bits, above_width), (apart_bits, apart_width)) = (best(&above), best(&apart));
    put_u64(out, divisor.unsigned_abs());
    let numbers = if apart_bits < above_bits {
        put_i64(out, first);
        out.push(DISTANCES | apart_width as u8);
        (apart, apart_width)
    } else {
        put_i64(out, least);
        out.push(above_width as u8);
        (above, above_width)
    };
    let mut bits = BitsOut { out, held: 0u128, count: 0 };
    numbers.0.iter().for_each(|number| put_number(&mut bits, *number, numbers.1));
    bits.finish();
}

/// Reads what [`put_few`] wrote of `rows` integers.
pub(super) fn read_few(input: &mut Input<'_>, rows: usize) -> Option<Vec<i64>> {
    let divisor = input.u64()? as i64;
    let base = input.i64()?;
    let shape = input.u8()?;
    let width = u32::from(shape & !DISTANCES);
    if width > WIDTH_MAX {
        return None;
    }
    let mut bits = BitsIn { bytes: input.rest(), at: 0 };
    let mut integers = Vec::with_capacity(rows);
    if shape & DISTANCES == 0 {
        for _ in 0..rows {
            let above = number(&mut bits, width)? as i64;
            integers.push(base.wrapping_add(above.wrapping_mul(divisor)));
        }
        return Some(integers);
    }
    let mut integer = base;
    integers.push(integer);
    for _ in 1..rows {
        let apart = unzigzag(number(&mut bits, width)?);
        integer = integer.wrapping_add(apart.wrapping_mul(divisor));
        integers.push(integer);
    }
    Some(integers)
}

/// What divides all distances between integers; one where there are none.
pub(super) fn divisor_of(integers: &[i64]) -> i64 {
    let first = integers.first().copied().unwrap_or_default();
    integers.iter().fold(0, |divisor, n| common_divisor(divisor, n - first)).max(1)
}

fn common_divisor(mut one: i64, mut other: i64) -> i64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one.abs()
}

/// Bits that numbers take with the width that is best for them, and that width.
fn best(numbers: &[u64]) -> (u64, u32) {
    let sum = numbers.iter().fold(0u64, |sum, number| sum.saturating_add(*number));
    let mean = sum / numbers.len().max(1) as u64;
    // The mean's length is near the best; where few are far off, less is better.
    let most = (64 - mean.leading_zeros()).min(WIDTH_MAX);
    let widths = most.saturating_sub(6)..=most;
    let bits_of = |width| numbers.iter().map(|number| u64::from(bits_of(*number, width))).sum();
    widths.map(|width| (bits_of(width), width)).min().unwrap_or((0, 0))
}

fn bits_of(number: u64, width: u32) -> u32 {
    match number >> width {
        upper if upper < u64::from(WAY_OUT) => upper as u32 + 1 + width,
        _ => WAY_OUT + LENGTH + length_of(number),
    }
}

/// Bits of a number that has some.
fn length_of(number: u64) -> u32 {
    (64 - number.leading_zeros()).max(1)
}

fn put_number(bits: &mut BitsOut<'_>, number: u64, width: u32) {
    let upper = number >> width;
    if upper < u64::from(WAY_OUT) {
        bits.put((1 << upper) - 1, upper as u32 + 1);
        bits.put(number & ((1 << width) - 1), width);
    } else {
        let length = length_of(number);
        bits.put((1 << WAY_OUT) - 1, WAY_OUT);
        bits.put(u64::from(length - 1), LENGTH);
        bits.put(number, length);
    }
}

#[inline]
fn number(bits: &mut BitsIn<'_>, width: u32) -> Option<u64> {
    let upper = (!bits.peek()).trailing_zeros();
    if upper < WAY_OUT {
        bits.take(upper + 1)?;
        return Some(u64::from(upper) << width | bits.take(width)?);
    }
    bits.take(WAY_OUT)?;
    let length = bits.take(LENGTH)? as u32 + 1;
    bits.take(length)
}

struct BitsOut<'a> {
    out: &'a mut Vec<u8>,
    held: u128,
    count: u32,
}

impl BitsOut<'_> {
    /// Appends the `count` lowest bits of `bits`, which has no others.
    fn put(&mut self, bits: u64, count: u32) {
        self.held |= u128::from(bits) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    fn finish(self) {
        if self.count > 0 {
            self.out.push(self.held as u8);
        }
    }
}

struct BitsIn<'a> {
    bytes: &'a [u8],
    /// Number of the next bit.
    at: usize,
}

impl BitsIn<'_> {
    /// The next bits, 57 at least; zeros where there are no more.
    #[inline]
    fn peek(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let held = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut held = [0; 8];
            held.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
            held
        });
        u64::from_le_bytes(held) >> (self.at % 8)
    }

    /// The next `count` bits, at most 64; `None` if there are not as many.
    #[inline]
    fn take(&mut self, count: u32) -> Option<u64> {
        if count > AT_ONCE {
            let low = self.take(AT_ONCE)?;
            return Some(low | self.take(count - AT_ONCE)? << AT_ONCE);
        }
        let bits = self.peek() & ((1 << count) - 1);
        self.at += count as usize;
        (self.at <= self.bytes.len() * 8).then_some(bits)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use proptest::prelude::*;

    use super::*;

    const MOST: i64 = (1 << 53) - 1;

    fn numbers() -> impl Strategy<Value = i64> {
        prop_oneof![-MOST..=MOST, -9i64..9, (0i64..1000).prop_map(|n| n * 4096)]
    }

    proptest! {
        #[test]
        fn integers_come_back(integers in proptest::collection::vec(numbers(), 1..100)) {
            let mut bytes = Vec::new();
            put_few(&mut bytes, &integers);
            let back = read_few(&mut Input::new(&bytes), integers.len()).unwrap();
            prop_assert_eq!(back, integers);
        }

        #[test]
        fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64), rows in 1..99usize) {
            if let Some(read) = read_few(&mut Input::new(&bytes), rows) {
                prop_assert_eq!(read.len(), rows);
            }
        }
    }

    #[test]
    fn what_hardly_changes_takes_a_bit_each() {
        let size = |integers: &[i64]| {
            let mut bytes = Vec::new();
            put_few(&mut bytes, integers);
            bytes.len()
        };
        let mut nearly = [59_000; 36];
        nearly[35] = 11_000;
        assert!(size(&nearly) < 16, "{}", size(&nearly));
        let small: Vec<i64> = (0..36).map(|row| row * row % 7 * 4096).collect();
        assert!(size(&small) < 20, "{}", size(&small));
    }
}
