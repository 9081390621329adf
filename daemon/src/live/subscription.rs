//! One viewer: what it follows, and how far it has been told.

use std::sync::Arc;

use tokio::sync::watch;

use crate::series::now_ms;

use super::{LiveReader, Topic, table::Table};

/// Where a viewer was when it lost its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The boot that its `seq` belongs to.
    pub epoch: String,
    /// The last tick that it has the whole picture of.
    pub seq: u64,
}

/// One viewer of the live view. It has no queue: what it is given is made when it
/// asks, from what changed since it last did.
#[derive(Debug)]
pub struct Subscription {
    live: LiveReader,
    viewer: u64,
    ticks: watch::Receiver<u64>,
    follows: Vec<Follow>,
    paused: bool,
    /// Why fresh pictures follow, where the viewer could not be brought up to date.
    resync: Option<&'static str>,
}

#[derive(Debug)]
struct Follow {
    topic: Topic,
    /// The picture that the viewer has; `None` before its first.
    seen: Option<u64>,
}

impl Subscription {
    pub(super) fn new(live: LiveReader, viewer: u64, ticks: watch::Receiver<u64>) -> Self {
        Self { live, viewer, ticks, follows: Vec::new(), paused: false, resync: None }
    }

    /// Follows exactly `topics` from now on. With `resume`, the viewer has their
    /// pictures of that tick and wants what changed since; else it has none.
    /// Paused, nothing is shown and nothing is kept for it.
    pub fn follow(&mut self, topics: Vec<Topic>, resume: Option<&Resume>, paused: bool) {
        self.follow_at(topics, resume, paused, now_ms());
    }

    pub(super) fn follow_at(
        &mut self,
        topics: Vec<Topic>,
        resume: Option<&Resume>,
        paused: bool,
        now_ms: i64,
    ) {
        let mut state = self.live.state();
        self.resync = None;
        let seen = match resume {
            None => None,
            Some(resume) if resume.epoch != self.live.epoch() => {
                self.resync = Some("epoch");
                None
            }
            Some(resume) => Some(resume.seq),
        };
        let before = std::mem::take(&mut self.follows);
        let was_paused = std::mem::replace(&mut self.paused, paused);
        for topic in topics {
            if self.follows.iter().all(|follow| follow.topic != topic) {
                if !paused {
                    state.follow(&topic, now_ms);
                }
                let table = state.table(&topic);
                let is_lost =
                    seen.is_some_and(|seen| table.is_some_and(|table| !table.is_resumable(seen)));
                if is_lost {
                    self.resync = self.resync.or(Some("too-old"));
                }
                self.follows.push(Follow { topic, seen });
            }
        }
        if self.resync.is_some() {
            forget(&mut self.follows);
        }
        if !was_paused {
            before.iter().for_each(|follow| state.unfollow(&follow.topic));
        }
        state.note_viewer(self.viewer, None);
    }

    /// The next frames for this viewer, at least one. Waits for the next tick
    /// where it has seen the present one, for ever while it is paused or follows
    /// nothing. Nothing is lost if the wait is given up.
    pub async fn frames(&mut self) -> Vec<Arc<str>> {
        loop {
            if self.paused || self.follows.is_empty() {
                std::future::pending::<()>().await;
            }
            let frames = self.present();
            if !frames.is_empty() {
                return frames;
            }
            if self.ticks.changed().await.is_err() {
                // The view is held by `self.live`, so its sender lives.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Frames that bring the viewer to the present; none if it is there.
    pub(super) fn present(&mut self) -> Vec<Arc<str>> {
        if self.paused {
            return Vec::new();
        }
        self.ticks.mark_unchanged();
        let mut state = self.live.state();
        let mut frames = Vec::with_capacity(self.follows.len());
        let is_lost = self.follows.iter().any(|follow| {
            let table = state.table(&follow.topic);
            follow.seen.zip(table).is_some_and(|(seen, table)| !table.reaches_from(seen))
        });
        if is_lost {
            self.resync = self.resync.or(Some("too-old"));
            forget(&mut self.follows);
        }
        for follow in &mut self.follows {
            let Some(table) = state.table(&follow.topic) else { continue };
            let frame = match follow.seen {
                Some(seen) if seen == table.seq() => continue,
                Some(seen) => table.delta(seen).unwrap_or_else(|| table.snapshot()),
                None => table.snapshot(),
            };
            follow.seen = Some(Table::seq(table));
            frames.push(frame);
        }
        if !frames.is_empty() {
            let seq = state.seq();
            state.note_viewer(self.viewer, Some(seq));
        }
        drop(state);
        if let Some(reason) = self.resync.take() {
            frames.insert(0, format!("{{\"t\":\"resync\",\"reason\":\"{reason}\"}}").into());
        }
        frames
    }
}

/// Whoever is told that fresh pictures follow waits for one of every topic, also of those that could have gone on.
fn forget(follows: &mut [Follow]) {
    follows.iter_mut().for_each(|follow| follow.seen = None);
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.live.state();
        if !self.paused {
            self.follows.iter().for_each(|follow| state.unfollow(&follow.topic));
        }
        state.forget_viewer(self.viewer);
    }
}
