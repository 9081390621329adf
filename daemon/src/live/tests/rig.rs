//! A live view whose clock is the test's, and a page that folds its frames.

use std::{cell::Cell, collections::BTreeMap, rc::Rc, sync::Arc};

use serde_json::Value;

use crate::{
    live::{
        Live, LiveReader, Resume, Subscription, Topic,
        messages::{LivePort, LiveUpdate, Origin, ServerState, ServerStatus},
        rows::columns,
    },
    series::{Catalog, Frame, Gap, Kind, Labels, Sample, Series, SeriesId},
    supervision::Tree,
};

/// When every test begins.
pub(super) const START_MS: i64 = 1_700_000_000_000;

/// A live view whose ticks come when the test says so.
pub(super) struct Rig {
    pub(super) live: Live,
    clock: Rc<Cell<i64>>,
    pub(super) reader: LiveReader,
    pub(super) port: LivePort,
    catalog: Arc<Catalog>,
}

impl Rig {
    pub(super) fn new() -> Self {
        let (port, updates) = LivePort::new(10_000);
        let catalog = Arc::new(Catalog::default());
        let live = Live::new(port.clone(), updates, catalog.clone(), Tree::default());
        Self { reader: live.reader(), live, port, catalog, clock: Rc::new(Cell::new(START_MS)) }
    }

    pub(super) fn viewer(&self, topics: &[&str]) -> Viewer {
        Viewer::new(self, topics)
    }

    pub(super) fn tick(&mut self, at: i64) {
        self.clock.set(START_MS + at);
        self.live.tick(START_MS + at);
    }

    pub(super) fn status(&self, name: &str) {
        self.port.publish(LiveUpdate::Server(ServerStatus {
            name: name.into(),
            tags: Arc::default(),
            state: ServerState::Up,
            normal: Some(true),
            interval_ms: 1000,
            collectors_up: 1,
            collectors_down: 0,
            origin: Origin::Local,
            skew_ms: None,
            seen_ms: None,
            hub: None,
        }));
    }

    pub(super) fn series(&self, server: &str, metric: &str) -> SeriesId {
        self.labelled(server, metric, Labels::default(), Kind::Gauge)
    }

    pub(super) fn labelled(
        &self,
        server: &str,
        metric: &str,
        labels: Labels,
        kind: Kind,
    ) -> SeriesId {
        self.intern(server, metric, labels, kind, 1000)
    }

    /// A gauge whose collector reads every `interval_ms`, from now on.
    pub(super) fn read_each(&self, server: &str, metric: &str, interval_ms: u32) -> SeriesId {
        self.intern(server, metric, Labels::default(), Kind::Gauge, interval_ms)
    }

    fn intern(
        &self,
        server: &str,
        metric: &str,
        labels: Labels,
        kind: Kind,
        interval_ms: u32,
    ) -> SeriesId {
        let series = Series {
            server: server.into(),
            collector: "any".into(),
            metric: metric.into(),
            labels,
            unit: "".into(),
            kind,
            interval_ms,
        };
        self.catalog.intern(series).unwrap()
    }

    pub(super) fn sample(&self, server: &str, at: i64, value: f64) {
        self.frame(server, at, &[(self.series(server, "cpu_usage_ratio"), value)]);
    }

    pub(super) fn frame(&self, server: &str, at: i64, samples: &[(SeriesId, f64)]) {
        let samples = samples.iter().map(|&(series, value)| Sample { series, value });
        self.port.publish(LiveUpdate::Frame(Arc::new(Frame {
            server: server.into(),
            collector: "any".into(),
            at_ms: START_MS + at,
            samples: samples.collect(),
        })));
    }

    pub(super) fn gap(&self, server: &str, reason: &str) {
        self.port.publish(LiveUpdate::Gap(Gap {
            server: server.into(),
            collector: "any".into(),
            from_ms: START_MS,
            to_ms: None,
            reason: reason.into(),
        }));
    }
}

