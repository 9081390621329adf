//! `bartizan server`: which servers this hub takes samples of, seen and changed from the command line.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::{
    Failure, PlaceArguments,
    client::{self, escaped},
    moment,
    output::print,
    table,
};
use crate::series::now_ms;

/// What is done about servers.
#[derive(Debug, Subcommand)]
pub(super) enum ServerCommand {
    /// Makes a token for another machine, and prints the one line to run there.
    Add {
        /// What the server is called; `web-*` stands for every one that is called so.
        name: String,
        /// What it is, for grouping and filters; may be given more than once.
        #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
        tags: Vec<(String, String)>,
        /// A new token for a name that has one, which is revoked.
        #[arg(long)]
        again: bool,
        /// Name, token and the hub's address as JSON, instead of the line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        places: PlaceArguments,
    },
    /// Lists servers, and the tokens by which they write.
    List {
        /// JSON instead of a table.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        places: PlaceArguments,
    },
    /// Revokes a server's token and watches it no longer. What is stored of it stays until it is too old.
    Remove {
        /// What it is called; `web-*` revokes the token that was made for it, and watches whom it let in no longer.
        name: String,
        #[command(flatten)]
        places: PlaceArguments,
    },
    /// Calls a server by another name from now on. What is stored stays under the former one.
    Rename {
        /// What it is called.
        name: String,
        /// What it is to be called.
        to: String,
        #[command(flatten)]
        places: PlaceArguments,
    },
}

/// The daemon's answer when a server was added.
#[derive(Deserialize)]
struct Added {
    name: String,
    token: String,
    url: String,
    command: String,
    note: Option<String>,
}

/// Its answer when something was changed.
#[derive(Deserialize)]
struct Changed {
    note: String,
}

/// Its answer when something was removed.
#[derive(Deserialize)]
struct Removal {
    note: String,
    removed: Vec<String>,
    staying: Vec<Staying>,
}

#[derive(Deserialize)]
struct Staying {
    name: String,
    why: String,
}

#[derive(Deserialize)]
struct Servers {
    servers: Vec<Server>,
}

/// A server that is monitored.
#[derive(Deserialize)]
struct Server {
    name: String,
    state: String,
    last_seen_ms: Option<i64>,
    #[serde(default)]
    origin: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    tokens: Vec<Token>,
}

/// A token.
#[derive(Deserialize)]
struct Token {
    id: String,
    server: String,
    last_used_ms: Option<i64>,
    revoked_ms: Option<i64>,
    error: Option<String>,
}

/// A line of the list.
#[derive(Debug, Default, Serialize)]
struct Line {
    name: String,
    origin: Option<String>,
    state: String,
    last_seen_ms: Option<i64>,
    token: Option<String>,
    error: Option<String>,
}

