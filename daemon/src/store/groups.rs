//! Frames into columns: the chunks of one collector as the groups of a segment.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    codec::ROWS_MAX,
    heads::Chunk,
    segment::{DAY_MS, Group, GroupColumn},
};
use crate::series::SeriesId;

/// The days, counted from 1970, that have a frame in one of the chunks.
pub(super) fn days_of<'a>(chunks: impl IntoIterator<Item = &'a Arc<Chunk>>) -> BTreeSet<i64> {
    let mut days = BTreeSet::new();
    for chunk in chunks {
        let (first, last) = days_around(chunk);
        days.extend([first, last]);
        if last - first > 1 {
            chunk.read(
                &mut days,
                |_, _, _| (),
                |days, at_ms| {
                    days.insert(at_ms.div_euclid(DAY_MS));
                },
            );
        }
    }
    days
}

fn days_around(chunk: &Chunk) -> (i64, i64) {
    (chunk.first_ms.div_euclid(DAY_MS), chunk.last_ms.div_euclid(DAY_MS))
}

/// The rows of `day` by column, cut where the schema changes or a block is full.
pub(super) fn groups_of(chunks: &[Arc<Chunk>], day: i64) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut group = Group::default();
    let mut schema: Option<Arc<[SeriesId]>> = None;
    for chunk in chunks {
        let (first, last) = days_around(chunk);
        if !(first..=last).contains(&day) {
            continue;
        }
        let same = schema.as_ref().is_some_and(|schema| *schema == chunk.series);
        if !same || group.times.len() + chunk.rows > ROWS_MAX {
            groups.push(std::mem::replace(&mut group, Group::of(&chunk.series)));
            schema = Some(chunk.series.clone());
        }
        let mut row = Vec::new();
        let mut sink = (&mut group, &mut row);
        chunk.read(
            &mut sink,
            |(_, row), column, value| row.push((column, value)),
            |(group, row), at_ms| {
                if at_ms.div_euclid(DAY_MS) == day {
                    let number = group.times.len() as u16;
                    group.times.push(at_ms);
                    for (column, value) in row.iter() {
                        group.columns[*column].rows.push(number);
                        group.columns[*column].values.push(*value);
                    }
                }
                row.clear();
            },
        );
    }
    groups.push(group);
    groups.retain(|group| !group.times.is_empty());
    groups
}

impl Group {
    fn of(series: &[SeriesId]) -> Self {
        let column =
            |id: &SeriesId| GroupColumn { series: *id, rows: Vec::new(), values: Vec::new() };
        Self { times: Vec::new(), columns: series.iter().map(column).collect() }
    }
}
