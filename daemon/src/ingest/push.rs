//! The JSON push, made for one line of curl.
//!
//! ```text
//!  {"server": "web-1", "metrics": {"temperature_celsius": 21.5}}
//!  {"samples": [{"server": "web-1", "metric": "queue_length", "value": 3, "labels": {"queue": "mail"}, "time": 1764100000000}]}
//! ```
//!
//! Both forms may stand in one body; `server`, `collector`, `labels` and `time` beside them hold for all samples that
//! do not say otherwise. Times are milliseconds since 1970, and now unless given.

use serde_json::{Map, Value};

use super::{
    intake::Intake,
    naming::Told,
    refusal::{Reason, Refusal},
};

/// Longest body, in bytes: it becomes many times as long in memory.
pub(super) const BODY_MAX: usize = 1 << 20;

/// What holds for samples that do not say otherwise.
#[derive(Debug, Clone, Copy, Default)]
struct Common<'a> {
    server: Option<&'a str>,
    collector: Option<&'a str>,
    labels: Option<&'a Map<String, Value>>,
    at_ms: Option<i64>,
}

/// Hands a body's samples to `intake`. `own` is the server where the body names none.
pub(super) fn decode(
    body: &[u8],
    own: Option<&str>,
    intake: &mut Intake<'_>,
) -> Result<(), Refusal> {
    if body.len() > BODY_MAX {
        let detail = format!("a push may have {BODY_MAX} bytes; send it in parts");
        return Err(Refusal::new(Reason::TooLarge, detail));
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        Refusal::new(
            Reason::Malformed,
            format!("the body is no JSON: {error}; send such as {EXAMPLE}"),
        )
    })?;
    let body = object(&body, "the body")?;
    only(body, "", &["server", "collector", "labels", "time", "metrics", "samples"])?;
    let common = Common { server: own, ..Common::default() }.with(body, "")?;
    let metrics = field(body, "metrics", "", object)?;
    let samples = field(body, "samples", "", array)?;
    if metrics.is_none() && samples.is_none() {
        return Err(wrong("the body", "has neither `metrics` nor `samples`"));
    }
    for (name, value) in metrics.into_iter().flatten() {
        let value = number(value, &format!("metrics.{name}"))?;
        give(name, value, common, "", intake)?;
    }
    for (at, sample) in samples.into_iter().flatten().enumerate() {
        let place = format!("samples[{at}]");
        let sample = object(sample, &place)?;
        only(sample, &place, &["server", "collector", "labels", "time", "metric", "value"])?;
        let missing =
            |name| move || wrong(&place_of(&format!("samples[{at}]"), name), "is missing");
        let metric = field(sample, "metric", &place, text)?.ok_or_else(missing("metric"))?;
        let value = field(sample, "value", &place, number)?.ok_or_else(missing("value"))?;
        give(metric, value, common.with(sample, &place)?, &place, intake)?;
    }
    Ok(())
}

const EXAMPLE: &str = r#"{"server": "web-1", "metrics": {"temperature_celsius": 21.5}}"#;

impl<'a> Common<'a> {
    /// With what `from` says otherwise.
    fn with(self, from: &'a Map<String, Value>, place: &str) -> Result<Self, Refusal> {
        Ok(Self {
            server: field(from, "server", place, text)?.or(self.server),
            collector: field(from, "collector", place, text)?.or(self.collector),
            labels: field(from, "labels", place, object)?.or(self.labels),
            at_ms: field(from, "time", place, time)?.or(self.at_ms),
        })
    }
}

fn give(
    metric: &str,
    value: f64,
    common: Common<'_>,
    place: &str,
    intake: &mut Intake<'_>,
) -> Result<(), Refusal> {
    let Some(server) = common.server else {
        return Err(wrong(
            &place_of(place, "server"),
            "is missing: this token is not for one server alone",
        ));
    };
    let mut labels = vec![("__name__", metric), ("server", server)];
    labels.extend(common.collector.map(|collector| ("collector", collector)));
    for (name, value) in common.labels.into_iter().flatten() {
        if ["__name__", "server", "collector"].contains(&name.as_str()) {
            let place = place_of(place, "labels");
            return Err(wrong(&format!("{place}.{name}"), "is no label; it has a key of its own"));
        }
        let Some(value) = value.as_str() else {
            let place = place_of(place, "labels");
            return Err(wrong(&format!("{place}.{name}"), "must be a string"));
        };
        labels.push((name, value));
    }
    let target = intake.series_of(&labels, Told::default());
    intake.sample(target, common.at_ms.unwrap_or(intake.now_ms()), value);
    Ok(())
}

/// What is read as `read` reads it, if it is there.
fn field<'a, T>(
    from: &'a Map<String, Value>,
    name: &str,
    place: &str,
    read: fn(&'a Value, &str) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    from.get(name).map(|value| read(value, &place_of(place, name))).transpose()
}

/// Refuses keys that nobody knows: else a mistyped one would be lost in silence.
fn only(from: &Map<String, Value>, place: &str, known: &[&str]) -> Result<(), Refusal> {
    match from.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(wrong(
            &place_of(place, key),
            &format!("is unknown; known are {}", known.join(", ")),
        )),
    }
}

fn object<'a>(value: &'a Value, place: &str) -> Result<&'a Map<String, Value>, Refusal> {
    value.as_object().ok_or_else(|| wrong(place, "must be an object"))
}

fn array<'a>(value: &'a Value, place: &str) -> Result<&'a Vec<Value>, Refusal> {
    value.as_array().ok_or_else(|| wrong(place, "must be an array"))
}

fn text<'a>(value: &'a Value, place: &str) -> Result<&'a str, Refusal> {
    value.as_str().ok_or_else(|| wrong(place, "must be a string"))
}

fn number(value: &Value, place: &str) -> Result<f64, Refusal> {
    value.as_f64().ok_or_else(|| wrong(place, "must be a number"))
}

fn time(value: &Value, place: &str) -> Result<i64, Refusal> {
    /// The spring of 1973; whoever means seconds writes less.
    const SECONDS: i64 = 100_000_000_000;
    let time =
        value.as_i64().ok_or_else(|| wrong(place, "must be whole milliseconds since 1970"))?;
    if (1..SECONDS).contains(&time) {
        let words = format!("is {time}, must be milliseconds since 1970; these seem to be seconds");
        return Err(wrong(place, &words));
    }
    Ok(time)
}

fn place_of(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

fn wrong(place: &str, what: &str) -> Refusal {
    let place: String = place.chars().take(200).collect();
    Refusal::new(Reason::Malformed, format!("{place} {what}; send such as {EXAMPLE}"))
}
