//! A disk that fails when a test wants it to, and remembers what it was not told to keep.
//!
//! A test that watches a folder before a store opens there can let calls below it fail or take their time, give the
//! disk a size, and cut the power: what was synced is there then, and of the rest as much as chance will have it.
//! Parallel tests do not meet, since each has a folder of its own.
//!
//! sled writes by itself. What it has made durable is told by [`synced_state`], which its only user calls when a
//! sync of its own has succeeded: the power cut leaves sled's folder as it was then.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::folder::bytes_below;

/// What is asked of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Create,
    Write,
    Sync,
    SyncFolder,
    Rename,
    Remove,
    Cut,
    Read,
}

/// What happens to some calls.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// The calls.
    pub(super) call: Call,
    /// Something that the path must hold.
    pub(super) path: &'static str,
    /// So many of them pass before.
    pub(super) after: usize,
    /// So many of them are met.
    pub(super) times: usize,
    /// How they are.
    pub(super) how: How,
}

/// How a call is met.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// It fails with this error of the system, and has written so many bytes.
    Fails(usize, i32),
    /// It takes so long, and succeeds.
    Takes(Duration),
}

/// A folder under watch, for as long as this lives.
#[derive(Debug)]
pub(super) struct Watch(Arc<Disk>);

/// A file of a folder under watch.
#[derive(Debug)]
pub(super) struct Watched {
    disk: Arc<Disk>,
    path: PathBuf,
    number: u64,
}

/// A folder under watch, as its files and its names are.
#[derive(Debug)]
struct Disk {
    root: PathBuf,
    state: Mutex<State>,
    capacity: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    /// What has a name now, and what has one after a power cut.
    names: Names,
    durable: Names,
    /// Changes between the two, in order.
    pending: Vec<Change>,
    /// What files hold after a power cut.
    synced: HashMap<u64, Vec<u8>>,
    numbers: u64,
    longest_sync: Duration,
    /// sled's folder as it is after a power cut.
    sled: BTreeMap<PathBuf, Vec<u8>>,
}

/// Files by their numbers; a folder has none.
type Names = BTreeMap<PathBuf, Option<u64>>;

/// A change of names, as one: all of it survives a power cut, or nothing.
type Change = Vec<(PathBuf, Option<Option<u64>>)>;

static WATCHED: RwLock<Vec<Arc<Disk>>> = RwLock::new(Vec::new());

impl Watch {
    /// Watches a folder from now on; what is in it is durable. No store may be open there yet.
    pub(super) fn new(root: &Path) -> Self {
        let mut state = State { sled: read_below(&root.join("sled")), ..State::default() };
        state.find(root);
        state.durable = state.names.clone();
        let (state, capacity) = (Mutex::new(state), AtomicU64::new(u64::MAX));
        let disk = Arc::new(Disk { root: root.to_owned(), state, capacity });
        WATCHED.write().unwrap_or_else(PoisonError::into_inner).push(disk.clone());
        Self(disk)
    }

    /// From now on calls are met like this.
    pub(super) fn fault(&self, fault: Fault) {
        self.0.state().faults.push(fault);
    }

    /// From now on all calls are as they should be; those that take their time end now.
    pub(super) fn heal(&self) {
        self.0.state().faults.clear();
    }

    /// The disk has so many bytes, sled's files among them, which are not stopped by it.
    pub(super) fn capacity(&self, bytes: u64) {
        self.0.capacity.store(bytes, Ordering::Relaxed);
    }

    /// The longest that a sync of a file has taken.
    pub(super) fn longest_sync(&self) -> Duration {
        self.0.state().longest_sync
    }

