//! The live view itself, shared by the actor that moves it and those who look.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{mpsc, watch};

use crate::{
    config::Severity,
    series::{Catalog, Kind, Series, SeriesId, now_ms},
    supervision::Tree,
};

use super::{
    Subscription, Topic,
    board::{Board, Server},
    messages::{LivePort, LiveUpdate, Origin, ServerState, ServerStatus},
    rows,
    table::{MEMORY_TICKS, Table},
    wall::Summary,
};

/// The live view, as its actor holds it. It outlives the actor: root makes one
/// and gives it to every incarnation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Live(Arc<Shared>);

/// The live view, as those who look see it. Cheap to clone; any thread.
#[derive(Debug, Clone)]
pub struct LiveReader(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    epoch: String,
    catalog: Arc<Catalog>,
    tree: Tree,
    port: LivePort,
    ticks: watch::Sender<u64>,
    state: Mutex<State>,
}

/// Everything that changes. Locked for one tick, one frame, one question.
#[derive(Debug)]
pub(super) struct State {
    updates: mpsc::Receiver<LiveUpdate>,
    board: Board,
    tree: Tree,
    seq: u64,
    topics: HashMap<Topic, Followed>,
    /// The `seq` that each viewer has been given, by viewer; none while paused.
    viewers: BTreeMap<u64, Option<u64>>,
    next_viewer: u64,
}

/// A topic that somebody follows, or did so lately.
#[derive(Debug)]
struct Followed {
    table: Table,
    followers: usize,
    /// The `seq` at which the last follower left.
    left: u64,
}

/// A server, as `GET /servers` tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerView {
    /// Its name.
    pub name: Arc<str>,
    /// Its tags.
    pub tags: Arc<BTreeMap<String, String>>,
    /// Whether it is well.
    pub state: ServerState,
    /// Whether every sample is within its limit; `None` if something is unknown.
    pub normal: Option<bool>,
    /// Why it is in that state; `None` while it is well.
    pub reason: Option<String>,
    /// Time of its newest sample, by our clock as far as the difference is known.
    pub last_seen_ms: Option<i64>,
    /// How its samples come here.
    pub origin: Origin,
    /// Its clock minus ours, in milliseconds; `None` while that is not known.
    pub skew_ms: Option<i64>,
    /// Time between two readings of its fastest collector.
    pub interval_ms: u32,
    /// Collectors that bring samples.
    pub collectors_up: u32,
    /// Collectors that do not.
    pub collectors_down: u32,
    /// Open incidents, and how bad the worst of them is.
    pub incidents: u32,
    /// See `incidents`.
    pub level: Option<Severity>,
    /// Series of which something is shown.
    pub series: usize,
    /// The latest value of every gauge without labels, and of what is summed up
    /// over labels, by name. `None`: stale or unknown.
    pub latest: BTreeMap<Arc<str>, Option<f64>>,
}

/// What the live view counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveStats {
    /// Viewers that are connected, paused ones included.
    pub viewers: usize,
    /// Ticks that the slowest viewer is behind.
    pub worst_lag_ticks: u64,
    /// Updates dropped because the queue before the live view was full.
    pub dropped: u64,
    /// Updates about a server whose status is not known.
    pub unplaced: u64,
    /// Topics that are kept up to date.
    pub topics: usize,
}

impl Live {
    /// A live view over `updates`, the other end of `port`.
    pub fn new(
        port: LivePort,
        updates: mpsc::Receiver<LiveUpdate>,
        catalog: Arc<Catalog>,
        tree: Tree,
    ) -> Self {
        let state = State {
            updates,
            board: Board::new(catalog.clone()),
            tree: tree.clone(),
            seq: 1,
            topics: HashMap::new(),
            viewers: BTreeMap::new(),
            next_viewer: 0,
        };
        let epoch = uuid::Uuid::new_v4().to_string();
        let (ticks, _) = watch::channel(1);
        Self(Arc::new(Shared { epoch, catalog, tree, port, ticks, state: Mutex::new(state) }))
    }

