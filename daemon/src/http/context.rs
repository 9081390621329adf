//! What requests are answered from, and what is known of each before its route.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    alert::messages::AlertDesk,
    enrol::TokenPort,
    fleet::FleetPort,
    ingest::Ingest,
    live::LiveReader,
    supervision::{Node, Tree},
};

use super::{
    Assets, Tls,
    access::{Access, Right},
    complaints::Complaints,
    messages::{History, Limits, PluginLister, TargetLister},
    metrics::Counters,
    reply::Problem,
    strangers::Stranger,
};

/// What answers are made of.
pub(super) struct Context {
    pub(super) access: Access,
    pub(super) live: LiveReader,
    pub(super) history: Arc<dyn History>,
    pub(super) plugins: PluginLister,
    pub(super) alerts: AlertDesk,
    pub(super) targets: TargetLister,
    pub(super) tokens: TokenPort,
    pub(super) fleet: FleetPort,
    /// How we speak by TCP; without encryption where there is none.
    pub(super) tls: Option<Arc<Tls>>,
    /// The files of TLS are to be read at once.
    pub(super) reread: Notify,
    pub(super) failed_handshakes: Complaints,
    pub(super) node: Node,
    pub(super) ingest: Ingest,
    pub(super) tree: Tree,
    pub(super) assets: Assets,
    pub(super) version: &'static str,
    pub(super) started: Instant,
    pub(super) limits: Limits,
    pub(super) counters: Counters,
    /// Everybody that has to be waited for at the end.
    pub(super) connections: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// A connection's place among those allowed; held by its task, then by its stream.
pub(super) struct Permit {
    _place: OwnedSemaphorePermit,
    stranger: Mutex<Option<Stranger>>,
    asked: AtomicBool,
    context: Arc<Context>,
}

/// What is known of a request before its route.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) verdict: Result<Right, Problem>,
    pub(super) permit: Arc<Permit>,
}

impl Permit {
    pub(super) fn new(
        place: OwnedSemaphorePermit,
        stranger: Option<Stranger>,
        context: &Arc<Context>,
    ) -> Arc<Self> {
        context.counters.connections.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            _place: place,
            stranger: Mutex::new(stranger),
            asked: AtomicBool::new(false),
            context: context.clone(),
        })
    }

    /// A request has come.
    pub(super) fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether any request has come.
    pub(super) fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// It has shown a right: it is no stranger's any more.
    pub(super) fn welcome(&self) {
        self.stranger.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.context.counters.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
