//! `bartizan store import`: samples from a file into a running daemon, or into a store that nobody has open.
//!
//! The file is read once to judge it and to count its samples by time, and then once for each stretch of time that
//! fits into memory: a store takes samples in the order of their times, and files have them in that of their series.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use clap::Args;

use super::{
    super::{
        Failure, PlaceArguments,
        client::{self, ClientError, Written},
        output::print,
    },
    format,
    parcel::Parcel,
};
use crate::{
    exchange::{BadLine, Format, Source, Table},
    store::upkeep::{ClosedStore, Incoming},
};

/// What is taken in, and for whom.
#[derive(Debug, Args)]
#[command(
    after_help = "The file is judged as a whole before anything is stored. What is there already is not stored \
twice. Where samples were deleted by age or size, or lost to damage, and their minutes or hours are left, they are left \
out: they would count twice. A running daemon takes samples that are newer than what their series have; a store that \
no daemon has takes older ones too.

Examples:
  bartizan store import web-1.om --server web-1
  bartizan store import all.csv --server '*' --seal"
)]
pub(crate) struct ImportArguments {
    /// A file of OpenMetrics or CSV, as `bartizan store export --help` describes it; samples need a time.
    file: PathBuf,
    /// Whose samples they are; with `*`, of the server that each sample names.
    #[arg(long, value_name = "NAME")]
    server: String,
    /// Seals afterwards, so that the size on disk is what it will be.
    #[arg(long)]
    seal: bool,
    /// `openmetrics` or `csv` [default: by the file's ending, else by its first line].
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    #[command(flatten)]
    places: PlaceArguments,
}

/// About so many samples are held in memory.
const SAMPLES_AT_ONCE: u64 = 2_000_000;
/// So many go to a daemon in one request.
const SAMPLES_SENT: usize = 20_000;
/// How often a request is sent again that found no room.
const ATTEMPTS: usize = 120;
/// Samples are counted by stretches of this length.
const MINUTE_MS: i64 = 60_000;

/// What became of the samples of a file.
#[derive(Debug, Default)]
struct Outcome {
    stored: u64,
    known: Option<u64>,
    /// Samples that would have counted twice.
    counted: u64,
    /// Requests that were refused in part, and why the first was.
    refused: Option<(u64, String)>,
}

/// Who takes the samples.
enum Taker<'s> {
    Daemon(&'s Path),
    Store(Box<ClosedStore>),
}

/// Takes the file in.
pub(super) fn import(arguments: ImportArguments) -> Result<ExitCode, Failure> {
    let ImportArguments { file, server, seal, format, places } = arguments;
    let bad = |source| Failure::Import { path: file.clone(), source };
    let sources = places.sources();
    let state = sources.state()?;
    let source = Source::open(&file, format, &server).map_err(bad)?;
    let mut table = Table::default();
    let mut minutes: BTreeMap<i64, u64> = BTreeMap::new();
    let judged = source.read(&mut table, |_, at_ms, _| {
        *minutes.entry(at_ms.div_euclid(MINUTE_MS)).or_default() += 1;
        Ok(())
    });
    judged.map_err(bad)?;
    let mut taker = match client::get(&state, "/api/v1/store") {
        Ok(_) => Taker::Daemon(&state),
        Err(ClientError::Absent(_)) => {
            let config = sources.load()?.store;
            Taker::Store(Box::new(ClosedStore::open(&state, &config)?))
        }
        Err(error) => return Err(error.into()),
    };
    let mut outcome = Outcome::default();
    for (from_ms, to_ms) in stretches(&minutes) {
        let mut samples: Vec<Incoming> = Vec::new();
        let read = source.read(&mut table, |series, at_ms, value| {
            if (from_ms..to_ms).contains(&at_ms) {
                samples.push((series, at_ms, value));
            }
            Ok(())
        });
        read.map_err(bad)?;
        taker.take(&table, samples, &mut outcome)?;
    }
    taker.finish(seal)?;
    let all: u64 = minutes.values().sum();
    print(&told(&outcome, all, table.series().len(), seal))?;
    match outcome.refused {
        None => Ok(ExitCode::SUCCESS),
        Some((_, reason)) => Err(bad(BadLine::Taken(reason))),
    }
}

