//! Where a configuration comes from: the file, and over it the command line.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{Config, ConfigError, Problem, places::surroundings};

/// What the command line says. Kept by whoever reads the configuration again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// The configuration file, from `--config`.
    pub config: Option<PathBuf>,
    /// Replaces `http.listen`, from `--listen`.
    pub listen: Option<SocketAddr>,
    /// The state folder, from `--state`.
    pub state: Option<PathBuf>,
    /// Searched before `collect.plugins`, from `--plugins`.
    pub plugins: Vec<PathBuf>,
}

impl Sources {
    /// Read where neither `--config` nor `$BARTIZAN_CONFIG` names a file.
    const SYSTEM_FILE: &str = "/etc/bartizan/bartizan.toml";

    /// The configuration file; `None` means that the defaults hold.
    pub fn file(&self) -> Option<PathBuf> {
        surroundings().config_file(self.config.as_deref(), Path::new(Self::SYSTEM_FILE))
    }

    /// The configuration file, whether it is there or not.
    pub fn file_or_default(&self) -> PathBuf {
        self.file().unwrap_or_else(|| Self::SYSTEM_FILE.into())
    }

    /// The configuration with the command line over it: `listen` replaced, the
    /// folders of `--plugins` before those of the file, and `store.path` the
    /// state folder that counts.
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.load_judged(|_, _, _| Vec::new())
    }

    /// The same, judged by `judge` as well, which is given the configuration, its text, and what problems call
    /// the file. What both find comes in one answer.
    pub fn load_judged(
        &self,
        judge: impl FnOnce(&Config, &str, &str) -> Vec<Problem>,
    ) -> Result<Config, ConfigError> {
        if let Some(missing) = self.plugins.iter().find(|folder| !folder.is_dir()) {
            return Err(ConfigError::Plugins(missing.clone()));
        }
        let read =
            |path: PathBuf| Config::text(&path).map(|text| (text, path.display().to_string()));
        let text = self.file().map(read).transpose()?;
        let (mut config, mut problems) = match &text {
            Some((text, file)) => Config::judge(text, file),
            None => (Config::default(), Vec::new()),
        };
        config.collect.plugins.splice(0..0, self.plugins.iter().cloned());
        if let Some((text, file)) = &text {
            problems.extend(judge(&config, text, file));
        }
        if !problems.is_empty() {
            problems.sort();
            return Err(ConfigError::Invalid(problems));
        }
        if let Some(listen) = self.listen {
            config.http.listen = listen;
            if let Some(reason) = config.http.exposure() {
                return Err(ConfigError::Listen { listen, reason });
            }
        }
        config.store.path = Some(self.state_over(|| Ok(config.store.path.clone()))?);
        Ok(config)
    }

    /// The state folder. The file is read only where its word counts, so that a
    /// refused one does not keep a command from its daemon.
    pub fn state(&self) -> Result<PathBuf, ConfigError> {
        self.state_over(|| Ok(Config::load_for_command(self.file().as_deref())?.store.path))
    }

    /// `--state`, else the environment, else what is `configured`, else the
    /// system's folder or the user's.
    fn state_over(
        &self,
        configured: impl FnOnce() -> Result<Option<PathBuf>, ConfigError>,
    ) -> Result<PathBuf, ConfigError> {
        let around = surroundings();
        if let Some(named) = around.named_state(self.state.as_deref()) {
            return Ok(named);
        }
        match configured()? {
            Some(configured) => Ok(configured),
            None => Ok(around.default_state()?),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn the_command_line_stands_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (file, theirs) = (folder.path().join("b.toml"), folder.path().join("theirs"));
        let ours = folder.path().to_owned();
        std::fs::create_dir(&theirs).unwrap();
        let plugins = theirs.display();
        std::fs::write(&file, format!("collect.plugins = ['{plugins}']\nstore.path = '/s'"))
            .unwrap();
        let sources = Sources {
            config: Some(file),
            listen: Some("127.0.0.1:1".parse().unwrap()),
            state: Some("/state".into()),
            plugins: vec![ours.clone()],
        };

        let config = sources.load().unwrap();

        assert_eq!(config.http.listen, "127.0.0.1:1".parse().unwrap());
        assert_eq!(config.collect.plugins, [ours, theirs]);
        assert_eq!(config.store.path, Some("/state".into()));
        assert_eq!(sources.state().unwrap(), Path::new("/state"));
    }

    /// The daemon's secrets are for its own eyes.
    #[test]
    fn who_must_not_read_the_secrets_still_finds_the_state() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.toml");
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        let sources = Sources { config: Some(file.clone()), ..Sources::default() };
        if std::env::var_os("BARTIZAN_STATE").or(std::env::var_os("STATE_DIRECTORY")).is_some() {
            return; // They stand over the file.
        }
        write("store.path = '/s'\n[channel.webhook]\nsecret_file = '/nonexistent'");
        assert_eq!(sources.state().unwrap(), Path::new("/s"));
        assert!(sources.load().is_err());
        write("store.pth = '/s'");
        assert!(sources.state().is_err());
    }

    #[test]
    fn the_command_line_is_judged_as_the_file_is() {
        let refused = |sources: Sources| sources.load().unwrap_err().to_string();
        let listen = Some("0.0.0.0:9797".parse().unwrap());
        let config = Some("/dev/null".into());

        let listening = refused(Sources { listen, config: config.clone(), ..Sources::default() });
        assert!(listening.starts_with("failed to accept `--listen 0.0.0.0:9797`"), "{listening}");
        assert!(listening.ends_with("set `http.insecure = true`"), "{listening}");
        let plugins = vec!["/nonexistent".into()];
        assert_eq!(
            refused(Sources { plugins, config, ..Sources::default() }),
            "failed to accept `--plugins /nonexistent`: no such folder"
        );
    }
}
