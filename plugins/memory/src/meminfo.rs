//! `/proc/meminfo`: how much memory there is, and what holds it.
//!
//! Each line is `Name: value kB`, in an order that differs between kernels; lines that count something else have no
//! `kB`. Format: the kernel's Documentation/filesystems/proc.rst.

use bartizan_procfs::{Lines, ParseError};

/// What of `/proc/meminfo` is measured, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meminfo {
    /// Usable memory; what the kernel kept for itself at boot is not in it.
    pub(crate) total: u64,
    /// Holds nothing at all.
    pub(crate) free: u64,
    /// What programs could get without swapping, at most the total.
    pub(crate) available: u64,
    /// Raw blocks of devices.
    pub(crate) buffers: u64,
    /// Contents of files, and the caches of the kernel that it can give back: what `free` calls cache.
    pub(crate) cached: u64,
    /// Room to swap to; zero where there is none.
    pub(crate) swap_total: u64,
    /// Part of it that holds nothing.
    pub(crate) swap_free: u64,
}

impl Meminfo {
    /// Parses the whole file.
    ///
    /// A kernel before 3.14 does not say what is available; then it is what is free or can be given back, without
    /// shared memory, which stands among the cached and cannot.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let mut lines = Lines::new("meminfo", text)?;
        let (mut total, mut free, mut available) = (None, None, None);
        let (mut buffers, mut cached, mut reclaimable, mut shared) = (0, 0, 0, 0);
        let (mut swap_total, mut swap_free) = (0, 0);
        for mut line in lines.by_ref() {
            let name = line.need("name")?;
            let mut bytes = || Ok(line.count("size")?.saturating_mul(1024));
            match name {
                b"MemTotal:" => total = Some(bytes()?),
                b"MemFree:" => free = Some(bytes()?),
                b"MemAvailable:" => available = Some(bytes()?),
                b"Buffers:" => buffers = bytes()?,
                b"Cached:" => cached = bytes()?,
                b"SReclaimable:" => reclaimable = bytes()?,
                b"Shmem:" => shared = bytes()?,
                b"SwapTotal:" => swap_total = bytes()?,
                b"SwapFree:" => swap_free = bytes()?,
                _ => {}
            }
        }
        let total =
            total.filter(|total| *total > 0).ok_or_else(|| lines.lacks("MemTotal above 0"))?;
        let free = free.ok_or_else(|| lines.lacks("MemFree"))?;
        let cached: u64 = cached.saturating_add(reclaimable);
        let given_back =
            || free.saturating_add(buffers).saturating_add(cached).saturating_sub(shared);
        let available = available.unwrap_or_else(given_back).min(total);
        Ok(Self { total, free, available, buffers, cached, swap_total, swap_free })
    }

    /// What is in use and could not be given back.
    pub(crate) fn used(&self) -> u64 {
        self.total.saturating_sub(self.available)
    }

    /// Part of the memory that is in use: 1 − available / total.
    pub(crate) fn usage_ratio(&self) -> f64 {
        self.used() as f64 / self.total as f64
    }

    /// What was swapped out.
    pub(crate) fn swap_used(&self) -> u64 {
        self.swap_total.saturating_sub(self.swap_free)
    }

    /// Part of the swap that is in use; none where there is no swap.
    pub(crate) fn swap_usage_ratio(&self) -> Option<f64> {
        (self.swap_total > 0).then(|| self.swap_used() as f64 / self.swap_total as f64)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn a_desktop_with_swap() {
        let meminfo = Meminfo::parse(include_bytes!("../fixtures/desktop/proc/meminfo")).unwrap();
        let expected = Meminfo {
            total: 32_768_000 * 1024,
            free: 2_048_000 * 1024,
            available: 16_384_000 * 1024,
            buffers: 512_000 * 1024,
            cached: (12_288_000 + 819_200) * 1024,
            swap_total: 8_192_000 * 1024,
            swap_free: 6_144_000 * 1024,
        };
        assert_eq!(meminfo, expected);
        assert_eq!(meminfo.usage_ratio(), 0.5);
        assert_eq!(meminfo.swap_usage_ratio(), Some(0.25));
    }

    #[test]
    fn a_kernel_that_does_not_say_what_is_available() {
        let meminfo = Meminfo::parse(include_bytes!("../fixtures/old/proc/meminfo")).unwrap();
        let available = 102_400 + 204_800 + 1_024_000 + 102_400 - 51_200;
        assert_eq!(meminfo.available, available * 1024);
        assert_eq!(meminfo.swap_usage_ratio(), Some(0.0));
    }

    #[test]
    fn a_container_without_swap() {
        let meminfo = Meminfo::parse(include_bytes!("../fixtures/container/proc/meminfo")).unwrap();
        assert_eq!(meminfo.used(), 128 << 20);
        assert_eq!(meminfo.usage_ratio(), 0.25);
        assert_eq!(meminfo.swap_usage_ratio(), None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = |text: &str| Meminfo::parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(""), "failed to parse `meminfo` line 1: the file is empty");
        assert_eq!(
            error("MemTotal: 1 kB\nMemFree: many kB\n"),
            r#"failed to parse `meminfo` line 2: column 2 (size) is "many", must be a count"#
        );
        assert_eq!(
            error("MemTotal: 1 kB\nMemFree:"),
            "failed to parse `meminfo` line 2: the line does not end"
        );
        assert_eq!(
            error("MemTotal: 1 kB\nBuffers: 1 kB\n"),
            "failed to parse `meminfo` line 2: no MemFree up to here"
        );
        assert_eq!(
            error("MemTotal: 0 kB\nMemFree: 0 kB\n"),
            "failed to parse `meminfo` line 2: no MemTotal above 0 up to here"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in any::<Vec<u8>>()) {
            // Any answer is fine, as long as there is one.
            let _ = Meminfo::parse(&text);
        }

        #[test]
        fn the_ratios_stay_between_0_and_1(numbers in any::<[u64; 9]>()) {
            let names = [
                "MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SReclaimable", "Shmem", "SwapTotal",
                "SwapFree",
            ];
            let lines = names.iter().zip(numbers).map(|(name, number)| format!("{name}: {number} kB\n"));
            if let Ok(meminfo) = Meminfo::parse(lines.collect::<String>().as_bytes()) {
                assert!((0.0..=1.0).contains(&meminfo.usage_ratio()));
                assert!((0.0..=1.0).contains(&meminfo.swap_usage_ratio().unwrap_or(0.0)));
            }
        }
    }
}
