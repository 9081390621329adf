//! Tokens of the other hubs: fetched again and again, taken in, and what follows of it for servers that are known here.
//!
//! An agent of a group has one token, which one hub made. By this it is let in by the others too, when it turns to them.

use std::sync::Arc;

use tracing::info;

use super::{
    FleetPort,
    inquiry::{Hub, InquiryError},
};
use crate::{
    config::stands_for,
    enrol::{Enrolment, Shift, TokenPort},
};

/// Takes in what `hub` tells where its tokens are others than those of the `revision` that was taken in last; answers
/// which was taken in now.
pub(super) async fn share(
    hub: Arc<Hub>,
    revision: Option<String>,
    tokens: TokenPort,
    fleet: FleetPort,
) -> Result<Option<String>, String> {
    let told = hub.ask_tokens(revision.as_deref()).await;
    if let Err(InquiryError::Revoked { token, .. }) = &told {
        // By it this hub would have been told so.
        let shifts = tokens.revoke(token).await.map_err(|error| error.to_string())?;
        shifts.iter().for_each(|shift| follow(shift, &tokens, &fleet));
    }
    let Some((taken, told)) = told.map_err(|error| error.to_string())? else {
        return Ok(revision);
    };
    let shifts = tokens.take_told(told).await.map_err(|error| error.to_string())?;
    shifts.iter().for_each(|shift| follow(shift, &tokens, &fleet));
    if !shifts.is_empty() {
        info!(hub = %hub.name(), tokens = shifts.len(), "tokens of another hub are known here too");
    }
    Ok(taken)
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
