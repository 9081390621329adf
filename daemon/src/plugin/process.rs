//! A plugin host as a process: started from one permanent thread, watched by its pidfd.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, pidfd_open, pidfd_send_signal, waitid,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::oneshot,
};

/// What of the daemon's environment a host gets: nothing that loads code or holds a secret.
const ENVIRONMENT: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

/// Most starts that wait.
const WAITING_MAX: usize = 64;

/// Starts hosts, from a thread that lives as long as this does.
///
/// A host's death signal fires when the *thread* that started it ends. A thread of tokio's
/// pool retires when it is idle; this one does not, and when the plugin actor is gone, so are
/// its hosts.
#[derive(Clone)]
pub(super) struct Spawner {
    requests: SyncSender<Request>,
}

struct Request {
    stdin: UnixStream,
    reply: oneshot::Sender<io::Result<Started>>,
}

struct Started {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Spawner {
    /// Starts the thread. Hosts run `executable`, and may map `memory` bytes.
    pub(super) fn start(executable: PathBuf, memory: u64) -> io::Result<Self> {
        let (requests, waiting) = sync_channel(WAITING_MAX);
        thread::Builder::new()
            .name("plugin-spawner".into())
            .spawn(move || serve(&executable, memory, &waiting))?;
        Ok(Self { requests })
    }

    /// Starts a host at the other end of `stdin`.
    pub(super) async fn spawn(&self, stdin: UnixStream) -> io::Result<HostProcess> {
        let (reply, started) = oneshot::channel();
        let full = |_| io::Error::other("too many hosts wait for their start");
        self.requests.try_send(Request { stdin, reply }).map_err(full)?;
        let Started { pid, pidfd } =
            started.await.map_err(|_| io::Error::other("the spawning thread has ended"))??;
        let pidfd = watch(pidfd)?;
        Ok(HostProcess { pid, pidfd, reaped: false })
    }
}

fn serve(executable: &PathBuf, memory: u64, requests: &Receiver<Request>) {
    while let Ok(Request { stdin, reply }) = requests.recv() {
        if let Err(Ok(Started { pidfd, .. })) = reply.send(spawn(executable, memory, stdin)) {
            // Nobody waits for it any more. Its socket is closed too, so it ends by itself.
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            let _ = waitid(WaitId::PidFd(std::os::fd::AsFd::as_fd(&pidfd)), WaitIdOptions::EXITED);
        }
    }
}

fn spawn(executable: &PathBuf, memory: u64, stdin: UnixStream) -> io::Result<Started> {
    let environment = ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let child = Command::new(executable)
        .arg("plugin-host")
        .arg(getpid().as_raw_nonzero().to_string())
        .arg(memory.to_string())
        .env_clear()
        .envs(environment)
        // An arena per thread would cost each instance memory, and each host its limit.
        .env("MALLOC_ARENA_MAX", "1")
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(stdin)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("a process without a number"))?;
    // Nobody has waited for it yet, so the number is still its own.
    Ok(Started { pid, pidfd: pidfd_open(pid, PidfdFlags::empty())? })
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for types that lie about what they hold; this one does not"
)]
fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

/// How a host ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "plugin host exited with status {status}"),
            Self::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "plugin host was killed by {name}"),
                None => write!(f, "plugin host was killed by signal {signal}"),
            },
        }
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    let names = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::SYS, "SIGSYS"),
    ];
    names.into_iter().find(|(known, _)| known.as_raw() == signal).map(|(_, name)| name)
}

/// A running host. Dropping it kills it; it is reaped whatever happens.
pub(super) struct HostProcess {
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
    reaped: bool,
}

impl HostProcess {
    /// Its process id.
    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits for its end and reaps it.
    pub(super) async fn exited(&mut self) -> Exit {
        loop {
            // The runtime is going down if this fails.
            let Ok(mut ready) = self.pidfd.readable().await else {
                return std::future::pending().await;
            };
            let pidfd = std::os::fd::AsFd::as_fd(self.pidfd.get_ref());
            match waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
                Ok(Some(status)) => {
                    self.reaped = true;
                    let signal = status.terminating_signal().map(Exit::Signal);
                    let code = status.exit_status().map(Exit::Status);
                    return signal.or(code).unwrap_or(Exit::Status(-1));
                }
                Ok(None) => ready.clear_ready(),
                // Somebody else reaped it; it is gone in any case.
                Err(_) => {
                    self.reaped = true;
                    return Exit::Status(-1);
                }
            }
        }
    }

    /// Kills it. It is gone when [`exited`](Self::exited) says so.
    pub(super) fn kill(&self) {
        // It may have ended already.
        let _ = pidfd_send_signal(self.pidfd.get_ref(), Signal::KILL);
    }

    /// Whether it sleeps in the kernel where no signal reaches it.
    pub(super) fn is_unreachable(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        stat.is_ok_and(|stat| state_of(&stat) == Some('D'))
    }
}

/// The state in a line of `/proc/PID/stat`, behind the name, which may hold anything.
fn state_of(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        self.kill();
        let pid = self.pid;
        if let Ok(pidfd) = self.pidfd.get_ref().try_clone()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                if let Ok(pidfd) = watch(pidfd) {
                    HostProcess { pid, pidfd, reaped: true }.exited().await;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_in_words() {
        assert_eq!(Exit::Signal(11).to_string(), "plugin host was killed by SIGSEGV");
        assert_eq!(Exit::Signal(64).to_string(), "plugin host was killed by signal 64");
        assert_eq!(Exit::Status(0).to_string(), "plugin host exited with status 0");
    }

    #[test]
    fn a_name_cannot_fake_a_state() {
        assert_eq!(state_of("7 (a) R (b) D 1 7 7"), Some('D'));
        assert_eq!(state_of(""), None);
    }
}
