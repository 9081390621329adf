//! The one bit of a server: whether it is normal.
//!
//! The formula as it was asked for: with samples (x, y, z, w) and thresholds (θx, θy, θz, θw), a server is normal
//! exactly if every sample is at most its threshold.

/// Whether all samples are within their limits, given of each whether it is beyond: no if any is beyond, unknown
/// if none is and any is unknown or there is none at all.
pub fn normal(beyond: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let (mut any, mut unknown) = (false, false);
    for beyond in beyond {
        match beyond {
            Some(true) => return Some(false),
            Some(false) => any = true,
            None => unknown = true,
        }
    }
    (any && !unknown).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Side;

    /// The request's own example, which it called normal against its own formula.
    #[test]
    fn the_example_of_the_request_is_abnormal() {
        const GBIT: f64 = 1e9 / 8.0;
        const GB: f64 = 1e9;
        let samples = [0.8, 0.9, 10.0 * GBIT, 20.0 * GB];
        let thresholds = [0.5, 0.5, 5.0 * GBIT, 10.0 * GB];
        let beyond =
            |(sample, threshold): (f64, f64)| Some(Side::Above.is_beyond(sample, threshold));

        assert_eq!(normal(samples.into_iter().zip(thresholds).map(beyond)), Some(false));
        assert_eq!(
            normal(thresholds.into_iter().zip(thresholds).map(beyond)),
            Some(true),
            "at most"
        );
    }

    #[test]
    fn one_that_is_unknown_hides_no_breach_and_lets_nothing_pass_for_normal() {
        assert_eq!(normal([Some(false), None]), None);
        assert_eq!(normal([None, Some(true)]), Some(false));
        assert_eq!(normal([]), None, "nothing is known");
    }
}
