//! Thousands of damages to log, segments and checkpoint: never a wrong value, never a panic, and no more is lost than
//! what stands where the damage is.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use tempfile::TempDir;

use super::{
    super::{
        checkpoint,
        codec::Effort,
        delta::Delta,
        log::{LOG_HEADER, header, log_path},
        numbers::LOST_MAX,
        record::{Records, Schema},
        replay::Replay,
        segment::{
            DAY_MS, FOOTER, GroupColumn, HEADER, SegmentFacts, SegmentWriter, footer_checksum,
        },
        segment_read::Segment,
        shared::View,
        state::Changes,
        table::Table,
        upkeep::check,
    },
    *,
};

/// Values by collector, time and series.
type Held = BTreeMap<(String, i64, SeriesId), u64>;

/// Does something to bytes that a disk may do to them; whether no more than one byte is hurt.
fn damage(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) -> bool {
    let at = random.usize(..bytes.len());
    let end = (at + random.usize(1..600)).min(bytes.len());
    match random.u8(..6) {
        0 | 1 => {
            bytes[at] ^= 1 << random.u8(..8);
            return true;
        }
        2 => bytes.truncate(at),
        3 => bytes[at..end].fill(0),
        4 => {
            let from = random.usize(..=bytes.len() - (end - at));
            bytes.copy_within(from..from + (end - at), at);
        }
        _ => {
            let garbage: Vec<u8> = (at..end).map(|_| random.u8(..)).collect();
            bytes.splice(at..at, garbage);
        }
    }
    false
}

/// As often as there is time for.
fn many_times(least: usize, mut each: impl FnMut(&mut fastrand::Rng)) {
    let mut random = fastrand::Rng::with_seed(11);
    let (began, mut done) = (Instant::now(), 0);
    while began.elapsed() < patience() {
        each(&mut random);
        done += 1;
    }
    eprintln!("{done} damages in {:?}", began.elapsed());
    assert!(done >= least, "{done} damages in {:?}", began.elapsed());
}

/// A store of two collectors with everything in it, and what it holds.
fn filled(folder: &Path, rows: i64) -> Opened {
    let mut store = open(folder);
    let ids: Vec<_> = (0..4).map(|n| store.series(&format!("load_{n}"), "")).collect();
    let mut random = fastrand::Rng::with_seed(5);
    for row in 0..rows {
        let value = random.u64(..);
        for (collector, ids) in [("test", &ids[..2]), ("other", &ids[2..])] {
            let values = [(ids[0], f64::from_bits(value)), (ids[1], row as f64 / 10.0)];
            let frame = frame(START_MS + row * 1000, &values);
            store.write(vec![Frame { collector: collector.into(), ..frame }]);
        }
    }
    store
}

/// What a log file holds, read as at a start.
fn replayed(logs: &Path) -> Held {
    let mut replay = Replay::new(View::default(), BTreeMap::new());
    replay.read_file(logs, 1, true).unwrap();
    let mut held = Held::new();
    for stream in &replay.view.heads.streams {
        for chunk in stream.chunks() {
            let mut row = Vec::new();
            let mut rows = Vec::new();
            let read = chunk.read(
                &mut (&mut row, &mut rows),
                |(row, _), column, value| row.push((chunk.series[column], value.to_bits())),
                |(row, rows), at_ms| rows.push((at_ms, std::mem::take(*row))),
            );
            assert!(read, "a chunk that cannot be read");
            for (at_ms, row) in rows {
                for (id, bits) in row {
                    let before = held.insert((stream.collector.to_string(), at_ms, id), bits);
                    assert_eq!(before, None, "{id:?} at {at_ms} twice");
                }
            }
        }
    }
    held
}

#[test]
fn a_damaged_log_never_lies_and_loses_only_what_stands_there() {
    let folder = TempDir::new().unwrap();
    let store = filled(folder.path(), 300);
    drop(store);
    let logs = folder.path().join("log");
    let file = log_path(&logs, 1);
    let whole = fs::read(&file).unwrap();
    let all = replayed(&logs);
    assert_eq!(all.len(), 300 * 4);
    many_times(100, |random| {
        let mut bytes = whole.clone();
        let is_small = damage(&mut bytes, random);
        fs::write(&file, &bytes).unwrap();
        let held = replayed(&logs);
        assert!(held.iter().all(|(key, bits)| all.get(key) == Some(bits)), "a wrong value");
        // Whose the damaged record was, nobody knows: it costs both what stands up to their next key frames.
        assert!(
            !is_small || held.len() >= all.len() - 2 * 64 * 2,
            "{} of {}",
            held.len(),
            all.len()
        );
    });
}

