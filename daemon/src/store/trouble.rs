//! What is wrong with the store at present, in words for people. Pure.
//!
//! A full disk is met by everybody who writes, and is told once: by whoever looks after the room, with the fix, or until
//! that one has looked, by the first who met it.

use std::sync::Arc;

use super::{StoreError, reserve::is_full};
use crate::logging::chain;

/// Who is in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Log,
    State,
    Settling,
    Disk,
}

/// Why a part cannot be written at present, or soon may not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    what: Arc<str>,
    /// Because the disk is full.
    is_full: bool,
}

/// The troubles of all parts.
#[derive(Debug, Default)]
pub(super) struct Troubles([Option<Trouble>; 4]);

impl Trouble {
    /// Somebody's own words.
    pub(super) fn new(what: &str) -> Self {
        Self { what: what.into(), is_full: false }
    }

    /// What it says.
    pub(super) fn what(&self) -> &str {
        &self.what
    }
}

impl From<&StoreError> for Trouble {
    fn from(error: &StoreError) -> Self {
        let is_full = is_full(error) || matches!(error, StoreError::DiskFull { .. });
        Self { what: chain(error).into(), is_full }
    }
}

impl Troubles {
    /// A part is in trouble, or no longer. Answers what it was before, if that is not the same.
    pub(super) fn set(&mut self, part: Part, trouble: Option<Trouble>) -> Option<Option<Trouble>> {
        let place = &mut self.0[part as usize];
        (*place != trouble).then(|| std::mem::replace(place, trouble))
    }

    /// What is wrong with a part.
    pub(super) fn of(&self, part: Part) -> Option<&Trouble> {
        self.0[part as usize].as_ref()
    }

    /// All of them, if there is any.
    pub(super) fn told(&self) -> Option<String> {
        let mut is_told = self.0[Part::Disk as usize].is_some();
        let news = |trouble: &&Trouble| !trouble.is_full || !std::mem::replace(&mut is_told, true);
        let told: Vec<&str> = self.0.iter().flatten().filter(news).map(Trouble::what).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_is_told_once_and_everything_else_too() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let log = StoreError::file("write log", "/state/log/1.log")(full());
        let state = StoreError::State { step: "write", source: sled::Error::Io(full()) };
        let other = StoreError::NoRoom { max_bytes: 5 };
        let mut troubles = Troubles::default();
        assert_eq!(troubles.told(), None);
        troubles.set(Part::Log, Some((&log).into()));
        troubles.set(Part::State, Some((&state).into()));
        assert_eq!(troubles.told(), Some(chain(&log)));
        troubles.set(Part::Settling, Some((&other).into()));
        assert_eq!(troubles.told(), Some(format!("{}; {}", chain(&log), chain(&other))));
        assert_eq!(troubles.set(Part::Disk, Some(Trouble::new("free room"))), Some(None));
        assert_eq!(troubles.set(Part::Disk, Some(Trouble::new("free room"))), None);
        assert_eq!(troubles.told(), Some(format!("{}; free room", chain(&other))));
    }
}
