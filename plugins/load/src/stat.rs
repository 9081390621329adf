//! `/proc/stat`: how many tasks there were, run, and wait for a disk.
//!
//! Kernels before 2.5.45 do not say how many run and wait. Format: the kernel's Documentation/filesystems/proc.rst.

use bartizan_procfs::{Lines, ParseError};

/// What of `/proc/stat` is about tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tasks {
    /// Created since boot, threads included.
    pub(crate) created: u64,
    /// Run or wait for a processor, threads included; none where the kernel does not say.
    pub(crate) running: Option<u64>,
    /// Wait for a disk; none where the kernel does not say.
    pub(crate) blocked: Option<u64>,
}

impl Tasks {
    /// Parses the whole file.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let mut lines = Lines::new("stat", text)?;
        let (mut created, mut running, mut blocked) = (None, None, None);
        for mut line in lines.by_ref() {
            match line.word() {
                Some(b"processes") => created = Some(line.count("created")?),
                Some(b"procs_running") => running = Some(line.count("running")?),
                Some(b"procs_blocked") => blocked = Some(line.count("blocked")?),
                _ => {}
            }
        }
        let created = created.ok_or_else(|| lines.lacks("processes"))?;
        Ok(Self { created, running, blocked })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn a_virtual_machine_as_captured() {
        let tasks = Tasks::parse(include_bytes!("../fixtures/vm/proc/stat"));
        assert_eq!(tasks, Ok(Tasks { created: 45609, running: Some(5), blocked: Some(0) }));
    }

    #[test]
    fn an_old_kernel_does_not_say_who_runs() {
        let tasks = Tasks::parse(include_bytes!("../fixtures/old/proc/stat"));
        assert_eq!(tasks, Ok(Tasks { created: 4321, running: None, blocked: None }));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = |text: &str| Tasks::parse(text.as_bytes()).map_err(|error| error.to_string());
        let expected = |text: &str| Err(format!("failed to parse `stat` {text}"));
        assert_eq!(error(""), expected("line 1: the file is empty"));
        assert_eq!(error("cpu 1\nctxt 2\n"), expected("line 2: no processes up to here"));
        assert_eq!(
            error("processes 1\nprocs_blocked -\n"),
            expected(r#"line 2: column 2 (blocked) is "-", must be a count"#)
        );
        assert_eq!(error("processes 1\nprocs_run"), expected("line 2: the line does not end"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in any::<Vec<u8>>()) {
            // Any answer is fine, as long as there is one.
            let _ = Tasks::parse(&text);
        }
    }
}
