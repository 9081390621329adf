//! The way to the servers: for what has come of them from elsewhere, and for who says which there are.
//!
//! It outlives the fleet's actor. Nothing here waits: what finds no room is dropped and counted.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing::{info, warn};

use super::known::{Known, KnownServers};
use crate::{
    series::now_ms,
    server::{ArrivalPort, Sighting},
    store::{StateChanges, messages::Batch},
};

/// Most servers that are watched.
pub const SERVERS_MAX: usize = 20_000;

/// Where servers are told what came of them from elsewhere. Cheap to clone; threads: any.
#[derive(Debug, Clone, Default)]
pub struct FleetPort(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    routes: RwLock<HashMap<Arc<str>, ArrivalPort>>,
    known: Mutex<KnownServers>,
    configured: Mutex<BTreeSet<Arc<str>>>,
    dropped_samples: AtomicU64,
    refused_samples: AtomicU64,
}

/// What the fleet counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FleetStats {
    /// Servers that are watched.
    pub servers: usize,
    /// Samples that were stored, and neither judged nor shown, because their server had fallen behind.
    pub dropped_samples: u64,
    /// Samples that were stored, and neither judged nor shown, because there are too many servers.
    pub refused_samples: u64,
}

impl FleetPort {
    /// A port that knows those servers that were kept.
    pub fn restored(kept: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        let known = Mutex::new(KnownServers::restored(kept));
        Self(Arc::new(Inner { known, ..Inner::default() }))
    }

    /// Gives what has arrived to the servers it belongs to, without waiting: to be judged and shown, not to be stored.
    /// One that is not known yet is watched from now on.
    pub fn arrived(&self, batch: Batch) {
        let mut parts: HashMap<Arc<str>, Batch> = HashMap::new();
        let mut frames = batch.frames.into_iter().peekable();
        // What belongs to one server usually stands together, and one look-up is enough for it.
        while let Some(frame) = frames.next() {
            let part = parts.entry(frame.server.clone()).or_default();
            part.frames.push(frame);
            while let Some(next) = frames
                .next_if(|next| part.frames.last().is_some_and(|last| last.server == next.server))
            {
                part.frames.push(next);
            }
        }
        for gap in batch.gaps {
            parts.entry(gap.server.clone()).or_default().gaps.push(gap);
        }
        let strangers = {
            let routes = self.0.routes.read().unwrap_or_else(PoisonError::into_inner);
            parts.retain(|name, part| match routes.get(name) {
                Some(route) => {
                    self.send(route, std::mem::take(part));
                    false
                }
                None => true,
            });
            parts
        };
        strangers.into_iter().for_each(|(name, part)| self.welcome(&name, part));
    }

    /// A server has sent something that could not be stored, for no fault of its own: it is unknown then, but not
    /// offline.
    pub fn turned_away(&self, server: &str) {
        if let Some(route) = self.routes().get(server) {
            route.turn_away();
        }
    }

    /// How many servers are watched.
    pub fn servers(&self) -> usize {
        self.routes().len()
    }

    /// Whether a server of this name is watched, or will be in a moment.
    pub fn knows(&self, server: &str) -> bool {
        self.routes().contains_key(server) || self.known().get(server).is_some()
    }

    /// Whether the configuration in force is why a server of this name is watched: it is removed and renamed there.
    pub fn is_configured(&self, server: &str) -> bool {
        self.configured().contains(server)
    }

    /// These are the servers of the configuration in force.
    pub fn configure(&self, servers: BTreeSet<Arc<str>>) {
        *self.configured() = servers;
    }

    /// Whether a server of this name is watched, or may be.
    pub fn admits(&self, server: &str) -> bool {
        self.knows(server) || self.servers() < SERVERS_MAX
    }

    /// A server has these tags from now on, and is watched, whether or not anything has come of it. Where the
    /// configuration gives it tags, both count, and of one name those of the configuration.
    pub fn describe(&self, name: &str, tags: BTreeMap<String, String>) {
        if self.admits(name) {
            self.known().describe(name.into(), tags, now_ms());
        } else {
            warn!(server = name, limit = SERVERS_MAX, "too many servers: this one is not watched");
        }
    }

