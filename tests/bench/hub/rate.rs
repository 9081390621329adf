//! A hundred thousand series as fast as a receiver takes them, one receiver after the other: samples for each second of
//! CPU time, memory and disk.
//!
//! Every request is encoded and compressed before the clock runs. What a receiver still has to do after its last answer
//! counts: its CPU time is read some seconds later. Ours answers when the samples are on the disk; VictoriaMetrics when
//! they are in its memory, Prometheus when they are in its log, not synced.

use std::time::{Duration, Instant};

use bartizan_tests::{
    Setup,
    measured::{CONNECTIONS, HUB, Receiver, megabytes, missing},
    now_ms, rounds,
    writer::{Template, of_a_server, value_of},
};
use hyper::body::Bytes;

use super::number;

/// Series of one simulated server.
const PER_SERVER: usize = 1_000;

/// What Prometheus sends at most in one request, as it comes.
const BATCH: usize = 2_000;

/// Rounds in which the series are new; not measured.
const WARM_UP: usize = 2;

/// What is in memory after the last answer reaches the disk.
const SETTLE: Duration = Duration::from_secs(6);

/// When the samples are from, against now, and how far apart they are, both in milliseconds.
const TIMES: [(&str, i64, i64); 2] = [
    ("as they come: judged and shown live", 0, 1_000),
    ("two hours late: stored only", -7_200_000, 10_000),
];

/// What one receiver did.
struct Figure {
    name: &'static str,
    per_cpu_second: f64,
    line: String,
}

/// The whole part.
pub(crate) async fn run() {
    let series = number("BARTIZAN_RATE_SERIES", 100_000);
    let wanted = number("BARTIZAN_RATE_ROUNDS", rounds(100, 400));
    let batch = number("BARTIZAN_BATCH", BATCH);
    eprintln!(
        "{series} series as fast as they are taken, {batch} samples a request, {CONNECTIONS} connections"
    );
    eprintln!(
        "  {:<16} {:>12} {:>11} {:>9} {:>9} {:>9} {:>10}",
        "", "samples/", "samples/s", "resident", "most MB", "disk MB", "first, new"
    );
    eprintln!(
        "  {:<16} {:>12} {:>11} {:>9} {:>9} {:>9} {:>10}",
        "", "CPU-s", "", "MB", "", "", "CPU us each"
    );
    for (what, from, step) in TIMES {
        eprintln!(" {what}");
        let mut figures = Vec::new();
        for which in 0..number("BARTIZAN_WHICH", 3) {
            let setup = Setup::new(HUB);
            let receiver = match which {
                0 => Some(Receiver::ours(&setup).await),
                1 => Receiver::victoria(setup.folder()).await,
                _ => Receiver::prometheus(setup.folder()).await,
            };
            let Some(receiver) = receiver else { continue };
            let bodies = bodies(series, batch, wanted + WARM_UP, (now_ms() + from, step));
            figures.push(measure(&receiver, series, bodies).await);
        }
        let ours = figures[0].per_cpu_second;
        for figure in &figures {
            let ratio = ours / figure.per_cpu_second;
            eprintln!("  {}   ours are {ratio:.1} times that", figure.line);
        }
        missing(&figures.iter().map(|figure| figure.name).collect::<Vec<_>>());
    }
}

/// The requests of each round, ready to be sent.
fn bodies(series: usize, batch: usize, rounds: usize, (from, step): (i64, i64)) -> Vec<Vec<Bytes>> {
    let all: Vec<_> = (0..series.div_ceil(PER_SERVER))
        .flat_map(|server| of_a_server(&format!("load-{server:03}"), PER_SERVER))
        .take(series)
        .collect();
    let mut templates: Vec<Template> = all.chunks(batch).map(Template::new).collect();
    let of_round = |round: usize| {
        let at_ms = from + step * i64::try_from(round).unwrap();
        let value = |number: usize| value_of(number, round as u64);
        templates.iter_mut().map(|template| template.at(at_ms, value)).collect()
    };
    (0..rounds).map(of_round).collect()
}

async fn measure(receiver: &Receiver, series: usize, bodies: Vec<Vec<Bytes>>) -> Figure {
    let rounds = bodies.len() - WARM_UP;
    let mut bodies = bodies.into_iter();
    let (start, senders) = (receiver.cost().cpu_seconds, receiver.senders());
    for round in bodies.by_ref().take(WARM_UP) {
        senders.send(round).await;
    }
    tokio::time::sleep(SETTLE).await;
    let warm = receiver.cost();
    let began = Instant::now();
    let mut refused = 0;
    for round in bodies {
        refused += senders.send(round).await;
    }
    let took = began.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLE).await;
    let cost = receiver.cost();
    let samples = (rounds * series) as f64;
    let per_cpu_second = samples / (cost.cpu_seconds - warm.cpu_seconds);
    let first = 1e6 * (warm.cpu_seconds - start) / (WARM_UP * series) as f64;
    let mut line = format!(
        "{:<16} {per_cpu_second:>12.0} {:>11.0} {:>9.0} {:>9.0} {:>9.0} {first:>10.1}",
        receiver.name,
        samples / took,
        megabytes(cost.resident),
        megabytes(cost.peak),
        megabytes(cost.disk),
    );
    if refused > 0 {
        line += &format!("   {refused} requests were refused: the figure is worth nothing");
    }
    Figure { name: receiver.name, per_cpu_second, line }
}
