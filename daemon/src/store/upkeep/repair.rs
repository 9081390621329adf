//! Rebuilding from what is whole what a check has found damaged.
//!
//! ```text
//!  segment     a new one of its whole columns, under its name
//!  log         the same file with what is lost overwritten by records that say nothing: all others keep their places
//!  state       a new one from the checkpoint and what of the old one can be read
//!  checkpoint  a new one from the state
//! ```

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    super::{
        StoreError,
        access::check_access,
        checkpoint,
        codec::Effort,
        folder::{check_version, replace, take_lock},
        gaps::Stretch,
        log::{header, log_path},
        record::{FILLER_LEAST, RECORD_MAX, Records},
        segment::{SegmentFacts, SegmentWriter},
        sled_state::SledState,
        state::{Changes, StateStore},
        table::{StreamEnd, Table},
    },
    check::{Check, SegmentAt},
    damage::Findings,
    log_scan::LogScan,
    quarantine::Quarantine,
    restore::give_to,
    segment_scan::{SegmentFile, Whole},
    state_scan,
};
use crate::series::{Kind, Series, SeriesId};

/// So much of a segment waits in memory before it is written.
const PENDING_MAX: u64 = 16 << 20;
/// So many keys are told to the state in one piece.
const KEYS_AT_ONCE: usize = 4096;

/// A store being repaired, which nobody else has.
struct Repair {
    check: Check,
    quarantine: Quarantine,
    /// What the state is told of it.
    changes: Changes,
    told: Vec<String>,
}

/// Checks the store in `path`, and repairs what is damaged. Answers what was found before, and what was done.
pub fn repair(path: &Path) -> Result<Findings, StoreError> {
    check_access(path)?;
    let _lock = take_lock(path)?;
    check_version(path)?;
    let mut check = Check::new(path);
    check.run(false)?;
    if check.findings.is_whole() {
        return Ok(check.findings);
    }
    let quarantine = Quarantine::of(path);
    let mut repair = Repair { check, quarantine, changes: Changes::default(), told: Vec::new() };
    for at in std::mem::take(&mut repair.check.damaged.segments) {
        repair.segment(&at)?;
    }
    for (sequence, held) in std::mem::take(&mut repair.check.damaged.logs) {
        repair.log(sequence, held)?;
    }
    for id in std::mem::take(&mut repair.check.damaged.missing) {
        repair.changes.no_segment(id);
        repair.told.push(format!("segment {id:016x}: gone, and no longer named by the state"));
    }
    repair.state()?;
    // Whoever is root leaves nothing behind that the daemon may not touch.
    give_to(path, std::fs::metadata(path).ok().as_ref())?;
    let mut findings = repair.check.findings;
    findings.repairs = repair.told;
    let mut again = Check::new(path);
    again.run(false)?;
    let left = again.findings.damages.len();
    findings.repaired = left == 0;
    findings.repairs.push(match left {
        0 => "checked again: everything is whole".to_owned(),
        _ => format!("checked again: {left} damages are left"),
    });
    Ok(findings)
}

impl Repair {
    /// Writes a segment of the columns that are whole, and puts it in the place of the damaged one.
    fn segment(&mut self, at: &SegmentAt) -> Result<(), StoreError> {
        let SegmentAt { path, facts } = at;
        let segments = self.check.path.join("segments");
        let store = self.check.store;
        let known = self.check.series.clone();
        let names = |id: SeriesId| known.get(&id.0).cloned();
        let file = SegmentFile { at, store, names: &names };
        // What it says of itself decides how it is written.
        let said = file.scan(&mut |_| ())?.facts.unwrap_or_else(|| facts.clone());
        let flags = if facts.samples > 0 { facts } else { &said };
        let (folded, settled) = (flags.folded, flags.settled);
        let anew =
            SegmentFacts { folded, settled, ..SegmentFacts::empty(facts.id, said.tier, said.span) };
        let mut writer = SegmentWriter::create(&segments, anew, store.unwrap_or_default())?;
        let mut written = Ok(());
        let mut series = BTreeMap::new();
        let mut ends: BTreeMap<(Arc<str>, Arc<str>), StreamEnd> = BTreeMap::new();
        let scan = file.scan(&mut |whole| {
            let (_, last_ms) = whole.span();
            let ids: Vec<SeriesId> = match &whole {
                Whole::Rows(group) => group.columns.iter().map(|column| column.series).collect(),
                Whole::Rollups(id, _) => vec![*id],
            };
            for (id, known) in ids.iter().filter_map(|id| Some((*id, known.get(&id.0)?))) {
                series.insert(id, known.clone());
                let end = ends.entry((known.server.clone(), known.collector.clone()));
                let end = end.or_insert_with(|| end_of(known, last_ms));
                end.last_ms = end.last_ms.max(last_ms);
            }
            match whole {
                Whole::Rows(group) => writer.add(&group),
                Whole::Rollups(id, rollups) => {
                    let kind = known.get(&id.0).map_or(Kind::Gauge, |known| known.kind);
                    writer.add_rollups(id, kind, &rollups, Effort::Settled);
                }
            }
            if written.is_ok() && writer.pending() > PENDING_MAX {
                written = writer.write_out();
            }
        });
        let scan = match scan.and_then(|scan| written.map(|()| scan)) {
            Ok(scan) => scan,
            Err(error) => {
                writer.abandon();
                return Err(error);
            }
        };
        if scan.samples == 0 {
            writer.abandon();
            let aside = self.quarantine.take(path)?;
            self.changes.no_segment(facts.id);
            let (path, aside) = (path.display(), aside.display());
            self.told.push(format!("{path}: no column is whole: moved to {aside}, all is lost"));
            return Ok(());
        }
        let numbers = known.last_key_value().map_or(0, |(id, _)| id.saturating_add(1));
        let rebuilt = Table {
            numbers,
            series: series.into_iter().collect(),
            streams: ends.into_values().collect(),
            ..Table::default()
        };
        writer.close(&scan.table.unwrap_or(rebuilt));
        if let Err(error) = writer.write_out() {
            writer.abandon();
            return Err(error);
        }
        let aside = self.quarantine.keep(path)?;
        let facts: SegmentFacts = writer.finish()?;
        self.changes.segment(&facts);
        self.told.push(format!(
            "{}: rewritten, {} samples saved, {} damages left out; the original is {}",
            path.display(),
            facts.samples,
            scan.damages.len(),
            aside.display()
        ));
        Ok(())
    }

