//! What must be there before anybody starts: folder, store, sockets. What fails
//! here ends the start with the reason and the fix.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use tokio::{
    net::{TcpListener, UnixListener},
    task::spawn_blocking,
};
use tracing::info;

use crate::{
    alert::Alert,
    config::Config,
    http::{self, HttpError, Listener, Names, Token},
    live::{Live, messages::LivePort},
    plugin::{PluginCatalog, PluginPort},
    series::Catalog,
    store::{OpenedStore, StatePort, Store, StoreError, StoreIntake, StorePort, StoreReader},
    supervision::Tree,
};

/// Everything that outlives a service: what it is started with, and started
/// with again.
pub(super) struct Opened {
    pub(super) state: PathBuf,
    pub(super) this_machine: Arc<str>,
    pub(super) tree: Tree,
    pub(super) catalog: Arc<Catalog>,
    pub(super) opened_store: OpenedStore,
    pub(super) intake: StoreIntake,
    pub(super) store: StorePort,
    pub(super) reader: StoreReader,
    pub(super) states: StatePort,
    pub(super) alert: Alert,
    pub(super) base_url: Arc<str>,
    pub(super) plugins: PluginPort,
    pub(super) live_port: LivePort,
    pub(super) live: Live,
    pub(super) listener: Listener<TcpListener>,
    pub(super) control: Listener<UnixListener>,
    pub(super) token: Token,
    pub(super) names: Names,
}

/// Why the daemon cannot start. Fatal; the cause says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No state folder was named and none can be guessed.
    #[error("failed to find a state folder: name one with `--state`")]
    NoState,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that opened the store is gone.
    #[error("failed to open the store: its thread ended")]
    Thread,
    /// The plugin folders.
    #[error("failed to look at the plugin folders: its thread ended")]
    Plugins,
    /// Threads, or the signals that tell the daemon to stop.
    #[error("failed to start {step}")]
    System {
        /// What was to be started.
        step: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A service did not start.
    #[error("failed to start the services")]
    Services(#[source] ractor::SpawnErr),
    /// The address, the control socket, or the administrator's token.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// Bytes of samples that may wait for the store.
const STORE_QUEUE_BYTES: usize = 64 << 20;
/// Updates that may wait for the live view: a second's worth of ten thousand servers.
const LIVE_QUEUE: usize = 65_536;

impl Opened {
    /// Opens everything that `config` names.
    pub(super) async fn open(config: &ArcSwap<Config>) -> Result<Self, StartError> {
        let config = config.load_full();
        let state = config.store.path.clone().ok_or(StartError::NoState)?;
        let catalog = Arc::new(Catalog::default());
        let (path, store_config, known) = (state.clone(), config.store.clone(), catalog.clone());
        let opened = spawn_blocking(move || Store::open(&path, &store_config, &known));
        let mut opened = opened.await.map_err(|_| StartError::Thread)??;
        let this_machine = this_machine();
        let alert = Alert::restored(opened.take_kept(), config.clone(), this_machine.clone());

        let scanned = config.clone();
        let plugins = spawn_blocking(move || PluginCatalog::of(&scanned));
        let plugins = plugins.await.map_err(|_| StartError::Plugins)?;

        let listen = config.http.listen;
        let listener = http::bind(listen)?;
        let step = "listening";
        let address = listener.address().map_err(|source| StartError::System { step, source })?;
        let control = http::bind_control(&state.join("control.sock"))?;
        let token = Token::load_or_create(&state)?;
        let names = Names::new(address, &this_machine, config.http.public_url.as_deref());
        info!(%address, state = %state.display(), "listening");
        let base = config.http.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
        info!("sign in as administrator at {}", token.signin_url(&base));

        let (store, intake) = StorePort::new(STORE_QUEUE_BYTES);
        let reader = StoreReader::new(catalog.clone(), intake.clone());
        let (live_port, updates) = LivePort::new(LIVE_QUEUE);
        let tree = Tree::default();
        let live = Live::new(live_port.clone(), updates, catalog.clone(), tree.clone());
        Ok(Self {
            state,
            this_machine,
            tree,
            catalog,
            opened_store: OpenedStore::new(opened),
            intake,
            store,
            reader,
            states: StatePort::default(),
            alert,
            base_url: base.into(),
            plugins: PluginPort::new(plugins),
            live_port,
            live,
            listener,
            control,
            token,
            names,
        })
    }
}

/// What this machine is called.
fn this_machine() -> Arc<str> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".into() } else { name.into() }
}
