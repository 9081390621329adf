//! Values and times as decimals that are the same when read again.

/// Between these, a value is written without an exponent.
const PLAIN: std::ops::Range<f64> = 1e-5..1e17;

/// Appends the shortest decimal that is `value` when read again.
pub(super) fn put_value(out: &mut String, value: f64) {
    use std::fmt::Write;
    let magnitude = value.abs();
    // Writing to a text cannot fail.
    let _ = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if magnitude == 0.0 || PLAIN.contains(&magnitude) {
        write!(out, "{value}")
    } else {
        write!(out, "{value:e}")
    };
}

/// Appends seconds since 1970, with a fraction where `at_ms` is no whole second.
pub(super) fn put_seconds(out: &mut String, at_ms: i64) {
    use std::fmt::Write;
    let (seconds, millis) = (at_ms.unsigned_abs() / 1000, at_ms.unsigned_abs() % 1000);
    let sign = if at_ms < 0 { "-" } else { "" };
    // Writing to a text cannot fail.
    let _ = match millis {
        0 => write!(out, "{sign}{seconds}"),
        _ => write!(out, "{sign}{seconds}.{millis:03}"),
    };
}

/// Appends a value as CSV has it: the bits of an unusual NaN too.
pub(super) fn put_value_bits(out: &mut String, value: f64) {
    put_value(out, value);
    if value.is_nan() && value.to_bits() != f64::NAN.to_bits() {
        use std::fmt::Write;
        let _ = write!(out, ":{:016x}", value.to_bits());
    }
}

/// The value that [`put_value_bits`] wrote, or any other decimal.
pub(super) fn value_of(text: &str) -> Option<f64> {
    match text.strip_prefix("NaN:") {
        Some(bits) => {
            let value = f64::from_bits(u64::from_str_radix(bits, 16).ok()?);
            value.is_nan().then_some(value)
        }
        None => text.parse().ok(),
    }
}
