//! The one place that writes to stdout.

use std::io::{self, ErrorKind, Write};

/// Not all of the answer was written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write to stdout")]
pub(super) struct OutputError(#[source] io::Error);

/// Writes an answer to stdout. A reader that closed it has seen enough.
pub(super) fn print(text: &str) -> Result<(), OutputError> {
    write(&mut io::stdout().lock(), text)
}

fn write(out: &mut impl Write, text: &str) -> Result<(), OutputError> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(OutputError(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is_one() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        assert!(write(&mut writer, "answer\n").is_ok());
        let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert!(write(&mut full, "answer\n").is_err());
    }
}
