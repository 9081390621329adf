//! Those who take remote writes, to be measured: a hub of ours, VictoriaMetrics and Prometheus, each as it comes, in
//! folders of their own; and what each of them costs.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::body::Bytes;
use tokio::sync::Mutex;

use crate::{
    DEADLINE, Daemon, Setup, http,
    peer::{Peer, find, free_port},
    process::{Process, Signal},
    wait_for,
    writer::Writer,
};

/// The hub watches next to nothing itself: what it costs is what it receives.
pub const HUB: &str = "[store]\nmax_bytes = \"16GiB\"\n\n[[server]]\nname = \"hub\"\n\n[[server.collector]]\n\
    plugin = \"load\"\ninterval = \"10s\"\n\n";

/// Connections by which a round is sent.
pub const CONNECTIONS: usize = 4;

/// A folder is at rest once its size has not changed for so long.
const REST: Duration = Duration::from_secs(8);

/// Longest that a folder may take to come to rest.
const REST_MAX: Duration = Duration::from_secs(300);

/// A program that takes remote writes at `/api/v1/write`.
pub struct Receiver {
    /// What it is called in tables.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where its data lie.
    pub data: PathBuf,
    token: Option<String>,
    process: Process,
    kind: Kind,
}

/// What ends with its receiver.
enum Kind {
    Ours { daemon: Daemon },
    Peer { peer: Peer, again: Box<dyn Fn() -> Command + Send + Sync>, folder: PathBuf },
}

/// What it has cost since its start.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// CPU time, in seconds.
    pub cpu_seconds: f64,
    /// Memory now, in bytes.
    pub resident: u64,
    /// Most memory at once, in bytes.
    pub peak: u64,
    /// What it has on the disk, in bytes.
    pub disk: u64,
    /// What it has had written to the disk, in bytes.
    pub written: u64,
}

impl Receiver {
    /// A hub of ours, in the release profile as every benchmark.
    pub async fn ours(setup: &Setup) -> Self {
        let daemon = setup.start().await;
        Self {
            name: "bartizan",
            address: daemon.address,
            token: Some(setup.admin_token()),
            process: daemon.process,
            data: setup.state(),
            kind: Kind::Ours { daemon },
        }
    }

    /// VictoriaMetrics, if it is installed.
    pub async fn victoria(folder: &Path) -> Option<Self> {
        let program = find("victoria-metrics")?;
        let (port, data) = (free_port(), folder.join("victoria"));
        let storage = format!("-storageDataPath={}", data.display());
        let command = move || {
            let mut command = Command::new(&program);
            command.arg(&storage).arg(format!("-httpListenAddr=127.0.0.1:{port}"));
            command.args(["-retentionPeriod=3", "-loggerLevel=WARN", "-search.latencyOffset=0s"]);
            command
        };
        Some(Self::peer("VictoriaMetrics", command, port, data, folder).await)
    }

