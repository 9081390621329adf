//! The series of one target, known by the very bytes that a page writes them with.
//!
//! A page is written alike each time, in the same order: the next line is compared with what stood there the last
//! time, and only where it differs is it looked up, and only where it is new is it understood.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use super::{
    family::Family,
    identity::{Identity, Naming},
    line::{SampleLine, SeriesText, Value},
    page::Format,
};
use crate::{
    config::ScrapeConfig,
    series::{Catalog, Kind, Series, SeriesId, whole_ms},
};

/// What stood on the pages of a target, and which series each is.
#[derive(Debug)]
pub(super) struct Known {
    catalog: Arc<Catalog>,
    naming: Naming,
    server: Arc<str>,
    collector: Arc<str>,
    interval_ms: u32,
    series_max: usize,
    /// In the order in which they were first seen, which is that of the page.
    written: Vec<Written>,
    by_bytes: HashMap<Arc<[u8]>, usize>,
    /// How many of `written` are no series that is held.
    idle: usize,
    series: Vec<Held>,
    by_id: HashMap<SeriesId, usize>,
    /// Where the line that is expected next stands in `written`.
    next: usize,
    round: u64,
    /// When room was last made.
    made_room_ms: i64,
}

/// A series as it is written on the page.
#[derive(Debug)]
struct Written {
    bytes: Arc<[u8]>,
    what: What,
    seen_ms: i64,
    /// Of the metadata that it was understood with.
    stamp: u64,
}

/// What a series on the page is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// This one of those that are held.
    Series(usize),
    /// A rule drops it.
    Dropped,
    /// It is not taken, and why.
    Refused(&'static str),
}

/// What a sample of a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// A new one.
    New(SeriesId),
    /// There was one on this page already.
    Twice,
    /// It has the time that the one before it had.
    Unchanged,
}

impl What {
    fn is_idle(self) -> bool {
        !matches!(self, Self::Series(_))
    }
}

#[derive(Debug)]
struct Held {
    id: SeriesId,
    /// The last round that gave a sample of it.
    round: u64,
    /// The last time that the page itself gave it.
    at_ms: i64,
}

/// A series that has not been seen for so long makes room for others.
const FORGET_MS: i64 = 60 * 60 * 1000;
const MAKE_ROOM_EVERY_MS: i64 = 60 * 1000;
/// In how many ways the series of a target are written, on average at most.
const SPELLINGS: usize = 2;

/// A target gives as many series as it may.
pub(super) const TOO_MANY: &str = "the target gives more series than `series_max`";
const NO_NUMBER: &str = "the daemon has no more numbers for series";

