//! A page, line by line.

use std::fmt;

use super::{
    line::{Fault, Line, Value},
    openmetrics, prometheus,
};

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Prometheus,
    /// OpenMetrics text 1.0.
    OpenMetrics,
}

/// A line that could not be read, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fault)
    }
}

impl Format {
    /// What we can read, the best first.
    pub const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,\
                              text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

    /// The format that a page with this content type has. Many small exporters say nothing of it, or that it is
    /// plain text.
    pub fn of(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// What `line` says; without its end.
    pub fn line(self, line: &[u8]) -> Result<Line<'_>, Fault> {
        match self {
            Self::Prometheus => prometheus::line(line),
            Self::OpenMetrics => openmetrics::line(line),
        }
    }

    /// What stands behind a series that is known already.
    pub fn value(self, rest: &[u8]) -> Result<Value, Fault> {
        match self {
            Self::Prometheus => prometheus::value(rest),
            Self::OpenMetrics => openmetrics::value(rest),
        }
    }
}

/// The lines of a page with their numbers, from 1. A page that ends with a line's end has no empty line behind it.
#[derive(Debug, Clone)]
pub struct Lines<'p> {
    rest: &'p [u8],
    number: usize,
}

impl<'p> Lines<'p> {
    /// The lines of `page`.
    pub fn of(page: &'p [u8]) -> Self {
        Self { rest: page, number: 0 }
    }
}

impl<'p> Iterator for Lines<'p> {
    type Item = (usize, &'p [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        Some((self.number, line))
    }
}