    /// A server is not watched any more, unless the configuration names it or it writes again; whether it was known.
    /// What is stored of it stays until it is too old.
    pub fn forget(&self, name: &str) -> bool {
        self.known().forget(name)
    }

    /// A server is called otherwise from now on; `false` where nobody is called so, or somebody is called that. What is
    /// stored under the former name stays there, and can be read by it until it is too old; its incidents are
    /// withdrawn.
    pub fn rename(&self, from: &str, to: &str) -> bool {
        !self.routes().contains_key(to) && self.known().rename(from, to.into())
    }

    /// What a server was renamed to since the last call.
    pub(super) fn take_renamed(&self, from: &str) -> Option<Arc<str>> {
        self.known().take_renamed(from)
    }

    /// What the fleet counts.
    pub fn stats(&self) -> FleetStats {
        FleetStats {
            servers: self.servers(),
            dropped_samples: self.0.dropped_samples.load(Ordering::Relaxed),
            refused_samples: self.0.refused_samples.load(Ordering::Relaxed),
        }
    }

    /// Servers of which so little comes that it is worth asking others.
    pub(super) fn missed(&self) -> Vec<Arc<str>> {
        let routes = self.routes();
        let missed = routes.iter().filter(|(_, route)| route.is_missed());
        missed.map(|(name, _)| name.clone()).collect()
    }

    /// Another hub hears of a server.
    pub(super) fn seen_elsewhere(&self, server: &str, sighting: Sighting) {
        if let Some(route) = self.routes().get(server) {
            route.seen_elsewhere(sighting);
        }
    }

    /// The way to a server; made if there is none yet.
    pub(super) fn route(&self, name: &Arc<str>) -> ArrivalPort {
        let mut routes = self.0.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.entry(name.clone()).or_default().clone()
    }

    /// There is no way to a server any more.
    pub(super) fn close(&self, name: &str) {
        self.0.routes.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Servers of which something has changed since the last call.
    pub(super) fn take_news(&self) -> BTreeSet<Arc<str>> {
        self.known().take_news()
    }

    /// What is known of a server that nobody configured, or besides that.
    pub(super) fn known_as(&self, name: &str) -> Option<Known> {
        self.known().get(name).cloned()
    }

    /// Names of all servers that are known without the configuration.
    pub fn known_names(&self) -> Vec<Arc<str>> {
        self.known().names().cloned().collect()
    }

    /// What has to be kept since the last call, and of whom it is.
    pub(super) fn take_unkept(&self) -> (BTreeSet<Arc<str>>, StateChanges) {
        self.known().take_unkept()
    }

    /// What was taken to be kept was not.
    pub(super) fn not_kept(&self, names: BTreeSet<Arc<str>>) {
        self.known().not_kept(names);
    }

    fn send(&self, route: &ArrivalPort, part: Batch) {
        let dropped = route.send(part);
        if dropped > 0 {
            self.0.dropped_samples.fetch_add(dropped as u64, Ordering::Relaxed);
        }
    }

    /// A server of which something comes for the first time. What came waits until the fleet has started it.
    fn welcome(&self, name: &Arc<str>, part: Batch) {
        if !self.admits(name) {
            let samples: usize = part.frames.iter().map(|frame| frame.samples.len()).sum();
            let before = self.0.refused_samples.fetch_add(samples as u64, Ordering::Relaxed);
            if before == 0 {
                let (server, limit) = (&**name, SERVERS_MAX);
                warn!(server, limit, "too many servers: what is new is stored, and not watched");
            }
            return;
        }
        // First the way, then the news of it: whoever is forgotten meanwhile leaves no way behind.
        let route = self.route(name);
        let mut known = self.known();
        if known.get(name).is_none() {
            info!(server = &**name, servers = known.len() + 1, "a new server writes here");
        }
        known.appear(name, now_ms());
        drop(known);
        self.send(&route, part);
    }

    fn routes(&self) -> std::sync::RwLockReadGuard<'_, HashMap<Arc<str>, ArrivalPort>> {
        self.0.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn configured(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.0.configured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, KnownServers> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
