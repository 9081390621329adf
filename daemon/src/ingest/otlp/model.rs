//! The message, as far as it is read; deserialised from JSON, or filled by `wire`.
//!
//! JSON of protocol buffers writes names in camel case, numbers of 64 bits as strings or numbers, and enumerations as
//! numbers or names.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::Error};

/// `ExportMetricsServiceRequest`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Request<'a> {
    #[serde(borrow)]
    pub(super) resource_metrics: Vec<ResourceMetrics<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ResourceMetrics<'a> {
    #[serde(borrow)]
    pub(super) resource: Resource<'a>,
    #[serde(borrow)]
    pub(super) scope_metrics: Vec<ScopeMetrics<'a>>,
}

/// Who was measured.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resource<'a> {
    #[serde(borrow)]
    pub(super) attributes: Vec<Attribute<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ScopeMetrics<'a> {
    #[serde(borrow)]
    pub(super) metrics: Vec<Metric<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metric<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) unit: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) gauge: Option<Numbers<'a>>,
    #[serde(borrow)]
    pub(super) sum: Option<Numbers<'a>>,
    #[serde(borrow)]
    pub(super) histogram: Option<Histograms<'a>>,
    pub(super) exponential_histogram: Option<Counted>,
    #[serde(borrow)]
    pub(super) summary: Option<Summaries<'a>>,
}

/// A gauge or a sum.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Numbers<'a> {
    #[serde(borrow)]
    pub(super) data_points: Vec<NumberPoint<'a>>,
    pub(super) aggregation_temporality: Temporality,
    pub(super) is_monotonic: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NumberPoint<'a> {
    #[serde(borrow)]
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) time_unix_nano: Whole,
    #[serde(deserialize_with = "maybe_float")]
    pub(super) as_double: Option<f64>,
    pub(super) as_int: Option<Whole>,
    pub(super) flags: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Histograms<'a> {
    #[serde(borrow)]
    pub(super) data_points: Vec<HistogramPoint<'a>>,
    pub(super) aggregation_temporality: Temporality,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct HistogramPoint<'a> {
    #[serde(borrow)]
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) time_unix_nano: Whole,
    pub(super) count: Whole,
    #[serde(deserialize_with = "maybe_float")]
    pub(super) sum: Option<f64>,
    pub(super) bucket_counts: Vec<Whole>,
    pub(super) explicit_bounds: Vec<f64>,
    pub(super) flags: u32,
}

/// An exponential histogram: how many points it has is all that is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Counted {
    pub(super) data_points: Vec<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Summaries<'a> {
    #[serde(borrow)]
    pub(super) data_points: Vec<SummaryPoint<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SummaryPoint<'a> {
    #[serde(borrow)]
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) time_unix_nano: Whole,
    pub(super) count: Whole,
    #[serde(deserialize_with = "float")]
    pub(super) sum: f64,
    pub(super) quantile_values: Vec<Quantile>,
    pub(super) flags: u32,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
pub(super) struct Quantile {
    #[serde(deserialize_with = "float")]
    pub(super) quantile: f64,
    #[serde(deserialize_with = "float")]
    pub(super) value: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Attribute<'a> {
    #[serde(borrow)]
    pub(super) key: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) value: Scalar<'a>,
}

/// The value of an attribute; lists and maps are left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Scalar<'a> {
    #[serde(borrow)]
    pub(super) string_value: Option<Cow<'a, str>>,
    pub(super) bool_value: Option<bool>,
    pub(super) int_value: Option<Whole>,
    #[serde(deserialize_with = "maybe_float")]
    pub(super) double_value: Option<f64>,
}

/// How the values of a metric follow each other.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temporality {
    /// Nothing was said.
    #[default]
    Unspecified,
    /// Each is the change since the one before.
    Delta,
    /// Each is a total.
    Cumulative,
}

/// A whole number of 64 bits, of either sign.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole(pub(super) i128);

impl Temporality {
    pub(super) fn of_number(number: u64) -> Self {
        match number {
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => Self::Unspecified,
        }
    }
}

impl Scalar<'_> {
    /// As text; nothing where it is a list, a map, or absent.
    pub(super) fn text(&self) -> Option<Cow<'_, str>> {
        let string = self.string_value.as_deref().map(Cow::Borrowed);
        let bool = || self.bool_value.map(|value| value.to_string().into());
        let int = || self.int_value.map(|Whole(value)| value.to_string().into());
        let double = || self.double_value.map(|value| value.to_string().into());
        string.or_else(bool).or_else(int).or_else(double)
    }
}

/// What a number may be written as.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(#[serde(borrow)] Cow<'a, str>),
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = match Written::deserialize(deserializer)? {
            Written::Signed(number) => Some(number.into()),
            Written::Unsigned(number) => Some(number.into()),
            Written::Float(_) => None,
            Written::Text(text) => text
                .parse()
                .ok()
                .filter(|number| (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(number)),
        };
        whole.map(Self).ok_or_else(|| D::Error::custom("must be a whole number of 64 bits"))
    }
}

impl<'de> Deserialize<'de> for Temporality {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Signed(number) => Ok(Self::of_number(number.unsigned_abs())),
            Written::Text(text) if text == "AGGREGATION_TEMPORALITY_DELTA" => Ok(Self::Delta),
            Written::Text(text) if text == "AGGREGATION_TEMPORALITY_CUMULATIVE" => {
                Ok(Self::Cumulative)
            }
            Written::Text(text) if text == "AGGREGATION_TEMPORALITY_UNSPECIFIED" => {
                Ok(Self::Unspecified)
            }
            _ => Err(D::Error::custom("must be an aggregation temporality")),
        }
    }
}

fn float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match Written::deserialize(deserializer)? {
        Written::Signed(number) => Ok(number as f64),
        Written::Unsigned(number) => Ok(number as f64),
        Written::Float(number) => Ok(number),
        Written::Text(text) => match &*text {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            text => text.parse().map_err(|_| D::Error::custom("must be a number")),
        },
    }
}

fn maybe_float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    float(deserializer).map(Some)
}