    /// Puts into `to` what a power cut at this moment leaves: names and bytes that were synced, and of what was not
    /// a part that `random` chooses.
    pub(super) fn cut_power(&self, to: &Path, random: &mut fastrand::Rng) {
        let state = self.0.state();
        let mut names = state.durable.clone();
        // A file system keeps the order of what it does to names.
        for change in state.pending.iter().take(random.usize(..=state.pending.len())) {
            apply(&mut names, change);
        }
        let is_there = |path: &Path| {
            let above = path.ancestors().skip(1).take_while(|above| **above != *self.0.root);
            above.into_iter().all(|above| names.contains_key(above))
        };
        let target_of = |path: &Path| to.join(path.strip_prefix(&self.0.root).expect("below it"));
        for (path, number) in &names {
            let target = target_of(path);
            match number {
                _ if !is_there(path) => (),
                None => fs::create_dir_all(&target).expect("a folder"),
                Some(number) => {
                    let synced = state.synced.get(number).cloned().unwrap_or_default();
                    let now = state.names.iter().find(|(_, other)| **other == Some(*number));
                    let now = now.and_then(|(path, _)| fs::read(path).ok());
                    let content = torn(synced, now, random);
                    fs::write(&target, content).expect("a file");
                }
            }
        }
        let mut sled = state.sled.clone();
        if random.bool() {
            // It may also have come further than it was told to.
            sled = read_below(&self.0.root.join("sled"));
        }
        for (path, content) in &sled {
            let target = target_of(path);
            fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
            fs::write(target, content).expect("a file");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = WATCHED.write().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|disk| !Arc::ptr_eq(disk, &self.0));
    }
}

impl Watched {
    /// A file that has been opened, if it is below a folder under watch.
    pub(super) fn of(path: &Path, is_new: bool) -> Option<Self> {
        let disk = disk_of(path)?;
        let number = {
            let mut state = disk.state();
            let known = state.names.get(path).copied().flatten().filter(|_| !is_new);
            known.unwrap_or_else(|| {
                state.numbers += 1;
                let number = state.numbers;
                state.change(vec![(path.to_owned(), Some(Some(number)))]);
                number
            })
        };
        Some(Self { disk, path: path.to_owned(), number })
    }

    /// Whether a call may be made.
    pub(super) fn may(&self, call: Call) -> io::Result<()> {
        self.disk.meet(call, &self.path).map_or(Ok(()), |(_, error)| Err(error))
    }

    /// What may be written of these bytes, and what is to be answered then.
    pub(super) fn may_write<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], io::Result<()>) {
        if let Some((written, error)) = self.disk.meet(Call::Write, &self.path) {
            return (&bytes[..written.min(bytes.len())], Err(error));
        }
        let answer = self.may_take(bytes.len() as u64);
        let left = self.disk.available().filter(|_| answer.is_err());
        (&bytes[..left.map_or(bytes.len(), |left| bytes.len().min(left as usize))], answer)
    }

    /// Whether there is room for so many bytes.
    pub(super) fn may_take(&self, bytes: u64) -> io::Result<()> {
        match self.disk.available() {
            Some(left) if left < bytes => {
                Err(io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error()))
            }
            _ => Ok(()),
        }
    }

    /// What the file holds survives from now on, by a sync that began then.
    pub(super) fn synced(&self, file: &fs::File, began: Instant) -> io::Result<()> {
        // It may have been opened for writing only.
        let file =
            fs::File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file)))?;
        let mut content = vec![0; file.metadata()?.len() as usize];
        file.read_exact_at(&mut content, 0)?;
        let mut state = self.disk.state();
        state.synced.insert(self.number, content);
        state.longest_sync = state.longest_sync.max(began.elapsed());
        Ok(())
    }
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that are left, where the disk has a size.
    fn available(&self) -> Option<u64> {
        let capacity = self.capacity.load(Ordering::Relaxed);
        (capacity < u64::MAX).then(|| capacity.saturating_sub(bytes_below(&self.root)))
    }

    /// Lets a call meet its fault: waits for as long as it has to, or answers how many bytes are written before the
    /// error.
    fn meet(&self, call: Call, path: &Path) -> Option<(usize, io::Error)> {
        let (mut wait, mut failed, began) = (Duration::ZERO, None, Instant::now());
        for fault in &mut self.state().faults {
            let is_met = fault.call == call && path.to_string_lossy().contains(fault.path);
            if !is_met || fault.times == 0 {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
                continue;
            }
            fault.times -= 1;
            match fault.how {
                How::Takes(time) => wait += time,
                How::Fails(bytes, error) => failed = Some((bytes, error)),
            }
        }
        while began.elapsed() < wait && !self.state().faults.is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        failed.map(|(bytes, error)| (bytes, io::Error::from_raw_os_error(error)))
    }
}

