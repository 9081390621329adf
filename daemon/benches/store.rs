//! What the store costs: CPU and bytes per sample, answers, reopening.
//!
//! `cargo bench -p bartizan --bench store` prints figures and asserts nothing; behind `--`, `ingest`, `queries`,
//! `arrivals` and `idle` are parts of it. The samples are a recorded trace (`tests/bench/data/`); a fleet is made of copies that
//! start at different rows.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and stops")]

mod recorded;

use std::{
    fs,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan::{
    series::{Frame, Kind, Labels, Sample, Series, SeriesId},
    store::{
        Store,
        messages::{Batch, Query},
        upkeep::UpkeepPort,
    },
};
use recorded::{Bench, Column, changes, cpu_time, lasting, read_trace};

const START_MS: i64 = 1_771_200_000_000;

/// The daemon's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo test --benches` runs this too, and wants no figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let parts: Vec<String> =
        std::env::args().skip(1).filter(|part| !part.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|named| named == part);
    let mut trace = read_trace();
    if wanted("ingest") {
        ingest("all series of one machine", &trace, 20).await;
    }
    trace.sort_by_key(|column| std::cmp::Reverse(changes(column)));
    if wanted("ingest") {
        ingest("60 liveliest series", &trace[..60], 100).await;
    }
    if wanted("queries") {
        queries(&trace[..60]).await;
        queries_of_arrivals(&trace[..100]).await;
    }
    if wanted("arrivals") {
        arrivals(100, 1000).await;
        arrivals(2000, 50).await;
    }
    if wanted("idle") {
        idle(1000, 1000).await;
    }
    // A part of `idle`, in a process of its own.
    if let Some(folder) = parts.iter().find_map(|part| part.strip_prefix("reopen=")) {
        reopen_idle(Path::new(folder));
    }
}

/// What memory a series takes that had one sample, which is sealed: while the store goes on, and once it was opened
/// again.
async fn idle(servers: usize, series: usize) {
    let count = servers * series;
    let bench = Bench::start(lasting()).await;
    let before = resident_bytes();
    let per_series = |bytes: u64| bytes.saturating_sub(before) as f64 / count as f64;
    let named = names_of_idle(servers, series).map(|of_server| {
        of_server.map(|series| bench.catalog.intern(series).unwrap()).collect::<Vec<_>>()
    });
    let ids: Vec<Vec<SeriesId>> = named.collect();
    let known = per_series(resident_bytes());
    for (server, of_server) in ids.into_iter().enumerate() {
        let samples = of_server.into_iter().map(|series| Sample { series, value: 7.0 }).collect();
        let server = format!("server-{server}").into();
        let frame = Frame { server, collector: "exporter".into(), at_ms: START_MS, samples };
        let batch = Batch { frames: vec![frame], gaps: Vec::new() };
        bench.port.append(batch).wait().await.unwrap();
    }
    let written = per_series(resident_bytes());
    UpkeepPort::new(bench.reader.clone()).seal().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let sealed = per_series(resident_bytes());
    println!(
        "{count} idle series of {servers} servers: {sealed:.0} bytes of memory each: {known:.0} once named, \
         {written:.0} once written"
    );
    let folder = bench.stop().await.unwrap();
    let own = std::env::current_exe().unwrap();
    let reopen = format!("reopen={}", folder.path().display());
    assert!(Command::new(own).args(["--bench", &reopen]).status().unwrap().success());
}

/// Opens the store of [`idle`].
fn reopen_idle(folder: &Path) {
    let before = resident_bytes();
    let (catalog, start) = (Arc::default(), Instant::now());
    let store = Store::open(folder, &lasting(), &catalog).unwrap();
    let bytes = resident_bytes() - before;
    println!(
        "  opened again in {:.1} s: {:.0} bytes each",
        start.elapsed().as_secs_f64(),
        bytes as f64 / catalog.len() as f64
    );
    drop(store);
}

/// The series of each server, as an exporter names them.
fn names_of_idle(
    servers: usize,
    series: usize,
) -> impl Iterator<Item = impl Iterator<Item = Series>> {
    (0..servers).map(move |server| {
        (0..series).map(move |number| Series {
            server: format!("server-{server}").into(),
            collector: "exporter".into(),
            metric: format!("container_network_receive_{}_total", number % 50).into(),
            labels: Labels::new([
                ("instance", format!("10.0.{}.{}:9100", server / 256, server % 256)),
                ("job", "node".to_owned()),
                ("pod", format!("shop-{}", number / 50)),
            ]),
            unit: "bytes".into(),
            kind: Kind::Counter,
            interval_ms: 15_000,
        })
    })
}

