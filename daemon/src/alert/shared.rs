//! Incidents and notices as they outlive the actor, with the ways in.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::{Mutex, mpsc, watch};

use super::{
    courier::{REPORTS, Report},
    desk::{AlertDesk, AlertPort, read},
    engine::Inbox,
    ledger::Ledger,
    messages::Command,
};
use crate::{config::Config, series::now_ms};

/// Incidents and notices. Root makes one and gives it to every incarnation of the actor. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Alert {
    pub(super) ledger: Arc<RwLock<Ledger>>,
    pub(super) inbox: Arc<Mutex<Inbox>>,
    pub(super) commands: mpsc::Sender<Command>,
    /// What couriers say outlives the engine that gave out the notices.
    pub(super) reports: mpsc::Sender<Report>,
    port: AlertPort,
}

/// Servers whose transitions may wait.
const UPDATES: usize = 1024;
/// Wishes that may wait.
const COMMANDS: usize = 64;

impl Alert {
    /// What was kept, as the store has it, on the machine called `this_machine`.
    pub fn restored(
        kept: BTreeMap<Vec<u8>, Vec<u8>>,
        config: Arc<Config>,
        this_machine: Arc<str>,
    ) -> Self {
        let ledger = Ledger::restored(kept, config, this_machine, now_ms());
        let ledger = Arc::new(RwLock::new(ledger));
        let (updates, incoming) = mpsc::channel(UPDATES);
        let (commands, wishes) = mpsc::channel(COMMANDS);
        let (watched, watching) = watch::channel(None);
        let (reports, reported) = mpsc::channel(REPORTS);
        let inbox =
            Inbox { updates: incoming, reports: reported, commands: wishes, watched: watching };
        let port = AlertPort {
            updates,
            watched: Arc::new(watched),
            ledger: ledger.clone(),
            recalled: Arc::default(),
            refused: Arc::default(),
        };
        Self { ledger, inbox: Arc::new(Mutex::new(inbox)), commands, reports, port }
    }

    /// The way in for server actors.
    pub fn port(&self) -> AlertPort {
        self.port.clone()
    }

    /// The way in for people.
    pub fn desk(&self) -> AlertDesk {
        AlertDesk {
            ledger: self.ledger.clone(),
            commands: self.commands.clone(),
            refused: self.port.refused.clone(),
        }
    }

    /// Goes on by another configuration.
    pub(super) fn follow(&self, config: Arc<Config>) {
        let mut ledger = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
        ledger.follow(config, now_ms());
        drop(ledger);
        // Where so many commands wait, the engine is not asleep.
        let _ = self.commands.try_send(Command::Look);
    }

    /// What this daemon is called, to tell its notices from those of all others.
    pub(super) fn hub(&self) -> String {
        read(&self.ledger).hub().to_owned()
    }
}