    /// The side of those who look.
    pub fn reader(&self) -> LiveReader {
        LiveReader(self.0.clone())
    }

    /// How many updates wait to be taken in.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.0.state).updates.len()
    }

    /// Updates lost since the start because too many waited.
    pub(super) fn dropped(&self) -> u64 {
        self.0.port.dropped()
    }

    /// Takes in what has arrived, as of `now_ms`.
    pub(super) fn take_in(&self, now_ms: i64) {
        lock(&self.0.state).take_in(now_ms);
    }

    /// Takes in what has arrived, raises `seq`, and shows the present of `now_ms`.
    pub(super) fn tick(&self, now_ms: i64) {
        let mut state = lock(&self.0.state);
        state.tick(now_ms);
        let seq = state.seq;
        drop(state);
        self.0.ticks.send_replace(seq);
    }
}

impl LiveReader {
    /// Every server as it is at this moment, by name, as far as `wanted`: given its status, and its state.
    pub fn servers(&self, wanted: impl Fn(&ServerStatus, ServerState) -> bool) -> Vec<ServerView> {
        self.servers_at(now_ms(), wanted)
    }

    pub(super) fn servers_at(
        &self,
        now_ms: i64,
        wanted: impl Fn(&ServerStatus, ServerState) -> bool,
    ) -> Vec<ServerView> {
        let mut state = lock(&self.0.state);
        state.take_in(now_ms);
        let board = &state.board;
        board
            .servers()
            .filter(|server| wanted(&server.status, server.state(now_ms)))
            .map(|server| view(server, board.open(&server.status.name), now_ms))
            .collect()
    }

    /// Tags and state of every server at this moment.
    pub fn tagged(&self) -> Vec<(Arc<BTreeMap<String, String>>, ServerState)> {
        let now_ms = now_ms();
        let mut state = lock(&self.0.state);
        state.take_in(now_ms);
        let servers = state.board.servers();
        servers.map(|server| (server.status.tags.clone(), server.state(now_ms))).collect()
    }

    /// Every series of a server that is or was, by number; `None` for a server
    /// that never was.
    pub fn series(&self, server: &str) -> Option<Vec<(SeriesId, Arc<Series>)>> {
        let ids = self.0.catalog.of_server(server);
        if ids.is_empty() && lock(&self.0.state).board.server(server).is_none() {
            return None;
        }
        let catalog = &self.0.catalog;
        Some(ids.into_iter().filter_map(|id| Some((id, catalog.get(id)?))).collect())
    }

    /// A new viewer, which follows nothing yet.
    pub fn subscribe(&self) -> Subscription {
        let mut state = lock(&self.0.state);
        let viewer = state.next_viewer;
        state.next_viewer += 1;
        state.viewers.insert(viewer, None);
        drop(state);
        Subscription::new(self.clone(), viewer, self.0.ticks.subscribe())
    }

    /// What tells this boot from every other one: a `seq` means nothing without it.
    pub fn epoch(&self) -> &str {
        &self.0.epoch
    }

    /// What the live view counts.
    pub fn stats(&self) -> LiveStats {
        let state = lock(&self.0.state);
        let seen = state.viewers.values().flatten().min();
        LiveStats {
            viewers: state.viewers.len(),
            worst_lag_ticks: seen.map_or(0, |&seen| state.seq.saturating_sub(seen)),
            dropped: self.0.port.dropped(),
            unplaced: state.board.unplaced(),
            topics: state.topics.len(),
        }
    }

