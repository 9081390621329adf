//! The children of one actor: started, watched, started again, stopped.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ractor::{ActorCell, ActorId, SpawnErr, SupervisionEvent};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tracing::{error, info, warn};

use super::{ActorState, ChildSpec, Fall, History, Node, Starting};

/// What [`Children`] tell their parent's mailbox; the parent hands it back to
/// [`Children::handle`].
#[derive(Debug)]
pub enum ChildEvent {
    /// A start has ended, well or badly.
    Started {
        /// Which child.
        id: String,
        /// Which start of it.
        incarnation: u64,
        /// The child, or why there is none.
        outcome: Result<ActorCell, SpawnErr>,
    },
    /// The pause before a restart is over.
    Due {
        /// Which child.
        id: String,
        /// The start that is due.
        incarnation: u64,
    },
}

/// A child fell more often than its parent can bear.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{child}` fell too often, last because: {reason}")]
pub struct Fallen {
    /// Its name.
    pub child: String,
    /// Why it fell last.
    pub reason: String,
}

/// The children of one actor. Their parent owns this, hands it its supervision
/// events and its [`ChildEvent`]s, and calls [`stop_all`](Self::stop_all) when it stops.
pub struct Children {
    parent: ActorCell,
    node: Node,
    tell: Arc<dyn Fn(ChildEvent) + Send + Sync>,
    children: HashMap<String, Child>,
    /// In the order of their first start.
    order: Vec<String>,
    incarnations: u64,
    /// Those that fell before their start was heard of, and why.
    fallen_early: HashMap<ActorId, String>,
    /// Those that were asked to stop.
    stopping: HashSet<ActorId>,
}

struct Child {
    spec: ChildSpec,
    node: Node,
    incarnation: u64,
    history: History,
    state: Running,
}

enum Running {
    Starting,
    Up { cell: ActorCell, since: Instant },
    Paused(JoinHandle<()>),
}

impl Children {
    /// No children yet. `tell` puts an event into the parent's mailbox.
    pub fn new(
        parent: ActorCell,
        node: Node,
        tell: impl Fn(ChildEvent) + Send + Sync + 'static,
    ) -> Self {
        Self {
            parent,
            node,
            tell: Arc::new(tell),
            children: HashMap::new(),
            order: Vec::new(),
            incarnations: 0,
            fallen_early: HashMap::new(),
            stopping: HashSet::new(),
        }
    }

    /// Starts a child in a task of its own, so that a slow one holds up nobody.
    /// One with this id that is already there stays, and the call does nothing.
    pub fn start(&mut self, spec: ChildSpec) {
        if let Some(id) = self.add(spec) {
            self.launch(&id);
        }
    }

    /// Starts a child and waits until it has started. One that cannot be is an
    /// error and no child.
    pub async fn start_and_wait(&mut self, spec: ChildSpec) -> Result<(), Fallen> {
        let Some(id) = self.add(spec) else { return Ok(()) };
        let Some((incarnation, starting)) = self.begin(&id) else { return Ok(()) };
        match starting.await {
            Ok(cell) => self.started(&id, incarnation, Ok(cell)),
            Err(error) => {
                self.children.remove(&id);
                self.order.retain(|known| *known != id);
                Err(Fallen { child: id, reason: error.to_string() })
            }
        }
    }

    /// The child's actor, while it runs.
    pub fn cell(&self, id: &str) -> Option<&ActorCell> {
        match &self.children.get(id)?.state {
            Running::Up { cell, .. } => Some(cell),
            Running::Starting | Running::Paused(_) => None,
        }
    }

    /// Names of all children, in the order of their first start.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// Reacts to what the parent's mailbox brought.
    pub fn handle(&mut self, event: ChildEvent) -> Result<(), Fallen> {
        match event {
            ChildEvent::Started { id, incarnation, outcome } => {
                self.started(&id, incarnation, outcome)
            }
            ChildEvent::Due { id, incarnation } => {
                if self.children.get(&id).is_some_and(|child| child.incarnation == incarnation) {
                    self.launch(&id);
                }
                Ok(())
            }
        }
    }

