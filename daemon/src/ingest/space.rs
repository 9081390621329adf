//! How many bytes of requests are worked on at once: so many, and more wait a moment.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::refusal::{Reason, Refusal};

/// Bytes of bodies, as they came, that are held at once; and as many again after decompression.
const HELD_MAX: usize = 64 << 20;

/// Of the bodies, one token holds at most one part of so many.
const SHARES: usize = 4;

/// One place, in bytes.
const PLACE: usize = 1 << 10;

/// How long a body waits for room.
const PATIENCE: Duration = Duration::from_secs(2);

/// When whoever found none may come again.
const COME_AGAIN: Duration = Duration::from_secs(5);

/// Room for bytes.
#[derive(Debug, Clone)]
pub(super) struct Space(Arc<Semaphore>);

/// Room that is taken; given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    /// In each of the spaces that it is taken from, in this order.
    places: Vec<Places>,
    bytes: usize,
}

#[derive(Debug)]
struct Places {
    space: Space,
    taken: Option<OwnedSemaphorePermit>,
}

impl Space {
    /// For everybody together.
    pub(super) fn of_all() -> Self {
        Self(Arc::new(Semaphore::new(HELD_MAX / PLACE)))
    }

    /// What one token may have of it.
    pub(super) fn of_token() -> Self {
        Self(Arc::new(Semaphore::new(HELD_MAX / SHARES / PLACE)))
    }

    /// No room yet.
    pub(super) fn room(&self) -> Room {
        Room { places: vec![Places { space: self.clone(), taken: None }], bytes: 0 }
    }

    /// No room yet; it will be within `share` too.
    pub(super) fn room_within(&self, share: &Self) -> Room {
        let spaces = [share.clone(), self.clone()];
        Room { places: spaces.map(|space| Places { space, taken: None }).into(), bytes: 0 }
    }
}

impl Room {
    /// Takes room for `bytes` more, or says to come again if there is none for too long.
    ///
    /// Room is taken as bytes come: who announces much and sends little holds little.
    pub async fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.bytes = self.bytes.saturating_add(bytes);
        let wanted = self.bytes.div_ceil(PLACE);
        for places in &mut self.places {
            places.grow(wanted).await?;
        }
        Ok(())
    }
}

impl Places {
    async fn grow(&mut self, wanted: usize) -> Result<(), Refusal> {
        let held = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = u32::try_from(wanted.saturating_sub(held)).unwrap_or(u32::MAX);
        if more == 0 {
            return Ok(());
        }
        let places = self.space.0.clone().acquire_many_owned(more);
        let Ok(Ok(places)) = timeout(PATIENCE, places).await else { return Err(busy()) };
        match &mut self.taken {
            Some(taken) => taken.merge(places),
            taken => *taken = Some(places),
        }
        Ok(())
    }
}

/// What is said where there is no room.
pub(super) fn busy() -> Refusal {
    let detail = "too many requests are being worked on; send it again";
    Refusal::retry(Reason::Busy, COME_AGAIN, detail)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn room_is_taken_as_it_is_needed_and_given_back() {
        let space = Space::of_all();
        let (mut one, mut other) = (space.room(), space.room());
        one.grow(1).await.unwrap();
        one.grow(HELD_MAX - PLACE).await.unwrap();
        let refusal = other.grow(1).await.unwrap_err();
        assert_eq!((refusal.reason, refusal.retry_after), (Reason::Busy, Some(COME_AGAIN)));
        drop(one);
        other.grow(HELD_MAX - 1).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_token_takes_no_more_than_its_share() {
        let (space, share) = (Space::of_all(), Space::of_token());
        let (mut one, mut more) = (space.room_within(&share), space.room_within(&share));
        one.grow(HELD_MAX / SHARES).await.unwrap();
        assert_eq!(more.grow(1).await.unwrap_err().reason, Reason::Busy);
        let mut other = space.room_within(&Space::of_token());
        other.grow(HELD_MAX / SHARES).await.unwrap();
        drop(one);
        more.grow(1).await.unwrap();
    }
}
