//! `bartizan store`: what the store consists of, whether it is whole, and samples out of it and into it.
//!
//! A running daemon is asked over its control socket; the store of none is opened.

mod check;
mod export;
mod import;
mod parcel;
mod stats;

use std::{path::Path, process::ExitCode};

use clap::Subcommand;

use super::Failure;
use crate::exchange::Format;

/// What is done with the store.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Shows samples, series and bytes on disk, by part and by tier.
    Stats(stats::StatsArguments),
    /// Reads every byte and lists what is damaged; exit code 1 if anything is.
    Check(check::CheckArguments),
    /// Writes samples as OpenMetrics or CSV.
    Export(export::ExportArguments),
    /// Takes samples from a file of OpenMetrics or CSV.
    Import(import::ImportArguments),
}

/// Does what is wished.
pub(super) fn store(command: StoreCommand) -> Result<ExitCode, Failure> {
    match command {
        StoreCommand::Stats(arguments) => stats::stats(arguments),
        StoreCommand::Check(arguments) => check::check(arguments),
        StoreCommand::Export(arguments) => export::export(arguments),
        StoreCommand::Import(arguments) => import::import(arguments),
    }
}

/// Fails where no store is: whoever asks creates none.
pub(super) fn is_there(state: &Path) -> Result<(), Failure> {
    if state.join("VERSION").is_file() { Ok(()) } else { Err(Failure::NoDaemon(state.to_owned())) }
}

fn format(name: &str) -> Result<Format, String> {
    Format::named(name).ok_or_else(|| "must be openmetrics or csv".to_owned())
}
