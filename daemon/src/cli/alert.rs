//! `bartizan alert`: incidents, seen and taken on from the command line.

use std::process::ExitCode;

use clap::Subcommand;
use serde::Deserialize;

use super::{
    Failure, PlaceArguments, client,
    explain::{Whole, explain},
    moment,
    output::print,
    table,
};
use crate::series::now_ms;

/// What is asked about incidents.
#[derive(Debug, Subcommand)]
pub(super) enum AlertCommand {
    /// Lists incidents that last, the worst first.
    List {
        /// Those that are over as well.
        #[arg(long)]
        all: bool,
        /// JSON in the shape of the API, instead of a table.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        places: PlaceArguments,
    },
    /// Takes an incident on: it is not told again, but lasts until it is over.
    Ack {
        /// Its number.
        id: u64,
        /// Who takes it on [default: whoever runs this command].
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        places: PlaceArguments,
    },
    /// Says why an incident is: value, limit, what happened, who was told, and what comes next.
    Why {
        /// Its number.
        id: u64,
        /// JSON in the shape of the API, instead of words.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        places: PlaceArguments,
    },
}

/// An incident, as far as the table shows it.
#[derive(Deserialize)]
pub(super) struct Incident {
    pub(super) id: u64,
    pub(super) server: String,
    pub(super) rule: String,
    pub(super) metric: String,
    pub(super) labels: std::collections::BTreeMap<String, String>,
    pub(super) unit: String,
    pub(super) level: String,
    pub(super) state: String,
    pub(super) unknown: Option<String>,
    pub(super) flapping: bool,
    pub(super) opened_ms: i64,
    pub(super) closed_ms: Option<i64>,
    pub(super) value: Option<f64>,
    pub(super) limit: Option<Limit>,
    pub(super) ack: Option<Acknowledgement>,
}

/// A limit.
#[derive(Deserialize)]
pub(super) struct Limit {
    pub(super) side: String,
    pub(super) at: f64,
}

/// Who has taken an incident on.
#[derive(Deserialize)]
pub(super) struct Acknowledgement {
    pub(super) by: String,
    pub(super) at_ms: i64,
}

/// The daemon's answer.
#[derive(Deserialize)]
struct Incidents {
    incidents: Vec<Incident>,
}

/// Answers what is asked, or does what is wished.
pub(super) fn alert(command: AlertCommand) -> Result<ExitCode, Failure> {
    match command {
        AlertCommand::List { all, json, places } => {
            let path = format!("/api/v1/incidents?state={}", if all { "all" } else { "firing" });
            let answer = client::get(&places.sources().state()?, &path)?;
            if json {
                print(&format!("{}\n", String::from_utf8_lossy(&answer)))?;
            } else {
                let Incidents { incidents } = serde_json::from_slice(&answer)?;
                print(&list(&incidents, now_ms()))?;
            }
        }
        AlertCommand::Ack { id, by, places } => {
            let by = by.or_else(|| std::env::var("USER").ok().filter(|user| !user.is_empty()));
            let by = by.unwrap_or_else(|| "command line".into());
            let body = serde_json::to_vec(&serde_json::json!({ "by": by }))?;
            client::post(&places.sources().state()?, &format!("/api/v1/incidents/{id}/ack"), body)?;
            print(&format!("incident {id} is taken on by {by}\n"))?;
        }
        AlertCommand::Why { id, json, places } => {
            let path = format!("/api/v1/incidents/{id}");
            let answer = client::get(&places.sources().state()?, &path)?;
            if json {
                print(&format!("{}\n", String::from_utf8_lossy(&answer)))?;
            } else {
                let whole: Whole = serde_json::from_slice(&answer)?;
                print(&explain(&whole, now_ms()))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(incidents: &[Incident], now_ms: i64) -> String {
    if incidents.is_empty() {
        return "no incident\n".into();
    }
    let head = ["ID", "LEVEL", "STATE", "SERVER", "WHAT", "AT LAST CHANGE", "SINCE", "TAKEN ON BY"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for incident in incidents {
        let lasted = incident.closed_ms.unwrap_or(now_ms) - incident.opened_ms;
        rows.push(vec![
            incident.id.to_string(),
            incident.level.clone(),
            incident.shown_state(),
            incident.server.clone(),
            incident.what(),
            incident.against(),
            format!("{} ({})", moment::utc(incident.opened_ms), moment::span(lasted)),
            incident.ack.as_ref().map_or_else(String::new, |ack| ack.by.clone()),
        ]);
    }
    table::columns(&rows, false)
}

impl Incident {
    /// What is wrong: the rule, and what tells its series from others.
    pub(super) fn what(&self) -> String {
        let labels = self.labels.values().cloned().collect::<Vec<_>>().join(" ");
        format!("{} {labels}", self.rule).trim_end().to_owned()
    }

    /// The value, and the limit that it is held against.
    pub(super) fn against(&self) -> String {
        let value = self.value.map_or("?".to_owned(), |value| table::value(value, &self.unit));
        match &self.limit {
            Some(Limit { side, at }) => {
                format!("{value} ({side} {})", table::value(*at, &self.unit))
            }
            None => value,
        }
    }

    fn shown_state(&self) -> String {
        let mut state = self.state.clone();
        if self.unknown.is_some() {
            state.push_str(", last known");
        }
        if self.flapping {
            state.push_str(", flapping");
        }
        state
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn incidents_are_listed_with_what_and_since_when() {
        let incident = serde_json::json!({
            "id": 7, "server": "web-1", "rule": "disk", "metric": "disk_usage_ratio",
            "labels": {"mount": "/var"}, "unit": "ratio", "level": "critical", "state": "firing",
            "unknown": "plugin crashed", "flapping": false, "opened_ms": 0, "closed_ms": null, "value": 0.97,
            "limit": {"side": "above", "at": 0.95}, "ack": {"by": "ann", "at_ms": 5}
        });
        let incident: Incident = serde_json::from_value(incident).unwrap();
        assert_eq!(
            list(&[incident], 90_000),
            "ID  LEVEL     STATE               SERVER  WHAT       AT LAST CHANGE         SINCE                          TAKEN ON BY\n\
             7   critical  firing, last known  web-1   disk /var  97.0 % (above 95.0 %)  1970-01-01T00:00:00Z (1m 30s)  ann\n"
        );
        assert_eq!(list(&[], 0), "no incident\n");
    }
}
