//! The frames of one collector as bytes, each told by what changed since the one before.
//!
//! ```text
//!  head: position in the chunk (0 = key frame), 0x80 if series are absent
//!  body: time · [present bits] · changed bits · a number for each changed value
//! ```
//!
//! A key frame is coded against zeroes, so it needs nothing that came before it.
//! Decimals of up to four places travel as the distance of scaled integers,
//! and only where that gives the same bits back; everything else, NaN payloads
//! and -0.0 among it, travels as it is. Absence is told by bits, never by a NaN.

use super::wire::{Input, put_i64, put_u64, unzigzag, zigzag};

/// Every so many frames one that stands alone; a chunk is a key frame and those up to the next.
pub(super) const CHUNK_FRAMES: u8 = 64;

const MASKED: u8 = 0x80;
const SCALES: [f64; 5] = [1.0, 10.0, 100.0, 1000.0, 10_000.0];
/// The scale of a value that is no short decimal.
const UNSCALED: u8 = u8::MAX;
/// Beyond this, not every integer is an f64.
const EXACT_BELOW: u64 = 1 << 53;

/// What coder and decoder both remember of a series.
#[derive(Debug, Clone, Copy)]
struct Column {
    bits: u64,
    scaled: i64,
    scale: u8,
}

const ZERO: Column = Column { bits: 0, scaled: 0, scale: 0 };

/// The memory between two frames; coder and decoder keep the same.
#[derive(Debug, Clone)]
pub(super) struct Delta {
    columns: Vec<Column>,
    position: u8,
    at_ms: i64,
}

/// What stands in a frame before its values.
struct Begun<'a> {
    at_ms: i64,
    /// The bits of the series that are present; none where all are.
    present: Option<&'a [u8]>,
    /// The bits of those that changed.
    changed: &'a [u8],
}

impl Delta {
    /// A memory for frames of `columns` series; the first frame is a key frame.
    pub(super) fn new(columns: usize) -> Self {
        Self { columns: vec![ZERO; columns], position: 0, at_ms: 0 }
    }

    /// Whether the next frame is a key frame.
    pub(super) fn at_key(&self) -> bool {
        self.position == 0
    }

    /// Appends the body of a frame and answers its head. `values` has one place
    /// for each column.
    pub(super) fn encode(&mut self, at_ms: i64, values: &[Option<f64>], out: &mut Vec<u8>) -> u8 {
        let mut head = self.position;
        if self.position == 0 {
            self.columns.fill(ZERO);
            put_i64(out, at_ms);
        } else {
            put_u64(out, at_ms.wrapping_sub(self.at_ms) as u64);
        }
        if values.iter().any(Option::is_none) {
            head |= MASKED;
            put_bits(out, values.iter().map(Option::is_some));
        }
        let columns = self.columns.iter();
        put_bits(out, columns.zip(values).map(|(column, value)| column.is_left_by(*value)));
        for (column, value) in self.columns.iter_mut().zip(values) {
            if let Some(value) = value
                && value.to_bits() != column.bits
            {
                column.encode(*value, out);
            }
        }
        self.advance(at_ms);
        head
    }

    /// Reads a frame back and answers its time; `None` if it does not follow the
    /// one before, or makes no sense. Each value is given with its column.
    pub(super) fn decode(
        &mut self,
        head: u8,
        input: &mut Input<'_>,
        mut each: impl FnMut(usize, f64),
    ) -> Option<i64> {
        let Begun { at_ms, present, changed } = self.begin(head, input)?;
        for (index, column) in self.columns.iter_mut().enumerate() {
            if bit(changed, index) {
                column.decode(input)?;
            }
            if present.is_none_or(|present| bit(present, index)) {
                each(index, f64::from_bits(column.bits));
            }
        }
        self.advance(at_ms);
        Some(at_ms)
    }

