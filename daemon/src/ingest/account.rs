//! What is known of one token's writing: its series, its streams, what it may still write.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Mutex as Turn, time::Instant};

use super::{
    allowance::Allowance,
    assembly::StreamId,
    fingerprint::Fingerprint,
    known::{Known, KnownSeries},
    metadata::Metadata,
    pace::Pace,
    refusal::{Reason, Refusal},
    signals::OpenGaps,
    space::Space,
    summary::Totals,
};
use crate::{config::IngestConfig, series::SeriesId};

/// Collectors of one server.
pub(super) const COLLECTORS_MAX: usize = 1000;

/// Names of which one copy is kept; of more, they are collected anew.
const NAMES_MAX: usize = 200_000;

/// For so long the same reason is not logged again.
const QUIET_MS: u64 = 600_000;

/// One token's account.
#[derive(Debug)]
pub(super) struct Account {
    /// Held for a moment.
    facts: Mutex<Facts>,
    /// Held for a moment.
    gaps: Mutex<OpenGaps>,
    /// Held while a request is decoded.
    tables: Mutex<Tables>,
    /// Whose turn it is to be decoded: taken before any room that other tokens need.
    pub(super) turn: Arc<Turn<()>>,
    /// Its share of the room for bodies.
    pub(super) bodies: Space,
}

/// What people are shown, and what must be known before a request is decoded.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) allowance: Allowance,
    pub(super) totals: Totals,
    /// The last refusal: when, why, and in which words.
    pub(super) last_error: Option<(i64, Reason, String)>,
    pub(super) last_ms: i64,
    /// When each reason was logged last.
    logged: Vec<(Reason, i64)>,
}

/// What makes a series of labels.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// The servers that the token was for when its series were learnt.
    pub(super) grant: Arc<[String]>,
    /// Spellings of the labels of series; may be cleared at any time.
    pub(super) known: KnownSeries,
    /// The series themselves, which are counted.
    pub(super) written: HashSet<SeriesId>,
    pub(super) streams: Vec<Stream>,
    /// The streams by the names of their servers and collectors.
    places: HashMap<Arc<str>, HashMap<Arc<str>, StreamId>>,
    names: HashSet<Arc<str>>,
    pub(super) metadata: Metadata,
}

/// A collector of a server.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) server: Arc<str>,
    pub(super) collector: Arc<str>,
    pub(super) pace: Pace,
}

impl Account {
    /// Of a token that may write so many samples a second.
    pub(super) fn new(rate: u64, now: Instant) -> Self {
        let facts = Facts {
            allowance: Allowance::new(rate, now),
            totals: Totals::default(),
            last_error: None,
            last_ms: 0,
            logged: Vec::new(),
        };
        Self {
            facts: Mutex::new(facts),
            gaps: Mutex::default(),
            tables: Mutex::default(),
            turn: Arc::default(),
            bodies: Space::of_token(),
        }
    }

    /// Nobody holds them for long.
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody holds them for long.
    pub(super) fn gaps(&self) -> MutexGuard<'_, OpenGaps> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// They may be held while a large request is decoded: not for a thread that runs actors.
    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, if nobody holds them.
    pub(super) fn free_tables(&self) -> Option<MutexGuard<'_, Tables>> {
        self.tables.try_lock().ok()
    }
}

impl Facts {
    /// Whether a refusal for this reason is to be logged: for each reason now and then, whatever comes in between.
    pub(super) fn logs(&mut self, reason: Reason, now_ms: i64) -> bool {
        match self.logged.iter_mut().find(|(logged, _)| *logged == reason) {
            Some((_, at_ms)) if now_ms.abs_diff(*at_ms) < QUIET_MS => return false,
            Some((_, at_ms)) => *at_ms = now_ms,
            None => self.logged.push((reason, now_ms)),
        }
        true
    }
}

impl Tables {
    /// Makes sure that everything known was learnt under `grant`.
    pub(super) fn under(&mut self, grant: &Arc<[String]>) {
        if !Arc::ptr_eq(&self.grant, grant) && self.grant != *grant {
            self.known.clear();
        }
        self.grant = grant.clone();
    }

    /// The stream of a collector, which is a new one if there is room.
    pub(super) fn stream(
        &mut self,
        server: &str,
        collector: &str,
        former_ms: Option<u32>,
        limits: &IngestConfig,
    ) -> Result<StreamId, Refusal> {
        let of_server = self.places.get(server);
        if let Some(known) = of_server.and_then(|places| places.get(collector)) {
            let place = *known;
            let stream = self.streams.get_mut(place.0 as usize);
            if let Some((stream, former_ms)) = stream.zip(former_ms) {
                stream.pace.believe(former_ms);
            }
            return Ok(place);
        }
        let IngestConfig { max_servers, max_series, .. } = *limits;
        if of_server.is_none() && self.places.len() >= max_servers {
            let detail = format!(
                "`{server}` would be one server too many: a token may write {max_servers} \
                 (ingest.max_servers)"
            );
            return Err(Refusal::new(Reason::Servers, detail));
        }
        if of_server.is_some_and(|places| places.len() >= COLLECTORS_MAX) {
            let detail = format!(
                "`{collector}` would be one collector too many: `{server}` may have {COLLECTORS_MAX}"
            );
            return Err(Refusal::new(Reason::Collectors, detail));
        }
        // Collectors without series, of which there are signals only, are limited as series are.
        if self.streams.len() >= max_series {
            let detail = format!(
                "`{collector}` of `{server}` would be one collector too many: a token may write \
                 {max_series} (ingest.max_series)"
            );
            return Err(Refusal::new(Reason::Collectors, detail));
        }
        let (server, collector) = (self.name(server), self.name(collector));
        let place = StreamId(u32::try_from(self.streams.len()).unwrap_or(u32::MAX));
        self.places.entry(server.clone()).or_default().insert(collector.clone(), place);
        self.streams.push(Stream { server, collector, pace: Pace::new(former_ms) });
        Ok(place)
    }

    /// How many servers have been written.
    pub(super) fn servers(&self) -> usize {
        self.places.len()
    }

    /// Takes in a series, and what its labels are known by.
    pub(super) fn learn(&mut self, print: Fingerprint, known: Known, limits: &IngestConfig) {
        self.written.insert(known.series);
        // One series can be spelt in many ways: the look-up never holds more than the limit is.
        if self.known.len() >= limits.max_series.max(self.written.len()) {
            self.known.clear();
        }
        self.known.add(print, known);
    }

    /// The one copy of a name.
    pub(super) fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        let name: Arc<str> = name.into();
        self.names.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_by_turns_does_not_fill_the_log() {
        let account = Account::new(1, Instant::now());
        let mut facts = account.facts();
        let by_turns = [Reason::Late, Reason::Rate, Reason::Late, Reason::Rate];
        let logged = by_turns.map(|reason| facts.logs(reason, 1_000));
        assert_eq!(logged, [true, true, false, false]);
        assert!(facts.logs(Reason::Late, 1_000 + QUIET_MS.cast_signed()));
    }
}
