//! What remote write costs, from the body of a request until the store has its samples durably.
//!
//! 2,000 servers of 50 series, a sample of each every 10 s, in requests of 10,000 samples; both versions. CPU time of
//! all threads, and of the store's alone. Budget: five times VictoriaMetrics' 0.45 M samples per CPU-second, HTTP
//! included, which is not in here.
//!
//! `cargo bench -p bartizan --bench ingest`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and stops")]

use std::{collections::HashMap, fs, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bartizan::{
    config::{Config, StoreConfig},
    enrol::TokenPort,
    fleet::FleetPort,
    ingest::{Form, Ingest, Writer},
    series::{Catalog, now_ms},
    store::{OpenedStore, Store, StoreActor, StoreArguments, StorePort, StoreReader},
    supervision::Tree,
};
use ractor::Actor;
use rustix::time::{ClockId, clock_gettime};

const SERVERS: usize = 2000;
const SERIES: usize = 50;
/// Servers of one request.
const TOGETHER: usize = 200;
const ROUNDS: usize = 30;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    for (title, form) in [("remote write 1.0", Form::WriteV1), ("remote write 2.0", Form::WriteV2)]
    {
        measure(title, form).await;
    }
}

async fn measure(title: &str, form: Form) {
    let folder = tempfile::TempDir::new().unwrap();
    let catalog = Arc::new(Catalog::default());
    let (port, intake) = StorePort::new(64 << 20);
    let arguments = StoreArguments {
        path: folder.path().to_owned(),
        config: StoreConfig::default(),
        catalog: catalog.clone(),
        intake: intake.clone(),
        reader: StoreReader::new(catalog.clone(), intake),
        states: Default::default(),
        opened: OpenedStore::new(
            Store::open(folder.path(), &StoreConfig::default(), &catalog).unwrap(),
        ),
        node: Tree::default().root().child("store", "store"),
    };
    let (store, _) = Actor::spawn(None, StoreActor, arguments).await.unwrap();
    let mut config = Config::default();
    config.ingest.max_samples_per_second = 1_000_000_000;
    let config = Arc::new(ArcSwap::from_pointee(config));
    let ingest = Ingest::new(config, catalog, port, FleetPort::default(), TokenPort::default());
    let writer = Writer::administrator();

    let began_ms = now_ms() - ROUNDS as i64 * 10_000;
    let (mut first, mut steady, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
    let mut threads = HashMap::new();
    for round in 0..=ROUNDS {
        let at_ms = began_ms + round as i64 * 10_000;
        let bodies: Vec<_> = (0..SERVERS / TOGETHER)
            .map(|part| body(form, part * TOGETHER..(part + 1) * TOGETHER, at_ms))
            .collect();
        bytes = bodies.iter().map(Vec::len).sum();
        let (used, used_by) = (cpu_time(), by_thread());
        for body in bodies {
            let outcome = ingest.take(&writer, form, body.into()).await.unwrap();
            assert_eq!(outcome.kept.stored, (TOGETHER * SERIES) as u64, "{outcome:?}");
        }
        let used = cpu_time() - used;
        if round == 0 {
            first = used;
            continue;
        }
        steady += used;
        for (thread, ticks) in by_thread() {
            let before = used_by.get(&thread).copied().unwrap_or_default();
            *threads.entry(thread).or_insert(0) += ticks - before;
        }
    }
    let samples = (SERVERS * SERIES) as f64;
    let rate = |samples: f64, time: Duration| samples / time.as_secs_f64() / 1e6;
    println!(
        "{title}, {SERVERS} servers × {SERIES} series, {:.1} bytes a sample",
        bytes as f64 / samples
    );
    println!("  first time       {:>8.2} M samples per CPU-second", rate(samples, first));
    println!(
        "  steady           {:>8.2} M samples per CPU-second",
        rate(samples * ROUNDS as f64, steady)
    );
    let all: u64 = threads.values().sum();
    let mut threads: Vec<_> = threads.into_iter().filter(|(_, ticks)| *ticks > 0).collect();
    threads.sort();
    for (thread, ticks) in threads {
        println!("    {thread:<18} {:>5.1} % of it", ticks as f64 / all as f64 * 100.0);
    }
    store.stop_and_wait(None, None).await.unwrap();
}

/// A request with one sample of every series of these servers.
fn body(form: Form, servers: std::ops::Range<usize>, at_ms: i64) -> Vec<u8> {
    let mut symbols: Vec<String> = vec![String::new()];
    let mut places = HashMap::new();
    let mut all = Vec::new();
    for server in servers {
        for series in 0..SERIES {
            let labels = [
                ("__name__", format!("bench_metric_{}_bytes", series / 5)),
                ("collector", "bench".to_owned()),
                ("device", format!("nvme{}n1", series % 5)),
                ("server", format!("server-{server:05}.example.org")),
            ];
            let mut message = Vec::new();
            if form == Form::WriteV1 {
                for (name, value) in &labels {
                    let mut label = Vec::new();
                    bytes(&mut label, 1, name.as_bytes());
                    bytes(&mut label, 2, value.as_bytes());
                    bytes(&mut message, 1, &label);
                }
            } else {
                let mut refs = Vec::new();
                for text in labels.iter().flat_map(|(name, value)| [*name, value]) {
                    let place = *places.entry(text.to_owned()).or_insert_with(|| {
                        symbols.push(text.to_owned());
                        symbols.len() - 1
                    });
                    varint(&mut refs, place as u64);
                }
                bytes(&mut message, 1, &refs);
            }
            let value = (server * 1000 + series) as f64 + (at_ms / 10_000 % 100) as f64 * 0.25;
            let mut sample = vec![0x09];
            sample.extend(value.to_le_bytes());
            sample.push(0x10);
            varint(&mut sample, at_ms as u64);
            bytes(&mut message, 2, &sample);
            all.push(message);
        }
    }
    let mut request = Vec::new();
    let field = if form == Form::WriteV1 {
        1
    } else {
        symbols.iter().for_each(|symbol| bytes(&mut request, 4, symbol.as_bytes()));
        5
    };
    all.iter().for_each(|message| bytes(&mut request, field, message));
    snap::raw::Encoder::new().compress_vec(&request).unwrap()
}

fn bytes(to: &mut Vec<u8>, field: u64, content: &[u8]) {
    varint(to, field << 3 | 2);
    varint(to, content.len() as u64);
    to.extend(content);
}

fn varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Nanoseconds of CPU time of threads, by their name.
fn by_thread() -> HashMap<String, u64> {
    let mut all = HashMap::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        // A thread may end while it is looked at.
        let Ok(name) = fs::read_to_string(task.join("comm")) else { continue };
        let Ok(stat) = fs::read_to_string(task.join("schedstat")) else { continue };
        let used: u64 = stat.split_whitespace().next().unwrap().parse().unwrap();
        *all.entry(name.trim().to_owned()).or_insert(0) += used;
    }
    all
}
