//! A consistent copy of a store, of a running one too.
//!
//! ```text
//!  DIR/  SHA256SUMS   a line for each other file, as `sha256sum -c` reads them
//!        backup.json  when it was made, and by which version
//!        VERSION  log/  segments/  checkpoint/  admin-token
//! ```
//!
//! # Invariants
//!
//! - Log files are opened before segments are listed: what is sealed meanwhile stands in both, and what was
//!   acknowledged before in one of them at least.
//! - Every segment of the last listing is in the copy, and no other one.
//! - sled's own files are not copied: the checkpoint says the same, and is one file with a checksum.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    super::{
        StoreError, checkpoint,
        disk::sync_folder,
        folder::{check_version, replace, take_lock},
        sled_state::SledState,
    },
    files::{copy_hashed, files_below, hash_of, sync_folders},
};
use crate::series::now_ms;

/// Names of the two files that a backup has besides those of the store.
pub(super) const SUMS: &str = "SHA256SUMS";
pub(super) const FACTS: &str = "backup.json";
/// How often segments are listed until none has come or gone meanwhile.
const LISTINGS: usize = 100;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFacts {
    /// Version of this layout.
    pub layout: u32,
    /// When it was begun, in milliseconds since 1970.
    pub made_ms: i64,
    /// The program that made it.
    pub made_by: String,
    /// Files of the store in it.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// A copy that is being made, under a name of its own.
struct Draft {
    state: PathBuf,
    path: PathBuf,
    made_ms: i64,
    /// Length and SHA-256 of each file so far.
    copied: BTreeMap<PathBuf, (u64, String)>,
}

/// Copies the store in `state` to `to`, which must be empty or absent. The store of a running daemon is copied as it
/// goes on; `in_use` says that there is one, and that it has copied its state just now.
pub fn backup(state: &Path, to: &Path, in_use: bool) -> Result<BackupFacts, StoreError> {
    let _lock = if in_use { None } else { Some(take_lock(state)?) };
    check_version(state)?;
    let mut draft = Draft::begin(state, to)?;
    let facts = draft.fill(in_use).and_then(|()| draft.finish(to));
    if facts.is_err() {
        // The next attempt would be refused.
        let _ = fs::remove_dir_all(&draft.path);
    }
    facts
}

impl Draft {
    fn begin(state: &Path, to: &Path) -> Result<Self, StoreError> {
        let refused = |what: String| StoreError::Backup { path: to.to_owned(), what };
        match fs::read_dir(to).map(|mut entries| entries.next().is_some()) {
            Ok(true) => return Err(refused("it is not empty; name a new folder".to_owned())),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(StoreError::file("look into", to)(error));
            }
            _ => {}
        }
        let path = beside(to, "draft").ok_or_else(|| refused("it has no name".to_owned()))?;
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                let left = path.display();
                refused(format!("`{left}` is left of an attempt that was cut off; remove it"))
            }
            _ => StoreError::file("make folder", &path)(error),
        })?;
        let (state, copied) = (state.to_owned(), BTreeMap::new());
        Ok(Self { state, path, made_ms: now_ms(), copied })
    }

    fn fill(&mut self, in_use: bool) -> Result<(), StoreError> {
        let logs = self.open_logs()?;
        self.copy_checkpoint(in_use)?;
        for (inside, file, length) in logs {
            self.copy_open(&inside, file, length)?;
        }
        self.copy_segments()?;
        let others = fs::read_dir(&self.state).map_err(StoreError::file("list", &self.state))?;
        for entry in others.flatten() {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let name = PathBuf::from(entry.file_name());
            let is_ours = ["LOCK", "reserve", SUMS, FACTS].iter().all(|own| name != Path::new(own));
            let is_draft = name.extension().is_some_and(|extension| extension == "tmp");
            if is_file && is_ours && !is_draft {
                self.copy(&name)?;
            }
        }
        Ok(())
    }

    /// Opens every log file, so that none can vanish; with how long each is now.
    fn open_logs(&self) -> Result<Vec<(PathBuf, File, u64)>, StoreError> {
        let mut opened = Vec::new();
        for inside in below(&self.state, "log")? {
            let path = self.state.join(&inside);
            let file = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
            match file {
                Ok((length, file)) => opened.push((inside, file, length)),
                // All of it is in segments by now.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::file("open", path)(error)),
            }
        }
        Ok(opened)
    }

    fn copy_checkpoint(&mut self, in_use: bool) -> Result<(), StoreError> {
        let inside = Path::new("checkpoint").join(checkpoint::FILE);
        if in_use {
            return self.copy(&inside).map(drop);
        }
        let sled = self.state.join("sled");
        if !sled.exists() {
            // A store that has never been opened since its state was lost has what its checkpoint says.
            return if self.state.join(&inside).exists() {
                self.copy(&inside).map(drop)
            } else {
                Ok(())
            };
        }
        let (mut state, contents) = SledState::open(&sled)?;
        if contents.damage().is_some() {
            let what = "the state is damaged; run `bartizan store check --repair` first".to_owned();
            return Err(StoreError::Backup { path: self.state.clone(), what });
        }
        let to = self.path.join(&inside);
        let folder = self.path.join("checkpoint");
        fs::create_dir_all(&folder).map_err(StoreError::file("make folder", folder))?;
        let bytes = checkpoint::write(&to, &mut state)?;
        let hash = hash_of(&to).map_err(StoreError::file("read", &to))?;
        self.copied.insert(inside, (bytes, hash));
        Ok(())
    }

    fn copy_segments(&mut self) -> Result<(), StoreError> {
        for _ in 0..LISTINGS {
            let listed = below(&self.state, "segments")?;
            let listed = listed
                .into_iter()
                .filter(|inside| inside.extension().is_some_and(|extension| extension == "seg"));
            let listed: Vec<_> = listed.collect();
            let missing: Vec<_> =
                listed.iter().filter(|inside| !self.copied.contains_key(*inside)).collect();
            if missing.is_empty() {
                return self.drop_others(&listed);
            }
            for inside in missing {
                self.copy(inside)?;
            }
        }
        Err(StoreError::Busy)
    }

    /// Drops copies of segments that are not among the last: retention has taken them, or they were merged into others.
    fn drop_others(&mut self, listed: &[PathBuf]) -> Result<(), StoreError> {
        let is_gone = |inside: &PathBuf| inside.starts_with("segments") && !listed.contains(inside);
        let gone: Vec<_> = self.copied.keys().filter(|inside| is_gone(inside)).cloned().collect();
        for inside in gone {
            let path = self.path.join(&inside);
            fs::remove_file(&path).map_err(StoreError::file("delete", path))?;
            self.copied.remove(&inside);
        }
        Ok(())
    }

    /// Copies a file; one that has gone meanwhile is left out.
    fn copy(&mut self, inside: &Path) -> Result<(), StoreError> {
        let path = self.state.join(inside);
        match File::open(&path) {
            Ok(file) => self.copy_open(inside, file, u64::MAX),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::file("open", path)(error)),
        }
    }

    fn copy_open(&mut self, inside: &Path, file: File, most: u64) -> Result<(), StoreError> {
        let (source, to) = (self.state.join(inside), self.path.join(inside));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(StoreError::file("make folder", folder))?;
        }
        let facts = copy_hashed((file, &source), most, &to)?;
        self.copied.insert(inside.to_owned(), facts);
        Ok(())
    }

    /// Writes what the backup says of itself, and gives it its name.
    fn finish(&mut self, to: &Path) -> Result<BackupFacts, StoreError> {
        let facts = BackupFacts {
            layout: 1,
            made_ms: self.made_ms,
            made_by: format!("bartizan {}", env!("CARGO_PKG_VERSION")),
            files: self.copied.len() as u64,
            bytes: self.copied.values().map(|(bytes, _)| bytes).sum(),
        };
        let path = self.path.join(FACTS);
        let text = serde_json::to_string_pretty(&facts).map_err(io::Error::from);
        let written = text.and_then(|text| replace(&path, format!("{text}\n").as_bytes()));
        written.map_err(StoreError::file("write", &path))?;
        let hash = hash_of(&path).map_err(StoreError::file("read", &path))?;
        self.copied.insert(FACTS.into(), (0, hash));
        let mut sums = String::new();
        for (inside, (_, hash)) in &self.copied {
            sums.push_str(&format!("{hash}  {}\n", inside.display()));
        }
        let path = self.path.join(SUMS);
        replace(&path, sums.as_bytes()).map_err(StoreError::file("write", &path))?;
        sync_folders(&self.path)?;
        fs::rename(&self.path, to).map_err(StoreError::file("rename", &self.path))?;
        if let Some(above) = to.canonicalize().ok().as_deref().and_then(Path::parent) {
            sync_folder(above).map_err(StoreError::file("sync folder", above))?;
        }
        Ok(facts)
    }
}

/// `path` with something added to its name.
pub(super) fn beside(path: &Path, ending: &str) -> Option<PathBuf> {
    let mut name = path.file_name()?.to_owned();
    name.push(format!(".{ending}"));
    Some(path.with_file_name(name))
}

/// Files below a folder of the state, as paths from the state.
fn below(state: &Path, folder: &str) -> Result<Vec<PathBuf>, StoreError> {
    let path = state.join(folder);
    let mut attempts = 0;
    loop {
        match files_below(&path) {
            Ok(files) => {
                return Ok(files.iter().map(|file| Path::new(folder).join(file)).collect());
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !path.exists() => {
                return Ok(Vec::new());
            }
            // The folder of a day went while it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound && attempts < LISTINGS => {
                attempts += 1;
            }
            Err(error) => return Err(StoreError::file("list", path)(error)),
        }
    }
}
