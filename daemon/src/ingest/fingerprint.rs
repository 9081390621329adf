//! What a set of labels is known by, so that nobody has to compare it name by name.
//!
//! A fingerprint is SipHash-1-3 with 128 bits under keys that nobody outside knows: no sender can make two sets of
//! labels that are taken for one another.

use siphasher::sip128::{Hash128, SipHasher13};

/// 128 bits that stand for a set of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u64; 2]);

/// The keys. Those of one process take the same labels for the same, and no other does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    first: u64,
    second: u64,
}

/// What bytes are a fingerprint of: equal bytes of two shapes are no equal labels.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// The labels of a series of remote write 1.0, as they were sent.
    V1 = 1,
    /// The symbols of a series of remote write 2.0, and what is said of it.
    V2 = 2,
    /// A symbol of remote write 2.0.
    Symbol = 3,
    /// Names and values, each with its length.
    Pairs = 4,
}

impl Keys {
    /// New ones.
    pub(super) fn random() -> Self {
        let random = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        Self { first: random(), second: random() }
    }

    /// The fingerprint of `bytes`.
    #[inline]
    pub(super) fn of(self, shape: Shape, bytes: &[u8]) -> Fingerprint {
        let hasher = SipHasher13::new_with_keys(self.first ^ shape as u64, self.second);
        let Hash128 { h1, h2 } = hasher.hash(bytes);
        Fingerprint([h1, h2])
    }
}

impl Fingerprint {
    /// Its bytes, to be part of another.
    pub(super) fn bytes(self) -> [u8; 16] {
        (u128::from(self.0[0]) | u128::from(self.0[1]) << 64).to_le_bytes()
    }

    /// Its place in a hash table: it is as random as one can be.
    pub(super) fn hash(self) -> u64 {
        self.0[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_of_one_shape_are_equal_and_nothing_else_is() {
        let (keys, others) = (Keys::random(), Keys::random());
        let print = keys.of(Shape::V1, b"\x0a\x02ab");
        assert_eq!(print, keys.of(Shape::V1, b"\x0a\x02ab"));
        assert_ne!(print, keys.of(Shape::V1, b"\x0a\x02ac"));
        assert_ne!(print, keys.of(Shape::V2, b"\x0a\x02ab"));
        assert_ne!(print, others.of(Shape::V1, b"\x0a\x02ab"));
    }
}
