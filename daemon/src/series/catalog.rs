//! Series and the numbers they are known by.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

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
    servers: HashMap<Arc<str>, HashMap<Identity, SeriesId>>,
}

/// What tells a series from the others of its server: metric and labels.
type Identity = (Arc<str>, Labels);

/// Every number is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to number a series: all {} numbers are taken", u32::MAX)]
pub struct CatalogFull;

impl Catalog {
    /// The number of `series`: a new one, or the one it has had before. What is
    /// known of it besides its identity is brought up to date.
    pub fn intern(&self, series: Series) -> Result<SeriesId, CatalogFull> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let identity = (series.metric.clone(), series.labels.clone());
        let of_server = table.servers.get(&series.server);
        if let Some(&id) = of_server.and_then(|known| known.get(&identity)) {
            if let Some(known) = table.series.get_mut(id.0 as usize)
                && **known != series
            {
                *known = Arc::new(series);
                self.revision.fetch_add(1, Ordering::Release);
            }
            return Ok(id);
        }
        let id = SeriesId(u32::try_from(table.series.len()).map_err(|_| CatalogFull)?);
        table.servers.entry(series.server.clone()).or_default().insert(identity, id);
        table.series.push(Arc::new(series));
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
        let mut ids: Vec<_> = known.into_iter().flat_map(|known| known.values().copied()).collect();
        ids.sort_unstable();
        ids
    }

    /// The series of one metric of a server, by number.
    pub fn of_metric(&self, server: &str, metric: &str) -> Vec<SeriesId> {
        let table = self.read();
        let known = table.servers.get(server).into_iter().flatten();
        let mut ids: Vec<_> =
            known.filter(|((name, _), _)| **name == *metric).map(|(_, &id)| id).collect();
        ids.sort_unstable();
        ids
    }

    /// The series of these labels, if it is known.
    pub fn find(&self, server: &str, metric: &str, labels: &Labels) -> Option<Arc<Series>> {
        let table = self.read();
        let identity: Identity = (metric.into(), labels.clone());
        let id = table.servers.get(server)?.get(&identity)?;
        table.series.get(id.0 as usize).cloned()
    }

    /// How many series a server has.
    pub fn len_of_server(&self, server: &str) -> usize {
        self.read().servers.get(server).map_or(0, HashMap::len)
    }

    /// From now on the series of these collectors of `server` come at these intervals, in milliseconds.
    pub fn set_intervals(&self, server: &str, intervals: &HashMap<Arc<str>, u32>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let Table { series, servers } = &mut *table;
        for id in servers.get(server).into_iter().flat_map(HashMap::values) {
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
        assert_eq!(
            catalog.find("web-2", "load1", &Labels::default()).unwrap().server,
            "web-2".into()
        );
        assert_eq!(catalog.find("web-2", "load5", &Labels::default()), None);
        assert_eq!((catalog.len_of_server("web-1"), catalog.len_of_server("web-3")), (1, 0));
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
