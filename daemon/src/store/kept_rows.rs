//! Rows that were read from segments, kept for the next series that stands in them.

use std::{collections::HashMap, rc::Rc};

use super::{
    StoreError,
    rows::Rows,
    segment::{Entry, Place},
    segment_read::Segment,
};

/// Rows by the number of their segment and their place in it, `most` of them together.
#[derive(Debug)]
pub(super) struct KeptRows {
    by_place: HashMap<(u64, Place), Rc<Rows>>,
    count: usize,
    most: usize,
}

impl KeptRows {
    /// None yet. A row of rollups takes 40 bytes, one of samples 8.
    pub(super) fn new(most: usize) -> Self {
        Self { by_place: HashMap::new(), count: 0, most }
    }

    /// The rows that an entry's values stand in.
    pub(super) fn of(&mut self, segment: &Segment, entry: &Entry) -> Result<Rc<Rows>, StoreError> {
        let place = (segment.facts().id, entry.times);
        if let Some(rows) = self.by_place.get(&place) {
            return Ok(rows.clone());
        }
        let rows = Rc::new(segment.rows(entry)?);
        self.count += rows.times.len();
        if self.count > self.most {
            self.by_place.clear();
            self.count = rows.times.len();
        }
        self.by_place.insert(place, rows.clone());
        Ok(rows)
    }
}
