//! `bartizan check`: all that is wrong with the configuration, without running anything.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{Failure, output::print};
use crate::config::{Config, Sources};

/// What is checked.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Configuration file [else $BARTIZAN_CONFIG, else /etc/bartizan/bartizan.toml where it exists].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of plugin files, searched before all others; may be given more than once.
    #[arg(long, value_name = "DIR")]
    plugins: Vec<PathBuf>,
}

/// Says that the configuration is fine, or fails with all that is wrong with it.
pub(super) fn check(arguments: CheckArguments) -> Result<ExitCode, Failure> {
    let CheckArguments { config, plugins } = arguments;
    let sources = Sources { config, plugins, ..Sources::default() };
    let config = sources.load()?;
    print(&verdict(sources.file().map(|file| file.display().to_string()), &config))?;
    Ok(ExitCode::SUCCESS)
}

fn verdict(file: Option<String>, config: &Config) -> String {
    let Some(file) = file else { return "no configuration file: the defaults hold\n".into() };
    let who = match config.servers.len() {
        0 => "this machine".into(),
        1 => "1 server".into(),
        servers => format!("{servers} servers"),
    };
    format!("{file}: fine, watches {who}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;

    #[test]
    fn the_verdict_says_which_file_and_what_it_would_do() {
        let servers = vec![ServerConfig::default(), ServerConfig::default()];
        let two = Config { servers, ..Config::default() };
        let verdict = |config| verdict(Some("b.toml".into()), config);
        assert_eq!(verdict(&two), "b.toml: fine, watches 2 servers\n");
        assert_eq!(verdict(&Config::default()), "b.toml: fine, watches this machine\n");
    }
}
