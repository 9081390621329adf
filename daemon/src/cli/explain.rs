//! Why an incident is, in words: value and limit, what happened, who was told, and what comes next.

use serde::Deserialize;

use super::{alert::Incident, moment, table};

/// An incident with its timeline and its notices, as the API gives them.
#[derive(Deserialize)]
pub(super) struct Whole {
    #[serde(flatten)]
    incident: Incident,
    summary: Option<String>,
    runbook: Option<String>,
    timeline: Vec<Happening>,
    notices: Vec<Notice>,
}

#[derive(Deserialize)]
struct Happening {
    at_ms: i64,
    event: String,
    value: Option<f64>,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Notice {
    way: String,
    contact: String,
    address: String,
    what: Option<String>,
    state: String,
    due_ms: Option<i64>,
    behind: Option<u64>,
    attempts: Vec<Attempt>,
}

#[derive(Deserialize)]
struct Attempt {
    at_ms: i64,
    took_ms: u32,
    outcome: String,
    said: String,
}

/// The words, as of `now_ms`.
pub(super) fn explain(whole: &Whole, now_ms: i64) -> String {
    let Whole { incident, summary, runbook, timeline, notices } = whole;
    let lasted = incident.closed_ms.unwrap_or(now_ms) - incident.opened_ms;
    let mut text = format!(
        "incident {}: {} {} on {}, {}\n",
        incident.id,
        incident.level,
        incident.what(),
        incident.server,
        incident.state,
    );
    let mut say = |name: &str, words: &str| text.push_str(&format!("  {name:<9} {words}\n"));
    if let Some(summary) = summary {
        say("summary", summary);
    }
    say("value", &format!("{} is {}", incident.metric, incident.against()));
    say("since", &format!("{}, {}", moment::utc(incident.opened_ms), moment::span(lasted)));
    if let Some(unknown) = &incident.unknown {
        say("unknown", &format!("{unknown}; the value is the last one known"));
    }
    if incident.flapping {
        say("flapping", "told again once it has been steady for 15 min");
    }
    match &incident.ack {
        Some(ack) => say("taken on", &format!("by {} at {}", ack.by, moment::utc(ack.at_ms))),
        None if incident.closed_ms.is_none() => say("taken on", "by nobody"),
        None => {}
    }
    if let Some(runbook) = runbook {
        say("runbook", runbook);
    }
    text.push_str("what happened\n");
    for Happening { at_ms, event, value, detail } in timeline {
        let value = value.map(|value| format!(" at {}", table::value(value, &incident.unit)));
        let detail = detail.as_ref().map(|detail| format!(": {detail}"));
        let (value, detail) = (value.unwrap_or_default(), detail.unwrap_or_default());
        text.push_str(&format!("  {} {event}{value}{detail}\n", moment::utc(*at_ms)));
    }
    text.push_str("who was told\n");
    if notices.is_empty() {
        text.push_str("  nobody: no route matches it\n");
    }
    for notice in notices {
        let what = notice.what.as_deref().unwrap_or_default();
        let Notice { way, contact, address, state, .. } = notice;
        text.push_str(&format!("  {what} to {contact} by {way} {address}: {state}"));
        if let Some(due_ms) = notice.due_ms {
            text.push_str(&format!(", next in {}", moment::span((due_ms - now_ms).max(0))));
        }
        if let Some(behind) = notice.behind {
            text.push_str(&format!(", after notice {behind}"));
        }
        text.push('\n');
        for Attempt { at_ms, took_ms, outcome, said } in &notice.attempts {
            let at = moment::utc(*at_ms);
            text.push_str(&format!("    {at} {outcome} after {took_ms} ms: {said}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn everything_that_is_known_is_said() {
        let whole = serde_json::json!({
            "id": 7, "server": "web-1", "rule": "cpu", "metric": "cpu_usage_ratio", "labels": {},
            "unit": "ratio", "level": "critical", "state": "firing", "unknown": null, "flapping": false,
            "opened_ms": 0, "closed_ms": null, "value": 0.97, "limit": {"side": "above", "at": 0.95},
            "ack": null, "summary": "cpu is busy", "runbook": null,
            "timeline": [{"at_ms": 0, "event": "opened", "value": 0.97, "detail": null}],
            "notices": [{
                "way": "email", "contact": "ops", "address": "ops@example.org", "what": "fired",
                "state": "retrying", "due_ms": 65_000,
                "attempts": [{"at_ms": 20, "took_ms": 5, "outcome": "temporary", "said": "451 later"}]
            }]
        });
        let whole: Whole = serde_json::from_value(whole).unwrap();
        assert_eq!(
            explain(&whole, 60_000),
            "incident 7: critical cpu on web-1, firing\n\
             \x20 summary   cpu is busy\n\
             \x20 value     cpu_usage_ratio is 97.0 % (above 95.0 %)\n\
             \x20 since     1970-01-01T00:00:00Z, 1m\n\
             \x20 taken on  by nobody\n\
             what happened\n\
             \x20 1970-01-01T00:00:00Z opened at 97.0 %\n\
             who was told\n\
             \x20 fired to ops by email ops@example.org: retrying, next in 5s\n\
             \x20   1970-01-01T00:00:00.020Z temporary after 5 ms: 451 later\n"
        );
    }
}
