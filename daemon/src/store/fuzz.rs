//! What fuzzing reaches of the store: each takes any bytes as one kind of file, and reads all that can be read of it.
//!
//! Present only where cargo-fuzz builds (`tests/fuzz`). Checksums are all zero there, or nothing made up would get past
//! the first of them.
//!
//! # Panics
//!
//! Every function here, when something that is promised does not hold.

#![expect(clippy::unwrap_used, reason = "what does not hold should stop")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    checkpoint,
    codec::{Effort, ROWS_MAX, put_times, put_values, read_times, read_values},
    log::log_path,
    log_cursor::LogCursor,
    messages::Query,
    point::Stat,
    query,
    replay::Replay,
    rollup::{Rollup, fold, fold_samples},
    rollup_codec::{Fields, put_rollups, read_rollups},
    rows::{Rows, put_rows, read_rows},
    sealing,
    segment::{DAY_MS, Group, GroupColumn, SegmentFacts, SegmentWriter},
    segment_read::Segment,
    settler::Settler,
    settling::Job,
    shared::{Limits, Shared, View},
    state::Contents,
    table::Table,
    tier::Tier,
};
use crate::{
    config::Retention,
    series::{Catalog, Kind, Labels, Series, SeriesId},
};

/// The series of a made-up segment: every other one is a counter.
pub(super) const SERIES: u32 = 4;
/// What it is called.
pub(super) const ID: u64 = 1;
/// A day early in a week.
pub(super) const DAY: i64 = 20_006;

/// A folder of this process, in memory where there is one.
pub(super) fn folder() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let above = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = above.join(format!("bartizan-fuzz-{}", std::process::id()));
    fs::create_dir_all(folder.join("log")).unwrap();
    folder
}

/// A log file, as the start reads it, and as whoever reads along does: both see the same frames. What was taken in can
/// be asked for, and sealed.
pub fn log(bytes: &[u8]) {
    let folder = folder();
    let logs = folder.join("log");
    let path = log_path(&logs, 1);
    fs::write(&path, bytes).unwrap();
    let mut replay = Replay::new(View::default(), BTreeMap::new());
    replay.read_file(&logs, 1, true).unwrap();
    let mut samples = 0;
    for stream in &replay.view.heads.streams {
        let mut last_ms = None;
        for chunk in stream.chunks() {
            let whole = chunk.read(
                &mut (&mut samples, &mut last_ms),
                |(samples, _), _, _| **samples += 1,
                |(_, last_ms), at_ms| {
                    assert!(last_ms.is_none_or(|last| at_ms > last), "times ascend");
                    **last_ms = Some(at_ms);
                },
            );
            assert!(whole, "what was taken in can be read");
        }
    }
    assert_eq!(samples, replay.samples, "every sample taken in is there once");
    let mut cursor = LogCursor::new(super::disk::File::open(&path).unwrap(), 1);
    let end = cursor.length().unwrap();
    while cursor.next(end).unwrap().is_some() {}

    let shared = shared(&folder, replay.view);
    ask(&shared);
    let picked = sealing::pick(&shared, 1);
    let sealed = sealing::write(&shared, 1, &picked).unwrap();
    let sealed_samples = sealed.iter().filter(|facts| facts.tier == Tier::Raw);
    assert_eq!(sealed_samples.map(|facts| facts.samples).sum::<u64>(), samples);
    for facts in sealed {
        assert!(look_through(&facts.path(&shared.segment_folder()), facts.id).unwrap());
        sealing::discard(&shared, &facts);
    }
}

/// Columns: what can be read has as many rows as it should; values, times and rollups come back bit for bit.
pub fn block(bytes: &[u8]) {
    let Some((rows, bytes)) = bytes.split_first_chunk::<2>() else { return };
    let rows = usize::from(u16::from_le_bytes(*rows)) % (ROWS_MAX + 2);
    if let Some(times) = read_times(bytes, rows) {
        assert_eq!(times.len(), rows);
    }
    if let Some(values) = read_values(bytes, rows) {
        assert_eq!(values.len(), rows);
    }
    let words: Vec<u64> = words(bytes).take(ROWS_MAX).collect();
    if words.is_empty() {
        return;
    }
    let values: Vec<f64> = words.iter().map(|word| f64::from_bits(*word)).collect();
    let mut column = Vec::new();
    for effort in [Effort::Fresh, Effort::Settled] {
        column.clear();
        put_values(&mut column, &values, effort);
        let back = read_values(&column, values.len()).unwrap();
        assert!(back.iter().map(|value| value.to_bits()).eq(words.iter().copied()), "bit for bit");
    }
    let times: Vec<i64> = words.iter().map(|word| word.cast_signed()).collect();
    column.clear();
    put_times(&mut column, &times);
    assert_eq!(read_times(&column, times.len()).unwrap(), times);
}

