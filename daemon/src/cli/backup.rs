//! `bartizan backup` and `bartizan restore`: a copy of the whole store, and the way back.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{
    Failure, PlaceArguments,
    client::{self, ClientError},
    moment::utc,
    output::print,
    store::is_there,
    table,
};
use crate::store::upkeep::{self, BackupFacts, Restored};

/// What is copied where to.
#[derive(Debug, Args)]
#[command(
    after_help = "The copy holds samples, incidents, tokens and the administrator's token: keep it as safe as \
the state folder. `sha256sum -c SHA256SUMS` in it checks it without bartizan."
)]
pub(super) struct BackupArguments {
    /// A folder that is empty or not there yet; it has its name once it is whole.
    folder: PathBuf,
    #[command(flatten)]
    places: PlaceArguments,
}

/// What is restored where to.
#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// A folder that `bartizan backup` has made.
    folder: PathBuf,
    /// Puts what is in the state folder aside, beside it.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    places: PlaceArguments,
}

/// Copies the store, of a running daemon or of none.
pub(super) fn backup(arguments: BackupArguments) -> Result<ExitCode, Failure> {
    let state = arguments.places.sources().state()?;
    is_there(&state)?;
    let in_use = match client::post(&state, "/api/v1/store/checkpoint", b"{}".to_vec()) {
        Ok(_) => true,
        Err(ClientError::Absent(_)) => false,
        Err(error) => return Err(error.into()),
    };
    let facts = upkeep::backup(&state, &arguments.folder, in_use)?;
    print(&format!("{}: {}\n", arguments.folder.display(), shown(&facts)))?;
    Ok(ExitCode::SUCCESS)
}

/// Puts a backup in the place of the state folder.
pub(super) fn restore(arguments: RestoreArguments) -> Result<ExitCode, Failure> {
    let state = arguments.places.sources().state()?;
    let Restored { facts, before } = upkeep::restore(&arguments.folder, &state, arguments.force)?;
    let mut text = format!("{}: {}, made {}\n", state.display(), shown(&facts), utc(facts.made_ms));
    if let Some(before) = before {
        text.push_str(&format!("what was there before is {}\n", before.display()));
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn shown(facts: &BackupFacts) -> String {
    format!("{} files, {}", facts.files, table::value(facts.bytes as f64, "bytes"))
}