    /// Goes past a frame and answers its time, and which series are present; `None` of them where all are. Quicker than
    /// [`decode`](Self::decode), before which [`recall`](Self::recall) is due then.
    pub(super) fn follow<'a>(
        &mut self,
        head: u8,
        input: &mut Input<'a>,
    ) -> Option<(i64, Option<&'a [u8]>)> {
        let Begun { at_ms, present, changed } = self.begin(head, input)?;
        for (columns, changed) in self.columns.chunks_mut(8).zip(changed) {
            let mut changed = *changed;
            while changed != 0 {
                let index = changed.trailing_zeros() as usize;
                changed &= changed - 1;
                if let Some(column) = columns.get_mut(index) {
                    column.follow(input)?;
                }
            }
        }
        self.advance(at_ms);
        Some((at_ms, present))
    }

    /// Knows the values again of the frames that were followed.
    pub(super) fn recall(&mut self) {
        self.columns.iter_mut().for_each(Column::recall);
    }

    /// What stands before the values; `None` if it does not follow the frame before.
    fn begin<'a>(&mut self, head: u8, input: &mut Input<'a>) -> Option<Begun<'a>> {
        let position = head & !MASKED;
        let at_ms = if position == 0 {
            self.columns.fill(ZERO);
            self.position = 0;
            input.i64()?
        } else if position == self.position {
            self.at_ms.wrapping_add(input.u64()? as i64)
        } else {
            return None;
        };
        let bytes = self.columns.len().div_ceil(8);
        let present = if head & MASKED == 0 { None } else { Some(input.take(bytes)?) };
        Some(Begun { at_ms, present, changed: input.take(bytes)? })
    }

    fn advance(&mut self, at_ms: i64) {
        self.at_ms = at_ms;
        self.position = (self.position + 1) % CHUNK_FRAMES;
    }
}

impl Column {
    fn is_left_by(&self, value: Option<f64>) -> bool {
        value.is_some_and(|value| value.to_bits() != self.bits)
    }

    fn encode(&mut self, value: f64, out: &mut Vec<u8>) {
        if let Some(scaled) = scaled(value, self.scale) {
            put_u64(out, zigzag(scaled - self.scaled) << 1);
            self.scaled = scaled;
            self.bits = value.to_bits();
        } else {
            put_u64(out, 1);
            out.extend_from_slice(&value.to_bits().to_le_bytes());
            self.set(value.to_bits());
        }
    }

    fn decode(&mut self, input: &mut Input<'_>) -> Option<()> {
        self.follow(input)?;
        self.recall();
        Some(())
    }

    /// Takes the next value in, but for its bits where an integer gives them.
    fn follow(&mut self, input: &mut Input<'_>) -> Option<()> {
        let number = input.u64()?;
        if number & 1 == 1 {
            self.set(u64::from_le_bytes(input.array()?));
            return Some(());
        }
        if self.scale == UNSCALED {
            return None;
        }
        self.scaled = self.scaled.checked_add(unzigzag(number >> 1))?;
        Some(())
    }

    fn recall(&mut self) {
        if let Some(scale) = SCALES.get(usize::from(self.scale)) {
            self.bits = (self.scaled as f64 / scale).to_bits();
        }
    }

    /// Takes a value as it is and picks the scale for those that follow.
    fn set(&mut self, bits: u64) {
        self.bits = bits;
        self.scale = UNSCALED;
        for scale in 0..SCALES.len() as u8 {
            if let Some(scaled) = scaled(f64::from_bits(bits), scale) {
                (self.scale, self.scaled) = (scale, scaled);
                return;
            }
        }
    }
}

/// The bits of a frame that tell which series are present, without decoding it; `None` where all are.
pub(super) fn present_bits(head: u8, body: &[u8], columns: usize) -> Option<&[u8]> {
    let mut input = Input::new(body);
    // The time, signed or not, is as long.
    input.u64()?;
    if head & MASKED == 0 { None } else { input.take(columns.div_ceil(8)) }
}

/// The integer that gives exactly `value` when divided by the scale, if there is one.
fn scaled(value: f64, scale: u8) -> Option<i64> {
    let scale = SCALES.get(usize::from(scale))?;
    let scaled = scale_to_integer(value, *scale);
    (scaled.unsigned_abs() < EXACT_BELOW && (scaled as f64 / scale).to_bits() == value.to_bits())
        .then_some(scaled)
}