/// Rollups: any bytes as their rows and as a column of them, folded as the settling does; and what any samples come to,
/// there and back.
pub fn rollups(bytes: &[u8]) {
    let Some((head, bytes)) = bytes.split_first_chunk::<4>() else { return };
    let split = usize::from(u16::from_le_bytes([head[0], head[1]])).min(bytes.len());
    let kind = if head[2] & 1 == 1 { Kind::Counter } else { Kind::Gauge };
    let begin_ms = DAY * DAY_MS;
    let (of_rows, column) = bytes.split_at(split);
    if let Some(rows) = read_rows(of_rows, true)
        && rows.are_of(&(begin_ms..begin_ms + 7 * DAY_MS))
        && let Some(rollups) = read_rollups(column, &rows, Fields::ALL)
    {
        assert_eq!((rows.times.len(), rows.extents.len()), (rollups.len(), rollups.len()));
        // No samples came to these: that it ends is all there is to see.
        fold(kind, 3_600_000, rollups);
    }
    let mut at_ms = begin_ms;
    let samples = words(bytes).map(|word| {
        at_ms += 1 + (word % (u64::from(head[3]) + 1)).cast_signed() * 997;
        (at_ms, f64::from_bits(word))
    });
    let minutes = fold_samples(kind, 60_000, 1000, samples.take(ROWS_MAX));
    come_back(kind, &minutes);
    come_back(kind, &fold(kind, 3_600_000, minutes));
}

/// What has to come back of rollups as it was.
fn come_back(kind: Kind, rollups: &[Rollup]) {
    for rollups in rollups.chunks(ROWS_MAX) {
        let (mut rows, mut column) = (Vec::new(), Vec::new());
        put_rows(&mut rows, &Rows::of(rollups), Effort::Settled);
        put_rollups(&mut column, kind, rollups, Effort::Settled);
        let back = read_rows(&rows, true).unwrap();
        let back = read_rollups(&column, &back, Fields::ALL).unwrap();
        assert_eq!(back.len(), rollups.len());
        for (one, other) in rollups.iter().zip(back) {
            let times = |rollup: &Rollup| (rollup.start_ms, rollup.first_ms, rollup.last_ms);
            assert_eq!(times(one), times(&other));
            let known = |rollup: &Rollup| (rollup.count, rollup.interval_ms, rollup.covered_ms);
            assert_eq!(known(one), known(&other));
            let ends = |rollup: &Rollup| [rollup.first, rollup.last].map(f64::to_bits);
            assert_eq!(ends(one), ends(&other), "bit for bit");
            if kind == Kind::Gauge {
                let least = |rollup: &Rollup| [rollup.min, rollup.max].map(f64::to_bits);
                assert_eq!(least(one), least(&other), "bit for bit");
            }
        }
    }
}

/// A segment: its table, its index, every column that the index names, what questions make of it and settling.
pub fn segment(bytes: &[u8]) {
    let folder = folder();
    // Where it says that it belongs; of anything else, only the footer is read.
    let tier = bytes.get(6).and_then(|flags| Tier::from_number(flags & 3)).unwrap_or(Tier::Raw);
    try_segment(&folder, tier, bytes);
}

/// A segment as it is written, from made-up samples, with some of its bytes changed.
pub fn settle(bytes: &[u8]) {
    let Some((head, bytes)) = bytes.split_first_chunk::<4>() else { return };
    let tier = Tier::ALL[usize::from(head[0]) % 3];
    let (rows, edits) = (usize::from(head[1]) + 1, usize::from(head[2]) % 9);
    let Some((edits, bytes)) = bytes.split_at_checked(edits * 3) else { return };
    let folder = folder();
    let segments = folder.join("segments");
    let facts = SegmentFacts::empty(ID, tier, tier.span_of(DAY * DAY_MS));
    let mut writer = SegmentWriter::create(&segments, facts, 1).unwrap();
    fill(&mut writer, rows, head[3], bytes);
    writer.close(&Table { numbers: SERIES, ..Table::default() });
    writer.write_out().unwrap();
    let facts = writer.finish().unwrap();
    let mut whole = fs::read(facts.path(&segments)).unwrap();
    for edit in edits.chunks_exact(3) {
        // Half of them from the end, where footer and index are.
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]]) >> 1) % whole.len();
        let at = if edit[0] & 1 == 1 { whole.len() - 1 - at } else { at };
        whole[at] = edit[2];
    }
    let settled = try_segment(&folder, tier, &whole);
    assert!(settled || !edits.is_empty(), "what nothing was done to can be settled");
}

/// Adds made-up columns of all series.
pub(super) fn fill(writer: &mut SegmentWriter, rows: usize, step: u8, bytes: &[u8]) {
    let words: Vec<u64> = words(bytes).collect();
    let word = |at: usize| words.get(at % words.len().max(1)).copied().unwrap_or_default();
    let tier = writer.facts().tier;
    let mut at_ms = DAY * DAY_MS;
    let times = (0..rows).map(|row| {
        at_ms += 1 + i64::from(step) + (word(row) % 7).cast_signed();
        at_ms
    });
    let times: Vec<i64> = times.collect();
    let columns = (0..SERIES).map(|series| {
        let has = |row: &usize| series != 3 || word(*row) % 3 > 0;
        let present = (0..rows).filter(has);
        let values = present.clone().map(|row| f64::from_bits(word(row + series as usize)));
        GroupColumn {
            series: SeriesId(series),
            values: values.collect(),
            rows: present.map(|row| row as u16).collect(),
        }
    });
    let group = Group { columns: columns.collect(), times };
    let Some(step_ms) = tier.step_ms() else { return writer.add(&group) };
    for column in &group.columns {
        let kind = kind_of(column.series.0);
        let times = column.rows.iter().map(|row| group.times[usize::from(*row)]);
        let samples = times.zip(column.values.iter().copied());
        let rollups = fold_samples(kind, step_ms, 1000, samples);
        writer.add_rollups(column.series, kind, &rollups, Effort::Fresh);
    }
}

