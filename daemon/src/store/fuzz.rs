//! What fuzzing reaches of the store: each takes any bytes as one kind of file, and reads all that can be read of it.
//!
//! Present only where cargo-fuzz builds (`tests/fuzz`). Checksums are all zero there, or nothing made up would get past
//! the first of them.
//!
//! # Panics
//!
//! Every function here, when something that is promised does not hold.

#![expect(clippy::unwrap_used, reason = "what does not hold should stop")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::{
    checkpoint,
    codec::{ROWS_MAX, put_times, put_values, read_times, read_values},
    log::log_path,
    log_cursor::LogCursor,
    replay::Replay,
    segment_read::Segment,
    shared::View,
    state::Contents,
};

/// A folder of this process, in memory where there is one.
fn folder() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let above = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = above.join(format!("bartizan-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A log file, as the start reads it, and as whoever reads along does: both see the same frames.
pub fn log(bytes: &[u8]) {
    let folder = folder();
    let path = log_path(&folder, 1);
    fs::write(&path, bytes).unwrap();
    let mut replay = Replay::new(View::default(), BTreeMap::new());
    replay.read_file(&folder, 1, true).unwrap();
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
    let mut cursor = LogCursor::new(fs::File::open(&path).unwrap(), 1);
    let end = cursor.length().unwrap();
    while cursor.next(end).unwrap().is_some() {}
}

/// Columns: what can be read has as many rows as it should; values and times come back bit for bit.
pub fn block(bytes: &[u8]) {
    let Some((rows, bytes)) = bytes.split_first_chunk::<2>() else { return };
    let rows = usize::from(u16::from_le_bytes(*rows)) % (ROWS_MAX + 2);
    if let Some(times) = read_times(bytes, rows) {
        assert_eq!(times.len(), rows);
    }
    if let Some(values) = read_values(bytes, rows) {
        assert_eq!(values.len(), rows);
    }
    let words: Vec<u64> = bytes
        .chunks_exact(8)
        .take(ROWS_MAX)
        .map(|b| u64::from_le_bytes(b.try_into().unwrap()))
        .collect();
    if words.is_empty() {
        return;
    }
    let values: Vec<f64> = words.iter().map(|word| f64::from_bits(*word)).collect();
    let mut column = Vec::new();
    put_values(&mut column, &values);
    let back = read_values(&column, values.len()).unwrap();
    assert!(back.iter().map(|value| value.to_bits()).eq(words.iter().copied()), "bit for bit");
    let times: Vec<i64> = words.iter().map(|word| word.cast_signed()).collect();
    column.clear();
    put_times(&mut column, &times);
    assert_eq!(read_times(&column, times.len()).unwrap(), times);
}

/// A segment: its table, its index, and every column that the index names.
pub fn segment(bytes: &[u8]) {
    let path = folder().join("0000000000000001.seg");
    fs::write(&path, bytes).unwrap();
    let Ok(segment) = Segment::open(&path, 1) else { return };
    if let Ok(table) = segment.table() {
        assert_eq!(super::table::Table::from_bytes(&table.to_bytes()).unwrap(), table);
    }
    let mut entries = Vec::new();
    // What is not there ends it; what is, may be any number of entries.
    let _ = segment.each_entry(|entry| {
        if entries.len() < 64 {
            entries.push(*entry);
        }
    });
    for entry in entries {
        segment.span(&entry);
        if let Ok(times) = segment.times(&entry)
            && let Ok(samples) = segment.values(&entry, &times)
        {
            assert!(samples.len() <= times.len());
        }
        let _ = segment.find(entry.series);
    }
}

/// A checkpoint, and what the store makes of the state in it.
pub fn checkpoint(bytes: &[u8]) {
    let Some(changes) = checkpoint::parse(bytes) else { return };
    let mut contents = Contents::default();
    for (key, value) in &changes.0 {
        contents.take_in(key, value.as_deref().unwrap_or_default());
    }
}
