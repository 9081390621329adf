//! What `/sys/class/net` says of an interface's link: whether it is there, and how fast it is.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bartizan_procfs::read_value;

/// Time between two readings of the state of a virtual interface: a machine may have hundreds.
const VIRTUAL_STATE_EVERY: Duration = Duration::from_secs(5);

/// Time between two readings of the speed, which may ask the device.
const SPEED_EVERY: Duration = Duration::from_secs(60);

/// The link of one interface.
pub(crate) struct Link {
    folder: PathBuf,
    physical: bool,
    up: Option<bool>,
    bytes_per_second: Option<f64>,
    state_at: Option<Instant>,
    speed_at: Option<Instant>,
}

impl Link {
    /// The link of the interface whose folder in `/sys/class/net` is this; nothing of it is known yet but whether it is
    /// physical.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            physical: folder.join("device").exists(),
            folder,
            up: None,
            bytes_per_second: None,
            state_at: None,
            speed_at: None,
        }
    }

    /// Whether a device stands behind the interface: a bond, a bridge, a tunnel and `lo` have none.
    pub(crate) fn is_physical(&self) -> bool {
        self.physical
    }

    /// Whether packets can go; none where the kernel does not say.
    pub(crate) fn up(&self) -> Option<bool> {
        self.up
    }

    /// How fast it is; none where the kernel does not know, as on most virtual machines, or the link is down.
    pub(crate) fn bytes_per_second(&self) -> Option<f64> {
        self.bytes_per_second
    }

    /// Reads what is due at `now`: the state of a physical link each time, its speed now and then, and at once when the
    /// state has changed.
    pub(crate) fn refresh(&mut self, now: Instant) {
        if self.physical || is_due(self.state_at, VIRTUAL_STATE_EVERY, now) {
            self.state_at = Some(now);
            let up = read_value(&self.folder.join("operstate")).map(|state| is_up(&state));
            if up != self.up {
                self.up = up;
                self.speed_at = None;
            }
        }
        if is_due(self.speed_at, SPEED_EVERY, now) {
            self.speed_at = Some(now);
            self.bytes_per_second = read_speed(&self.folder);
        }
    }
}

fn is_due(last: Option<Instant>, every: Duration, now: Instant) -> bool {
    last.is_none_or(|last| now.saturating_duration_since(last) >= every)
}

/// Interfaces without a notion of a link, `lo` and tunnels, are `unknown` while they are in use, and `down` otherwise.
fn is_up(operstate: &str) -> bool {
    matches!(operstate, "up" | "unknown")
}

/// The speed in bytes per second. The file holds megabits; −1, or the same without a sign, is "not known".
fn read_speed(folder: &Path) -> Option<f64> {
    let megabits: u32 = read_value(&folder.join("speed"))?.parse().ok()?;
    let known = megabits > 0 && megabits < u32::MAX;
    known.then(|| f64::from(megabits) * 1e6 / 8.0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use std::fs;

    use super::*;

    #[test]
    fn captured_links_are_what_they_were() {
        let facts = |name| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/router/sys/class/net");
            let mut link = Link::new(root.join(name));
            link.refresh(Instant::now());
            (link.is_physical(), link.up(), link.bytes_per_second())
        };
        assert_eq!(facts("lo"), (false, Some(true), None));
        assert_eq!(facts("enp3s0f1"), (true, Some(true), Some(1.25e9)));
        assert_eq!(facts("bond0"), (false, Some(true), Some(1.25e9)));
        assert_eq!(facts("eth0.100"), (false, Some(false), None));
        assert_eq!(facts("docker0"), (false, Some(false), None), "-1 without a sign");
        assert_eq!(facts("veth1a2b3c4"), (false, None, None), "in no folder");
    }

    #[test]
    fn a_physical_link_is_watched_each_time_and_a_virtual_one_now_and_then() {
        let start = Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, value: &str| fs::write(folder.path().join(name), value).unwrap();
        write("operstate", "up\n");
        write("speed", "1000\n");
        let mut tunnel = Link::new(folder.path().to_owned());
        fs::create_dir(folder.path().join("device")).unwrap();
        let mut card = Link::new(folder.path().to_owned());
        card.refresh(start);
        tunnel.refresh(start);
        assert_eq!(card.bytes_per_second(), Some(1.25e8));

        write("operstate", "down\n");
        write("speed", "-1\n");
        let next = start + Duration::from_secs(1);
        card.refresh(next);
        tunnel.refresh(next);
        assert_eq!(
            (card.up(), card.bytes_per_second()),
            (Some(false), None),
            "speed follows state"
        );
        assert_eq!(tunnel.up(), Some(true));

        tunnel.refresh(start + VIRTUAL_STATE_EVERY);
        assert_eq!(tunnel.up(), Some(false));
        write("speed", "100\n");
        card.refresh(next + SPEED_EVERY);
        assert_eq!(card.bytes_per_second(), Some(1.25e7));
    }
}
