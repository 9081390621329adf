//! `bartizan [run]`: the daemon.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Args;

use super::{Failure, PlaceArguments};
use crate::{config::Sources, logging, root};

/// What the daemon is started with; each stands over the configuration file.
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    places: PlaceArguments,
    /// Address and port of the page and the API [else `http.listen`, else 127.0.0.1:9797].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Folder of plugin files, searched before all others; may be given more than once.
    #[arg(long, value_name = "DIR")]
    plugins: Vec<PathBuf>,
}

impl RunArguments {
    /// What the command line says.
    pub(super) fn sources(self) -> Sources {
        let Self { places, listen, plugins } = self;
        Sources { listen, plugins, ..places.sources() }
    }
}

/// Runs the daemon until it is told to stop.
pub(super) fn run(arguments: RunArguments) -> Result<ExitCode, Failure> {
    let sources = arguments.sources();
    let config = sources.load_judged(root::judge)?;
    logging::start(&config.log)?;
    Ok(root::run(config, sources)?)
}
