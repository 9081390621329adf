//! Series and the numbers they are known by.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use hashbrown::HashTable;

use super::{Labels, Series, SeriesId};

/// The one table of series: number ⇄ series. Shared by whoever reads or writes samples.
///
/// Numbers are given in order, from zero, and never given twice.
/// Threads: any; a call holds the lock for a look-up or an insertion.
#[derive(Debug, Default)]
pub struct Catalog {
    table: RwLock<Table>,
    revision: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    series: Vec<Arc<Series>>,
    /// By what tells a series from the others of its server, which is metric and labels.
    servers: HashMap<Arc<str>, HashTable<SeriesId>>,
    /// Names that many series have in common: each stands in memory once.
    texts: HashSet<Arc<str>>,
    hasher: RandomState,
}

/// Every number is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to number a series: all {} numbers are taken", u32::MAX)]
pub struct CatalogFull;

impl Catalog {
    /// The number of `series`: a new one, or the one it has had before. What is
    /// known of it besides its identity is brought up to date.
    pub fn intern(&self, mut series: Series) -> Result<SeriesId, CatalogFull> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = table.find(&series.server, &series.metric, &series.labels) {
            if let Some(known) = table.series.get(id.0 as usize)
                && **known != series
            {
                table.share(&mut series, false);
                table.series[id.0 as usize] = Arc::new(series);
                self.revision.fetch_add(1, Ordering::Release);
            }
            return Ok(id);
        }
        let id = SeriesId(u32::try_from(table.series.len()).map_err(|_| CatalogFull)?);
        table.share(&mut series, true);
        table.add(id, series);
        Ok(id)
    }

    /// The series behind a number.
    pub fn get(&self, id: SeriesId) -> Option<Arc<Series>> {
        self.read().series.get(id.0 as usize).cloned()
    }

    /// Another number than before if what is known of a series has changed meanwhile: whoever keeps some looks for
    /// changes only then.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// All series of a server, by number.
    pub fn of_server(&self, server: &str) -> Vec<SeriesId> {
        let table = self.read();
        let known = table.servers.get(server);
        let mut ids: Vec<_> = known.into_iter().flatten().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// The series of one metric of a server, by number.
    pub fn of_metric(&self, server: &str, metric: &str) -> Vec<SeriesId> {
        self.of(server, |series| *series.metric == *metric)
    }

    /// The series of one collector of a server, by number.
    pub fn of_collector(&self, server: &str, collector: &str) -> Vec<SeriesId> {
        self.of(server, |series| *series.collector == *collector)
    }

    fn of(&self, server: &str, is_meant: impl Fn(&Series) -> bool) -> Vec<SeriesId> {
        let table = self.read();
        let known = table.servers.get(server).into_iter().flatten().copied();
        let is_of =
            |id: &SeriesId| table.series.get(id.0 as usize).is_some_and(|series| is_meant(series));
        let mut ids: Vec<_> = known.filter(is_of).collect();
        ids.sort_unstable();
        ids
    }

    /// The series of these labels, if it is known.
    pub fn find(&self, server: &str, metric: &str, labels: &Labels) -> Option<Arc<Series>> {
        let table = self.read();
        let id = table.find(server, metric, labels)?;
        table.series.get(id.0 as usize).cloned()
    }

    /// How many series a server has.
    pub fn len_of_server(&self, server: &str) -> usize {
        self.read().servers.get(server).map_or(0, HashTable::len)
    }

    /// From now on the series of these collectors of `server` come at these intervals, in milliseconds.
    pub fn set_intervals(&self, server: &str, intervals: &HashMap<Arc<str>, u32>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let Table { series, servers, .. } = &mut *table;
        for id in servers.get(server).into_iter().flatten() {
            if let Some(series) = series.get_mut(id.0 as usize)
                && let Some(interval_ms) = intervals.get(&series.collector)
                && series.interval_ms != *interval_ms
            {
                *series = Arc::new(Series { interval_ms: *interval_ms, ..(**series).clone() });
            }
        }
        self.revision.fetch_add(1, Ordering::Release);
    }

    /// How many series there are; the next new one gets this number.
    pub fn len(&self) -> usize {
        self.read().series.len()
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn find(&self, server: &str, metric: &str, labels: &Labels) -> Option<SeriesId> {
        let is_it = |id: &SeriesId| {
            let known = self.series.get(id.0 as usize);
            known.is_some_and(|known| *known.metric == *metric && known.labels == *labels)
        };
        let hash = self.hasher.hash_one((metric, labels));
        self.servers.get(server)?.find(hash, is_it).copied()
    }

    /// Adds a series that is new.
    fn add(&mut self, id: SeriesId, series: Series) {
        let Self { series: all, servers, hasher, .. } = self;
        let hash_of = |series: &Series| hasher.hash_one((&*series.metric, &series.labels));
        let (hash, server) = (hash_of(&series), series.server.clone());
        all.push(Arc::new(series));
        let of_id = |id: &SeriesId| all.get(id.0 as usize).map_or(0, |series| hash_of(series));
        servers.entry(server).or_default().insert_unique(hash, id, of_id);
    }

    /// Lets a series use the names that are there already; only what is `new` may add some, or whoever changes a unit
    /// over and over would fill the memory with them.
    fn share(&mut self, series: &mut Series, new: bool) {
        let Series { server, collector, metric, unit, .. } = series;
        for text in [server, collector, metric, unit] {
            match self.texts.get(&**text) {
                Some(known) => *text = known.clone(),
                None if new => drop(self.texts.insert(text.clone())),
                None => (),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;
    use crate::series::Kind;

    #[test]
    fn a_series_keeps_its_number_and_its_newest_unit() {
        let catalog = Catalog::default();
        let first = catalog.intern(series("web-1", "load1", "")).unwrap();
        let other = catalog.intern(series("web-2", "load1", "")).unwrap();
        let again = catalog.intern(series("web-1", "load1", "tasks")).unwrap();

        assert_ne!(first, other, "another server");
        assert_eq!(first, again);
        assert_eq!(&*catalog.get(first).unwrap().unit, "tasks");
        assert_eq!(catalog.of_metric("web-1", "load1"), [first]);
        assert_eq!(catalog.of_server("web-3"), []);
        assert_eq!(catalog.of_collector("web-1", "load"), [first]);
        assert_eq!(catalog.of_collector("web-1", "cpu"), []);
        assert_eq!(
            catalog.find("web-2", "load1", &Labels::default()).unwrap().server,
            "web-2".into()
        );
        assert_eq!(catalog.find("web-2", "load5", &Labels::default()), None);
        assert_eq!((catalog.len_of_server("web-1"), catalog.len_of_server("web-3")), (1, 0));
    }

    #[test]
    fn names_that_series_have_in_common_stand_in_memory_once() {
        let catalog = Catalog::default();
        let [one, other] = ["web-1", "web-2"].map(|name| {
            let id = catalog.intern(series(name, "load1", "tasks")).unwrap();
            catalog.get(id).unwrap()
        });
        assert!(Arc::ptr_eq(&one.metric, &other.metric));
        assert!(Arc::ptr_eq(&one.collector, &other.collector));
        for number in 0..9 {
            catalog.intern(series("web-1", "load1", &format!("unit {number}"))).unwrap();
        }
        let texts = catalog.read().texts.len();
        assert_eq!(texts, 5, "two servers, collector, metric, and the units of new series only");
    }

    #[test]
    fn the_interval_of_a_collector_is_that_of_its_series() {
        let catalog = Catalog::default();
        let [one, other] = ["web-1", "web-2"].map(|name| catalog.intern(series(name, "load1", "")));
        let before = catalog.revision();
        catalog.set_intervals("web-1", &[("load".into(), 5000), ("cpu".into(), 1)].into());
        let interval = |id| catalog.get(id).unwrap().interval_ms;
        assert_eq!((interval(one.unwrap()), interval(other.unwrap())), (5000, 1000));
        assert_ne!(catalog.revision(), before);
    }

    fn series(server: &str, metric: &str, unit: &str) -> Series {
        Series {
            server: server.into(),
            collector: "load".into(),
            metric: metric.into(),
            labels: Labels::default(),
            unit: unit.into(),
            kind: Kind::Gauge,
            interval_ms: 1000,
        }
    }
}
