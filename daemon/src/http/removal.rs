//! How a server is removed, or all that a token for many has let in.
//!
//! Nobody stays behind without a token to be missed for ever, but for those that the configuration names.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    context::Context,
    enrol::{Answered, is_monitored, not_configured, quoted, refused},
    enrol_views::{RemovedView, StayingView},
    query,
    reply::json,
};
use crate::{
    config::stands_for,
    enrol::{EnrolError, Enrolment},
    live::messages::Origin,
};

/// Longest that is waited until those who are removed are shown no more, and the time between two looks.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

/// Revokes the tokens of `name`, and watches whom they were for no longer.
pub(super) async fn remove(name: &str, context: &Context) -> Answered {
    let name = query::decode(name)?;
    not_configured(&name, context)?;
    let had_token = match context.tokens.remove(&name).await {
        Ok(()) => true,
        // Whoever came by another way is removed all the same.
        Err(EnrolError::Unknown(_)) if is_monitored(&name, context) => false,
        Err(error) => return Err(refused(error)),
    };
    tracing::info!(server = name, "server removed");
    let view = if name.contains('*') {
        remove_admitted(name, context)
    } else {
        context.fleet.forget(&name);
        let note = note_of_one(&name, had_token, context);
        RemovedView { name, note, removed: Vec::new(), staying: Vec::new() }
    };
    let gone: BTreeSet<&str> =
        view.removed.iter().map(|name| &**name).chain([&*view.name]).collect();
    until_gone(&gone, context).await;
    Ok(json(&view))
}

/// Waits until nobody sees these servers any more, so that whoever asks next is not told of them; not for long.
pub(super) async fn until_gone(names: &BTreeSet<&str>, context: &Context) {
    let gone = async {
        while !context.live.servers(|status, _| names.contains(&*status.name)).is_empty() {
            sleep(LOOK).await;
        }
    };
    // Whoever has still to stop after that is shown as what it is.
    let _ = timeout(PATIENCE, gone).await;
}

fn note_of_one(name: &str, had_token: bool, context: &Context) -> String {
    let token = if had_token { "its token is revoked" } else { "it had no token of its own" };
    let note = format!("{token}; what is stored of it stays until it is too old");
    let Some(Enrolment { id, name, .. }) = context.tokens.feeding(name) else { return note };
    format!(
        "{note}. Token {id} for `{name}` lets it in still, so that it comes back with its next \
         sample; `bartizan server remove {}` ends that",
        quoted(&name)
    )
}

/// Watches nobody of those any longer whom the tokens of `pattern` alone have let in.
fn remove_admitted(pattern: String, context: &Context) -> RemovedView {
    let (mut removed, mut staying) = (Vec::new(), Vec::new());
    let remote = context.live.servers(|status, _| status.origin == Origin::Remote);
    let remote = remote.into_iter().map(|server| server.name);
    let all: BTreeSet<Arc<str>> = context.fleet.known_names().into_iter().chain(remote).collect();
    for name in all.into_iter().filter(|name| stands_for(&pattern, name)) {
        let token = context.tokens.feeding(&name);
        let by_token = token.map(|Enrolment { id, name, .. }| format!("token {id} for `{name}`"));
        match (context.fleet.is_configured(&name), by_token) {
            (false, None) => {
                context.fleet.forget(&name);
                removed.push(name);
            }
            (true, None) => {
                let why = "the configuration names it, but no token lets it in any more";
                staying.push(StayingView { name, why: why.into() });
            }
            (_, Some(token)) => {
                staying.push(StayingView { name, why: format!("{token} lets it in") });
            }
        }
    }
    let note = match removed.len() {
        0 => "its token is revoked, by which no server came alone".into(),
        1 => "its token is revoked, and one server that came by it alone is watched no longer; \
              what is stored of it stays until it is too old"
            .into(),
        count => format!(
            "its token is revoked, and {count} servers that came by it alone are watched no \
             longer; what is stored of them stays until it is too old"
        ),
    };
    RemovedView { name: pattern, note, removed, staying }
}
