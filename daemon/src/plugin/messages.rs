//! What collectors want of plugins and get from them, and what the plugin actor hears.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use ractor::ActorRef;
use serde_json::{Map, Value};

use super::{
    catalog::PluginCatalog,
    folders::PluginFolder,
    host::HostEnded,
    instance::{Instance, InstanceShared},
    line::Fault,
};
use crate::series::Sample;

/// What an instance is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceSpec {
    /// Name of the server that it watches.
    pub server: Arc<str>,
    /// Name of the collector that reads it.
    pub collector: Arc<str>,
    /// Id or name of the plugin.
    pub plugin: Arc<str>,
    /// Its configuration, as written; judged against the plugin's schema.
    pub config: Map<String, Value>,
    /// Time between two readings.
    pub interval: Duration,
    /// A collector before it reads the same plugin of the same server. To be told from its
    /// series, those of this one carry the collector's name as the label `collector`.
    pub again: bool,
}

/// How an instance is. The reasons are sentences for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceState {
    /// It is being made.
    Starting,
    /// It can be read.
    Ready,
    /// It fell, and comes back by itself.
    Down {
        /// Why.
        reason: Arc<str>,
    },
    /// It is not to be had until something changes: plugin folders or configuration.
    Parked {
        /// Why.
        reason: Arc<str>,
    },
    /// This machine has no such thing, so nothing is missing. Tried again when something changes.
    Absent {
        /// Why.
        reason: Arc<str>,
    },
}

/// What one reading brought.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// The samples, each series at most once, none of them NaN or infinite.
    pub samples: Vec<Sample>,
    /// Samples that a page gives with a time of their own, in milliseconds since 1970; empty from plugins.
    pub dated: Vec<(i64, Sample)>,
    /// How long the plugin took.
    pub took: Duration,
    /// Samples of this reading that were dropped: not a number, twice, or without room.
    pub invalid: u32,
    /// Series that the instance wanted and did not get, since it was made.
    pub refused_series: u32,
}

/// Why a reading brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// The target is down. The plugin works.
    #[error("target is unavailable{}", after_colon(.0))]
    Unavailable(Arc<str>),
    /// It failed this time; the next slot tries again.
    #[error("plugin failed to read{}", after_colon(.0))]
    Retry(Arc<str>),
    /// The configuration is wrong; the instance is parked.
    #[error("plugin refused its configuration{}", after_colon(.0))]
    Config(Arc<str>),
    /// A permission is missing; the instance is parked.
    #[error("plugin lacks a permission{}", after_colon(.0))]
    Permission(Arc<str>),
    /// This machine has no such thing; the instance is parked.
    #[error("plugin is not supported on this machine{}", after_colon(.0))]
    Unsupported(Arc<str>),
    /// The plugin gave up, or broke its contract; it is made again after a pause.
    #[error("plugin failed{}", after_colon(.0))]
    Fatal(Arc<str>),
    /// The plugin panicked; it is made again after a pause.
    #[error("plugin panicked{}", after_colon(.0))]
    Panic(Arc<str>),
    /// It did not answer in time. If it does not answer soon, its host is killed.
    #[error("deadline of {} exceeded in collect", humantime::format_duration(*after))]
    Deadline {
        /// The deadline.
        after: Duration,
    },
    /// Its host died. The text says how.
    #[error("{0}")]
    HostDown(Arc<str>),
    /// A page that is read over the network is not to be had this time. The text says why.
    #[error("{0}")]
    Target(Arc<str>),
    /// There is nothing to read yet, or it is still busy. The text says why.
    #[error("{0}")]
    NotReady(Arc<str>),
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// What the plugin actor hears.
pub enum PluginMessage {
    /// Instances were opened or dropped. Sent by the port; at most one waits at a time.
    Changed,
    /// Look at the folders again, and try again what was parked. Sent by whoever reloads.
    Rescan(Vec<PluginFolder>),
    /// The folders were looked at. Sent by the actor's own task.
    Scanned(PluginCatalog),
    /// An instance cannot go on. Sent by the link of its host.
    Faulted {
        /// The instance.
        id: u64,
        /// The host it was in.
        host: u64,
        /// What happened.
        fault: Fault,
    },
    /// A host is gone. Sent by its actor.
    HostEnded(HostEnded),
    /// A process that could not be killed is gone at last. Sent by whoever waited for it.
    Unstuck(Arc<str>),
    /// A second has passed. Sent by the actor to itself.
    Beat,
    /// Something is due. Sent by the actor to itself.
    Due,
}

