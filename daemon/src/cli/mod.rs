//! The command line: one file per command.
//!
//! # Invariants
//!
//! - Exit codes: 0 fine, 1 failed or refused, 2 wrong usage.
//! - An error is printed once, on stderr, with its causes: `bartizan: failed to …: cause: cause`.
//! - Answers go to stdout, through [`output`] alone; a reader that has seen
//!   enough (`| head`) is no error.
//! - Configuration and state are found as [`Sources`] finds them, by every command.
//! - Commands that ask about a running daemon speak with it over
//!   `<state>/control.sock`; none names an actor.

mod alert;
mod backup;
mod check;
mod client;
mod describe;
mod explain;
mod failure;
mod history;
mod hub;
mod join;
mod joined;
mod moment;
mod notify;
mod output;
mod plugin;
mod query;
mod rejoin;
mod run;
mod server;
mod store;
mod table;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{config::Sources, plugin_host};
use failure::Failure;

/// Watches servers: collects their metrics, keeps their history and shows both live.
///
/// Without a command, the daemon runs. An empty configuration watches this
/// machine and serves its page at http://127.0.0.1:9797.
#[derive(Debug, Parser)]
#[command(
    name = "bartizan",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 fine, 1 failed or refused, 2 wrong usage."
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the daemon; the same as no command at all.
    Run(run::RunArguments),
    /// Names all that is wrong with the configuration, without running anything.
    Check(plugin::FolderArguments),
    /// Shows the history of a metric.
    Query(query::QueryArguments),
    /// Shows plugins: those a daemon would use, or what a file says of itself.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Shows incidents, takes them on, and says why they are.
    #[command(subcommand)]
    Alert(alert::AlertCommand),
    /// Tests the ways to a contact.
    #[command(subcommand)]
    Notify(notify::NotifyCommand),
    /// Adds, lists, removes and renames the servers that this hub takes samples of.
    #[command(subcommand)]
    Server(server::ServerCommand),
    /// Makes this machine report to a hub, as `bartizan server add` says there.
    Join(join::JoinArguments),
    /// Shows, checks and repairs the store, and takes samples out of it and into it.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Copies the store to a folder, while the daemon goes on.
    Backup(backup::BackupArguments),
    /// Makes a backup the store.
    Restore(backup::RestoreArguments),
    /// Runs plugins. Started by the daemon, not by people.
    #[command(hide = true)]
    PluginHost {
        /// What the daemon gives it.
        #[arg(allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Where configuration and state are, for commands that ask.
#[derive(Debug, Args)]
struct PlaceArguments {
    /// Configuration file [else $BARTIZAN_CONFIG, else /etc/bartizan/bartizan.toml where it exists].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder [else $BARTIZAN_STATE, $STATE_DIRECTORY, `store.path`, else
    /// /var/lib/bartizan for root and ~/.local/state/bartizan for others].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl PlaceArguments {
    fn sources(self) -> Sources {
        Sources { config: self.config, state: self.state, ..Sources::default() }
    }
}

/// Runs the command that the command line names.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            // Help and version come this way too. Nobody is left to tell if they cannot be printed.
            let _ = usage.print();
            return u8::try_from(usage.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let done = match arguments.command {
        None => run::run(arguments.run),
        Some(Command::Run(run)) => run::run(run),
        Some(Command::Check(check)) => check::check(check),
        Some(Command::Query(query)) => query::query(query),
        Some(Command::Plugin(command)) => plugin::plugin(command),
        Some(Command::Alert(command)) => alert::alert(command),
        Some(Command::Notify(command)) => notify::notify(command),
        Some(Command::Server(command)) => server::server(command),
        Some(Command::Join(arguments)) => join::join(arguments),
        Some(Command::Store(command)) => store::store(command),
        Some(Command::Backup(arguments)) => backup::backup(arguments),
        Some(Command::Restore(arguments)) => backup::restore(arguments),
        Some(Command::PluginHost { arguments }) => return plugin_host::run(arguments),
    };
    done.unwrap_or_else(|failure| failure.report())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_daemon_runs_with_and_without_its_name() {
        let options = ["--listen", "127.0.0.1:1", "--plugins", "/a", "--plugins", "/b"];
        let bare = Arguments::try_parse_from([&["bartizan"], &options[..]].concat()).unwrap();
        let named =
            Arguments::try_parse_from([&["bartizan", "run"], &options[..]].concat()).unwrap();
        let Some(Command::Run(named)) = named.command else { panic!("{named:?}") };

        assert!(bare.command.is_none());
        let sources = bare.run.sources();
        assert_eq!(sources, named.sources());
        assert_eq!(sources.plugins, [PathBuf::from("/a"), PathBuf::from("/b")]);
    }
}
