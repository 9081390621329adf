//! Values as integers with places behind the point: most of what is measured is a short decimal, and integers compress.

use super::delta::scale_to_integer;

/// What an integer is divided by, by the number of its places behind the point.
pub(super) const SCALES: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// Beyond this, not every integer is an f64.
const EXACT_BELOW: u64 = 1 << 53;

/// Integers and the scale by which they give back exactly `values`, if there are any.
pub(super) fn integers(values: &[f64]) -> Option<(Vec<i64>, usize)> {
    let fits = |value: f64, scale: f64| {
        let integer = scale_to_integer(value, scale);
        (integer.unsigned_abs() < EXACT_BELOW
            && (integer as f64 / scale).to_bits() == value.to_bits())
        .then_some(integer)
    };
    // Most columns that fail do so at their first value: find its scale, then go up.
    let mut scale = 0;
    for value in values {
        while fits(*value, *SCALES.get(scale)?).is_none() {
            scale += 1;
        }
    }
    let divisor = SCALES[scale];
    let all: Option<Vec<i64>> = values.iter().map(|value| fits(*value, divisor)).collect();
    Some((all?, scale))
}

/// The places that all `values` have behind the point, if they are decimals; infinities are looked past.
pub(super) fn decimals(values: &[f64]) -> Option<usize> {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    Some(integers(&finite)?.1)
}

/// The decimal of `scale` places that is nearest.
pub(super) fn to_decimals(value: f64, scale: usize) -> f64 {
    SCALES.get(scale).map_or(value, |scale| (value * scale).round() / scale)
}
