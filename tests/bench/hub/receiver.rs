//! Those who take remote writes: a hub of ours, VictoriaMetrics and Prometheus, each as it comes, in folders of their
//! own; and what each of them costs.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use bartizan_tests::{
    Daemon, Setup,
    peer::{Peer, find, free_port},
    process::Process,
    writer::Writer,
};

/// The hub watches next to nothing itself: what it costs is what it receives.
pub(crate) const HUB: &str = "[store]\nmax_bytes = \"16GiB\"\n\n[[server]]\nname = \"hub\"\n\n[[server.collector]]\n\
    plugin = \"load\"\ninterval = \"10s\"\n\n";

/// A program that takes remote writes at `/api/v1/write`.
pub(crate) struct Receiver {
    /// What it is called in tables.
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    token: Option<String>,
    process: Process,
    data: PathBuf,
    kind: Kind,
}

/// What ends with its receiver.
enum Kind {
    Ours { daemon: Daemon },
    Peer { _peer: Peer },
}

/// What it has cost since its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// CPU time, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Memory now, in bytes.
    pub(crate) resident: u64,
    /// Most memory at once, in bytes.
    pub(crate) peak: u64,
    /// What it has on the disk, in bytes.
    pub(crate) disk: u64,
}

impl Receiver {
    /// A hub of ours, in the release profile as every benchmark.
    pub(crate) async fn ours(setup: &Setup) -> Self {
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
    pub(crate) async fn victoria(folder: &Path) -> Option<Self> {
        let program = find("victoria-metrics")?;
        let (port, data) = (free_port(), folder.join("victoria"));
        let mut command = Command::new(program);
        command.arg(format!("-storageDataPath={}", data.display()));
        command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
        command.args(["-retentionPeriod=1", "-loggerLevel=WARN"]);
        Some(Self::peer("VictoriaMetrics", command, port, data, folder).await)
    }

    /// Prometheus, if it is installed.
    pub(crate) async fn prometheus(folder: &Path) -> Option<Self> {
        let program = find("prometheus")?;
        let (port, data) = (free_port(), folder.join("prometheus"));
        let config = folder.join("prometheus.yml");
        fs::write(&config, "global:\n  scrape_interval: 1h\n").unwrap();
        let mut command = Command::new(program);
        command.args(["--web.enable-remote-write-receiver", "--log.level=warn"]);
        // As it comes it has 512 at most, and the others wait.
        command.arg("--web.max-connections=20000");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", data.display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Some(Self::peer("Prometheus", command, port, data, folder).await)
    }

    async fn peer(
        name: &'static str,
        command: Command,
        port: u16,
        data: PathBuf,
        folder: &Path,
    ) -> Self {
        let mut peer = Peer::start(name, command, folder);
        peer.listens(port).await;
        let process = Process::find(peer.pid()).unwrap();
        let address = ([127, 0, 0, 1], port).into();
        Self { name, address, token: None, process, data, kind: Kind::Peer { _peer: peer } }
    }

    /// A sender to it.
    pub(crate) fn writer(&self) -> Writer {
        Writer::new(self.address, self.token.as_deref())
    }

    /// The daemon, where it is ours.
    pub(crate) fn daemon(&self) -> Option<&Daemon> {
        match &self.kind {
            Kind::Ours { daemon } => Some(daemon),
            Kind::Peer { .. } => None,
        }
    }

    /// What it has cost until now.
    pub(crate) fn cost(&self) -> Cost {
        Cost {
            cpu_seconds: self.process.cpu_seconds(),
            resident: self.process.resident_bytes(),
            peak: self.process.peak_bytes(),
            disk: size(&self.data),
        }
    }
}

/// Bytes that a folder takes on the disk.
fn size(folder: &Path) -> u64 {
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
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Names those that are not there.
pub(crate) fn missing(present: &[&str]) {
    for (name, package) in [("VictoriaMetrics", "victoria-metrics"), ("Prometheus", "prometheus")] {
        if !present.contains(&name) {
            eprintln!("  no {name} beside it: install {package}");
        }
    }
}
