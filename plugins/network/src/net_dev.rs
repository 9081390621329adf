//! `/proc/net/dev`: what each network interface has received and sent since it appeared.
//!
//! Two lines of headings, then a line for each interface. Older kernels leave no space after its colon. Format: the
//! kernel's net/core/net-procfs.c.

use bartizan_procfs::{Line, Lines, ParseError};

/// Lines of headings.
const HEADINGS: usize = 2;

/// What one interface has received and sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// What came in.
    pub(crate) receive: Direction,
    /// What went out.
    pub(crate) transmit: Direction,
}

/// One way of an interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Direction {
    /// Bytes, the headers of the link included.
    pub(crate) bytes: u64,
    /// Packets.
    pub(crate) packets: u64,
    /// Packets with errors.
    pub(crate) errors: u64,
    /// Packets dropped, for want of room mostly.
    pub(crate) drops: u64,
}

/// Parses the whole file and gives each interface to `visit`, in the order of the file.
pub(crate) fn parse(text: &[u8], mut visit: impl FnMut(&[u8], Traffic)) -> Result<(), ParseError> {
    let mut lines = Lines::new("net/dev", text)?;
    for _ in 0..HEADINGS {
        let Some(heading) = lines.next() else { return Err(lines.lacks("second heading")) };
        if !heading.rest().contains(&b'|') {
            return Err(heading.error("no `|` in a heading".to_owned()));
        }
    }
    for mut line in lines {
        let name = line.until(b':', "interface")?;
        let receive = Direction::parse(&mut line)?;
        // fifo, frame, compressed, multicast.
        line.skip(4);
        let transmit = Direction::parse(&mut line)?;
        visit(name, Traffic { receive, transmit });
    }
    Ok(())
}

impl Direction {
    fn parse(line: &mut Line) -> Result<Self, ParseError> {
        Ok(Self {
            bytes: line.count("bytes")?,
            packets: line.count("packets")?,
            errors: line.count("errs")?,
            drops: line.count("drop")?,
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
        let interfaces = all(include_bytes!("../fixtures/vm/proc/net/dev")).unwrap();
        let names: Vec<_> = interfaces.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["lo", "ifb0", "ifb1", "eth0"]);
        assert_eq!(interfaces[1].1, Traffic::default());
        let receive = Direction { bytes: 625368601, packets: 21312, ..Direction::default() };
        let transmit = Direction { bytes: 1405695, packets: 12882, ..Direction::default() };
        assert_eq!(interfaces[3].1, Traffic { receive, transmit });
    }

    #[test]
    fn a_router_with_every_kind_of_interface() {
        let interfaces = all(include_bytes!("../fixtures/router/proc/net/dev")).unwrap();
        let names: Vec<_> = interfaces.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["lo", "enp3s0f1", "bond0", "eth0.100", "veth1a2b3c4@if7", "docker0"]);
        let receive = Direction { bytes: u64::MAX, packets: 17, errors: 3, drops: 5 };
        let transmit = Direction { bytes: 1 << 40, packets: 19, errors: 7, drops: 11 };
        assert_eq!(interfaces[1].1, Traffic { receive, transmit });
        assert_eq!(interfaces[0].1.receive.bytes, (1 << 53) + 1, "more than a float can count");
    }

    #[test]
    fn an_old_kernel_leaves_no_space_after_the_name() {
        let interfaces = all(include_bytes!("../fixtures/old/proc/net/dev")).unwrap();
        assert_eq!(interfaces[1].0, "eth0");
        assert_eq!(interfaces[1].1.receive.bytes, 3_906_213);
        assert_eq!(interfaces[1].1.transmit.packets, 1234);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = |text: &str| all(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(""), "failed to parse `net/dev` line 1: the file is empty");
        assert_eq!(
            error("a|b\n"),
            "failed to parse `net/dev` line 1: no second heading up to here"
        );
        assert_eq!(error("a|b\nlo: 1\n"), "failed to parse `net/dev` line 2: no `|` in a heading");
        assert_eq!(
            error("a|b\na|b\nlo 1 2\n"),
            "failed to parse `net/dev` line 3: no `:` after column 1 (interface)"
        );
        assert_eq!(
            error("a|b\na|b\nlo: 1 2 3 4 5 6 7 8 9 -1\n"),
            r#"failed to parse `net/dev` line 3: column 11 (packets) is "-1", must be a count"#
        );
        assert_eq!(
            error("a|b\na|b\nlo: 1 2"),
            "failed to parse `net/dev` line 3: the line does not end"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in any::<Vec<u8>>()) {
            // Any answer is fine, as long as there is one.
            let _ = all(&text);
            let _ = all(&[b"|\n|\n", &*text, b"\n"].concat());
        }
    }

    fn all(text: &[u8]) -> Result<Vec<(String, Traffic)>, ParseError> {
        let mut all = Vec::new();
        parse(text, |name, traffic| {
            all.push((String::from_utf8_lossy(name).into_owned(), traffic))
        })?;
        Ok(all)
    }
}