/// Does what is wished.
pub(super) fn server(command: ServerCommand) -> Result<ExitCode, Failure> {
    match command {
        ServerCommand::Add { name, tags, again, json, places } => {
            let tags: BTreeMap<String, String> = tags.into_iter().collect();
            let wish = serde_json::json!({ "name": name, "tags": tags, "again": again });
            let state = places.sources().state()?;
            let answer = client::post(&state, "/api/v1/servers", serde_json::to_vec(&wish)?)?;
            let Added { name, token, url, command, note } = serde_json::from_slice(&answer)?;
            if let Some(note) = note {
                eprintln!("bartizan: note: {note}");
            }
            if json {
                let shown = serde_json::json!({ "name": name, "token": token, "url": url });
                print(&format!("{shown}\n"))?;
            } else {
                print(&format!("{command}\n"))?;
            }
        }
        ServerCommand::List { json, places } => {
            let state = places.sources().state()?;
            let servers: Servers =
                serde_json::from_slice(&client::get(&state, "/api/v1/servers")?)?;
            let tokens: Tokens = serde_json::from_slice(&client::get(&state, "/api/v1/tokens")?)?;
            let lines = lines(servers.servers, tokens.tokens);
            if json {
                print(&format!("{}\n", serde_json::json!({ "servers": lines })))?;
            } else {
                print(&list(&lines, now_ms()))?;
            }
        }
        ServerCommand::Remove { name, places } => {
            let state = places.sources().state()?;
            let path = format!("/api/v1/servers/{}", escaped(&name));
            let removal: Removal = serde_json::from_slice(&client::delete(&state, &path)?)?;
            print(&removal.told(&name))?;
        }
        ServerCommand::Rename { name, to, places } => {
            let state = places.sources().state()?;
            let path = format!("/api/v1/servers/{}/rename", escaped(&name));
            let wish = serde_json::to_vec(&serde_json::json!({ "to": to }))?;
            let Changed { note } = serde_json::from_slice(&client::post(&state, &path, wish)?)?;
            print(&format!("{name} is called {to} now; {note}\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Removal {
    fn told(&self, name: &str) -> String {
        let removed = self.removed.iter().map(|name| format!("  {name} is watched no longer\n"));
        let staying =
            self.staying.iter().map(|Staying { name, why }| format!("  {name} stays: {why}\n"));
        let each: String = removed.chain(staying).collect();
        format!("{name} is removed; {}\n{each}", self.note)
    }
}

/// What is given as `--tag`.
fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("must be a key and a value, such as env=prod".into()),
    }
}

/// Servers with their tokens, and tokens whose machines have not been heard of.
fn lines(servers: Vec<Server>, tokens: Vec<Token>) -> Vec<Line> {
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    for Server { name, state, last_seen_ms, origin } in servers {
        let line = Line { name: name.clone(), origin, state, last_seen_ms, ..Line::default() };
        lines.insert(name, line);
    }
    for token in tokens.into_iter().filter(|token| token.revoked_ms.is_none()) {
        let line = lines.entry(token.server.clone()).or_insert_with(|| Line {
            name: token.server.clone(),
            state: if token.server.contains('*') { "pattern" } else { "awaited" }.into(),
            last_seen_ms: token.last_used_ms,
            ..Line::default()
        });
        line.token = Some(token.id);
        if line.last_seen_ms.is_none() && line.state == "unknown" {
            line.state = "awaited".into();
        }
        line.error = token.error;
    }
    lines.into_values().collect()
}

fn list(lines: &[Line], now_ms: i64) -> String {
    if lines.is_empty() {
        return "no server\n".into();
    }
    let head = ["NAME", "ORIGIN", "STATE", "LAST SEEN", "TOKEN", "LAST ERROR"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for line in lines {
        let seen = line
            .last_seen_ms
            .map(|seen_ms| format!("{} ago", moment::span(now_ms.saturating_sub(seen_ms).max(0))));
        rows.push(vec![
            line.name.clone(),
            line.origin.clone().unwrap_or_default(),
            line.state.clone(),
            seen.unwrap_or_else(|| "never".into()),
            line.token.clone().unwrap_or_default(),
            line.error.clone().unwrap_or_default(),
        ]);
    }
    table::columns(&rows, false)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn servers_stand_beside_their_tokens_and_those_that_are_awaited() {
        let servers: Servers = serde_json::from_value(serde_json::json!({"servers": [
            {"name": "hub", "state": "up", "last_seen_ms": 88_000, "normal": true},
            {"name": "web-1", "state": "offline", "last_seen_ms": 0, "origin": "remote"},
        ]}))
        .unwrap();
        let token = |id: &str, server: &str, revoked_ms: Option<i64>| {
            serde_json::json!({"id": id, "server": server, "last_used_ms": null,
                "revoked_ms": revoked_ms, "error": null})
        };
        let tokens: Tokens = serde_json::from_value(serde_json::json!({"tokens": [
            token("11", "web-1", None), token("22", "web-1", Some(5)), token("33", "web-2", None),
            token("44", "gone", Some(5)),
        ]}))
        .unwrap();
        let lines = lines(servers.servers, tokens.tokens);
        assert_eq!(
            list(&lines, 90_000),
            "NAME   ORIGIN  STATE    LAST SEEN   TOKEN  LAST ERROR\n\
             hub            up       2s ago\n\
             web-1  remote  offline  1m 30s ago  11\n\
             web-2          awaited  never       33\n"
        );
        assert_eq!(list(&[], 0), "no server\n");
    }

    #[test]
    fn a_tag_is_a_key_and_a_value() {
        assert_eq!(tag("env=a=b"), Ok(("env".into(), "a=b".into())));
        assert!(tag("env").is_err() && tag("=x").is_err());
    }
}
