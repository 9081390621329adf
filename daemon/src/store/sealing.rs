//! Sealing: closed chunks of the heads into segments, samples and what they come to by the minute side by side.
//!
//! # Invariants
//!
//! - A raw segment and the minutes of its rows are written together, and count together: the minutes get their name
//!   first, and are nothing without the raw segment that they name (see [`super::adopt`]).
//! - After an error nothing of what was written counts.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use super::{
    StoreError,
    codec::Effort,
    groups::{days_of, groups_of},
    heads::Chunk,
    rollup::{Rollup, fold_samples, interval_of},
    segment::{Group, GroupColumn, SEGMENT_MAX, SegmentFacts, SegmentWriter},
    shared::{Shared, remove_if_there},
    table::{StreamEnd, Table},
    tier::Tier,
};
use crate::series::{Kind, Series, SeriesId, now_ms};

/// Closed chunks to be sealed, of one collector.
#[derive(Debug)]
pub(super) struct Picked {
    pub(super) place: usize,
    pub(super) end: StreamEnd,
    pub(super) chunks: Vec<Arc<Chunk>>,
}

/// What there is to seal: of every collector that has so many closed rows.
pub(super) fn pick(shared: &Shared, least_rows: usize) -> Vec<Picked> {
    let view = shared.view();
    let mut picked = Vec::new();
    for (place, stream) in view.heads.streams.iter().enumerate() {
        let Some(last) = stream.closed.last() else { continue };
        if stream.closed_rows() >= least_rows {
            let end = StreamEnd {
                server: stream.server.clone(),
                collector: stream.collector.clone(),
                interval_ms: stream.interval_ms,
                last_ms: last.last_ms,
            };
            picked.push(Picked { place, end, chunks: stream.closed.clone() });
        }
    }
    picked
}

/// Writes what was picked, for each day by itself; answers the segments, which nobody knows yet.
pub(super) fn write(
    shared: &Shared,
    store: u128,
    picked: &[Picked],
) -> Result<Vec<SegmentFacts>, StoreError> {
    let mut segments = Vec::new();
    for day in days_of(picked.iter().flat_map(|picked| &picked.chunks)) {
        let mut rest = picked;
        while !rest.is_empty() {
            match write_pair(shared, store, day, rest, &mut segments) {
                Ok(left) => rest = left,
                Err(error) => {
                    // Minutes are nothing without their samples, but samples would be believed to have their minutes.
                    segments.iter().rev().for_each(|facts| discard(shared, facts));
                    return Err(error);
                }
            }
        }
    }
    Ok(segments)
}

/// Deletes a segment that will be written again.
pub(super) fn discard(shared: &Shared, facts: &SegmentFacts) {
    // Left behind it is deleted at the next start: no segment that counts has anything to do with it.
    if remove_if_there(&facts.path(&shared.segment_folder())).is_ok() {
        shared.forget_finished(facts);
    }
}

/// A raw segment and its minutes, while they are written.
struct Pair {
    raw: SegmentWriter,
    minutes: SegmentWriter,
    table: Table,
    series: BTreeMap<SeriesId, Arc<Series>>,
}

/// Writes one pair of `day`, until nothing is left or the segment is full; answers what is left.
fn write_pair<'a>(
    shared: &Shared,
    store: u128,
    day: i64,
    picked: &'a [Picked],
    segments: &mut Vec<SegmentFacts>,
) -> Result<&'a [Picked], StoreError> {
    let mut pair: Option<Pair> = None;
    let mut rest = picked;
    while let Some((picked, left)) = rest.split_first() {
        if pair.as_ref().is_some_and(|pair| pair.raw.length() > SEGMENT_MAX / 4) {
            break;
        }
        rest = left;
        let groups = groups_of(&picked.chunks, day);
        let Some(last) = groups.last().and_then(|group| group.times.last()) else { continue };
        shared.keeper_beat_ms.store(now_ms(), Ordering::Relaxed);
        let writing = match &mut pair {
            Some(pair) => pair,
            pair => pair.insert(Pair::begin(shared, store, day)?),
        };
        writing.table.streams.push(StreamEnd { last_ms: *last, ..picked.end.clone() });
        for group in &groups {
            writing.add(shared, group, picked.end.interval_ms);
        }
        let written = write_out(shared, &mut writing.minutes)
            .and_then(|()| write_out(shared, &mut writing.raw));
        if let Err(error) = written {
            pair.into_iter().for_each(Pair::abandon);
            return Err(error);
        }
    }
    if let Some(pair) = pair {
        segments.extend(pair.finish(shared)?);
    }
    Ok(rest)
}

