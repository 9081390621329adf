//! How far each target has come, as it outlives the process.
//!
//! Its place is kept by `w` and its name. Gaps that last may be more than fit into a value: they are kept in pieces, by
//! the same key, a NUL and a number. A piece is written when it changes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::tidings::OpenGap;
use crate::store::{LogPlace, StateChanges, StatePort, StoreError};

/// What keys of ours begin with.
const PREFIX: u8 = b'w';
/// Stands between a name, which never holds it, and the number of a piece.
const PIECE: char = '\0';
/// Gaps of about so many bytes make a piece.
const PIECE_BYTES: usize = 12 << 10;

/// How far a target has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Everything before it is done with.
    pub(super) place: LogPlace,
    /// Gaps whose end has not been sent.
    #[serde(default)]
    pub(super) open: Vec<OpenGap>,
}

/// The cursors of all targets, as the disk has them. Root makes one and gives it to every incarnation of the actors.
/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Cursors(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// As the disk has them.
    kept: BTreeMap<String, Cursor>,
    /// What the disk may have of the last attempt, as nobody said that it has: that is part of the next.
    tried: BTreeMap<String, (Option<Cursor>, StateChanges)>,
}

impl Cursors {
    /// Takes what is ours out of `kept`, as the store has it.
    pub fn restored(kept: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        let ours = kept.extract_if(.., |key, _| key.first() == Some(&PREFIX));
        let mut cursors = BTreeMap::<String, Cursor>::new();
        // In the order of their keys: a cursor comes before its pieces.
        for (key, value) in ours {
            let Ok(name) = String::from_utf8(key).map(|mut key| key.split_off(1)) else { continue };
            if let Err(error) = take(&mut cursors, &name, &value) {
                warn!(name, %error, "cursor cannot be read, the target begins anew");
            }
        }
        Self(Arc::new(Mutex::new(Inner { kept: cursors, tried: BTreeMap::new() })))
    }

    /// How far the target `name` has come.
    pub(super) fn of(&self, name: &str) -> Option<Cursor> {
        self.lock().kept.get(name).cloned()
    }

    /// Names of all targets there were.
    pub(super) fn names(&self) -> Vec<String> {
        self.lock().kept.keys().cloned().collect()
    }

    /// Keeps how far the target `name` has come.
    pub(super) async fn keep(
        &self,
        states: &StatePort,
        name: &str,
        cursor: Cursor,
    ) -> Result<(), StoreError> {
        self.change(states, name, Some(cursor)).await
    }

    /// Forgets the target `name`.
    pub(super) async fn forget(&self, states: &StatePort, name: &str) -> Result<(), StoreError> {
        self.change(states, name, None).await
    }

