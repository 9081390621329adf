//! Which plugins there are: the files of all folders, judged without running any of them.

use std::{os::fd::OwnedFd, path::PathBuf, sync::Arc};

use bartizan_plugin::manifest::Manifest;

use super::{
    folders::{FolderKind, PluginFolder, without_repeats},
    image::{Image, Unfit, judge},
};

/// Ids of the plugins that come with the daemon.
const BUNDLED: [&str; 5] = [
    "org.bartizan.cpu",
    "org.bartizan.disk",
    "org.bartizan.load",
    "org.bartizan.memory",
    "org.bartizan.network",
];

/// The plugins there are.
#[derive(Debug, Clone, Default)]
pub struct PluginCatalog {
    /// Those that can be used, in the order in which they were found; each id once.
    pub found: Vec<FoundPlugin>,
    /// Those that cannot.
    pub refused: Vec<RefusedFile>,
}

/// A plugin that can be used.
#[derive(Debug, Clone)]
pub struct FoundPlugin {
    /// Its identity.
    pub id: Arc<str>,
    /// Its short name.
    pub name: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// The file.
    pub path: PathBuf,
    /// Sha256 of the file, as hexadecimal digits.
    pub sha256: Arc<str>,
    /// Whether it came with the daemon.
    pub bundled: bool,
    /// What it says of itself.
    pub manifest: Arc<Manifest>,
    pub(super) digest: [u8; 32],
    pub(super) section: Arc<[u8]>,
    pub(super) image: Arc<OwnedFd>,
}

/// A file or a folder that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Why it is not used.
    pub reason: String,
}

impl PluginCatalog {
    /// Looks at all folders. Blocks: it reads every file that is a plugin.
    pub fn scan(folders: &[PluginFolder]) -> Self {
        let mut catalog = Self::default();
        for folder in without_repeats(folders) {
            match folder.files() {
                Ok(files) => files.into_iter().for_each(|path| catalog.add(folder, path)),
                Err(reason) => catalog.refuse(folder.path.clone(), reason),
            }
        }
        catalog
    }

    /// The plugin with this id, else the first with this name; bundled ones go first.
    pub fn find(&self, plugin: &str) -> Option<&FoundPlugin> {
        let by_id = self.found.iter().find(|found| *found.id == *plugin);
        by_id.or_else(|| {
            let named = || self.found.iter().filter(|found| *found.name == *plugin);
            named().find(|found| found.bundled).or_else(|| named().next())
        })
    }

    fn add(&mut self, folder: &PluginFolder, path: PathBuf) {
        let image = match judge(&path, folder.kind) {
            Ok(image) => image,
            Err(Unfit::NoPlugin(reason)) => {
                if folder.kind != FolderKind::Beside {
                    self.refuse(path, reason);
                }
                return;
            }
            Err(Unfit::Refused(reason)) => return self.refuse(path, reason),
        };
        if let Some(first) = self.found.iter().find(|found| *found.id == *image.manifest.id) {
            if first.digest != image.digest {
                let (id, first) = (&first.id, first.path.display());
                self.refuse(
                    path,
                    format!("its id `{id}` is taken by `{first}`, which was found first"),
                );
            }
            return;
        }
        self.found.push(FoundPlugin::new(folder, path, image));
    }

    fn refuse(&mut self, path: PathBuf, reason: String) {
        self.refused.push(RefusedFile { path, reason });
    }
}

impl FoundPlugin {
    fn new(folder: &PluginFolder, path: PathBuf, image: Image) -> Self {
        let Image { manifest, section, digest, bytes } = image;
        Self {
            id: manifest.id.as_str().into(),
            name: manifest.name.as_str().into(),
            version: manifest.version.as_str().into(),
            path,
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
            bundled: folder.holds_bundled() && BUNDLED.contains(&manifest.id.as_str()),
            manifest: Arc::new(manifest),
            digest,
            section: section.into(),
            image: Arc::new(bytes),
        }
    }

    /// Its name and the first digits of its sha256: two versions of a plugin are two files.
    pub(super) fn label(&self) -> String {
        format!("{}@{}", self.name, self.sha256.chars().take(8).collect::<String>())
    }
}
