//! Attempts to hand a body over, with pauses between them, to whichever hub is meant.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::{
    caller::{Caller, Lost},
    encoder::Body,
    figures::Figures,
    hubs::Hubs,
    lookout::Lookout,
    messages::TargetState,
    pace::Pace,
    verdict::{Verdict, judge, settles_metadata},
};
use crate::{
    config::{ForwardConfig, Protocol},
    series::now_ms,
    supervision::{ActorState, Node},
};

/// How often is tried what somebody has to mend.
const HELD: Duration = Duration::from_secs(60);
/// How often is said that samples are refused.
const SAY_EVERY: Duration = Duration::from_secs(600);
/// How long kinds and units are not told after that has failed: samples are more important.
const METADATA_PAUSE: Duration = Duration::from_secs(60);

/// Hands bodies over.
pub(super) struct Post {
    config: Arc<ForwardConfig>,
    caller: Caller,
    hubs: Hubs,
    lookout: Option<Lookout>,
    pace: Pace,
    protocol: Protocol,
    figures: Figures,
    node: Node,
    again: Arc<Notify>,
    metadata_from: Instant,
    /// The hub that kinds and units are told to.
    metadata_hub: usize,
    /// When was said last that samples are refused, and how many since.
    said_refused: Option<Instant>,
    unsaid_refused: u64,
}

/// What became of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is done with.
    Done,
    /// It must be sent in smaller pieces.
    TooMuch {
        /// What was said.
        said: String,
        /// Whether it may have been taken by an attempt that nobody answered.
        doubtful: bool,
    },
    /// Something in it is refused, and perhaps all of it because of that.
    Refused {
        /// What was said.
        said: String,
        /// Whether it may have been taken by an attempt that nobody answered.
        doubtful: bool,
    },
    /// It must be made anew, in another version.
    Anew {
        /// Whether it may have been taken by an attempt that nobody answered, or that proved nothing.
        doubtful: bool,
    },
}

/// An attempt that has failed.
struct Attempt {
    hub: usize,
    began: Instant,
    /// Whether anybody was there.
    reached: bool,
}

impl Attempt {
    fn reached(hub: usize, began: Instant) -> Self {
        Self { hub, began, reached: true }
    }
}

impl Post {
    /// Hands over to the target that `config` describes, from the node called `this_node`; `again` ends pauses.
    pub(super) fn new(
        config: Arc<ForwardConfig>,
        this_node: &str,
        figures: Figures,
        node: Node,
        again: Arc<Notify>,
    ) -> Self {
        let now = Instant::now();
        let hubs = Hubs::new(this_node, &config.urls);
        figures.set_way(hubs.url(hubs.current()), config.protocol);
        figures.set_state(TargetState::Starting);
        Self {
            caller: Caller::new(config.clone()),
            pace: Pace::new(config.batch_max),
            protocol: config.protocol,
            config,
            figures,
            node,
            again,
            metadata_from: now,
            metadata_hub: hubs.current(),
            hubs,
            lookout: None,
            said_refused: None,
            unsaid_refused: 0,
        }
    }

    /// Samples of the next request.
    pub(super) fn batch(&self) -> usize {
        self.pace.batch()
    }

    /// The version that the next body has to be in.
    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether kinds and units should be told apart, if there is something to tell.
    pub(super) fn wants_metadata(&self, now: Instant) -> bool {
        self.protocol == Protocol::V1 && now >= self.metadata_from
    }

    /// Whether another hub than at the last call is in use, which has been told no kinds and units.
    pub(super) fn has_moved(&mut self) -> bool {
        let hub = self.hubs.current();
        let moved = std::mem::replace(&mut self.metadata_hub, hub) != hub;
        if moved {
            self.metadata_from = Instant::now();
        }
        moved
    }

    /// Tells kinds and units, once. Whether that was answered.
    pub(super) async fn send_metadata(&mut self, body: Bytes) -> bool {
        let url = self.hubs.url(self.hubs.current()).to_owned();
        let answer = self.caller.post(&url, Protocol::V1, body).await;
        let told = answer.is_ok_and(|answer| settles_metadata(answer.status));
        if !told {
            self.metadata_from = Instant::now() + METADATA_PAUSE;
        }
        told
    }

    /// Hands `body` over, however long that takes.
    pub(super) async fn send(&mut self, body: &Body) -> Outcome {
        let mut doubtful = false;
        loop {
            self.look_out();
            let began = Instant::now();
            let hub = self.hubs.choose();
            let url = self.hubs.url(hub).to_owned();
            let answer = self.caller.post(&url, self.protocol, body.bytes.clone()).await;
            match answer.map(|answer| judge(answer, self.protocol, body.samples)) {
                Ok(Verdict::Done { refused, said }) => {
                    self.pace.answered(body.samples, began.elapsed());
                    self.acknowledged(hub, body.samples.saturating_sub(refused));
                    if refused > 0 {
                        self.refused(refused, &said.unwrap_or_default());
                    }
                    return Outcome::Done;
                }
                Ok(Verdict::Refused { said }) => {
                    self.hubs.answered(hub);
                    return Outcome::Refused { said, doubtful };
                }
                Ok(Verdict::TooLarge { said }) => {
                    self.hubs.answered(hub);
                    self.pace.smaller();
                    return Outcome::TooMuch { said, doubtful };
                }
                Ok(Verdict::Unproven { said, taken }) => {
                    let name = &self.config.name;
                    warn!(
                        name,
                        said, "target does not prove that it takes remote write 2.0: sending 1.0"
                    );
                    self.figures.set_error(&format!("no proof of remote write 2.0: {said}"));
                    self.protocol = Protocol::V1;
                    self.figures.set_way(self.hubs.url(self.hubs.current()), self.protocol);
                    return Outcome::Anew { doubtful: doubtful || taken };
                }
                Ok(Verdict::Again { said, after, too_fast }) => {
                    let least = after.filter(|_| too_fast).unwrap_or_default();
                    self.failed(Attempt::reached(hub, began), &said, after, least).await
                }
                Ok(Verdict::Held { said }) => self.held(Attempt::reached(hub, began), &said).await,
                Err(Lost { said, held: true, .. }) => {
                    self.held(Attempt::reached(hub, began), &said).await
                }
                Err(Lost { said, slow, sent, .. }) => {
                    doubtful |= sent;
                    if slow {
                        self.pace.smaller();
                    }
                    let attempt = Attempt { hub, began, reached: sent };
                    self.failed(attempt, &said, None, Duration::ZERO).await;
                    let batch = self.pace.batch() as u64;
                    if slow && body.samples > batch {
                        return Outcome::TooMuch { said, doubtful };
                    }
                }
            }
        }
    }

