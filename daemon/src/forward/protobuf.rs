//! Protocol buffers as far as remote write needs them: what both versions write alike.
//!
//! Fields that hold their default are left out, as proto3 wants it.

/// Wire type of numbers of variable length.
const VARINT: u8 = 0;
/// Wire type of eight bytes.
const FIXED64: u8 = 1;
/// Wire type of bytes with their length before them.
const BYTES: u8 = 2;
/// Field of a time series that holds a sample, in both versions.
const SAMPLES: u8 = 2;

const fn tag(field: u8, wire_type: u8) -> u8 {
    field << 3 | wire_type
}

/// Bytes of a number of variable length.
pub(super) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// A number of variable length.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A number as a field; nothing if it is zero. Fields up to 15 only.
pub(super) fn put_number(out: &mut Vec<u8>, field: u8, value: u64) {
    if value != 0 {
        out.push(tag(field, VARINT));
        put_varint(out, value);
    }
}

/// Begin of a field of `length` bytes, which follow.
pub(super) fn put_begin(out: &mut Vec<u8>, field: u8, length: usize) {
    out.push(tag(field, BYTES));
    put_varint(out, length as u64);
}

/// Text or bytes as a field, even if empty: a repeated field has a place for it.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    put_begin(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

/// Bytes of a sample with its field around it.
pub(super) fn sample_len(at_ms: i64, value: f64) -> usize {
    2 + inner_len(at_ms, value)
}

fn inner_len(at_ms: i64, value: f64) -> usize {
    let time = if at_ms == 0 { 0 } else { 1 + varint_len(at_ms.cast_unsigned()) };
    time + if value.to_bits() == 0 { 0 } else { 9 }
}

/// A sample of a time series.
pub(super) fn put_sample(out: &mut Vec<u8>, at_ms: i64, value: f64) {
    put_begin(out, SAMPLES, inner_len(at_ms, value));
    // Only plus zero is the default.
    if value.to_bits() != 0 {
        out.push(tag(1, FIXED64));
        out.extend_from_slice(&value.to_le_bytes());
    }
    put_number(out, 2, at_ms.cast_unsigned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_length_that_is_said() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
        }
        let mut out = Vec::new();
        put_varint(&mut out, 300);
        assert_eq!(out, [0xac, 0x02], "as the documentation of protocol buffers has it");
    }

    #[test]
    fn a_sample_has_the_length_that_is_said() {
        let times = [0, 1, 1_700_000_000_000, -1];
        for (at_ms, value) in times.into_iter().zip([0.0, -0.0, 1.5, f64::NAN]) {
            let mut out = Vec::new();
            put_sample(&mut out, at_ms, value);
            assert_eq!(out.len(), sample_len(at_ms, value), "{at_ms} {value}");
            assert_eq!(out.len(), 2 + usize::from(out[1]));
        }
    }
}
