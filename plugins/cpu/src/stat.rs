//! `/proc/stat`: how the processors have spent their time since boot.
//!
//! Older kernels have fewer columns; the ones they lack are zero. Format: the kernel's
//! Documentation/filesystems/proc.rst.

use bartizan_procfs::{Line, Lines, ParseError};

/// What of `/proc/stat` is measured. Kept from reading to reading, so that its list is allocated once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    /// All processors together.
    pub(crate) all: Times,
    /// Each processor that is online, with its number.
    pub(crate) cores: Vec<(u32, Times)>,
    /// Switches from one task to another.
    pub(crate) context_switches: u64,
}

/// Time spent in each mode, in ticks (mostly hundredths of a second).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// Programs, virtual machines included.
    pub(crate) user: u64,
    /// Programs of low priority, virtual machines of low priority included.
    pub(crate) nice: u64,
    /// The kernel.
    pub(crate) system: u64,
    /// Nothing to do.
    pub(crate) idle: u64,
    /// Nothing to do but to wait for a disk. May go backwards.
    pub(crate) iowait: u64,
    /// Interrupts.
    pub(crate) irq: u64,
    /// What interrupts left for later.
    pub(crate) softirq: u64,
    /// Taken by the host of this virtual machine.
    pub(crate) steal: u64,
    /// The part of `user` that virtual machines took.
    pub(crate) guest: u64,
    /// The part of `nice` that virtual machines took.
    pub(crate) guest_nice: u64,
}

impl Stat {
    /// Parses the whole file into `self`, whose values mean nothing after an error.
    pub(crate) fn parse(&mut self, text: &[u8]) -> Result<(), ParseError> {
        self.cores.clear();
        let mut lines = Lines::new("stat", text)?;
        let (mut all, mut context_switches) = (None, None);
        for mut line in lines.by_ref() {
            match line.word() {
                Some(b"cpu") => all = Some(Times::parse(&mut line)?),
                Some(b"ctxt") => context_switches = Some(line.count("switches")?),
                Some(name) => {
                    let Some(number) = name.strip_prefix(b"cpu") else { continue };
                    let number =
                        std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
                    let number = number
                        .ok_or_else(|| line.wrong(name, "processor", "must end with a number"))?;
                    self.cores.push((number, Times::parse(&mut line)?));
                }
                None => {}
            }
        }
        self.all = all.ok_or_else(|| lines.lacks("cpu"))?;
        self.context_switches = context_switches.ok_or_else(|| lines.lacks("ctxt"))?;
        if self.cores.is_empty() {
            return Err(lines.lacks("cpu0"));
        }
        Ok(())
    }
}

impl Times {
    fn parse(line: &mut Line) -> Result<Self, ParseError> {
        Ok(Self {
            user: line.count("user")?,
            nice: line.count("nice")?,
            system: line.count("system")?,
            idle: line.count("idle")?,
            iowait: line.count_or_zero("iowait")?,
            irq: line.count_or_zero("irq")?,
            softirq: line.count_or_zero("softirq")?,
            steal: line.count_or_zero("steal")?,
            guest: line.count_or_zero("guest")?,
            guest_nice: line.count_or_zero("guest_nice")?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn a_virtual_machine_as_captured() {
        let stat = parse(include_bytes!("../fixtures/vm/proc/stat")).unwrap();
        let all = Times {
            user: 13541,
            nice: 66046,
            system: 14697,
            idle: 266_028,
            iowait: 1328,
            softirq: 169,
            steal: 291,
            ..Times::default()
        };
        assert_eq!(stat.all, all);
        let core1 = Times {
            user: 7454,
            nice: 33939,
            system: 8160,
            idle: 130_239,
            iowait: 1022,
            softirq: 148,
            steal: 157,
            ..Times::default()
        };
        assert_eq!(stat.cores.len(), 2);
        assert_eq!(stat.cores[1], (1, core1));
        assert_eq!(stat.context_switches, 875_431);
    }

    #[test]
    fn an_old_kernel_has_four_columns() {
        let stat = parse(include_bytes!("../fixtures/old/proc/stat")).unwrap();
        let all = Times { user: 1000, nice: 200, system: 300, idle: 4000, ..Times::default() };
        assert_eq!(stat.all, all);
        assert_eq!(stat.context_switches, 98765);
    }

    #[test]
    fn a_machine_of_128_processors_of_which_one_is_offline() {
        let stat = parse(include_bytes!("../fixtures/many/proc/stat")).unwrap();
        assert_eq!(stat.cores.len(), 127);
        assert_eq!(stat.cores[5].0, 6, "processor 5 is offline");
        assert_eq!(stat.cores[126].0, 127);
        assert_eq!((stat.all.guest, stat.all.guest_nice), (2540, 127));
        assert_eq!(stat.context_switches, 123_456_789_012);
    }

    #[test]
    fn a_second_reading_replaces_the_first() {
        let mut stat = parse(include_bytes!("../fixtures/many/proc/stat")).unwrap();
        stat.parse(include_bytes!("../fixtures/vm/proc/stat")).unwrap();
        assert_eq!(stat, parse(include_bytes!("../fixtures/vm/proc/stat")).unwrap());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(""), "failed to parse `stat` line 1: the file is empty");
        assert_eq!(
            error("cpu 1 2 3\n"),
            "failed to parse `stat` line 1: ends before column 5 (idle)"
        );
        assert_eq!(
            error("cpu 1 2 3 4\ncpu0 1 2 3 4 x\n"),
            r#"failed to parse `stat` line 2: column 6 (iowait) is "x", must be a count"#
        );
        assert_eq!(
            error("cpu 1 2 3 4\ncpux 1 2 3 4\n"),
            r#"failed to parse `stat` line 2: column 1 (processor) is "cpux", must end with a number"#
        );
        assert_eq!(
            error("cpu 1 2 3 4\nctxt 1\n"),
            "failed to parse `stat` line 2: no cpu0 up to here"
        );
        assert_eq!(
            error("cpu 1 2 3 4\ncpu0 1 2"),
            "failed to parse `stat` line 2: the line does not end"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in any::<Vec<u8>>()) {
            // Any answer is fine, as long as there is one.
            let _ = parse(&text);
        }
    }

    fn parse(text: &[u8]) -> Result<Stat, ParseError> {
        let mut stat = Stat::default();
        stat.parse(text).map(|()| stat)
    }
}
