//! What viewers cost: 200 of them on the wall of 500 servers, at 1 Hz for 10 s.
//!
//! The server runs in this process, with real sockets on the loopback; the
//! viewers run in a second one, so that the CPU time printed is the server's
//! alone. Budget (`VIEWERS` = 200): 0.2 of a core; of 1,000: 1 core, and 99 in a
//! hundred frames within 100 ms of the tick that made them.
//!
//! `cargo bench --bench viewers`, with `VIEWERS`, `SERVERS` or `SECONDS` in the
//! environment for other sizes.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and stops")]

use std::{
    env,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use bartizan::{
    alert::Alert,
    config::Config,
    enrol::TokenPort,
    fleet::FleetPort,
    history::Told,
    http::{
        HttpActor, HttpArguments, Names, Token, bind, bind_control,
        messages::{AnswerFuture, History, HistoryStats, Limits, PluginList},
    },
    ingest::Ingest,
    live::{
        Live, LiveActor, LiveArguments,
        messages::{LivePort, LiveUpdate, Origin, ServerState, ServerStatus},
    },
    series::{Catalog, Frame, Kind, Labels, Sample, Series, SeriesId, now_ms},
    store::{StorePort, StoreReader, messages::Query, upkeep::UpkeepPort},
    supervision::{PULSE_MS, Tree},
};
use futures_util::{SinkExt, StreamExt};
use ractor::Actor;
use tokio::{net::TcpStream, runtime::Runtime, time::Instant};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

/// Samples reach the live view this long after the second that they are of.
const ARRIVE_MS: i64 = 60;

fn main() {
    // Cargo gives `--bench`; only our own child is given an address.
    match env::args().nth(1).filter(|argument| argument.contains(':')) {
        Some(address) => Runtime::new().unwrap().block_on(watch(&address)),
        None => Runtime::new().unwrap().block_on(serve()),
    }
}

fn setting(name: &str, default: usize) -> usize {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

async fn serve() {
    let (viewers, servers) = (setting("VIEWERS", 200), setting("SERVERS", 500));
    let seconds = setting("SECONDS", 10);
    let state = tempfile::tempdir().unwrap();
    let tree = Tree::default();
    let catalog = Arc::new(Catalog::default());
    let (port, updates) = LivePort::new(100_000);
    let live = Live::new(port.clone(), updates, catalog.clone(), tree.clone());
    let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.address().unwrap();
    let (store, intake) = StorePort::new(1 << 20);
    let (fleet, tokens) = (FleetPort::default(), TokenPort::default());
    let config = Arc::new(ArcSwap::from_pointee(Config::default()));
    let ingest = Ingest::new(config, catalog.clone(), store, fleet, tokens.clone());
    let arguments = HttpArguments {
        listener,
        control: bind_control(&state.path().join("control.sock")).unwrap(),
        names: Names::new(address, "localhost", None),
        token: Token::load_or_create(state.path()).unwrap(),
        live: live.reader(),
        history: Arc::new(NoHistory),
        upkeep: UpkeepPort::new(StoreReader::new(catalog.clone(), intake)),
        plugins: Arc::new(PluginList::default),
        alerts: Alert::restored(Default::default(), Arc::default(), "hub".into()).desk(),
        fleet: FleetPort::default(),
        targets: Arc::new(Vec::new),
        tls: None,
        tokens,
        ingest,
        tree: tree.clone(),
        assets: |_| None,
        version: env!("CARGO_PKG_VERSION"),
        started: Instant::now(),
        limits: Limits { connections: viewers + 16, ..Limits::default() },
        node: tree.root().child("http", "http"),
    };
    let (http, _) = Actor::spawn(None, HttpActor, arguments).await.unwrap();
    let node = tree.root().child("live", "live");
    Actor::spawn(None, LiveActor, LiveArguments { live: live.clone(), node }).await.unwrap();

    let machines: Vec<_> =
        (0..servers).map(|n| monitor(&format!("server-{n:03}"), &catalog, &port)).collect();
    let mut child = Command::new(env::current_exe().unwrap())
        .arg(address.to_string())
        .stdout(Stdio::inherit())
        .spawn()
        .unwrap();
    while live.reader().stats().viewers < viewers {
        publish(&machines, &port).await;
    }
    for _ in 0..2 {
        publish(&machines, &port).await;
    }
    let (cpu_before, began) = (cpu_seconds(), Instant::now());
    for _ in 0..seconds {
        publish(&machines, &port).await;
    }
    let share = (cpu_seconds() - cpu_before) / began.elapsed().as_secs_f64();
    println!("{viewers} viewers × {servers} servers at 1 Hz for {seconds} s");
    println!("server: {share:.4} of a core, {} MB resident", resident_mb());
    println!("server: {:?}", live.reader().stats());
    // The viewers read until they are told that we stop.
    http.stop(None);
    assert!(child.wait().unwrap().success());
}

/// One server's frame of the second: 8 gauges and 12 counters, all of which move.
struct Machine {
    name: Arc<str>,
    series: Vec<SeriesId>,
}

fn monitor(name: &str, catalog: &Catalog, port: &LivePort) -> Machine {
    let name: Arc<str> = name.into();
    port.publish(LiveUpdate::Server(ServerStatus {
        name: name.clone(),
        tags: Arc::new([("env".to_owned(), "prod".to_owned())].into()),
        state: ServerState::Up,
        normal: Some(true),
        interval_ms: 1000,
        collectors_up: 5,
        collectors_down: 0,
        origin: Origin::Local,
        skew_ms: None,
        seen_ms: None,
        hub: None,
    }));
    let gauges = ["cpu_usage_ratio", "memory_usage_ratio", "load1", "uptime_seconds"];
    let plain = gauges.into_iter().map(|metric| (metric, Labels::default(), Kind::Gauge));
    let mounts = ["/", "/var", "/home", "/srv"].map(|mount| Labels::new([("mount", mount)]));
    let disks = mounts.map(|labels| ("disk_usage_ratio", labels, Kind::Gauge));
    let interfaces = ["eth0", "eth1", "eth2", "lo", "docker0", "veth0"];
    let counters = interfaces.iter().flat_map(|interface| {
        let labels = Labels::new([("interface", *interface)]);
        let metrics = ["network_receive_bytes_total", "network_transmit_bytes_total"];
        metrics.map(|metric| (metric, labels.clone(), Kind::Counter))
    });
    let series = plain.chain(disks).chain(counters).map(|(metric, labels, kind)| {
        let (server, collector) = (name.clone(), "all".into());
        let (metric, unit) = (metric.into(), "bytes".into());
        let series = Series { server, collector, metric, labels, unit, kind, interval_ms: 1000 };
        catalog.intern(series).unwrap()
    });
    Machine { series: series.collect(), name }
}

/// Waits for the next second and gives the live view everybody's frame of it.
async fn publish(machines: &[Machine], port: &LivePort) {
    let wait = 1000 - (now_ms() - ARRIVE_MS).rem_euclid(1000);
    tokio::time::sleep(Duration::from_millis(wait.cast_unsigned())).await;
    let at_ms = now_ms() - ARRIVE_MS;
    for (n, machine) in machines.iter().enumerate() {
        let value = |series: &SeriesId| {
            let noise = (at_ms / 1000 * 31 + n as i64 * 17 + i64::from(series.0)) % 997;
            at_ms as f64 * 1000.0 + noise as f64
        };
        let samples = machine.series.iter().enumerate().map(|(at, &series)| {
            let value = if at < 8 { value(&series) % 997.0 / 997.0 } else { value(&series) };
            Sample { series, value }
        });
        port.publish(LiveUpdate::Frame(Arc::new(Frame {
            server: machine.name.clone(),
            collector: "all".into(),
            at_ms,
            samples: samples.collect(),
        })));
    }
}

/// The viewers: connect, read, and print how long frames took.
async fn watch(address: &str) {
    let viewers = setting("VIEWERS", 200);
    let mut tasks = Vec::new();
    for _ in 0..viewers {
        tasks.push(tokio::spawn(view(address.to_owned())));
    }
    let (mut ticks, mut bytes) = (Vec::new(), 0);
    for task in tasks {
        let (latencies, read) = task.await.unwrap();
        ticks.extend(latencies);
        bytes += read;
    }
    ticks.sort_unstable();
    let at = |share: f64| ticks.get(((ticks.len() - 1) as f64 * share) as usize).unwrap();
    println!(
        "viewers: {} frames of {} bytes; from tick to viewer p50 {} ms, p99 {} ms, worst {} ms; \
         from sample to viewer p99 {} ms",
        ticks.len(),
        bytes / ticks.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        // The tick comes PULSE_MS after the second, the samples ARRIVE_MS after it.
        at(0.99) + PULSE_MS - ARRIVE_MS,
    );
}

async fn view(address: String) -> (Vec<i64>, usize) {
    let mut request = format!("ws://{address}/api/v1/stream").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "bartizan.v1".parse().unwrap());
    let stream = TcpStream::connect(&*address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let subscribe = r#"{"t":"sub","topics":["wall"],"hz":1}"#;
    socket.send(Message::text(subscribe)).await.unwrap();
    let (mut latencies, mut bytes, mut deltas) = (Vec::new(), 0, 0);
    while let Some(Ok(Message::Text(text))) = socket.next().await {
        let Some((_, rest)) = text.split_once("\"to\":") else { continue };
        let at = rest.split([':', ',']).nth(2).and_then(|at| at.parse::<i64>().ok()).unwrap();
        deltas += 1;
        // The first ones come while others are still connecting.
        if deltas > 2 {
            latencies.push(now_ms() - at);
            bytes += text.len();
        }
    }
    (latencies, bytes)
}

struct NoHistory;

impl History for NoHistory {
    fn query(&self, _: Query) -> AnswerFuture {
        Box::pin(async { Ok(Told::default()) })
    }

    fn stats(&self) -> HistoryStats {
        HistoryStats::default()
    }
}

fn cpu_seconds() -> f64 {
    let usage = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = usage.rsplit_once(')').unwrap().1.split_whitespace().skip(11);
    let ticks: f64 = fields.take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

fn resident_mb() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size() as u64 / (1 << 20)
}
