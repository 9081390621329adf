//! What it costs to read an exporter's page: samples per second of CPU time.
//!
//! A page of a real node_exporter, made as large as a busy one by repeating its series with another label. The first
//! reading makes the series; what counts is the same page again, with other values. Prints figures and judges nothing.

use std::{fmt::Write, sync::Arc, time::Duration};

use bartizan::{
    config::ScrapeConfig,
    scrape::{Format, Parser},
    series::Catalog,
};

const PAGE: &str = include_str!("../src/scrape/fixtures/node_exporter_1.5.0.txt");
const TIMES: usize = 50;
const ROUNDS: usize = 200;

fn main() {
    // Every second reading other values, as most of a page's are.
    let pages = [page(0), page(1)];
    let config = ScrapeConfig {
        server: "bench".into(),
        name: "node".into(),
        url: "http://10.0.0.5:9100/metrics".into(),
        series_max: 100_000,
        ..ScrapeConfig::default()
    };
    let catalog = Arc::new(Catalog::default());
    let mut parser = Parser::new(&config, catalog.clone());

    let began = cpu_time();
    let samples = read(&mut parser, &pages[0]);
    let first = cpu_time() - began;
    let began = cpu_time();
    let mut all = 0;
    for round in 0..ROUNDS {
        all += read(&mut parser, &pages[round % 2]);
    }
    let again = cpu_time() - began;

    let (bytes, series) = (pages[0].len(), catalog.len());
    let rate = |samples: usize, took: Duration| samples as f64 / took.as_secs_f64() / 1e6;
    eprintln!("{bytes} bytes, {samples} samples, {series} series");
    eprintln!("new series: {:.2} M samples per CPU-second", rate(samples, first));
    eprintln!(
        "known series: {:.2} M samples per CPU-second, {:.0} MB/s",
        rate(all, again),
        (bytes * ROUNDS) as f64 / again.as_secs_f64() / 1e6
    );
}

fn read(parser: &mut Parser, page: &str) -> usize {
    let mut read = std::pin::pin!(parser.read(Format::Prometheus, page.as_bytes(), 0));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(haul) = read.as_mut().poll(&mut context) {
            return haul.map_or(0, |haul| haul.samples.len());
        }
    }
}

/// The page with its series repeated, and values that differ with `salt`.
fn page(salt: usize) -> String {
    let mut page = String::new();
    for line in PAGE.lines() {
        if line.starts_with('#') {
            page.push_str(line);
            page.push('\n');
            continue;
        }
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let value = value.parse::<f64>().unwrap_or_default() + salt as f64;
        for copy in 0..TIMES {
            let comma = if labels == "}" { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = writeln!(page, "{name}{{copy=\"{copy}\"{comma}{labels} {value}");
        }
    }
    page
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
