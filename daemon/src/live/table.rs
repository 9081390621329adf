//! The picture of one topic: rows of cells, each stamped with its last change.
//!
//! # Invariants
//!
//! - A delta from any `seq` since [`Table::complete_from`] brings a viewer who
//!   had the picture of that `seq` to the present one.
//! - What is remembered besides the rows is which rows have gone within
//!   [`MEMORY_TICKS`], and the frames of the present `seq`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    Topic,
    cell::{Cell, Key, write_json},
};

/// A viewer that was away for no longer than this gets what changed since.
pub(super) const MEMORY_TICKS: u64 = 60;

/// More rows than this, gone within that time, are not remembered one by one.
const GONE_MAX: usize = 4096;

/// The rows of one topic.
#[derive(Debug)]
pub(super) struct Table {
    topic: String,
    columns: &'static [&'static str],
    rows: BTreeMap<Key, Row>,
    gone: VecDeque<(u64, Key)>,
    created: u64,
    complete_from: u64,
    seq: u64,
    at_ms: i64,
    deltas: Vec<(u64, Arc<str>)>,
    snapshot: Option<Arc<str>>,
}

#[derive(Debug)]
struct Row {
    cells: Box<[Cell]>,
    changed: Box<[u64]>,
    newest: u64,
    seen: u64,
}

impl Table {
    /// An empty picture as of `seq`.
    pub(super) fn new(topic: &Topic, columns: &'static [&'static str], seq: u64) -> Self {
        Self {
            topic: topic.to_string(),
            columns,
            rows: BTreeMap::new(),
            gone: VecDeque::new(),
            created: seq,
            complete_from: seq,
            seq,
            at_ms: 0,
            deltas: Vec::new(),
            snapshot: None,
        }
    }

    /// Makes it the picture of `seq`: `fill` puts every row that there is, in any
    /// order; the others are gone.
    pub(super) fn update(&mut self, seq: u64, at_ms: i64, fill: impl FnOnce(&mut Self)) {
        self.seq = seq;
        self.at_ms = at_ms;
        self.deltas.clear();
        self.snapshot = None;
        self.complete_from = self.complete_from.max(seq.saturating_sub(MEMORY_TICKS));
        fill(self);
        let gone = &mut self.gone;
        self.rows.retain(|key, row| {
            let stays = row.seen == seq;
            if !stays {
                gone.push_back((seq, key.clone()));
            }
            stays
        });
        while let Some(&(left, _)) = self.gone.front()
            && (left <= self.complete_from || self.gone.len() > GONE_MAX)
        {
            self.complete_from = self.complete_from.max(left);
            self.gone.pop_front();
        }
    }

    /// Puts a row, while the picture is being updated. One cell for each column.
    pub(super) fn put<const N: usize>(&mut self, key: Key, cells: [Cell; N]) {
        let seq = self.seq;
        let Some(row) = self.rows.get_mut(&key) else {
            let changed = [seq; N].into();
            let row = Row { cells: cells.into(), changed, newest: seq, seen: seq };
            self.rows.insert(key, row);
            return;
        };
        row.seen = seq;
        let known = row.cells.iter_mut().zip(&mut row.changed);
        for ((known, changed), cell) in known.zip(cells) {
            if *known != cell {
                *known = cell;
                *changed = seq;
                row.newest = seq;
            }
        }
    }

    /// Whether it has no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether somebody who says to have the picture of `seq` may be believed to
    /// have it from here. A topic that is dropped and followed again within one
    /// tick has two pictures of the same `seq`.
    pub(super) fn is_resumable(&self, seq: u64) -> bool {
        seq > self.created
    }

    /// Which `seq` it shows.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// The whole picture, as a frame.
    pub(super) fn snapshot(&mut self) -> Arc<str> {
        if let Some(frame) = &self.snapshot {
            return frame.clone();
        }
        let mut json = self.frame("snap");
        push(&mut json, format_args!(",\"seq\":{},\"at\":{},\"cols\":", self.seq, self.at_ms));
        write_json(&mut json, self.columns);
        json.extend_from_slice(b",\"rows\":[");
        for (key, row) in &self.rows {
            begin_row(&mut json, key);
            for cell in &row.cells {
                json.push(b',');
                cell.write(&mut json);
            }
            json.push(b']');
        }
        json.extend_from_slice(b"]}");
        let frame = text(json);
        self.snapshot = Some(frame.clone());
        frame
    }

    /// Whether everything that changed after `from` is known.
    pub(super) fn reaches_from(&self, from: u64) -> bool {
        (self.complete_from..=self.seq).contains(&from)
    }

    /// What changed after `from`, as a frame; `None` where that is too long ago.
    pub(super) fn delta(&mut self, from: u64) -> Option<Arc<str>> {
        if !self.reaches_from(from) {
            return None;
        }
        if let Some((_, frame)) = self.deltas.iter().find(|(known, _)| *known == from) {
            return Some(frame.clone());
        }
        let mut json = self.frame("d");
        let (to, at) = (self.seq, self.at_ms);
        push(&mut json, format_args!(",\"from\":{from},\"to\":{to},\"at\":{at},\"rows\":["));
        for (key, row) in self.rows.iter().filter(|(_, row)| row.newest > from) {
            begin_row(&mut json, key);
            let changed = || row.changed.iter().enumerate().filter(|(_, seq)| **seq > from);
            let mask: u32 = changed().map(|(column, _)| 1 << column).sum();
            push(&mut json, format_args!(",{mask}"));
            for (column, _) in changed() {
                json.push(b',');
                row.cells.get(column).unwrap_or(&Cell::Null).write(&mut json);
            }
            json.push(b']');
        }
        json.extend_from_slice(b"],\"gone\":[");
        let gone =
            self.gone.iter().filter(|(seq, key)| *seq > from && !self.rows.contains_key(key));
        for (_, key) in gone {
            separate(&mut json);
            write_json(&mut json, key);
        }
        json.extend_from_slice(b"]}");
        let frame = text(json);
        self.deltas.push((from, frame.clone()));
        Some(frame)
    }

    fn frame(&self, kind: &str) -> Vec<u8> {
        let mut json = Vec::with_capacity(64 + self.rows.len() * 96);
        push(&mut json, format_args!("{{\"t\":\"{kind}\",\"topic\":"));
        write_json(&mut json, &self.topic);
        json
    }
}

fn begin_row(json: &mut Vec<u8>, key: &Key) {
    separate(json);
    json.push(b'[');
    write_json(json, key);
}

fn separate(json: &mut Vec<u8>) {
    if json.last() != Some(&b'[') {
        json.push(b',');
    }
}

fn push(json: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = std::io::Write::write_fmt(json, text);
}

fn text(json: Vec<u8>) -> Arc<str> {
    // Every piece came from a `str` or from serde_json: this is UTF-8.
    String::from_utf8(json).unwrap_or_default().into()
}
