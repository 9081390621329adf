//! Which of several hubs is written to: chosen by rendezvous hashing, left when it does not answer, returned to when it
//! does. A decision without connections.
//!
//! Every node ranks the hubs by the hash of its own name with theirs, so that nodes spread evenly, and those of a hub that
//! is gone spread over all others. The same hash says how patient a node is, so that they do not all leave at one instant.
//!
//! ```text
//!  preferred ──fails for longer than the patience──► next ──fails──► … ──► all in turn, a pause after each round
//!      ▲                                              │
//!      └──── a batch, once a lookout has heard it ────┘
//! ```

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// A hub that cannot be reached is left after the first, where there is another, and by the last node after twice that:
/// long enough for one that is started again.
const UNREACHED: Duration = Duration::from_secs(2);
/// The same for one that is reached, and does not answer or cannot.
const UNANSWERED: Duration = Duration::from_secs(5);
/// How often is looked whether one that is preferred answers again, at first and at most.
const LOOK_FIRST: Duration = Duration::from_secs(8);
const LOOK_MAX: Duration = Duration::from_secs(64);

/// The hubs of a target, the preferred one first.
#[derive(Debug)]
pub(super) struct Hubs {
    urls: Vec<String>,
    /// From 0 to 1, evenly over all nodes.
    spread: f64,
    current: usize,
    failing_since: Option<Instant>,
    /// When the current one is left, unless it answers.
    left_at: Option<Instant>,
    /// How many were left since one has answered.
    left: usize,
    /// One that is preferred to the current one and answers again.
    heard: Option<usize>,
    /// How many of those did not take what they were sent then, in a row.
    misheard: u32,
}

impl Hubs {
    /// The hubs at `urls`, ranked for the node called `node`.
    pub(super) fn new(node: &str, urls: &[String]) -> Self {
        let mut urls = urls.to_vec();
        urls.sort_by_cached_key(|url| std::cmp::Reverse(weight(node, url)));
        Self {
            urls,
            spread: f64::from(weight(node, "")[0]) / 255.0,
            current: 0,
            failing_since: None,
            left_at: None,
            left: 0,
            heard: None,
            misheard: 0,
        }
    }

    /// Which to write to: the current one, or one that is preferred and was heard.
    pub(super) fn choose(&self) -> usize {
        self.heard.unwrap_or(self.current)
    }

    /// Where it is.
    pub(super) fn url(&self, hub: usize) -> &str {
        self.urls.get(hub).map_or("", String::as_str)
    }

