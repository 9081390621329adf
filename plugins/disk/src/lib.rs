//! Reads how full the disks of a machine are, and what they read and write.
//!
//! # Invariants
//!
//! - A mount that does not answer delays a round by a second once, has no values, and disturbs nothing else:
//!   [`survey`].
//! - `disk_usage_ratio` is used / (used + available to users), as `df` says it.
//! - Each file system is there once, by its shortest mount path; what is no disk is not there.
//! - Each whole device is there, not its partitions: what it does to a partition it does to the device.
//! - A mount or device that vanishes takes its series with it, and has the same labels when it comes back.
//! - The list of mounts is parsed here and not asked of sysinfo, whose refresh calls statvfs on each mount from the
//!   caller's thread, and which leaves network file systems out because of that.

mod devices;
mod diskstats;
mod mountinfo;
mod mounts;
mod space;
mod survey;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bartizan_plugin::{Collector, Ctx, Out, Result, plugin};
use bartizan_procfs::Roots;
use devices::Devices;
use mounts::Mounts;
use space::Space;

/// The collector of one machine's disks.
pub struct Disk {
    ctx: Ctx,
    devices: Devices,
    mounts: Mounts,
}

impl Collector for Disk {
    type Config = Roots;

    fn new(roots: Roots, ctx: Ctx) -> Result<Self> {
        let measure = Arc::new(Space::measure);
        Ok(Self { devices: Devices::new(&roots), mounts: Mounts::new(&roots, measure), ctx })
    }

    fn collect(&mut self, out: &mut Out) -> Result<()> {
        // First what is quick, so that its values are as old as the round says.
        self.devices.collect(&self.ctx, out)?;
        self.mounts.collect(&self.ctx, out)
    }
}

plugin! { Disk,
    id: "org.bartizan.disk",
    name: "disk",
    license: "Apache-2.0",
    description: "Disks: how full each mount is, what each device reads and writes",
    needs { read: ["/"] }
    metrics {
        Usage: gauge "disk_usage_ratio" "ratio" ["mount", "device", "filesystem"]
            "Part of the space that is used: used / (used + available to users), as df says it";
        Used: gauge "disk_used_bytes" "bytes" ["mount", "device", "filesystem"] "Space that files take";
        Available: gauge "disk_available_bytes" "bytes" ["mount", "device", "filesystem"]
            "Space that a user may still take";
        Total: gauge "disk_total_bytes" "bytes" ["mount", "device", "filesystem"]
            "All space, with what is kept back for root";
        InodesUsage: gauge "disk_inodes_usage_ratio" "ratio" ["mount", "device", "filesystem"]
            "Part of the files it can hold that it holds; absent where it sets no limit";
        InodesFree: gauge "disk_inodes_free" "inodes" ["mount", "device", "filesystem"]
            "How many more files it can hold; absent where it sets no limit";
        Reads: counter "disk_reads_total" "reads" ["device"] "Reads completed";
        Writes: counter "disk_writes_total" "writes" ["device"] "Writes completed";
        ReadBytes: counter "disk_read_bytes_total" "bytes" ["device"] "Bytes read";
        WrittenBytes: counter "disk_written_bytes_total" "bytes" ["device"] "Bytes written";
        ReadSeconds: counter "disk_read_seconds_total" "seconds" ["device"]
            "Time that reads took, all added up";
        WriteSeconds: counter "disk_write_seconds_total" "seconds" ["device"]
            "Time that writes took, all added up";
        IoSeconds: counter "disk_io_seconds_total" "seconds" ["device"]
            "Time that the device had anything to do";
    }
}
