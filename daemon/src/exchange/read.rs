//! Text into samples, line by line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{
    Format, Table,
    csv::{Columns, Fields, Place, labels_of},
    number::value_of,
    openmetrics::{COLLECTOR, SERVER},
};
use crate::{
    scrape::{
        self, Family,
        line::{LINE_MAX, Line, SampleLine},
    },
    series::{Kind, Labels, Series, check_server_name, kind_by_name, unit_by_name},
    store::messages::TIMES,
};

/// The collector of samples that name none.
const IMPORT: &str = "import";
/// A line of CSV, or several that are one, is not longer: a series may have many labels.
const RECORD_MAX: usize = 1 << 20;
/// Stands for whatever server the text names.
const ANY_SERVER: &str = "*";

/// A file of samples, and whose they are.
#[derive(Debug, Clone)]
pub struct Source {
    path: PathBuf,
    format: Format,
    server: String,
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BadLine {
    /// A line is not understood.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it, and the fix.
        what: String,
    },
    /// The file could not be read.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// Whoever takes the samples has failed.
    #[error("{0}")]
    Taken(String),
}

/// What has been understood so far.
struct Reading<'s> {
    source: &'s Source,
    table: &'s mut Table,
    /// The server that the file names.
    named: Option<String>,
    key: Vec<u8>,
}

impl Source {
    /// The file `path`, whose samples are of `server`; with `*`, of the server that each names. The format is seen
    /// from its name or its first line, unless it is given.
    pub fn open(path: &Path, format: Option<Format>, server: &str) -> Result<Self, BadLine> {
        if server != ANY_SERVER {
            check_server_name(server)
                .map_err(|reason| BadLine::Line { line: 0, what: format!("--server {reason}") })?;
        }
        let format = match format {
            Some(format) => format,
            None => seen(path).map_err(BadLine::Read)?,
        };
        Ok(Self { path: path.to_owned(), format, server: server.to_owned() })
    }

    /// Its format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Reads it: `each` is told the number of a series, in `table`, its time and its value.
    pub fn read(
        &self,
        table: &mut Table,
        mut each: impl FnMut(u32, i64, f64) -> Result<(), String>,
    ) -> Result<(), BadLine> {
        let file = File::open(&self.path).map_err(BadLine::Read)?;
        let mut file = BufReader::with_capacity(256 << 10, file);
        let mut reading = Reading { source: self, table, named: None, key: Vec::new() };
        let mut state = State::Begin;
        let (mut line, mut number) = (Vec::new(), 0);
        let most = if self.format == Format::Csv { RECORD_MAX } else { LINE_MAX };
        loop {
            line.clear();
            let (lines, open) = self.next(&mut file, &mut line, most).map_err(BadLine::Read)?;
            if lines == 0 {
                break;
            }
            if let Some(open) = open {
                let what =
                    "a quote is not closed; close it, or double it where it is part of a text";
                return Err(BadLine::Line { line: number + open, what: what.to_owned() });
            }
            let bad = |what: String| BadLine::Line { line: number + 1, what };
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() > most {
                return Err(bad(format!("it is longer than {} KiB", most >> 10)));
            }
            let read = match self.format {
                Format::Csv => reading.csv(line, &mut state),
                Format::OpenMetrics => reading.openmetrics(line, &mut state),
            };
            if let Some((series, at_ms, value)) = read.map_err(bad)? {
                if !TIMES.contains(&at_ms) {
                    return Err(bad("its time is no time of a clock".to_owned()));
                }
                each(series, at_ms, value).map_err(BadLine::Taken)?;
            }
            number += lines;
        }
        if self.format == Format::OpenMetrics && !matches!(state, State::Ended) {
            let what = "`# EOF` is missing: the file was cut off; export it again".to_owned();
            return Err(BadLine::Line { line: number + 1, what });
        }
        Ok(())
    }

    /// Reads the next line, or in CSV as many as a field in quotes goes over, up to `most` bytes; answers how many, and
    /// in which of them a quote is that is not closed.
    fn next(
        &self,
        file: &mut impl BufRead,
        line: &mut Vec<u8>,
        most: usize,
    ) -> io::Result<(u64, Option<u64>)> {
        let (mut place, mut lines, mut opened) = (Place::Begin, 0, 0);
        loop {
            let (before, left) = (line.len(), (most + 2).saturating_sub(line.len()) as u64);
            if file.take(left).read_until(b'\n', line)? == 0 {
                return Ok((lines, (lines > 0).then_some(opened)));
            }
            lines += 1;
            if self.format != Format::Csv {
                return Ok((lines, None));
            }
            if place.pass(&line[before..]) {
                opened = lines;
            }
            if place != Place::Within {
                return Ok((lines, None));
            }
        }
    }
}

/// Where in a text a reading is.
enum State {
    Begin,
    Csv(Columns),
    Family { name: String, kind: Option<scrape::line::Type>, unit: String },
    Ended,
}

type Understood = Result<Option<(u32, i64, f64)>, String>;

