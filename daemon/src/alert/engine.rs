//! The engine: what happens goes into the ledger, is kept, shown, and leaves by the channels.
//!
//! ```text
//!  transitions ─┐                    ┌─► state (durable) ─► then couriers
//!  commands ────┼─► ledger (a lock) ─┤
//!  reports ─────┤                    └─► live
//!  time ────────┘
//! ```
//!
//! # Invariants
//!
//! - What is given to a courier has been kept before, unless the disk takes nothing: then people are told all the
//!   same, and what could not be kept is tried again until it is.
//! - Nothing here waits for a channel, and for the disk only while it is well (see [`keeping`](super::keeping)).

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::Duration,
};

use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    NoticeId, Way,
    channels::ATTEMPT_LIMIT,
    courier::{AT_ONCE, CourierPort, Report, silent},
    desk::{DeskError, read},
    keeping::Keeping,
    ledger::Ledger,
    messages::{AlertUpdate, Command, Watched},
    rows::Rows,
    trial::Trials,
};
use crate::{
    live::messages::LivePort,
    series::{now_ms, whole_ms},
    store::StatePort,
    supervision::{Node, until_pulse},
};

/// What comes in, for whichever engine runs at the time.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) updates: mpsc::Receiver<AlertUpdate>,
    pub(super) reports: mpsc::Receiver<Report>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) watched: watch::Receiver<Watched>,
}

/// The engine.
pub(super) struct Engine {
    pub(super) ledger: Arc<RwLock<Ledger>>,
    pub(super) inbox: Arc<Mutex<Inbox>>,
    pub(super) states: StatePort,
    pub(super) live: LivePort,
    pub(super) couriers: BTreeMap<Way, CourierPort>,
    pub(super) node: Node,
    pub(super) stop: CancellationToken,
}

/// Whether a wish was granted.
type Answer = Result<(), DeskError>;

/// What the engine remembers from one turn to the next.
struct Turns {
    rows: Rows,
    trials: Trials,
    /// Answers that are true once what has changed is kept.
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    keeping: Keeping,
    live_dropped: u64,
    /// What was due by then is done.
    done_ms: i64,
}

/// What has come since the last turn.
#[derive(Default)]
struct News {
    updates: Vec<AlertUpdate>,
    reports: Vec<Report>,
    commands: Vec<Command>,
    servers: Watched,
}

/// What found no room, a notice with its courier or a row with the live view, is offered again after this.
const AGAIN: Duration = Duration::from_millis(200);
/// Longest sleep while nothing is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A courier that has not answered by then never will.
const OVERDUE: Duration = ATTEMPT_LIMIT.saturating_add(Duration::from_secs(10));
/// Updates, reports and commands taken at once.
const UPDATES_MAX: usize = 256;
const REPORTS_MAX: usize = 256;
const COMMANDS_MAX: usize = 64;
/// How long what is under way may take when the engine is asked to stop.
const FAREWELL: Duration = Duration::from_millis(1000);

impl Engine {
    /// Runs until it is asked to stop.
    pub(super) async fn run(mut self) {
        let inbox = self.inbox.clone();
        let mut inbox = inbox.lock().await;
        let mut turns = Turns {
            rows: Rows::default(),
            trials: Trials::default(),
            answers: Vec::new(),
            keeping: Keeping::new(self.states.clone(), self.node.clone()),
            live_dropped: self.live.dropped(),
            done_ms: 0,
        };
        self.show(vec![turns.rows.all(&read(&self.ledger))]);
        inbox.watched.mark_changed();
        let mut crowded = false;
        while !self.stop.is_cancelled() {
            let until = self.wake_at(crowded, &turns);
            let news = self.wait(&mut inbox, until).await;
            self.take(news, &mut turns);
            crowded = self.turn(&mut turns).await;
        }
        self.farewell(&mut inbox, &mut turns).await;
    }

