//! `bartizan notify`: does a contact hear us?

use std::process::ExitCode;

use clap::Subcommand;
use serde::Deserialize;

use super::{Failure, PlaceArguments, client, output::print, table};

/// What is done about contacts.
#[derive(Debug, Subcommand)]
pub(super) enum NotifyCommand {
    /// Sends a test to every address of a contact, the whole way that a real notice takes, and shows each hop.
    Test {
        /// Name of the contact, as `[contact.NAME]` has it.
        contact: String,
        #[command(flatten)]
        places: PlaceArguments,
    },
}

/// The daemon's answer.
#[derive(Deserialize)]
struct Test {
    hops: Vec<Hop>,
}

#[derive(Deserialize)]
struct Hop {
    hop: String,
    ms: f64,
    ok: bool,
    said: String,
}

/// Does it, and fails if any address was not reached.
pub(super) fn notify(command: NotifyCommand) -> Result<ExitCode, Failure> {
    let NotifyCommand::Test { contact, places } = command;
    let state = places.sources().state()?;
    let body = serde_json::to_vec(&serde_json::json!({ "contact": contact }))?;
    let answer = client::post(&state, "/api/v1/notify/test", body)?;
    let Test { hops } = serde_json::from_slice(&answer)?;
    print(&shown(&hops))?;
    if hops.iter().all(|hop| hop.ok) {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::NotReached(contact))
    }
}

fn shown(hops: &[Hop]) -> String {
    let row = |hop: &Hop| {
        let verdict = if hop.ok { "ok" } else { "FAILED" };
        vec![format!("{:.1} ms", hop.ms), verdict.to_owned(), hop.hop.clone(), hop.said.clone()]
    };
    table::columns(&hops.iter().map(row).collect::<Vec<_>>(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hop_has_its_line() {
        let hop =
            |hop: &str, ms, ok, said: &str| Hop { hop: hop.into(), ms, ok, said: said.into() };
        let hops =
            [hop("stored", 1.26, true, ""), hop("email a@b.c", 20.0, false, "550 no such user")];
        assert_eq!(
            shown(&hops),
            "1.3 ms   ok      stored\n20.0 ms  FAILED  email a@b.c  550 no such user\n"
        );
    }
}
