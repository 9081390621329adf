//! The plugin actor: see the [module documentation](super) for its promises.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{info, warn};

use super::{
    catalog::PluginCatalog,
    folders::PluginFolder,
    messages::{PluginMessage, PluginPort},
    process::Spawner,
    roster::{Context, Roster},
};
use crate::{
    series::Catalog,
    supervision::{Node, until_pulse},
};

/// How long the actor may be silent before it counts as stuck.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The behaviour; everything that changes lives in its state.
pub struct PluginActor;

/// What the plugin actor is born with.
#[derive(Clone)]
pub struct PluginArguments {
    /// Where series get their numbers.
    pub catalog: Arc<Catalog>,
    /// Its place in the tree; its hosts stand below.
    pub node: Node,
    /// Where instances are asked for.
    pub port: PluginPort,
    /// The program whose command `plugin-host` runs plugins; `/proc/self/exe` for the daemon.
    pub executable: PathBuf,
    /// How many bytes the plugins of one host may map.
    pub memory_max: u64,
}

impl PluginArguments {
    /// The usual [`memory_max`](Self::memory_max): 512 MiB.
    pub const MEMORY_MAX: u64 = 512 * 1024 * 1024;
}

/// What the plugin actor remembers between messages.
pub struct PluginActorState {
    roster: Roster,
    due: Option<JoinHandle<()>>,
    scan: Scan,
}

/// Whether the folders are being looked at.
enum Scan {
    Idle,
    Running,
    /// Running, and these are to be looked at next.
    Again(Vec<PluginFolder>),
}

impl Actor for PluginActor {
    type Msg = PluginMessage;
    type State = PluginActorState;
    type Arguments = PluginArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<PluginMessage>,
        arguments: PluginArguments,
    ) -> Result<PluginActorState, ActorProcessingErr> {
        let PluginArguments { catalog, node, port, executable, memory_max } = arguments;
        let spawner = Spawner::start(executable, memory_max)?;
        node.expect_beats(SILENCE_MAX);
        port.serve(myself.clone());
        myself.cast(PluginMessage::Scanned(PluginCatalog::clone(&port.catalog())))?;
        myself.cast(PluginMessage::Beat)?;
        let context = Context { myself, port, catalog, node, spawner };
        let (roster, scan) = (Roster::new(context), Scan::Idle);
        Ok(PluginActorState { roster, due: None, scan })
    }

    async fn handle(
        &self,
        myself: ActorRef<PluginMessage>,
        message: PluginMessage,
        state: &mut PluginActorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PluginMessage::Changed | PluginMessage::Due => {}
            PluginMessage::Rescan(folders) => state.rescan(folders, &myself),
            PluginMessage::Scanned(found) => state.scanned(found, &myself),
            PluginMessage::Faulted { id, host, fault } => state.roster.faulted(id, host, fault),
            PluginMessage::HostEnded(ended) => state.roster.host_ended(ended),
            PluginMessage::Unstuck(host) => state.roster.unstuck(&host),
            PluginMessage::Beat => {
                state.roster.beat();
                myself.send_after(until_pulse(), || PluginMessage::Beat);
            }
        }
        state.roster.settle().await;
        state.await_next(&myself);
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<PluginMessage>,
        state: &mut PluginActorState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(due) = state.due.take() {
            due.abort();
        }
        state.roster.stop().await;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<PluginMessage>,
        event: SupervisionEvent,
        state: &mut PluginActorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                state.roster.actor_ended(cell.get_id(), &error.to_string());
            }
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                let reason = reason.unwrap_or_else(|| "it ended by itself".into());
                state.roster.actor_ended(cell.get_id(), &reason);
            }
            _ => return Ok(()),
        }
        state.roster.settle().await;
        state.await_next(&myself);
        Ok(())
    }
}

impl PluginActorState {
    fn rescan(&mut self, folders: Vec<PluginFolder>, myself: &ActorRef<PluginMessage>) {
        if !matches!(self.scan, Scan::Idle) {
            self.scan = Scan::Again(folders);
            return;
        }
        self.scan = Scan::Running;
        let myself = myself.clone();
        tokio::spawn(async move {
            let found = spawn_blocking(move || PluginCatalog::scan(&folders)).await;
            // It fails only if the actor has ended.
            let _ = myself.cast(PluginMessage::Scanned(found.unwrap_or_default()));
        });
    }

    fn scanned(&mut self, found: PluginCatalog, myself: &ActorRef<PluginMessage>) {
        if let Scan::Again(folders) = std::mem::replace(&mut self.scan, Scan::Idle) {
            return self.rescan(folders, myself);
        }
        for plugin in &found.found {
            let (id, path) = (&*plugin.id, plugin.path.display());
            info!(id, version = &*plugin.version, %path, "plugin found");
        }
        for refused in &found.refused {
            warn!(path = %refused.path.display(), reason = refused.reason, "plugin refused");
        }
        self.roster.set_catalog(found);
    }

    /// Sees to it that the actor looks again when the next pause is over.
    fn await_next(&mut self, myself: &ActorRef<PluginMessage>) {
        if let Some(due) = self.due.take() {
            due.abort();
        }
        // The beat looks every second; only what comes before it needs a timer.
        let Some(next) = self.roster.next_due() else { return };
        let left = next.saturating_duration_since(Instant::now());
        if left < Duration::from_secs(1) {
            let myself = myself.clone();
            self.due = Some(tokio::spawn(async move {
                tokio::time::sleep(left).await;
                // It fails only if the actor has ended.
                let _ = myself.cast(PluginMessage::Due);
            }));
        }
    }
}
