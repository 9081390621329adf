//! One round of collecting: the clock, the deadline, and the array that samples are written to.

use std::{
    mem::MaybeUninit,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant, SystemTime},
};

use crate::{
    abi::{BzSample, BzValue, FLOAT, NO_SERIES},
    context::Series,
};

/// Where one round's samples go. Writing one is a store of 16 bytes: no call, no allocation.
pub struct Out<'a> {
    pub(crate) free: std::slice::IterMut<'a, MaybeUninit<BzSample>>,
    pub(crate) dropped: u32,
    pub(crate) now_unix_ns: i64,
    pub(crate) deadline: Instant,
    pub(crate) cancelled: Option<&'a AtomicU32>,
}

impl Out<'_> {
    /// Writes a value that goes up and down. What is no number is passed on; the daemon counts it and stores nothing.
    pub fn gauge(&mut self, series: Series, value: f64) {
        self.write(series, 0, BzValue { f: value });
    }

    /// Writes a count as it stands, not its growth.
    pub fn counter(&mut self, series: Series, count: u64) {
        self.write(series, 0, BzValue { u: count });
    }

    /// Writes a count that has fractions, such as seconds, as it stands. Counts of whole things are exact above 2^53
    /// only with [`counter`](Self::counter).
    pub fn counter_f64(&mut self, series: Series, count: f64) {
        self.write(series, FLOAT, BzValue { f: count });
    }

    /// The time given to every sample of this round.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        let distance = Duration::from_nanos(self.now_unix_ns.unsigned_abs());
        let now = if self.now_unix_ns < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(distance)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(distance)
        };
        now.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Be back before this: afterwards the process is killed. Give it to whatever may wait.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the round is over, because of its deadline or of a shutdown. Ask in loops, and return when it is.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed) != 0)
    }

    fn write(&mut self, series: Series, flags: u32, value: BzValue) {
        if series.0 == NO_SERIES {
            return;
        }
        match self.free.next() {
            Some(slot) => {
                slot.write(BzSample { series: series.0, flags, v: value });
            }
            None => self.dropped = self.dropped.saturating_add(1),
        }
    }
}
