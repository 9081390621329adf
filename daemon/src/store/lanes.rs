//! Lanes: how frames of one collector that come in any order are kept in the order of their times.
//!
//! What comes from elsewhere is in order for each series, not for each collector: a sender cuts one instant into
//! several requests, and two senders fill in different hours. Every stream of the store only goes forward in time,
//! so a frame that is not newer than its stream's last goes into another stream beside it, a lane. Outside of log
//! and segments a collector and its lanes are one.

use std::sync::Arc;

/// Lanes of one collector, its own stream among them.
///
/// A sender that cuts 20,000 series into requests of 500 fills forty with one instant.
pub(super) const LANES_MAX: usize = 64;

/// What stands between a collector's name and the number of a lane: nothing a name would hold.
const MARK: char = '\u{1f}';

/// The name of a collector's lane; that of the first one is the collector's own.
pub(super) fn lane_name(collector: &Arc<str>, lane: usize) -> Arc<str> {
    match lane {
        0 => collector.clone(),
        _ => format!("{collector}{MARK}{}", lane + 1).into(),
    }
}

/// The collector that a stream belongs to.
pub(super) fn collector_of(stream: &str) -> &str {
    let is_lane =
        |number: &str| number.parse().is_ok_and(|number| (2..=LANES_MAX).contains(&number));
    match stream.rsplit_once(MARK) {
        Some((collector, number)) if is_lane(number) => collector,
        _ => stream,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_belongs_to_its_collector_and_nothing_else_does() {
        let collector: Arc<str> = "cpu~2".into();
        for lane in 0..LANES_MAX {
            assert_eq!(collector_of(&lane_name(&collector, lane)), &*collector);
        }
        assert_eq!(lane_name(&collector, 0), collector);
        for name in ["cpu\u{1f}", "cpu\u{1f}1", "cpu\u{1f}65", "cpu\u{1f}two"] {
            assert_eq!(collector_of(name), name);
        }
    }
}
