//! Reading every byte of a store, to say what of it is damaged. Nothing is changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    super::{
        StoreError, checkpoint,
        folder::{bytes_below, check_version, take_lock},
        log::{header, log_files, log_path},
        numbers,
        segment::SegmentFacts,
        state::Contents,
        tier::Tier,
    },
    damage::{Concerned, Damage, Findings},
    log_scan::LogScan,
    segment_scan::{Lost, SegmentFile},
    state_scan,
};
use crate::series::{Series, SeriesId};

/// Bytes of a log file's header that are the same in every store; what follows is the store's own name.
const HEADER_COMMON: usize = 16;

/// A store that is read file by file.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) path: PathBuf,
    pub(super) findings: Findings,
    /// The series, as far as they are known by now.
    pub(super) series: BTreeMap<u32, Arc<Series>>,
    /// The store's own name, if anything says it.
    pub(super) store: Option<u128>,
    /// The segments, as the state knows them.
    pub(super) stated: BTreeMap<u64, SegmentFacts>,
    /// What is damaged, for whoever repairs it.
    pub(super) damaged: Damaged,
}

/// Files that are damaged.
#[derive(Debug, Default)]
pub(super) struct Damaged {
    /// Numbers of log files, and whether they are held.
    pub(super) logs: Vec<(u64, bool)>,
    pub(super) segments: Vec<SegmentAt>,
    /// Segments that the state names and that are gone.
    pub(super) missing: Vec<(u64, Lost)>,
    pub(super) state: bool,
    pub(super) checkpoint: bool,
}

/// Tier, first and last instant of segments, by number.
type Spans = BTreeMap<u64, (Tier, i64, i64)>;

/// A segment's file, and what its name says.
#[derive(Debug, Clone)]
pub(super) struct SegmentAt {
    pub(super) path: PathBuf,
    /// What is known of it without opening it, from the state where that has it.
    pub(super) facts: SegmentFacts,
}

/// Checks the store in `path`; also one that a daemon has at present, but for its state then.
pub fn check(path: &Path) -> Result<Findings, StoreError> {
    let lock = match take_lock(path) {
        Ok(lock) => Some(lock),
        Err(StoreError::InUse { .. }) => None,
        Err(error) => return Err(error),
    };
    check_version(path)?;
    let mut check = Check::new(path);
    check.run(lock.is_none())?;
    Ok(check.findings)
}

