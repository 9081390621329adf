//! What requests are answered from, and what is known of each before its route.

use std::{
    future,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warp::http::StatusCode;

use crate::{
    alert::messages::AlertDesk,
    enrol::{self, Grant, TokenPort},
    fleet::FleetPort,
    ingest::Ingest,
    live::LiveReader,
    store::upkeep::UpkeepPort,
    supervision::{Node, Tree},
};

use super::{
    Assets, Tls,
    access::{Access, Right},
    complaints::Complaints,
    messages::{History, Limits, PluginLister, TargetLister},
    metrics::Counters,
    reply::Problem,
    strangers::Stranger,
};

/// Time between two looks whether a connection is in the way of others.
const LOOK: Duration = Duration::from_millis(500);

/// What answers are made of.
pub(super) struct Context {
    pub(super) access: Access,
    pub(super) live: LiveReader,
    pub(super) history: Arc<dyn History>,
    pub(super) upkeep: UpkeepPort,
    pub(super) plugins: PluginLister,
    pub(super) alerts: AlertDesk,
    pub(super) targets: TargetLister,
    pub(super) tokens: TokenPort,
    pub(super) fleet: FleetPort,
    /// How we speak by TCP; without encryption where there is none.
    pub(super) tls: Option<Arc<Tls>>,
    /// The files of TLS are to be read at once.
    pub(super) reread: Notify,
    pub(super) failed_handshakes: Complaints,
    pub(super) wrong_tokens: Complaints,
    pub(super) node: Node,
    pub(super) ingest: Ingest,
    pub(super) tree: Tree,
    pub(super) assets: Assets,
    pub(super) version: &'static str,
    pub(super) started: Instant,
    pub(super) limits: Limits,
    pub(super) counters: Counters,
    /// Everybody that has to be waited for at the end.
    pub(super) connections: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// A connection's place among those allowed; held by its task, then by its stream.
pub(super) struct Permit {
    _place: OwnedSemaphorePermit,
    stranger: Mutex<Option<Stranger>>,
    asked: AtomicBool,
    answering: AtomicBool,
    context: Arc<Context>,
}

/// What is known of a request before its route.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) verdict: Result<Right, Problem>,
    /// Whether it brings what looks like the token of a server.
    pub(super) has_server_token: bool,
    /// The address that it comes from; `None` by the control socket.
    pub(super) remote: Option<IpAddr>,
    pub(super) permit: Arc<Permit>,
}

impl Visit {
    /// Why it may not have what it asks for, which needs an administrator.
    pub(super) fn has_no_right(&self) -> Problem {
        if self.has_server_token {
            return Problem::not_found(
                "a server's token is for writing at /api/v1/write, /api/v1/push and /v1/metrics, and \
                 for no other address: correct the URL",
            );
        }
        Problem::signin_required()
    }
}

impl Context {
    /// What `token` allows, as a request of `visit` brought it; if it allows nothing, people are told whence it came.
    pub(super) fn judge_token(&self, token: &str, visit: &Visit) -> Result<Grant, Problem> {
        let judged = self.tokens.judge(token);
        let grant = judged.map_err(|fault| {
            let which = enrol::token_id(token).map_or(String::new(), |id| format!(" {id}"));
            let from = visit.remote.map_or("the control socket".into(), |from| from.to_string());
            self.wrong_tokens.note(format!("{}{which} from {from}", fault.code()));
            Problem::new(StatusCode::UNAUTHORIZED, fault.code(), fault.to_string())
        })?;
        visit.permit.shows_right();
        Ok(grant)
    }
}

impl Permit {
    pub(super) fn new(
        place: OwnedSemaphorePermit,
        stranger: Option<Stranger>,
        context: &Arc<Context>,
    ) -> Arc<Self> {
        context.counters.connections.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            _place: place,
            stranger: Mutex::new(stranger),
            asked: AtomicBool::new(false),
            answering: AtomicBool::new(false),
            context: context.clone(),
        })
    }

    /// A request has come.
    pub(super) fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.answering.store(true, Ordering::Relaxed);
    }

    /// It has its answer; `well` if it was not refused: it is no stranger's any more then.
    pub(super) fn answered(&self, well: bool) {
        self.answering.store(false, Ordering::Relaxed);
        if well {
            self.stranger().take();
        }
    }

    /// It has shown a right, and waits for its answer.
    pub(super) fn shows_right(&self) {
        if let Some(stranger) = &mut *self.stranger() {
            stranger.shows_right();
        }
    }

    /// Ends when the connection has to be closed: it has asked nothing within `first`, or has shown no right within
    /// `crowded` and others wait.
    pub(super) async fn overstays(&self, first: Duration, crowded: Duration) {
        let began = Instant::now();
        loop {
            sleep(LOOK.min(first)).await;
            let is_silent = !self.asked.load(Ordering::Relaxed);
            if is_silent && began.elapsed() >= first {
                return;
            }
            let in_the_way = self.stranger().as_ref().map(Stranger::is_in_the_way);
            if in_the_way.is_none() && !is_silent {
                return future::pending().await;
            }
            // Whoever waits for an answer of ours is not to blame for it.
            let is_idle = !self.answering.load(Ordering::Relaxed);
            if in_the_way == Some(true) && is_idle && began.elapsed() >= crowded {
                return;
            }
        }
    }

    fn stranger(&self) -> MutexGuard<'_, Option<Stranger>> {
        self.stranger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.context.counters.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
