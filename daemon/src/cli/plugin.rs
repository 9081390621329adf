//! `bartizan plugin`: the files a daemon would use, and what a file says of itself.
//!
//! Nothing of a file is run.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bartizan_plugin::manifest::Manifest;
use clap::{Args, Subcommand};
use object::read::ReadCache;

use super::{Failure, describe::describe, output::print, table};
use crate::{
    config::Sources,
    manifest::read_section,
    plugin::{FoundPlugin, PluginCatalog, RefusedFile},
};

/// What is asked about plugins.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Lists the plugins that a daemon would use, and the files it would refuse, with the reason.
    List(FolderArguments),
    /// Shows what a plugin file says of itself: identity, settings, metrics.
    Info {
        /// The file.
        file: PathBuf,
    },
}

/// Where plugins are looked for.
#[derive(Debug, Args)]
pub(super) struct FolderArguments {
    /// Configuration file [else $BARTIZAN_CONFIG, else /etc/bartizan/bartizan.toml where it exists].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of plugin files, searched before all others; may be given more than once.
    #[arg(long, value_name = "DIR")]
    plugins: Vec<PathBuf>,
}

impl FolderArguments {
    pub(super) fn sources(self) -> Sources {
        Sources { config: self.config, plugins: self.plugins, ..Sources::default() }
    }
}

/// Answers a question about plugins.
pub(super) fn plugin(command: PluginCommand) -> Result<ExitCode, Failure> {
    match command {
        PluginCommand::List(folders) => {
            print(&list(&PluginCatalog::of(&folders.sources().load()?)))?
        }
        PluginCommand::Info { file } => print(&describe(&read(&file)?))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(PluginCatalog { found, refused }: &PluginCatalog) -> String {
    let mut rows = vec![["NAME", "VERSION", "ID", "FILE"].map(String::from).to_vec()];
    for FoundPlugin { id, name, version, path, .. } in found {
        let path = path.display().to_string();
        rows.push(vec![name.to_string(), version.to_string(), id.to_string(), path]);
    }
    let mut text = table::columns(&rows, false);
    for RefusedFile { path, reason } in refused {
        text.push_str(&format!("refused {}: {reason}\n", path.display()));
    }
    text
}

fn read(file: &Path) -> Result<Manifest, Failure> {
    let refused =
        |source: Box<dyn std::error::Error>| Failure::PluginFile { path: file.to_owned(), source };
    let open = File::open(file).map_err(|error| refused(error.into()))?;
    let section = read_section(&ReadCache::new(open)).map_err(|error| refused(error.into()))?;
    Manifest::parse(&section).map_err(|error| refused(error.into()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn refused_files_are_listed_with_their_reason() {
        let refused =
            vec![RefusedFile { path: "/p/notes.so".into(), reason: "not an ELF file".into() }];
        let catalog = PluginCatalog { found: Vec::new(), refused };
        assert_eq!(
            list(&catalog),
            "NAME  VERSION  ID  FILE\nrefused /p/notes.so: not an ELF file\n"
        );
    }

    #[test]
    fn a_file_that_is_no_plugin_is_named() {
        let failure = read(Path::new("/proc/self/exe")).unwrap_err();
        assert_eq!(failure.to_string(), "failed to read plugin `/proc/self/exe`");
        assert!(std::error::Error::source(&failure).is_some());
    }
}