impl Known {
    pub(super) fn new(config: &ScrapeConfig, catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            naming: Naming::new(config),
            server: config.server.as_str().into(),
            collector: config.name.as_str().into(),
            interval_ms: u32::try_from(whole_ms(config.every())).unwrap_or(u32::MAX),
            series_max: config.series_max,
            written: Vec::new(),
            by_bytes: HashMap::new(),
            idle: 0,
            series: Vec::new(),
            by_id: HashMap::new(),
            next: 0,
            round: 0,
            made_room_ms: i64::MIN,
        }
    }

    /// A page begins.
    pub(super) fn begin(&mut self) {
        self.round += 1;
        self.next = 0;
    }

    /// The series and the value of `line`, if it is the one that stood here the last time, under the same metadata.
    pub(super) fn expected(
        &mut self,
        line: &[u8],
        format: Format,
        family: &Family<'_>,
        now_ms: i64,
    ) -> Option<(What, Value)> {
        let written = self.written.get_mut(self.next)?;
        let rest = line.strip_prefix(&*written.bytes)?;
        // A longer name may begin alike.
        if rest.first() != Some(&b' ') || written.stamp != family.stamp() {
            return None;
        }
        let value = format.value(rest).ok()?;
        written.seen_ms = now_ms;
        self.next += 1;
        Some((written.what, value))
    }

    /// What the series of `line` is.
    pub(super) fn find(&mut self, line: SampleLine<'_>, family: &Family<'_>, now_ms: i64) -> What {
        let (mut before, stamp) = (None, family.stamp());
        if let Some(&at) = self.by_bytes.get(line.raw)
            && let Some(written) = self.written.get_mut(at)
        {
            written.seen_ms = now_ms;
            self.next = at + 1;
            if written.stamp == stamp {
                return written.what;
            }
            before = Some(written.what);
        }
        let is_held = matches!(before, Some(What::Series(_)));
        let what = self.understand(line.series, family, is_held, now_ms);
        if let Some(&at) = self.by_bytes.get(line.raw)
            && let Some(written) = self.written.get_mut(at)
        {
            let (was_idle, is_idle) = (written.what.is_idle(), what.is_idle());
            (written.what, written.stamp) = (what, stamp);
            self.idle = self.idle + usize::from(is_idle) - usize::from(was_idle);
        } else if self.has_place(what) {
            self.idle += usize::from(what.is_idle());
            let bytes: Arc<[u8]> = line.raw.into();
            self.by_bytes.insert(bytes.clone(), self.written.len());
            self.written.push(Written { bytes, what, seen_ms: now_ms, stamp });
            self.next = self.written.len();
        }
        what
    }

    /// Notes that there is a sample of a series, at `at_ms` if the page says when.
    pub(super) fn note(&mut self, at: usize, at_ms: Option<i64>) -> Noted {
        let Some(held) = self.series.get_mut(at) else { return Noted::Twice };
        if std::mem::replace(&mut held.round, self.round) == self.round {
            return Noted::Twice;
        }
        if let Some(at_ms) = at_ms {
            if at_ms <= held.at_ms {
                return Noted::Unchanged;
            }
            held.at_ms = at_ms;
        }
        Noted::New(held.id)
    }

    /// A series that says how it is to read the target. Not counted among the target's.
    pub(super) fn own(
        &mut self,
        metric: &str,
        unit: &str,
        label: Option<(&str, &str)>,
    ) -> Option<SeriesId> {
        let identity = self.naming.own_series(metric, label);
        self.catalog.intern(self.series_of(identity, Kind::Gauge, unit)).ok()
    }

    /// `is_held` if it is one of those that are held, only that its metadata is another one now.
    fn understand(
        &mut self,
        series: SeriesText<'_>,
        family: &Family<'_>,
        is_held: bool,
        now_ms: i64,
    ) -> What {
        if !is_held && (self.is_full() || self.idle >= self.series_max) {
            self.make_room(now_ms);
        }
        let has_no_place = !is_held && self.is_full();
        if has_no_place && self.naming.takes_all() {
            return What::Refused(TOO_MANY);
        }
        let identity = match self.naming.identity(series) {
            Ok(Some(identity)) => identity,
            Ok(None) => return What::Dropped,
            Err(why) => return What::Refused(why),
        };
        if has_no_place {
            return What::Refused(TOO_MANY);
        }
        let (kind, unit) = family.describes(series.name);
        let Ok(id) = self.catalog.intern(self.series_of(identity, kind, unit)) else {
            return What::Refused(NO_NUMBER);
        };
        match self.by_id.entry(id) {
            Entry::Occupied(known) => What::Series(*known.get()),
            Entry::Vacant(place) => {
                let at = *place.insert(self.series.len());
                self.series.push(Held { id, round: 0, at_ms: i64::MIN });
                What::Series(at)
            }
        }
    }

    fn series_of(&self, Identity { metric, labels }: Identity, kind: Kind, unit: &str) -> Series {
        Series {
            server: self.server.clone(),
            collector: self.collector.clone(),
            metric: metric.into(),
            labels,
            unit: unit.into(),
            kind,
            interval_ms: self.interval_ms,
        }
    }

    fn is_full(&self) -> bool {
        self.series.len() >= self.series_max
    }

    /// Whether what is written so is remembered. What is not is understood anew each time.
    fn has_place(&self, what: What) -> bool {
        match what {
            What::Series(_) => self.written.len() - self.idle < SPELLINGS * self.series_max,
            What::Refused(TOO_MANY) => false,
            What::Dropped | What::Refused(_) => self.idle < self.series_max,
        }
    }

    /// Forgets what has not been seen for long. Looks so seldom that a target whose series change all the time does
    /// not keep it busy.
    fn make_room(&mut self, now_ms: i64) {
        if now_ms < self.made_room_ms.saturating_add(MAKE_ROOM_EVERY_MS) {
            return;
        }
        self.made_room_ms = now_ms;
        self.written.retain(|written| now_ms - written.seen_ms <= FORGET_MS);
        self.idle = self.written.iter().filter(|written| written.what.is_idle()).count();
        let before = std::mem::take(&mut self.series);
        let mut moved: HashMap<usize, usize> = HashMap::new();
        let mut before: Vec<Option<Held>> = before.into_iter().map(Some).collect();
        for written in &mut self.written {
            let What::Series(at) = &mut written.what else { continue };
            if let Some(held) = before.get_mut(*at).and_then(Option::take) {
                moved.insert(*at, self.series.len());
                self.series.push(held);
            }
            *at = moved.get(at).copied().unwrap_or(usize::MAX);
        }
        self.by_id = self.series.iter().enumerate().map(|(at, held)| (held.id, at)).collect();
        let bytes = self.written.iter().enumerate();
        self.by_bytes = bytes.map(|(at, written)| (written.bytes.clone(), at)).collect();
        self.next = 0;
    }
}
