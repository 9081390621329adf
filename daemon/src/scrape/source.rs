//! One exporter, as a collector reads it.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use super::{
    client::Door,
    fetch::{self, Page},
    known::Known,
    round::{Haul, Parser},
    said::Said,
};
use crate::{
    collector::Source,
    config::ScrapeConfig,
    plugin::{CollectError, InstanceState, Reading},
    series::{Catalog, Sample, SeriesId, now_ms},
};

/// Reads an exporter's page.
#[derive(Debug)]
pub struct ScrapeSource {
    config: ScrapeConfig,
    states: watch::Sender<InstanceState>,
    door: Door,
    parser: Parser,
    own: Own,
    /// How long after the slot it reads.
    offset: Duration,
    /// How large the page was the last time.
    bytes: usize,
    said: Trouble,
}

/// Series about the reading itself, as Prometheus has them, and what was not taken of the page.
#[derive(Debug)]
struct Own {
    took: Option<SeriesId>,
    scraped: Option<SeriesId>,
    malformed: Option<SeriesId>,
    repeated: Option<SeriesId>,
    refused: Option<SeriesId>,
}

/// What the log has been told of a target that is read all the same.
#[derive(Debug, Default)]
struct Trouble {
    malformed: Said,
    refused: Said,
    repeated: Said,
    times: Said,
}

/// How much of an interval targets are spread over, at most.
const SPREAD: u32 = 5;
/// What is left of an interval before the next slot.
const MARGIN: u32 = 20;

impl ScrapeSource {
    /// Reads what `config` says; its series belong to the server and the collector named there.
    pub fn new(config: ScrapeConfig, catalog: Arc<Catalog>) -> Self {
        let mut parser = Parser::new(&config, catalog);
        Self {
            states: watch::Sender::new(InstanceState::Ready),
            door: Door::new(&config),
            own: Own::new(&mut parser.known),
            parser,
            offset: offset(&config),
            bytes: 0,
            said: Trouble::default(),
            config,
        }
    }

    async fn page(&mut self) -> Result<Page, String> {
        let question = self.door.question().await?;
        fetch::page(question, self.bytes, self.config.max_bytes).await
    }

    /// Tells of what was not taken; of the same only now and then.
    fn tell(&mut self, haul: &Haul) {
        let (server, collector) = (&*self.config.server, &*self.config.name);
        let Haul { malformed, repeated, refused, .. } = *haul;
        if let Some(first) = self.said.malformed.fresh(haul.first_malformed) {
            warn!(server, collector, malformed, %first, "lines of the page are malformed");
        }
        if let Some(why) = self.said.refused.fresh(haul.first_refused) {
            let series_max = self.config.series_max;
            warn!(server, collector, refused, series_max, why, "series of the page are not taken");
        }
        let twice = (repeated > 0).then_some("a series stands there twice");
        if let Some(why) = self.said.repeated.fresh(twice) {
            warn!(server, collector, repeated, why, "samples of the page are not taken");
        }
        let ignored = haul.has_ignored_times.then_some("honor_timestamps is false");
        if let Some(why) = self.said.times.fresh(ignored) {
            info!(
                server,
                collector,
                why,
                "times on the page are not kept: samples get the time of the reading"
            );
        }
    }
}

impl Source for ScrapeSource {
    fn states(&self) -> watch::Receiver<InstanceState> {
        self.states.subscribe()
    }

    async fn collect(&mut self, _at_ms: i64) -> Result<Reading, CollectError> {
        sleep(self.offset).await;
        let (began, limit) = (Instant::now(), self.config.deadline());
        let page = match timeout(limit, self.page()).await {
            Ok(page) => page,
            Err(_) => Err(format!("deadline of {} exceeded", humantime::format_duration(limit))),
        };
        let target = |why: String| CollectError::Target(why.into());
        let page = page.map_err(target)?;
        let took = began.elapsed();
        self.bytes = page.bytes.len();
        let read = self.parser.read(page.format, &page.bytes, now_ms()).await;
        let mut haul = read.map_err(target)?;
        self.tell(&haul);
        self.own.add_to(&mut haul, took);
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Reading {
            samples: haul.samples,
            dated: haul.dated,
            took,
            invalid: count(haul.malformed + haul.repeated),
            refused_series: count(haul.refused),
        })
    }
}

impl Own {
    fn new(known: &mut Known) -> Self {
        let mut dropped =
            |reason| known.own("scrape_samples_dropped", "", Some(("reason", reason)));
        let (malformed, repeated, refused) =
            (dropped("malformed"), dropped("repeated"), dropped("refused"));
        Self {
            took: known.own("scrape_duration_seconds", "seconds", None),
            scraped: known.own("scrape_samples_scraped", "", None),
            malformed,
            repeated,
            refused,
        }
    }

    fn add_to(&self, haul: &mut Haul, took: Duration) {
        let of = [
            (self.took, took.as_secs_f64()),
            (self.scraped, haul.scraped as f64),
            (self.malformed, haul.malformed as f64),
            (self.repeated, haul.repeated as f64),
            (self.refused, haul.refused as f64),
        ];
        let samples =
            of.into_iter().filter_map(|(series, value)| Some(Sample { series: series?, value }));
        haul.samples.extend(samples);
    }
}

/// How long after its slots a target is read: the same each time, so that its samples are evenly spaced, and another
/// for each target, so that not all are read at once. Nothing where a reading may take until the next slot.
fn offset(config: &ScrapeConfig) -> Duration {
    // The same in every process; SipHash with fixed keys.
    let mut hasher = std::hash::DefaultHasher::new();
    (&config.server, &config.name, &config.url).hash(&mut hasher);
    let interval = config.every();
    let left = (interval - interval / MARGIN).saturating_sub(config.deadline());
    let spread = (interval / SPREAD).min(left);
    spread.mul_f64(hasher.finish() as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_spread_and_each_is_done_before_its_next_slot() {
        let second = Duration::from_secs(1);
        let (interval, timeout) = (Some(10 * second), None);
        let of = |number: u32, timeout| {
            let url = format!("http://10.0.0.{number}:9100/metrics");
            offset(&ScrapeConfig { url, interval, timeout, ..ScrapeConfig::default() })
        };
        let offsets: Vec<Duration> = (0..250).map(|number| of(number, timeout)).collect();
        assert_eq!(offsets, (0..250).map(|number| of(number, timeout)).collect::<Vec<_>>());
        assert!(offsets.iter().all(|&offset| offset <= 2 * second), "a fifth at most");
        for tenth in 0..10 {
            let (from, to) = (second / 5 * tenth, second / 5 * (tenth + 1));
            let count = offsets.iter().filter(|offset| (from..to).contains(offset)).count();
            assert!((10..45).contains(&count), "{count} of 250 in a tenth of the spread");
        }
        assert_eq!(of(1, interval), Duration::ZERO, "a reading may take until the next slot");
    }
}
