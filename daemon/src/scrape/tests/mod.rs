//! Pages through the parsers, the rules and the table of series; no network.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

mod any;
mod lines;
mod pages;
mod series;
mod targets;

use std::{sync::Arc, time::Duration};

use tokio::runtime::{Builder, Runtime};

use super::{Format, Haul, Parser};
use crate::{
    config::{Config, ScrapeConfig},
    series::{Catalog, Kind, SeriesId},
};

/// A target, read again and again.
struct Target {
    catalog: Arc<Catalog>,
    parser: Parser,
    now_ms: i64,
    runtime: Runtime,
}

impl Target {
    fn new(config: &ScrapeConfig) -> Self {
        let catalog = Arc::new(Catalog::default());
        let parser = Parser::new(config, catalog.clone());
        let runtime = Builder::new_current_thread().build().unwrap();
        Self { catalog, parser, now_ms: 1_000_000, runtime }
    }

    /// A target with these rules, as the configuration has them.
    fn with(rules: &str) -> Self {
        Self::new(&config(&format!("relabel = [{rules}]")))
    }

    fn read(&mut self, page: &str) -> Result<Haul, String> {
        self.read_as(Format::Prometheus, page.as_bytes())
    }

    fn read_as(&mut self, format: Format, page: &[u8]) -> Result<Haul, String> {
        self.now_ms += 10_000;
        self.runtime.block_on(self.parser.read(format, page, self.now_ms))
    }

    /// `metric{labels}` without the labels of the target, and the value, of each sample.
    fn shown(&self, haul: &Haul) -> Vec<String> {
        let shown = haul.samples.iter().map(|sample| {
            let (name, value) = (self.name(sample.series), sample.value);
            format!("{name} {value}")
        });
        shown.collect()
    }

    fn name(&self, series: SeriesId) -> String {
        let series = self.catalog.get(series).unwrap();
        let labels = series.labels.to_string();
        let labels = labels.replace(r#"instance="h:80",job="t""#, "").replace("{,", "{");
        let labels = labels.replace(",,", ",").replace(",}", "}").replace("{}", "");
        format!("{}{labels}", series.metric)
    }

    fn kind_and_unit(&self, metric: &str) -> (Kind, String) {
        let series = self.catalog.of_metric("s", metric);
        let series = self.catalog.get(*series.first().unwrap()).unwrap();
        (series.kind, series.unit.to_string())
    }
}

/// The configuration of a target with these keys besides those it must have.
fn config(keys: &str) -> ScrapeConfig {
    let text = format!("[[scrape]]\nserver = 's'\nname = 't'\nurl = 'http://h/'\n{keys}\n");
    let config = Config::parse(&text, "test.toml").unwrap().scrapes.remove(0);
    ScrapeConfig { interval: config.interval.or(Some(Duration::from_secs(10))), ..config }
}
