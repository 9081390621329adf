//! `bartizan query`: the history of a metric.

use std::{path::Path, process::ExitCode, sync::Arc};

use clap::Args;

use super::{
    Failure, PlaceArguments,
    client::{self, ClientError, escaped},
    history::History,
    moment::Moment,
    output::print,
};
use crate::{
    config::StoreConfig,
    series::{Catalog, now_ms},
    store::{
        Store,
        messages::{Answer, Query, Stat},
    },
};

/// What is wanted of a point, in this order.
#[derive(Debug, Clone)]
struct Stats(Vec<Stat>);

/// What is asked about the past.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bartizan query web-1 cpu_usage_ratio --since 5m
  bartizan query web-1 disk_usage_ratio --label mount=/ --since 7d --points 50
  bartizan query web-1 cpu_usage_ratio --points 60 --stats p95,count
  bartizan query web-1 network_receive_bytes_total --raw --json")]
pub(super) struct QueryArguments {
    /// Name of the server.
    server: String,
    /// Name of the metric.
    metric: String,
    /// Begin: a time ago such as 1h, or a UTC date such as 2026-11-23 or
    /// 2026-11-23T08:00:00Z.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    since: Moment,
    /// End, written like the begin [default: now].
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// At most about this many points of each series [default: every sample].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    points: Option<u32>,
    /// Only series with this label; may be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// Counters as they were stored, instead of their rate per second.
    #[arg(long)]
    raw: bool,
    /// More of each point, in this order: any of last, sum, count and p95. Of a rate, last is what the
    /// counter stood at and sum what it grew by; p95 is known as long as every sample is kept.
    #[arg(long, value_name = "LIST", value_parser = stats)]
    stats: Option<Stats>,
    /// JSON in the shape of the API, instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: PlaceArguments,
}

/// Asks the running daemon, or the store where none runs, and shows the answer.
pub(super) fn query(arguments: QueryArguments) -> Result<ExitCode, Failure> {
    let query = question(&arguments, now_ms())?;
    let QueryArguments { json, places, .. } = arguments;
    let state = places.sources().state()?;
    let history = match client::get(&state, &path(&query)) {
        Ok(body) => serde_json::from_slice(&body)?,
        Err(ClientError::Absent(_)) => History::new(offline_answer(&state, &query)?, &query.stats),
        Err(error) => return Err(error.into()),
    };
    if json {
        print(&format!("{}\n", serde_json::to_string(&history)?))?;
    } else if history.series.is_empty() {
        let Query { server, metric, .. } = query;
        return Err(Failure::Unknown { server, metric });
    } else {
        print(&history.table(&query.metric))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The answer of the store itself, which no daemon holds.
fn offline_answer(state: &Path, query: &Query) -> Result<Answer, Failure> {
    // A question creates nothing.
    if !state.join("VERSION").is_file() {
        return Err(Failure::NoDaemon(state.to_owned()));
    }
    let catalog = Arc::new(Catalog::default());
    let store = Store::open(state, &StoreConfig::default(), &catalog)?;
    Ok(store.answer(query)?)
}

/// What the arguments ask.
fn question(arguments: &QueryArguments, now_ms: i64) -> Result<Query, Failure> {
    let QueryArguments { server, metric, since, until, points, label, raw, stats, .. } = arguments;
    let query = Query {
        server: server.clone(),
        metric: metric.clone(),
        labels: label.clone(),
        from_ms: since.at_ms(now_ms),
        to_ms: until.map_or(now_ms, |until| until.at_ms(now_ms)),
        points: points.map(|points| points as usize),
        raw: *raw,
        stats: stats.as_ref().map(|stats| stats.0.clone()).unwrap_or_default(),
    };
    if query.from_ms < query.to_ms { Ok(query) } else { Err(Failure::Backwards) }
}

/// The question as the API takes it.
fn path(query: &Query) -> String {
    let Query { server, metric, labels, from_ms, to_ms, points, raw, stats } = query;
    let (server, metric) = (escaped(server), escaped(metric));
    let mut path =
        format!("/api/v1/series?server={server}&metric={metric}&from={from_ms}&to={to_ms}");
    for (name, value) in labels {
        path.push_str(&format!("&label.{}={}", escaped(name), escaped(value)));
    }
    if let Some(points) = points {
        path.push_str(&format!("&points={points}"));
    }
    if *raw {
        path.push_str("&raw=true");
    }
    if !stats.is_empty() {
        let names: Vec<_> = stats.iter().map(|stat| stat.name()).collect();
        path.push_str(&format!("&stats={}", names.join(",")));
    }
    path
}

fn stats(text: &str) -> Result<Stats, String> {
    Stat::list(text).map(Stats)
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("must be NAME=VALUE, such as mount=/".into()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use clap::{FromArgMatches, error::ErrorKind};

    use super::*;

    #[test]
    fn the_question_reaches_the_daemon_whole() {
        let asked = parse(&[
            "web-1",
            "disk_usage_ratio",
            "--since",
            "10s",
            "--until",
            "5s",
            "--label",
            "mount=/a b",
            "--points",
            "50",
            "--raw",
            "--stats",
            "sum,p95",
        ]);
        assert_eq!(
            path(&question(&asked.unwrap(), 20_000).unwrap()),
            "/api/v1/series?server=web-1&metric=disk_usage_ratio&from=10000&to=15000\
             &label.mount=%2Fa%20b&points=50&raw=true&stats=sum,p95"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let backwards = parse(&["web-1", "load1", "--since", "1m", "--until", "1h"]).unwrap();
        assert!(matches!(question(&backwards, 10_000_000), Err(Failure::Backwards)));
        let stats = ["--stats", "p99"];
        for wrong in [["--since", "soon"], ["--points", "0"], ["--label", "mount"], stats] {
            let error = parse(&[&["web-1", "load1"], &wrong[..]].concat()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ValueValidation, "{wrong:?}");
        }
    }

    fn parse(arguments: &[&str]) -> clap::error::Result<QueryArguments> {
        let command =
            QueryArguments::augment_args(clap::Command::new("query").no_binary_name(true));
        QueryArguments::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }
}
