//! How numbers, texts and series are laid out in bytes, in log, segment and state alike.
//!
//! Numbers are LEB128, signed ones zigzag; texts are their length and UTF-8. A
//! read that runs out of bytes or makes no sense is `None`: nothing here panics
//! or allocates by a length it has not checked.

use crate::series::{Kind, Labels, Series, SeriesId};

/// Appends an unsigned number.
pub(super) fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number.
pub(super) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, zigzag(value));
}

/// Appends a text.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_u64(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends all that is known of a series.
pub(super) fn put_series(out: &mut Vec<u8>, series: &Series) {
    for text in [&series.server, &series.collector, &series.metric, &series.unit] {
        put_text(out, text);
    }
    put_u64(out, series.labels.iter().len() as u64);
    for (name, value) in series.labels.iter() {
        put_text(out, name);
        put_text(out, value);
    }
    out.push(match series.kind {
        Kind::Gauge => 0,
        Kind::Counter => 1,
    });
    put_u64(out, series.interval_ms.into());
}

/// Appends the numbers of series, which must ascend.
pub(super) fn put_ids(out: &mut Vec<u8>, ids: &[SeriesId]) {
    put_u64(out, ids.len() as u64);
    let mut before = 0;
    for id in ids {
        put_u64(out, u64::from(id.0 - before));
        before = id.0;
    }
}

/// Small numbers for small distances from zero, on either side.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The number that [`zigzag`] was given.
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Bytes being read from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Starts at the front of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// The next byte.
    pub(super) fn u8(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// The next unsigned number.
    pub(super) fn u64(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// The next unsigned number, if it fits.
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.u64()?.try_into().ok()
    }

    /// The next signed number.
    pub(super) fn i64(&mut self) -> Option<i64> {
        self.u64().map(unzigzag)
    }

    /// The next number as the count of things that take at least a byte each.
    pub(super) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.u64()?).ok()?;
        (count <= self.rest.len()).then_some(count)
    }

    /// The next text.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// What [`put_series`] wrote.
    pub(super) fn series(&mut self) -> Option<Series> {
        let [server, collector, metric, unit] =
            [self.text()?, self.text()?, self.text()?, self.text()?];
        let count = self.count()?;
        let mut labels = Vec::with_capacity(count);
        for _ in 0..count {
            labels.push((self.text()?, self.text()?));
        }
        let kind = match self.u8()? {
            0 => Kind::Gauge,
            1 => Kind::Counter,
            _ => return None,
        };
        let interval_ms = self.u32()?;
        Some(Series {
            server: server.into(),
            collector: collector.into(),
            metric: metric.into(),
            labels: Labels::new(labels),
            unit: unit.into(),
            kind,
            interval_ms,
        })
    }

    /// What [`put_ids`] wrote.
    pub(super) fn ids(&mut self) -> Option<Vec<SeriesId>> {
        let count = self.count()?;
        let mut ids = Vec::with_capacity(count);
        let mut before = 0u32;
        for _ in 0..count {
            before = before.checked_add(self.u32()?)?;
            ids.push(SeriesId(before));
        }
        Some(ids)
    }
}
