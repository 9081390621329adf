//! What goes wrong outside, again and again, told now and then: the log must not grow with what strangers do.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// At most one line in this time.
const PAUSE: Duration = Duration::from_secs(10);

/// Most different ones that a line names.
const NAMED_MAX: usize = 5;

/// One kind of thing that goes wrong.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    untold: u64,
    named: Vec<String>,
    has_others: bool,
    told: Option<Instant>,
}

impl Complaints {
    /// It has happened, in these words.
    pub(super) fn note(&self, words: String) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.untold += 1;
        if state.named.contains(&words) {
            return;
        }
        if state.named.len() < NAMED_MAX {
            state.named.push(words);
        } else {
            state.has_others = true;
        }
    }

    /// How often it has happened since it was told, and in which words, if it is time to tell.
    pub(super) fn due(&self) -> Option<(u64, String)> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.untold == 0 || state.told.is_some_and(|told| told.elapsed() < PAUSE) {
            return None;
        }
        let State { untold, named, has_others, .. } = std::mem::take(&mut *state);
        state.told = Some(Instant::now());
        let others = if has_others { "; and others" } else { "" };
        Some((untold, named.join("; ") + others))
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
        for words in ["b", "c", "b"] {
            complaints.note(words.into());
        }
        assert_eq!(complaints.due(), None);
        tokio::time::advance(PAUSE).await;
        assert_eq!(complaints.due(), Some((3, "b; c".into())));

        tokio::time::advance(PAUSE).await;
        (0..9).for_each(|number| complaints.note(number.to_string()));
        assert_eq!(complaints.due(), Some((9, "0; 1; 2; 3; 4; and others".into())));
    }
}
