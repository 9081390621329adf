//! A file of the kernel, kept open and read from its start into one buffer.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

/// Longest file that is read. `/proc/stat` of a machine with thousands of processors and interrupts stays below 1 MiB.
const MAX_BYTES: usize = 16 << 20;

/// First size of a buffer; most files fit.
const FIRST_BYTES: usize = 4096;

/// A file that is read again and again.
///
/// The descriptor stays open and is read with `pread` from offset 0: the kernel then writes the file anew. That costs
/// a third of opening it each time. Where reading fails the file is opened once more, because the thing behind it may
/// have been replaced.
#[derive(Debug)]
pub struct KernelFile {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
}

/// Why a file could not be read. The next reading opens it anew.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It could not be opened.
    #[error("failed to open `{}`", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It was opened, and could not be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It did not end within the limit; no file of the kernel is as long.
    #[error("failed to read `{}`: longer than {MAX_BYTES} bytes", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
}

impl KernelFile {
    /// A file that the first reading opens.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, buffer: Vec::new() }
    }

    /// All of it, as it is now.
    ///
    /// # Errors
    ///
    /// It could be neither read nor opened again.
    pub fn read(&mut self) -> Result<&[u8], ReadError> {
        let length = match self.file.take() {
            Some(file) => match self.fill(file) {
                Err(ReadError::Read { .. }) => self.open_and_fill()?,
                other => other?,
            },
            None => self.open_and_fill()?,
        };
        Ok(self.buffer.get(..length).unwrap_or_default())
    }

    /// The descriptor, where the last reading succeeded.
    #[must_use]
    pub fn descriptor(&self) -> Option<&File> {
        self.file.as_ref()
    }

    fn open_and_fill(&mut self) -> Result<usize, ReadError> {
        let file = File::open(&self.path)
            .map_err(|source| ReadError::Open { path: self.path.clone(), source })?;
        self.fill(file)
    }

    /// Reads `file` to its end, and keeps it only if that succeeded.
    fn fill(&mut self, file: File) -> Result<usize, ReadError> {
        let mut filled = 0;
        loop {
            if filled == self.buffer.len() {
                if filled >= MAX_BYTES {
                    return Err(ReadError::TooLong { path: self.path.clone() });
                }
                self.buffer.resize((filled * 2).clamp(FIRST_BYTES, MAX_BYTES), 0);
            }
            let room = self.buffer.get_mut(filled..).unwrap_or_default();
            match rustix::io::pread(&file, room, filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(error) => {
                    return Err(ReadError::Read { path: self.path.clone(), source: error.into() });
                }
            }
        }
        self.file = Some(file);
        Ok(filled)
    }
}

impl ReadError {
    /// Whether this kernel has no such file, or has it switched off: `/proc/pressure` of a kernel started with
    /// `psi=0` can be opened and not read.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        match self {
            Self::Open { source, .. } | Self::Read { source, .. } => {
                source.kind() == io::ErrorKind::NotFound
                    || source.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error())
            }
            Self::TooLong { .. } => false,
        }
    }
}

/// A file of `/sys` that holds one short value, without the space around it; none where it is absent, empty, not text
/// or refused, which is how `/sys` says that it does not know.
#[must_use]
pub fn read_value(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    let mut buffer = [0; 256];
    let length = rustix::io::retry_on_intr(|| rustix::io::pread(&file, &mut buffer, 0)).ok()?;
    let text = std::str::from_utf8(buffer.get(..length)?).ok()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use std::fs;

    use super::*;

    #[test]
    fn a_reading_brings_the_file_as_it_is_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stat");
        let long = "cpu 1\n".repeat(10_000);
        fs::write(&path, &long).unwrap();
        let mut file = KernelFile::new(path.clone());
        assert_eq!(file.read().unwrap(), long.as_bytes(), "longer than the first buffer");

        fs::write(&path, "cpu 2\n").unwrap();
        assert_eq!(file.read().unwrap(), b"cpu 2\n", "shorter than what the buffer holds");
    }

    #[test]
    fn a_file_that_comes_later_is_read_then() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cpu");
        let mut file = KernelFile::new(path.clone());
        let error = file.read().unwrap_err();
        assert!(error.is_absence());
        assert_eq!(error.to_string(), format!("failed to open `{}`", path.display()));

        fs::write(&path, "x\n").unwrap();
        assert_eq!(file.read().unwrap(), b"x\n");
    }

    #[test]
    fn a_descriptor_that_no_longer_reads_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stat");
        fs::write(&path, "new\n").unwrap();
        let mut file = KernelFile::new(path);
        // A folder opens and does not read, as a file of /sys whose device was pulled.
        file.file = Some(File::open(folder.path()).unwrap());
        assert_eq!(file.read().unwrap(), b"new\n");
    }

    #[test]
    fn a_folder_is_an_error_and_no_absence() {
        let folder = tempfile::tempdir().unwrap();
        let error = KernelFile::new(folder.path().to_owned()).read().unwrap_err();
        assert!(matches!(error, ReadError::Read { .. }), "{error:?}");
        assert!(!error.is_absence());
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let error = KernelFile::new("/dev/zero".into()).read().unwrap_err();
        assert!(matches!(error, ReadError::TooLong { .. }), "{error:?}");
    }

    #[test]
    fn a_value_is_trimmed_and_what_is_none_is_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("speed");
        assert_eq!(read_value(&path), None);
        fs::write(&path, "\n").unwrap();
        assert_eq!(read_value(&path), None);
        fs::write(&path, "1000\n").unwrap();
        assert_eq!(read_value(&path).as_deref(), Some("1000"));
    }
}
