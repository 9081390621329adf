//! What it costs to watch one machine at 1 s with the dashboard open, beside node_exporter and Prometheus.
//!
//! CPU time and PSS of all processes of each, over the same minute; peers that are not installed are named. Started by
//! `tests/bench/run`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up should stop")]

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bartizan_tests::{
    Daemon, Setup, now_ms,
    process::{Process, children},
    stream::Viewer,
};

/// How long is measured.
const MINUTE: Duration = Duration::from_secs(60);

/// Whoever starts slowly should not pay for it here.
const WARM_UP: Duration = Duration::from_secs(10);

const CONFIG: &str = "[[server]]\nname = \"here\"\n";

/// What one monitor cost.
struct Cost {
    name: &'static str,
    percent_of_core: f64,
    megabytes: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let setup = Setup::new(CONFIG);
    let daemon = setup.start().await;
    let mut viewer = Viewer::open(daemon.address).await.unwrap();
    viewer.subscribe(&["wall", "server:here"]).await.unwrap();
    let peers = Peers::start(setup.folder());

    watch(&mut viewer, WARM_UP).await;
    let ours = Measured::begin("bartizan", || tree(&daemon));
    let theirs = peers
        .as_ref()
        .map(|peers| Measured::begin("node_exporter + Prometheus", || peers.processes()));
    let began = now_ms();
    watch(&mut viewer, MINUTE).await;
    let ours = ours.end(tree(&daemon));
    let theirs =
        theirs.zip(peers.as_ref()).map(|(measured, peers)| measured.end(peers.processes()));

    let samples = samples(&daemon, began).await;
    let microseconds = ours.percent_of_core / 100.0 * MINUTE.as_secs_f64() * 1e6 / samples as f64;
    eprintln!("one machine at 1 s, dashboard open, {} s", MINUTE.as_secs());
    for cost in [Some(&ours), theirs.as_ref()].into_iter().flatten() {
        let Cost { name, percent_of_core, megabytes } = cost;
        eprintln!("  {name:<28} {percent_of_core:6.2} % of a core {megabytes:8.1} MB PSS");
    }
    eprintln!("  {samples} samples stored, {microseconds:.1} us of CPU each");
    match theirs {
        Some(theirs) => eprintln!(
            "  ratio to the peer: CPU {:.2}, memory {:.2}",
            ours.percent_of_core / theirs.percent_of_core,
            ours.megabytes / theirs.megabytes,
        ),
        None => eprintln!("  no peer beside it: install prometheus and prometheus-node-exporter"),
    }
}

/// Reads the stream for so long, as an open dashboard does.
async fn watch(viewer: &mut Viewer, time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        viewer.next().await.unwrap();
    }
}

/// Samples of all series since `began`.
async fn samples(daemon: &Daemon, began: i64) -> usize {
    let answer = daemon.get("/servers/here/series").await;
    let mut metrics: Vec<String> =
        answer["series"].as_array().unwrap().iter().map(metric).collect();
    metrics.sort();
    metrics.dedup();
    let mut count = 0;
    for metric in metrics {
        let series = daemon.raw("here", &metric, began).await;
        count += series.iter().map(|series| series.points.len()).sum::<usize>();
    }
    count
}

fn metric(series: &serde_json::Value) -> String {
    series["metric"].as_str().unwrap().to_owned()
}

/// The daemon and its plugin hosts.
fn tree(daemon: &Daemon) -> Vec<Process> {
    let mut all = daemon.hosts();
    all.push(daemon.process);
    all
}

/// A measurement that has begun.
struct Measured {
    name: &'static str,
    began: Instant,
    cpu_seconds: f64,
}

impl Measured {
    fn begin(name: &'static str, processes: impl Fn() -> Vec<Process>) -> Self {
        Self { name, began: Instant::now(), cpu_seconds: cpu_seconds(&processes()) }
    }

    fn end(self, processes: Vec<Process>) -> Cost {
        let spent = cpu_seconds(&processes) - self.cpu_seconds;
        let pss: u64 = processes.iter().map(Process::pss_bytes).sum();
        Cost {
            name: self.name,
            percent_of_core: 100.0 * spent / self.began.elapsed().as_secs_f64(),
            megabytes: pss as f64 / 1e6,
        }
    }
}

fn cpu_seconds(processes: &[Process]) -> f64 {
    processes.iter().map(Process::cpu_seconds).sum()
}

/// node_exporter and Prometheus, scraping each second, as Debian installs them.
struct Peers([Child; 2]);

impl Peers {
    fn start(folder: &Path) -> Option<Self> {
        let (exporter, prometheus) = (find("prometheus-node-exporter")?, find("prometheus")?);
        let [exported, served] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let config = folder.join("prometheus.yml");
        let scrape = "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: node\n";
        let targets = format!("    static_configs:\n      - targets: ['{exported}']\n");
        fs::write(&config, format!("{scrape}{targets}")).unwrap();
        let exporter = start(&exporter, &[format!("--web.listen-address={exported}")]);
        let data = folder.join("prometheus");
        let prometheus = start(
            &prometheus,
            &[
                format!("--config.file={}", config.display()),
                format!("--storage.tsdb.path={}", data.display()),
                format!("--web.listen-address={served}"),
            ],
        );
        Some(Self([exporter, prometheus]))
    }

    fn processes(&self) -> Vec<Process> {
        let pids = self.0.iter().map(Child::id);
        let own = pids.clone().filter_map(Process::find);
        own.chain(pids.flat_map(children)).collect()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(program: &Path, arguments: &[String]) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
