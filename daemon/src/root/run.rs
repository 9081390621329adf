//! A daemon's life: opened, started, told to stop, stopped.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use ractor::{Actor, ActorRef};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use tracing::{error, info, warn};

use super::{
    StartError,
    actor::{RootActor, RootArguments},
    messages::RootMessage,
    opened::Opened,
    readiness::Readiness,
    services::services,
};
use crate::{
    config::{Config, Problem, Sources},
    logging::chain,
    plugin::PluginCatalog,
    supervision::Fallen,
    systemd::Systemd,
};

/// Threads that run actors: more would only cost memory, for no actor computes.
const WORKERS: usize = 2;
/// How long stopping may take in all before what is left is left behind.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// What systemd is to see when a service could not be kept running.
const EXIT_FALLEN: u8 = 70;

/// Runs the daemon with `config` until it is told to stop. `sources` say where
/// the configuration is read from again on SIGHUP.
pub fn run(config: Config, sources: Sources) -> Result<ExitCode, StartError> {
    allow_files();
    let failed = |source| StartError::System { step: "threads", source };
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("worker")
        .enable_all()
        .build()
        .map_err(failed)?;
    let code = runtime.block_on(live(config, sources));
    // A thread that a dead disk holds must not hold the end of the daemon.
    runtime.shutdown_timeout(Duration::ZERO);
    code
}

/// Allows as many open files as the system lets us: the usual soft limit of 1,024 is
/// less than connections alone may take, and would leave none to store and plugins.
/// Hosts of plugins set a limit of their own.
fn allow_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        warn!(%error, "limit of open files could not be raised");
    }
}

async fn live(config: Config, sources: Sources) -> Result<ExitCode, StartError> {
    let started = Instant::now();
    let failed = |source| StartError::System { step: "listening for signals", source };
    let signals = Signals::new().map_err(failed)?;
    let config = Arc::new(ArcSwap::from_pointee(config));
    let opened = Opened::open(&config).await?;
    let (fallen, service_fell) = oneshot::channel();
    let arguments = RootArguments {
        tree: opened.tree.clone(),
        readiness: Readiness::new(Systemd::from_environment(), opened.reader.clone()),
        services: services(&opened, &config),
        fallen,
    };
    let (root, _) = Actor::spawn(None, RootActor, arguments).await.map_err(StartError::Services)?;
    info!(took = ?started.elapsed(), "started");
    let code = signals.obey(&root, service_fell, &config, &sources).await;
    stop(&root).await;
    Ok(code)
}

async fn stop(root: &ActorRef<RootMessage>) {
    let since = Instant::now();
    if root.stop_and_wait(None, Some(STOP_LIMIT)).await.is_err() {
        error!(limit = ?STOP_LIMIT, "not everybody stopped in time, leaving them behind");
        root.kill();
    }
    info!(took = ?since.elapsed(), "stopped");
}

/// What the daemon is told by its operator.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Does as it is told until it is told to stop, or until a service falls.
    async fn obey(
        mut self,
        root: &ActorRef<RootMessage>,
        mut service_fell: oneshot::Receiver<Fallen>,
        config: &ArcSwap<Config>,
        sources: &Sources,
    ) -> ExitCode {
        loop {
            let signal = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                fallen = &mut service_fell => {
                    match fallen {
                        Ok(fallen) => error!(%fallen, "a service cannot be kept running"),
                        Err(_) => error!("the root of the supervision tree has fallen"),
                    }
                    return ExitCode::from(EXIT_FALLEN);
                }
                _ = self.hang_up.recv() => {
                    reload(root, config, sources);
                    continue;
                }
            };
            info!(signal, "stopping");
            return ExitCode::SUCCESS;
        }
    }
}

/// Reads the configuration again. One that is refused changes nothing.
fn reload(root: &ActorRef<RootMessage>, config: &ArcSwap<Config>, sources: &Sources) {
    let message = match sources.load_judged(judge) {
        Ok(new) => {
            let former = config.load();
            if is_for_the_next_start(&former, &new) {
                warn!("changes of [http], [log] and [store] take effect with the next start");
            }
            info!("configuration read again");
            let new = Arc::new(new);
            config.store(new.clone());
            RootMessage::Reloaded(Some(new))
        }
        Err(error) => {
            error!("configuration refused, the former one stays: {}", chain(&error));
            RootMessage::Reloaded(None)
        }
    };
    // The cast fails only if the root has fallen, and then the daemon ends.
    let _ = root.cast(message);
}

/// Whether something differs that a running daemon keeps. Other files of TLS are no such thing, as long as TLS is spoken
/// at all.
fn is_for_the_next_start(former: &Config, new: &Config) -> bool {
    let mut http = new.http.clone();
    if let (Some(tls), Some(former)) = (&mut http.tls, &former.http.tls) {
        tls.clone_from(former);
    }
    former.http != http || former.log != new.log || former.store != new.store
}

/// What only the plugins know of a configuration: which metrics there are. Read only where somebody has rules about
/// some, for it costs a look at every plugin file.
pub fn judge(config: &Config, text: &str, file: &str) -> Vec<Problem> {
    let own_rules = config.rules != Config::default().rules;
    let thresholds = config.servers.iter().any(|server| !server.thresholds.is_empty());
    if !own_rules && !thresholds {
        return Vec::new();
    }
    PluginCatalog::of(config).judge_metrics(config, text, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_soft_limit_of_open_files_is_raised() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let low = Rlimit { current: maximum.map(|maximum| maximum.min(512)), maximum };
        assert_eq!(setrlimit(Resource::Nofile, low), Ok(()));
        allow_files();
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }
}