    /// Overwrites what a log file has lost.
    fn log(&mut self, sequence: u64, held: bool) -> Result<(), StoreError> {
        let logs = self.check.path.join("log");
        let path = log_path(&if held { logs.join("held") } else { logs }, sequence);
        let mut bytes = std::fs::read(&path).map_err(StoreError::file("read log", &path))?;
        let mut scan = LogScan::of(&bytes, sequence);
        let begin = header(sequence, self.check.store.unwrap_or_default());
        if let Some(first) = bytes.get_mut(..begin.len()) {
            first.copy_from_slice(&begin);
        }
        bytes.truncate(scan.end);
        let mut ranges: Vec<_> = scan.lost.iter().map(|lost| lost.range.clone()).collect();
        ranges.append(&mut scan.orphans);
        ranges.sort_by_key(|range| range.start);
        let mut lost_bytes = 0;
        for range in ranges.chunk_by(|one, next| one.end >= next.start) {
            let start = range.first().map_or(0, |range| range.start);
            let end = range.iter().map(|range| range.end).max().unwrap_or(start);
            lost_bytes += end - start;
            if end >= bytes.len() {
                bytes.truncate(start);
                continue;
            }
            fill(&mut bytes[start..end], sequence, start as u64);
        }
        let aside = self.quarantine.keep(&path)?;
        replace(&path, &bytes).map_err(StoreError::file("write log", &path))?;
        for gap in scan.lost.iter().filter(|_| !held).flat_map(|lost| &lost.gaps) {
            let stretch: Stretch = gap.clone().into();
            self.changes.gap(&gap.server, &gap.collector, &stretch);
        }
        self.told.push(format!(
            "{}: rewritten, {} samples saved, {lost_bytes} bytes left out; the original is {}",
            path.display(),
            scan.samples,
            aside.display()
        ));
        Ok(())
    }

    /// Rebuilds state and checkpoint where they are damaged, and tells the state what was repaired.
    fn state(&mut self) -> Result<(), StoreError> {
        let folder = self.check.path.join("sled");
        let file = self.check.path.join("checkpoint").join(checkpoint::FILE);
        let mut pairs = Changes::default();
        if self.check.damaged.state {
            let mut copied = 0;
            if !self.check.damaged.checkpoint && file.exists() {
                pairs = checkpoint::read(&file)?;
                copied = pairs.0.len();
            }
            let read = state_scan::read(&folder)?.pairs;
            let saved = read.len();
            pairs.0.extend(read.into_iter().map(|(key, value)| (key, Some(value))));
            let aside = self.quarantine.take(&folder)?;
            self.told.push(format!(
                "{}: rebuilt from {copied} keys of the last checkpoint and {saved} that could be read; changes since \
                 that checkpoint which could not be read are lost; the original is {}",
                folder.display(),
                aside.display()
            ));
        } else if !folder.exists() {
            // The next start rebuilds it from everything else.
            return Ok(());
        }
        pairs.0.append(&mut self.changes.0);
        // Whose state this is comes last: without it, the next start begins again with the checkpoint.
        let (name, others): (Vec<_>, Vec<_>) =
            pairs.0.into_iter().partition(|(key, _)| key == b"mstore");
        let (mut state, _) = SledState::open(&folder)?;
        for some in others.chunks(KEYS_AT_ONCE).chain(name.chunks(KEYS_AT_ONCE)) {
            state.apply(&Changes(some.to_vec()))?;
        }
        if self.check.damaged.checkpoint {
            let aside = self.quarantine.take(&file)?;
            checkpoint::write(&file, &mut state)?;
            let (file, aside) = (file.display(), aside.display());
            self.told.push(format!("{file}: written anew from the state; the original is {aside}"));
        }
        Ok(())
    }
}

/// Overwrites bytes of a log file with records that say nothing. What is too short for one stays as it is.
fn fill(lost: &mut [u8], sequence: u64, at: u64) {
    let mut records = Records::new(sequence, at);
    let mut left = lost.len();
    while left >= FILLER_LEAST {
        // What is left then must be long enough for another one.
        let most = RECORD_MAX - FILLER_LEAST;
        let length = if left > most { most - FILLER_LEAST } else { left };
        records.filler(length);
        left -= length;
    }
    lost[..records.bytes.len()].copy_from_slice(&records.bytes);
}

fn end_of(series: &Series, last_ms: i64) -> StreamEnd {
    StreamEnd {
        server: series.server.clone(),
        collector: series.collector.clone(),
        interval_ms: series.interval_ms,
        last_ms,
    }
}
