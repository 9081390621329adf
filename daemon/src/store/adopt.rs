//! Which segments count, at start: from the files that are there, and what the state says of them.
//!
//! # Invariants
//!
//! - What several segments hold counts once. A segment that replaces others counts in their stead, and those go; minutes
//!   that were sealed with samples count with them, and go where the samples never got their name.
//! - Both may be found only behind a crash: the state is told of a segment when nothing of the kind is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{
    StoreError, disk, numbers, segment::SegmentFacts, segment_read::Segment,
    shared::remove_if_there, state::Contents, table::Table, tier::Tier,
};
use crate::{logging::chain, series::Series};

/// The segments by number.
pub(super) type Segments = BTreeMap<u64, SegmentFacts>;

/// The segments that count.
#[derive(Debug, Default)]
pub(super) struct Adopted {
    pub(super) segments: Segments,
    /// Those that the state has to be told of.
    pub(super) untold: Vec<SegmentFacts>,
    /// Those that the state still names and that are gone.
    pub(super) gone: Vec<u64>,
    /// Number of the next segment: what the state says of one that is gone must not be taken for another.
    pub(super) next: u64,
}

/// The segments in the folder, as far as their names say; drafts are deleted.
pub(super) fn list(segments: &Path) -> Result<Segments, StoreError> {
    let mut found = Segments::new();
    let failed = |path: &Path| StoreError::file("list", path.to_owned());
    for tier in Tier::ALL {
        let of_tier = segments.join(tier.name());
        if !of_tier.exists() {
            continue;
        }
        for folder in fs::read_dir(&of_tier).map_err(failed(&of_tier))? {
            let folder = folder.map_err(failed(&of_tier))?.path();
            let name = folder.file_name().and_then(|name| name.to_str());
            let Some(span) = name.and_then(|name| name.parse().ok()) else { continue };
            for entry in fs::read_dir(&folder).map_err(failed(&folder))? {
                let path = entry.map_err(failed(&folder))?.path();
                match path.extension().and_then(|extension| extension.to_str()) {
                    Some("tmp") => disk::remove_file(&path).map_err(failed(&path))?,
                    Some("seg") => found.extend(facts_of(&path, tier, span)),
                    _ => (),
                }
            }
        }
    }
    Ok(found)
}

/// What the name of a file says of the segment; it may be anywhere in its span.
fn facts_of(path: &Path, tier: Tier, span: i64) -> Option<(u64, SegmentFacts)> {
    let id = numbers::of_file(path.file_stem()?.to_str()?)?;
    let bytes = path.metadata().map_or(0, |facts| facts.len());
    let begin_ms = |span: i64| span.saturating_mul(tier.span_ms());
    let (first_ms, last_ms) = (begin_ms(span), begin_ms(span.saturating_add(1)));
    let facts = SegmentFacts { first_ms, last_ms, bytes, ..SegmentFacts::empty(id, tier, span) };
    Some((id, facts))
}

/// Fills in what the state does not know of the segments that are there, and forgets those that are not.
pub(super) fn adopt(
    segments_folder: &Path,
    mut files: Segments,
    contents: &mut Contents,
) -> Result<Adopted, StoreError> {
    let newest = files.last_key_value();
    let newest = newest.and_then(|(id, facts)| table_of(segments_folder, *id, facts).ok());
    let numbers = newest.map_or(0, |(_, table)| table.numbers);
    // A state that has lost series says nothing of them: ask every segment then.
    let is_complete = (0..numbers).all(|id| contents.series.contains_key(&id));
    let stated = std::mem::take(&mut contents.segments);
    let named: BTreeSet<u64> = stated.keys().copied().collect();
    let highest = named.last().max(files.keys().next_back()).copied();
    let known = if is_complete { stated } else { Segments::new() };

    let mut untold = BTreeMap::new();
    for (id, facts) in &mut files {
        if let Some(known) = known.get(id) {
            *facts = known.clone();
            continue;
        }
        let table = match table_of(segments_folder, *id, facts) {
            Ok((found, table)) => {
                *facts = found;
                table
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "store cannot read a segment");
                Table::default()
            }
        };
        untold.insert(*id, table);
    }
    leave_out_made_up(segments_folder, &files, &contents.series, &mut untold);
    let is_known = is_complete && contents.store.is_some();
    for gone in left_behind(&files, &untold, is_known) {
        if let Some(facts) = files.remove(&gone) {
            tracing::info!(segment = gone, "store deleted what a crash had left half done");
            remove_if_there(&facts.path(segments_folder))?;
            untold.remove(&gone);
        }
    }
    let folded: BTreeSet<u64> = untold.values().flat_map(|table| table.folds.clone()).collect();
    for table in untold.values_mut() {
        for (number, series) in table.series.drain(..) {
            contents.series.entry(number.0).or_insert_with(|| (*series).clone());
        }
        contents.streams.append(&mut table.streams);
    }
    let gone = named.into_iter().filter(|id| !files.contains_key(id)).collect();
    let next = highest.map_or(1, |highest| highest + 1);
    let mut adopted = Adopted { gone, next, ..Adopted::default() };
    for (id, mut facts) in files {
        let is_news = folded.contains(&id) && !facts.folded;
        facts.folded |= is_news;
        if is_news || untold.contains_key(&id) {
            adopted.untold.push(facts.clone());
        }
        adopted.segments.insert(id, facts);
    }
    Ok(adopted)
}

