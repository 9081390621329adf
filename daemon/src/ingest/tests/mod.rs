//! Bodies as others write them, by an encoder of its own, and what becomes of them.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

mod encode;
mod limits;
mod malformed;
mod otlp;
mod push;
mod write;

use std::sync::Arc;

use super::{
    account::Tables,
    fingerprint::Keys,
    intake::{Ground, Intake, Ready},
    messages::Writer,
    signals::OpenGaps,
};
use crate::{
    config::IngestConfig,
    enrol::Grant,
    series::{Catalog, Series},
};

/// The moment at which everything arrives.
const NOW_MS: i64 = 1_764_100_000_000;

/// An account, and what lies beneath it.
struct Rig {
    tables: Tables,
    ground: Ground,
    limits: IngestConfig,
    writer: Writer,
    open: OpenGaps,
}

impl Rig {
    /// Of a token for these servers.
    fn of(servers: &[&str]) -> Self {
        let servers = servers.iter().map(|&server| server.to_owned()).collect();
        Self {
            tables: Tables::default(),
            ground: Ground { catalog: Arc::new(Catalog::default()), keys: Keys::random() },
            limits: IngestConfig::default(),
            writer: Writer::token(Grant { id: "t1".into(), servers, renamed: false }),
            open: OpenGaps::default(),
        }
    }

    /// What becomes of what `decode` reads.
    fn take<E>(
        &mut self,
        way: &'static str,
        decode: impl FnOnce(&mut Intake<'_>) -> Result<(), E>,
    ) -> Result<Ready, E> {
        let Self { tables, ground, limits, writer, .. } = self;
        let mut intake = Intake::new(tables, ground, limits, writer, way, NOW_MS);
        decode(&mut intake)?;
        Ok(intake.finish(&self.open))
    }

    /// Every sample, as text: server, collector, time, series, value.
    fn text(&self, ready: &Ready) -> Vec<String> {
        let frames = ready.batch.frames.iter();
        let lines = frames.flat_map(|frame| {
            frame.samples.iter().map(|sample| {
                let Series { metric, labels, .. } = &*self.series(sample.series);
                let at_ms = frame.at_ms - NOW_MS;
                let (server, collector) = (&frame.server, &frame.collector);
                format!("{server} {collector} {at_ms} {metric}{labels} {:?}", sample.value)
            })
        });
        lines.collect()
    }

    fn series(&self, id: crate::series::SeriesId) -> Arc<Series> {
        self.ground.catalog.get(id).unwrap()
    }

    /// The one series of this metric of `web-1`.
    fn only(&self, metric: &str) -> Arc<Series> {
        let [id] = self.ground.catalog.of_metric("web-1", metric)[..] else { panic!("{metric}") };
        self.series(id)
    }
}

/// What was refused, as code and number.
fn refused(ready: &Ready) -> Vec<(&'static str, u64)> {
    ready.judged.refused.iter().map(|(reason, times)| (reason.code(), times)).collect()
}

/// How many samples are to be stored.
fn samples(ready: &Ready) -> usize {
    ready.batch.frames.iter().map(|frame| frame.samples.len()).sum()
}
