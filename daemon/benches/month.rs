//! Thirty days of a fleet in one store: disk, memory, answers and reopening.
//!
//! The trace is repeated, a row every ten seconds, and its stamps end now, so that retention has its say. Disk per sample
//! is no measure of compression here. `BARTIZAN_MONTH_SERVERS` (10; 1,000 where `BARTIZAN_LONG` is set) and
//! `BARTIZAN_DAYS` (30) say how much; `tests/bench/store month` starts it. Where `BARTIZAN_MONTH_FOLDER` names a folder,
//! the month stays there, and the next run asks it without writing another.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and stops")]

mod recorded;

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan::{
    config::StoreConfig,
    series::{Frame, Sample, SeriesId, now_ms},
    store::{
        messages::{Ack, Batch, Query},
        upkeep::UpkeepPort,
    },
};
use recorded::{Bench, Column, changes, cpu_time, read_trace};
use tokio::time::timeout;

const SERIES: usize = 60;
const STEP_MS: i64 = 10_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const HOUR_MS: i64 = 60 * 60 * 1000;

/// Batches on their way at one time: fewer than the store refuses.
const UNDERWAY: usize = 16;

/// Longest that is waited until all is settled.
const PATIENCE: Duration = Duration::from_secs(3600);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo test --benches` runs this too, and wants no figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let long = std::env::var_os("BARTIZAN_LONG").is_some();
    let servers = number("BARTIZAN_MONTH_SERVERS", if long { 1000 } else { 10 });
    let days = number("BARTIZAN_DAYS", 30) as i64;
    let mut trace = read_trace();
    trace.sort_by(|one, other| changes(other).cmp(&changes(one)).then(one.name.cmp(&other.name)));
    trace.truncate(SERIES);
    let config = StoreConfig { max_bytes: 64 << 30, ..StoreConfig::default() };
    let kept = std::env::var_os("BARTIZAN_MONTH_FOLDER").map(PathBuf::from);
    let bench = match &kept {
        Some(folder) => Bench::start_in(folder, config).await,
        None => Bench::start(config).await,
    };
    let until_ms = match bench.reader.last_seen("server-0") {
        Some(last_ms) => last_ms + STEP_MS,
        None => {
            let until_ms = now_ms() / STEP_MS * STEP_MS;
            fill(&bench, &trace, servers, (until_ms - days * DAY_MS, until_ms)).await;
            bench.reopen();
            until_ms
        }
    };
    at_rest(&bench).await;
    ask(&bench, &trace[3].name, days, until_ms).await;
    bench.reopen();
    let [now, most] = ["VmRSS:", "VmHWM:"].map(memory);
    println!(
        "  memory                  {now:>8.1} MB, at most {most:.1}, this simulation's frames within"
    );
    bench.stop().await;
}

/// Writes the whole time, oldest first.
async fn fill(bench: &Bench, trace: &[Column], servers: usize, (from_ms, to_ms): (i64, i64)) {
    let rows = trace[0].values.len();
    let names: Vec<Arc<str>> = (0..servers).map(|n| format!("server-{n}").into()).collect();
    let ids: Vec<Vec<SeriesId>> = names
        .iter()
        .map(|name| trace.iter().map(|column| bench.series(name, column)).collect())
        .collect();
    let frame = |server: usize, at_ms, row: usize| {
        let columns = ids[server].iter().zip(trace);
        let samples = columns
            .filter_map(|(&series, column)| Some(Sample { series, value: column.values[row]? }));
        let samples = samples.collect();
        Frame { server: names[server].clone(), collector: "trace".into(), at_ms, samples }
    };
    let (began, mut cpu) = (Instant::now(), Duration::ZERO);
    let mut underway: Vec<Ack> = Vec::new();
    let mut samples = 0;
    for (tick, at_ms) in (from_ms..to_ms).step_by(STEP_MS as usize).enumerate() {
        let before = cpu_time();
        let frames =
            (0..servers).map(|server| frame(server, at_ms, (server * 7 + tick) % rows)).collect();
        // Building the frames is the collectors' work, not the store's.
        cpu += cpu_time().saturating_sub(before);
        samples += servers * SERIES;
        underway.push(bench.port.append(Batch { frames, gaps: Vec::new() }));
        if underway.len() >= UNDERWAY {
            for ack in underway.drain(..) {
                ack.wait().await.unwrap();
            }
        }
    }
    let spent = cpu_time().saturating_sub(cpu);
    println!(
        "{servers} servers x {SERIES} series x {} d at {} s: {:.0} M samples in {:.0} s",
        (to_ms - from_ms) / DAY_MS,
        STEP_MS / 1000,
        samples as f64 / 1e6,
        began.elapsed().as_secs_f64(),
    );
    println!(
        "  stored and sealed       {:>8.2} M samples per CPU-second, about",
        samples as f64 / spent.as_secs_f64() / 1e6
    );
}

/// Seals and settles all there is, then says what the folder consists of.
async fn at_rest(bench: &Bench) {
    let began = Instant::now();
    let upkeep = UpkeepPort::new(bench.reader.clone());
    timeout(PATIENCE, upkeep.seal()).await.unwrap().unwrap();
    println!("  sealed and settled in   {:>8.1} s more", began.elapsed().as_secs_f64());
    let inventory = upkeep.inventory().await.unwrap();
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let total = megabytes(inventory.bytes_total);
    let parts: Vec<String> = inventory
        .parts
        .iter()
        .filter(|part| part.bytes > 0)
        .map(|part| format!("{} {:.1}", part.part, megabytes(part.bytes)))
        .collect();
    println!("  disk                    {total:>8.1} MB: {}", parts.join(", "));
    for tier in inventory.tiers.iter().filter(|tier| tier.segments > 0) {
        println!(
            "    {:<8} {:>5} segments, {:>9.2} M points, {:.3} bytes each",
            tier.tier,
            tier.segments,
            tier.points as f64 / 1e6,
            tier.bytes as f64 / tier.points.max(1) as f64,
        );
    }
    let stats = bench.reader.stats();
    println!("  written                 {:>8.1} MB", megabytes(stats.written_bytes));
    println!("  samples kept            {:>8.1} M", inventory.samples as f64 / 1e6);
    let oldest = stats.oldest_ms.map_or(0.0, |at| (now_ms() - at) as f64 / DAY_MS as f64);
    println!("  reaching back           {oldest:>8.1} d");
}

async fn ask(bench: &Bench, column: &str, days: i64, until_ms: i64) {
    let query = |column: Option<&str>, range_ms: i64, points| Query {
        server: "server-0".into(),
        metric: "trace".into(),
        labels: column.map(|name| ("column".to_owned(), name.to_owned())).into_iter().collect(),
        from_ms: until_ms - range_ms,
        to_ms: until_ms,
        points: Some(points),
        raw: true,
        stats: Vec::new(),
    };
    for (title, query) in [
        ("1 series, all, 1,000 points", query(Some(column), days * DAY_MS, 1000)),
        ("60 series, all, 1,000 points", query(None, days * DAY_MS, 1000)),
        ("60 series x 1 d, 1,000 points", query(None, DAY_MS, 1000)),
        ("60 series x 1 h, every sample", query(None, HOUR_MS, 360)),
    ] {
        let mut times: Vec<Duration> = Vec::new();
        let mut points = 0;
        for _ in 0..7 {
            let start = Instant::now();
            let answer = bench.reader.query(query.clone()).await.unwrap();
            times.push(start.elapsed());
            assert!(!answer.partial);
            points = answer.series.iter().map(|series| series.points.len()).min().unwrap_or(0);
        }
        let first = times[0].as_secs_f64() * 1e3;
        times.sort_unstable();
        let usual = times[times.len() / 2].as_secs_f64() * 1e3;
        println!("  {title:<30} {usual:>8.2} ms, the first time {first:.2}; {points} points");
    }
}

/// Memory of this process, in megabytes.
fn memory(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1e3
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
