//! The mounts that are measured, and their series.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan_plugin::{Ctx, Out, Result, Series};
use bartizan_procfs::{KernelFile, Roots};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{PROC_SUPER_MAGIC, fstatfs},
};

use crate::{
    M, mountinfo,
    mountinfo::Mount,
    space::Space,
    survey::{Answer, Measure, Survey},
};

/// Longest that a round waits for file systems.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a round keeps of its own time limit, to give what it has.
const MARGIN: Duration = Duration::from_millis(100);

/// The mounts of one machine.
pub(crate) struct Mounts {
    table: KernelFile,
    /// Whether the table must be read, because it changed or the last reading failed.
    stale: bool,
    root: PathBuf,
    watched: Vec<Watched>,
    paths: Arc<[PathBuf]>,
    survey: Survey,
}

/// A mount that is measured.
struct Watched {
    mount: Mount,
    mood: Mood,
    usage: Series,
    used: Series,
    available: Series,
    total: Series,
    inodes_usage: Series,
    inodes_free: Series,
}

/// What was last said of a mount in the log: each change is said once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Answers,
    Refuses,
    Stuck,
}

impl Mounts {
    /// The mounts below the root that is configured, asked by `measure`.
    ///
    /// With a root of its own the table is that of the first process: the plugin's own mounts are then another
    /// machine's, or a container's. Without one it is the plugin's own: what others see cannot be reached.
    pub(crate) fn new(roots: &Roots, measure: Measure) -> Self {
        let of_first = roots.proc("1/mountinfo");
        let others = roots.rootfs != Path::new("/") && File::open(&of_first).is_ok();
        let table = if others { of_first } else { roots.proc("self/mountinfo") };
        Self {
            table: KernelFile::new(table),
            stale: true,
            root: roots.rootfs.clone(),
            watched: Vec::new(),
            paths: Arc::new([]),
            survey: Survey::new(measure),
        }
    }

    /// Asks each mount, and gives the values of those that answer in time.
    pub(crate) fn collect(&mut self, ctx: &Ctx, out: &mut Out) -> Result<()> {
        self.stale |= has_changed(&self.table);
        if self.stale {
            let mounts = mountinfo::parse(self.table.read()?)?;
            self.watch(mountinfo::disks(mounts), ctx);
            self.stale = false;
        }
        let limit = out.deadline().checked_sub(MARGIN).unwrap_or_else(Instant::now);
        let deadline = limit.min(Instant::now() + PATIENCE);
        let watched = &mut self.watched;
        self.survey.ask(&self.paths, deadline, |at, answer| {
            if let Some(watched) = watched.get_mut(at) {
                watched.hear(answer, ctx, out);
            }
        })?;
        Ok(())
    }

    /// Goes on with `mounts`: what is new gets series, what is gone loses them.
    fn watch(&mut self, mounts: Vec<Mount>, ctx: &Ctx) {
        // The old ones leave first: a new one with the same labels gets a handle of its own.
        let (mut kept, gone): (Vec<_>, Vec<_>) =
            self.watched.drain(..).partition(|watched| mounts.contains(&watched.mount));
        for watched in gone {
            watched.end(ctx);
        }
        self.paths = mounts.iter().map(|mount| below(&self.root, &mount.path)).collect();
        for mount in mounts {
            let known = kept.iter().position(|watched| watched.mount == mount);
            self.watched.push(match known {
                Some(at) => kept.swap_remove(at),
                None => Watched::new(mount, ctx),
            });
        }
    }
}

/// Whether the table may be another one than the one read last. The kernel's own says so through poll, which costs far
/// less than reading it: machines with containers have hundreds of mounts. A captured one says nothing.
fn has_changed(table: &KernelFile) -> bool {
    let Some(file) = table.descriptor() else { return true };
    if fstatfs(file).map_or(true, |found| found.f_type != PROC_SUPER_MAGIC) {
        return true;
    }
    let changed = PollFlags::PRI | PollFlags::ERR;
    let mut polled = [PollFd::new(file, changed)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    // If it cannot be asked, reading it is the safe answer.
    poll(&mut polled, Some(&at_once)).is_err()
        || polled.iter().any(|polled| polled.revents().intersects(changed))
}

/// Where a mount of the watched machine is found here.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

impl Watched {
    fn new(mount: Mount, ctx: &Ctx) -> Self {
        let path = mount.path.to_string_lossy();
        let labels =
            [("mount", &*path), ("device", &*mount.source), ("filesystem", &*mount.filesystem)];
        let series = |metric| ctx.series(metric, &labels);
        Self {
            usage: series(M::Usage),
            used: series(M::Used),
            available: series(M::Available),
            total: series(M::Total),
            inodes_usage: series(M::InodesUsage),
            inodes_free: series(M::InodesFree),
            mood: Mood::Answers,
            mount,
        }
    }

    fn hear(&mut self, answer: &Answer, ctx: &Ctx, out: &mut Out) {
        let path = self.mount.path.display();
        let mood = match answer {
            Answer::Space(space) => {
                self.give(space, out);
                Mood::Answers
            }
            Answer::Refused(_) => Mood::Refuses,
            Answer::Stuck => Mood::Stuck,
            Answer::Unasked => return,
        };
        if mood == self.mood {
            return;
        }
        self.mood = mood;
        match answer {
            Answer::Refused(error) => {
                ctx.warn(format_args!("`{path}` cannot be measured: {error}"))
            }
            Answer::Stuck => ctx
                .warn(format_args!("`{path}` does not answer; it is not asked again until it has")),
            _ => ctx.info(format_args!("`{path}` answers again")),
        }
    }

    fn give(&self, space: &Space, out: &mut Out) {
        out.gauge(self.used, space.used as f64);
        out.gauge(self.available, space.available as f64);
        out.gauge(self.total, space.total as f64);
        if let Some(ratio) = space.usage_ratio() {
            out.gauge(self.usage, ratio);
        }
        if let Some(ratio) = space.inodes_usage_ratio() {
            out.gauge(self.inodes_usage, ratio);
            out.gauge(self.inodes_free, space.inodes_free as f64);
        }
    }

    fn end(self, ctx: &Ctx) {
        for series in [self.usage, self.used, self.available] {
            ctx.series_drop(series);
        }
        for series in [self.total, self.inodes_usage, self.inodes_free] {
            ctx.series_drop(series);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn the_kernels_own_table_is_read_again_only_when_it_changed() {
        let mut table = KernelFile::new("/proc/self/mountinfo".into());
        assert!(has_changed(&table), "it was never read");
        let deadline = Instant::now() + Duration::from_secs(30);
        table.read().unwrap();
        // Somebody else may mount something just now, but not all the time.
        while has_changed(&table) {
            assert!(Instant::now() < deadline, "it changes all the time");
        }
    }

    #[test]
    fn a_captured_table_is_read_each_time() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/vm/proc/self/mountinfo");
        let mut table = KernelFile::new(path.into());
        table.read().unwrap();
        assert!(has_changed(&table));
    }

    #[test]
    fn a_mount_is_found_below_the_root() {
        assert_eq!(below(Path::new("/"), Path::new("/home")), Path::new("/home"));
        assert_eq!(below(Path::new("/host"), Path::new("/home")), Path::new("/host/home"));
        assert_eq!(below(Path::new("/host"), Path::new("/")), Path::new("/host"));
    }
}
