//! What benchmarks of the store share: the recorded trace of `tests/bench/data/`, and a store that runs by itself.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan::{
    config::{Retention, StoreConfig},
    series::{Catalog, Kind, Labels, Series, SeriesId},
    store::{OpenedStore, Store, StoreActor, StoreArguments, StorePort, StoreReader},
    supervision::Tree,
};
use ractor::Actor;
use rustix::time::{ClockId, clock_gettime};

/// A column of the trace.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) values: Vec<Option<f64>>,
}

/// A store at work, in a folder of its own or in one that is kept.
pub(crate) struct Bench {
    folder: PathBuf,
    own: Option<tempfile::TempDir>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) port: StorePort,
    pub(crate) reader: StoreReader,
    actor: ractor::ActorRef<bartizan::store::messages::StoreMessage>,
}

impl Bench {
    /// A fresh one.
    pub(crate) async fn start(config: StoreConfig) -> Self {
        let own = tempfile::TempDir::new().unwrap();
        let bench = Self::start_in(own.path(), config).await;
        Self { own: Some(own), ..bench }
    }

    /// What is in `folder`, or a fresh one that stays there.
    pub(crate) async fn start_in(folder: &Path, config: StoreConfig) -> Self {
        let catalog = Arc::new(Catalog::default());
        let store = Store::open(folder, &config, &catalog).unwrap();
        let (port, intake) = StorePort::new(64 << 20);
        let reader = StoreReader::new(catalog.clone(), intake.clone());
        let arguments = StoreArguments {
            path: folder.to_owned(),
            config,
            catalog: catalog.clone(),
            intake,
            reader: reader.clone(),
            states: Default::default(),
            opened: OpenedStore::new(store),
            node: Tree::default().root().child("store", "store"),
        };
        let (actor, _) = Actor::spawn(None, StoreActor, arguments).await.unwrap();
        Self { folder: folder.to_owned(), own: None, catalog, port, reader, actor }
    }

    /// The series that a column of the trace is for a server.
    pub(crate) fn series(&self, server: &Arc<str>, column: &Column) -> SeriesId {
        let series = Series {
            server: server.clone(),
            collector: "trace".into(),
            metric: "trace".into(),
            labels: Labels::new([("column", column.name.as_str())]),
            unit: "".into(),
            kind: column.kind,
            interval_ms: 1000,
        };
        self.catalog.intern(series).unwrap()
    }

    /// Opens the folder as a kill would have left it now.
    pub(crate) fn reopen(&self) {
        let copy = tempfile::TempDir::new_in(self.folder.parent().unwrap()).unwrap();
        copy_below(&self.folder, copy.path());
        let log = self.reader.stats().bytes_log as f64 / 1e6;
        let start = Instant::now();
        let store = Store::open(copy.path(), &lasting(), &Arc::default()).unwrap();
        println!(
            "  reopen after a kill     {:>8.1} ms with {log:.1} MB of log",
            start.elapsed().as_secs_f64() * 1e3
        );
        drop(store);
    }

    /// Stops it in good order; its own folder is left.
    pub(crate) async fn stop(self) -> Option<tempfile::TempDir> {
        self.actor.stop_and_wait(None, None).await.unwrap();
        self.own
    }
}

fn copy_below(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_below(&entry.path(), &target);
        } else if target.extension().is_some_and(|extension| extension == "seg") {
            // Never changed again.
            fs::hard_link(entry.path(), target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Nothing goes because of its age: the samples are of some day in 2026.
pub(crate) fn lasting() -> StoreConfig {
    let century = Duration::from_secs(100 * 365 * 24 * 3600);
    let retention = Retention { raw: century, minute: century, hour: century };
    StoreConfig { retention, ..StoreConfig::default() }
}

/// CPU time of this process.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How many rows differ from the one before.
pub(crate) fn changes(column: &Column) -> usize {
    column.values.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// The trace, every column of it.
pub(crate) fn read_trace() -> Vec<Column> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bench/data/trace.csv.gz");
    let unpacked = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    let text = String::from_utf8(unpacked.stdout).unwrap();
    let mut lines = text.lines();
    let names = lines.next().unwrap().split(',').skip(1);
    let mut columns: Vec<Column> = names
        .map(|name| Column {
            name: name[2..].to_owned(),
            kind: if name.starts_with("c:") { Kind::Counter } else { Kind::Gauge },
            values: Vec::new(),
        })
        .collect();
    for line in lines {
        for (column, value) in columns.iter_mut().zip(line.split(',').skip(1)) {
            column.values.push(value.parse().ok());
        }
    }
    columns
}