impl Check {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            findings: Findings::default(),
            series: BTreeMap::new(),
            store: None,
            stated: BTreeMap::new(),
            damaged: Damaged::default(),
        }
    }

    /// Reads everything; of a store that is in use, everything but its state.
    pub(super) fn run(&mut self, in_use: bool) -> Result<(), StoreError> {
        self.checkpoint()?;
        let mut stated = None;
        if in_use {
            let note = "state was not read: a daemon has it; stop it to check that too";
            self.findings.notes.push(note.to_owned());
        } else {
            stated = self.state()?;
        }
        let logs = self.path.join("log");
        for (folder, held) in [(logs.clone(), false), (logs.join("held"), true)] {
            self.logs(&folder, held)?;
        }
        let there = self.segments()?;
        if let Some(stated) = stated {
            self.missing(&stated, &there);
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), StoreError> {
        let file = self.path.join("checkpoint").join(checkpoint::FILE);
        let Ok(facts) = fs::metadata(&file) else { return Ok(()) };
        self.findings.reads(facts.len());
        match checkpoint::read(&file) {
            Ok(changes) => {
                let mut contents = Contents::default();
                for (key, value) in &changes.0 {
                    contents.take_in(key, value.as_deref().unwrap_or_default());
                }
                self.take_in(contents);
            }
            Err(StoreError::Damaged { what, .. }) => {
                self.damaged.checkpoint = true;
                self.findings.whole_file(&file, facts.len(), what);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Option<Spans>, StoreError> {
        let folder = self.path.join("sled");
        if !folder.exists() {
            self.findings.notes.push("there is no state: the next start rebuilds it".to_owned());
            return Ok(None);
        }
        let bytes = bytes_below(&folder);
        self.findings.reads(bytes);
        let read = state_scan::read(&folder)?;
        if let Some(damage) = read.damage {
            self.damaged.state = true;
            self.findings.whole_file(&folder, bytes, damage);
        }
        let mut contents = Contents::default();
        read.pairs.iter().for_each(|(key, value)| contents.take_in(key, value));
        let span = |facts: &SegmentFacts| (facts.tier, facts.first_ms, facts.last_ms);
        let stated = contents.segments.iter().map(|(id, facts)| (*id, span(facts))).collect();
        self.take_in(contents);
        Ok(Some(stated))
    }

    fn take_in(&mut self, contents: Contents) {
        self.store = contents.store.or(self.store);
        self.stated.extend(contents.segments);
        let series = contents.series.into_iter().map(|(id, series)| (id, Arc::new(series)));
        self.series.extend(series);
    }

    fn logs(&mut self, folder: &Path, held: bool) -> Result<(), StoreError> {
        let files = match log_files(folder) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::file("list", folder)(error)),
        };
        let newest = files.last().map(|(sequence, _)| *sequence).filter(|_| !held);
        for (sequence, _) in files {
            let path = log_path(folder, sequence);
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                // It was sealed meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(StoreError::file("read log", path)(error)),
            };
            self.findings.reads(bytes.len() as u64);
            let mut scan = LogScan::of(&bytes, sequence);
            if newest != Some(sequence) {
                scan.lose_tail(bytes.len());
            } else if scan.end < bytes.len() {
                let tail = bytes.len() - scan.end;
                let note = format!(
                    "{}: ends in half a record of {tail} bytes, as a kill leaves it; the next start cuts it off",
                    path.display()
                );
                self.findings.notes.push(note);
            }
            let wanted = header(sequence, self.store.unwrap_or_default());
            let compared = if self.store.is_some() { wanted.len() } else { HEADER_COMMON };
            // A kill may have left less than a header of the newest file.
            let there = bytes.len().min(compared);
            let whole_header = bytes.get(..there) == wanted.get(..there);
            if !whole_header {
                let what = "its header is damaged; its records are read all the same";
                self.findings.add(Damage::new(&path, (0, wanted.len() as u64), what));
            }
            if !whole_header || !scan.lost.is_empty() {
                self.damaged.logs.push((sequence, held));
            }
            scan.damages(&path).into_iter().for_each(|damage| self.findings.add(damage));
            for (id, series) in scan.series {
                self.series.entry(id).or_insert_with(|| Arc::new(series));
            }
        }
        Ok(())
    }

    /// Reads every segment; answers which there are, and of what times.
    fn segments(&mut self) -> Result<Spans, StoreError> {
        let mut there = BTreeMap::new();
        for tier in Tier::ALL {
            for mut at in segments_of(&self.path.join("segments"), tier)? {
                if let Some(stated) = self.stated.get(&at.facts.id) {
                    at.facts = stated.clone();
                }
                let bytes = fs::metadata(&at.path).map_or(0, |facts| facts.len());
                let names = |id: SeriesId| self.series.get(&id.0).cloned();
                let file = SegmentFile { at: &at, store: self.store, names: &names };
                let mut span = (i64::MAX, i64::MIN);
                let scanned = file.scan(&mut |whole| {
                    let (first_ms, last_ms) = whole.span();
                    span = (span.0.min(first_ms), span.1.max(last_ms));
                });
                let scan = match scanned {
                    Ok(scan) => scan,
                    // Retention, or its merging into another one, was faster.
                    Err(StoreError::File { source, .. })
                        if source.kind() == ErrorKind::NotFound =>
                    {
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                self.findings.reads(bytes);
                there.insert(at.facts.id, (tier, span.0, span.1));
                if !scan.damages.is_empty() {
                    self.damaged.segments.push(at.clone());
                }
                scan.damages.into_iter().for_each(|damage| self.findings.add(damage));
                for (id, series) in scan.table.into_iter().flat_map(|table| table.series) {
                    self.series.entry(id.0).or_insert(series);
                }
            }
        }
        Ok(there)
    }

    /// Says which segments the state names that are not there. A kill between deleting one and telling the state
    /// leaves such a name too: then nothing older is there, or another one holds the same.
    fn missing(&mut self, stated: &Spans, there: &Spans) {
        let gone = stated.iter().filter(|(id, _)| !there.contains_key(id));
        for (id, (tier, first_ms, last_ms)) in gone {
            let mut others = there.values().filter(|(other, ..)| other == tier);
            let has_older = others.clone().any(|(_, first, _)| first < first_ms);
            let has_same = others.any(|(_, first, last)| first <= last_ms && last >= first_ms);
            if has_older && !has_same {
                let file = self.path.join("segments").join(format!("{id:016x}.seg"));
                let mut damage = Damage::new(&file, (0, 0), "the state names it, and it is gone");
                let series = "whatever it held".to_owned();
                let (from_ms, to_ms) = (Some(*first_ms), Some(*last_ms));
                damage.concerns(Concerned { series, from_ms, to_ms });
                self.findings.add(damage);
                self.damaged
                    .missing
                    .push((*id, Lost { series: None, first_ms: *first_ms, last_ms: *last_ms }));
            }
        }
    }
}

/// The segments of a tier, by number.
pub(super) fn segments_of(segments: &Path, tier: Tier) -> Result<Vec<SegmentAt>, StoreError> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let of_tier = segments.join(tier.name());
    let folders = match fs::read_dir(&of_tier) {
        Ok(folders) => folders,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(StoreError::file("list", of_tier)(error)),
    };
    for folder in folders.flatten() {
        let name = folder.file_name();
        let Some(span) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let path = file.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let is_segment = path.extension().is_some_and(|extension| extension == "seg");
            let id = numbers::of_file(stem).filter(|_| is_segment);
            if let Some(id) = id.filter(|id| seen.insert(*id)) {
                found.push(SegmentAt { path, facts: SegmentFacts::empty(id, tier, span) });
            }
        }
    }
    found.sort_by_key(|at| at.facts.id);
    Ok(found)
}