impl std::fmt::Debug for PluginMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Changed => "Changed",
            Self::Rescan(_) => "Rescan",
            Self::Scanned(_) => "Scanned",
            Self::Faulted { .. } => "Faulted",
            Self::HostEnded(_) => "HostEnded",
            Self::Unstuck(_) => "Unstuck",
            Self::Beat => "Beat",
            Self::Due => "Due",
        })
    }
}

/// Who uses a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PluginUses {
    /// Collectors that want it.
    pub instances: usize,
    /// The process that one of them lives in; `None` while none lives.
    pub host_pid: Option<i32>,
}

/// Where instances are asked for. It outlives the plugin actor: what was opened stays opened
/// when the actor is started again. Clones are the same port.
#[derive(Clone, Default)]
pub struct PluginPort {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    catalog: ArcSwap<PluginCatalog>,
    wanted: Mutex<BTreeMap<u64, Arc<InstanceShared>>>,
    next_id: AtomicU64,
    actor: Mutex<Option<ActorRef<PluginMessage>>>,
    /// A [`PluginMessage::Changed`] is on its way already.
    told: AtomicBool,
}

impl PluginPort {
    /// A port for the plugins of `catalog`.
    pub fn new(catalog: PluginCatalog) -> Self {
        let port = Self::default();
        port.set_catalog(catalog);
        port
    }

    /// Opens an instance. Never fails: what goes wrong shows in its state.
    pub fn open(&self, spec: InstanceSpec) -> Instance {
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(InstanceShared::new(id, spec));
        lock(&self.inner.wanted).insert(id, shared.clone());
        self.tell();
        Instance::new(shared, self.clone())
    }

    /// The plugins there are, as of the last look at the folders.
    pub fn catalog(&self) -> Arc<PluginCatalog> {
        self.inner.catalog.load_full()
    }

    /// Who uses the plugin `id` at present.
    pub fn uses(&self, id: &str) -> PluginUses {
        let catalog = self.catalog();
        let wanted = lock(&self.inner.wanted);
        let of = |shared: &&Arc<InstanceShared>| {
            catalog.find(&shared.spec.plugin).is_some_and(|found| *found.id == *id)
        };
        let users: Vec<_> = wanted.values().filter(of).collect();
        let host_pid = users.iter().find_map(|shared| shared.seat()?.line.lock().process);
        PluginUses { instances: users.len(), host_pid }
    }

    /// Has these folders looked at instead, from now on.
    pub fn rescan(&self, folders: Vec<PluginFolder>) {
        if let Some(actor) = &*lock(&self.inner.actor) {
            // One that has ended looks at the folders when it starts again.
            let _ = actor.cast(PluginMessage::Rescan(folders));
        }
    }

    pub(super) fn close(&self, id: u64) {
        lock(&self.inner.wanted).remove(&id);
        self.tell();
    }

    pub(super) fn set_catalog(&self, catalog: PluginCatalog) {
        self.inner.catalog.store(Arc::new(catalog));
    }

    /// From now on `actor` serves this port.
    pub(super) fn serve(&self, actor: ActorRef<PluginMessage>) {
        *lock(&self.inner.actor) = Some(actor);
        self.inner.told.store(false, Ordering::Release);
        self.tell();
    }

    /// All instances that are wanted now; later changes are told again.
    pub(super) fn wanted(&self) -> BTreeMap<u64, Arc<InstanceShared>> {
        self.inner.told.store(false, Ordering::Release);
        lock(&self.inner.wanted).clone()
    }

    fn tell(&self) {
        if self.inner.told.swap(true, Ordering::AcqRel) {
            return;
        }
        let told = lock(&self.inner.actor)
            .as_ref()
            .is_some_and(|actor| actor.cast(PluginMessage::Changed).is_ok());
        if !told {
            // Nobody serves now; whoever comes next begins with all that is wanted.
            self.inner.told.store(false, Ordering::Release);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
