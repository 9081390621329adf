//! The series of a text, each by a number of its own.

use std::collections::HashMap;

use crate::series::Series;

/// Series in the order of their appearance.
#[derive(Debug, Default)]
pub struct Table {
    series: Vec<Series>,
    /// How each was written, as far as it was seen; and whose samples have no interval yet.
    known: HashMap<Vec<u8>, u32>,
    last_ms: Vec<Option<i64>>,
}

/// More series are not taken from one text.
const SERIES_MAX: usize = 10_000_000;

impl Table {
    /// The series.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The number of the series that was written as `key`.
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        self.known.get(key).copied()
    }

    /// A number for a series that is written as `key`; the same for one that was written otherwise before.
    pub(super) fn add(&mut self, key: &[u8], series: Series) -> Result<u32, String> {
        let same = |known: &Series| {
            (&known.server, &known.metric, &known.labels)
                == (&series.server, &series.metric, &series.labels)
        };
        // Written in another way is rare: the last ones are looked through, as they stand together.
        let near = self.series.iter().enumerate().rev().take(NEAR).find(|(_, known)| same(known));
        let place = match near {
            Some((place, _)) => place,
            None if self.series.len() >= SERIES_MAX => {
                return Err(format!("there are more than {SERIES_MAX} series; import it in parts"));
            }
            None => {
                self.series.push(series);
                self.last_ms.push(None);
                self.series.len() - 1
            }
        };
        let number = u32::try_from(place).map_err(|_| "there are too many series".to_owned())?;
        self.known.insert(key.to_vec(), number);
        Ok(number)
    }

    /// There is a sample at `at_ms`: of a series that says no interval, the shortest distance between two is taken.
    pub(super) fn note_time(&mut self, number: u32, at_ms: i64, is_told: bool) {
        let place = number as usize;
        let (Some(last), Some(series)) = (self.last_ms.get_mut(place), self.series.get_mut(place))
        else {
            return;
        };
        let apart = last.replace(at_ms).map(|last| last.abs_diff(at_ms)).filter(|apart| *apart > 0);
        if let Some(apart) = apart.and_then(|apart| u32::try_from(apart).ok()).filter(|_| !is_told)
            && (series.interval_ms == 0 || apart < series.interval_ms)
        {
            series.interval_ms = apart;
        }
    }
}

/// How far back a series is looked for that is written otherwise.
const NEAR: usize = 64;
