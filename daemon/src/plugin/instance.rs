//! A collector's hold on its plugin instance.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{sync::watch, time::timeout};

use super::{
    line::Line,
    messages::{CollectError, InstanceSpec, InstanceState, PluginPort, Reading},
};

/// An instance. Dropping it destroys the instance in its host.
pub struct Instance {
    shared: Arc<InstanceShared>,
    port: PluginPort,
}

/// What the collector's side and the daemon's side of an instance share.
pub(super) struct InstanceShared {
    pub(super) id: u64,
    pub(super) spec: InstanceSpec,
    state: watch::Sender<InstanceState>,
    seat: Mutex<Option<Seat>>,
}

/// Where an instance lives: a host, and its number there.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) line: Arc<Line>,
    pub(super) number: u32,
}

impl InstanceShared {
    pub(super) fn new(id: u64, spec: InstanceSpec) -> Self {
        let (state, _) = watch::channel(InstanceState::Starting);
        Self { id, spec, state, seat: Mutex::new(None) }
    }

    /// Name of the instance, unique in the daemon.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.spec.server, self.spec.collector)
    }

    pub(super) fn set_state(&self, new: InstanceState) {
        self.state.send_if_modified(|state| {
            let changed = *state != new;
            *state = new;
            changed
        });
    }

    pub(super) fn state(&self) -> InstanceState {
        self.state.borrow().clone()
    }

    pub(super) fn sit(&self, seat: Option<Seat>) {
        *self.seat.lock().unwrap_or_else(PoisonError::into_inner) = seat;
    }

    pub(super) fn seat(&self) -> Option<Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Instance {
    pub(super) fn new(shared: Arc<InstanceShared>, port: PluginPort) -> Self {
        Self { shared, port }
    }

    /// How it is, now and from now on.
    pub fn states(&self) -> watch::Receiver<InstanceState> {
        self.shared.state.subscribe()
    }

    /// Reads once, for the instant `at_ms`; bounded by the plugin's own `timeout`. At most one call is
    /// in flight: after one that was given up, the next are [`CollectError::NotReady`] until the
    /// plugin has come back or its host was killed.
    pub async fn collect(&mut self, at_ms: i64) -> Result<Reading, CollectError> {
        let seat = match self.shared.state() {
            InstanceState::Ready => self.shared.seat(),
            InstanceState::Starting => return Err(not_ready("plugin is starting")),
            InstanceState::Down { reason }
            | InstanceState::Parked { reason }
            | InstanceState::Absent { reason } => {
                return Err(CollectError::NotReady(reason));
            }
        };
        let Some(Seat { line, number }) = seat else { return Err(not_ready("plugin is starting")) };
        let (answer, after) = line.collect(number, at_ms)?;
        match timeout(after, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(CollectError::HostDown("plugin host has ended".into())),
            Err(_) => Err(CollectError::Deadline { after }),
        }
    }
}

fn not_ready(why: &str) -> CollectError {
    CollectError::NotReady(why.into())
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.port.close(self.shared.id);
    }
}
