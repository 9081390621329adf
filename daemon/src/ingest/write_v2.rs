//! Prometheus remote write 2.0: `io.prometheus.write.v2.Request`.
//!
//! The protocol: <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>. Its message, as far as it is read:
//!
//! ```text
//!  Request     4 symbols, 5 timeseries
//!  TimeSeries  1 labels_refs, 2 samples, 3 histograms, 4 exemplars, 5 metadata
//!  Metadata    1 type, 3 help_ref, 4 unit_ref          Sample  1 value, 2 timestamp
//! ```

use super::{
    fingerprint::{Fingerprint, Shape},
    intake::Intake,
    naming::{Told, Type},
    protobuf::{Field, Fields, Malformed, text, varint},
    write_v1::{refuse_histogram, sample},
};

/// More symbols than this are not taken in one request.
const SYMBOLS_MAX: usize = 1 << 20;

/// A text that series refer to.
#[derive(Debug, Clone, Copy)]
struct Symbol<'a> {
    text: &'a [u8],
    print: Fingerprint,
}

/// Hands a request's series to `intake`.
pub(super) fn decode(body: &[u8], intake: &mut Intake<'_>) -> Result<(), Malformed> {
    let symbols = symbols(body, intake)?;
    let mut refs = Vec::with_capacity(64);
    let mut bytes = Vec::with_capacity(1024);
    let mut request = Fields::of(body);
    while let Some(field) = request.next()? {
        if let (5, Field::Bytes(series)) = field {
            time_series(series, &symbols, &mut refs, &mut bytes, intake)?;
        }
    }
    Ok(())
}

/// All symbols, which may stand behind the series that refer to them.
fn symbols<'a>(body: &'a [u8], intake: &Intake<'_>) -> Result<Vec<Symbol<'a>>, Malformed> {
    let keys = intake.keys();
    let mut symbols = Vec::new();
    let mut request = Fields::of(body);
    while let Some(field) = request.next()? {
        if let (4, Field::Bytes(text)) = field {
            if symbols.len() == SYMBOLS_MAX {
                return Err(Malformed::TooMany(SYMBOLS_MAX, "symbols"));
            }
            symbols.push(Symbol { text, print: keys.of(Shape::Symbol, text) });
        }
    }
    Ok(symbols)
}

fn time_series(
    message: &[u8],
    symbols: &[Symbol<'_>],
    refs: &mut Vec<u64>,
    bytes: &mut Vec<u8>,
    intake: &mut Intake<'_>,
) -> Result<(), Malformed> {
    refs.clear();
    bytes.clear();
    let (mut kind, mut unit_ref) = (0, 0);
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    refs.push(varint(&mut packed)?);
                }
            }
            (1, Field::Varint(one)) => refs.push(one),
            (5, Field::Bytes(metadata)) => (kind, unit_ref) = read_metadata(metadata)?,
            _ => {}
        }
    }
    if !refs.len().is_multiple_of(2) {
        return Err(Malformed::Symbol);
    }
    for symbol in refs.iter().chain([&unit_ref]) {
        bytes.extend(find(symbols, *symbol)?.print.bytes());
    }
    bytes.extend(kind.to_le_bytes());
    let unit = text(find(symbols, unit_ref)?.text)?;
    let told = Told { kind: Type::of_number(kind), unit };
    let print = intake.keys().of(Shape::V2, bytes);
    let target = intake.series(print, Some(told), |to| {
        for pair in refs.chunks_exact(2) {
            let &[name, value] = pair else { continue };
            to.push((text(find(symbols, name)?.text)?, text(find(symbols, value)?.text)?));
        }
        Ok(())
    })?;
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (2, Field::Bytes(message)) => {
                let (at_ms, value) = sample(message)?;
                intake.sample(target, at_ms, value);
            }
            (3, Field::Bytes(_)) => refuse_histogram(intake),
            _ => {}
        }
    }
    Ok(())
}

/// Type and unit.
fn read_metadata(message: &[u8]) -> Result<(u64, u64), Malformed> {
    let (mut kind, mut unit_ref) = (0, 0);
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Varint(number)) => kind = number,
            (4, Field::Varint(number)) => unit_ref = number,
            _ => {}
        }
    }
    Ok((kind, unit_ref))
}

fn find<'s, 'a>(symbols: &'s [Symbol<'a>], number: u64) -> Result<&'s Symbol<'a>, Malformed> {
    usize::try_from(number).ok().and_then(|at| symbols.get(at)).ok_or(Malformed::Symbol)
}
