//! The live actor: see the [module documentation](super) for its promises.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::{
    series::now_ms,
    supervision::{Node, PULSE_MS, until_pulse},
};

use super::{Live, messages::LiveMessage};

/// Silent for longer than this, the actor counts as stuck.
const SILENCE: Duration = Duration::from_secs(10);

/// The behaviour; everything that changes lives in [`Live`].
pub struct LiveActor;

/// What the actor is born with.
pub struct LiveArguments {
    /// The view that it moves.
    pub live: Live,
    /// Its place in the tree.
    pub node: Node,
}

/// What the actor remembers between messages.
pub struct LiveState {
    live: Live,
    node: Node,
    shown_second: i64,
    dropped: u64,
}

impl Actor for LiveActor {
    type Msg = LiveMessage;
    type State = LiveState;
    type Arguments = LiveArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<LiveMessage>,
        arguments: LiveArguments,
    ) -> Result<LiveState, ActorProcessingErr> {
        let LiveArguments { live, node } = arguments;
        node.expect_beats(SILENCE);
        myself.send_after(until_pulse(), || LiveMessage::Tick);
        let dropped = live.dropped();
        Ok(LiveState { live, node, shown_second: second(now_ms()), dropped })
    }

    async fn handle(
        &self,
        myself: ActorRef<LiveMessage>,
        message: LiveMessage,
        state: &mut LiveState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            LiveMessage::Tick => state.tick(),
        }
        myself.send_after(until_pulse(), || LiveMessage::Tick);
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<LiveMessage>,
        state: &mut LiveState,
    ) -> Result<(), ActorProcessingErr> {
        state.node.expect_no_beats();
        Ok(())
    }
}

impl LiveState {
    fn tick(&mut self) {
        self.node.beat();
        self.node.set_queue(self.live.waiting());
        let now_ms = now_ms();
        // Any other second will do: the clock may have been set back.
        if second(now_ms) == self.shown_second {
            self.live.take_in(now_ms);
        } else {
            self.shown_second = second(now_ms);
            self.live.tick(now_ms);
            self.tell_dropped();
        }
    }

    fn tell_dropped(&mut self) {
        let before = std::mem::replace(&mut self.dropped, self.live.dropped());
        let dropped = self.dropped.saturating_sub(before);
        if dropped > 0 {
            tracing::warn!(dropped, "live view has fallen behind and lost updates");
        }
    }
}

/// The second that is shown at `now_ms`.
fn second(now_ms: i64) -> i64 {
    (now_ms - PULSE_MS).div_euclid(1000)
}
