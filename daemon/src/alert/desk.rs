//! The alert actor as others see it: a port for transitions, a desk for people.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::{
    Incident, IncidentId, Notice, NoticeId, NoticeState, Way,
    ledger::Ledger,
    messages::{AlertUpdate, Command, Hop, Watched},
    pending::Pending,
    progress::Progress,
};
use crate::detect::{Recall, Transition};

/// Where server actors put what has changed, and ask what is remembered. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AlertPort {
    pub(super) updates: mpsc::Sender<AlertUpdate>,
    pub(super) watched: Arc<watch::Sender<Watched>>,
    pub(super) ledger: Arc<RwLock<Ledger>>,
    /// Servers that have asked in this life of the daemon.
    pub(super) recalled: Arc<Mutex<HashSet<Arc<str>>>>,
    pub(super) refused: Arc<AtomicU64>,
}

/// Where people look, and take incidents on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AlertDesk {
    pub(super) ledger: Arc<RwLock<Ledger>>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) refused: Arc<AtomicU64>,
}

/// An incident, and how far what is told of it has come.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentView {
    /// The incident.
    pub incident: Incident,
    /// By each way that tells of it.
    pub progress: BTreeMap<Way, Progress>,
}

/// A notice, and what it waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticeView {
    /// The notice.
    pub notice: Notice,
    /// The earlier notice that it waits for: what is told of one incident keeps its order.
    pub behind: Option<NoticeId>,
}

/// How one way is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct WayView {
    /// Which way.
    pub way: Way,
    /// Whether it can be used.
    pub configured: bool,
    /// Notices by how far they have come.
    pub count: BTreeMap<&'static str, usize>,
    /// When the other side took one last.
    pub last_sent_ms: Option<i64>,
    /// What went wrong last, if that was later.
    pub last_error: Option<String>,
}

/// What alerts count.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertStats {
    /// Incidents that last.
    pub open: usize,
    /// How often transitions were handed back because too much waited.
    pub refused: u64,
    /// How each way is doing.
    pub ways: Vec<WayView>,
}

/// Why a wish is not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// There is no such incident.
    #[error("failed to find incident {}", .0.0)]
    Unknown(IncidentId),
    /// It is over.
    #[error("failed to acknowledge incident {}: it is over", .0.0)]
    Over(IncidentId),
    /// Nobody is called so.
    #[error("failed to find contact `{name}`: {known}")]
    Nobody {
        /// The name.
        name: String,
        /// Who there is, in words.
        known: String,
    },
    /// It holds, but a crash would undo it.
    #[error("failed to keep it on the disk: it holds until the daemon ends; the log says more")]
    Unkept,
    /// The alert actor is busy, or just being started again.
    #[error("failed to reach the alert actor: it is busy, try again")]
    Busy,
}

/// Longest that a server waits for what is remembered of it; then it takes what is known by then.
const RECALL_LIMIT: Duration = Duration::from_secs(3);
/// Longest that a command may wait for its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Longest that a test may take: an attempt, and a little.
const TEST_LIMIT: Duration = Duration::from_secs(45);

impl AlertPort {
    /// Hands over what has changed on a server with `tags`. Where too much waits, it comes back, and is to be
    /// offered again.
    pub fn publish(
        &self,
        transitions: Vec<Transition>,
        tags: &Arc<BTreeMap<String, String>>,
    ) -> Result<(), Vec<Transition>> {
        match self.updates.try_reserve() {
            Ok(place) => {
                place.send(AlertUpdate::Changed { tags: tags.clone(), transitions });
                Ok(())
            }
            Err(_) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(transitions)
            }
        }
    }

    /// What is remembered of a server that was last seen at `seen_ms`, with everything that was published of it
    /// before. To the first who asks in this life of the daemon, its absence since then is part of it.
    pub async fn recall(&self, server: &Arc<str>, seen_ms: Option<i64>) -> Recall {
        let first = {
            let mut recalled = self.recalled.lock().unwrap_or_else(PoisonError::into_inner);
            recalled.insert(server.clone())
        };
        // It queues behind what the former actor of this server has said last.
        let (reply, answer) = oneshot::channel();
        let asked = AlertUpdate::Recall { server: server.clone(), reply };
        let asked = timeout(RECALL_LIMIT, async {
            self.updates.send(asked).await.ok()?;
            answer.await.ok()
        });
        let recall = asked.await.ok().flatten();
        let recall = recall.unwrap_or_else(|| read(&self.ledger).recall(server));
        Recall { absent_since_ms: seen_ms.filter(|_| first), ..recall }
    }

    /// Only these servers are watched from now on.
    pub fn watch(&self, servers: BTreeSet<Arc<str>>) {
        self.watched.send_replace(Some(servers));
    }
}

