//! Opening: from what a folder holds to a store that goes on where it ended.
//!
//! Segments and log are believed first; the state only saves reading all of them.
//! A state that does not open, or knows less than the segments, is rebuilt.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    path::Path,
    sync::Arc,
    time::UNIX_EPOCH,
};

use super::{
    StoreError,
    absence::{is_silent, reason},
    access::is_denied,
    adopt::{self, Adopted},
    checkpoint, disk,
    folder::Folder,
    gaps::Stretch,
    heads::Heads,
    keeper::Keeper,
    latest::Latest,
    log::{log_files, log_path},
    messages::{Answer, Query},
    query,
    replay::Replay,
    reserve::give_up,
    shared::{Limits, Shared, View},
    sled_state::SledState,
    state::{Changes, Contents, StateStore},
    state_thread::StateThread,
    trouble::Part,
    writer::Writer,
};
use crate::{
    config::StoreConfig,
    logging::chain,
    series::{Catalog, Series, SeriesId, now_ms},
};

/// An open store, not yet at work: its folder is taken, its past is known.
#[derive(Debug)]
pub struct Store {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: Writer,
    pub(super) keeper: Keeper,
    pub(super) config: StoreConfig,
    pub(super) folder: Folder,
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Store {
    /// Opens the store in `path`, and fills `catalog` with the series it knows.
    ///
    /// Takes a second or so for a large store: call it from a thread that may wait.
    pub fn open(
        path: &Path,
        config: &StoreConfig,
        catalog: &Arc<Catalog>,
    ) -> Result<Self, StoreError> {
        let folder = Folder::take(path)?;
        let path = folder.path().to_owned();
        let files = adopt::list(&path.join("segments"))?;
        let (state, mut contents) = open_state(&path)?;
        let kept = std::mem::take(&mut contents.kept);
        let stated: BTreeMap<u32, Series> = contents.series.clone();
        let Adopted { segments, untold, gone, next } =
            adopt::adopt(&path.join("segments"), files, &mut contents)?;

        let segments = segments.into_iter().map(|(id, facts)| (id, Arc::new(facts))).collect();
        let mut view = View { segments, ..View::default() };
        for end in &contents.streams {
            let place = view.heads.place(&end.server, &end.collector);
            let stream = &mut view.heads.streams[place];
            stream.last_ms = stream.last_ms.max(Some(end.last_ms));
            stream.sealed_ms = stream.last_ms;
            stream.interval_ms = end.interval_ms;
        }
        for (server, collector, gap) in contents.gaps {
            let place = view.heads.place(&server, &collector);
            view.heads.streams[place].gaps.tell(gap, false);
        }

        let mut replay = Replay::new(view, contents.series);
        let logs =
            log_files(&path.join("log")).map_err(StoreError::file("list", path.join("log")))?;
        let newest = logs.last().map(|(sequence, _)| *sequence);
        let written_ms = newest.and_then(|newest| changed_ms(&log_path(&path.join("log"), newest)));
        for (sequence, _) in &logs {
            replay.read_file(&path.join("log"), *sequence, Some(*sequence) == newest)?;
        }
        let Replay { mut view, series, clean, highest, samples, latest, .. } = replay;
        fill_catalog(&path, catalog, series, highest)?;

        let indexed = indexed_series(&stated, catalog);
        // A number that a reader has kept must not come again, though its file is gone.
        let next_sequence = newest.map_or(1, |newest| newest + 1).max(contents.log);
        let limits = Limits::new(config.max_bytes);
        let store = contents.store.unwrap_or_else(new_store_id);
        tell_absence(&mut view.heads, (written_ms, now_ms()), clean);
        let segments = view.segments.len();
        let shared = Arc::new(Shared::new(path, catalog.clone(), limits, view, next));
        shared.tell_segments(untold);
        shared.remember_dropped_segments(gone);
        shared.logs().extend(log_files(&shared.log_folder()).unwrap_or_default());
        shared.find_held();
        // A killed daemon's last records may not be on the disk yet.
        for (sequence, _) in &logs {
            let file = shared.open_log(*sequence).ok().flatten();
            file.into_iter().for_each(|file| shared.syncing.begin_file(Arc::new(file)));
        }
        let state = StateThread::start(state)?;
        let latest = Latest::new(latest, shared.view().segments.values());
        let writer = Writer::new(shared.clone(), store, next_sequence, latest);
        let mut keeper = Keeper::new(shared.clone(), store, state, indexed);
        keeper.measure();
        match keeper.index() {
            Ok(()) => keeper.drop_logs(next_sequence)?,
            // Log and segments hold it all; the keeper tries again.
            Err(error) => shared.set_trouble(Part::State, Some((&error).into())),
        }
        tracing::info!(path = %shared.path.display(), segments, samples_in_log = samples, clean, "store opened");
        Ok(Self { shared, writer, keeper, config: config.clone(), folder, kept })
    }
}

impl Store {
    /// What others keep here, by their own keys; they own it from now on.
    pub fn take_kept(&mut self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        std::mem::take(&mut self.kept)
    }

