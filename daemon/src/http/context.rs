//! What requests are answered from, and what is known of each before its route.

use std::sync::{Arc, atomic::Ordering};

use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{alert::messages::AlertDesk, live::LiveReader, supervision::Tree};

use super::{
    Assets,
    access::{Access, Right},
    messages::{History, Limits, PluginLister},
    metrics::Counters,
    reply::Problem,
};

/// What answers are made of.
pub(super) struct Context {
    pub(super) access: Access,
    pub(super) live: LiveReader,
    pub(super) history: Arc<dyn History>,
    pub(super) plugins: PluginLister,
    pub(super) alerts: AlertDesk,
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
    context: Arc<Context>,
}

/// What is known of a request before its route.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) verdict: Result<Right, Problem>,
    pub(super) permit: Arc<Permit>,
}

impl Permit {
    pub(super) fn new(place: OwnedSemaphorePermit, context: &Arc<Context>) -> Arc<Self> {
        context.counters.connections.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { _place: place, context: context.clone() })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.context.counters.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
