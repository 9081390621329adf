//! Thousands of damages to log, segments and checkpoint: never a wrong value, never a panic, and no more is lost than
//! what stands where the damage is.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use tempfile::TempDir;

use super::{
    super::{checkpoint, log::log_path, replay::Replay, shared::View},
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

fn all_files(below: &Path) -> Vec<std::path::PathBuf> {
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
