//! What goes wrong outside, again and again, told now and then: the log must not grow with what strangers do.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// At most one line in this time.
const PAUSE: Duration = Duration::from_secs(10);

/// One kind of thing that goes wrong.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    untold: u64,
    last: String,
    told: Option<Instant>,
}

impl Complaints {
    /// It has happened, in these words.
    pub(super) fn note(&self, last: String) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.untold += 1;
        state.last = last;
    }

    /// How often it has happened since it was told, and in which words at last, if it is time to tell.
    pub(super) fn due(&self) -> Option<(u64, String)> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.untold == 0 || state.told.is_some_and(|told| told.elapsed() < PAUSE) {
            return None;
        }
        state.told = Some(Instant::now());
        Some((std::mem::take(&mut state.untold), std::mem::take(&mut state.last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_is_told_at_once_and_others_together() {
        let complaints = Complaints::default();
        assert_eq!(complaints.due(), None);
        complaints.note("a".into());
        assert_eq!(complaints.due(), Some((1, "a".into())));
        complaints.note("b".into());
        complaints.note("c".into());
        assert_eq!(complaints.due(), None);
        tokio::time::advance(PAUSE).await;
        assert_eq!(complaints.due(), Some((2, "c".into())));
    }
}
