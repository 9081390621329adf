//! The message as protocol buffers, metric by metric: no more than one of them is held at once.
//!
//! Field numbers are those of `opentelemetry/proto/metrics/v1/metrics.proto`.

use std::borrow::Cow;

use super::{
    super::protobuf::{Field, Fields, Malformed, text},
    model::{
        Attribute, Counted, HistogramPoint, Histograms, Metric, NumberPoint, Numbers, Quantile,
        Resource, Scalar, Summaries, SummaryPoint, Temporality, Whole,
    },
};

/// Gives every metric of `body` with its resource.
pub(super) fn read(
    body: &[u8],
    give: &mut impl FnMut(&Resource<'_>, &Metric<'_>),
) -> Result<(), Malformed> {
    each(body, 1, |of_resource| {
        let mut resource = Resource::default();
        each(of_resource, 1, |message| attributes(message, 1, &mut resource.attributes))?;
        each(of_resource, 2, |scope| {
            each(scope, 2, |message| {
                give(&resource, &metric(message)?);
                Ok(())
            })
        })
    })
}

/// Gives every message that stands in a field of this number.
fn each<'a>(
    message: &'a [u8],
    wanted: u64,
    mut give: impl FnMut(&'a [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.next()? {
        if let Field::Bytes(inner) = field
            && number == wanted
        {
            give(inner)?;
        }
    }
    Ok(())
}

fn metric(message: &[u8]) -> Result<Metric<'_>, Malformed> {
    let mut metric = Metric::default();
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(name)) => metric.name = Cow::Borrowed(text(name)?),
            (3, Field::Bytes(unit)) => metric.unit = Cow::Borrowed(text(unit)?),
            (5, Field::Bytes(gauge)) => metric.gauge = Some(numbers(gauge)?),
            (7, Field::Bytes(sum)) => metric.sum = Some(numbers(sum)?),
            (9, Field::Bytes(histogram)) => metric.histogram = Some(histograms(histogram)?),
            (10, Field::Bytes(histogram)) => {
                let mut counted = Counted::default();
                each(histogram, 1, |_| {
                    counted.data_points.push(serde::de::IgnoredAny);
                    Ok(())
                })?;
                metric.exponential_histogram = Some(counted);
            }
            (11, Field::Bytes(summary)) => {
                let mut summaries = Summaries::default();
                each(summary, 1, |point| {
                    summaries.data_points.push(summary_point(point)?);
                    Ok(())
                })?;
                metric.summary = Some(summaries);
            }
            _ => {}
        }
    }
    Ok(metric)
}

fn numbers(message: &[u8]) -> Result<Numbers<'_>, Malformed> {
    let mut numbers = Numbers::default();
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(point)) => numbers.data_points.push(number_point(point)?),
            (2, Field::Varint(number)) => {
                numbers.aggregation_temporality = Temporality::of_number(number);
            }
            (3, Field::Varint(switch)) => numbers.is_monotonic = switch != 0,
            _ => {}
        }
    }
    Ok(numbers)
}

fn number_point(message: &[u8]) -> Result<NumberPoint<'_>, Malformed> {
    let mut point = NumberPoint::default();
    attributes(message, 7, &mut point.attributes)?;
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (3, Field::Fixed64(time)) => point.time_unix_nano = Whole(time.into()),
            (4, Field::Fixed64(bits)) => point.as_double = Some(f64::from_bits(bits)),
            (6, Field::Fixed64(bits)) => point.as_int = Some(Whole(bits.cast_signed().into())),
            (8, Field::Varint(flags)) => point.flags = flags as u32,
            _ => {}
        }
    }
    Ok(point)
}

fn histograms(message: &[u8]) -> Result<Histograms<'_>, Malformed> {
    let mut histograms = Histograms::default();
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(point)) => histograms.data_points.push(histogram_point(point)?),
            (2, Field::Varint(number)) => {
                histograms.aggregation_temporality = Temporality::of_number(number);
            }
            _ => {}
        }
    }
    Ok(histograms)
}

fn histogram_point(message: &[u8]) -> Result<HistogramPoint<'_>, Malformed> {
    let mut point = HistogramPoint::default();
    attributes(message, 9, &mut point.attributes)?;
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (3, Field::Fixed64(time)) => point.time_unix_nano = Whole(time.into()),
            (4, Field::Fixed64(count)) => point.count = Whole(count.into()),
            (5, Field::Fixed64(bits)) => point.sum = Some(f64::from_bits(bits)),
            (6, Field::Bytes(packed)) => {
                let counts = eights(packed)?.map(|count| Whole(u64::from_le_bytes(count).into()));
                point.bucket_counts.extend(counts);
            }
            (6, Field::Fixed64(count)) => point.bucket_counts.push(Whole(count.into())),
            (7, Field::Bytes(packed)) => {
                point.explicit_bounds.extend(eights(packed)?.map(f64::from_le_bytes));
            }
            (7, Field::Fixed64(bits)) => point.explicit_bounds.push(f64::from_bits(bits)),
            (10, Field::Varint(flags)) => point.flags = flags as u32,
            _ => {}
        }
    }
    Ok(point)
}

fn summary_point(message: &[u8]) -> Result<SummaryPoint<'_>, Malformed> {
    let mut point = SummaryPoint::default();
    attributes(message, 7, &mut point.attributes)?;
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (3, Field::Fixed64(time)) => point.time_unix_nano = Whole(time.into()),
            (4, Field::Fixed64(count)) => point.count = Whole(count.into()),
            (5, Field::Fixed64(bits)) => point.sum = f64::from_bits(bits),
            (6, Field::Bytes(message)) => {
                let mut value = Quantile::default();
                let mut fields = Fields::of(message);
                while let Some(field) = fields.next()? {
                    match field {
                        (1, Field::Fixed64(bits)) => value.quantile = f64::from_bits(bits),
                        (2, Field::Fixed64(bits)) => value.value = f64::from_bits(bits),
                        _ => {}
                    }
                }
                point.quantile_values.push(value);
            }
            (8, Field::Varint(flags)) => point.flags = flags as u32,
            _ => {}
        }
    }
    Ok(point)
}

/// The attributes in the fields of this number.
fn attributes<'a>(
    message: &'a [u8],
    number: u64,
    to: &mut Vec<Attribute<'a>>,
) -> Result<(), Malformed> {
    each(message, number, |pair| {
        let mut attribute = Attribute::default();
        let mut fields = Fields::of(pair);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(key)) => attribute.key = Cow::Borrowed(text(key)?),
                (2, Field::Bytes(value)) => attribute.value = scalar(value)?,
                _ => {}
            }
        }
        to.push(attribute);
        Ok(())
    })
}

fn scalar(message: &[u8]) -> Result<Scalar<'_>, Malformed> {
    let mut scalar = Scalar::default();
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(string)) => scalar.string_value = Some(Cow::Borrowed(text(string)?)),
            (2, Field::Varint(switch)) => scalar.bool_value = Some(switch != 0),
            (3, Field::Varint(number)) => {
                scalar.int_value = Some(Whole(number.cast_signed().into()));
            }
            (4, Field::Fixed64(bits)) => scalar.double_value = Some(f64::from_bits(bits)),
            _ => {}
        }
    }
    Ok(scalar)
}

/// Packed numbers of eight bytes.
fn eights(packed: &[u8]) -> Result<impl Iterator<Item = [u8; 8]> + use<'_>, Malformed> {
    let (eights, rest) = packed.as_chunks::<8>();
    if rest.is_empty() { Ok(eights.iter().copied()) } else { Err(Malformed::Truncated) }
}
