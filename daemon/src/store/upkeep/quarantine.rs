//! Where damaged originals go: `quarantine/` in the state folder, under the name they had.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::super::{StoreError, disk::sync_folder, folder::replace};
use crate::series::now_ms;

/// The folder of damaged originals.
#[derive(Debug)]
pub(super) struct Quarantine {
    state: PathBuf,
    folder: PathBuf,
}

impl Quarantine {
    /// That of the state folder `state`.
    pub(super) fn of(state: &Path) -> Self {
        Self { state: state.to_owned(), folder: state.join("quarantine") }
    }

    /// Moves a file or folder there; answers where it is.
    pub(super) fn take(&self, path: &Path) -> Result<PathBuf, StoreError> {
        let to = self.place(path)?;
        fs::rename(path, &to).map_err(StoreError::file("put aside", path))?;
        for folder in [path.parent(), Some(&self.folder)].into_iter().flatten() {
            sync_folder(folder).map_err(StoreError::file("sync folder", folder))?;
        }
        Ok(to)
    }

    /// Keeps a file there that is about to be replaced; answers where it is.
    pub(super) fn keep(&self, path: &Path) -> Result<PathBuf, StoreError> {
        let to = self.place(path)?;
        // Some file systems have no links.
        if fs::hard_link(path, &to).is_err() {
            let bytes = fs::read(path).map_err(StoreError::file("read", path))?;
            replace(&to, &bytes).map_err(StoreError::file("write", &to))?;
        }
        sync_folder(&self.folder).map_err(StoreError::file("sync folder", &self.folder))?;
        Ok(to)
    }

    /// A free name for what stood at `path`.
    fn place(&self, path: &Path) -> Result<PathBuf, StoreError> {
        fs::create_dir_all(&self.folder).map_err(StoreError::file("make folder", &self.folder))?;
        sync_folder(&self.state).map_err(StoreError::file("sync folder", &self.state))?;
        let inside = path.strip_prefix(&self.state).unwrap_or(path);
        let name = inside.to_string_lossy().replace('/', "_");
        let (mut number, mut to) = (now_ms(), self.folder.join(&name));
        while to.exists() {
            to = self.folder.join(format!("{name}-{number}"));
            number += 1;
        }
        Ok(to)
    }
}
