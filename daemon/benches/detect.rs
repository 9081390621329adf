//! What it costs to judge: 1,000 servers of 50 series each, 1,000 rules over them, a sample a second.
//!
//! Every series is judged by 20 rules. The aim is a quarter of one core for 50,000 samples a second; healthy samples,
//! and samples that breach and clear all the time. Prints figures and judges nothing.

use std::{sync::Arc, time::Duration};

use bartizan::{
    config::{Limit, NoData, RuleConfig, Side, Take},
    detect::{Recall, Sentinel},
    series::{Catalog, Frame, Kind, Labels, Sample, Series, SeriesId},
};

const SERVERS: usize = 1000;
const SERIES: usize = 50;
const RULES: usize = 1000;
const SECONDS: i64 = 20;

fn main() {
    let rules: Vec<RuleConfig> = (0..RULES).map(rule).collect();
    for (name, unrest) in [("healthy", 0.0), ("every series breaches and clears", 0.9)] {
        let mut servers: Vec<_> = (0..SERVERS).map(|server| watch(server, &rules)).collect();
        // The first samples make the detectors.
        judge(&mut servers, 0, 0.0);
        let began = cpu_time();
        let mut transitions = 0;
        for second in 1..=SECONDS {
            let value = if second % 2 == 0 { unrest } else { 0.0 };
            transitions += judge(&mut servers, second, value);
        }
        let spent = cpu_time() - began;
        let samples = SECONDS as f64 * (SERVERS * SERIES) as f64;
        let share = spent.as_secs_f64() / SECONDS as f64 * 100.0;
        eprintln!(
            "{name}: {:.2} us a sample, {share:.1} % of a core for 50,000 a second, {transitions} transitions",
            spent.as_secs_f64() * 1e6 / samples,
        );
    }
}

struct Server {
    name: Arc<str>,
    sentinel: Sentinel,
    series: Vec<SeriesId>,
}

fn watch(server: usize, rules: &[RuleConfig]) -> Server {
    let name: Arc<str> = format!("server-{server}").into();
    let catalog = Arc::new(Catalog::default());
    let series = (0..SERIES).filter_map(|at| {
        let series = Series {
            server: name.clone(),
            collector: "bench".into(),
            metric: format!("metric_{at}").into(),
            labels: Labels::default(),
            unit: "ratio".into(),
            kind: Kind::Gauge,
            interval_ms: 1000,
        };
        catalog.intern(series).ok()
    });
    let series = series.collect();
    let collectors = [("bench".into(), 1000)];
    let (rules, recall) = (rules.to_vec(), Recall::default());
    let sentinel = Sentinel::new(name.clone(), collectors, rules, catalog, recall, 0);
    Server { name, sentinel, series }
}

/// One second of all servers; how many transitions it made.
fn judge(servers: &mut [Server], second: i64, value: f64) -> usize {
    let at_ms = second * 1000;
    let mut transitions = 0;
    for Server { name, sentinel, series } in servers {
        let samples = series.iter().map(|&series| Sample { series, value }).collect();
        let (server, collector) = (name.clone(), "bench".into());
        sentinel.frame(&Frame { server, collector, at_ms, samples }, at_ms);
        sentinel.advance(at_ms);
        std::hint::black_box((sentinel.due_ms(), sentinel.normal(at_ms)));
        transitions += sentinel.take().len();
    }
    transitions
}

fn rule(number: usize) -> RuleConfig {
    let limit = |at: f64, hold| {
        let hold = Duration::from_secs(hold);
        Some(Limit { side: Side::Above, at, clear: at - 0.1, hold })
    };
    RuleConfig {
        name: format!("rule-{number}"),
        metric: format!("metric_{}", number % SERIES),
        labels: Vec::new(),
        servers: Vec::new(),
        take: Take::Last,
        over: Duration::ZERO,
        warning: limit(0.8, 0),
        critical: limit(0.95, 60),
        clear_for: Duration::ZERO,
        no_data: NoData::Keep,
        summary: None,
        runbook: None,
    }
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
