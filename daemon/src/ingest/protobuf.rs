//! Protocol buffers, as far as others send them: fields one after another, without copying.
//!
//! The format: <https://protobuf.dev/programming-guides/encoding/>.

/// Why a body is not what it says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// A length reaches beyond the end.
    #[error("it ends in the middle of a field")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("a number in it has more than ten bytes")]
    Varint,
    /// A field of a type that is not used any more, or of none.
    #[error("a field in it has the wire type {0}")]
    WireType(u8),
    /// A field with the number zero.
    #[error("a field in it has no number")]
    Number,
    /// Text that is none.
    #[error("a text in it is not UTF-8")]
    Text,
    /// A reference to a symbol that is not there, or half a pair of them.
    #[error("a series in it names a symbol that is not there")]
    Symbol,
    /// More parts than any honest sender makes.
    #[error("it has more than {0} {1}; send it in parts")]
    TooMany(usize, &'static str),
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Field<'a> {
    /// An integer of any type but the fixed ones.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32(u32),
}

/// The fields of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Of `message`.
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// Bytes that have not been read.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Skips the next fields that have this number, which is below 16, and hold bytes.
    #[inline]
    pub(super) fn skip_bytes(&mut self, number: u8) -> Result<(), Malformed> {
        while let Some((tag, mut rest)) = self.rest.split_first()
            && *tag == number << 3 | 2
        {
            self.rest = bytes(&mut rest).map(|_| rest)?;
        }
        Ok(())
    }

    /// Number and value of the next field.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = varint(&mut self.rest)?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Malformed::Number);
        }
        let value = match (tag & 7) as u8 {
            0 => Field::Varint(varint(&mut self.rest)?),
            1 => Field::Fixed64(u64::from_le_bytes(take(&mut self.rest)?)),
            2 => Field::Bytes(bytes(&mut self.rest)?),
            5 => Field::Fixed32(u32::from_le_bytes(take(&mut self.rest)?)),
            other => return Err(Malformed::WireType(other)),
        };
        Ok(Some((number, value)))
    }
}

/// Reads a number off the front of `bytes`.
#[inline]
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    // Most are tags and lengths of one byte.
    if let Some((&first, rest)) = bytes.split_first()
        && first < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(first));
    }
    let mut number = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *bytes = bytes.get(at + 1..).unwrap_or_default();
            return Ok(number);
        }
    }
    Err(if bytes.len() < 10 { Malformed::Truncated } else { Malformed::Varint })
}

/// Text, if it is some.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::Text)
}

/// Bytes behind their length.
#[inline]
fn bytes<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(varint(from)?).map_err(|_| Malformed::Truncated)?;
    let (bytes, rest) = from.split_at_checked(length).ok_or(Malformed::Truncated)?;
    *from = rest;
    Ok(bytes)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or(Malformed::Truncated)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the format's documentation.
    #[test]
    fn fields_are_read_as_they_are_documented() {
        check(&[0x08, 0x96, 0x01], &[(1, Field::Varint(150))]);
        check(b"\x12\x07testing", &[(2, Field::Bytes(b"testing"))]);
        check(&[0x0d, 1, 0, 0, 0], &[(1, Field::Fixed32(1))]);
        check(&[0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f], &[(1, Field::Fixed64(1f64.to_bits()))]);
    }

    #[test]
    fn what_is_no_message_is_named() {
        let refused = |bytes: &[u8]| {
            let mut fields = Fields::of(bytes);
            loop {
                match fields.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(error) => return Some(error),
                }
            }
        };
        assert_eq!(refused(b"\x12\x08testing"), Some(Malformed::Truncated));
        assert_eq!(refused(&[0x08, 0x80]), Some(Malformed::Truncated));
        assert_eq!(refused(&[0x08, 1, 0x80, 0x80]), Some(Malformed::Truncated));
        assert_eq!(refused(&[0xff; 11]), Some(Malformed::Varint));
        assert_eq!(refused(&[0x0b]), Some(Malformed::WireType(3)));
        assert_eq!(refused(&[0x00, 0x00]), Some(Malformed::Number));
    }

    #[track_caller]
    fn check(message: &[u8], expected: &[(u64, Field<'_>)]) {
        let mut fields = Fields::of(message);
        let mut read = Vec::new();
        while let Ok(Some(field)) = fields.next() {
            read.push(field);
        }
        assert_eq!((read.as_slice(), fields.left()), (expected, 0));
    }
}