impl AlertDesk {
    /// Incidents that last and those that ended lately, the worst and newest first.
    pub fn incidents(&self) -> Vec<IncidentView> {
        let ledger = read(&self.ledger);
        let mut views: Vec<_> =
            ledger.book.incidents().map(|incident| view(&ledger, incident)).collect();
        views.sort_by_key(|IncidentView { incident, .. }| {
            (!incident.is_open(), std::cmp::Reverse((incident.severity, incident.opened_ms)))
        });
        views
    }

    /// What may become an incident.
    pub fn pending(&self) -> Vec<Pending> {
        read(&self.ledger).book.pending().values().cloned().collect()
    }

    /// An incident with every notice about it.
    pub fn incident(&self, id: IncidentId) -> Option<(IncidentView, Vec<NoticeView>)> {
        let ledger = read(&self.ledger);
        let incident = ledger.book.get(id)?;
        let notices = ledger.outbox.about(id).map(|notice| notice_view(&ledger, notice));
        Some((view(&ledger, incident), notices.collect()))
    }

    /// How each way is doing, and the newest `most` notices.
    pub fn delivery(&self, most: usize) -> (Vec<WayView>, Vec<NoticeView>) {
        let ledger = read(&self.ledger);
        let notices = ledger.outbox.notices().rev().take(most);
        let notices = notices.map(|notice| notice_view(&ledger, notice)).collect();
        (Way::ALL.map(|way| way_view(&ledger, way)).into(), notices)
    }

    /// What alerts count, at this moment.
    pub fn stats(&self) -> AlertStats {
        let ledger = read(&self.ledger);
        AlertStats {
            open: ledger.book.open_incidents().count(),
            refused: self.refused.load(Ordering::Relaxed),
            ways: Way::ALL.map(|way| way_view(&ledger, way)).into(),
        }
    }

    /// Takes an incident on in the name of `by`.
    pub async fn acknowledge(&self, id: IncidentId, by: Arc<str>) -> Result<(), DeskError> {
        self.ask(ANSWER_LIMIT, |reply| Command::Acknowledge { id, by, reply }).await
    }

    /// Sends a test to every address of a contact; answers once each was tried.
    pub async fn test(&self, contact: String) -> Result<Vec<Hop>, DeskError> {
        self.ask(TEST_LIMIT, |reply| Command::Test { contact, reply }).await
    }

    async fn ask<T>(
        &self,
        limit: Duration,
        command: impl FnOnce(oneshot::Sender<Result<T, DeskError>>) -> Command,
    ) -> Result<T, DeskError> {
        let (reply, answer) = oneshot::channel();
        self.commands.try_send(command(reply)).map_err(|_| DeskError::Busy)?;
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(DeskError::Busy),
        }
    }
}

/// Locks to read; whoever panicked while writing left what every later call mends.
pub(super) fn read(ledger: &RwLock<Ledger>) -> RwLockReadGuard<'_, Ledger> {
    ledger.read().unwrap_or_else(PoisonError::into_inner)
}

fn view(ledger: &Ledger, incident: &Incident) -> IncidentView {
    IncidentView { incident: incident.clone(), progress: ledger.outbox.progress(incident.id) }
}

fn notice_view(ledger: &Ledger, notice: &Notice) -> NoticeView {
    NoticeView { behind: ledger.outbox.before(notice), notice: notice.clone() }
}

fn way_view(ledger: &Ledger, way: Way) -> WayView {
    let of = ledger.outbox.notices().filter(|notice| notice.way == way);
    let mut view = WayView {
        way,
        configured: ledger.is_configured(way),
        count: BTreeMap::new(),
        last_sent_ms: None,
        last_error: None,
    };
    let mut failed: Option<(i64, &str)> = None;
    for notice in of {
        *view.count.entry(Progress::of(notice).name()).or_default() += 1;
        let Some(last) = notice.attempts.last() else { continue };
        if notice.state == NoticeState::Sent {
            view.last_sent_ms = view.last_sent_ms.max(Some(last.at_ms));
        } else if failed.is_none_or(|(at_ms, _)| last.at_ms >= at_ms) {
            failed = Some((last.at_ms, &last.said));
        }
    }
    let later =
        failed.filter(|(at_ms, _)| view.last_sent_ms.is_none_or(|sent_ms| *at_ms > sent_ms));
    view.last_error = later.map(|(_, said)| said.to_owned());
    view
}