impl Reading<'_> {
    fn csv(&mut self, line: &[u8], state: &mut State) -> Understood {
        let text = str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
        let State::Csv(columns) = state else {
            *state = State::Csv(Columns::read(text.trim_start_matches('\u{feff}'))?);
            return Ok(None);
        };
        if text.is_empty() {
            return Ok(None);
        }
        let fields = Fields::of(text)?;
        if fields.count() != columns.count() {
            let (has, wanted) = (fields.count(), columns.count());
            return Err(format!("it has {has} fields, the first line has {wanted}"));
        }
        let field = |name| columns.field(name, &fields);
        let time = field("time_ms");
        let at_ms = time
            .parse()
            .map_err(|_| format!("time_ms is `{time}`, must be whole milliseconds since 1970"))?;
        let value = field("value");
        let value = value_of(value)
            .ok_or_else(|| format!("value is `{value}`, must be a number, NaN, +Inf or -Inf"))?;
        self.key.clear();
        let names = ["server", "collector", "metric", "labels", "kind", "unit", "interval_ms"];
        for name in names {
            self.key.extend_from_slice(field(name).as_bytes());
            self.key.push(0xff);
        }
        if let Some(series) = self.table.find(&self.key) {
            self.table.note_time(series, at_ms, !field("interval_ms").is_empty());
            return Ok(Some((series, at_ms, value)));
        }
        let metric = field("metric");
        if metric.is_empty() {
            return Err("metric is empty".to_owned());
        }
        let kind = match field("kind") {
            "" => kind_by_name(metric),
            "gauge" => Kind::Gauge,
            "counter" => Kind::Counter,
            other => return Err(format!("kind is `{other}`, must be gauge or counter")),
        };
        let interval = field("interval_ms");
        let interval_ms = if interval.is_empty() { Ok(0) } else { interval.parse() };
        let series = Series {
            server: self.server(field("server"))?.into(),
            collector: or_import(field("collector")).into(),
            metric: metric.into(),
            labels: labels_of(field("labels"))?,
            unit: if columns.has("unit") { field("unit") } else { unit_by_name(metric) }.into(),
            kind,
            interval_ms: interval_ms
                .map_err(|_| format!("interval_ms is `{interval}`, must be whole milliseconds"))?,
        };
        let series = self.table.add(&self.key, series)?;
        self.table.note_time(series, at_ms, !interval.is_empty());
        Ok(Some((series, at_ms, value)))
    }

    fn openmetrics(&mut self, line: &[u8], state: &mut State) -> Understood {
        if matches!(state, State::Ended) {
            return Err("it stands behind `# EOF`; take it away".to_owned());
        }
        let line = scrape::Format::OpenMetrics.line(line).map_err(|fault| fault.to_string())?;
        let named = |name: &str, state: &mut State| {
            if !matches!(state, State::Family { name: before, .. } if before == name) {
                let (name, unit) = (name.to_owned(), String::new());
                *state = State::Family { name, kind: None, unit };
            }
        };
        match line {
            Line::Type(name, told) => {
                named(name, state);
                if let State::Family { kind, .. } = state {
                    *kind = Some(told);
                }
            }
            Line::Unit(name, told) => {
                named(name, state);
                if let State::Family { unit, .. } = state {
                    told.clone_into(unit);
                }
            }
            Line::Nothing => {}
            Line::End => *state = State::Ended,
            Line::Sample(sample) => return self.sample(&sample, state).map(Some),
        }
        Ok(None)
    }

    fn sample(
        &mut self,
        sample: &SampleLine<'_>,
        state: &State,
    ) -> Result<(u32, i64, f64), String> {
        let value = sample.value.value;
        let at_ms = sample.value.at_ms.ok_or_else(|| {
            "it has no timestamp; export with timestamps, in seconds behind the value".to_owned()
        })?;
        if let Some(series) = self.table.find(sample.raw) {
            self.table.note_time(series, at_ms, false);
            return Ok((series, at_ms, value));
        }
        let metric = sample.series.name;
        let (kind, unit) = match state {
            State::Family { name, kind: Some(kind), unit } => {
                let mut family = Family::default();
                family.typed(name, *kind);
                if !unit.is_empty() {
                    family.measured(name, unit);
                }
                let (kind, unit) = family.describes(metric);
                (kind, unit.to_owned())
            }
            _ => (kind_by_name(metric), unit_by_name(metric).to_owned()),
        };
        let (mut server, mut collector) = (String::new(), String::new());
        let mut labels = Vec::new();
        for (name, value) in sample.series.labels() {
            match name {
                SERVER => server = value.into_owned(),
                COLLECTOR => collector = value.into_owned(),
                _ => labels.push((name, value.into_owned())),
            }
        }
        let series = Series {
            server: self.server(&server)?.into(),
            collector: or_import(&collector).into(),
            metric: metric.into(),
            labels: Labels::new(labels),
            unit: unit.into(),
            kind,
            interval_ms: 0,
        };
        let series = self.table.add(sample.raw, series)?;
        self.table.note_time(series, at_ms, false);
        Ok((series, at_ms, value))
    }

    /// The server of samples that name `named`, or none.
    fn server(&mut self, named: &str) -> Result<String, String> {
        if self.source.server == ANY_SERVER {
            check_server_name(named).map_err(|reason| {
                format!("its server {reason}; give --server NAME for samples that name none")
            })?;
            return Ok(named.to_owned());
        }
        match &self.named {
            Some(before) if before != named => Err(format!(
                "it is of server `{named}`, and the lines before are of `{before}`: --server {} would make them one; \
                 export one server at a time, or give --server '*' to keep each sample's own server",
                self.source.server
            )),
            _ => {
                self.named = Some(named.to_owned());
                Ok(self.source.server.clone())
            }
        }
    }
}

fn or_import(collector: &str) -> &str {
    if collector.is_empty() { IMPORT } else { collector }
}

/// The format of a file, by its ending, else by its first line.
fn seen(path: &Path) -> io::Result<Format> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending {
        "csv" => return Ok(Format::Csv),
        "om" | "openmetrics" | "prom" => return Ok(Format::OpenMetrics),
        _ => {}
    }
    let mut first = String::new();
    BufReader::new(File::open(path)?.take(LINE_MAX as u64)).read_line(&mut first)?;
    let is_csv = Columns::read(first.trim_end().trim_start_matches('\u{feff}')).is_ok();
    Ok(if is_csv { Format::Csv } else { Format::OpenMetrics })
}
