//! Where others keep small things that must survive: incidents, notices.
//!
//! They share sled with the store's catalogue: one file to open, to sync and to copy. The store does
//! not look into what it keeps for others.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwapOption;

use super::{
    StoreError,
    state::{Changes, VALUE_MAX},
    state_thread::StateRequests,
};

/// Keeps small things of others, in whichever store is open. Cheap to clone; threads: any.
#[derive(Debug, Clone, Default)]
pub struct StatePort(Arc<ArcSwapOption<StateRequests>>);

/// Changes that belong together: all are made, or none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateChanges(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl StateChanges {
    /// No value may be longer, in bytes.
    pub const VALUE_MAX: usize = VALUE_MAX - 1;

    /// Keeps `value` by `key`, in place of what was there. One longer than [`VALUE_MAX`](Self::VALUE_MAX) is
    /// not kept, and the log says so.
    pub fn keep(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert(key, Some(value));
    }

    /// Forgets what is kept by `key`, if anything is.
    pub fn forget(&mut self, key: Vec<u8>) {
        self.0.insert(key, None);
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a state that held `kept` holds then: a state for tests.
    #[cfg(test)]
    pub(crate) fn apply_to(self, kept: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
        for (key, value) in self.0 {
            match value {
                Some(value) => kept.insert(key, value),
                None => kept.remove(&key),
            };
        }
    }

    /// Appends `later`, which counts where both have a word on the same key.
    pub fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }
}

impl StatePort {
    /// Makes all changes or none; once this returns they survive a power cut. After an error they may or may not
    /// have been made, and can be asked for again.
    pub async fn keep(&self, changes: StateChanges) -> Result<(), StoreError> {
        let requests = self.0.load_full().ok_or(StoreError::Closed)?;
        let mut all = Changes::default();
        for (key, value) in changes.0 {
            match value {
                Some(value) => all.keep(&key, &value),
                None => all.forget(&key),
            }
        }
        requests.keep(all).await
    }

    /// From now on things are kept there; or nowhere.
    pub(super) fn set(&self, requests: Option<StateRequests>) {
        self.0.store(requests.map(Arc::new));
    }
}
