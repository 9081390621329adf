//! `bartizan store export`: samples as text, however many there are.

use std::{
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::{
    super::{
        Failure, PlaceArguments,
        client::{self, ClientError, escaped},
        moment::Moment,
    },
    format, is_there,
};
use crate::{
    config::StoreConfig,
    exchange::{Format, TextWriter},
    series::now_ms,
    store::upkeep::{ClosedStore, Selection},
};

/// Which samples are written, how and where to.
#[derive(Debug, Args)]
#[command(after_help = "CSV has a line for each sample, behind the names of the columns:
  time_ms,value,server,collector,metric,labels,kind,unit,interval_ms
Values are the shortest decimals that are the same bits when read again; a NaN of unusual bits is NaN: and its bits.

Examples:
  bartizan store export --server web-1 --output web-1.om
  bartizan store export --metric cpu_usage_ratio --from 2026-11-01 --to 2026-11-02 --format csv | gzip > cpu.csv.gz")]
pub(crate) struct ExportArguments {
    /// Of this server alone.
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Of this metric alone.
    #[arg(long, value_name = "METRIC")]
    metric: Option<String>,
    /// Begin: a time ago such as 1h, or a UTC date such as 2026-11-23 [default: the oldest sample].
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// End, written like the begin, and not written itself [default: the newest sample].
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
    /// `openmetrics` or `csv` [default: by the ending of --output, else openmetrics].
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// Writes to this file, which has its name once it is whole, instead of stdout.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    places: PlaceArguments,
}

/// Begins the last line that a daemon sends, which says how it ended.
const END_MARK: &[u8] = b"#! ";

/// Writes what is selected.
pub(super) fn export(arguments: ExportArguments) -> Result<ExitCode, Failure> {
    let ExportArguments { server, metric, from, to, format, output, places } = arguments;
    let state = places.sources().state()?;
    let now_ms = now_ms();
    let selection = Selection {
        server,
        metric,
        from_ms: from.map_or(i64::MIN, |from| from.at_ms(now_ms)),
        to_ms: to.map_or(i64::MAX, |to| to.at_ms(now_ms)),
    };
    let is_csv = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "csv");
    let by_name =
        if output.as_ref().is_some_and(is_csv) { Format::Csv } else { Format::OpenMetrics };
    let format = format.unwrap_or(by_name);
    let written = match &output {
        None => write(&state, &selection, format, io::stdout().lock()),
        Some(path) => {
            let mut draft = path.clone().into_os_string();
            draft.push(".draft");
            let draft = PathBuf::from(draft);
            let failed = |source| Failure::File { step: "write", path: path.clone(), source };
            let file = File::create(&draft).map_err(failed)?;
            let written = write(&state, &selection, format, &file);
            let named = written.and_then(|written| {
                file.sync_all().and_then(|()| fs::rename(&draft, path)).map_err(failed)?;
                Ok(written)
            });
            if named.is_err() {
                // What is left of it is of no use.
                let _ = fs::remove_file(&draft);
            }
            named
        }
    };
    let Some(Exported { samples, damaged }) = written? else { return Ok(ExitCode::SUCCESS) };
    if output.is_some() {
        eprintln!("bartizan: {samples} samples written");
    }
    if damaged > 0 {
        return Err(Failure::Incomplete(damaged));
    }
    Ok(ExitCode::SUCCESS)
}

/// What was written.
struct Exported {
    samples: u64,
    /// Columns that could not be read.
    damaged: u64,
}

/// Writes to `out`; nothing is answered where its reader has seen enough.
fn write(
    state: &Path,
    selection: &Selection,
    format: Format,
    out: impl Write,
) -> Result<Option<Exported>, Failure> {
    let mut out = Tail { out: BufWriter::new(out), line: Vec::new() };
    let asked = client::stream(state, &path(selection, format), &mut |bytes| out.take(bytes));
    let written = match asked {
        Ok(()) => out.end().map(Some),
        Err(ClientError::Absent(_)) => {
            is_there(state)?;
            dump(state, selection, format, &mut out.out).map(Some)
        }
        Err(error) => Err(Failure::Client(error)),
    };
    match written {
        Err(error) if is_broken_pipe(&error) => Ok(None),
        written => written,
    }
}

/// Writes from a store that nobody has open.
fn dump(
    state: &Path,
    selection: &Selection,
    format: Format,
    out: &mut impl Write,
) -> Result<Exported, Failure> {
    let store = ClosedStore::open(state, &StoreConfig::default())?;
    let mut writer = TextWriter::new(format, out);
    let mut failed = None;
    let dumped =
        store.dump(selection, &mut |series, samples| match writer.write(series, samples) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
    let finished = failed.map_or_else(|| writer.finish().map(drop), Err);
    finished.map_err(Failure::Export)?;
    Ok(Exported { samples: dumped.samples, damaged: dumped.damaged })
}

fn is_broken_pipe(failure: &Failure) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(failure);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Holds the last line back until it is known not to be the daemon's own word.
struct Tail<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Tail<W> {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.line.extend_from_slice(bytes);
        let end = self.line.len().saturating_sub(1);
        let begin = self.line[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.out.write_all(&self.line[..begin])?;
        self.line.drain(..begin);
        Ok(())
    }

    /// What the daemon's last word says.
    fn end(&mut self) -> Result<Exported, Failure> {
        let cut_off = || Failure::Export(io::Error::other("the daemon ended in the middle of it"));
        let word = self.line.strip_prefix(END_MARK).ok_or_else(cut_off)?;
        let word = String::from_utf8_lossy(word);
        let word = word.trim_end();
        if let Some(reason) = word.strip_prefix("failed ") {
            return Err(Failure::Export(io::Error::other(reason.to_owned())));
        }
        let numbers = word.strip_prefix("done ").and_then(|numbers| numbers.split_once(' '));
        let (samples, damaged) = numbers.ok_or_else(cut_off)?;
        let (samples, damaged) = (samples.parse(), damaged.parse());
        let (Ok(samples), Ok(damaged)) = (samples, damaged) else { return Err(cut_off()) };
        self.out.flush().map_err(Failure::Export)?;
        Ok(Exported { samples, damaged })
    }
}

/// The wish as the API takes it.
fn path(selection: &Selection, format: Format) -> String {
    let Selection { server, metric, from_ms, to_ms } = selection;
    let mut path = format!("/api/v1/store/export?format={}", format.name());
    for (name, value) in [("server", server), ("metric", metric)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    path.push_str(&format!("&from={from_ms}&to={to_ms}"));
    path
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn the_last_word_is_understood_however_the_text_is_cut() {
        let text = b"a 1 2\n# EOF\n#! done 12 3\n";
        for cut in 0..text.len() {
            let mut tail = Tail { out: Vec::new(), line: Vec::new() };
            tail.take(&text[..cut]).unwrap();
            tail.take(&text[cut..]).unwrap();
            let Exported { samples, damaged } = tail.end().unwrap();
            assert_eq!((samples, damaged), (12, 3), "cut at {cut}");
            assert_eq!(tail.out, b"a 1 2\n# EOF\n", "cut at {cut}");
        }
        for text in [&b"a 1 2\n"[..], b"a 1 2\n#! failed disk\n", b""] {
            let mut tail = Tail { out: Vec::new(), line: Vec::new() };
            tail.take(text).unwrap();
            assert!(tail.end().is_err());
        }
    }
}