    /// Answers a question without being at work: for whoever only looks.
    pub fn answer(&self, query: &Query) -> Result<Answer, StoreError> {
        query::answer(&self.shared, query, now_ms())
    }
}

/// Opens the state; one that does not open is put aside. One that is empty begins
/// with the checkpoint.
fn open_state(path: &Path) -> Result<(SledState, Contents), StoreError> {
    let folder = path.join("sled");
    let damage = match SledState::open(&folder) {
        Ok((state, contents)) => match contents.damage() {
            None => return from_checkpoint(path, state, contents),
            Some(damage) => damage,
        },
        // A full disk is no damage.
        Err(StoreError::State { step, source: sled::Error::Io(source) })
            if source.kind() == ErrorKind::StorageFull =>
        {
            if give_up(path) {
                return open_state(path);
            }
            return Err(StoreError::State { step, source: sled::Error::Io(source) });
        }
        // Nor is a file that is not ours.
        Err(error) if is_denied(&error) => return Err(error),
        Err(error) => chain(&error),
    };
    let seconds = UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs());
    let aside = path.join(format!("sled.damaged-{seconds}"));
    disk::rename(&folder, &aside).map_err(StoreError::file("put aside", &folder))?;
    tracing::error!(
        damage,
        aside = %aside.display(),
        "store state is damaged: put aside, and rebuilt from checkpoint, segments and log"
    );
    let (state, contents) = SledState::open(&folder)?;
    from_checkpoint(path, state, contents)
}

/// Gives an empty state what the last checkpoint says.
fn from_checkpoint(
    path: &Path,
    mut state: SledState,
    mut contents: Contents,
) -> Result<(SledState, Contents), StoreError> {
    let file = path.join("checkpoint").join(checkpoint::FILE);
    if contents.store.is_some() || !file.exists() {
        return Ok((state, contents));
    }
    match checkpoint::read(&file).and_then(|changes| believed(&file, changes)) {
        Ok(changes) => {
            let seconds = changed_ms(&file).map_or(0, |at_ms| (now_ms() - at_ms) / 1000);
            tracing::warn!(
                keys = changes.0.len(),
                "store state is taken from its checkpoint: what only the state knew and the {seconds} s since have \
                 changed is lost, which is incidents, notices, silences, tokens, places of forwarding, and gaps \
                 that are no longer in the log"
            );
            state.apply(&changes)?;
            state.scan(&mut |key, value| contents.take_in(key, value))?;
        }
        Err(error) if is_denied(&error) => return Err(error),
        // Segments and log still tell everything but older gaps.
        Err(error) => tracing::error!(error = chain(&error), "store checkpoint is of no use"),
    }
    Ok((state, contents))
}

/// What a checkpoint says, if it can be: it is not taken in otherwise.
fn believed(file: &Path, changes: Changes) -> Result<Changes, StoreError> {
    let mut contents = Contents::default();
    for (key, value) in &changes.0 {
        contents.take_in(key, value.as_deref().unwrap_or_default());
    }
    match contents.damage() {
        None => Ok(changes),
        Some(damage) => {
            tracing::error!(damage, "store checkpoint makes no sense");
            Err(StoreError::Damaged { path: file.to_owned(), what: "checkpoint makes no sense" })
        }
    }
}