#[test]
fn a_damaged_segment_never_lies_and_says_what_is_missing() {
    let folder = TempDir::new().unwrap();
    let mut store = filled(folder.path(), 1300);
    let metrics = ["load_0", "load_1", "load_2", "load_3"];
    let all = metrics.map(|metric| store.bits(metric));
    store.seal();
    let segment = &files(folder.path(), "seg")[0];
    let whole = fs::read(segment).unwrap();
    many_times(100, |random| {
        let mut bytes = whole.clone();
        damage(&mut bytes, random);
        fs::write(segment, &bytes).unwrap();
        let number = random.usize(..metrics.len());
        let answer = store.ask(&everything(metrics[number]));
        let read = bits(&answer);
        let known = &all[number];
        assert!(read.iter().all(|sample| known.binary_search(sample).is_ok()), "a wrong value");
        assert!(read.windows(2).all(|pair| pair[0].0 < pair[1].0), "twice, or out of order");
        assert!(answer.partial || read.len() == known.len(), "{} samples", read.len());
    });
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut store = filled(folder.path(), 20);
    store.seal();
    store.store.keeper.checkpoint().unwrap();
    let path = folder.path().join("checkpoint").join(checkpoint::FILE);
    let (whole, said) = (fs::read(&path).unwrap(), checkpoint::read(&path).unwrap());
    many_times(100, |random| {
        let mut bytes = whole.clone();
        damage(&mut bytes, random);
        fs::write(&path, &bytes).unwrap();
        let read = checkpoint::read(&path);
        assert!(read.is_err() || (bytes == whole && read.unwrap() == said));
    });
}

#[test]
fn a_store_with_any_file_damaged_opens_and_never_lies() {
    let folder = TempDir::new().unwrap();
    let mut store = filled(folder.path(), 1100);
    store.seal();
    store.store.keeper.checkpoint().unwrap();
    let id = store.series("load_0", "");
    store.write((1100..1200).map(|row| frame(START_MS + row * 1000, &[(id, 7.0)])).collect());
    let all = store.bits("load_0");
    assert_eq!(all.len(), 1200);
    drop(store);
    many_times(10, |random| {
        let damaged = copy(folder.path());
        let mut every = Vec::new();
        for below in ["log", "segments", "sled", "checkpoint"] {
            every.extend(all_files(&damaged.path().join(below)));
        }
        let path = &every[random.usize(..every.len())];
        let mut bytes = fs::read(path).unwrap();
        if bytes.is_empty() {
            return;
        }
        damage(&mut bytes, random);
        fs::write(path, bytes).unwrap();
        let store = open(damaged.path());
        let answer = store.ask(&everything("load_0"));
        let read = bits(&answer);
        let shown = path.display();
        assert!(read.iter().all(|sample| all.binary_search(sample).is_ok()), "{shown}");
        let is_sled = path.starts_with(damaged.path().join("sled"));
        assert!(!is_sled || read.len() == all.len(), "{shown}: {} samples", read.len());
    });
}

/// A segment that holds one column of samples at `times`, as if they were of the day `span`.
fn segment_of(folder: &Path, span: i64, times: &[i64]) -> (PathBuf, SegmentFacts) {
    let facts = SegmentFacts::empty(1, Tier::Raw, span);
    let mut writer = SegmentWriter::create(folder, facts, 1).unwrap();
    let (rows, values) = ((0..).take(times.len()).collect(), vec![7.0; times.len()]);
    writer.add_column(times, &GroupColumn { series: SeriesId(0), rows, values }, Effort::Fresh);
    writer.close(&Table::default());
    writer.write_out().unwrap();
    let facts = writer.finish().unwrap();
    (facts.path(folder), facts)
}

