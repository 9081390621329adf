//! A line from a log in memory to a receiver.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::receiver::Receiver;
use crate::{
    config::{Access, Credentials, ForwardConfig, Protocol},
    forward::{
        Cursors, ForwardPort,
        line::{Line, LineArguments},
        log::{Log, Tail},
        messages::{TargetState, TargetView},
    },
    series::{Catalog, Frame, Gap, Kind, Labels, Sample, Series},
    store::{Appended, LogPlace, Passage, StatePort, StoreError},
    supervision::Tree,
};

/// No wait of a test is longer.
const LIMIT: Duration = Duration::from_secs(20);

/// A line at work, its log and its receiver.
pub(super) struct Rig {
    pub(super) receiver: Receiver,
    log: MemoryLog,
    catalog: Arc<Catalog>,
    config: Arc<ForwardConfig>,
    port: ForwardPort,
    again: Arc<Notify>,
    stop: CancellationToken,
    line: Option<JoinHandle<Result<(), String>>>,
    tree: Tree,
    _folder: tempfile::TempDir,
}

/// What was appended; a place is an index into it.
#[derive(Clone, Default)]
struct MemoryLog {
    appended: Arc<Mutex<Vec<Appended>>>,
    /// Before this, everything was deleted.
    deleted: Arc<Mutex<u64>>,
    news: Arc<Notify>,
}

struct MemoryTail {
    log: MemoryLog,
    at: u64,
}

impl Log for MemoryLog {
    type Tail = MemoryTail;

    fn tail(&self, place: Option<LogPlace>) -> MemoryTail {
        MemoryTail { log: self.clone(), at: place.map_or(0, |place| place.offset) }
    }

    fn hold(&self, _: &str, _: u64) {}

    fn end(&self) -> Option<LogPlace> {
        let offset = self.appended.lock().unwrap().len() as u64;
        Some(LogPlace { sequence: 0, offset })
    }

    fn bytes_after(&self, place: LogPlace) -> u64 {
        self.appended.lock().unwrap().len() as u64 - place.offset
    }

    async fn appended(&self) {
        self.news.notified().await;
    }
}

impl Tail for MemoryTail {
    fn next(&mut self, most: usize) -> Result<Passage, StoreError> {
        let deleted = *self.log.deleted.lock().unwrap();
        let lost = self.at < deleted;
        self.at = self.at.max(deleted);
        let all = self.log.appended.lock().unwrap();
        let (mut appended, mut samples) = (Vec::new(), 0);
        for one in &all[usize::try_from(self.at).unwrap()..] {
            if samples >= most {
                break;
            }
            samples += match one {
                Appended::Frame(frame) => frame.samples.len(),
                Appended::Gap(_) => 1,
            };
            appended.push(one.clone());
        }
        self.at += appended.len() as u64;
        Ok(Passage { appended, end: LogPlace { sequence: 0, offset: self.at }, lost })
    }
}

