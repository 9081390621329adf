//! Rebuilding from what is whole what a check has found damaged.
//!
//! ```text
//!  segment     a new one under its name: see [`super::rewrite`]
//!  log         the same file with what is lost overwritten by records that say nothing: all others keep their places
//!  state       a new one from the checkpoint and what of the old one can be read
//!  checkpoint  a new one from the state
//! ```

use std::path::Path;

use super::{
    super::{
        StoreError,
        access::{GivenBack, check_access},
        checkpoint,
        folder::{check_version, replace, take_lock},
        gaps::Stretch,
        log::{header, log_path},
        record::{FILLER_LEAST, RECORD_MAX, Records},
        sled_state::SledState,
        state::{Changes, StateStore},
    },
    check::Check,
    damage::Findings,
    log_scan::LogScan,
    quarantine::Quarantine,
    state_scan,
};

/// So many keys are told to the state in one piece.
const KEYS_AT_ONCE: usize = 4096;

/// A store being repaired, which nobody else has.
pub(super) struct Repair {
    pub(super) check: Check,
    pub(super) quarantine: Quarantine,
    /// What the state is told of it.
    pub(super) changes: Changes,
    /// Gaps that nothing but the state tells.
    pub(super) gaps: usize,
    pub(super) told: Vec<String>,
}

/// Checks the store in `path`, and repairs what is damaged. Answers what was found before, and what was done.
pub fn repair(path: &Path) -> Result<Findings, StoreError> {
    check_access(path)?;
    let _lock = take_lock(path)?;
    let _given_back = GivenBack(path.to_owned());
    check_version(path)?;
    let mut check = Check::new(path);
    check.run(false)?;
    if check.findings.is_whole() {
        return Ok(check.findings);
    }
    let quarantine = Quarantine::of(path);
    let (changes, gaps, told) = (Changes::default(), 0, Vec::new());
    let mut repair = Repair { check, quarantine, changes, gaps, told };
    // Samples first: what they come to is made of those that are left.
    for at in std::mem::take(&mut repair.check.damaged.segments) {
        repair.segment(&at)?;
    }
    for (sequence, held) in std::mem::take(&mut repair.check.damaged.logs) {
        repair.log(sequence, held)?;
    }
    for (id, lost) in std::mem::take(&mut repair.check.damaged.missing) {
        repair.changes.no_segment(id);
        repair.tell_lost(&[lost], None);
        repair.told.push(format!("segment {id:016x}: gone, and no longer named by the state"));
    }
    repair.state()?;
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
            self.gaps += 1;
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
        } else if !folder.exists() && self.gaps == 0 {
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
