//! How many connections one address may have that have shown no right yet.
//!
//! ```text
//!  accepted ──► waits ──► is heard ──► has shown a right ──► was answered well: no stranger any more
//! ```
//!
//! Whoever only connects, from wherever it is, takes places from nobody who has a right: few are heard at a time, more
//! wait, in turn, and no address can take all places by waiting. A whole fleet behind one address gets in all the same,
//! because a token takes but a moment to show; and who says nothing has to go sooner while others wait.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::messages::Limits;

/// Longest that a connection waits to be heard.
const TURN: Duration = Duration::from_secs(20);

/// All places are this many times those that may be taken by waiting, from everywhere together.
const WAITING_PART: usize = 2;

/// All places are this many times those of one address that have shown a right and wait for their first answer. More
/// of them go on to count among those that are heard.
const ASKING_PART: usize = 4;

/// Connections of strangers.
#[derive(Debug)]
pub(super) struct Strangers {
    limits: Limits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    addresses: HashMap<IpAddr, Address>,
    waiting: usize,
}

/// Those of one address.
#[derive(Debug)]
struct Address {
    all: usize,
    waiting: usize,
    asking: usize,
    /// Places of those that are heard.
    heard: Arc<Semaphore>,
}

/// One of them. Dropped, it is none any more.
#[derive(Debug)]
pub(super) struct Stranger {
    all: Arc<Strangers>,
    from: IpAddr,
    stage: Stage,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    Waits(Arc<Semaphore>),
    IsHeard { _place: OwnedSemaphorePermit },
    Asks,
}

impl Strangers {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, counts: Mutex::default() })
    }

    /// One more from `address`, unless too many wait already.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Stranger> {
        let from = network(address);
        let mut counts = self.counts();
        let Counts { addresses, waiting } = &mut *counts;
        let known = addresses.entry(from).or_insert_with(|| Address {
            all: 0,
            waiting: 0,
            asking: 0,
            heard: Arc::new(Semaphore::new(self.limits.strangers)),
        });
        let stage = match known.heard.clone().try_acquire_owned() {
            Ok(_place) => Stage::IsHeard { _place },
            Err(_)
                if known.waiting < self.limits.waiting
                    && *waiting < self.limits.connections / WAITING_PART =>
            {
                known.waiting += 1;
                *waiting += 1;
                Stage::Waits(known.heard.clone())
            }
            Err(_) => return None,
        };
        known.all += 1;
        Some(Stranger { all: self.clone(), from, stage })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stranger {
    /// Waits until it is heard; whether it is.
    pub(super) async fn turn(&mut self) -> bool {
        let Stage::Waits(heard) = &self.stage else { return true };
        let Ok(Ok(_place)) = timeout(TURN, heard.clone().acquire_owned()).await else {
            return false;
        };
        let mut counts = self.all.counts();
        counts.waits_no_more(self.from);
        self.stage = Stage::IsHeard { _place };
        true
    }

    /// It has shown a right: another one of its address may be heard.
    pub(super) fn shows_right(&mut self) {
        let mut counts = self.all.counts();
        let most = self.all.limits.connections / ASKING_PART;
        if let (Stage::IsHeard { .. }, Some(known)) =
            (&self.stage, counts.addresses.get_mut(&self.from))
            && known.asking < most
        {
            known.asking += 1;
            self.stage = Stage::Asks;
        }
    }

    /// Whether it is in the way of others, who wait to be heard.
    pub(super) fn is_in_the_way(&self) -> bool {
        let counts = self.all.counts();
        let known = counts.addresses.get(&self.from);
        matches!(self.stage, Stage::IsHeard { .. }) && known.is_some_and(|known| known.waiting > 0)
    }
}

impl Counts {
    fn waits_no_more(&mut self, from: IpAddr) {
        self.waiting -= 1;
        if let Some(known) = self.addresses.get_mut(&from) {
            known.waiting -= 1;
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        if let Stage::Waits(_) = self.stage {
            counts.waits_no_more(self.from);
        }
        if let Some(known) = counts.addresses.get_mut(&self.from) {
            known.asking -= usize::from(matches!(self.stage, Stage::Asks));
            known.all -= 1;
            if known.all == 0 {
                counts.addresses.remove(&self.from);
            }
        }
    }
}

/// What counts as one address: of IPv6, whoever has one has the 64 bits behind it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    fn strangers(heard: usize, waiting: usize, connections: usize) -> Arc<Strangers> {
        Strangers::new(Limits { strangers: heard, waiting, connections, ..Limits::default() })
    }

    #[test]
    fn each_network_has_its_own_places_and_gets_them_back() {
        let strangers = strangers(2, 0, 100);
        let enter = |address: &str| strangers.enter(address.parse().unwrap());
        let held = [enter("10.0.0.1"), enter("::ffff:10.0.0.1")];
        assert!(held.iter().all(Option::is_some));
        assert!(enter("10.0.0.1").is_none(), "both are taken");
        assert!(enter("10.0.0.2").is_some());

        let _held = [enter("2001:db8::1"), enter("2001:db8::ffff:1")];
        assert!(enter("2001:db8::2").is_none(), "the same 64 bits");
        assert!(enter("2001:db8:0:1::2").is_some());

        drop(held);
        assert!(enter("10.0.0.1").is_some());
        assert_eq!(strangers.counts().addresses.len(), 1, "who is gone is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_heard_once_another_has_shown_a_right_or_not_at_all() {
        let strangers = strangers(1, 1, 8);
        let enter = || strangers.enter("10.0.0.1".parse().unwrap());
        let mut first = enter().unwrap();
        assert!(first.turn().await && !first.is_in_the_way());
        let mut second = enter().unwrap();
        assert!(first.is_in_the_way() && enter().is_none(), "one is heard, one waits");
        assert!(!second.turn().await, "nobody has made room in time");
        first.shows_right();
        assert!(!first.is_in_the_way() && second.turn().await);

        // Two of eight may wait for their answers.
        second.shows_right();
        let mut third = enter().unwrap();
        third.shows_right();
        let mut fourth = enter().unwrap();
        assert!(third.is_in_the_way(), "the third goes on to count");
        drop(first);
        third.shows_right();
        assert!(fourth.turn().await);
        drop((second, third, fourth));
        let counts = strangers.counts();
        assert!(counts.addresses.is_empty() && counts.waiting == 0);
    }

    #[test]
    fn not_all_places_can_be_taken_by_waiting() {
        let strangers = strangers(1, 100, 8);
        let enter = |last| strangers.enter(IpAddr::from([10, 0, 0, last]));
        let held: Vec<_> = (0..8).map(|number| enter(number % 2)).collect();
        assert_eq!(held.iter().flatten().count(), 2 + 4);
        assert!(enter(3).is_some(), "whoever need not wait comes in");
    }
}
