//! The store actor: control only. Samples and questions pass it by.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    StatePort, StoreError, StoreReader, intake::StoreIntake, messages::StoreMessage, open::Store,
    shared::lock, threads::Running,
};
use crate::{
    config::StoreConfig,
    logging::chain,
    series::{Catalog, now_ms},
    supervision::{ActorState, Node, until_pulse},
};

/// How long the store may show no sign of life.
const BEAT_LIMIT: Duration = Duration::from_secs(20);
/// The writer looks up five times a second, unless the disk holds it.
const WRITER_SILENT_MS: i64 = 10_000;
/// The keeper may wait for the state, and then for the disk.
const KEEPER_SILENT_MS: i64 = 60_000;
const OPEN_LIMIT: Duration = Duration::from_secs(60);
/// Less than the 3 s after which the supervisor loses patience.
const STOP_LIMIT: Duration = Duration::from_millis(2800);
/// How long a restart waits for the threads of the life before, and how often it looks.
const HANDOVER_LIMIT: Duration = Duration::from_secs(15);
const OPEN_RETRY: Duration = Duration::from_millis(100);

/// The behaviour; everything that changes lives in [`StoreState`].
pub struct StoreActor;

/// What the store is born with.
#[derive(Debug, Clone)]
pub struct StoreArguments {
    /// The state folder.
    pub path: PathBuf,
    /// Limit and retention.
    pub config: StoreConfig,
    /// The series, shared with everybody.
    pub catalog: Arc<Catalog>,
    /// Where samples come from.
    pub intake: StoreIntake,
    /// Whom to tell that the store is open.
    pub reader: StoreReader,
    /// Whom to tell where others' things are kept.
    pub states: StatePort,
    /// The store as the daemon's start opened it; later starts open it themselves.
    pub opened: OpenedStore,
    /// Its place in the tree.
    pub node: Node,
}

/// An open store on its way to the actor.
#[derive(Debug, Clone, Default)]
pub struct OpenedStore(Arc<Mutex<Option<Store>>>);

impl OpenedStore {
    /// Holds `store` until the actor takes it.
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Mutex::new(Some(store))))
    }

    fn take(&self) -> Option<Store> {
        lock(&self.0).take()
    }
}

/// What the store remembers between messages.
pub struct StoreState {
    arguments: StoreArguments,
    running: Option<Running>,
}

impl Actor for StoreActor {
    type Msg = StoreMessage;
    type State = StoreState;
    type Arguments = StoreArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<StoreMessage>,
        arguments: StoreArguments,
    ) -> Result<StoreState, ActorProcessingErr> {
        arguments.node.set_state(ActorState::Starting);
        arguments.node.expect_beats(OPEN_LIMIT);
        let opened = arguments.opened.take();
        let mut state = StoreState { arguments, running: None };
        match opened {
            // Whoever is started after the store may ask it at once.
            Some(store) => state.opened(Ok(store), &myself)?,
            None => open_on_a_thread(&state.arguments, myself)?,
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<StoreMessage>,
        message: StoreMessage,
        state: &mut StoreState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            StoreMessage::Opened(opened) => state.opened(*opened, &myself),
            StoreMessage::Tick => state.tick(&myself),
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<StoreMessage>,
        state: &mut StoreState,
    ) -> Result<(), ActorProcessingErr> {
        state.arguments.node.expect_no_beats();
        state.arguments.reader.set(None);
        state.arguments.states.set(None);
        let Some(running) = state.running.take() else { return Ok(()) };
        running.ask_to_stop();
        if timeout(STOP_LIMIT, spawn_blocking(|| running.join())).await.is_err() {
            tracing::warn!("store is still busy with the disk after {STOP_LIMIT:?}");
        }
        state.arguments.node.set_state(ActorState::Stopped);
        Ok(())
    }
}

impl StoreState {
    fn opened(
        &mut self,
        opened: Result<Store, StoreError>,
        myself: &ActorRef<StoreMessage>,
    ) -> Result<(), ActorProcessingErr> {
        let store = opened?;
        let requests = store.keeper.state_requests();
        let running = Running::start(store, &self.arguments.intake)?;
        self.arguments.states.set(requests);
        self.arguments.reader.set(Some(running.shared.clone()));
        self.running = Some(running);
        self.arguments.node.set_state(ActorState::Up);
        self.arguments.node.expect_beats(BEAT_LIMIT);
        self.tick(myself)
    }

    fn tick(&mut self, myself: &ActorRef<StoreMessage>) -> Result<(), ActorProcessingErr> {
        let Some(running) = &self.running else { return Ok(()) };
        if !running.is_whole() {
            return Err("a thread of the store has ended".into());
        }
        let (shared, node) = (&running.shared, &self.arguments.node);
        let now = now_ms();
        let silent = |beat: i64, limit: i64| now.saturating_sub(beat) > limit;
        let writer_silent = silent(shared.writer_beat_ms.load(Ordering::Relaxed), WRITER_SILENT_MS);
        let keeper_silent = silent(shared.keeper_beat_ms.load(Ordering::Relaxed), KEEPER_SILENT_MS);
        if !writer_silent && !keeper_silent {
            node.beat();
        }
        let (bytes, batches) = self.arguments.intake.waiting();
        node.set_queue(batches);
        let behind = (bytes > 1 << 20).then(|| format!("{} MiB wait for the disk", bytes >> 20));
        let degraded = shared.degraded();
        // It is at work all the same: it answers, and goes on as soon as the disk does.
        node.set_state(if degraded.is_some() { ActorState::Down } else { ActorState::Up });
        node.set_detail(degraded.or(behind).as_deref());
        myself.send_after(until_pulse(), || StoreMessage::Tick);
        Ok(())
    }
}

/// Opens the store on a thread of its own, and tells the actor.
fn open_on_a_thread(
    arguments: &StoreArguments,
    myself: ActorRef<StoreMessage>,
) -> Result<(), StoreError> {
    let StoreArguments { path, config, catalog, .. } = arguments.clone();
    let work = move || {
        let mut left = HANDOVER_LIMIT.as_millis() / OPEN_RETRY.as_millis();
        let store = loop {
            match Store::open(&path, &config, &catalog) {
                // The threads of the life before may not have let go of the folder yet.
                Err(StoreError::InUse { .. }) if left > 0 => {
                    left -= 1;
                    thread::sleep(OPEN_RETRY);
                }
                store => break store,
            }
        };
        if let Err(error) = &store {
            tracing::error!(error = chain(error), "store did not open");
        }
        // If the actor has ended meanwhile, the store is dropped, and the folder with it.
        let _ = myself.cast(StoreMessage::Opened(Box::new(store)));
    };
    let name = "store-open".to_owned();
    thread::Builder::new().name(name).spawn(work).map_err(StoreError::Thread)?;
    Ok(())
}
