//! What each series looks like on the wire, made once.

use std::sync::Arc;

use crate::series::{Catalog, Series, SeriesId};

/// Bytes of what is kept. Beyond, everything is forgotten and made again as it is needed.
const BYTES_MAX: usize = 64 << 20;

/// What was made of each series, by its number; `None` for one that is not sent.
#[derive(Debug)]
pub(super) struct Cache<T> {
    made: Vec<Option<Made<T>>>,
    bytes: usize,
}

#[derive(Debug)]
struct Made<T> {
    /// The series that it was made of; another declaration is another series here.
    of: Arc<Series>,
    what: Option<T>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { made: Vec::new(), bytes: 0 }
    }
}

impl<T> Cache<T> {
    /// What was made of the series `id`, with the series; `make` makes it, and says how many bytes it has.
    pub(super) fn get(
        &mut self,
        catalog: &Catalog,
        id: SeriesId,
        make: impl FnOnce(&Series) -> Option<(T, usize)>,
    ) -> Option<(&T, &Series)> {
        let series = catalog.get(id)?;
        let index = id.0 as usize;
        if self.made.len() <= index {
            self.made.resize_with(index + 1, || None);
        }
        let known = self.made.get(index)?.as_ref();
        if !known.is_some_and(|made| Arc::ptr_eq(&made.of, &series)) {
            let what = make(&series).map(|(what, bytes)| {
                self.bytes += bytes;
                what
            });
            *self.made.get_mut(index)? = Some(Made { of: series, what });
        }
        let made = self.made.get(index)?.as_ref()?;
        Some((made.what.as_ref()?, &made.of))
    }

    /// Whether there is more than should be kept.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > BYTES_MAX
    }
}