/// Copies of the trace as fast as they are taken, sealed at full blocks.
async fn ingest(title: &str, trace: &[Column], servers: usize) {
    let bench = Bench::start(lasting()).await;
    let rows = trace[0].values.len();
    let per_round = 1024 + 64;
    let mut cpu = Duration::ZERO;
    let mut samples = 0;
    for round in 0..2 {
        // Building the frames is the collectors' work, not the store's.
        let batches: Vec<Batch> = (round * per_round..(round + 1) * per_round)
            .map(|second| Batch {
                frames: (0..servers)
                    .map(|server| {
                        let row = (server * 7) % (rows - 2 * per_round) + second;
                        frame(&bench, trace, server, START_MS + 1000 * second as i64, row)
                    })
                    .collect(),
                gaps: Vec::new(),
            })
            .collect();
        samples +=
            batches.iter().flat_map(|batch| &batch.frames).map(|f| f.samples.len()).sum::<usize>();
        let sealed = bench.reader.stats().samples_sealed;
        let before = cpu_time();
        for batch in batches {
            bench.port.append(batch).wait().await.unwrap();
        }
        while bench.reader.stats().samples_sealed == sealed {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cpu += cpu_time() - before;
    }
    let stats = bench.reader.stats();
    println!("{title}, {servers} servers, {samples} samples");
    println!(
        "  ingest and seal         {:>8.2} M samples per CPU-second",
        samples as f64 / cpu.as_secs_f64() / 1e6
    );
    println!(
        "  sealed                  {:>8.3} bytes per sample",
        stats.bytes_segments as f64 / stats.samples_sealed as f64
    );
    println!(
        "  written                 {:>8.3} bytes per sample",
        stats.written_bytes as f64 / samples as f64
    );
    bench.reopen();
    bench.stop().await;
}

/// What other nodes send: requests of about 10,000 samples, four on their way at once, each answered when it is durable.
async fn arrivals(servers: usize, series: usize) {
    let bench = Bench::start(lasting()).await;
    let before = resident_bytes();
    let mut random = fastrand::Rng::with_seed(7);
    let columns: Vec<Column> = (0..series)
        .map(|n| Column { name: n.to_string(), kind: Kind::Gauge, values: Vec::new() })
        .collect();
    let names: Vec<Arc<str>> = (0..servers).map(|n| format!("server-{n}").into()).collect();
    let ids: Vec<Vec<SeriesId>> = names
        .iter()
        .map(|name| columns.iter().map(|column| bench.series(name, column)).collect())
        .collect();
    let interned = resident_bytes();
    let mut values: Vec<f64> = (0..servers * series).map(|n| n as f64).collect();
    let (mut cpu, mut wall, mut samples) = (Duration::ZERO, Duration::ZERO, 0);
    for round in 0..100 {
        // A third of the values changes; making them up is not the store's work.
        for value in &mut values {
            if random.u8(..3) == 0 {
                *value += random.f64();
            }
        }
        let at_ms = START_MS + round * 10_000;
        let frames =
            names.iter().zip(&ids).zip(values.chunks(series)).map(|((name, ids), values)| {
                let samples = ids.iter().zip(values);
                let samples = samples.map(|(&series, &value)| Sample { series, value }).collect();
                Frame { server: name.clone(), collector: "agent".into(), at_ms, samples }
            });
        let frames: Vec<Frame> = frames.collect();
        let batches: Vec<Batch> = frames
            .chunks(10_000 / series)
            .map(|frames| Batch { frames: frames.to_vec(), gaps: Vec::new() })
            .collect();
        let (began, used) = (Instant::now(), cpu_time());
        let mut batches = batches.into_iter().peekable();
        while batches.peek().is_some() {
            let sent: Vec<_> = batches
                .by_ref()
                .take(4)
                .map(|batch| {
                    let port = bench.port.clone();
                    tokio::spawn(async move { port.arrive(batch).await.unwrap().stored })
                })
                .collect();
            for stored in sent {
                samples += stored.await.unwrap();
            }
        }
        if round > 0 {
            cpu += cpu_time() - used;
            wall += began.elapsed();
        }
    }
    let steady = samples as f64 * 0.99;
    println!("arrivals, {servers} servers × {series} series, {samples} samples");
    println!(
        "  arrive                  {:>8.2} M samples per CPU-second",
        steady / cpu.as_secs_f64() / 1e6
    );
    println!(
        "  answered                {:>8.2} M samples per second",
        steady / wall.as_secs_f64() / 1e6
    );
    let per_series = |bytes: u64| bytes as f64 / (servers * series) as f64;
    println!("  catalogue               {:>8.0} bytes per series", per_series(interned - before));
    println!(
        "  store, its heads within {:>8.0} bytes per series",
        per_series(resident_bytes().saturating_sub(interned))
    );
    bench.stop().await;
}

/// One machine for a day, 60 series of one metric.
async fn queries(trace: &[Column]) {
    let bench = Bench::start(lasting()).await;
    let rows = trace[0].values.len();
    let day = 24 * 3600;
    for start in (0..day).step_by(600) {
        let frames = (start..start + 600)
            .map(|second| frame(&bench, trace, 0, START_MS + 1000 * second as i64, second % rows));
        bench
            .port
            .append(Batch { frames: frames.collect(), gaps: Vec::new() })
            .wait()
            .await
            .unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let to_ms = START_MS + day as i64 * 1000;
    let one = Some(trace[0].name.as_str());
    let hour = 3_600_000;
    println!("queries on {} samples", bench.reader.stats().samples);
    for (title, of, range_ms, points) in [
        ("60 series × 1 h, 1,000 points", None, hour, Some(1000)),
        ("60 series × 1 h, every sample", None, hour, None),
        ("1 series × 5 min", one, 300_000, None),
        ("1 series × 24 h, 1,000 points", one, 24 * hour, Some(1000)),
    ] {
        ask(&bench, title, &question(of, to_ms, range_ms, points)).await;
    }
    bench.stop().await;
}

/// An hour that came as a sender catches up: requests of 2,000 samples, each of ten series and 200 instants, so that
/// one instant comes in as many pieces as there are tens of series.
async fn queries_of_arrivals(trace: &[Column]) {
    let bench = Bench::start(lasting()).await;
    let hour = 3600;
    for start in (0..hour).step_by(200) {
        for columns in trace.chunks(10) {
            let frames = (start..start + 200)
                .map(|second| frame(&bench, columns, 0, START_MS + 1000 * second as i64, second));
            let batch = Batch { frames: frames.collect(), gaps: Vec::new() };
            bench.port.arrive(batch).await.unwrap();
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!("queries on {} samples that came in pieces", bench.reader.stats().samples);
    let to_ms = START_MS + hour as i64 * 1000;
    for (title, points) in
        [("100 series × 1 h, 360 points", Some(360)), ("100 series × 1 h, every sample", None)]
    {
        ask(&bench, title, &question(None, to_ms, 3_600_000, points)).await;
    }
    bench.stop().await;
}

/// Asks again and again, and prints how long it takes and from which tier the answer comes.
async fn ask(bench: &Bench, title: &str, query: &Query) {
    let mut times: Vec<Duration> = Vec::new();
    let mut tier = "";
    for _ in 0..15 {
        let start = Instant::now();
        let answer = bench.reader.query(query.clone()).await.unwrap();
        times.push(start.elapsed());
        assert!(!answer.partial && answer.series.iter().all(|series| !series.points.is_empty()));
        tier = answer.series[0].tier.name();
    }
    times.sort_unstable();
    let median = times[times.len() / 2].as_secs_f64() * 1e3;
    println!("  {title:<32} {median:>8.2} ms  {tier}");
}

fn question(label: Option<&str>, to_ms: i64, range_ms: i64, points: Option<usize>) -> Query {
    Query {
        server: "server-0".into(),
        metric: "trace".into(),
        labels: label.map(|label| ("column".to_owned(), label.to_owned())).into_iter().collect(),
        from_ms: to_ms - range_ms,
        to_ms,
        points,
        raw: false,
        stats: Vec::new(),
    }
}

/// A frame of the server of this number: a row of the trace, at a time.
fn frame(bench: &Bench, trace: &[Column], server: usize, at_ms: i64, row: usize) -> Frame {
    let name: Arc<str> = format!("server-{server}").into();
    let samples = trace.iter().filter_map(|column| {
        let value = column.values[row]?;
        Some(Sample { series: bench.series(&name, column), value })
    });
    let samples = samples.collect();
    Frame { server: name, collector: "trace".into(), at_ms, samples }
}

fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