fn table_of(
    segments: &Path,
    id: u64,
    facts: &SegmentFacts,
) -> Result<(SegmentFacts, Table), StoreError> {
    let segment = Segment::open(&facts.path(segments), id)?;
    let table = segment.table()?;
    Ok((segment.facts().clone(), table))
}

/// Takes from the tables the series whose numbers cannot have been given.
fn leave_out_made_up(
    segments: &Path,
    files: &Segments,
    known: &BTreeMap<u32, Series>,
    untold: &mut BTreeMap<u64, Table>,
) {
    if untold.is_empty() {
        return;
    }
    let told = untold.values().flat_map(|table| table.series.iter().map(|(id, _)| id.0));
    let mut all: Vec<u32> = known.keys().copied().chain(told).collect();
    all.sort_unstable();
    all.dedup();
    let Some(made_up) = numbers::first_made_up(all) else { return };
    for (id, table) in untold {
        let before = table.series.len();
        table.series.retain(|(number, _)| number.0 < made_up);
        if let Some(facts) = files.get(id).filter(|_| table.series.len() < before) {
            let what = "its table names series by numbers that were never given: they are left out";
            let error = StoreError::Damaged { path: facts.path(segments), what };
            tracing::error!(error = chain(&error), "store cannot believe all of a segment");
        }
    }
}

/// The segments that do not count, of those that are there; `untold` are the tables of those that the state does not
/// know, which is all of them unless the state is known.
///
/// Minutes are half a pair where the raw segment with the next number, which they name, never got its name. The state is
/// told of both before that one can go for another reason, but for being settled, and then it does not know what
/// replaces it either. Without a state, what was sealed last may be half done.
fn left_behind(files: &Segments, untold: &BTreeMap<u64, Table>, is_known: bool) -> BTreeSet<u64> {
    let replaced: BTreeSet<u64> =
        untold.values().flat_map(|table| table.replaces.iter().copied()).collect();
    let fresh = files.values().filter(|facts| facts.tier == Tier::Raw && !facts.settled);
    let newest = fresh.map(|facts| facts.id).max().unwrap_or_default();
    let is_half_a_pair = |(id, table): &(&u64, &Table)| {
        let raw = **id + 1;
        files.get(id).is_some_and(|facts| facts.tier == Tier::Minute && !facts.settled)
            && table.folds == [raw]
            && !files.contains_key(&raw)
            && !replaced.contains(&raw)
            && (is_known || **id > newest)
    };
    let half_pairs: Vec<u64> = untold.iter().filter(is_half_a_pair).map(|(id, _)| *id).collect();
    replaced.into_iter().chain(half_pairs).filter(|id| files.contains_key(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(u64, Tier, bool)]) -> Segments {
        let facts = of.iter().map(|(id, tier, settled)| {
            (*id, SegmentFacts { settled: *settled, ..SegmentFacts::empty(*id, *tier, 0) })
        });
        facts.collect()
    }

    #[test]
    fn what_was_replaced_goes_and_so_do_minutes_without_their_samples() {
        let there = files(&[
            (1, Tier::Minute, false),
            (2, Tier::Raw, false),
            (5, Tier::Minute, false),
            (7, Tier::Raw, true),
            (8, Tier::Minute, false),
        ]);
        let table = |replaces: &[u64], folds: &[u64]| Table {
            replaces: replaces.to_vec(),
            folds: folds.to_vec(),
            ..Table::default()
        };
        let untold = BTreeMap::from([
            (1, table(&[], &[2])),
            // Its samples have been settled.
            (5, table(&[], &[6])),
            (7, table(&[2, 3, 6], &[])),
            (8, table(&[], &[9])),
        ]);
        assert_eq!(left_behind(&there, &untold, false), BTreeSet::from([2, 8]));
        assert_eq!(left_behind(&there, &untold, true), BTreeSet::from([2, 8]));
        assert_eq!(left_behind(&there, &BTreeMap::new(), true), BTreeSet::new());
        // A settled segment may have got its name between those of a pair.
        let between = files(&[(4, Tier::Minute, false), (7, Tier::Raw, true)]);
        let untold = BTreeMap::from([(4, table(&[], &[5])), (7, table(&[2, 3], &[]))]);
        assert_eq!(left_behind(&between, &untold, true), BTreeSet::from([4]));
        assert_eq!(left_behind(&between, &untold, false), BTreeSet::from([4]));
        let replaced = BTreeMap::from([(4, table(&[], &[5])), (7, table(&[5], &[]))]);
        assert_eq!(left_behind(&between, &replaced, true), BTreeSet::new());
    }
}