    /// Waits until something happens, or `until`, and takes whatever has come by then: nobody is starved by somebody
    /// who never stops.
    async fn wait(&mut self, inbox: &mut Inbox, until: Instant) -> News {
        let Inbox { updates, reports, commands, watched } = inbox;
        let mut news = News::default();
        tokio::select! {
            () = self.stop.cancelled() => {}
            _ = updates.recv_many(&mut news.updates, UPDATES_MAX) => {}
            _ = reports.recv_many(&mut news.reports, REPORTS_MAX) => {}
            _ = commands.recv_many(&mut news.commands, COMMANDS_MAX) => {}
            Ok(()) = watched.changed() => watched.mark_changed(),
            () = sleep_until(until) => {}
        }
        drain(updates, &mut news.updates, UPDATES_MAX);
        drain(reports, &mut news.reports, REPORTS_MAX);
        drain(commands, &mut news.commands, COMMANDS_MAX);
        if watched.has_changed().unwrap_or(false) {
            news.servers = watched.borrow_and_update().clone();
        }
        news
    }

    fn take(&self, News { updates, reports, commands, servers }: News, turns: &mut Turns) {
        let now_ms = now_ms();
        let mut ledger = self.write();
        for update in updates {
            take_update(&mut ledger, update, now_ms);
        }
        if let Some(servers) = servers {
            ledger.retain_servers(&servers, now_ms);
        }
        for report in reports {
            attempted(&mut ledger, report, &mut turns.trials);
        }
        for command in commands {
            obey(&mut ledger, command, turns);
        }
    }

    /// Does what follows from what has happened: keeps, shows, gives out. Whether a courier had no room.
    async fn turn(&self, turns: &mut Turns) -> bool {
        let (changes, rows) = {
            let mut ledger = self.write();
            let now_ms = now_ms();
            ledger.advance(now_ms);
            turns.done_ms = now_ms;
            for id in ledger.outbox.overdue(Instant::now()) {
                let way = ledger.outbox.get(id).map_or(Way::Webhook, |notice| notice.way);
                let verdict = Some(silent(way, "gave no answer in time"));
                let began_ms = now_ms - whole_ms(OVERDUE);
                let report = Report { notice: id, verdict, began_ms, ended_ms: now_ms };
                attempted(&mut ledger, report, &mut turns.trials);
            }
            let rows = if turns.live_dropped == self.live.dropped() {
                turns.rows.changed(&ledger)
            } else {
                turns.live_dropped = self.live.dropped();
                vec![turns.rows.all(&ledger)]
            };
            (ledger.changes(), rows)
        };
        self.show(rows);
        let kept = turns.keeping.keep(changes).await;
        turns.trials.stored(kept);
        for (reply, answer) in turns.answers.drain(..) {
            let answer = if kept { answer } else { answer.and(Err(DeskError::Unkept)) };
            // Whoever asked may have gone.
            let _ = reply.send(answer);
        }
        self.give_out(turns)
    }

    /// Gives what is due to the couriers. Whether one had no room.
    fn give_out(&self, turns: &mut Turns) -> bool {
        let now_ms = now_ms();
        let mut ledger = self.write();
        let given = ledger.outbox.give_out(now_ms, Instant::now() + OVERDUE, AT_ONCE);
        let mut crowded = false;
        for notice in given {
            let id = notice.id;
            if self.couriers.get(&notice.way).is_some_and(|courier| courier.give(notice)) {
                turns.trials.given(id);
            } else {
                ledger.outbox.take_back(id);
                crowded = true;
            }
        }
        crowded
    }

    /// Takes in what is under way, and keeps it.
    async fn farewell(&mut self, inbox: &mut Inbox, turns: &mut Turns) {
        let until = Instant::now() + FAREWELL;
        while let Ok(update) = inbox.updates.try_recv() {
            take_update(&mut self.write(), update, now_ms());
        }
        while read(&self.ledger).outbox.is_any_out() {
            tokio::select! {
                Some(report) = inbox.reports.recv() => {
                    attempted(&mut self.write(), report, &mut turns.trials);
                }
                () = sleep_until(until) => break,
            }
        }
        let changes = {
            let mut ledger = self.write();
            ledger.advance(now_ms());
            ledger.changes()
        };
        turns.keeping.finish(changes).await;
    }

