//! What a Prometheus query API answers, read strictly. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) series: Vec<Found>,
    /// Why something may be missing in it, where the other side says so.
    pub(super) incomplete: Option<String>,
}

/// A series as it is known there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) labels: BTreeMap<String, String>,
    /// Milliseconds and value.
    pub(super) values: Vec<(i64, f64)>,
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Reply {
    /// Reads the body of an answer of this status; else why it is none, in words for people.
    pub(super) fn read(status: u16, body: &[u8]) -> Result<Self, String> {
        let envelope: Envelope = match serde_json::from_slice(body) {
            Ok(envelope) => envelope,
            Err(_) if status != 200 => {
                return Err(format!("it answers {status}{}", advice(status)));
            }
            Err(error) => return Err(format!("it answers what no query API does: {error}")),
        };
        if envelope.status != "success" || status != 200 {
            return Err(format!("it answers {status}{}: {}", advice(status), envelope.error));
        }
        let data = envelope.data.ok_or("it answers without data")?;
        let series: Result<Vec<Found>, String> = data.result.into_iter().map(Found::read).collect();
        let incomplete = match envelope.warnings.first() {
            Some(warning) => Some(format!("it warns: {warning}")),
            None => envelope.is_partial.then(|| "some of its nodes did not answer".into()),
        };
        Ok(Self { series: series?, incomplete })
    }
}

impl Found {
    fn read(entry: Entry) -> Result<Self, String> {
        let value = |(seconds, text): (f64, String)| {
            let bad = || format!("it answers {text:?} at {seconds}, which is no sample");
            let value = text.parse().map_err(|_| bad())?;
            let at_ms = (seconds * 1000.0).round();
            if !at_ms.is_finite() {
                return Err(bad());
            }
            Ok((at_ms as i64, value))
        };
        let values: Result<Vec<_>, String> = entry.values.into_iter().map(value).collect();
        let mut values = values?;
        values.sort_unstable_by_key(|(at_ms, _)| *at_ms);
        Ok(Self { labels: entry.metric, values })
    }
}

/// What helps against an answer of this status.
fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => ", so correct the credentials in [history]",
        404 => ", so correct query_url: no query API is there",
        300..=399 => ", a redirection, so write its target into query_url",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn a_matrix_is_read_and_what_is_missing_in_it_is_said() {
        let body = br#"{"status": "success", "data": {"resultType": "matrix", "result": [
            {"metric": {"__name__": "load1"}, "values": [[1.5, "2"], [0.0004, "+Inf"], [3, "NaN"]]}]}}"#;
        let reply = Reply::read(200, body).unwrap();
        assert_eq!(reply.incomplete, None);
        assert_eq!(reply.series[0].labels["__name__"], "load1");
        let values = &reply.series[0].values;
        assert_eq!(values[..2], [(0, f64::INFINITY), (1500, 2.0)]);
        assert!(values[2].0 == 3000 && values[2].1.is_nan());

        let partial = br#"{"status":"success","isPartial":true,"data":{"result":[]}}"#;
        let said = Reply::read(200, partial).unwrap().incomplete.unwrap();
        assert_eq!(said, "some of its nodes did not answer");
        let warned = br#"{"status":"success","warnings":["store b is away"],"data":{"result":[]}}"#;
        let said = Reply::read(200, warned).unwrap().incomplete.unwrap();
        assert_eq!(said, "it warns: store b is away");
    }

    #[test]
    fn what_is_no_answer_says_why() {
        let check = |status, body: &str, expected: &str| {
            let said = Reply::read(status, body.as_bytes()).unwrap_err();
            assert!(said.contains(expected), "{said}");
        };
        check(404, "<html>", "correct query_url");
        check(401, "", "correct the credentials");
        check(302, "", "a redirection");
        check(422, r#"{"status":"error","error":"too many samples"}"#, "422: too many samples");
        check(200, r#"{"status":"error","error":"no"}"#, "no");
        check(200, "{}", "what no query API does");
        check(200, r#"{"status":"success"}"#, "without data");
        let value = |pair: &str| {
            format!(
                r#"{{"status":"success","data":{{"result":[{{"metric":{{}},"values":[{pair}]}}]}}}}"#
            )
        };
        check(200, &value(r#"[1, "soon"]"#), "which is no sample");
        check(200, &value(r#"[1e999, "1"]"#), "what no query API does");
    }
}
