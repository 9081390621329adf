//! The block devices that are measured, and their series.

use std::path::{Path, PathBuf};

use bartizan_plugin::{Ctx, Out, Result, Series};
use bartizan_procfs::{KernelFile, Roots, Roster, read_value};

use crate::{M, diskstats, diskstats::Io};

/// How the names of devices begin that are no disks: files, memory, and drives for media.
const NO_DISKS: [&str; 5] = ["fd", "loop", "ram", "sr", "zram"];

/// The block devices of one machine.
pub(crate) struct Devices {
    file: KernelFile,
    folder: PathBuf,
    roster: Roster<Option<Device>>,
}

/// A device that is measured; the roster holds nothing for one that is not.
struct Device {
    reads: Series,
    writes: Series,
    read_bytes: Series,
    written_bytes: Series,
    read_seconds: Series,
    write_seconds: Series,
    io_seconds: Series,
}

impl Devices {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            file: KernelFile::new(roots.proc("diskstats")),
            folder: roots.sys("block"),
            roster: Roster::default(),
        }
    }

    /// Reads them once, and gives all values. A device that vanished takes its series with it.
    pub(crate) fn collect(&mut self, ctx: &Ctx, out: &mut Out) -> Result<()> {
        let Self { file, folder, roster } = self;
        diskstats::parse(file.read()?, |name, io| {
            let device = roster.meet(name, || {
                let label = label(&String::from_utf8_lossy(name), folder);
                label.map(|label| Device::new(&label, ctx))
            });
            if let Some(device) = device {
                device.give(&io, out);
            }
        })?;
        roster.part(|device| {
            if let Some(device) = device {
                device.end(ctx);
            }
        });
        Ok(())
    }
}

/// What a device is called; none for a partition, which has no folder of its own in `/sys/block`, and for what is no
/// disk. One of the device mapper is called by the name that its administrator gave it.
fn label(name: &str, folder: &Path) -> Option<String> {
    let kind = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
    // A `/` in a name stands as `!` in `/sys`.
    let folder = folder.join(name.replace('/', "!"));
    if NO_DISKS.contains(&kind) || !folder.exists() {
        return None;
    }
    Some(read_value(&folder.join("dm/name")).unwrap_or_else(|| name.to_owned()))
}

impl Device {
    fn new(label: &str, ctx: &Ctx) -> Self {
        let series = |metric| ctx.series(metric, &[("device", label)]);
        Self {
            reads: series(M::Reads),
            writes: series(M::Writes),
            read_bytes: series(M::ReadBytes),
            written_bytes: series(M::WrittenBytes),
            read_seconds: series(M::ReadSeconds),
            write_seconds: series(M::WriteSeconds),
            io_seconds: series(M::IoSeconds),
        }
    }

    fn give(&self, io: &Io, out: &mut Out) {
        out.counter(self.reads, io.reads);
        out.counter(self.writes, io.writes);
        out.counter(self.read_bytes, io.read_bytes);
        out.counter(self.written_bytes, io.written_bytes);
        out.counter_f64(self.read_seconds, io.read_ms as f64 / 1000.0);
        out.counter_f64(self.write_seconds, io.write_ms as f64 / 1000.0);
        out.counter_f64(self.io_seconds, io.busy_ms as f64 / 1000.0);
    }

    fn end(&self, ctx: &Ctx) {
        let Self { reads, writes, read_bytes, written_bytes, .. } = *self;
        for series in [reads, writes, read_bytes, written_bytes] {
            ctx.series_drop(series);
        }
        for series in [self.read_seconds, self.write_seconds, self.io_seconds] {
            ctx.series_drop(series);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_disks_are_told_from_the_rest() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/server/sys/block");
        let label = |name| label(name, &folder);
        assert_eq!(label("nvme0n1").as_deref(), Some("nvme0n1"));
        assert_eq!(label("sda").as_deref(), Some("sda"));
        assert_eq!(label("dm-0").as_deref(), Some("vg0-data"));
        assert_eq!(label("cciss/c0d0").as_deref(), Some("cciss/c0d0"));
        for name in ["nvme0n1p1", "sda1", "loop0", "ram0", "zram0", "sr0"] {
            assert_eq!(label(name), None, "{name}");
        }
    }
}
