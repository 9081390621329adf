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
    enrol::TokenPort,
    fleet::FleetPort,
    forward::{Cursors, ForwardPort},
    http::{self, HttpError, Listener, Names, Tls, Token},
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
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) token: Token,
    pub(super) names: Names,
    pub(super) tokens: TokenPort,
    pub(super) fleet: FleetPort,
    pub(super) cursors: Cursors,
    pub(super) forward: ForwardPort,
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
    /// The files of TLS.
    #[error("failed to read the files of http.tls: its thread ended")]
    Tls,
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
        let mut kept = opened.take_kept();
        let cursors = Cursors::restored(&mut kept);
        // Each knows its own by their first letter.
        let mut kept_of =
            |letter: u8| kept.extract_if(.., |key, _| key.first() == Some(&letter)).collect();
        let fleet = FleetPort::restored(kept_of(b'f'));
        let states = StatePort::default();
        let tokens = TokenPort::restored(kept_of(b't'), states.clone());
        let alert = Alert::restored(kept, config.clone(), this_machine.clone());

        let scanned = config.clone();
        let plugins = spawn_blocking(move || PluginCatalog::of(&scanned));
        let plugins = plugins.await.map_err(|_| StartError::Plugins)?;

        let tls = config.http.tls.clone();
        let loaded = spawn_blocking(move || tls.map(|tls| Tls::load(&tls)).transpose());
        let tls = loaded.await.map_err(|_| StartError::Tls)??.map(Arc::new);
        let listen = config.http.listen;
        let listener = http::bind(listen)?;
        let step = "listening";
        let address = listener.address().map_err(|source| StartError::System { step, source })?;
        let control = http::bind_control(&state.join("control.sock"))?;
        let token = Token::load_or_create(&state)?;
        let mut names = Names::new(address, &this_machine, config.http.public_url.as_deref());
        if let Some(tls) = &tls {
            names = names.with_tls(tls.clone());
        }
        let scheme = config.http.scheme();
        info!(%address, scheme, state = %state.display(), "listening");
        let base = names.url();
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
            states,
            alert,
            base_url: base.into(),
            plugins: PluginPort::new(plugins),
            live_port,
            live,
            listener,
            control,
            tls,
            token,
            names,
            tokens,
            fleet,
            cursors,
            forward: ForwardPort::default(),
        })
    }
}

/// What this machine is called.
fn this_machine() -> Arc<str> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".into() } else { name.into() }
}
