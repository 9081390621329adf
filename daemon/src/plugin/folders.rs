//! Where plugin files are looked for, and how much each place is trusted.

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::config::Config;

/// The system's folder of plugins.
const SYSTEM: &str = "/usr/lib/bartizan/plugins";

/// A folder of plugin files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginFolder {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: FolderKind,
}

/// What a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderKind {
    /// Somebody named it: every `.so` in it is meant to be a plugin.
    Configured,
    /// Beside the executable. Whoever may write there may as well replace the executable, so
    /// owners and modes are not judged; files without a manifest are not meant to be plugins.
    Beside,
    /// The system's.
    System,
}

impl PluginFolder {
    /// All folders, in the order in which they are searched: those of the command line, those
    /// of the configuration, `deps/` beside the executable, beside it, the system's.
    pub fn search_path(
        command_line: &[PathBuf],
        configured: &[PathBuf],
        executable: &Path,
    ) -> Vec<Self> {
        let named = command_line.iter().chain(configured).cloned();
        let mut folders: Vec<_> =
            named.map(|path| Self { path, kind: FolderKind::Configured }).collect();
        if let Some(beside) = executable.parent() {
            let kind = FolderKind::Beside;
            folders.push(Self { path: beside.join("deps"), kind });
            folders.push(Self { path: beside.to_owned(), kind });
        }
        folders.push(Self { path: SYSTEM.into(), kind: FolderKind::System });
        folders
    }

    /// All folders that a daemon with this configuration searches.
    pub fn of(config: &Config) -> Vec<Self> {
        // Without a place of its own the program still finds what is installed and configured.
        let executable = std::env::current_exe().unwrap_or_default();
        Self::search_path(&[], &config.collect.plugins, &executable)
    }

    /// Whether the project's own plugins are found here.
    pub(super) fn holds_bundled(&self) -> bool {
        matches!(self.kind, FolderKind::Beside | FolderKind::System)
    }

    /// The `.so` files in it, by name.
    ///
    /// # Errors
    ///
    /// Why none of them may be used. A folder that nobody named may be absent.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, String> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && self.kind != FolderKind::Configured =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(format!("failed to read folder: {error}")),
        };
        if self.kind != FolderKind::Beside {
            judge_folders(&self.path)?;
        }
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "so"))
            .collect();
        files.sort();
        Ok(files)
    }
}

/// Folders without those that were given before under another name.
pub(super) fn without_repeats(folders: &[PluginFolder]) -> Vec<&PluginFolder> {
    let mut seen = HashSet::new();
    let identity = |folder: &&PluginFolder| {
        seen.insert(fs::canonicalize(&folder.path).unwrap_or_else(|_| folder.path.clone()))
    };
    folders.iter().filter(identity).collect()
}

/// Whether `owner` and `mode` leave writing to root and to us.
///
/// # Errors
///
/// What is wrong, with the mode or the owner.
pub(super) fn judge_owner(owner: u32, mode: u32) -> Result<(), String> {
    let own = rustix::process::geteuid().as_raw();
    if owner != 0 && owner != own {
        return Err(format!("is owned by user {owner}, must be root or user {own}"));
    }
    if mode & 0o022 != 0 {
        let mode = mode & 0o7777;
        return Err(format!("may be written by others (mode {mode:04o}), try `chmod go-w`"));
    }
    Ok(())
}

/// A folder and all above it: whoever may write one of them may exchange what is below.
fn judge_folders(path: &Path) -> Result<(), String> {
    const STICKY: u32 = 0o1000;
    let real = fs::canonicalize(path).map_err(|error| format!("failed to read folder: {error}"))?;
    for folder in real.ancestors() {
        let told = |why: String| format!("folder `{}` {why}", folder.display());
        let meta = fs::metadata(folder).map_err(|error| told(format!("is unreadable: {error}")))?;
        // In a sticky folder nobody may exchange what is another's.
        let mode = if meta.mode() & STICKY == 0 { meta.mode() } else { meta.mode() & !0o022 };
        judge_owner(meta.uid(), mode).map_err(told)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_may_write_is_not_trusted() {
        let own = rustix::process::geteuid().as_raw();
        assert_eq!(judge_owner(own, 0o100644), Ok(()));
        assert_eq!(judge_owner(0, 0o100755), Ok(()));
        assert_eq!(
            judge_owner(own, 0o100666),
            Err("may be written by others (mode 0666), try `chmod go-w`".into())
        );
        assert!(judge_owner(own + 1, 0o100644).is_err());
    }

    #[test]
    fn folders_are_searched_in_this_order() {
        let [one, two] = ["/one", "/two"].map(PathBuf::from);
        let path = PluginFolder::search_path(&[one], &[two], Path::new("/opt/bartizan"));
        let path: Vec<_> = path.iter().map(|folder| folder.path.to_str().unwrap_or("")).collect();
        assert_eq!(path, ["/one", "/two", "/opt/deps", "/opt", "/usr/lib/bartizan/plugins"]);
    }
}
