//! A question that another hub is asked again and again: when it is due, what has come of it, and what is said of it.

use std::{future::Future, time::Duration};

use tokio::{task::JoinHandle, time::Instant};
use tracing::{info, warn};

/// No hub is asked the same more often.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Failures in a row that are told of: one alone is what a restart of the other side looks like.
const FAILURES: u32 = 2;

/// A question, and how far asking it has come.
#[derive(Debug)]
pub(super) struct Asking<T> {
    /// What is told when it fails, and when it succeeds again.
    words: [&'static str; 2],
    asked_at: Option<Instant>,
    asking: Option<JoinHandle<Result<T, String>>>,
    /// Failures in a row, and what was told of them.
    failures: u32,
    told: Option<String>,
}

impl<T: Send + 'static> Asking<T> {
    /// A question that has not been asked yet.
    pub(super) fn new(failing: &'static str, again: &'static str) -> Self {
        let words = [failing, again];
        Self { words, asked_at: None, asking: None, failures: 0, told: None }
    }

    /// Whether it is time to ask.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.asking.is_none() && self.asked_at.is_none_or(|at| now - at >= ASK_EVERY)
    }

    /// Asks, in a task of its own.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        question: impl Future<Output = Result<T, String>> + Send + 'static,
    ) {
        self.asked_at = Some(now);
        self.asking = Some(tokio::spawn(question));
    }

    /// What `hub` has answered, once.
    pub(super) async fn answer(&mut self, hub: &str) -> Option<T> {
        let done = self.asking.take_if(|asking| asking.is_finished())?;
        let answer = done.await.unwrap_or_else(|_| Err("the task that asks it ended".into()));
        let [failing, again] = self.words;
        match answer {
            Ok(answer) => {
                self.failures = 0;
                if self.told.take().is_some() {
                    info!(hub, "{again}");
                }
                Some(answer)
            }
            Err(fault) => {
                self.failures += 1;
                if self.failures >= FAILURES && self.told.as_ref() != Some(&fault) {
                    warn!(hub, fault, "{failing}");
                    self.told = Some(fault);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_asked_now_and_then_and_told_of_when_it_fails_twice() {
        let mut asking = Asking::new("fails", "again");
        let answers = [Err("away"), Err("away"), Ok(7), Err("away"), Ok(8)];
        let mut told = Vec::new();
        for answer in answers {
            assert!(asking.is_due(Instant::now()));
            asking.ask(Instant::now(), async move { answer.map_err(str::to_owned) });
            assert!(!asking.is_due(Instant::now()), "it is being asked");
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(asking.answer("hub-2").await, answer.ok());
            assert_eq!(asking.answer("hub-2").await, None, "once");
            assert!(!asking.is_due(Instant::now()));
            told.push(asking.told.is_some());
            tokio::time::sleep(ASK_EVERY).await;
        }
        assert_eq!(told, [false, true, false, false, false]);
    }
}
