//! Tests of a contact: each step of their notices, with its time.

use std::time::Instant;

use tokio::sync::oneshot;

use super::{
    NoticeId,
    channels::{Verdict, shown},
    desk::DeskError,
    ledger::Ledger,
    messages::Hop,
};

/// Tests that are under way.
#[derive(Debug, Default)]
pub(super) struct Trials(Vec<Trial>);

#[derive(Debug)]
struct Trial {
    began: Instant,
    /// Notices that have not been tried yet, and what a hop calls them.
    open: Vec<(NoticeId, String)>,
    hops: Vec<Hop>,
    stored: bool,
    reply: Option<oneshot::Sender<Result<Vec<Hop>, DeskError>>>,
}

/// Tests at one time; more are refused.
const TRIALS_MAX: usize = 16;

impl Trials {
    /// Whether one more may begin.
    pub(super) fn has_room(&mut self) -> bool {
        self.0.retain(|trial| trial.reply.as_ref().is_some_and(|reply| !reply.is_closed()));
        self.0.len() < TRIALS_MAX
    }

    /// A test of a contact has made these notices.
    pub(super) fn begin(
        &mut self,
        notices: Vec<NoticeId>,
        reply: oneshot::Sender<Result<Vec<Hop>, DeskError>>,
        ledger: &Ledger,
    ) {
        let name = |id: NoticeId| {
            let notice = ledger.outbox.get(id)?;
            Some((id, format!("{} {}", notice.way.name(), shown(notice.way, &notice.address))))
        };
        let open: Vec<_> = notices.into_iter().filter_map(name).collect();
        let began = Instant::now();
        let mut trial = Trial { began, open, hops: Vec::new(), stored: false, reply: Some(reply) };
        let count = trial.open.len();
        trial.hop("decided".into(), true, format!("{count} notices"));
        self.0.push(trial);
    }

    /// What was decided has been kept, or the disk does not take it.
    pub(super) fn stored(&mut self, kept: bool) {
        for trial in self.0.iter_mut().filter(|trial| !trial.stored) {
            trial.stored = true;
            let said = if kept { "" } else { "the disk does not take it; it is sent all the same" };
            trial.hop("stored".into(), kept, said.into());
        }
    }

    /// A notice was given to its courier.
    pub(super) fn given(&mut self, notice: NoticeId) {
        for trial in &mut self.0 {
            let known = trial.open.iter().find(|(known, _)| *known == notice);
            if let Some(name) = known.map(|(_, name)| name.clone()) {
                trial.hop(format!("given to {name}"), true, String::new());
            }
        }
    }

    /// A notice was tried.
    pub(super) fn attempted(&mut self, notice: NoticeId, verdict: &Verdict) {
        for trial in &mut self.0 {
            let Some(at) = trial.open.iter().position(|(known, _)| *known == notice) else {
                continue;
            };
            let (_, name) = trial.open.remove(at);
            trial.hop(name, verdict.outcome.is_accepted(), verdict.said.clone());
            if trial.open.is_empty()
                && let Some(reply) = trial.reply.take()
            {
                // Whoever asked may have gone.
                let _ = reply.send(Ok(std::mem::take(&mut trial.hops)));
            }
        }
        self.0.retain(|trial| trial.reply.is_some());
    }
}

impl Trial {
    fn hop(&mut self, hop: String, ok: bool, said: String) {
        let ms = self.began.elapsed().as_secs_f64() * 1000.0;
        self.hops.push(Hop { hop, ms, ok, said });
    }
}
