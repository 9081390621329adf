//! One reading of a page: what is taken of it, and what is not, and why.

use std::sync::Arc;

use tokio::task::yield_now;

use super::{
    family::Family,
    known::{Known, Noted, What},
    line::{Fault, Line, Value},
    page::{Format, Lines, Malformed},
};
use crate::{
    config::ScrapeConfig,
    series::{Catalog, Sample},
};

/// Makes samples of the pages of one target.
#[derive(Debug)]
pub struct Parser {
    pub(super) known: Known,
    honor_timestamps: bool,
}

/// A page on its way through the series that are known.
#[derive(Debug)]
pub(super) struct Round<'p> {
    format: Format,
    /// Whether samples keep the time that the page gives them.
    honor_timestamps: bool,
    now_ms: i64,
    family: Family<'p>,
    has_ended: bool,
    haul: Haul,
}

/// What a page brought.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Haul {
    /// Samples of the time of the reading.
    pub samples: Vec<Sample>,
    /// Samples of a time of their own, in milliseconds since 1970.
    pub dated: Vec<(i64, Sample)>,
    /// Lines that give a value.
    pub scraped: u64,
    /// Lines that could not be read.
    pub malformed: u64,
    /// The first of them.
    pub first_malformed: Option<Malformed>,
    /// Samples of a series that had one on this page already.
    pub repeated: u64,
    /// Samples of series that are not taken.
    pub refused: u64,
    /// Why the first of them is not.
    pub first_refused: Option<&'static str>,
    /// Whether the page gives times that are not kept.
    pub has_ignored_times: bool,
}

/// Lines between two looks at what else there is to do.
const LINES_AT_ONCE: usize = 2048;

impl Parser {
    /// A parser for the target that `config` describes; its series are numbered by `catalog`.
    pub fn new(config: &ScrapeConfig, catalog: Arc<Catalog>) -> Self {
        Self { known: Known::new(config, catalog), honor_timestamps: config.honor_timestamps }
    }

    /// What `page` brings, or in words why it counts as none. A long page lets others have their turn.
    pub async fn read(&mut self, format: Format, page: &[u8], now_ms: i64) -> Result<Haul, String> {
        let mut round = Round::new(format, self.honor_timestamps, now_ms);
        self.known.begin();
        for (number, line) in Lines::of(page) {
            round.take(&mut self.known, number, line);
            if number % LINES_AT_ONCE == 0 {
                yield_now().await;
            }
        }
        round.end()
    }
}

impl<'p> Round<'p> {
    /// A page in this format begins.
    pub(super) fn new(format: Format, honor_timestamps: bool, now_ms: i64) -> Self {
        let (family, haul) = (Family::default(), Haul::default());
        Self { format, honor_timestamps, now_ms, family, has_ended: false, haul }
    }

    /// Takes the line with this number.
    pub(super) fn take(&mut self, known: &mut Known, number: usize, line: &'p [u8]) {
        if !self.has_ended
            && let Some((what, value)) =
                known.expected(line, self.format, &self.family, self.now_ms)
        {
            return self.sample(known, what, value);
        }
        let read = match self.has_ended {
            true => Err(Fault::AfterEnd),
            false => self.format.line(line),
        };
        match read {
            Ok(Line::Sample(line)) => {
                let what = known.find(line, &self.family, self.now_ms);
                self.sample(known, what, line.value);
            }
            Ok(Line::Type(family, kind)) => self.family.typed(family, kind),
            Ok(Line::Unit(family, unit)) => self.family.measured(family, unit),
            Ok(Line::Nothing) => {}
            Ok(Line::End) => self.has_ended = true,
            Err(fault) => {
                self.haul.malformed += 1;
                self.haul.first_malformed.get_or_insert(Malformed { line: number, fault });
            }
        }
    }

    fn sample(&mut self, known: &mut Known, what: What, Value { value, at_ms }: Value) {
        let haul = &mut self.haul;
        haul.scraped += 1;
        haul.has_ignored_times |= at_ms.is_some() && !self.honor_timestamps;
        let at_ms = at_ms.filter(|_| self.honor_timestamps);
        let held = match what {
            What::Series(held) => held,
            What::Dropped => return,
            What::Refused(why) => {
                haul.refused += 1;
                haul.first_refused.get_or_insert(why);
                return;
            }
        };
        match (known.note(held, at_ms), at_ms) {
            (Noted::New(series), None) => haul.samples.push(Sample { series, value }),
            (Noted::New(series), Some(at_ms)) => {
                haul.dated.push((at_ms, Sample { series, value }));
            }
            (Noted::Twice, _) => haul.repeated += 1,
            (Noted::Unchanged, _) => {}
        }
    }

    /// What the page brought, or in words why it counts as none.
    pub(super) fn end(self) -> Result<Haul, String> {
        let Self { format, has_ended, haul, .. } = self;
        match haul.first_malformed {
            Some(malformed) if haul.scraped == 0 => Err(malformed.to_string()),
            _ if format == Format::OpenMetrics && !has_ended => {
                Err("page is cut off: `# EOF` is missing at its end".into())
            }
            None if haul.scraped == 0 => Err("page has no samples".into()),
            _ => Ok(haul),
        }
    }
}
