//! Servers that nobody configured: they were enrolled, or have written here. Remembered over a restart, so that their
//! silence is noticed.
//!
//! Decisions without actors. What is known of their samples, such as how often they come, the store knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::store::StateChanges;

/// Keys of what is kept begin with this.
const PREFIX: u8 = b'f';

/// What is known of such a server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Known {
    /// Its tags.
    pub(super) tags: BTreeMap<String, String>,
    /// When it was first heard of.
    pub(super) first_ms: i64,
}

/// All of them, and what has changed since somebody looked.
#[derive(Debug, Default)]
pub(super) struct KnownServers {
    known: BTreeMap<Arc<str>, Known>,
    /// The fleet has not heard of these changes.
    news: BTreeSet<Arc<str>>,
    /// These are not kept as they are now.
    unkept: BTreeSet<Arc<str>>,
    /// What those are called now of which the fleet has not heard yet that they were renamed.
    renamed: BTreeMap<Arc<str>, Arc<str>>,
}

impl KnownServers {
    /// Those that were kept.
    pub(super) fn restored(kept: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let name = std::str::from_utf8(key.get(1..)?).ok()?;
            let known = serde_json::from_slice(&value);
            let known = known.inspect_err(|error| {
                warn!(server = name, %error, "what was kept of a server cannot be read; its tags are lost");
            });
            Some((name.into(), known.unwrap_or_default()))
        };
        let kept = kept.into_iter().filter(|(key, _)| key.first() == Some(&PREFIX));
        Self { known: kept.filter_map(read).collect(), ..Self::default() }
    }

    /// Names of all, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.known.keys()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// One of them.
    pub(super) fn get(&self, name: &str) -> Option<&Known> {
        self.known.get(name)
    }

    /// Something has come of a server for the first time.
    pub(super) fn appear(&mut self, name: &Arc<str>, now_ms: i64) {
        if !self.known.contains_key(name) {
            let known = Known { first_ms: now_ms, ..Known::default() };
            self.known.insert(name.clone(), known);
            self.change(name);
        }
    }

    /// A server has these tags, whether or not anything has come of it.
    pub(super) fn describe(&mut self, name: Arc<str>, tags: BTreeMap<String, String>, now_ms: i64) {
        let first = || Known { first_ms: now_ms, ..Known::default() };
        let known = self.known.entry(name.clone()).or_insert_with(first);
        known.tags = tags;
        self.change(&name);
    }

    /// A server is not watched any more; whether it was known.
    pub(super) fn forget(&mut self, name: &str) -> bool {
        let Some((name, _)) = self.known.remove_entry(name) else { return false };
        self.change(&name);
        true
    }

    /// A server has another name from now on; `false` where there is none of the former, or one of the latter.
    pub(super) fn rename(&mut self, from: &str, to: Arc<str>) -> bool {
        if self.known.contains_key(&to) {
            return false;
        }
        let Some((from, known)) = self.known.remove_entry(from) else { return false };
        self.known.insert(to.clone(), known);
        self.change(&from);
        self.change(&to);
        self.renamed.insert(from, to);
        true
    }

    /// What a server was renamed to since the last call.
    pub(super) fn take_renamed(&mut self, from: &str) -> Option<Arc<str>> {
        self.renamed.remove(from)
    }

    /// Names of which something has changed since the last call.
    pub(super) fn take_news(&mut self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut self.news)
    }

    /// What has to be kept since the last call, and of whom it is.
    pub(super) fn take_unkept(&mut self) -> (BTreeSet<Arc<str>>, StateChanges) {
        let names = std::mem::take(&mut self.unkept);
        let mut changes = StateChanges::default();
        for name in &names {
            let key = [&[PREFIX], name.as_bytes()].concat();
            match self.known.get(name).map(serde_json::to_vec) {
                Some(Ok(value)) => changes.keep(key, value),
                Some(Err(_)) | None => changes.forget(key),
            }
        }
        (names, changes)
    }

    /// What was taken to be kept was not.
    pub(super) fn not_kept(&mut self, names: BTreeSet<Arc<str>>) {
        self.unkept.extend(names);
    }

    fn change(&mut self, name: &Arc<str>) {
        self.news.insert(name.clone());
        self.unkept.insert(name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(servers: &KnownServers) -> Vec<&str> {
        servers.names().map(|name| &**name).collect()
    }

    #[test]
    fn what_is_kept_is_there_after_a_restart_and_what_was_forgotten_is_not() {
        let tags: BTreeMap<_, _> = [("env".to_owned(), "prod".to_owned())].into();
        let mut servers = KnownServers::default();
        servers.appear(&"web-1".into(), 1);
        servers.appear(&"web-2".into(), 2);
        servers.describe("web-1".into(), tags.clone(), 3);
        let mut state = BTreeMap::new();
        servers.take_unkept().1.apply_to(&mut state);

        servers.forget("web-2");
        assert!(servers.rename("web-1", "www".into()));
        assert!(!servers.rename("web-1", "other".into()), "nobody is called so any more");
        let (names_of, changes) = servers.take_unkept();
        servers.not_kept(names_of);
        assert!(!changes.is_empty());
        servers.take_unkept().1.apply_to(&mut state);

        let mut restored = KnownServers::restored(state);
        assert_eq!(names(&restored), ["www"]);
        assert_eq!(restored.get("www"), Some(&Known { tags, first_ms: 1 }));
        assert!(restored.take_news().is_empty() && restored.take_unkept().1.is_empty());
    }

    #[test]
    fn who_is_there_already_is_no_news() {
        let mut servers = KnownServers::default();
        servers.appear(&"web-1".into(), 1);
        assert_eq!(servers.take_news().len(), 1);
        servers.appear(&"web-1".into(), 2);
        assert_eq!(servers.take_news().len(), 0);
    }
}
