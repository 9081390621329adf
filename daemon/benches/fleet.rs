//! What it costs to watch many servers that write here: 10,000 of 50 series, each every 10 s.
//!
//! Fleet, servers, live view and alerts run as they do in the daemon; what arrives is given to the fleet as ingest
//! gives it, once it is stored. Then a tenth of the servers fall silent at once. Budget, with all the rest of the
//! daemon: one core and 1 GB. Prints figures and judges nothing.
//!
//! `cargo bench --bench fleet`, with `SERVERS`, `SERIES` or `SECONDS` in the environment for other sizes.

#![expect(clippy::unwrap_used, reason = "a benchmark stops")]

use std::{
    env, fs,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bartizan::{
    alert::{Alert, AlertActor, AlertArguments},
    config::Config,
    enrol::TokenPort,
    fleet::{FleetActor, FleetArguments, FleetPort, Ports},
    live::{
        Live, LiveActor, LiveArguments, LiveReader,
        messages::{LivePort, ServerState},
    },
    plugin::PluginPort,
    series::{Catalog, Frame, Kind, Labels, Sample, Series, SeriesId, now_ms},
    store::{StatePort, StorePort, StoreReader, messages::Batch},
    supervision::Tree,
};
use ractor::Actor;
use tokio::{runtime::Builder, time::sleep};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time between two samples of a server.
const INTERVAL_MS: i64 = 10_000;
/// Parts of an interval; servers of one part write in one request.
const PARTS: usize = 200;

fn main() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(watch());
}