/// A page: it folds frames into tables, and refuses one that does not fit.
pub(super) struct Viewer {
    subscription: Subscription,
    epoch: String,
    pub(super) topics: Vec<String>,
    pub(super) tables: BTreeMap<String, (u64, BTreeMap<String, Vec<Value>>)>,
    is_paused: bool,
    clock: Rc<Cell<i64>>,
}

impl Viewer {
    pub(super) fn new(rig: &Rig, topics: &[&str]) -> Self {
        let mut viewer = Self {
            subscription: rig.reader.subscribe(),
            epoch: rig.reader.epoch().to_owned(),
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            tables: BTreeMap::new(),
            is_paused: false,
            clock: rig.clock.clone(),
        };
        viewer.follow(false);
        viewer
    }

    /// Follows its topics, from where its pictures are if it has them all.
    fn follow(&mut self, is_paused: bool) {
        let seqs: Vec<_> = self.tables.values().map(|(seq, _)| *seq).collect();
        let same = seqs.windows(2).all(|pair| pair[0] == pair[1]);
        let resume = (seqs.len() == self.topics.len() && same)
            .then(|| Resume { epoch: self.epoch.clone(), seq: seqs[0] });
        let topics = self.topics.iter().map(|topic| Topic::parse(topic).unwrap()).collect();
        self.subscription.follow_at(topics, resume.as_ref(), is_paused, self.clock.get());
        self.is_paused = is_paused;
    }

    pub(super) fn reconnect(&mut self, reader: &LiveReader) {
        self.subscription = reader.subscribe();
        self.follow(false);
    }

    pub(super) fn pause(&mut self) {
        self.follow(!self.is_paused);
    }

    pub(super) fn wake(&mut self) {
        if self.is_paused {
            self.follow(false);
        }
    }

    pub(super) fn look(&mut self) {
        for frame in self.subscription.present() {
            let frame: Value = serde_json::from_str(&frame).unwrap();
            match frame["t"].as_str().unwrap() {
                "snap" => self.take_snapshot(&frame),
                "d" => self.take_delta(&frame),
                kind => assert_eq!(kind, "resync"),
            }
        }
    }

    fn take_snapshot(&mut self, frame: &Value) {
        let rows = frame["rows"].as_array().unwrap().iter().map(|row| {
            let (id, cells) = row.as_array().unwrap().split_first().unwrap();
            (id.as_str().unwrap().to_owned(), cells.to_vec())
        });
        let table = (frame["seq"].as_u64().unwrap(), rows.collect());
        self.tables.insert(frame["topic"].as_str().unwrap().to_owned(), table);
    }

    fn take_delta(&mut self, frame: &Value) {
        let (seq, rows) = self.tables.get_mut(frame["topic"].as_str().unwrap()).unwrap();
        assert_eq!(frame["from"].as_u64(), Some(*seq));
        *seq = frame["to"].as_u64().unwrap();
        for row in frame["rows"].as_array().unwrap() {
            let (id, rest) = row.as_array().unwrap().split_first().unwrap();
            let (mask, cells) = rest.split_first().unwrap();
            let mask = mask.as_u64().unwrap();
            let columns: Vec<_> = (0..64).filter(|column| mask >> column & 1 == 1).collect();
            assert_eq!(columns.len(), cells.len());
            let row = rows.entry(id.as_str().unwrap().to_owned()).or_default();
            for (column, cell) in columns.into_iter().zip(cells) {
                // A new row brings all its columns, in order.
                assert!(column <= row.len(), "a row that is not there was changed");
                if column == row.len() {
                    row.push(cell.clone());
                } else {
                    row[column] = cell.clone();
                }
            }
        }
        for id in frame["gone"].as_array().unwrap() {
            rows.remove(id.as_str().unwrap());
        }
    }

    pub(super) fn cell(&self, topic: &str, id: &str, column: &str) -> Value {
        let columns = columns(&Topic::parse(topic).unwrap());
        let column = columns.iter().position(|known| *known == column).unwrap();
        self.tables[topic].1[id][column].clone()
    }
}