/// `value` × `scale`, rounded; whatever does not fit is cut.
pub(super) fn scale_to_integer(value: f64, scale: f64) -> i64 {
    let product = value * scale;
    (product + 0.5f64.copysign(product)) as i64
}

fn put_bits(out: &mut Vec<u8>, bits: impl ExactSizeIterator<Item = bool>) {
    let start = out.len();
    out.resize(start + bits.len().div_ceil(8), 0);
    for (index, _) in bits.enumerate().filter(|(_, bit)| *bit) {
        out[start + index / 8] |= 1 << (index % 8);
    }
}

/// Whether a bit is set.
pub(super) fn bit(bits: &[u8], index: usize) -> bool {
    bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Option<f64>> {
        prop_oneof![
            1 => Just(None),
            1 => Just(Some(-0.0)),
            2 => any::<u64>().prop_map(|bits| Some(f64::from_bits(bits))),
            4 => (-2_000_000i64..2_000_000, 0usize..5).prop_map(|(n, s)| Some(n as f64 / SCALES[s])),
            4 => any::<i64>().prop_map(|n| Some(n as f64)),
        ]
    }

    proptest! {
        #[test]
        fn frames_come_back_bit_for_bit(
            frames in proptest::collection::vec(
                (any::<i64>(), proptest::collection::vec(any_value(), 11)),
                1..150,
            )
        ) {
            let (mut coder, mut decoder) = (Delta::new(11), Delta::new(11));
            for (at_ms, values) in frames {
                let mut body = Vec::new();
                let head = coder.encode(at_ms, &values, &mut body);
                let mut input = Input::new(&body);
                let mut read = vec![None; 11];
                let time = decoder.decode(head, &mut input, |column, value| {
                    read[column] = Some(value.to_bits());
                });
                prop_assert_eq!(time, Some(at_ms));
                prop_assert!(input.is_empty());
                let written: Vec<_> = values.iter().map(|v| v.map(f64::to_bits)).collect();
                prop_assert_eq!(read, written);
            }
        }

        #[test]
        fn what_was_followed_is_known_again(
            frames in proptest::collection::vec(
                (any::<i64>(), proptest::collection::vec(any_value(), 11), any::<bool>()),
                1..150,
            )
        ) {
            let (mut coder, mut decoder, mut other) = (Delta::new(11), Delta::new(11), Delta::new(11));
            for (at_ms, values, follows) in frames {
                let mut body = Vec::new();
                let head = coder.encode(at_ms, &values, &mut body);
                let mut input = Input::new(&body);
                let mut expected = Vec::new();
                decoder.decode(head, &mut input, |column, value| expected.push((column, value.to_bits())));
                let mut input = Input::new(&body);
                if follows {
                    let (time, present) = other.follow(head, &mut input).unwrap();
                    prop_assert_eq!(time, at_ms);
                    let there = (0..11).filter(|index| present.is_none_or(|bits| bit(bits, *index)));
                    prop_assert!(there.eq(expected.iter().map(|(column, _)| *column)));
                } else {
                    other.recall();
                    let mut read = Vec::new();
                    other.decode(head, &mut input, |column, value| read.push((column, value.to_bits())));
                    prop_assert_eq!(read, expected);
                }
                prop_assert!(input.is_empty());
            }
        }
    }

    #[test]
    fn a_frame_that_does_not_follow_is_not_read() {
        let (mut coder, mut body) = (Delta::new(1), Vec::new());
        coder.encode(1, &[Some(1.0)], &mut body);
        body.clear();
        let head = coder.encode(2, &[Some(2.0)], &mut body);
        assert_eq!(Delta::new(1).decode(head, &mut Input::new(&body), |_, _| ()), None);
        body.clear();
        let head = Delta::new(1).encode(3, &[Some(3.0)], &mut body);
        let time = Delta::new(1).decode(head, &mut Input::new(&body), |_, value| {
            assert_eq!(value, 3.0);
        });
        assert_eq!(time.unwrap(), 3, "a key frame stands alone");
    }
}
