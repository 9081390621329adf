//! Prometheus remote write 1.0: `prometheus.WriteRequest`.
//!
//! The protocol: <https://prometheus.io/docs/specs/prw/remote_write_spec/>. Its message, as far as it is read:
//!
//! ```text
//!  WriteRequest    1 timeseries, 3 metadata            MetricMetadata  1 type, 2 metric_family_name, 5 unit
//!  TimeSeries      1 labels, 2 samples, 3 exemplars, 4 histograms
//!  Label           1 name, 2 value                     Sample          1 value, 2 timestamp
//! ```

use std::borrow::Cow;

use super::{
    fingerprint::Shape,
    intake::Intake,
    naming::{Told, Type},
    protobuf::{Field, Fields, Malformed, text, varint},
    refusal::Reason,
};

/// Hands a request's series to `intake`.
pub(super) fn decode(body: &[u8], intake: &mut Intake<'_>) -> Result<(), Malformed> {
    let mut request = Fields::of(body);
    while let Some(field) = request.next()? {
        match field {
            (1, Field::Bytes(series)) => time_series(series, intake)?,
            (3, Field::Bytes(metadata)) => tell(metadata, intake)?,
            _ => {}
        }
    }
    Ok(())
}

fn time_series(message: &[u8], intake: &mut Intake<'_>) -> Result<(), Malformed> {
    let (labels, rest) = split(message)?;
    let print = intake.keys().of(Shape::V1, &labels);
    let target = intake.series(print, None, |to| read_labels(&labels, to))?;
    let mut fields = Fields::of(rest);
    while let Some(field) = fields.next()? {
        match field {
            (2, Field::Bytes(message)) => {
                let (at_ms, value) = sample(message)?;
                intake.sample(target, at_ms, value);
            }
            (4, Field::Bytes(_)) => refuse_histogram(intake),
            _ => {}
        }
    }
    Ok(())
}

/// Native histograms are named once, and counted.
pub(super) fn refuse_histogram(intake: &mut Intake<'_>) {
    intake.refuse(Reason::Histogram, 1, || {
        "native histograms are not supported; let the sender convert them to classic ones \
         (`convert_classic_histograms_to_nhcb: false`, `send_native_histograms: false`)"
            .to_owned()
    });
}

/// The labels, as they were sent, and what else there is. Encoders write them first and in one piece; where one has
/// not, they are gathered.
fn split(message: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), Malformed> {
    let mut fields = Fields::of(message);
    fields.skip_bytes(1)?;
    let (labels, rest) = message.split_at(message.len() - fields.left());
    let mut gathered = Vec::new();
    loop {
        let before = fields.left();
        let Some((number, _)) = fields.next()? else { break };
        if number == 1 {
            let field = &message[message.len() - before..message.len() - fields.left()];
            gathered.extend_from_slice(field);
        }
    }
    if gathered.is_empty() {
        return Ok((Cow::Borrowed(labels), rest));
    }
    Ok((Cow::Owned([labels, &gathered].concat()), rest))
}

fn read_labels<'l>(labels: &'l [u8], to: &mut Vec<(&'l str, &'l str)>) -> Result<(), Malformed> {
    let mut fields = Fields::of(labels);
    while let Some(field) = fields.next()? {
        let (1, Field::Bytes(label)) = field else { continue };
        let (mut name, mut value) = ("", "");
        let mut parts = Fields::of(label);
        while let Some(part) = parts.next()? {
            match part {
                (1, Field::Bytes(bytes)) => name = text(bytes)?,
                (2, Field::Bytes(bytes)) => value = text(bytes)?,
                _ => {}
            }
        }
        to.push((name, value));
    }
    Ok(())
}

/// Time and value of a sample; both versions write it alike.
#[inline]
pub(super) fn sample(message: &[u8]) -> Result<(i64, f64), Malformed> {
    // As every encoder writes one that is neither zero nor of 1970.
    if let Some((&[0x09, a, b, c, d, e, f, g, h, 0x10], mut rest)) = message.split_first_chunk() {
        let at_ms = varint(&mut rest)?;
        if rest.is_empty() {
            return Ok((at_ms.cast_signed(), f64::from_le_bytes([a, b, c, d, e, f, g, h])));
        }
    }
    let (mut at_ms, mut value) = (0, 0.0);
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, Field::Varint(number)) => at_ms = number.cast_signed(),
            _ => {}
        }
    }
    Ok((at_ms, value))
}

fn tell(message: &[u8], intake: &mut Intake<'_>) -> Result<(), Malformed> {
    let (mut kind, mut family, mut unit) = (Type::Unknown, "", "");
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Varint(number)) => kind = Type::of_number(number),
            (2, Field::Bytes(bytes)) => family = text(bytes)?,
            (5, Field::Bytes(bytes)) => unit = text(bytes)?,
            _ => {}
        }
    }
    if !family.is_empty() {
        intake.metadata(family, Told { kind, unit });
    }
    Ok(())
}