impl Taker<'_> {
    fn take(
        &mut self,
        table: &Table,
        mut samples: Vec<Incoming>,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        match self {
            Self::Store(store) => {
                let imported = store.import(table.series(), &mut samples)?;
                outcome.stored += imported.stored;
                *outcome.known.get_or_insert(0) += imported.known;
                outcome.counted += imported.counted;
            }
            Self::Daemon(state) => {
                samples.sort_by_key(|(number, at_ms, _)| (*at_ms, *number));
                for some in samples.chunks(SAMPLES_SENT) {
                    let body = Parcel::of(table.series(), some).packed();
                    let body =
                        body.map_err(|error| Failure::Export(std::io::Error::other(error)))?;
                    send(state, &body, outcome)?;
                }
            }
        }
        Ok(())
    }

    fn finish(self, seal: bool) -> Result<(), Failure> {
        match self {
            Self::Store(mut store) => {
                if seal {
                    store.seal()?;
                }
                store.finish()?;
            }
            Self::Daemon(state) if seal => {
                client::post(state, "/api/v1/store/seal", b"{}".to_vec())?;
            }
            Self::Daemon(_) => {}
        }
        Ok(())
    }
}

/// Sends a request, again while there is no room for it.
fn send(state: &Path, body: &[u8], outcome: &mut Outcome) -> Result<(), Failure> {
    for _ in 0..ATTEMPTS {
        match client::write_samples(state, body.to_vec())? {
            Written::Stored(samples) => {
                outcome.stored += samples;
                return Ok(());
            }
            Written::Later(pause) => {
                thread::sleep(pause.clamp(Duration::from_millis(100), Duration::from_secs(10)))
            }
            Written::Refused(reason) => {
                let fix = "a store that no daemon has takes older samples too: stop the daemon and import again";
                let first = || (0, format!("{reason}; {fix}"));
                outcome.refused.get_or_insert_with(first).0 += 1;
                return Ok(());
            }
        }
    }
    Err(ClientError::Silent.into())
}

/// Stretches of time with about as many samples as are held at once, oldest first.
fn stretches(minutes: &BTreeMap<i64, u64>) -> Vec<(i64, i64)> {
    let mut stretches = Vec::new();
    let (mut begin, mut held) = (None, 0);
    for (minute, samples) in minutes {
        if held > 0
            && held + samples > SAMPLES_AT_ONCE
            && let Some(begin) = begin.take()
        {
            stretches.push((begin, minute * MINUTE_MS));
            held = 0;
        }
        begin.get_or_insert(minute * MINUTE_MS);
        held += samples;
    }
    if let Some((begin, (last, _))) = begin.zip(minutes.last_key_value()) {
        stretches.push((begin, (last + 1) * MINUTE_MS));
    }
    stretches
}

fn told(outcome: &Outcome, all: u64, series: usize, seal: bool) -> String {
    let Outcome { stored, known, counted, refused } = outcome;
    let stored = match (known, refused) {
        (Some(known), _) => format!("{stored} stored, {known} were there before"),
        (None, None) => format!("{stored} stored, or there before"),
        (None, Some((requests, _))) => {
            format!("{stored} stored, or there before; {requests} requests were refused in part")
        }
    };
    let counted = match counted {
        0 => String::new(),
        _ => format!(
            ", {counted} left out: of their minutes or hours samples were deleted by age or size, or lost to damage, \
             and what is kept of those would count them twice"
        ),
    };
    let sealed = if seal { "; sealed" } else { "" };
    format!("{all} samples of {series} series: {stored}{counted}{sealed}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_taken_in_stretches_that_fit_and_leave_nothing_out() {
        let half = SAMPLES_AT_ONCE / 2;
        let minutes = [(-5, half), (3, half), (4, 1), (9, 3 * half), (10, 1)].into();
        let minute = |number: i64| number * MINUTE_MS;
        assert_eq!(
            stretches(&minutes),
            [
                (minute(-5), minute(4)),
                (minute(4), minute(9)),
                (minute(9), minute(10)),
                (minute(10), minute(11)),
            ]
        );
        assert_eq!(stretches(&BTreeMap::new()), []);
    }
}
