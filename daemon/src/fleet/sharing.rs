//! Tokens of the other hubs: fetched again and again, taken in, and what follows of it for servers that are known here.
//!
//! An agent of a group has one token, which one hub made. By this it is let in by the others too, when it turns to them.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};
use tracing::{info, warn};

use super::{
    FleetPort,
    inquiry::{Hub, InquiryError},
};
use crate::{
    config::stands_for,
    enrol::{Enrolment, Shift, TokenPort},
};

/// A hub is asked so often.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// How far asking one hub for its tokens has come.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    asked_at: Option<Instant>,
    asking: Option<JoinHandle<Result<Option<String>, String>>>,
    /// The revision that was taken in last.
    revision: Option<String>,
    /// What was wrong the last time.
    fault: Option<String>,
}

impl Sharing {
    /// Takes note of an answer, and asks again if it is time.
    pub(super) async fn look(
        &mut self,
        hub: &Arc<Hub>,
        tokens: &TokenPort,
        fleet: &FleetPort,
        now: Instant,
    ) {
        if let Some(done) = self.asking.take_if(|asking| asking.is_finished()) {
            self.note(
                done.await.unwrap_or_else(|_| Err("the task that asks it ended".into())),
                hub,
            );
        }
        if self.asking.is_some() || self.asked_at.is_some_and(|at| now - at < ASK_EVERY) {
            return;
        }
        self.asked_at = Some(now);
        let (hub, tokens, fleet) = (hub.clone(), tokens.clone(), fleet.clone());
        let known = self.revision.clone();
        self.asking = Some(tokio::spawn(async move {
            let told = hub.ask_tokens(known.as_deref()).await;
            if let Err(InquiryError::Revoked { token, .. }) = &told {
                // By it this hub would have been told so.
                let shifts = tokens.revoke(token).await.map_err(|error| error.to_string())?;
                shifts.iter().for_each(|shift| follow(shift, &tokens, &fleet));
            }
            let Some((revision, told)) = told.map_err(|error| error.to_string())? else {
                return Ok(known);
            };
            let shifts = tokens.take_told(told).await.map_err(|error| error.to_string())?;
            shifts.iter().for_each(|shift| follow(shift, &tokens, &fleet));
            if !shifts.is_empty() {
                info!(hub = %hub.name(), tokens = shifts.len(), "tokens of another hub are known here too");
            }
            Ok(revision)
        }));
    }

    fn note(&mut self, answer: Result<Option<String>, String>, hub: &Hub) {
        let hub = hub.name();
        let fault = answer.as_ref().err().cloned();
        if let Ok(revision) = answer {
            self.revision = revision;
        }
        match &fault {
            Some(fault) if self.fault.as_ref() != Some(fault) => {
                warn!(%hub, fault, "another hub does not tell its tokens");
            }
            None if self.fault.is_some() => info!(%hub, "another hub tells its tokens again"),
            _ => {}
        }
        self.fault = fault;
    }
}

/// What a change of a token is for a server that is known here. One that is not yet gets its tags when it writes.
fn follow(shift: &Shift, tokens: &TokenPort, fleet: &FleetPort) {
    let Shift { before, after } = shift;
    let counts = |it: &Enrolment| it.revoked_ms.is_none();
    let before = before.as_ref().filter(|before| counts(before));
    if !counts(after) {
        let Some(before) = before else { return };
        // It may have been renamed before it was removed.
        let was_for = |name: &str| [before, after].iter().any(|it| stands_for(&it.name, name));
        for name in fleet.known_names().into_iter().filter(|name| was_for(name)) {
            let stays = tokens.feeding(&name).is_some() || fleet.is_configured(&name);
            if !stays && fleet.forget(&name) {
                info!(server = &*name, "server removed at another hub");
            }
        }
        return;
    }
    if let Some(before) = before.filter(|before| before.name != after.name)
        && fleet.rename(&before.name, &after.name)
    {
        info!(from = before.name, to = after.name, "server renamed at another hub");
    }
    if fleet.knows(&after.name) {
        fleet.describe(&after.name, after.tags.clone());
    }
}