/// Whoever wrote it could not reckon, which no checksum tells.
#[test]
fn a_segment_that_is_whole_and_makes_no_sense_is_refused() {
    let folder = TempDir::new().unwrap();
    let day = START_MS / DAY_MS;
    let refused = |path: &Path| Segment::open(path, 1).unwrap_err().to_string();
    let (path, facts) = segment_of(folder.path(), day, &[START_MS, START_MS + 1]);
    let whole = fs::read(&path).unwrap();
    let segment = Segment::open(&path, 1).unwrap();
    let entry = segment.entries().unwrap()[0];
    assert_eq!(segment.rows(&entry).unwrap().times, [START_MS, START_MS + 1]);

    let (of_another_day, _) = segment_of(folder.path(), day - 1, &[START_MS]);
    assert!(refused(&of_another_day).contains("its footer makes no sense"));
    for times in [[START_MS, START_MS], [START_MS, START_MS - 5]] {
        let (unordered, _) = segment_of(folder.path(), day, &times);
        let segment = Segment::open(&unordered, 1).unwrap();
        let entry = segment.entries().unwrap()[0];
        let error = segment.rows(&entry).unwrap_err().to_string();
        assert!(error.contains("a column of times makes no sense"), "{error}");
    }
    // Index and number of entries that reach beyond the file, or any number.
    let footer = whole.len() - FOOTER;
    for (place, number) in [(16, u64::MAX), (24, u64::MAX / 32), (24, 1000), (0, u64::MAX)] {
        let mut bytes = whole.clone();
        bytes[footer + place..][..8].copy_from_slice(&number.to_le_bytes());
        let (header, covered) = (&bytes[..HEADER], &bytes[footer..whole.len() - 8]);
        let sum = footer_checksum(facts.id, footer as u64, header, covered);
        bytes[whole.len() - 8..][..4].copy_from_slice(&sum.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        assert!(refused(&path).contains("its footer makes no sense"));
    }
}

#[test]
fn a_frame_that_cannot_be_is_lost_and_no_other() {
    let folder = TempDir::new().unwrap();
    let mut records = Records::new(1, LOG_HEADER as u64);
    let second = START_MS + 1000;
    // A time beyond any clock, and a number whose table would take all memory.
    for (at_ms, id) in
        [(START_MS, 0), (i64::MAX, 0), (second, 0), (i64::MIN, 0), (second, u32::MAX)]
    {
        let (collector, series) = ("test".into(), [SeriesId(id)].into());
        let schema = Schema { server: "one".into(), collector, interval_ms: 1000, series };
        let mut body = Vec::new();
        let head = Delta::new(1).encode(at_ms, &[Some(7.0)], &mut body);
        records.frame(id.into(), Some(&schema), head, &body);
    }
    let bytes = [&header(1, 1)[..], &records.bytes].concat();
    fs::write(log_path(folder.path(), 1), bytes).unwrap();
    let held = replayed(folder.path());
    assert_eq!(held.keys().map(|key| key.1).collect::<Vec<_>>(), [START_MS, second]);
}

/// Samples of a store in a folder, with what chance has put into it: how many series it numbers, and what they hold.
fn opened(folder: &Path) -> (usize, Vec<(i64, u64)>) {
    let store = open(folder);
    (store.catalog.len(), store.bits("load"))
}

/// Whoever believed them would take memory for all numbers below.
#[test]
fn a_number_of_a_series_that_was_never_given_is_believed_nowhere() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..9));
    store.seal();
    let whole = (1, expected(0..9));
    let made_up = |number: u32| (SeriesId(number), Arc::new(series("made up", "")));

    // Of the state, and then of the checkpoint that was made of it.
    let mut changes = Changes::default();
    changes.series_page(u32::MAX / 32, &[made_up(u32::MAX)]);
    store.store.keeper.tell(changes);
    store.store.keeper.checkpoint().unwrap();
    drop(store);
    let without_state = copy(folder.path());
    fs::remove_dir_all(without_state.path().join("sled")).unwrap();
    assert_eq!(opened(without_state.path()), whole);
    fs::remove_dir_all(folder.path().join("checkpoint")).unwrap();
    let findings = check(folder.path()).unwrap();
    assert!(format!("{findings:?}").contains("1 keys make no sense"), "{findings:?}");
    assert_eq!(opened(folder.path()), whole);

    // Of a segment: by its table, which knows of so many, and by its index.
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    let segments = folder.path().join("segments");
    let facts = SegmentFacts::empty(1000, Tier::Raw, START_MS / DAY_MS);
    let mut writer = SegmentWriter::create(&segments, facts, 1).unwrap();
    let column = GroupColumn { series: SeriesId(u32::MAX - 1), rows: vec![0], values: vec![7.0] };
    writer.add_column(&[START_MS + 1], &column, Effort::Fresh);
    writer.close(&Table {
        numbers: u32::MAX,
        series: vec![made_up(u32::MAX - 1)],
        ..Table::default()
    });
    writer.write_out().unwrap();
    writer.finish().unwrap();
    assert_eq!(opened(folder.path()), whole);
    let mut store = open(folder.path());
    let kept = store.arrive(vec![frame(START_MS, &[(store.series("far", ""), 1.0)])]);
    assert_eq!(kept.stored, 1, "judged by what is in segments");
    drop(store);

    // Of the log: each number is near to the one before.
    let mut records = Records::new(1, LOG_HEADER as u64);
    for hop in 0..1000 {
        let named = series(&format!("made up {hop}"), "");
        records.series(SeriesId(hop * (LOST_MAX - 1)), &named);
    }
    let logs = TempDir::new().unwrap();
    fs::write(log_path(logs.path(), 1), [&header(1, 1)[..], &records.bytes].concat()).unwrap();
    let mut replay = Replay::new(View::default(), BTreeMap::new());
    replay.read_file(logs.path(), 1, true).unwrap();
    assert_eq!(replay.series.into_keys().collect::<Vec<_>>(), [0, LOST_MAX - 1]);
}

fn all_files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
