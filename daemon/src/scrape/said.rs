//! What the log has been told already.

use std::{fmt::Display, time::Duration};

use tokio::time::Instant;

/// Remembers what was said last: the same is not said again before an hour, something else not before a minute.
#[derive(Debug, Default)]
pub(super) struct Said {
    last: Option<(String, Instant)>,
}

/// How long the same is not said again…
const SAME: Duration = Duration::from_secs(60 * 60);
/// … and nothing else.
const OTHER: Duration = Duration::from_secs(60);

impl Said {
    /// What is to be said of `what`, if anything.
    pub(super) fn fresh(&mut self, what: Option<impl Display>) -> Option<String> {
        let (what, now) = (what?.to_string(), Instant::now());
        if let Some((last, at)) = &self.last
            && now - *at < if *last == what { SAME } else { OTHER }
        {
            return None;
        }
        self.last = Some((what.clone(), now));
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_said_hourly_and_another_thing_after_a_minute() {
        let mut said = Said::default();
        assert_eq!(said.fresh(Some("a")).as_deref(), Some("a"));
        assert_eq!(said.fresh(Some("b")), None);
        tokio::time::advance(OTHER).await;
        assert_eq!(said.fresh(Some("a")), None);
        assert_eq!(said.fresh(Some("b")).as_deref(), Some("b"));
        assert_eq!(said.fresh(None::<&str>), None);
        tokio::time::advance(SAME).await;
        assert_eq!(said.fresh(Some("b")).as_deref(), Some("b"));
    }
}