/// Gives every series its number again. A number whose series is lost is taken by
/// a series without a name, so that it never means another one.
fn fill_catalog(
    path: &Path,
    catalog: &Catalog,
    mut series: BTreeMap<u32, Series>,
    highest: Option<u32>,
) -> Result<(), StoreError> {
    let highest = highest.max(series.keys().next_back().copied());
    let Some(highest) = highest else { return Ok(()) };
    let mut taken = BTreeSet::new();
    for number in 0..=highest {
        let wrong = || StoreError::Numbers { path: path.to_owned(), id: number };
        let known = catalog.get(SeriesId(number));
        let found = series.remove(&number);
        if let Some(known) = known {
            let same =
                found.is_none_or(|found| same_identity(&found, &known) || found.server.is_empty());
            if !same {
                return Err(wrong());
            }
            continue;
        }
        let found = found.filter(|found| taken.insert(identity(found)));
        let found = found.unwrap_or_else(|| nameless(number));
        if catalog.intern(found).map_err(|_| wrong())? != SeriesId(number) {
            return Err(wrong());
        }
    }
    Ok(())
}

fn same_identity(one: &Series, other: &Series) -> bool {
    identity(one) == identity(other)
}

fn identity(series: &Series) -> (Arc<str>, Arc<str>, crate::series::Labels) {
    (series.server.clone(), series.metric.clone(), series.labels.clone())
}

fn nameless(number: u32) -> Series {
    Series {
        server: "".into(),
        collector: "".into(),
        metric: format!("lost {number}").into(),
        labels: crate::series::Labels::default(),
        unit: "".into(),
        kind: crate::series::Kind::Gauge,
        interval_ms: 0,
    }
}

fn indexed_series(stated: &BTreeMap<u32, Series>, catalog: &Catalog) -> Vec<Option<Arc<Series>>> {
    let all = (0..catalog.len()).map(|index| {
        let number = u32::try_from(index).ok()?;
        let known = catalog.get(SeriesId(number))?;
        stated.get(&number).is_some_and(|stated| *stated == *known).then_some(known)
    });
    all.collect()
}

/// When a file was last written to, in milliseconds since 1970.
fn changed_ms(path: &Path) -> Option<i64> {
    let changed = fs::metadata(path).and_then(|facts| facts.modified()).ok()?;
    i64::try_from(changed.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// Opens the gaps that the daemon's own absence leaves: of the collectors that were alive when it ended. The log was
/// written to last at the first of the times; the second is now.
fn tell_absence(heads: &mut Heads, (written_ms, now_ms): (Option<i64>, i64), clean: bool) {
    let ends = heads.ends();
    let Some(last_ms) = ends.iter().map(|(_, last_ms, _)| *last_ms).max() else { return };
    // Whose clock is ahead must not make all others look silent.
    let ended_ms = written_ms.map_or(last_ms, |written_ms| written_ms.min(last_ms));
    let reason = reason(clean);
    for (place, last_ms, interval_ms) in ends {
        let gaps = &mut heads.streams[place].gaps;
        let absence = gaps.absence();
        let explained_ms = absence.as_ref().map_or(last_ms, |(_, until_ms, _)| *until_ms);
        if (gaps.is_open() && absence.is_none()) || is_silent(explained_ms, interval_ms, ended_ms) {
            continue;
        }
        let (from_ms, reason) = match absence {
            // It has not come back since the absence before.
            Some((from_ms, _, reason)) => (from_ms, reason),
            None => (last_ms.saturating_add(interval_ms.max(1).into()), reason.clone()),
        };
        let away_until_ms = Some(now_ms);
        gaps.tell(Stretch { from_ms, to_ms: None, away_until_ms, reason }, true);
    }
}

fn new_store_id() -> u128 {
    let mut id = [0; 16];
    // Without the system's randomness the time tells stores apart well enough.
    if getrandom::fill(&mut id).is_err() {
        id[..8].copy_from_slice(&now_ms().to_le_bytes());
    }
    u128::from_le_bytes(id)
}
