//! Samples into text.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use super::{
    Format, csv,
    number::{put_seconds, put_value, put_value_bits},
    openmetrics::{self, Family},
};
use crate::series::Series;

/// So much text waits before it is written.
const PENDING: usize = 64 << 10;
/// OpenMetrics writes seconds as a number: beyond this many milliseconds, some could not be told apart.
const SECONDS_MAX_MS: u64 = 1_000_000_000_000_000;

/// Writes samples, those of a series and the series of a metric together.
#[derive(Debug)]
pub struct TextWriter<W> {
    format: Format,
    out: W,
    text: String,
    /// What stands on every line of the series in hand.
    series: Option<Series>,
    lead: String,
    families: HashSet<String>,
}

impl<W: Write> TextWriter<W> {
    /// A writer that has written nothing yet.
    pub fn new(format: Format, out: W) -> Self {
        let mut text = String::with_capacity(2 * PENDING);
        if format == Format::Csv {
            text.push_str(csv::HEADER);
            text.push('\n');
        }
        Self { format, out, text, series: None, lead: String::new(), families: HashSet::new() }
    }

    /// Writes samples of a series: time in milliseconds since 1970, and value.
    pub fn write(&mut self, series: &Series, samples: &[(i64, f64)]) -> io::Result<()> {
        if self.series.as_ref() != Some(series) {
            self.begin(series)?;
        }
        for (at_ms, value) in samples {
            match self.format {
                Format::Csv => {
                    self.text.push_str(&at_ms.to_string());
                    self.text.push(',');
                    put_value_bits(&mut self.text, *value);
                    self.text.push_str(&self.lead);
                }
                Format::OpenMetrics => {
                    if at_ms.unsigned_abs() >= SECONDS_MAX_MS {
                        let what = "a sample's time is too far away for OpenMetrics; export CSV";
                        return Err(io::Error::other(what));
                    }
                    self.text.push_str(&self.lead);
                    put_value(&mut self.text, *value);
                    self.text.push(' ');
                    put_seconds(&mut self.text, *at_ms);
                    self.text.push('\n');
                }
            }
            if self.text.len() >= PENDING {
                self.write_out()?;
            }
        }
        Ok(())
    }

    /// Writes what ends the text, and all that waits.
    pub fn finish(mut self) -> io::Result<W> {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.write_out()?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Gives up: what was written ends where it ends.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn begin(&mut self, series: &Series) -> io::Result<()> {
        self.lead.clear();
        match self.format {
            Format::Csv => csv::put_series(&mut self.lead, series),
            Format::OpenMetrics => {
                openmetrics::check(series).map_err(io::Error::other)?;
                let before = self.series.as_ref().map(|series| &*series.metric);
                if before != Some(&*series.metric) {
                    let family = Family::of(series, |name| self.families.contains(name));
                    family.put(&mut self.text);
                    self.families.insert(family.name.to_owned());
                }
                openmetrics::put_series(&mut self.lead, series);
            }
        }
        self.series = Some(series.clone());
        Ok(())
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.out.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }
}