    fn wake_at(&self, crowded: bool, turns: &Turns) -> Instant {
        // What has become due since the last turn looked at the clock is due now.
        let (due_ms, overdue) = {
            let ledger = read(&self.ledger);
            (ledger.due_ms(turns.done_ms), ledger.outbox.overdue_at())
        };
        let wait_ms = due_ms.map(|due_ms| due_ms.saturating_sub(now_ms()).max(0));
        let due =
            wait_ms.and_then(|wait_ms| u64::try_from(wait_ms).ok()).map(Duration::from_millis);
        // While something is due the clock is looked at with every pulse, for it may be set.
        let mut wait = due.map_or(LOOK_EVERY, |due| due.min(until_pulse()));
        if crowded || turns.live_dropped != self.live.dropped() {
            wait = wait.min(AGAIN);
        }
        let until = Instant::now() + wait;
        [turns.keeping.due(), overdue].into_iter().flatten().fold(until, Instant::min)
    }

    fn show(&self, rows: Vec<crate::live::messages::LiveUpdate>) {
        rows.into_iter().for_each(|row| self.live.publish(row));
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ledger> {
        self.ledger.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn obey(ledger: &mut Ledger, command: Command, turns: &mut Turns) {
    let now_ms = now_ms();
    match command {
        Command::Acknowledge { id, by, reply } => {
            let outcome = match ledger.acknowledge(id, by, now_ms) {
                Some(()) => Ok(()),
                None if ledger.book.get(id).is_some() => Err(DeskError::Over(id)),
                None => Err(DeskError::Unknown(id)),
            };
            turns.answers.push((reply, outcome));
        }
        Command::Test { reply, .. } if !turns.trials.has_room() => {
            let _ = reply.send(Err(DeskError::Busy));
        }
        Command::Test { contact, reply } => match ledger.test(&contact, now_ms) {
            Some(notices) => turns.trials.begin(notices, reply, ledger),
            None => {
                let known = ledger.known_contacts();
                // Whoever asked may have gone.
                let _ = reply.send(Err(DeskError::Nobody { name: contact, known }));
            }
        },
        // The ledger has changed already; what follows from it is done now.
        Command::Look => {}
    }
}

fn take_update(ledger: &mut Ledger, update: AlertUpdate, now_ms: i64) {
    match update {
        AlertUpdate::Changed { tags, transitions } => ledger.take(&transitions, &tags, now_ms),
        // Whoever asked may have given up waiting.
        AlertUpdate::Recall { server, reply } => drop(reply.send(ledger.recall(&server))),
    }
}

/// Takes what waits already, up to `most` in all.
fn drain<T>(from: &mut mpsc::Receiver<T>, into: &mut Vec<T>, most: usize) {
    while into.len() < most
        && let Ok(one) = from.try_recv()
    {
        into.push(one);
    }
}

fn attempted(ledger: &mut Ledger, report: Report, trials: &mut Trials) {
    let Report { notice, verdict, began_ms, ended_ms } = report;
    let Some(verdict) = verdict else { return ledger.outbox.take_back(notice) };
    trials.attempted(notice, &verdict);
    ledger.outbox.attempted(notice, verdict, began_ms, ended_ms, fastrand::f64());
    tell(ledger, notice);
}

/// Whether the last attempt failed as the one before did.
fn is_repeated(notice: &super::Notice) -> bool {
    let mut last = notice.attempts.iter().rev().map(|attempt| &attempt.said);
    matches!((last.next(), last.next()), (Some(one), Some(other)) if one == other)
}

/// Says in the log what became of a notice.
fn tell(ledger: &Ledger, id: NoticeId) {
    let Some(notice) = ledger.outbox.get(id) else { return };
    let Some(attempt) = notice.attempts.last() else { return };
    let (way, contact, tried) = (notice.way.name(), &*notice.contact, notice.tried);
    let said = &attempt.said;
    match notice.state {
        super::NoticeState::Sent => info!(notice = id.0, way, contact, tried, said, "notice sent"),
        // A server that stays away fails in the same way each time; once is enough.
        super::NoticeState::Waiting { .. } if is_repeated(notice) => {
            debug!(notice = id.0, way, contact, tried, said, "notice not taken again");
        }
        super::NoticeState::Waiting { .. } => {
            warn!(
                notice = id.0,
                way, contact, tried, said, "notice not taken, will be tried again"
            );
        }
        super::NoticeState::Held { .. } => {
            warn!(
                notice = id.0,
                way, contact, said, "notice held for an hour, or until the configuration changes"
            );
        }
        super::NoticeState::Dead => {
            tracing::error!(notice = id.0, way, contact, tried, said, "notice given up");
        }
    }
}
