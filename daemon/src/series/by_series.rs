//! Values by series, for those who are asked frame by frame.

use super::SeriesId;

/// A map by series, in the order of their numbers. The series of a frame mostly stand in it as they stand in the frame:
/// then each is found beside the one before, without a search through memory that is in no cache.
#[derive(Debug)]
pub struct BySeries<V> {
    entries: Vec<(SeriesId, V)>,
}

/// How far a walk through a frame has come; a new one begins at the start.
#[derive(Debug, Default)]
pub struct Walk(usize);

impl<V> Default for BySeries<V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<V> BySeries<V> {
    /// What `id` has, found quickest if it stands behind what was found last on this walk.
    #[inline]
    pub fn get_mut(&mut self, id: SeriesId, walk: &mut Walk) -> Option<&mut V> {
        let is_next = self.entries.get(walk.0).is_some_and(|(known, _)| *known == id);
        let at = if is_next { walk.0 } else { self.find(id)? };
        walk.0 = at + 1;
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    /// Whether `id` has anything.
    pub fn contains(&self, id: SeriesId) -> bool {
        self.find(id).is_some()
    }

    /// Takes in what series have that had nothing. Where one has something, that stays.
    ///
    /// Many at once cost as much as one: all others are moved once.
    pub fn add(&mut self, new: Vec<(SeriesId, V)>) {
        if new.is_empty() {
            return;
        }
        self.entries.extend(new);
        // Stable: what was there stands before what has come.
        self.entries.sort_by_key(|(id, _)| *id);
        self.entries.dedup_by_key(|(id, _)| *id);
    }

    /// Drops all but those for which `stays` says so.
    pub fn retain(&mut self, mut stays: impl FnMut(&mut V) -> bool) {
        self.entries.retain_mut(|(_, value)| stays(value));
    }

    /// How many series have something.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Everything, by series.
    pub fn iter(&self) -> impl Iterator<Item = (SeriesId, &V)> {
        self.entries.iter().map(|(id, value)| (*id, value))
    }

    /// Everything, by series, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (SeriesId, &mut V)> {
        self.entries.iter_mut().map(|(id, value)| (*id, value))
    }

    /// The values, in the order of their series.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    fn find(&self, id: SeriesId) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |(known, _)| *known).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_found_in_whatever_order_it_is_asked_for() {
        let mut map = BySeries::default();
        map.add([7, 3, 3, 5].map(|id| (SeriesId(id), id * 10)).into());
        map.add(vec![(SeriesId(5), 1), (SeriesId(4), 40)]);
        let mut walk = Walk::default();
        for (id, expected) in
            [(3, Some(30)), (4, Some(40)), (7, Some(70)), (6, None), (5, Some(50))]
        {
            assert_eq!(map.get_mut(SeriesId(id), &mut walk).copied(), expected, "{id}");
        }
        map.retain(|value| *value != 40);
        assert!(!map.contains(SeriesId(4)) && map.contains(SeriesId(3)));
        let all: Vec<(u32, u32)> = map.iter().map(|(id, value)| (id.0, *value)).collect();
        assert_eq!(all, [(3, 30), (5, 50), (7, 70)]);
    }
}
