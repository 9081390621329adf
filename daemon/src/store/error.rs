//! What can go wrong between the daemon and its disk.

use std::{io, path::PathBuf};

/// Each variant names the step that failed and what it failed on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder. Fatal: the daemon does not start.
    #[error(
        "failed to open store at `{}`: in use by {}; stop it, or choose another folder with --state",
        path.display(),
        pid.map_or("another process".to_owned(), |pid| format!("the daemon with pid {pid}"))
    )]
    InUse {
        /// The state folder.
        path: PathBuf,
        /// Who has it, where it said so.
        pid: Option<u32>,
    },
    /// The folder cannot be used. Fatal: the daemon does not start.
    #[error(
        "failed to open store at `{}`: make the folder writable for this user, or choose another with --state",
        path.display()
    )]
    Folder {
        /// The state folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the store is not this user's to use. Fatal: the daemon does not start, and nothing is changed.
    #[error("failed to open store at `{}`: `{}` {why}", state.display(), path.display())]
    Access {
        /// The state folder.
        state: PathBuf,
        /// What in it.
        path: PathBuf,
        /// Whose it is, and the fix.
        why: String,
    },
    /// The folder is in a version that this daemon does not know. Fatal.
    #[error(
        "failed to open store at `{}`: its VERSION is `{found}`, this daemon knows {known}; run the daemon that wrote it, or a newer one",
        path.display()
    )]
    Version {
        /// The state folder.
        path: PathBuf,
        /// What stands in its VERSION.
        found: String,
        /// The newest version known here.
        known: u32,
    },
    /// A file could not be read or written. At start fatal, later the step is tried again.
    #[error("failed to {step} `{}`", path.display())]
    File {
        /// What was being done.
        step: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what it should be. Reading goes on without it.
    #[error("failed to read `{}`: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Catalogue and state could not be kept. Samples are safe in log and segments.
    #[error("failed to {step} state")]
    State {
        /// What was being done.
        step: &'static str,
        /// What sled said.
        source: sled::Error,
    },
    /// Catalogue and state did not answer in time, or their thread is gone.
    #[error("failed to {step} state: no answer within {seconds} s")]
    StateSilent {
        /// What was being done.
        step: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// Numbers of series in the folder and in this process differ. Fatal.
    #[error("failed to open store at `{}`: series {id} is another one in this process", path.display())]
    Numbers {
        /// The state folder.
        path: PathBuf,
        /// The number.
        id: u32,
    },
    /// `store.max_bytes` leaves no room. The step is tried again.
    #[error(
        "failed to store samples: store.max_bytes is {max_bytes} and nothing is left to delete"
    )]
    NoRoom {
        /// The limit.
        max_bytes: u64,
    },
    /// There is no backup: nothing bears its name.
    #[error("failed to back up to `{}`: {what}", path.display())]
    Backup {
        /// Where it was to be.
        path: PathBuf,
        /// Why not, and the fix.
        what: String,
    },
    /// Nothing was restored: what was there is as it was.
    #[error("failed to restore from `{}`: {what}", path.display())]
    Restore {
        /// The backup.
        path: PathBuf,
        /// Why not, and the fix.
        what: String,
    },
    /// The disk is full but for what incidents and notices need. The step is tried again.
    #[error("failed to store samples: the disk is full; free room for `{}`", path.display())]
    DiskFull {
        /// The state folder.
        path: PathBuf,
    },
    /// A thread could not be started. Fatal.
    #[error("failed to start a thread of the store")]
    Thread(#[source] io::Error),
    /// The store is not open: it starts, stops, or has fallen.
    #[error("failed to query store: it is not open")]
    Closed,
    /// The store has too much to do at present. It can be asked again.
    #[error("failed to ask the store: it is busy; try again")]
    Busy,
    /// A question makes no sense.
    #[error("failed to query store: {0}")]
    Question(&'static str),
}

impl StoreError {
    /// Builds a [`StoreError::File`].
    pub(super) fn file(
        step: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { step, path, source }
    }
}
