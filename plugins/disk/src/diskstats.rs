//! `/proc/diskstats`: what each block device has read and written since it appeared.
//!
//! Newer kernels add columns at the end, which are not measured. Kernels before 2.6.25 give partitions four columns
//! instead of eleven; partitions are not measured either. Format: the kernel's Documentation/admin-guide/iostats.rst.

use bartizan_procfs::{Lines, ParseError};

/// The unit of the kernel's sectors, whatever the device has.
const SECTOR_BYTES: u64 = 512;

/// What one device has read and written. The times are kept by the kernel in 32 bits and begin again after 49 days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Io {
    /// Reads that were completed.
    pub(crate) reads: u64,
    /// What they read.
    pub(crate) read_bytes: u64,
    /// How long they took, all added up.
    pub(crate) read_ms: u64,
    /// Writes that were completed.
    pub(crate) writes: u64,
    /// What they wrote.
    pub(crate) written_bytes: u64,
    /// How long they took, all added up.
    pub(crate) write_ms: u64,
    /// How long the device had anything to do.
    pub(crate) busy_ms: u64,
}

/// Parses the whole file and gives each device to `visit`, in the order of the file.
pub(crate) fn parse(text: &[u8], mut visit: impl FnMut(&[u8], Io)) -> Result<(), ParseError> {
    for mut line in Lines::new("diskstats", text)? {
        line.count("major")?;
        line.count("minor")?;
        let name = line.need("name")?;
        let mut io = Io { reads: line.count("reads")?, ..Io::default() };
        line.count("reads merged")?;
        io.read_bytes = line.count("sectors read")?.saturating_mul(SECTOR_BYTES);
        io.read_ms = line.count("time reading")?;
        if line.rest().is_empty() {
            // A partition, of an old kernel.
            continue;
        }
        io.writes = line.count("writes")?;
        line.count("writes merged")?;
        io.written_bytes = line.count("sectors written")?.saturating_mul(SECTOR_BYTES);
        io.write_ms = line.count("time writing")?;
        line.count("in flight")?;
        io.busy_ms = line.count("time busy")?;
        visit(name, io);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn a_virtual_machine_as_captured() {
        let devices = all(include_bytes!("../fixtures/vm/proc/diskstats")).unwrap();
        let vda = Io {
            reads: 253635,
            read_bytes: 14490818 * 512,
            read_ms: 459550,
            writes: 38104,
            written_bytes: 20537264 * 512,
            write_ms: 77569,
            busy_ms: 28132,
        };
        assert_eq!(devices.len(), 10);
        assert_eq!(devices[8], ("vda".to_owned(), vda));
        assert_eq!(devices[9], ("zram0".to_owned(), Io::default()));
    }

    #[test]
    fn columns_of_every_kernel_are_understood() {
        let devices = all(include_bytes!("../fixtures/server/proc/diskstats")).unwrap();
        let nvme = Io {
            reads: 1 << 32,
            read_bytes: 34_359_738_368 * 512,
            read_ms: 4_000_500,
            writes: 2_000_000,
            written_bytes: 16_000_000 * 512,
            write_ms: 3_000_250,
            busy_ms: 5_000_125,
        };
        assert_eq!(devices[2], ("nvme0n1".to_owned(), nvme));
        assert_eq!(devices[8].0, "cciss/c0d0");
        assert_eq!(devices[8].1.busy_ms, 20);
    }

    #[test]
    fn an_old_kernel_gives_partitions_four_columns() {
        let devices = all(include_bytes!("../fixtures/old/proc/diskstats")).unwrap();
        assert_eq!(devices.len(), 1);
        assert_eq!((&*devices[0].0, devices[0].1.busy_ms), ("hda", 3_376_340));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = |text: &str| all(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(""), "failed to parse `diskstats` line 1: the file is empty");
        assert_eq!(
            error("8 0 sda 1 2 3 4 5 6 7\n"),
            "failed to parse `diskstats` line 1: ends before column 11 (time writing)"
        );
        assert_eq!(
            error("8 0 sda 1 2 3 4\n8 0 sda 1 2 3 4 5 6 7 8 9 1e3\n"),
            r#"failed to parse `diskstats` line 2: column 13 (time busy) is "1e3", must be a count"#
        );
        assert_eq!(error("8 0 sda 1"), "failed to parse `diskstats` line 1: the line does not end");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in any::<Vec<u8>>()) {
            // Any answer is fine, as long as there is one.
            let _ = all(&text);
        }
    }

    fn all(text: &[u8]) -> Result<Vec<(String, Io)>, ParseError> {
        let mut all = Vec::new();
        parse(text, |name, io| all.push((String::from_utf8_lossy(name).into_owned(), io)))?;
        Ok(all)
    }
}
