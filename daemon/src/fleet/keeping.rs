//! How what is known of servers gets to the disk: beside the fleet, which waits for no disk.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::timeout};
use tracing::{info, warn};

use super::FleetPort;
use crate::store::{StatePort, StoreError};

/// What is kept, and what is on its way there.
pub(super) struct Keeping {
    fleet: FleetPort,
    states: StatePort,
    writing: Option<Writing>,
    failed: bool,
}

/// Changes on their way: of whom they are, and what comes of them.
struct Writing {
    names: BTreeSet<Arc<str>>,
    outcome: JoinHandle<Result<(), StoreError>>,
}

/// How long the disk may take when the fleet stops.
const FAREWELL: Duration = Duration::from_millis(500);

impl Keeping {
    /// Nothing is on its way.
    pub(super) fn new(fleet: FleetPort, states: StatePort) -> Self {
        Self { fleet, states, writing: None, failed: false }
    }

    /// Sends what has changed on its way, once what was sent before has arrived. What has not is sent again.
    pub(super) async fn look(&mut self) {
        if let Some(done) = self.writing.take_if(|writing| writing.outcome.is_finished()) {
            self.arrived(done.names, done.outcome.await.ok());
        }
        if self.writing.is_none() {
            let (names, changes) = self.fleet.take_unkept();
            if !changes.is_empty() {
                let states = self.states.clone();
                let keep = async move { states.keep(changes).await };
                self.writing = Some(Writing { names, outcome: tokio::spawn(keep) });
            }
        }
    }

    /// Sends what is left, and waits a little.
    pub(super) async fn farewell(&mut self) {
        let wait = async {
            for _ in 0..2 {
                if let Some(Writing { names, outcome }) = self.writing.take() {
                    self.arrived(names, outcome.await.ok());
                }
                self.look().await;
            }
        };
        if timeout(FAREWELL, wait).await.is_err() {
            warn!("what is known of servers may not be on the disk: it did not answer in time");
        }
    }

    fn arrived(&mut self, names: BTreeSet<Arc<str>>, outcome: Option<Result<(), StoreError>>) {
        let error = match outcome {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(error.to_string()),
            None => Some("the task that kept them ended".into()),
        };
        let failed = error.is_some();
        match (error, std::mem::replace(&mut self.failed, failed)) {
            (Some(error), false) => warn!(%error, "servers are not kept; tried again each second"),
            (None, true) => info!("servers are kept again"),
            _ => {}
        }
        if failed {
            self.fleet.not_kept(names);
        }
    }
}
