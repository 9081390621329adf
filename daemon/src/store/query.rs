//! Answering a question: the tier that is read, and where it has nothing, another that does.
//!
//! # Invariants
//!
//! - A tier is read with all of the finer ones that is not in it yet: no sample is left out, and none counted twice.
//! - Every series comes from one tier, and says from which; only percentiles are added from raw samples.
//! - What is put together or deleted while it is read is looked for again, a few times at most.

use std::sync::Arc;

use super::{
    StoreError,
    asked::{Asked, asked, check_percentiles},
    gaps::{DAMAGED, Stretch, UNEXPLAINED, shown_over, uncovered},
    messages::{Answer, Query, SeriesAnswer, Stat},
    points::up_to,
    shared::Shared,
    sources::{Recent, Sources},
    tier::Tier,
};
use crate::series::{Gap, PRESUMED_INTERVAL_MS};

/// So often a question is answered anew because segments were gone.
const ATTEMPTS: usize = 4;

/// Answers `query` as of `now_ms`. Blocks on the disk.
pub(super) fn answer(shared: &Shared, query: &Query, now_ms: i64) -> Result<Answer, StoreError> {
    if query.from_ms >= query.to_ms {
        return Err(StoreError::Question("`from` must be before `to`"));
    }
    for _ in 1..ATTEMPTS {
        let (answer, gone) = attempt(shared, query, now_ms)?;
        if !gone {
            return Ok(answer);
        }
    }
    // Retention has deleted it, or it is in what is there by now.
    Ok(attempt(shared, query, now_ms)?.0)
}

/// An answer, and whether segments were gone before they were read.
fn attempt(shared: &Shared, query: &Query, now_ms: i64) -> Result<(Answer, bool), StoreError> {
    let mut asked = asked(shared, query)?;
    if asked.is_empty() {
        return Ok((Answer::default(), false));
    }
    let mut sources = Sources::find(shared, &query.server, &asked, now_ms);
    sources.read(shared, &mut asked);
    let mut gone = sources.gone;
    // What a tier no longer has, another may have.
    let earliest = sources.earliest(shared, &asked);
    let (stay, moved): (Vec<_>, Vec<_>) = asked
        .into_iter()
        .zip(earliest)
        .map(|(asked, earliest)| {
            let other = asked.nothing_until_ms().zip(earliest).filter(|(before_ms, (ms, _))| {
                // An index may name times that are up to a second early.
                let interval_ms = i64::from(asked.shape.interval_ms).max(1000);
                asked.shape.is_hole(*ms, *before_ms, interval_ms)
            });
            (other.map(|(_, (_, tier))| tier), asked)
        })
        .partition(|(tier, _)| tier.is_none());
    let mut answers: Vec<SeriesAnswer> = Vec::new();
    let mut partial = sources.partial;
    let stay: Vec<Asked> = stay.into_iter().map(|(_, asked)| asked).collect();
    let previous = sources.previous(shared, &stay);
    for (asked, before_ms) in stay.into_iter().zip(previous) {
        answers.push(finish(shared, &mut sources, (asked, before_ms), now_ms));
    }
    if !moved.is_empty() {
        let mut moved: Vec<Asked> = moved
            .into_iter()
            .map(|(tier, asked)| asked.moved_to(query, tier.unwrap_or(Tier::Raw)))
            .collect();
        let mut sources = Sources::find(shared, &query.server, &moved, now_ms);
        sources.read(shared, &mut moved);
        let mut percentiles: Vec<Asked> = Vec::new();
        if query.stats.contains(&Stat::P95) {
            percentiles = moved.iter().map(Asked::percentiles).collect();
            check_percentiles(percentiles.iter().map(|asked| &asked.shape))?;
            sources.read(shared, &mut percentiles);
        }
        (gone, partial) = (gone | sources.gone, partial | sources.partial);
        let mut percentiles = percentiles.into_iter();
        let previous = sources.previous(shared, &moved);
        for (asked, before_ms) in moved.into_iter().zip(previous) {
            let mut answer = finish(shared, &mut sources, (asked, before_ms), now_ms);
            if let Some(of_raw) = percentiles.next() {
                add_percentiles(&mut answer, of_raw);
            }
            answers.push(answer);
        }
        answers.sort_by(|one, other| one.labels.cmp(&other.labels));
    }
    Ok((Answer { series: answers, partial }, gone))
}

/// Adds the percentiles of the points that raw samples are there for, all of them.
fn add_percentiles(answer: &mut SeriesAnswer, of_raw: Asked) {
    let first_ms = of_raw.points.first_ms().unwrap_or(i64::MAX);
    let whole_from_ms = up_to(first_ms, answer.resolution_ms);
    let (known, _) = of_raw.points.finish();
    let mut known = known.into_iter().filter(|point| point.at_ms >= whole_from_ms).peekable();
    answer.p95_from_ms = Some(whole_from_ms);
    for point in &mut answer.points {
        while known.next_if(|known| known.at_ms < point.at_ms).is_some() {}
        point.p95 = known.next_if(|known| known.at_ms == point.at_ms).and_then(|known| known.p95);
    }
}

