//! Other hubs, which are asked for their tokens, and of servers that have fallen silent here: beside the fleet, which
//! waits for none of them.
//!
//! Each is asked by itself; of servers, only while somebody is missed. One that does not answer has no say.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};
use tracing::{info, warn};

use super::{
    FleetPort,
    inquiry::{Hub, InquiryError, Seen},
    sharing::Sharing,
};
use crate::{config::FleetConfig, enrol::TokenPort, server::Sighting};

/// A hub is not asked more often.
const ASK_EVERY: Duration = Duration::from_secs(5);

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
    asked_at: Option<Instant>,
    asking: Option<JoinHandle<Result<Vec<Seen>, InquiryError>>>,
    /// What was wrong with its last answer.
    fault: Option<String>,
    sharing: Sharing,
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
        for peer in &mut self.peers {
            peer.sharing.look(&peer.hub, &self.tokens, &self.fleet, now).await;
            for seen in peer.answer().await {
                let sighting = Sighting { hub: peer.hub.name().clone(), at: seen.at };
                self.fleet.seen_elsewhere(&seen.server, sighting);
            }
        }
        if !self.peers.iter().any(|peer| peer.is_due(now)) {
            return;
        }
        let missed: Arc<[Arc<str>]> = self.fleet.missed().into();
        if missed.is_empty() {
            return;
        }
        for peer in self.peers.iter_mut().filter(|peer| peer.is_due(now)) {
            peer.ask(missed.clone(), now);
        }
    }
}

impl Peer {
    fn new(hub: Hub) -> Self {
        let sharing = Sharing::default();
        Self { hub: Arc::new(hub), asked_at: None, asking: None, fault: None, sharing }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.asking.is_none() && self.asked_at.is_none_or(|at| now - at >= ASK_EVERY)
    }

    fn ask(&mut self, servers: Arc<[Arc<str>]>, now: Instant) {
        let hub = self.hub.clone();
        self.asked_at = Some(now);
        self.asking = Some(tokio::spawn(async move { hub.ask(&servers).await }));
    }

    /// What it has answered, once.
    async fn answer(&mut self) -> Vec<Seen> {
        let Some(done) = self.asking.take_if(|asking| asking.is_finished()) else {
            return Vec::new();
        };
        let (seen, fault) = match done.await {
            Ok(Ok(seen)) => (seen, None),
            Ok(Err(error)) => (Vec::new(), Some(error.to_string())),
            Err(_) => (Vec::new(), Some("the task that asks it ended".to_owned())),
        };
        let hub = self.hub.name();
        match &fault {
            Some(fault) if self.fault.as_ref() != Some(fault) => {
                warn!(%hub, fault, "another hub has no say in who is offline");
            }
            None if self.fault.is_some() => info!(%hub, "another hub has a say again"),
            _ => {}
        }
        self.fault = fault;
        seen
    }
}
