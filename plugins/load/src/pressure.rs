//! `/proc/pressure`: how much of the time tasks had to wait for processors, memory or disks.
//!
//! A kernel before 4.20, or one started with `psi=0`, has no such files. Format: the kernel's
//! Documentation/accounting/psi.rst.

use bartizan_procfs::{Lines, ParseError};

/// How much of the time at least one task waited for one resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pressure {
    /// Part of the last ten seconds, between 0 and 1.
    pub(crate) ratio: f64,
    /// Seconds since boot.
    pub(crate) waiting_seconds: f64,
}

impl Pressure {
    /// Parses one of the three files, which errors will call `file`. Its line `full`, of the time in which all tasks
    /// waited at once, is left out.
    pub(crate) fn parse(file: &'static str, text: &[u8]) -> Result<Self, ParseError> {
        let mut lines = Lines::new(file, text)?;
        for mut line in lines.by_ref() {
            if line.word() == Some(b"some") {
                let percent = line.keyed("avg10")?;
                line.keyed("avg60")?;
                line.keyed("avg300")?;
                let microseconds = line.keyed("total")?;
                return Ok(Self {
                    ratio: (percent / 100.0).min(1.0),
                    waiting_seconds: microseconds / 1e6,
                });
            }
        }
        Err(lines.lacks("some"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn captured_pressures_are_what_they_were() {
        let cpu = Pressure::parse("cpu", include_bytes!("../fixtures/vm/proc/pressure/cpu"));
        assert_eq!(cpu, Ok(Pressure { ratio: 0.9366, waiting_seconds: 268.797_894 }));
        let io = Pressure::parse("io", include_bytes!("../fixtures/vm/proc/pressure/io"));
        assert_eq!(io, Ok(Pressure { ratio: 0.0154, waiting_seconds: 15.257_705 }));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = |text: &str| {
            Pressure::parse("pressure/io", text.as_bytes()).map_err(|error| error.to_string())
        };
        let expected = |text: &str| Err(format!("failed to parse `pressure/io` line 1: {text}"));
        assert_eq!(error(""), expected("the file is empty"));
        assert_eq!(error("full avg10=0.00\n"), expected("no some up to here"));
        assert_eq!(
            error("some avg10=x\n"),
            expected(
                r#"column 2 (avg10) is "avg10=x", must be its name, `=` and a number from 0 on"#
            )
        );
        assert_eq!(
            error("some avg10=1 avg60=1 avg300=1\n"),
            expected("ends before column 5 (total)")
        );
        assert_eq!(error("some avg10=1"), expected("the line does not end"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in any::<Vec<u8>>()) {
            // Any answer is fine, as long as there is one.
            let _ = Pressure::parse("x", &text);
            let _ = Pressure::parse("x", &[b"some avg10=", &*text, b"\n"].concat());
        }
    }
}