/// Reads, asks and settles a segment of these bytes; whether it could be settled.
fn try_segment(folder: &Path, tier: Tier, bytes: &[u8]) -> bool {
    let span = tier.span_of(DAY * DAY_MS);
    let path = SegmentFacts::empty(ID, tier, span).path(&folder.join("segments"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    let Ok(segment) = Segment::open(&path, ID) else { return false };
    let _ = look_through(&path, ID);
    let facts = Arc::new(segment.facts().clone());
    if (facts.tier, facts.span) != (tier, span) {
        return false;
    }
    let segments = BTreeMap::from([(ID, facts.clone())]);
    let shared = Arc::new(shared(folder, View { segments, ..View::default() }));
    ask(&shared);
    let mut settled = true;
    for job in [Job::Merge(vec![facts.clone()]), Job::Fold(vec![facts.clone()])] {
        if matches!(job, Job::Fold(_)) && tier == Tier::Hour {
            continue;
        }
        let mut settler = Settler::new(shared.clone(), 1, Retention::default());
        let Some(written) = settler.write(&job, &AtomicBool::new(false)).unwrap() else {
            settled = false;
            continue;
        };
        let path = written.path(&shared.segment_folder());
        assert!(look_through(&path, written.id).unwrap(), "what was written can be read");
        sealing::discard(&shared, &written);
    }
    settled
}

/// Reads all there is of a segment; whether all of it is whole.
fn look_through(path: &Path, id: u64) -> Result<bool, super::StoreError> {
    let segment = Segment::open(path, id)?;
    let mut whole = true;
    match segment.table() {
        Ok(table) => {
            // Version 1 knows less.
            let back = Table::from_bytes(&table.to_bytes(), 2).unwrap();
            assert_eq!(back, table);
        }
        Err(_) => whole = false,
    }
    let mut entries = Vec::new();
    // What is not there ends it; what is, may be any number of entries.
    let all = segment.each_entry(|entry| {
        if entries.len() < 64 {
            entries.push(*entry);
        }
    });
    whole &= all.is_ok();
    for entry in entries {
        segment.span(&entry);
        let rows = segment.rows(&entry);
        whole &= rows.is_ok();
        if let Ok(rows) = rows {
            let count = match segment.facts().tier {
                Tier::Raw => segment.values(&entry, &rows.times).map(|samples| samples.len()),
                _ => segment.rollups(&entry, &rows, Fields::ALL).map(|rollups| rollups.len()),
            };
            whole &= count.is_ok_and(|count| count <= rows.times.len());
        }
        whole &= segment.find(entry.series).is_ok();
    }
    Ok(whole)
}

/// Asks for every series in every way.
fn ask(shared: &Shared) {
    let begin_ms = DAY * DAY_MS;
    for (points, raw, range_ms) in [
        (None, true, DAY_MS),
        (None, false, DAY_MS),
        (Some(7), false, DAY_MS),
        (Some(1000), true, 70 * DAY_MS),
        (Some(100), false, 800 * DAY_MS),
    ] {
        let query = Query {
            server: "one".into(),
            metric: "m".into(),
            labels: Vec::new(),
            from_ms: begin_ms - range_ms,
            to_ms: begin_ms + range_ms,
            points,
            raw,
            stats: if points == Some(7) { vec![Stat::P95, Stat::Last] } else { Vec::new() },
        };
        let _ = query::answer(shared, &query, begin_ms + DAY_MS);
    }
}

/// A store of this folder whose series are those of [`fill`].
pub(super) fn shared(folder: &Path, view: View) -> Shared {
    let catalog = Arc::new(Catalog::default());
    for number in 0..SERIES {
        let series = Series {
            server: "one".into(),
            collector: "c".into(),
            metric: "m".into(),
            labels: Labels::new([("n", number.to_string())]),
            unit: "".into(),
            kind: kind_of(number),
            interval_ms: 1000,
        };
        catalog.intern(series).unwrap();
    }
    Shared::new(folder.to_owned(), catalog, Limits::new(1 << 30), view, ID + 1)
}

pub(super) fn kind_of(series: u32) -> Kind {
    if series % 2 == 1 { Kind::Counter } else { Kind::Gauge }
}

/// Bytes as numbers.
fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
}

/// A checkpoint, and what the store makes of the state in it.
pub fn checkpoint(bytes: &[u8]) {
    let Some(changes) = checkpoint::parse(bytes) else { return };
    let mut contents = Contents::default();
    for (key, value) in &changes.0 {
        contents.take_in(key, value.as_deref().unwrap_or_default());
    }
}