fn setting(name: &str, default: usize) -> usize {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

async fn watch() {
    let (servers, series) = (setting("SERVERS", 10_000), setting("SERIES", 50));
    let seconds = setting("SECONDS", 40);
    let catalog = Arc::new(Catalog::default());
    let machines: Vec<Machine> =
        (0..servers).map(|number| Machine::new(number, series, &catalog)).collect();
    let before = resident_mb();
    let (fleet, reader) = start(&catalog).await;

    let began = Instant::now();
    write(&machines, &fleet, 0..PARTS).await;
    while reader.servers(|_, state| state == ServerState::Up).len() < servers {
        sleep(Duration::from_millis(500)).await;
        let up = reader.servers(|_, state| state == ServerState::Up).len();
        assert!(began.elapsed() < Duration::from_secs(30), "{up} of {servers} are up");
    }
    eprintln!("{servers} servers × {series} series: up {:.1?} after they began", began.elapsed());

    let (began, cpu) = (Instant::now(), cpu_time());
    for _ in 0..seconds as i64 * 1000 / INTERVAL_MS {
        write(&machines, &fleet, 0..PARTS).await;
    }
    let share = (cpu_time() - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    let own = resident_mb() - before;
    eprintln!("watching: {share:.3} of a core, {own} MB besides the {before} of the catalogue");
    eprintln!("fleet: {:?}, live: {:?}", fleet.stats(), reader.stats());

    let (dead, alive) = machines.split_at(servers / 10);
    let died = Instant::now();
    let mut cpu = cpu_time();
    for second in 0.. {
        let turns = PARTS / 10;
        write(alive, &fleet, second * turns..(second + 1) * turns).await;
        let offline = reader.servers(|status, state| {
            // The hub itself is named only so that no plugin reads this machine.
            state == ServerState::Offline && &*status.name != "hub"
        });
        if offline.len() == dead.len() || died.elapsed() > Duration::from_secs(60) {
            let share = (cpu_time() - cpu).as_secs_f64() / died.elapsed().as_secs_f64();
            let (offline, after) = (offline.len(), died.elapsed());
            eprintln!(
                "{offline} of {} dead ones offline after {after:.1?}, {share:.3} of a core",
                dead.len()
            );
            break;
        }
    }
    cpu = cpu_time();
    let asked = Instant::now();
    let all = reader.servers(|_, _| true).len();
    eprintln!("asked for all {all}: {:.1?}, {:.1?} CPU", asked.elapsed(), cpu_time() - cpu);
}

/// Starts what the daemon starts, but the store and what reads this machine.
async fn start(catalog: &Arc<Catalog>) -> (FleetPort, LiveReader) {
    let tree = Tree::default();
    let (port, updates) = LivePort::new(65_536);
    let live = Live::new(port.clone(), updates, catalog.clone(), tree.clone());
    let reader = live.reader();
    let (store, intake) = StorePort::new(1 << 20);
    let fleet = FleetPort::default();
    let config = Config::parse("[[server]]\nname = 'hub'\nremote = true\n", "bench.toml").unwrap();
    let config = Arc::new(config);
    let alert = Alert::restored(Default::default(), config.clone(), "hub".into());
    let ports = Ports {
        tokens: TokenPort::default(),
        plugins: PluginPort::default(),
        store,
        live: port.clone(),
        catalog: catalog.clone(),
        history: StoreReader::new(catalog.clone(), intake),
        alerts: alert.port(),
        fleet: fleet.clone(),
        states: StatePort::default(),
    };
    let arguments = AlertArguments {
        alert,
        config: config.clone(),
        states: StatePort::default(),
        live: port,
        base_url: "http://127.0.0.1:9797".into(),
        node: tree.root().child("alert", "alert"),
    };
    Actor::spawn(None, AlertActor, arguments).await.unwrap();
    let arguments = LiveArguments { live, node: tree.root().child("live", "live") };
    Actor::spawn(None, LiveActor, arguments).await.unwrap();
    let arguments = FleetArguments {
        config: Arc::new(ArcSwap::new(config)),
        this_machine: "hub".into(),
        ports,
        node: tree.root().child("fleet", "fleet"),
    };
    Actor::spawn(None, FleetActor, arguments).await.unwrap();
    (fleet, reader)
}

/// A server that writes here: a few series that built-in rules are about, and others.
struct Machine {
    name: Arc<str>,
    collector: Arc<str>,
    series: Vec<SeriesId>,
}

impl Machine {
    fn new(number: usize, series: usize, catalog: &Catalog) -> Self {
        let name: Arc<str> = format!("server-{number:05}").into();
        let collector: Arc<str> = "node".into();
        let judged = ["cpu_usage_ratio", "memory_usage_ratio", "disk_usage_ratio"];
        let series = (0..series).map(|at| {
            let metric = judged.get(at).map_or_else(|| format!("metric_{at}"), |&name| name.into());
            let series = Series {
                server: name.clone(),
                collector: collector.clone(),
                metric: metric.into(),
                labels: Labels::new([("instance", &*name)]),
                unit: "ratio".into(),
                kind: Kind::Gauge,
                interval_ms: INTERVAL_MS as u32,
            };
            catalog.intern(series).unwrap()
        });
        Self { series: series.collect(), name, collector }
    }

    fn frame(&self, at_ms: i64) -> Frame {
        let value = |id: &SeriesId| (at_ms / 1000 % 7 + i64::from(id.0) % 13) as f64 / 40.0;
        let samples = self.series.iter().map(|id| Sample { series: *id, value: value(id) });
        let (server, collector) = (self.name.clone(), self.collector.clone());
        Frame { server, collector, at_ms, samples: samples.collect() }
    }
}

/// What those machines write whose turn comes within the next `turns`, a turn each so many milliseconds.
async fn write(machines: &[Machine], fleet: &FleetPort, turns: std::ops::Range<usize>) {
    const TURN_MS: i64 = INTERVAL_MS / PARTS as i64;
    for turn in turns {
        let wait_ms = TURN_MS - now_ms().rem_euclid(TURN_MS);
        sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
        let at_ms = now_ms();
        let now = machines.iter().skip(turn % PARTS).step_by(PARTS);
        let frames = now.map(|machine| machine.frame(at_ms)).collect();
        fleet.arrived(Batch { frames, gaps: Vec::new() });
    }
}

fn resident_mb() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    (pages * rustix::param::page_size()) >> 20
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
