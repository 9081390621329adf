//! Other hubs, which are asked for their tokens, and of servers that have fallen silent here: beside the fleet, which
//! waits for none of them.
//!
//! Each is asked by itself; of servers, only while somebody is missed. One that does not answer has no say.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    FleetPort,
    asking::Asking,
    inquiry::{Hub, Seen},
    sharing::share,
};
use crate::{config::FleetConfig, enrol::TokenPort, server::Sighting};

/// All other hubs.
pub(super) struct Peers {
    fleet: FleetPort,
    tokens: TokenPort,
    config: FleetConfig,
    peers: Vec<Peer>,
}

/// A hub, and how far asking it has come.
struct Peer {
    hub: Arc<Hub>,
    seen: Asking<Vec<Seen>>,
    tokens: Asking<Option<String>>,
    /// The revision of its tokens that was taken in last.
    revision: Option<String>,
}

impl Peers {
    /// Nobody is asked yet.
    pub(super) fn new(fleet: FleetPort, tokens: TokenPort) -> Self {
        Self { fleet, tokens, config: FleetConfig::default(), peers: Vec::new() }
    }

    /// Those that `config` names are asked from now on.
    pub(super) fn follow(&mut self, config: &FleetConfig) {
        if self.config == *config {
            return;
        }
        self.config = config.clone();
        let hubs = config.hubs.iter();
        self.peers = hubs.map(|url| Peer::new(Hub::new(url, config))).collect();
    }

    /// Passes on what was answered, and asks who is to be asked.
    pub(super) async fn look(&mut self, now: Instant) {
        for Peer { hub, seen, tokens, revision } in &mut self.peers {
            if let Some(taken) = tokens.answer(hub.name()).await {
                *revision = taken;
            }
            if tokens.is_due(now) {
                let (known, fleet) = (self.tokens.clone(), self.fleet.clone());
                tokens.ask(now, share(hub.clone(), revision.clone(), known, fleet));
            }
            for Seen { server, at } in seen.answer(hub.name()).await.unwrap_or_default() {
                let sighting = Sighting { hub: hub.name().clone(), at };
                self.fleet.seen_elsewhere(&server, sighting);
            }
        }
        if !self.peers.iter().any(|peer| peer.seen.is_due(now)) {
            return;
        }
        let missed: Arc<[Arc<str>]> = self.fleet.missed().into();
        if missed.is_empty() {
            return;
        }
        for Peer { hub, seen, .. } in self.peers.iter_mut().filter(|peer| peer.seen.is_due(now)) {
            let (hub, missed) = (hub.clone(), missed.clone());
            seen.ask(now, async move { hub.ask(&missed).await.map_err(|error| error.to_string()) });
        }
    }
}

impl Peer {
    fn new(hub: Hub) -> Self {
        let seen = Asking::new(
            "another hub has no say in who is offline",
            "another hub has a say in who is offline again",
        );
        let tokens = Asking::new(
            "another hub does not tell its tokens",
            "another hub tells its tokens again",
        );
        Self { hub: Arc::new(hub), seen, tokens, revision: None }
    }
}