    /// The supervision tree that the topic `actors` shows.
    pub fn tree(&self) -> &Tree {
        &self.0.tree
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl State {
    fn take_in(&mut self, now_ms: i64) {
        // What arrives meanwhile waits for the next time.
        for _ in 0..self.updates.len() {
            let Ok(update) = self.updates.try_recv() else { return };
            self.board.apply(update, now_ms);
        }
    }

    fn tick(&mut self, now_ms: i64) {
        self.take_in(now_ms);
        self.seq += 1;
        let Self { seq, board, tree, topics, .. } = self;
        let seq = *seq;
        topics.retain(|_, topic| topic.followers > 0 || seq - topic.left <= MEMORY_TICKS);
        for (topic, followed) in topics.iter_mut() {
            let fill = |table: &mut Table| rows::fill(table, topic, board, tree, now_ms);
            followed.table.update(seq, now_ms, fill);
        }
        if seq.is_multiple_of(MEMORY_TICKS) {
            board.forget(now_ms);
        }
    }

    /// The present `seq`.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// The table of a topic that is followed.
    pub(super) fn table(&mut self, topic: &Topic) -> Option<&mut Table> {
        self.topics.get_mut(topic).map(|followed| &mut followed.table)
    }

    /// One more viewer follows `topic`; its table is there from now on.
    pub(super) fn follow(&mut self, topic: &Topic, now_ms: i64) {
        if let Some(followed) = self.topics.get_mut(topic) {
            followed.followers += 1;
            return;
        }
        // Nobody has seen anything of it, so it may be filled between two ticks.
        self.take_in(now_ms);
        let mut table = Table::new(topic, rows::columns(topic), self.seq);
        let fill = |table: &mut Table| rows::fill(table, topic, &self.board, &self.tree, now_ms);
        table.update(self.seq, now_ms, fill);
        self.topics.insert(topic.clone(), Followed { table, followers: 1, left: 0 });
    }

    /// One viewer less follows `topic`.
    pub(super) fn unfollow(&mut self, topic: &Topic) {
        let Some(followed) = self.topics.get_mut(topic) else { return };
        followed.followers = followed.followers.saturating_sub(1);
        followed.left = self.seq;
        // A topic about nothing is nothing to come back to.
        if followed.followers == 0 && followed.table.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// Notes what a viewer has been given; `None` while it is paused.
    pub(super) fn note_viewer(&mut self, viewer: u64, seen: Option<u64>) {
        self.viewers.insert(viewer, seen);
    }

    /// A viewer has left.
    pub(super) fn forget_viewer(&mut self, viewer: u64) {
        self.viewers.remove(&viewer);
    }
}

fn view(server: &Server, (incidents, level): (u32, Option<Severity>), now_ms: i64) -> ServerView {
    let gauges = server
        .slots
        .values()
        .filter(|slot| slot.series.kind == Kind::Gauge && slot.series.labels.is_empty());
    let mut latest: BTreeMap<Arc<str>, Option<f64>> =
        gauges.map(|slot| (slot.series.metric.clone(), server.value(slot, now_ms))).collect();
    let summary = Summary::new(server, now_ms);
    latest.insert("disk_usage_ratio".into(), summary.disk);
    latest.insert("network_receive_bytes_per_second".into(), summary.receive);
    latest.insert("network_transmit_bytes_per_second".into(), summary.transmit);
    // Of exporters, whose own names are others.
    let of_exporters = [
        ("cpu_usage_ratio", summary.cpu),
        ("memory_usage_ratio", summary.memory),
        ("load1", summary.load),
        ("uptime_seconds", summary.uptime),
    ];
    for (name, value) in of_exporters.into_iter().filter(|(_, value)| value.is_some()) {
        latest.entry(name.into()).or_insert(value);
    }
    let status = &server.status;
    ServerView {
        name: status.name.clone(),
        tags: status.tags.clone(),
        state: server.state(now_ms),
        normal: server.normal(now_ms),
        reason: server.reason(now_ms),
        last_seen_ms: server.last_seen_ms(),
        origin: status.origin,
        skew_ms: status.skew_ms,
        interval_ms: status.interval_ms,
        collectors_up: status.collectors_up,
        collectors_down: status.collectors_down,
        incidents,
        level,
        series: server.slots.len(),
        latest,
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