    /// Samples were refused because they are there already.
    pub(super) fn known(&self, samples: u64) {
        self.figures.change(|view| view.known += samples);
    }

    /// Samples are refused for good.
    pub(super) fn refused(&mut self, samples: u64, said: &str) {
        self.figures.change(|view| view.refused += samples);
        self.figures.set_error(said);
        self.unsaid_refused += samples;
        let now = Instant::now();
        if self.said_refused.is_none_or(|at| now - at >= SAY_EVERY) {
            self.said_refused = Some(now);
            let samples = std::mem::take(&mut self.unsaid_refused);
            warn!(name = self.config.name, samples, said, "target refuses samples");
        }
    }

    fn acknowledged(&mut self, hub: usize, samples: u64) {
        let url = self.hubs.url(hub).to_owned();
        if self.hubs.answered(hub) {
            info!(name = self.config.name, url, "target is written to at another hub");
        }
        self.figures.set_way(&url, self.protocol);
        self.figures.change(|view| {
            view.sent += samples;
            view.requests += 1;
            view.acknowledged_ms = Some(now_ms());
        });
        if self.show(TargetState::Sending, None) {
            info!(name = self.config.name, url, "target takes samples");
        }
    }

    /// The other side cannot at present: waits until it is time for another attempt.
    ///
    /// It wants to be left alone for `after`; whoever has another hub to turn to waits for `least` all the same.
    async fn failed(
        &mut self,
        attempt: Attempt,
        said: &str,
        after: Option<Duration>,
        least: Duration,
    ) {
        let pause = self.pace.failed(fastrand::f64(), after);
        if self.show(TargetState::Waiting, Some(said)) {
            let name = &self.config.name;
            warn!(name, said, "target does not take samples, which wait in the store");
        }
        self.pause(attempt, pause, least).await;
    }

    /// Somebody has to mend something: waits for that, but not for ever.
    async fn held(&mut self, attempt: Attempt, said: &str) {
        if self.show(TargetState::Held, Some(said)) {
            let name = &self.config.name;
            warn!(name, said, "target is held until that is mended; samples wait in the store");
        }
        // Of several hubs, time may mend another.
        let is_one = self.config.urls.len() == 1;
        let pause = if is_one { HELD } else { self.pace.failed(fastrand::f64(), None) };
        self.pause(attempt, pause, Duration::ZERO).await;
    }

    async fn pause(&mut self, attempt: Attempt, pause: Duration, least: Duration) {
        self.figures.change(|view| view.failures += 1);
        let Attempt { hub, began, reached } = attempt;
        let now = Instant::now();
        let turns = self.hubs.failed(hub, reached, began, now);
        self.figures.set_way(self.hubs.url(self.hubs.current()), self.protocol);
        if turns {
            return;
        }
        // Whoever has another hub to turn to does not sleep through the moment.
        let pause =
            self.hubs.patience(now).map_or(pause, |patience| pause.min(patience.max(least)));
        tokio::select! {
            () = sleep(pause) => {}
            () = self.again.notified() => {}
        }
    }

    /// Where another hub than the preferred is in use, sees to it that somebody looks whether that answers again.
    fn look_out(&mut self) {
        if let Some(hub) = self.lookout.as_mut().and_then(Lookout::heard) {
            self.lookout = None;
            self.hubs.hear(hub);
            return;
        }
        let (urls, pause) = self.hubs.preferred(fastrand::f64());
        if self.lookout.as_ref().map_or(0, Lookout::hubs) != urls.len() {
            let begin = || Lookout::begin(self.config.clone(), self.protocol, urls, pause);
            self.lookout = (!urls.is_empty()).then(begin);
        }
    }

    /// Shows what it is doing; whether that is another thing than before.
    fn show(&self, state: TargetState, said: Option<&str>) -> bool {
        if let Some(said) = said {
            self.figures.set_error(said);
        }
        if !self.figures.set_state(state) {
            return false;
        }
        let (up, detail) = match state {
            TargetState::Starting | TargetState::Sending => (ActorState::Up, None),
            TargetState::Waiting => (ActorState::Down, Some("does not take samples at present")),
            TargetState::Held => (ActorState::Down, Some("held until somebody mends something")),
        };
        self.node.set_state(up);
        let detail = detail.map(|detail| format!("{detail}: {}", said.unwrap_or_default()));
        self.node.set_detail(detail.as_deref());
        true
    }
}