    /// Prometheus, if it is installed.
    pub async fn prometheus(folder: &Path) -> Option<Self> {
        let program = find("prometheus")?;
        let (port, data) = (free_port(), folder.join("prometheus"));
        let config = folder.join("prometheus.yml");
        fs::write(&config, "global:\n  scrape_interval: 1h\n").unwrap();
        let places = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", data.display()),
        ];
        let command = move || {
            let mut command = Command::new(&program);
            command.args(["--web.enable-remote-write-receiver", "--log.level=warn"]);
            command.args(["--web.enable-admin-api", "--storage.tsdb.retention.time=90d"]);
            // As it comes it has 512 at most, and the others wait.
            command.arg("--web.max-connections=20000").args(&places);
            command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            command
        };
        Some(Self::peer("Prometheus", command, port, data, folder).await)
    }

    async fn peer(
        name: &'static str,
        command: impl Fn() -> Command + Send + Sync + 'static,
        port: u16,
        data: PathBuf,
        folder: &Path,
    ) -> Self {
        let mut peer = Peer::start(name, command(), folder);
        peer.listens(port).await;
        // Prometheus takes nothing before it has opened its store.
        let address = ([127, 0, 0, 1], port).into();
        wait_for("it to be ready", DEADLINE, async || {
            let answer = http::get(address, "/api/v1/query?query=count(up)").await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
        let process = Process::find(peer.pid()).unwrap();
        let kind = Kind::Peer { peer, again: Box::new(command), folder: folder.to_owned() };
        Self { name, address, token: None, process, data, kind }
    }

    /// A sender to it.
    pub fn writer(&self) -> Writer {
        Writer::new(self.address, self.token.as_deref())
    }

    /// The daemon, where it is ours.
    pub fn daemon(&self) -> Option<&Daemon> {
        match &self.kind {
            Kind::Ours { daemon } => Some(daemon),
            Kind::Peer { .. } => None,
        }
    }

    /// What it has cost until now.
    pub fn cost(&self) -> Cost {
        Cost {
            cpu_seconds: self.process.cpu_seconds(),
            resident: self.process.resident_bytes(),
            peak: self.process.peak_bytes(),
            disk: size(&self.data),
            written: self.process.written_bytes(),
        }
    }

    /// Several connections to it.
    pub fn senders(&self) -> Senders {
        Senders((0..CONNECTIONS).map(|_| Arc::new(Mutex::new(self.writer()))).collect())
    }

    /// Waits until what it has on the disk does not change any more.
    pub async fn rests(&self) {
        let began = Instant::now();
        let mut seen = (0, began);
        while seen.1.elapsed() < REST && began.elapsed() < REST_MAX {
            let now = size(&self.data);
            if now != seen.0 {
                seen = (now, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Kills it as `kill -9` does and starts it again; how long it takes from the start until `path` is answered.
    pub async fn reopen(&mut self, setup: &Setup, path: &str) -> Duration {
        self.process.signal(Signal::KILL);
        let killed = self.process;
        wait_for("its end", DEADLINE, async || (!killed.runs()).then_some(())).await;
        let began = Instant::now();
        match &mut self.kind {
            Kind::Ours { daemon } => {
                // What has ended is only waited for.
                daemon.kill();
                *daemon = setup.spawn();
                self.process = daemon.process;
            }
            Kind::Peer { peer, again, folder } => {
                peer.end();
                *peer = Peer::start(self.name, again(), folder);
                self.process = Process::find(peer.pid()).unwrap();
            }
        }
        let answered = async || {
            let answer = http::get(self.address, path).await.ok()?;
            (answer.status == 200).then_some(())
        };
        wait_for("the first answer", DEADLINE, answered).await;
        began.elapsed()
    }
}

/// Connections that are kept, by which rounds of requests are sent.
pub struct Senders(Vec<Arc<Mutex<Writer>>>);

impl Senders {
    /// Sends requests, each by whichever connection is free; returns how many were refused.
    pub async fn send(&self, round: Vec<Bytes>) -> usize {
        let (round, next) = (Arc::new(round), Arc::new(AtomicUsize::new(0)));
        let senders = self.0.iter().map(|writer| {
            let (round, next, writer) = (round.clone(), next.clone(), writer.clone());
            tokio::spawn(async move {
                let (mut writer, mut refused) = (writer.lock().await, 0);
                while let Some(body) = round.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = writer.send(body.clone()).await.unwrap();
                    if answer.status >= 300 {
                        refused += 1;
                        if refused == 1 {
                            eprintln!("  {} {}", answer.status, answer.text());
                        }
                    }
                }
                refused
            })
        });
        let mut refused = 0;
        for sender in senders.collect::<Vec<_>>() {
            refused += sender.await.unwrap();
        }
        refused
    }
}

/// Bytes that a folder takes on the disk.
pub fn size(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // What vanishes while it is looked at takes nothing.
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    });
    sizes.sum()
}

/// Bytes in the way people say them.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Names those that are not there.
pub fn missing(present: &[&str]) {
    for (name, package) in [("VictoriaMetrics", "victoria-metrics"), ("Prometheus", "prometheus")] {
        if !present.contains(&name) {
            eprintln!("  no {name} beside it: install {package}");
        }
    }
}
