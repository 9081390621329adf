//! How incidents, notices and memories are kept in the store's state, and found again.
//!
//! ```text
//!  c                       → numbers that are given next, and what this daemon is called
//!  i number piece          → incident         as JSON, in pieces that the state takes
//!  n number piece          → notice
//!  m key                   → memory of a detector, and what it is about
//! ```
//!
//! JSON, because a later version may add fields and an earlier one must still read the rest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Incident, IncidentId, Notice, NoticeId, book::Book, outbox::Outbox};
use crate::{
    detect::{Key, Memory, Subject},
    store::StateChanges,
};

/// What is known of the archive: which pieces it holds.
#[derive(Debug, Default)]
pub(super) struct Archive {
    head: Head,
    pieces: BTreeMap<Vec<u8>, u8>,
    head_kept: Option<Head>,
}

/// What stands at the head of the archive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Head {
    incident: u64,
    notice: u64,
    hub: String,
}

/// What an archive held.
#[derive(Debug, Default)]
pub(super) struct Restored {
    pub(super) incidents: Vec<Incident>,
    pub(super) notices: Vec<Notice>,
    pub(super) memories: BTreeMap<Key, (Memory, Subject)>,
    /// Records that made no sense.
    pub(super) unreadable: u64,
}

const HEAD: &[u8] = b"c";
const PIECE_MAX: usize = StateChanges::VALUE_MAX;

impl Archive {
    /// Reads what was kept.
    pub(super) fn read(kept: BTreeMap<Vec<u8>, Vec<u8>>) -> (Self, Restored) {
        let mut archive = Self::default();
        let mut restored = Restored::default();
        let mut records: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (key, value) in kept {
            match key.first() {
                Some(b'i' | b'n') if key.len() == 10 => {
                    let (record, piece) = key.split_at(9);
                    let known = archive.pieces.entry(record.to_vec()).or_default();
                    let expected = *known;
                    *known += 1;
                    // A piece that is missing makes what follows meaningless; the record is then no JSON.
                    if piece == [expected] {
                        records.entry(record.to_vec()).or_default().extend(value);
                    }
                }
                _ => {
                    records.insert(key, value);
                }
            }
        }
        for (key, value) in &records {
            let read = match key.first() {
                Some(b'c') => parse(value).map(|head| archive.head = head),
                Some(b'i') => parse(value).map(|incident| restored.incidents.push(incident)),
                Some(b'n') => parse(value).map(|notice| restored.notices.push(notice)),
                Some(b'm') => parse::<Key>(key.get(1..).unwrap_or_default())
                    .and_then(|key| Some((key, parse(value)?)))
                    .map(|(key, memory)| drop(restored.memories.insert(key, memory))),
                _ => None,
            };
            restored.unreadable += u64::from(read.is_none());
        }
        archive.head_kept = Some(archive.head.clone());
        if archive.head.hub.is_empty() {
            archive.head.hub = uuid::Uuid::new_v4().simple().to_string();
        }
        (archive, restored)
    }

    /// What this daemon is called by, to tell its notices from those of all others.
    pub(super) fn hub(&self) -> &str {
        &self.head.hub
    }

    /// The numbers that are given next.
    pub(super) fn next(&self) -> (u64, u64) {
        (self.head.incident, self.head.notice)
    }

    /// What has to be kept of `book` and `outbox`: they then count as kept.
    pub(super) fn changes(&mut self, book: &mut Book, outbox: &mut Outbox) -> StateChanges {
        let mut changes = StateChanges::default();
        // What is pending is in the memories; viewers have been told of it.
        book.changed.pending.clear();
        for id in std::mem::take(&mut book.changed.incidents) {
            self.keep(incident_key(id), book.get(id), &mut changes);
        }
        for id in std::mem::take(&mut outbox.changed) {
            self.keep(notice_key(id), outbox.get(id), &mut changes);
        }
        for key in std::mem::take(&mut book.changed.memories) {
            let name = [b"m".to_vec(), json(&key)].concat();
            match book.memories().get(&key) {
                Some(memory) => changes.keep(name, json(memory)),
                None => changes.forget(name),
            }
        }
        (self.head.incident, self.head.notice) = (book.next(), outbox.next());
        if self.head_kept.as_ref() != Some(&self.head) && !changes.is_empty() {
            changes.keep(HEAD.to_vec(), json(&self.head));
            self.head_kept = Some(self.head.clone());
        }
        changes
    }

    fn keep<T: Serialize>(&mut self, key: Vec<u8>, record: Option<&T>, changes: &mut StateChanges) {
        let piece_key = |piece: u8| [&key[..], &[piece]].concat();
        let bytes = record.map(json).unwrap_or_default();
        let before = self.pieces.get(&key).copied().unwrap_or_default();
        let mut count = 0;
        // More than 255 pieces are megabytes; nothing here grows to that.
        for (piece, bytes) in (0..u8::MAX).zip(bytes.chunks(PIECE_MAX)) {
            changes.keep(piece_key(piece), bytes.to_vec());
            count = piece + 1;
        }
        (count..before).for_each(|piece| changes.forget(piece_key(piece)));
        if count == 0 {
            self.pieces.remove(&key);
        } else {
            self.pieces.insert(key, count);
        }
    }
}

fn incident_key(id: IncidentId) -> Vec<u8> {
    [b"i", &id.0.to_be_bytes()[..]].concat()
}

fn notice_key(id: NoticeId) -> Vec<u8> {
    [b"n", &id.0.to_be_bytes()[..]].concat()
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    // Every key of ours is a text and every number finite: there is nothing that JSON cannot say.
    serde_json::to_vec(value).unwrap_or_default()
}
