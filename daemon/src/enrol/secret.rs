//! The form of a token: `bz_`, what it is called, `_`, and 256 random bits; all in hexadecimal.
//!
//! The beginning lets people, and programs that look for secrets in files, see what it is. What it is called may be
//! seen by everybody; it says which hash the rest is held against.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const BEGINNING: &str = "bz_";
/// Digits of what it is called, and of the random bits.
const ID: usize = 8;
const BITS: usize = 64;

/// What is kept of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash([u8; 32]);

/// A token in the form of one.
pub(super) struct Secret<'a> {
    /// What it is called.
    pub(super) id: &'a str,
    whole: &'a str,
}

impl<'a> Secret<'a> {
    /// `text`, if it has the form of a token.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (id, bits) = text.strip_prefix(BEGINNING)?.split_once('_')?;
        (is_id(id) && is_hex(bits, BITS)).then_some(Self { id, whole: text })
    }

    pub(super) fn hash(&self) -> Hash {
        Hash(Sha256::digest(self.whole.as_bytes()).into())
    }
}

/// What `token` is called, if it has the form of one: that much of it may be shown.
pub fn token_id(token: &str) -> Option<&str> {
    Secret::parse(token).map(|secret| secret.id)
}

/// A new token, and what it is called. Fails only where the system has no randomness.
pub(super) fn random() -> Result<(String, Arc<str>), getrandom::Error> {
    let mut bytes = [0; (ID + BITS) / 2];
    getrandom::fill(&mut bytes)?;
    let digits = hex(&bytes);
    let (id, bits) = digits.split_at(ID);
    Ok((format!("{BEGINNING}{id}_{bits}"), id.into()))
}

/// Whether a token may be called so.
pub(super) fn is_id(text: &str) -> bool {
    is_hex(text, ID)
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl Hash {
    /// Whether both are the same; takes the same time wherever they differ.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// In hexadecimal, as it is kept.
    pub(super) fn text(&self) -> String {
        hex(&self.0)
    }

    /// The hash that is kept so.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() || !text.is_ascii() {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_made_and_nothing_else_is() {
        let (token, id) = random().unwrap();
        assert_eq!(token.len(), 76);
        let secret = Secret::parse(&token).unwrap();
        assert_eq!(secret.id, &*id);
        let hash = secret.hash();
        assert!(Hash::parse(&hash.text()).unwrap().is(&hash));
        let (other, _) = random().unwrap();
        assert!(!Secret::parse(&other).unwrap().hash().is(&hash));

        let upper = token.to_uppercase();
        let longer = format!("{token}0");
        for wrong in
            ["", "bz_", &token[1..], &token[..75], &longer, &upper, "bz_é_", &"0".repeat(64)]
        {
            assert!(Secret::parse(wrong).is_none(), "{wrong}");
        }
    }
}
