//! Turns parcels into bodies of requests, in either version.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    labels::{of_series, of_tiding},
    metadata::Metadata,
    parcel::{Parcel, Piece, Tiding},
    version_1::{LabelCache, label_fields, put_series},
    version_2::{ShapeCache, Symbols, Texts},
};
use crate::{
    config::{ForwardConfig, Pattern, Protocol},
    series::{Catalog, Series, SeriesId},
};

/// Makes bodies. Blocks for as long as compressing takes.
pub(super) struct Encoder {
    catalog: Arc<Catalog>,
    config: Arc<ForwardConfig>,
    labels: LabelCache,
    shapes: ShapeCache,
    texts: Texts,
    symbols: Symbols,
    metadata: Metadata,
    snappy: snap::raw::Encoder,
    /// Samples of the request, by series; kept for its room, as those below.
    sorted: Vec<(SeriesId, i64, f64)>,
    series: Vec<u8>,
    whole: Vec<u8>,
}

/// A body, compressed.
#[derive(Debug, Clone)]
pub(super) struct Body {
    /// What is sent.
    pub(super) bytes: Bytes,
    /// Samples in it: those that are wanted.
    pub(super) samples: u64,
}

impl Encoder {
    /// An encoder of the series of `catalog`, for the target that `config` describes.
    pub(super) fn new(catalog: Arc<Catalog>, config: Arc<ForwardConfig>) -> Self {
        Self {
            catalog,
            config,
            labels: LabelCache::default(),
            shapes: ShapeCache::default(),
            texts: Texts::default(),
            symbols: Symbols::default(),
            metadata: Metadata::default(),
            snappy: snap::raw::Encoder::new(),
            sorted: Vec::new(),
            series: Vec::new(),
            whole: Vec::new(),
        }
    }

    /// The body that carries `parcel`; `None` where nothing of it is wanted.
    pub(super) fn encode(&mut self, parcel: &Parcel, protocol: Protocol) -> Option<Body> {
        self.sort(parcel);
        self.series.clear();
        self.whole.clear();
        let samples = match protocol {
            Protocol::V1 => self.put_version_1(parcel),
            Protocol::V2 => self.put_version_2(parcel),
        };
        let bytes = compress(&mut self.snappy, &self.whole);
        (samples > 0).then_some(Body { bytes, samples })
    }

    /// The body that tells kinds and units in 1.0, where it is due.
    pub(super) fn metadata(&mut self, now: Instant) -> Option<Bytes> {
        let due = self.metadata.due(now)?;
        Some(compress(&mut self.snappy, &due))
    }

    /// Kinds and units have arrived.
    pub(super) fn metadata_told(&mut self, now: Instant) {
        self.metadata.told(now);
    }

    /// Another hub is written to, which knows no kinds and units.
    pub(super) fn metadata_untold(&mut self) {
        self.metadata.untold();
    }

    /// Brings the samples of each series together; those of one stay in their order.
    fn sort(&mut self, parcel: &Parcel) {
        self.sorted.clear();
        for piece in &parcel.0 {
            if let Piece::Frame { at_ms, samples } = piece {
                let samples = samples.iter().map(|sample| (sample.series, *at_ms, sample.value));
                self.sorted.extend(samples);
            }
        }
        // Stable, and quick where frames of the same series follow each other.
        self.sorted.sort_by_key(|(series, ..)| *series);
    }

    fn put_version_1(&mut self, parcel: &Parcel) -> u64 {
        if self.labels.is_full() {
            self.labels = LabelCache::default();
        }
        let (config, metadata) = (&self.config, &mut self.metadata);
        let mut count = 0;
        for run in self.sorted.chunk_by(|one, next| one.0 == next.0) {
            let Some((id, ..)) = run.first() else { continue };
            let made = self.labels.get(&self.catalog, *id, |series| {
                metadata.note(series);
                let fields = wants(config, series)
                    .then(|| label_fields(&of_series(series, &config.labels)))?;
                let bytes = fields.len();
                Some((fields, bytes))
            });
            if let Some((labels, _)) = made {
                put_series(&mut self.whole, labels, samples(run));
                count += run.len() as u64;
            }
        }
        for tiding in tidings(parcel, config) {
            let labels = label_fields(&of_tiding(tiding, &config.labels));
            put_series(&mut self.whole, &labels, [(tiding.at_ms, tiding.value)].into_iter());
            count += 1;
        }
        count
    }

    fn put_version_2(&mut self, parcel: &Parcel) -> u64 {
        if self.shapes.is_full() || self.texts.is_full() {
            (self.shapes, self.texts) = (ShapeCache::default(), Texts::default());
            self.symbols = Symbols::default();
        }
        let config = &self.config;
        let mut count = 0;
        for run in self.sorted.chunk_by(|one, next| one.0 == next.0) {
            let Some((id, ..)) = run.first() else { continue };
            let texts = &mut self.texts;
            let made = self.shapes.get(&self.catalog, *id, |series| {
                let labels = wants(config, series).then(|| of_series(series, &config.labels))?;
                let shape = texts.shape(&labels, Some((series.kind, &series.unit)));
                let bytes = shape.bytes();
                Some((shape, bytes))
            });
            if let Some((shape, _)) = made {
                self.symbols.put_series(&mut self.series, &self.texts, shape, samples(run));
                count += run.len() as u64;
            }
        }
        for tiding in tidings(parcel, config) {
            let shape = self.texts.shape(&of_tiding(tiding, &config.labels), None);
            let sample = [(tiding.at_ms, tiding.value)].into_iter();
            self.symbols.put_series(&mut self.series, &self.texts, &shape, sample);
            count += 1;
        }
        self.symbols.finish(&mut self.whole, &self.texts, &self.series);
        count
    }
}

fn samples(run: &[(SeriesId, i64, f64)]) -> impl Iterator<Item = (i64, f64)> + Clone {
    run.iter().map(|(_, at_ms, value)| (*at_ms, *value))
}

fn tidings<'p>(parcel: &'p Parcel, config: &ForwardConfig) -> impl Iterator<Item = &'p Tiding> {
    parcel.0.iter().filter_map(|piece| match piece {
        Piece::Tiding(tiding) if Pattern::choose(&config.servers, &tiding.server) => Some(tiding),
        _ => None,
    })
}

fn wants(config: &ForwardConfig, series: &Series) -> bool {
    Pattern::choose(&config.servers, &series.server)
        && Pattern::choose(&config.metrics, &series.metric)
}

/// Snappy refuses only what is longer than 4 GiB, and no parcel is.
fn compress(snappy: &mut snap::raw::Encoder, plain: &[u8]) -> Bytes {
    snappy.compress_vec(plain).map_or_else(|_| Bytes::new(), Bytes::from)
}
