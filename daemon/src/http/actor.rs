//! The http actor: see the [module documentation](super) for its promises.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    alert::messages::AlertDesk,
    enrol::TokenPort,
    fleet::FleetPort,
    ingest::Ingest,
    live::LiveReader,
    store::upkeep::UpkeepPort,
    supervision::{Node, Tree, until_pulse},
};

use super::{
    Assets, Listener, Names, Tls, Token, accept,
    access::Access,
    complaints::Complaints,
    context::Context,
    messages::{History, HttpMessage, Limits, PluginLister, TargetLister},
    metrics::Counters,
};

/// Silent for longer than this, the actor counts as stuck.
const SILENCE: Duration = Duration::from_secs(10);

/// Time between two times that the progress of new machines is kept, and for the last time, once we stop.
const PROGRESS: Duration = Duration::from_secs(5);
const LAST_PROGRESS: Duration = Duration::from_millis(300);

/// Time for answers to leave and viewers to be told, once we stop.
const FAREWELL: Duration = Duration::from_millis(1500);

/// The behaviour; everything that changes lives in [`HttpState`].
pub struct HttpActor;

/// What the actor is born with.
#[derive(Clone)]
pub struct HttpArguments {
    /// Where the page and the API are served.
    pub listener: Listener<TcpListener>,
    /// Where they are served to the machine's own people.
    pub control: Listener<UnixListener>,
    /// How TCP is encrypted; not at all where there is none.
    pub tls: Option<Arc<Tls>>,
    /// What the daemon is called by.
    pub names: Names,
    /// What proves an administrator.
    pub token: Token,
    /// What happens now.
    pub live: LiveReader,
    /// What happened before.
    pub history: Arc<dyn History>,
    /// What the store can be asked for besides.
    pub upkeep: UpkeepPort,
    /// Which plugins there are.
    pub plugins: PluginLister,
    /// Incidents and notices.
    pub alerts: AlertDesk,
    /// Where samples go besides the store.
    pub targets: TargetLister,
    /// Who may write.
    pub tokens: TokenPort,
    /// Who is monitored.
    pub fleet: FleetPort,
    /// Where they write.
    pub ingest: Ingest,
    /// Who runs.
    pub tree: Tree,
    /// Files of the page.
    pub assets: Assets,
    /// Version of the program.
    pub version: &'static str,
    /// When the daemon started.
    pub started: Instant,
    /// What is allowed.
    pub limits: Limits,
    /// Its place in the tree.
    pub node: Node,
}

/// What the actor remembers between messages.
pub struct HttpState {
    node: Node,
    doors: Vec<JoinHandle<()>>,
    context: Arc<Context>,
    progress: Progress,
    connections: TaskTracker,
    stop: CancellationToken,
    // A killed actor runs no code of its own: what it started ends with its state.
    _stop: DropGuard,
}

/// What is kept of tokens now and then.
struct Progress {
    keeping: JoinHandle<()>,
    kept: Instant,
}

impl Actor for HttpActor {
    type Msg = HttpMessage;
    type State = HttpState;
    type Arguments = HttpArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<HttpMessage>,
        arguments: HttpArguments,
    ) -> Result<HttpState, ActorProcessingErr> {
        let HttpArguments { listener, control, limits, node, .. } = arguments;
        node.expect_beats(SILENCE);
        let stop = CancellationToken::new();
        let connections = TaskTracker::new();
        let context = Arc::new(Context {
            access: Access { names: arguments.names, token: arguments.token },
            live: arguments.live,
            history: arguments.history,
            upkeep: arguments.upkeep,
            plugins: arguments.plugins,
            alerts: arguments.alerts,
            targets: arguments.targets,
            tokens: arguments.tokens,
            fleet: arguments.fleet,
            tls: arguments.tls,
            reread: Notify::default(),
            failed_handshakes: Complaints::default(),
            wrong_tokens: Complaints::default(),
            node: node.clone(),
            ingest: arguments.ingest,
            tree: arguments.tree,
            assets: arguments.assets,
            version: arguments.version,
            started: arguments.started,
            limits,
            counters: Counters::default(),
            connections: connections.clone(),
            stop: stop.clone(),
        });
        let doors = accept::open(&context, listener, control);
        myself.send_after(until_pulse(), || HttpMessage::Tick);
        let now = Instant::now();
        let keeping = tokio::spawn(async {});
        let progress = Progress { keeping, kept: now };
        let _stop = stop.clone().drop_guard();
        Ok(HttpState { node, doors, context, progress, connections, _stop, stop })
    }

    async fn handle(
        &self,
        myself: ActorRef<HttpMessage>,
        message: HttpMessage,
        state: &mut HttpState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            HttpMessage::Tick => {
                state.tick()?;
                myself.send_after(until_pulse(), || HttpMessage::Tick);
            }
            HttpMessage::Reload(config) => {
                if let (Some(tls), Some(config)) = (&state.context.tls, config) {
                    tls.follow(config);
                }
                state.context.reread.notify_one();
            }
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<HttpMessage>,
        state: &mut HttpState,
    ) -> Result<(), ActorProcessingErr> {
        state.node.expect_no_beats();
        state.stop.cancel();
        state.connections.close();
        // What is not kept now is asked for again by the next start's machines.
        let _ = timeout(LAST_PROGRESS, state.context.tokens.keep_progress()).await;
        if timeout(FAREWELL, state.connections.wait()).await.is_err() {
            let left = state.connections.len();
            tracing::warn!(left, "connections did not end in time and were cut off");
        }
        Ok(())
    }
}

impl HttpState {
    fn tick(&mut self) -> Result<(), ActorProcessingErr> {
        if self.doors.iter().any(JoinHandle::is_finished) {
            return Err("failed to accept connections: the accepting task has ended".into());
        }
        if let Some((times, which)) = self.context.failed_handshakes.due() {
            tracing::warn!(times, which, "connections by TLS did not come about");
        }
        if let Some((times, which)) = self.context.wrong_tokens.due() {
            tracing::warn!(times, which, "requests came with tokens that allow nothing");
        }
        self.progress.look(&self.context);
        self.node.beat();
        Ok(())
    }
}

impl Progress {
    fn look(&mut self, context: &Arc<Context>) {
        // The disk may be slow: one is waited for at most, and not here.
        if self.kept.elapsed() >= PROGRESS && self.keeping.is_finished() {
            let tokens = context.tokens.clone();
            self.keeping = tokio::spawn(async move { tokens.keep_progress().await });
            self.kept = Instant::now();
        }
    }
}
