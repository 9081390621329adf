//! Durations as people write them: `500ms`, `5s`, `1m`, `2h`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// Reads a whole number and its unit: `ms`, `s`, `m` or `h`. Zero and what does not fit are none.
///
/// A `const fn`, so that `plugin!` can refuse a bad one while compiling.
#[must_use]
pub const fn parse_duration(text: &str) -> Option<Duration> {
    let bytes = text.as_bytes();
    let mut number: u64 = 0;
    let mut at = 0;
    while at < bytes.len() && bytes[at].is_ascii_digit() {
        let Some(tens) = number.checked_mul(10) else { return None };
        let Some(sum) = tens.checked_add((bytes[at] - b'0') as u64) else { return None };
        number = sum;
        at += 1;
    }
    let unit_ms: u64 = match bytes.split_at(at).1 {
        b"ms" => 1,
        b"s" => 1_000,
        b"m" => 60_000,
        b"h" => 3_600_000,
        _ => return None,
    };
    match number.checked_mul(unit_ms) {
        None | Some(0) => None,
        Some(ms) => Some(Duration::from_millis(ms)),
    }
}

/// Reads an optional duration of a manifest.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    match parse_duration(&text) {
        Some(duration) => Ok(Some(duration)),
        None => Err(D::Error::custom(format!(
            "{text:?} is no duration like \"500ms\", \"5s\" or \"1m\""
        ))),
    }
}