impl Pair {
    fn begin(shared: &Shared, store: u128, day: i64) -> Result<Self, StoreError> {
        let folder = shared.segment_folder();
        let week = Tier::Minute.span_of(day * Tier::Raw.span_ms());
        let minutes = SegmentFacts::empty(shared.next_segment(), Tier::Minute, week);
        // The greater number: nothing that is older than the raw segment is taken for what it left behind.
        let raw = SegmentFacts::empty(shared.next_segment(), Tier::Raw, day);
        let raw = SegmentFacts { folded: true, ..raw };
        let table = Table { folds: vec![raw.id], ..Table::default() };
        let minutes = SegmentWriter::create(&folder, minutes, store)?;
        match SegmentWriter::create(&folder, raw, store) {
            Ok(raw) => Ok(Self { raw, minutes, table, series: BTreeMap::new() }),
            Err(error) => {
                minutes.abandon();
                Err(error)
            }
        }
    }

    fn add(&mut self, shared: &Shared, group: &Group, interval_ms: u32) {
        self.raw.add(group);
        for column in &group.columns {
            let series = shared.catalog.get(column.series);
            let kind = series.as_ref().map_or(Kind::Gauge, |series| series.kind);
            self.series.extend(series.map(|series| (column.series, series)));
            let minutes = minutes_of(kind, interval_ms, &group.times, column);
            self.minutes.add_rollups(column.series, kind, &minutes, Effort::Fresh);
        }
    }

    fn finish(mut self, shared: &Shared) -> Result<[SegmentFacts; 2], StoreError> {
        self.table.numbers = u32::try_from(shared.catalog.len()).unwrap_or(u32::MAX);
        self.table.series = std::mem::take(&mut self.series).into_iter().collect();
        self.minutes.close(&self.table);
        self.table.folds.clear();
        self.raw.close(&self.table);
        let written =
            write_out(shared, &mut self.minutes).and_then(|()| write_out(shared, &mut self.raw));
        if let Err(error) = written {
            self.abandon();
            return Err(error);
        }
        let minutes = match self.minutes.finish() {
            Ok(minutes) => minutes,
            Err(error) => {
                self.raw.abandon();
                return Err(error);
            }
        };
        match self.raw.finish() {
            Ok(raw) => Ok([minutes, raw]),
            Err(error) => {
                discard(shared, &minutes);
                Err(error)
            }
        }
    }

    fn abandon(self) {
        self.raw.abandon();
        self.minutes.abandon();
    }
}

/// What the values of one series in a group come to by the minute.
fn minutes_of(kind: Kind, interval_ms: u32, times: &[i64], column: &GroupColumn) -> Vec<Rollup> {
    let step_ms = Tier::Minute.step_ms().unwrap_or(1);
    let times: Vec<i64> = column.rows.iter().map(|row| times[usize::from(*row)]).collect();
    // Others of the collector may come at other times.
    let interval_ms = interval_of(times.iter().copied(), interval_ms);
    fold_samples(kind, step_ms, interval_ms, times.into_iter().zip(column.values.iter().copied()))
}

/// Writes what the segment holds in memory, once there is room for it.
pub(super) fn write_out(shared: &Shared, writer: &mut SegmentWriter) -> Result<(), StoreError> {
    let length = writer.length();
    shared.extend_room(&mut writer.room, length)?;
    shared.count_written(writer.pending());
    writer.write_out()
}