impl State {
    /// Takes note of what is in a folder, but for sled's.
    fn find(&mut self, folder: &Path) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| !path.ends_with("sled")) {
            let number = fs::read(&path).ok().map(|content| {
                self.numbers += 1;
                self.synced.insert(self.numbers, content);
                self.numbers
            });
            if number.is_none() {
                self.find(&path);
            }
            self.names.insert(path, number);
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.pending.push(change);
    }
}

/// Lets a call by name meet its fault.
pub(super) fn before(call: Call, path: &Path) -> io::Result<()> {
    let met = disk_of(path).and_then(|disk| disk.meet(call, path));
    met.map_or(Ok(()), |(_, error)| Err(error))
}

/// Bytes that are left on the disk below which `path` is, where it has a size.
pub(super) fn available(path: &Path) -> Option<u64> {
    disk_of(path)?.available()
}

/// A file has another name.
pub(super) fn renamed(from: &Path, to: &Path) {
    let Some(disk) = disk_of(from) else { return };
    let mut state = disk.state();
    let number = state.names.get(from).copied();
    state.change(vec![(from.to_owned(), None), (to.to_owned(), number)]);
}

/// A file or folder is gone.
pub(super) fn removed(path: &Path) {
    let Some(disk) = disk_of(path) else { return };
    disk.state().change(vec![(path.to_owned(), None)]);
}

/// A folder and those above it are there.
pub(super) fn made_folders(path: &Path) {
    let Some(disk) = disk_of(path) else { return };
    let mut state = disk.state();
    let above: Vec<_> = path.ancestors().take_while(|above| **above != *disk.root).collect();
    for folder in above.into_iter().rev() {
        if !state.names.contains_key(folder) {
            state.change(vec![(folder.to_owned(), Some(None))]);
        }
    }
}

/// Names in a folder survive from now on.
pub(super) fn synced_folder(path: &Path) {
    let Some(disk) = disk_of(path) else { return };
    let mut state = disk.state();
    let is_there = |change: &Change| change.iter().any(|(name, _)| name.parent() == Some(path));
    let (kept, left): (Vec<_>, Vec<_>) =
        std::mem::take(&mut state.pending).into_iter().partition(is_there);
    kept.iter().for_each(|change| apply(&mut state.durable, change));
    state.pending = left;
}

/// What sled's folder holds survives from now on.
pub(super) fn synced_state(path: &Path) {
    let Some(disk) = disk_of(path) else { return };
    disk.state().sled = read_below(path);
}

/// All files below a folder.
fn read_below(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut held = BTreeMap::new();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let path = entry.path();
        match fs::read(&path) {
            Ok(content) => drop(held.insert(path, content)),
            Err(_) => held.append(&mut read_below(&path)),
        }
    }
    held
}

/// What is left of a file: what was synced; or all that was written; or some of that, with zeros behind it, where the
/// size had been noted before the bytes.
fn torn(synced: Vec<u8>, now: Option<Vec<u8>>, random: &mut fastrand::Rng) -> Vec<u8> {
    let Some(mut now) = now.filter(|now| now.starts_with(&synced)) else { return synced };
    match random.u8(..4) {
        0 => synced,
        1 => now,
        2 => {
            now.truncate(random.usize(synced.len()..=now.len()));
            now
        }
        _ => {
            let from = random.usize(synced.len()..=now.len());
            now[from..].fill(0);
            now
        }
    }
}

fn apply(names: &mut Names, change: &Change) {
    for (path, number) in change {
        match number {
            Some(number) => names.insert(path.clone(), *number),
            None => names.remove(path),
        };
    }
}

fn disk_of(path: &Path) -> Option<Arc<Disk>> {
    let watched = WATCHED.read().unwrap_or_else(PoisonError::into_inner);
    watched.iter().find(|disk| path.starts_with(&disk.root)).cloned()
}