    /// The one that is written to.
    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// Those that are preferred to the current one, and how long to wait before each look at them; `chance`, from 0 to 1,
    /// spreads the looks of many.
    pub(super) fn preferred(&self, chance: f64) -> (&[String], Duration) {
        let longest = LOOK_FIRST.saturating_mul(1 << self.misheard.min(8)).min(LOOK_MAX);
        let pause = longest.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0));
        (self.urls.get(..self.current).unwrap_or_default(), pause)
    }

    /// One that is preferred to the current one answers again: it gets the next batch.
    pub(super) fn hear(&mut self, hub: usize) {
        self.heard = Some(hub).filter(|hub| *hub < self.current);
    }

    /// A hub has answered. Whether it is another one now.
    pub(super) fn answered(&mut self, hub: usize) -> bool {
        (self.failing_since, self.left_at, self.left) = (None, None, 0);
        (self.heard, self.misheard) = (None, if hub < self.current { 0 } else { self.misheard });
        std::mem::replace(&mut self.current, hub) != hub
    }

    /// How much longer the current one is tried at `now`, where there is another that may answer.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        self.left_at.map(|left_at| left_at.saturating_duration_since(now))
    }

    /// A hub has not answered, or cannot, since it was asked at `began`; `reached` says whether anybody was there at all.
    /// Whether there is another to turn to at once.
    pub(super) fn failed(
        &mut self,
        hub: usize,
        reached: bool,
        began: Instant,
        now: Instant,
    ) -> bool {
        if hub != self.current {
            self.heard = None;
            self.misheard = self.misheard.saturating_add(1);
            return true;
        }
        if self.urls.len() < 2 {
            return false;
        }
        let nobody_answers = self.left >= self.urls.len();
        let since = *self.failing_since.get_or_insert(began);
        let patience = if reached { UNANSWERED } else { UNREACHED }.mul_f64(1.0 + self.spread);
        if !nobody_answers && now < since + patience {
            self.left_at = Some(since + patience);
            return false;
        }
        (self.failing_since, self.left_at, self.heard) = (None, None, None);
        self.current = (self.current + 1) % self.urls.len();
        self.left += 1;
        // Where nobody answers, a round over all is one attempt.
        self.left < self.urls.len() || self.current != 0
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
        let mut first = [0; 3];
        let mut second_of_first = [0; 3];
        for node in 0..3000 {
            let hubs = Hubs::new(&format!("web-{node}"), &urls());
            let place = |hub: usize| urls().iter().position(|url| url == hubs.url(hub));
            let (Some(one), Some(other)) = (place(0), place(1)) else { panic!("a hub is lost") };
            first[one] += 1;
            second_of_first[other] += usize::from(one == 0);
        }
        assert!(first.iter().all(|count| (900..1100).contains(count)), "{first:?}");
        assert!(second_of_first[1..].iter().all(|count| *count > 400), "{second_of_first:?}");
        let turned: Vec<_> = urls().into_iter().rev().collect();
        let (one, other) = (Hubs::new("a", &urls()), Hubs::new("a", &turned));
        assert_eq!(one.urls, other.urls, "in whichever order they are written");
    }

    #[test]
    fn one_that_is_not_reached_is_left_soon_and_by_all_not_at_one_instant() {
        let start = Instant::now();
        let leaving = (0..1000).map(|node| {
            let mut hubs = Hubs::new(&format!("web-{node}"), &urls());
            assert!(!hubs.failed(0, false, start, start), "it may just be started again");
            let patience = hubs.patience(start).unwrap_or_default();
            assert!(hubs.failed(0, false, start, start + patience));
            assert_eq!((hubs.choose(), hubs.patience(start)), (1, None));
            patience.as_millis() / 200
        });
        let mut counts = [0; 21];
        leaving.for_each(|at| counts[usize::try_from(at).unwrap_or(20)] += 1);
        assert_eq!(counts[..10].iter().sum::<u32>(), 0, "none before 2 s");
        assert!(counts[10..20].iter().all(|count| (50..200).contains(count)), "{counts:?}");
    }

    #[test]
    fn one_that_lets_requests_hang_is_left_at_the_first_deadline() {
        let start = Instant::now();
        let mut hubs = Hubs::new("web-1", &urls());
        assert!(hubs.failed(0, true, start, start + 10 * SECOND));
        let mut hubs = Hubs::new("web-1", &urls());
        assert!(!hubs.failed(0, true, start, start + SECOND), "it is there, and may be busy");
        assert!(hubs.patience(start).is_some_and(|left| left <= 10 * SECOND));
    }

    #[test]
    fn one_that_is_heard_gets_a_batch_and_is_returned_to_when_it_takes_it() {
        let start = Instant::now();
        let mut hubs = Hubs::new("web-1", &urls());
        hubs.failed(0, true, start, start + 10 * SECOND);
        assert!(!hubs.answered(1));
        assert_eq!(hubs.preferred(0.0), (&hubs.urls[..1], 4 * SECOND));
        assert_eq!(hubs.preferred(1.0).1, 8 * SECOND);
        hubs.hear(0);
        assert_eq!((hubs.choose(), hubs.current()), (0, 1));
        assert!(hubs.failed(0, true, start, start), "the batch goes to the current one");
        assert!(!hubs.answered(1));
        assert_eq!(hubs.choose(), 1);
        assert_eq!(hubs.preferred(1.0).1, 16 * SECOND, "it does not get one so soon again");
        hubs.hear(0);
        assert!(hubs.answered(0), "it is the current one again");
        assert_eq!((hubs.choose(), hubs.preferred(1.0)), (0, (&[][..], 8 * SECOND)));
        hubs.hear(1);
        assert_eq!(hubs.choose(), 0, "none is preferred to the first");
    }

    #[test]
    fn where_none_answers_all_are_tried_in_turn_with_a_pause_after_each_round() {
        let mut now = Instant::now();
        let mut hubs = Hubs::new("web-1", &urls());
        let mut fail = |hubs: &mut Hubs| {
            now += 4 * SECOND;
            let hub = hubs.choose();
            (hub, hubs.failed(hub, false, now - 4 * SECOND, now), hubs.patience(now))
        };
        let first = [(0, true, None), (1, true, None), (2, false, None)];
        for _ in 0..3 {
            assert_eq!([fail(&mut hubs), fail(&mut hubs), fail(&mut hubs)], first);
        }
        fail(&mut hubs);
        assert!(!hubs.answered(1));
        assert!(!hubs.failed(1, false, now, now), "one that has answered is waited for again");
    }

    #[test]
    fn a_single_one_is_tried_for_ever() {
        let now = Instant::now();
        let mut single = Hubs::new("web-1", &urls()[..1]);
        assert!(!single.failed(0, false, now, now + 999 * SECOND));
        assert_eq!((single.patience(now), single.choose()), (None, 0));
    }
}
