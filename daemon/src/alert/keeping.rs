//! What has changed on its way to the disk: one write at a time, and what follows it gathered meanwhile.
//!
//! # Invariants
//!
//! - There is one write under way at most; what it carries is not written again while it may still succeed.
//! - While the disk is well, whoever asks waits until it has taken everything, [`LIMIT`] at most. While it is not,
//!   nobody waits; every change is kept in memory until the disk takes it, the last word on each key.

use std::time::Duration;

use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};
use tracing::{info, warn};

use crate::{
    logging::chain,
    store::{StateChanges, StatePort, StoreError},
    supervision::Node,
};

/// How long the disk is waited for.
const LIMIT: Duration = Duration::from_secs(2);
/// After the disk has refused.
const AGAIN: Duration = Duration::from_secs(1);
/// How often is looked whether a late write has ended.
const LOOK: Duration = Duration::from_millis(250);

/// Changes on their way to the disk.
pub(super) struct Keeping {
    states: StatePort,
    node: Node,
    /// Changes that no write carries.
    unkept: StateChanges,
    write: Option<Write>,
    unwell: bool,
    again: Option<Instant>,
}

struct Write {
    under_way: JoinHandle<Result<(), StoreError>>,
    carried: StateChanges,
}

impl Keeping {
    /// Nothing is on its way yet; `node` says where people see that the disk is not well.
    pub(super) fn new(states: StatePort, node: Node) -> Self {
        let unkept = StateChanges::default();
        Self { states, node, unkept, write: None, unwell: false, again: None }
    }

    /// Keeps `changes`, and what could not be kept before. Whether everything is kept by now.
    pub(super) async fn keep(&mut self, changes: StateChanges) -> bool {
        self.unkept.extend(changes);
        loop {
            if let Some(Write { under_way, .. }) = &mut self.write {
                let limit = if self.unwell { Duration::ZERO } else { LIMIT };
                match timeout(limit, under_way).await {
                    Ok(Ok(Ok(()))) => self.succeeded(),
                    Ok(Ok(Err(error))) => return self.failed(&chain(&error)),
                    Ok(Err(_)) => return self.failed("its task ended"),
                    Err(_) => return self.is_unwell("the disk does not answer"),
                }
            } else if self.unkept.is_empty() {
                return true;
            } else if self.again.is_some_and(|again| Instant::now() < again) {
                return false;
            } else {
                let (states, carried) = (self.states.clone(), std::mem::take(&mut self.unkept));
                let changes = carried.clone();
                let under_way = tokio::spawn(async move { states.keep(changes).await });
                self.write = Some(Write { under_way, carried });
            }
        }
    }

    /// The same for the last time: the disk is waited for, however it is.
    pub(super) async fn finish(&mut self, changes: StateChanges) -> bool {
        (self.unwell, self.again) = (false, None);
        self.keep(changes).await
    }

    /// When there is something to look after.
    pub(super) fn due(&self) -> Option<Instant> {
        let late = self.write.as_ref().map(|_| Instant::now() + LOOK);
        late.or(self.again.filter(|_| !self.unkept.is_empty()))
    }

    fn succeeded(&mut self) {
        (self.write, self.again) = (None, None);
        if std::mem::take(&mut self.unwell) {
            info!("alerts are kept on the disk again");
            self.node.set_detail(None);
        }
    }

    fn failed(&mut self, why: &str) -> bool {
        if let Some(Write { mut carried, .. }) = self.write.take() {
            // What has come since counts where both have a word on the same key.
            carried.extend(std::mem::take(&mut self.unkept));
            self.unkept = carried;
        }
        self.again = Some(Instant::now() + AGAIN);
        self.is_unwell(why)
    }

    fn is_unwell(&mut self, why: &str) -> bool {
        if !std::mem::replace(&mut self.unwell, true) {
            warn!(why, "alerts cannot be kept on the disk; people are told all the same");
            self.node.set_detail(Some("cannot keep alerts on the disk; a crash may repeat some"));
        }
        false
    }
}
