//! Which of several hubs is written to: chosen by rendezvous hashing, left when it does not answer, returned to when it
//! does. A decision without connections.
//!
//! Every node ranks the hubs by the hash of its own name with theirs, so that nodes spread evenly, and those of a hub that
//! is gone spread over all others.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// A hub that has failed for this long is left, where there is another.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often one that is preferred is tried again.
const TRIAL_EVERY: Duration = Duration::from_secs(60);

/// The hubs of a target, the preferred one first.
#[derive(Debug)]
pub(super) struct Hubs {
    urls: Vec<String>,
    current: usize,
    failing_since: Option<Instant>,
    trial_at: Instant,
    next_trial: usize,
}

impl Hubs {
    /// The hubs at `urls`, ranked for the node called `node`.
    pub(super) fn new(node: &str, urls: &[String], now: Instant) -> Self {
        let mut urls = urls.to_vec();
        urls.sort_by_cached_key(|url| std::cmp::Reverse(weight(node, url)));
        Self { urls, current: 0, failing_since: None, trial_at: now, next_trial: 0 }
    }

    /// Which to write to at `now`: mostly the current one, now and then one that is preferred.
    pub(super) fn choose(&self, now: Instant) -> usize {
        if self.current > 0 && now >= self.trial_at { self.next_trial } else { self.current }
    }

    /// Where it is.
    pub(super) fn url(&self, hub: usize) -> &str {
        self.urls.get(hub).map_or("", String::as_str)
    }

    /// The one that is written to.
    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// A hub has answered. Whether it is another one now.
    pub(super) fn answered(&mut self, hub: usize) -> bool {
        self.failing_since = None;
        std::mem::replace(&mut self.current, hub) != hub
    }

    /// How much longer one that has failed is tried, where there is another.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        let since = self.failing_since.filter(|_| self.urls.len() > 1)?;
        Some((since + PATIENCE).saturating_duration_since(now))
    }

    /// A hub has not answered, or cannot, since it was asked at `began`. Whether there is another to turn to at once.
    pub(super) fn failed(&mut self, hub: usize, began: Instant, now: Instant) -> bool {
        if hub != self.current {
            // Each of those that are preferred has its turn.
            self.next_trial = (hub + 1) % self.current.max(1);
            self.trial_at = now + TRIAL_EVERY;
            return true;
        }
        let since = *self.failing_since.get_or_insert(began);
        if self.urls.len() < 2 || now - since < PATIENCE {
            return false;
        }
        self.current = (self.current + 1) % self.urls.len();
        self.failing_since = None;
        (self.next_trial, self.trial_at) = (0, now + TRIAL_EVERY);
        true
    }
}

/// The same in every process and version.
fn weight(node: &str, url: &str) -> [u8; 32] {
    Sha256::new().chain_update(node).chain_update([0]).chain_update(url).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn urls() -> Vec<String> {
        (1..=3).map(|hub| format!("https://hub-{hub}.example.org/api/v1/write")).collect()
    }

    #[test]
    fn nodes_spread_evenly_and_those_of_a_lost_hub_over_the_rest() {
        let now = Instant::now();
        let mut first = [0; 3];
        let mut second_of_first = [0; 3];
        for node in 0..3000 {
            let hubs = Hubs::new(&format!("web-{node}"), &urls(), now);
            let place = |hub: usize| urls().iter().position(|url| url == hubs.url(hub));
            let (Some(one), Some(other)) = (place(0), place(1)) else { panic!("a hub is lost") };
            first[one] += 1;
            second_of_first[other] += usize::from(one == 0);
        }
        assert!(first.iter().all(|count| (900..1100).contains(count)), "{first:?}");
        assert!(second_of_first[1..].iter().all(|count| *count > 400), "{second_of_first:?}");
        let turned: Vec<_> = urls().into_iter().rev().collect();
        let (one, other) = (Hubs::new("a", &urls(), now), Hubs::new("a", &turned, now));
        assert_eq!(one.urls, other.urls, "in whichever order they are written");
    }

    #[test]
    fn one_that_fails_is_left_after_a_while_and_returned_to_when_it_answers() {
        let start = Instant::now();
        let mut hubs = Hubs::new("web-1", &urls(), start);
        assert!(
            !hubs.failed(0, start, start)
                && !hubs.failed(0, start + 14 * SECOND, start + 14 * SECOND)
        );
        assert_eq!(hubs.patience(start + 14 * SECOND), Some(SECOND));
        assert!(hubs.failed(0, start + 15 * SECOND, start + 15 * SECOND));
        let left = start + 15 * SECOND;
        assert_eq!((hubs.current(), hubs.choose(left)), (1, 1));
        assert!(!hubs.answered(1));
        assert_eq!(hubs.choose(left + 59 * SECOND), 1);
        assert_eq!(hubs.choose(left + 60 * SECOND), 0, "a trial");
        assert!(
            hubs.failed(0, left + 61 * SECOND, left + 61 * SECOND),
            "the batch goes to the current one"
        );
        assert_eq!(hubs.choose(left + 62 * SECOND), 1);
        assert_eq!(hubs.choose(left + 121 * SECOND), 0);
        assert!(hubs.answered(0), "it is the current one again");
        assert_eq!(hubs.choose(left + 300 * SECOND), 0);
    }

    #[test]
    fn one_that_lets_requests_hang_is_left_as_early_as_one_that_refuses_them() {
        let start = Instant::now();
        let mut hubs = Hubs::new("web-1", &urls(), start);
        assert!(!hubs.failed(0, start, start + 10 * SECOND));
        assert!(hubs.failed(0, start + 10 * SECOND, start + 20 * SECOND));
    }

    #[test]
    fn all_are_tried_in_turn_and_a_single_one_for_ever() {
        let mut now = Instant::now();
        let mut hubs = Hubs::new("web-1", &urls(), now);
        let mut seen = Vec::new();
        for _ in 0..12 {
            seen.push(hubs.choose(now));
            hubs.failed(hubs.choose(now), now, now);
            now += 8 * SECOND;
        }
        assert!([0, 1, 2].iter().all(|hub| seen.contains(hub)), "{seen:?}");
        let mut single = Hubs::new("web-1", &urls()[..1], now);
        assert!(
            !single.failed(0, now, now) && !single.failed(0, now + 99 * SECOND, now + 99 * SECOND)
        );
        assert_eq!(single.patience(now), None);
        assert_eq!(single.choose(now + 999 * SECOND), 0);
    }
}
