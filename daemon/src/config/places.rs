//! Where the configuration and the state are, where nobody says so at length.
//!
//! Every command of `bartizan` finds both here, so that they never disagree.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// No place for the state could be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Neither an option, nor the environment, nor the configuration names one,
    /// and whoever runs us has no home.
    #[error("failed to choose a state folder: $HOME is not set; give one with --state")]
    Homeless,
}

/// What the process knows of its surroundings.
pub(super) struct Surroundings<V> {
    /// Reads a variable of the environment.
    pub(super) variable: V,
    /// Whether the system's own folders are ours.
    pub(super) is_root: bool,
}

/// The surroundings of this process.
pub(super) fn surroundings() -> Surroundings<impl Fn(&str) -> Option<OsString>> {
    let variable = |name: &str| std::env::var_os(name);
    Surroundings { variable, is_root: rustix::process::geteuid().is_root() }
}

impl<V: Fn(&str) -> Option<OsString>> Surroundings<V> {
    /// The configuration file: `option`, else `$BARTIZAN_CONFIG`, else `system`
    /// where it exists.
    pub(super) fn config_file(&self, option: Option<&Path>, system: &Path) -> Option<PathBuf> {
        option
            .map(Path::to_owned)
            .or_else(|| self.path("BARTIZAN_CONFIG"))
            .or_else(|| system.exists().then(|| system.to_owned()))
    }

    /// The state folder as far as `option` or the environment name it.
    pub(super) fn named_state(&self, option: Option<&Path>) -> Option<PathBuf> {
        option.map(Path::to_owned).or_else(|| self.path("BARTIZAN_STATE")).or_else(|| {
            // systemd gives several folders with colons between them; the first is ours.
            let folders = self.path("STATE_DIRECTORY")?;
            std::env::split_paths(&folders).next()
        })
    }

    /// The state folder where nobody names one.
    pub(super) fn default_state(&self) -> Result<PathBuf, PlaceError> {
        if self.is_root {
            return Ok("/var/lib/bartizan".into());
        }
        // Relative paths are to be ignored, as the XDG base directory specification has it.
        let states = self.path("XDG_STATE_HOME").filter(|path| path.is_absolute());
        let home = || self.path("HOME").map(|home| home.join(".local/state"));
        Ok(states.or_else(home).ok_or(PlaceError::Homeless)?.join("bartizan"))
    }

    /// A variable that holds a path. An empty one counts as not set.
    fn path(&self, name: &str) -> Option<PathBuf> {
        (self.variable)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables = &'static [(&'static str, &'static str)];

    #[test]
    fn the_state_is_where_the_first_of_them_says() {
        let all: Variables = &[("BARTIZAN_STATE", "/b"), ("STATE_DIRECTORY", "/c:/d")];
        let named = |option: Option<&str>, variables| {
            around(variables, true).named_state(option.map(Path::new))
        };
        assert_eq!(named(Some("/a"), all), Some("/a".into()));
        assert_eq!(named(None, all), Some("/b".into()));
        assert_eq!(named(None, &all[1..]), Some("/c".into()));
        assert_eq!(named(None, &[("BARTIZAN_STATE", "")]), None, "empty is not set");
    }

    #[test]
    fn where_nobody_says_it_depends_on_who_asks() {
        let user: Variables = &[("HOME", "/home/ann")];
        let xdg: Variables = &[("HOME", "/home/ann"), ("XDG_STATE_HOME", "/state")];
        let odd: Variables = &[("HOME", "/home/ann"), ("XDG_STATE_HOME", "state")];
        let default = |variables, is_root| around(variables, is_root).default_state();
        assert_eq!(default(xdg, true), Ok("/var/lib/bartizan".into()));
        assert_eq!(default(xdg, false), Ok("/state/bartizan".into()));
        assert_eq!(default(user, false), Ok("/home/ann/.local/state/bartizan".into()));
        assert_eq!(default(odd, false), Ok("/home/ann/.local/state/bartizan".into()));
        assert_eq!(default(&[], false), Err(PlaceError::Homeless));
    }

    #[test]
    fn the_system_file_counts_only_where_it_exists() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let nowhere = Path::new("/nonexistent/bartizan.toml");
        let file = |variables, option: Option<&str>, system: &Path| {
            around(variables, false).config_file(option.map(Path::new), system)
        };
        let named: Variables = &[("BARTIZAN_CONFIG", "/b.toml")];
        assert_eq!(file(named, Some("/a.toml"), &here), Some("/a.toml".into()));
        assert_eq!(file(named, None, &here), Some("/b.toml".into()));
        assert_eq!(file(&[], None, &here), Some(here.clone()));
        assert_eq!(file(&[], None, nowhere), None);
    }

    fn around(
        variables: Variables,
        is_root: bool,
    ) -> Surroundings<impl Fn(&str) -> Option<OsString>> {
        let variable = move |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        Surroundings { variable, is_root }
    }
}