    /// Reacts to a supervision event of the parent.
    pub fn supervise(&mut self, event: SupervisionEvent) -> Result<(), Fallen> {
        match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                self.ended(cell.get_id(), error.to_string())
            }
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                self.ended(cell.get_id(), reason.unwrap_or_else(|| "it ended by itself".into()))
            }
            _ => Ok(()),
        }
    }

    /// Stops one child and forgets it; does not come back before it is gone.
    pub async fn stop(&mut self, id: &str) {
        let Some(child) = self.children.remove(id) else { return };
        self.order.retain(|known| known != id);
        if let Running::Up { cell, .. } = &child.state {
            self.stopping.insert(cell.get_id());
        }
        child.stop().await;
    }

    /// Stops all, the last first, one after the other.
    pub async fn stop_in_reverse(&mut self) {
        while let Some(id) = self.order.last().cloned() {
            self.stop(&id).await;
        }
    }

    /// Stops all at once.
    pub async fn stop_all(&mut self) {
        self.order.clear();
        let mut stops: JoinSet<()> = self.children.drain().map(|(_, child)| child.stop()).collect();
        while stops.join_next().await.is_some() {}
    }

    /// Makes room for a child; its name, unless there is one of this name already.
    fn add(&mut self, spec: ChildSpec) -> Option<String> {
        if self.children.contains_key(&spec.id) {
            return None;
        }
        let id = spec.id.clone();
        let node = self.node.child(&spec.id, spec.kind);
        let (history, state) = (History::default(), Running::Starting);
        self.children.insert(id.clone(), Child { spec, node, incarnation: 0, history, state });
        self.order.push(id.clone());
        Some(id)
    }

    /// Begins one more start of a child.
    fn begin(&mut self, id: &str) -> Option<(u64, Starting)> {
        let child = self.children.get_mut(id)?;
        self.incarnations += 1;
        child.incarnation = self.incarnations;
        child.state = Running::Starting;
        child.node.set_state(ActorState::Starting);
        let starting = (child.spec.start)(self.parent.clone(), child.node.clone());
        Some((child.incarnation, starting))
    }

    fn launch(&mut self, id: &str) {
        let Some((incarnation, starting)) = self.begin(id) else { return };
        let (id, tell) = (id.to_owned(), self.tell.clone());
        tokio::spawn(async move {
            let outcome = starting.await;
            tell(ChildEvent::Started { id, incarnation, outcome });
        });
    }

    fn started(
        &mut self,
        id: &str,
        incarnation: u64,
        outcome: Result<ActorCell, SpawnErr>,
    ) -> Result<(), Fallen> {
        let known = self.children.get_mut(id).filter(|child| child.incarnation == incarnation);
        match (outcome, known) {
            (Ok(cell), Some(child)) => {
                let early = self.fallen_early.remove(&cell.get_id());
                child.state = Running::Up { cell, since: Instant::now() };
                match early {
                    Some(reason) => self.fell(id, reason),
                    None => {
                        // A child with something to say of its own state has said it already.
                        if child.node.state() == ActorState::Starting {
                            child.node.set_state(ActorState::Up);
                        }
                        Ok(())
                    }
                }
            }
            // It was asked to stop while it was still starting.
            (Ok(cell), None) => {
                self.stopping.insert(cell.get_id());
                cell.stop(None);
                Ok(())
            }
            (Err(error), Some(_)) => self.fell(id, error.to_string()),
            (Err(_), None) => Ok(()),
        }
    }

    fn ended(&mut self, actor: ActorId, reason: String) -> Result<(), Fallen> {
        if self.stopping.remove(&actor) {
            return Ok(());
        }
        let running = |child: &Child| matches!(&child.state, Running::Up { cell, .. } if cell.get_id() == actor);
        let fallen = self.children.iter().find(|(_, child)| running(child));
        if let Some((id, _)) = fallen {
            let id = id.clone();
            self.fell(&id, reason)
        } else {
            self.fallen_early.insert(actor, reason);
            Ok(())
        }
    }

    fn fell(&mut self, id: &str, reason: String) -> Result<(), Fallen> {
        let Some(child) = self.children.get_mut(id) else { return Ok(()) };
        let now = Instant::now();
        let ran = match &child.state {
            Running::Up { since, .. } => now - *since,
            Running::Starting | Running::Paused(_) => std::time::Duration::ZERO,
        };
        child.node.set_error(&reason);
        child.node.expect_no_beats();
        let kind = child.spec.kind;
        let fall = child.spec.restart.judge(&mut child.history, now, ran, fastrand::f64());
        let (pause, state) = match fall {
            Fall::After(pause) => {
                warn!(kind, name = id, reason, ?pause, "actor fell, will be started again");
                (pause, ActorState::Backoff)
            }
            Fall::Quarantine(pause) => {
                error!(kind, name = id, reason, ?pause, "actor falls too often, quarantined");
                (pause, ActorState::Quarantined)
            }
            Fall::GiveUp => {
                error!(kind, name = id, reason, "actor falls too often, giving up");
                child.node.set_state(ActorState::Down);
                return Err(Fallen { child: id.to_owned(), reason });
            }
        };
        child.node.set_state(state);
        child.node.count_restart();
        let (id, incarnation, tell) = (id.to_owned(), child.incarnation, self.tell.clone());
        child.state = Running::Paused(tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            tell(ChildEvent::Due { id, incarnation });
        }));
        Ok(())
    }
}

impl Child {
    async fn stop(self) {
        self.node.expect_no_beats();
        let limit = self.spec.shutdown;
        let (kind, name) = (self.spec.kind, &self.spec.id);
        match self.state {
            Running::Starting => {}
            Running::Paused(timer) => timer.abort(),
            Running::Up { cell, .. } => {
                if cell.stop_and_wait(None, Some(limit)).await.is_err() {
                    warn!(kind, name, ?limit, "actor did not stop in time, killing it");
                    if cell.kill_and_wait(Some(limit)).await.is_err() {
                        error!(kind, name, "actor is stuck, going on without it");
                    }
                }
            }
        }
        self.node.set_state(ActorState::Stopped);
        info!(kind, name, "actor stopped");
    }
}
