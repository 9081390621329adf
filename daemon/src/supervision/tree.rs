//! The supervision tree as people see it: a node for everybody who is supervised.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::series::{now_ms, whole_ms};

/// What somebody who is supervised is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorState {
    /// Not yet at work.
    #[default]
    Starting,
    /// At work.
    Up,
    /// Fallen; waits for its next start.
    Backoff,
    /// Fallen too often; started again rarely, or when something changes.
    Quarantined,
    /// Has nothing to do here, and says so in `detail`.
    Parked,
    /// At work, but what it watches does not answer, or its disk does not take what it has; `detail` says what.
    Down,
    /// Ended as asked.
    Stopped,
}

/// The tree: a handle to its root.
#[derive(Debug, Clone)]
pub struct Tree {
    root: Node,
}

/// A place in the tree. Clones are the same place; the place is gone from the
/// tree when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    kind: &'static str,
    told: Mutex<Told>,
    children: Mutex<BTreeMap<Arc<str>, Weak<Inner>>>,
    queue: AtomicI64,
    /// When it last showed that it is alive, by [`uptime`], and how long it may
    /// stay silent; a limit of zero means that nobody waits for it.
    beat_ms: AtomicI64,
    silence_limit_ms: AtomicI64,
    restarts: AtomicU64,
}

#[derive(Debug, Clone, Default)]
struct Told {
    state: ActorState,
    since_ms: i64,
    last_error: Option<Arc<str>>,
    detail: Option<Arc<str>>,
}

/// A node and all below it, at one instant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeView {
    /// Its name, unique below its parent.
    pub name: Arc<str>,
    /// What it is, such as `server`.
    pub kind: &'static str,
    /// What it is doing.
    pub state: ActorState,
    /// Since when.
    pub since_ms: i64,
    /// How often it was started again.
    pub restarts: u64,
    /// Why it fell last.
    pub last_error: Option<Arc<str>>,
    /// What it says of itself, in words for people.
    pub detail: Option<Arc<str>>,
    /// How much waits for it, where that is known.
    pub queue: Option<i64>,
    /// Those below it, by name.
    pub children: Vec<NodeView>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { root: Node::new("root".into(), "root") }
    }
}

impl Tree {
    /// The root.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Paths of those that have been silent for longer than they may, `ahead` from now.
    pub fn overdue(&self, ahead: Duration) -> Vec<String> {
        let mut paths = Vec::new();
        self.root.collect_overdue(whole_ms(uptime() + ahead), "", &mut paths);
        paths
    }
}

impl Node {
    fn new(name: Arc<str>, kind: &'static str) -> Self {
        let told = Told { since_ms: now_ms(), ..Told::default() };
        let inner = Inner {
            name,
            kind,
            told: Mutex::new(told),
            children: Mutex::default(),
            queue: AtomicI64::new(-1),
            beat_ms: AtomicI64::new(0),
            silence_limit_ms: AtomicI64::new(0),
            restarts: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A place below this one. A child of the same name that is still there is
    /// no longer shown.
    pub fn child(&self, name: &str, kind: &'static str) -> Self {
        let child = Self::new(name.into(), kind);
        let mut children = lock(&self.inner.children);
        // Places that are gone are cleared away now and then: among thousands, each time would be too often.
        if children.len().is_power_of_two() {
            children.retain(|_, child| child.strong_count() > 0);
        }
        children.insert(child.inner.name.clone(), Arc::downgrade(&child.inner));
        child
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Says what it is doing.
    pub fn set_state(&self, state: ActorState) {
        let mut told = lock(&self.inner.told);
        if told.state != state {
            told.state = state;
            told.since_ms = now_ms();
        }
    }

    /// What it is doing.
    pub fn state(&self) -> ActorState {
        lock(&self.inner.told).state
    }

    /// Says something of itself, in words for people; nothing if `None`.
    pub fn set_detail(&self, detail: Option<&str>) {
        let mut told = lock(&self.inner.told);
        if told.detail.as_deref() != detail {
            told.detail = detail.map(Arc::from);
        }
    }

    /// Says why it fell, or what went wrong last.
    pub fn set_error(&self, error: &str) {
        lock(&self.inner.told).last_error = Some(error.into());
    }

    /// Counts one more start after the first.
    pub fn count_restart(&self) {
        self.inner.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u64 {
        self.inner.restarts.load(Ordering::Relaxed)
    }

    /// Says how much waits for it.
    pub fn set_queue(&self, waiting: usize) {
        self.inner.queue.store(i64::try_from(waiting).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// From now on it must [`beat`](Self::beat) within every `limit`, or the
    /// daemon counts as stuck.
    pub fn expect_beats(&self, limit: Duration) {
        self.beat();
        self.inner.silence_limit_ms.store(whole_ms(limit), Ordering::Relaxed);
    }

    /// Nobody waits for its beats any more: it has stopped, or is about to.
    pub fn expect_no_beats(&self) {
        self.inner.silence_limit_ms.store(0, Ordering::Relaxed);
    }

    /// Shows that it is alive.
    pub fn beat(&self) {
        self.inner.beat_ms.store(whole_ms(uptime()), Ordering::Relaxed);
    }

    /// This node and all below it.
    pub fn view(&self) -> NodeView {
        let told = lock(&self.inner.told).clone();
        let queue = self.inner.queue.load(Ordering::Relaxed);
        NodeView {
            name: self.inner.name.clone(),
            kind: self.inner.kind,
            state: told.state,
            since_ms: told.since_ms,
            restarts: self.restarts(),
            last_error: told.last_error,
            detail: told.detail,
            queue: (queue >= 0).then_some(queue),
            children: self.children().iter().map(Self::view).collect(),
        }
    }

    /// How many of a kind there are below this node.
    pub fn count(&self, kind: &str) -> usize {
        let of = |child: &Self| usize::from(child.inner.kind == kind) + child.count(kind);
        self.children().iter().map(of).sum()
    }

    fn children(&self) -> Vec<Self> {
        let children = lock(&self.inner.children);
        children.values().filter_map(Weak::upgrade).map(|inner| Self { inner }).collect()
    }

    fn collect_overdue(&self, now_ms: i64, above: &str, paths: &mut Vec<String>) {
        let path = format!("{above}{}", self.name());
        let limit = self.inner.silence_limit_ms.load(Ordering::Relaxed);
        if limit > 0 && now_ms - self.inner.beat_ms.load(Ordering::Relaxed) > limit {
            paths.push(path.clone());
        }
        for child in self.children() {
            child.collect_overdue(now_ms, &format!("{path}/"), paths);
        }
    }
}

/// Time since this process first asked; no step of the system's clock moves it.
fn uptime() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_shown_while_somebody_holds_it() {
        let tree = Tree::default();
        let fleet = tree.root().child("fleet", "fleet");
        let server = fleet.child("srv:web-1", "server");
        assert_eq!(&*tree.root().view().children[0].children[0].name, "srv:web-1");
        drop(server);
        assert_eq!(tree.root().view().children[0].children, []);
    }

    #[test]
    fn who_is_silent_for_too_long_is_named_by_its_path() {
        let tree = Tree::default();
        let store = tree.root().child("store", "store");
        store.expect_beats(Duration::from_secs(5));

        assert_eq!(tree.overdue(Duration::from_secs(4)), [""; 0]);
        assert_eq!(tree.overdue(Duration::from_secs(6)), ["root/store"]);
        store.expect_no_beats();
        assert_eq!(tree.overdue(Duration::from_secs(6)), [""; 0]);
    }
}