    async fn change(
        &self,
        states: &StatePort,
        name: &str,
        after: Option<Cursor>,
    ) -> Result<(), StoreError> {
        let all = self.lock().attempt(name, after.clone());
        states.keep(all).await?;
        let mut inner = self.lock();
        inner.tried.remove(name);
        match after {
            Some(cursor) => drop(inner.kept.insert(name.to_owned(), cursor)),
            None => drop(inner.kept.remove(name)),
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What makes `after` of whatever the disk has.
    fn attempt(&mut self, name: &str, after: Option<Cursor>) -> StateChanges {
        let (before, mut all) = self
            .tried
            .remove(name)
            .unwrap_or_else(|| (self.kept.get(name).cloned(), StateChanges::default()));
        all.extend(changes(name, before.as_ref(), after.as_ref()));
        self.tried.insert(name.to_owned(), (after, all.clone()));
        all
    }
}

/// Takes in what is kept by `name`, or as a piece of it.
fn take(
    cursors: &mut BTreeMap<String, Cursor>,
    name: &str,
    value: &[u8],
) -> Result<(), serde_json::Error> {
    match name.split_once(PIECE) {
        None => drop(cursors.insert(name.to_owned(), serde_json::from_slice(value)?)),
        Some((name, _)) => {
            let piece: Vec<OpenGap> = serde_json::from_slice(value)?;
            // Without its place there is nothing to go on with.
            if let Some(cursor) = cursors.get_mut(name) {
                cursor.open.extend(piece);
            }
        }
    }
    Ok(())
}

/// What leads from what is kept of the target `name` to what shall be.
fn changes(name: &str, before: Option<&Cursor>, after: Option<&Cursor>) -> StateChanges {
    let mut changes = StateChanges::default();
    match after {
        // Numbers and text always have a form in JSON.
        Some(Cursor { place, .. }) => {
            let value = serde_json::to_vec(&Cursor { place: *place, open: Vec::new() });
            changes.keep(key(name), value.unwrap_or_default());
        }
        None => changes.forget(key(name)),
    }
    let pieces = |cursor: Option<&Cursor>| cursor.map(|c| pieces(&c.open)).unwrap_or_default();
    let (before, after) = (pieces(before), pieces(after));
    for number in 0..before.len().max(after.len()) {
        let key = key(&format!("{name}{PIECE}{number:05}"));
        match (before.get(number), after.get(number)) {
            (before, after) if before == after => (),
            (_, Some(piece)) => changes.keep(key, piece.clone()),
            (_, None) => changes.forget(key),
        }
    }
    changes
}

/// Gaps in JSON, each piece short enough to be kept.
fn pieces(open: &[OpenGap]) -> Vec<Vec<u8>> {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    for gap in open {
        let gap = serde_json::to_vec(gap).unwrap_or_default();
        match pieces.last_mut().filter(|piece| piece.len() + gap.len() < PIECE_BYTES) {
            Some(piece) => piece.push(b','),
            None => pieces.push(b"[".to_vec()),
        }
        pieces.last_mut().into_iter().for_each(|piece| piece.extend_from_slice(&gap));
    }
    pieces.iter_mut().for_each(|piece| piece.push(b']'));
    pieces
}

fn key(name: &str) -> Vec<u8> {
    [&[PREFIX], name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    fn cursor(offset: u64, gaps: u32) -> Cursor {
        let gap = |number| {
            let gap = format!(
                r#"{{"server":"web-{number:05}","collector":"disk","from_ms":1000,"reason":"gone"}}"#
            );
            serde_json::from_str(&gap).unwrap()
        };
        let place = LogPlace { sequence: 1, offset };
        Cursor { place, open: (0..gaps).map(gap).collect() }
    }

    #[test]
    fn however_many_gaps_last_all_are_kept_in_values_that_fit() {
        let (first, later) = (cursor(10, 2_000), cursor(20, 500));
        let mut kept = BTreeMap::from([(b"wother".to_vec(), b"{".to_vec())]);
        let restored = |kept: &BTreeMap<_, _>| Cursors::restored(&mut kept.clone());
        changes("hub", None, Some(&first)).apply_to(&mut kept);
        assert!(kept.values().all(|value| value.len() <= StateChanges::VALUE_MAX));
        assert_eq!(restored(&kept).of("hub"), Some(first.clone()));
        assert_eq!(restored(&kept).names(), ["hub"]);
        changes("hub", Some(&first), Some(&later)).apply_to(&mut kept);
        assert_eq!(restored(&kept).of("hub"), Some(later.clone()));
        let mut same = BTreeMap::new();
        changes("hub", Some(&later), Some(&cursor(30, 500))).apply_to(&mut same);
        assert_eq!(same.len(), 1, "only the place has changed");
        changes("hub", Some(&later), None).apply_to(&mut kept);
        assert_eq!(kept.len(), 1);
    }

    #[test]
    fn an_attempt_that_may_have_been_made_is_part_of_the_next() {
        let (first, second, third) = (cursor(10, 1), cursor(20, 700), cursor(30, 1));
        for made in [false, true] {
            let (mut inner, mut disk) = (Inner::default(), BTreeMap::new());
            changes("hub", None, Some(&first)).apply_to(&mut disk);
            inner.kept.insert("hub".into(), first.clone());
            let attempt = inner.attempt("hub", Some(second.clone()));
            if made {
                attempt.apply_to(&mut disk);
            }
            inner.attempt("hub", Some(third.clone())).apply_to(&mut disk);
            assert_eq!(Cursors::restored(&mut disk).of("hub"), Some(third.clone()), "{made}");
        }
    }
}