/// The answer of a series that everything has been fed to, and that has its last sample from before at `before_ms`, if
/// that is known or it had to be looked for.
fn finish(
    shared: &Shared,
    sources: &mut Sources,
    (asked, before_ms): (Asked, Option<i64>),
    now_ms: i64,
) -> SeriesAnswer {
    let Asked { id, series, tier, shape, points, .. } = asked;
    let nothing = Recent::default();
    let recent = sources.recent.get(&series.collector).unwrap_or(&nothing);
    let interval_ms = i64::from(series.interval_ms).max(1);
    let last_ms = points.last_ms();
    let first_ms = points.first_ms();
    let (first_interval_ms, last_interval_ms) = points.intervals_ms();
    let (points, holes) = points.finish();
    let mut holes: Vec<(i64, Option<i64>)> =
        holes.into_iter().map(|(from, to)| (from, Some(to))).collect();
    let end_ms = shape.to_ms.min(now_ms);
    let goes_on_after = |last: i64| recent.last_ms.is_some_and(|newest| newest > last);
    // Samples were looked at from three intervals before the first instant on. If
    // none stands there, the neighbour of the first one is further away.
    let first_or_end = first_ms.unwrap_or(end_ms);
    let first_interval_ms = first_interval_ms.max(interval_ms);
    // Where nothing stands before, or after, something may have stood that was damaged.
    let (mut begin, mut end) = (None, None);
    if first_or_end > shape.from_ms {
        match before_ms {
            Some(before) if shape.is_hole(before, first_or_end, first_interval_ms) => {
                let from = before.saturating_add(interval_ms);
                match first_ms {
                    Some(first) => holes.insert(0, (from, Some(first))),
                    None => end = Some((from, goes_on_after(before).then_some(end_ms))),
                }
            }
            Some(_) => {}
            None => begin = Some((shape.from_ms, Some(first_or_end))),
        }
    }
    if let Some(last) = last_ms
        && shape.is_hole(last, end_ms, last_interval_ms)
    {
        let to = goes_on_after(last).then_some(end_ms);
        end = Some((last.saturating_add(last_interval_ms), to));
    }
    let gap = |stretch: Stretch| Gap {
        server: series.server.clone(),
        collector: series.collector.clone(),
        from_ms: stretch.from_ms,
        to_ms: stretch.to_ms,
        reason: stretch.reason,
    };
    let unexplained: Arc<str> = UNEXPLAINED.into();
    let shown = |gap: &&Stretch| gap.to_ms.is_none_or(|to_ms| shape.shows(gap.from_ms, to_ms));
    let mut recorded: Vec<Stretch> = Vec::new();
    for gap in &recent.gaps {
        // What does not touch the series was damaged before it began or after it had ended.
        let begin = begin.filter(|_| {
            let least_ms = first_or_end.saturating_sub(3 * first_interval_ms);
            gap.to_ms.is_none_or(|to_ms| to_ms >= least_ms)
        });
        let end =
            end.filter(|(from_ms, _)| gap.from_ms <= from_ms.saturating_add(3 * last_interval_ms));
        let missing: Vec<_> = begin.into_iter().chain(holes.iter().copied()).chain(end).collect();
        recorded.extend(shown_over(gap, &missing));
    }
    recorded.sort_by_key(|gap| gap.from_ms);
    let mut gaps: Vec<Gap> = recorded.iter().filter(shown).cloned().map(gap).collect();
    for hole in holes.into_iter().chain(end) {
        for (from_ms, to_ms) in uncovered(hole, &recorded, 3 * interval_ms) {
            if to_ms.is_none_or(|to| to > shape.from_ms) && from_ms < shape.to_ms {
                if to_ms.is_some_and(|to_ms| !shape.shows(from_ms, to_ms)) {
                    continue;
                }
                let (away_until_ms, reason) = (None, unexplained.clone());
                gaps.push(gap(Stretch { from_ms, to_ms, away_until_ms, reason }));
            }
        }
    }
    gaps.sort_by_key(|gap| gap.from_ms);
    let least_ms = interval_ms.max(shape.step_ms.unwrap_or(0));
    let mut begins_ms = begin.map(|_| first_ms.unwrap_or(shape.to_ms));
    let is_damage = |gap: &Stretch| *gap.reason == *DAMAGED && gap.from_ms < first_or_end;
    // Others may still have what was damaged.
    if begin.is_some() && !recorded.iter().any(is_damage) {
        let at_ms = begin_of(first_or_end, &gaps, interval_ms);
        let near = (at_ms, 3 * first_interval_ms);
        begins_ms = match sources.collector_from(shared, (&series, tier), near) {
            Some(from_ms) => Some(begin_of(from_ms.min(at_ms), &gaps, interval_ms)),
            None if at_ms < first_or_end => Some(at_ms),
            None => begins_ms,
        };
    }
    let begins_ms = begins_ms.filter(|at_ms| at_ms.saturating_sub(shape.from_ms) > least_ms);
    let unit = if shape.rate { format!("{}/s", series.unit).into() } else { series.unit.clone() };
    SeriesAnswer {
        id,
        labels: series.labels.clone(),
        unit,
        kind: series.kind,
        tier,
        p95_from_ms: None,
        begins_ms,
        resolution_ms: match shape.bucket_ms {
            // Nobody knew how often a sample comes: not every bucket has one.
            Some(width_ms) if series.interval_ms == PRESUMED_INTERVAL_MS => {
                width_ms.max(last_interval_ms)
            }
            width_ms => width_ms.unwrap_or(interval_ms),
        },
        points,
        gaps,
    }
}

/// Where a series begins here that has its first sample at `first_ms`: where it is recorded that nothing came before,
/// there.
fn begin_of(first_ms: i64, gaps: &[Gap], interval_ms: i64) -> i64 {
    let least_ms = first_ms.saturating_sub(3 * interval_ms);
    let reaches = |gap: &&Gap| gap.to_ms.is_none_or(|to_ms| to_ms >= least_ms);
    let from_ms = gaps.iter().filter(reaches).map(|gap| gap.from_ms).min();
    from_ms.map_or(first_ms, |from_ms| from_ms.min(first_ms))
}
