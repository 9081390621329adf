//! Copies of the trace that start at different rows, never repeated in time: bytes per sample once all is sealed, samples
//! for each second of CPU time, memory, bytes written, and how soon it answers again after `kill -9`.
//!
//! The samples are of yesterday morning, so that they are stored and neither judged nor shown, and so that everything
//! lies within one day.

use std::time::{Duration, Instant};

use bartizan_tests::{
    Setup,
    measured::{CONNECTIONS, Cost, HUB, Receiver, megabytes, missing},
    now_ms, rounds,
    writer::Template,
};

use super::{
    number, receiver,
    sealing::{Sealed, seal},
    trace::{Column, liveliest},
};

/// Series of each server.
const SERIES: usize = 60;

/// Servers whose samples travel in one request: what Prometheus sends at most in one, as it comes.
const SERVERS_TOGETHER: usize = 33;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Time of the first row in its day.
const MORNING_MS: i64 = 10 * 60 * 60 * 1000;

/// What one receiver did.
struct Figure {
    name: &'static str,
    samples: f64,
    took: Duration,
    cost: Cost,
    /// CPU time when the last sample was written, in seconds.
    written_by: f64,
    sealed: Sealed,
    reopened: Duration,
}

/// The whole part.
pub(crate) async fn run() {
    let servers = number("BARTIZAN_SERVERS", rounds(100, 1000));
    let columns = liveliest(SERIES);
    let rows = number("BARTIZAN_ROWS", 2112).min(columns[0].values.len());
    let samples = (servers * rows * SERIES) as f64;
    eprintln!(
        "{servers} servers x the {SERIES} liveliest series x {rows} s, {:.1} M samples, {CONNECTIONS} connections",
        samples / 1e6
    );
    let mut figures = Vec::new();
    for which in 0..number("BARTIZAN_WHICH", 3) {
        let setup = Setup::new(HUB);
        if let Some(receiver) = receiver(which, &setup).await {
            figures.push(measure(receiver, &setup, &columns, servers, rows).await);
        }
    }
    print(&figures);
    missing(&figures.iter().map(|figure| figure.name).collect::<Vec<_>>());
}

async fn measure(
    mut receiver: Receiver,
    setup: &Setup,
    columns: &[Column],
    servers: usize,
    rows: usize,
) -> Figure {
    let samples = (servers * rows * SERIES) as f64;
    let numbers: Vec<usize> = (0..servers).collect();
    let mut templates: Vec<(&[usize], Template)> = numbers
        .chunks(SERVERS_TOGETHER)
        .map(|servers| {
            let series = servers.iter().flat_map(|server| {
                let name = format!("server-{server:04}");
                columns.iter().map(move |column| column.of_its_own(&name))
            });
            (servers, Template::new(&series.collect::<Vec<_>>()))
        })
        .collect();
    let starts = columns[0].values.len() - rows + 1;
    let begin_ms = (now_ms().div_euclid(DAY_MS) - 1) * DAY_MS + MORNING_MS;
    let (before, senders) = (receiver.cost(), receiver.senders());
    let began = Instant::now();
    let mut refused = 0;
    for row in 0..rows {
        let at_ms = begin_ms + 1000 * row as i64;
        let bodies = templates.iter_mut().map(|(servers, template)| {
            template.at(at_ms, |number| {
                let start = servers[number / SERIES] * 7 % starts;
                columns[number % SERIES].value(start + row)
            })
        });
        refused += senders.send(bodies.collect()).await;
    }
    let took = began.elapsed();
    if refused > 0 {
        eprintln!("  {}: {refused} requests were refused: it is worth nothing", receiver.name);
    }
    // What is still in memory reaches the disk.
    receiver.rests().await;
    let written = receiver.cost();
    let sealed = seal(&receiver, samples).await;
    let cost = receiver.cost();
    let reopened = receiver.reopen(setup, answered_by(receiver.name)).await;
    Figure {
        name: receiver.name,
        samples,
        took,
        written_by: written.cpu_seconds - before.cpu_seconds,
        cost: Cost { cpu_seconds: cost.cpu_seconds - before.cpu_seconds, ..cost },
        sealed,
        reopened,
    }
}

/// A question that is answered with 200 once the receiver knows its samples.
pub(crate) fn answered_by(name: &str) -> &'static str {
    match name {
        "bartizan" => "/api/v1/servers",
        _ => "/api/v1/query?query=count(up)",
    }
}

fn print(figures: &[Figure]) {
    let titles =
        ["B/sample", "whole", "samples/", "with", "samples/s", "most MB", "written", "reopen"];
    let more = ["sealed", "folder", "CPU-s", "sealing", "", "", "B/sample", "ms"];
    for titles in [titles, more] {
        let columns: Vec<_> = titles.iter().map(|title| format!("{title:>10}")).collect();
        eprintln!("  {:<16}{}", "", columns.join(""));
    }
    for figure in figures {
        let Figure { name, samples, took, cost, written_by, sealed, reopened } = figure;
        eprintln!(
            "  {name:<16}{:>10.3}{:>10.3}{:>10.0}{:>10.0}{:>10.0}{:>10.0}{:>10.2}{:>10.0}   {}",
            sealed.per_sample,
            sealed.whole,
            samples / written_by,
            samples / cost.cpu_seconds,
            samples / took.as_secs_f64(),
            megabytes(cost.peak),
            cost.written as f64 / samples,
            reopened.as_secs_f64() * 1e3,
            sealed.parts,
        );
    }
    let Some((ours, others)) = figures.split_first() else { return };
    for other in others {
        eprintln!(
            "  ours against {}: {:.2} of its bytes, {:.1} times its samples per CPU-second",
            other.name,
            ours.sealed.per_sample / other.sealed.per_sample,
            other.written_by / ours.written_by,
        );
    }
}