impl Rig {
    /// A line that speaks `protocol` first.
    pub(super) async fn start(protocol: Protocol) -> Self {
        let receiver = Receiver::start().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "hush\n").unwrap();
        let credentials = Credentials::Password { username: "web-1".into(), file };
        let config = ForwardConfig {
            name: "hub".into(),
            urls: vec![format!("http://{}/api/v1/write", receiver.address)],
            protocol,
            access: Access { credentials, ..Access::default() },
            labels: [("site".to_owned(), "berlin".to_owned())].into(),
            batch_max: 50_000,
            timeout: Duration::from_secs(5),
            ..ForwardConfig::default()
        };
        let mut rig = Self {
            receiver,
            log: MemoryLog::default(),
            catalog: Arc::default(),
            config: Arc::new(config),
            port: ForwardPort::default(),
            again: Arc::default(),
            stop: CancellationToken::new(),
            line: None,
            tree: Tree::default(),
            _folder: folder,
        };
        rig.run(Cursors::default());
        rig
    }

    fn run(&mut self, cursors: Cursors) {
        let arguments = LineArguments {
            config: self.config.clone(),
            this_node: "web-1".into(),
            log: self.log.clone(),
            catalog: self.catalog.clone(),
            cursors,
            // Nothing is open: cursors are kept by the tests of whole daemons.
            states: StatePort::default(),
            figures: self.port.figures(&self.config),
            node: self.tree.root().child("to:hub", "target"),
            again: self.again.clone(),
        };
        self.stop = CancellationToken::new();
        self.line = Some(tokio::spawn(Line::new(arguments).run(self.stop.clone())));
    }

    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        assert_eq!(self.line.take().unwrap().await.unwrap(), Ok(()));
    }

    /// Starts a line whose cursor was kept at `place`.
    pub(super) async fn restart_at(&mut self, place: u64) {
        let value = format!(r#"{{"place":{{"sequence":0,"offset":{place}}},"open":[]}}"#);
        let other = (b"c1".to_vec(), b"an incident".to_vec());
        let mut kept = BTreeMap::from([(b"whub".to_vec(), value.into_bytes()), other.clone()]);
        let cursors = Cursors::restored(&mut kept);
        assert_eq!(kept, [other].into(), "what others keep stays");
        self.run(cursors);
    }

    /// Where the line has come to: everything that was appended.
    pub(super) fn view_of_cursor(&self) -> u64 {
        self.log.appended.lock().unwrap().len() as u64
    }

    /// Appends a frame of collector `load` of server `web-1`.
    pub(super) fn append(&self, at_ms: i64, samples: &[(&str, f64)]) {
        let sample = |(metric, value): &(&str, f64)| {
            let series = self.catalog.intern(series(metric)).unwrap();
            Sample { series, value: *value }
        };
        let (server, collector) = ("web-1".into(), "load".into());
        let samples = samples.iter().map(sample).collect();
        self.push(Appended::Frame(Frame { server, collector, at_ms, samples }));
    }

    /// Appends the beginning of a gap.
    pub(super) fn gap(&self, from_ms: i64, reason: &str) {
        let (server, collector) = ("web-1".into(), "load".into());
        self.push(Appended::Gap(Gap {
            server,
            collector,
            from_ms,
            to_ms: None,
            reason: reason.into(),
        }));
    }

    /// The log appends something and deletes it before anybody has read it.
    pub(super) fn lose(&self) {
        let mut appended = self.log.appended.lock().unwrap();
        let (server, collector) = ("web-1".into(), "load".into());
        let frame = Frame { server, collector, at_ms: 7_000, samples: Vec::new() };
        appended.push(Appended::Frame(frame));
        *self.log.deleted.lock().unwrap() = appended.len() as u64;
    }

    fn push(&self, appended: Appended) {
        self.log.appended.lock().unwrap().push(appended);
        self.log.news.notify_one();
    }

    /// Something may have been mended.
    pub(super) fn again(&self) {
        self.again.notify_one();
    }

    pub(super) fn view(&self) -> TargetView {
        self.port.targets().pop().unwrap()
    }

    /// Waits until the receiver has so many samples of collectors, and the line has heard of it.
    pub(super) async fn arrived(&self, samples: usize) {
        let taken = || {
            let stored = self.receiver.stored();
            let of_collectors = stored.iter().filter(|(labels, _)| !labels.contains("\"bartizan_"));
            of_collectors.map(|(_, samples)| samples.len()).sum::<usize>()
        };
        self.view_when(&format!("{samples} samples"), |view| {
            taken() == samples && view.lag_ms == 0
        })
        .await;
    }

    pub(super) async fn waits_in(&self, state: TargetState) {
        self.view_when(&format!("{state:?}"), |view| view.state == state).await;
    }

    /// Waits until it shows what is wanted.
    pub(super) async fn view_when(&self, what: &str, wanted: impl Fn(&TargetView) -> bool) {
        let began = Instant::now();
        while !wanted(&self.view()) {
            assert!(began.elapsed() < LIMIT, "waited for {what}: {:?}", self.view());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The labels of a series of the rig, as the receiver shows them.
pub(super) fn labels_of(metric: &str) -> String {
    format!(r#"__name__="{metric}" collector="load" server="web-1" site="berlin""#)
}

fn series(metric: &str) -> Series {
    let counts = metric.ends_with("_total");
    Series {
        server: "web-1".into(),
        collector: "load".into(),
        metric: metric.into(),
        labels: Labels::default(),
        unit: if counts { "seconds".into() } else { "".into() },
        kind: if counts { Kind::Counter } else { Kind::Gauge },
        interval_ms: 1000,
    }
}
