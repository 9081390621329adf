//! Who reads a server on behalf of this daemon, each as a collector: plugins on this machine, and whoever fetches
//! what exporters elsewhere have.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crate::{
    collector::{CollectorActor, CollectorArguments, ReportPort},
    config::{CollectorConfig, ScrapeConfig},
    plugin::{InstanceSpec, PluginPort},
    scrape::ScrapeSource,
    series::{Catalog, now_ms},
    supervision::{ChildSpec, Restart, Start, start_with},
};

/// A collector that does not run yet.
pub(super) struct Reader {
    /// Its name, unique within the server.
    pub(super) name: Arc<str>,
    /// Time between two readings.
    pub(super) interval: Duration,
    start: Start,
}

/// How long a collector may take to stop.
const SHUTDOWN: Duration = Duration::from_millis(500);

impl Reader {
    /// What is said of it before it runs.
    pub(super) fn child(self) -> ChildSpec {
        ChildSpec {
            id: self.name.to_string(),
            kind: "collector",
            start: self.start,
            restart: Restart::WithBackoff,
            shutdown: SHUTDOWN,
        }
    }
}

/// The plugins that read `server`, every `interval` unless they say otherwise. Every start opens a fresh plugin
/// instance, since the former one went down with its collector.
pub(super) fn plugins(
    server: &Arc<str>,
    collectors: &[CollectorConfig],
    interval: Duration,
    plugins: &PluginPort,
    reports: &ReportPort,
) -> Vec<Reader> {
    let known = plugins.catalog();
    let mut read = HashSet::new();
    let reader = |collector: &CollectorConfig| {
        let found = known.find(&collector.plugin);
        let own =
            found.filter(|plugin| !plugin.bundled).and_then(|plugin| plugin.manifest.interval);
        let slower = own.map_or(interval, |own| own.max(interval));
        let interval = collector.interval.unwrap_or(slower);
        // A plugin may be named by its id and by its name.
        let id = found.map_or_else(|| collector.plugin.clone(), |found| found.id.to_string());
        let spec = InstanceSpec {
            server: server.clone(),
            collector: collector.name.as_str().into(),
            plugin: collector.plugin.as_str().into(),
            config: collector.config.clone(),
            interval,
            again: !read.insert(id),
        };
        let (plugins, reports) = (plugins.clone(), reports.clone());
        let name = spec.collector.clone();
        let start = start_with(CollectorActor::default, move |node| CollectorArguments {
            name: spec.collector.clone(),
            server: spec.server.clone(),
            source: plugins.open(spec.clone()),
            interval: spec.interval,
            reports: reports.clone(),
            clock: now_ms,
            node,
        });
        Reader { name, interval, start }
    };
    collectors.iter().map(reader).collect()
}

/// Those who fetch what exporters have of `server`, every `interval` unless the exporter's own is given.
pub(super) fn exporters(
    server: &Arc<str>,
    scrapes: &[ScrapeConfig],
    interval: Duration,
    catalog: &Arc<Catalog>,
    reports: &ReportPort,
) -> Vec<Reader> {
    let reader = |scrape: &ScrapeConfig| {
        let name: Arc<str> = scrape.name.as_str().into();
        let interval = scrape.interval.unwrap_or(interval);
        let (scrape, catalog, reports) = (scrape.clone(), catalog.clone(), reports.clone());
        let (collector, server) = (name.clone(), server.clone());
        let start = start_with(CollectorActor::default, move |node| CollectorArguments {
            name: collector.clone(),
            server: server.clone(),
            source: ScrapeSource::new(
                ScrapeConfig { interval: Some(interval), ..scrape.clone() },
                catalog.clone(),
            ),
            interval,
            reports: reports.clone(),
            clock: now_ms,
            node,
        });
        Reader { name, interval, start }
    };
    scrapes.iter().map(reader).collect()
}
