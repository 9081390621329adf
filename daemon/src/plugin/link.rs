//! The link to one host: its socket, its deadlines, its end. One task per host.

use std::{
    io,
    io::IoSlice,
    mem::MaybeUninit,
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, Instant},
};

use ractor::ActorRef;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};
use tokio::{
    io::Interest,
    net::UnixStream,
    time::{sleep_until, timeout},
};
use tracing::{debug, error, info, warn};

use super::{
    answers::{self, Broken},
    black_box::BlackBox,
    frames::{Head, Inbox, Kind},
    line::{DESTROY_DEADLINE, Line, Parcel},
    messages::PluginMessage,
    placement::Cause,
    process::{Exit, HostProcess, Spawner},
};
use crate::supervision::{ActorState, Node};

/// How long a call may go on after its deadline before its host is killed: the plugin sees its
/// cancel flag and may come home by itself.
const GRACE: Duration = Duration::from_millis(500);

/// How long a killed host may take to be gone before it counts as stuck.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// How much is read at once.
const READ: usize = 64 * 1024;

/// How often the socket of a host that has ended is read.
const LAST_READS: usize = 16;

/// What a link needs.
pub(super) struct Link {
    pub(super) line: Arc<Line>,
    pub(super) spawner: Spawner,
    pub(super) node: Node,
    pub(super) parent: ActorRef<PluginMessage>,
}

/// How it ended.
pub(super) struct LinkEnd {
    pub(super) cause: Cause,
    /// In words for people.
    pub(super) reason: Arc<str>,
    /// Who was in a call, by number, and which.
    pub(super) running: Vec<(u32, &'static str)>,
    /// The process, if it could not be killed.
    pub(super) stuck: Option<HostProcess>,
}

impl Link {
    /// Starts a host and serves the line until the host is gone. Waits for nothing without a
    /// deadline.
    pub(super) async fn run(self) -> LinkEnd {
        let (process, socket, black_box) = match self.start().await {
            Ok(started) => started,
            Err(error) => {
                let cause = Cause::Start(error.to_string());
                let reason = format!("plugin host could not be started: {error}").into();
                return LinkEnd { cause, reason, running: Vec::new(), stuck: None };
            }
        };
        let pid = process.pid();
        info!(host = self.node.name(), pid, "plugin host started");
        self.node.set_state(ActorState::Up);
        self.node.set_detail(Some(&format!("pid {pid}")));
        self.line.lock().process = Some(pid);
        let end = self.serve(process, &socket, &black_box).await;
        self.line.lock().process = None;
        self.node.set_detail(end.stuck.as_ref().map(|_| "stuck (D)"));
        end
    }

    async fn start(&self) -> io::Result<(HostProcess, UnixStream, BlackBox)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let black_box = BlackBox::create()?;
        let page = Arc::new(black_box.file().try_clone()?);
        // First of all: nobody may run unnoted.
        let mut first = Vec::new();
        super::frames::push(&mut first, Head::new(Kind::BlackBox, 0, 0), &[]);
        self.line.lock().outgoing.push_front(Parcel { bytes: first, descriptor: Some(page) });
        let process = self.spawner.spawn(theirs).await?;
        Ok((process, UnixStream::from_std(ours)?, black_box))
    }

    async fn serve(
        &self,
        mut process: HostProcess,
        socket: &UnixStream,
        black_box: &BlackBox,
    ) -> LinkEnd {
        let mut inbox = Inbox::default();
        let mut buffer = vec![0; READ];
        let mut stop_at = None;
        let killed = loop {
            let sending = match self.send(socket) {
                Ok(sending) => sending,
                // Its end is on the way; the process tells how.
                Err(error) => {
                    debug!(host = self.node.name(), %error, "failed to write to plugin host");
                    false
                }
            };
            let (deadline, stopping) = {
                let state = self.line.lock();
                if state.stopping && state.tenants.is_empty() && !sending {
                    break Some(Cause::Stopped);
                }
                (state.next_deadline().map(|deadline| deadline + GRACE), state.stopping)
            };
            if stopping {
                stop_at.get_or_insert_with(|| Instant::now() + DESTROY_DEADLINE);
            }
            let wait_until = deadline.into_iter().chain(stop_at).min();
            let timer = async {
                match wait_until {
                    Some(until) => sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                exit = process.exited() => {
                    // What it said last still counts; its socket is closed, so this ends.
                    for _ in 0..LAST_READS {
                        if !matches!(self.receive(socket, &mut inbox, &mut buffer), Ok(true)) {
                            break;
                        }
                    }
                    return self.ended(exit, black_box);
                }
                _ = socket.readable() => match self.receive(socket, &mut inbox, &mut buffer) {
                    Ok(true) => {}
                    // It closed the socket: it ends by itself, or it is made to.
                    Ok(false) => break None,
                    Err(Broken { reason, id }) => break Some(Cause::Protocol { reason, id }),
                },
                _ = socket.writable(), if sending => {}
                () = self.line.wake.notified() => {
                    // Others of the same tick are about to say the same: one write for all.
                    tokio::task::yield_now().await;
                }
                () = timer => {
                    if let Some(cause) = self.overdue() {
                        break Some(cause);
                    }
                    if stop_at.is_some_and(|at| at <= Instant::now()) {
                        break Some(Cause::Stopped);
                    }
                }
            }
        };
        self.finish(process, killed, black_box).await
    }

    /// Kills the process and waits for its end, within bounds.
    async fn finish(
        &self,
        mut process: HostProcess,
        killed: Option<Cause>,
        black_box: &BlackBox,
    ) -> LinkEnd {
        if killed.is_none()
            && let Ok(exit) = timeout(GRACE, process.exited()).await
        {
            return self.ended(exit, black_box);
        }
        let cause = killed.unwrap_or_else(|| Cause::Protocol {
            reason: "plugin host closed its socket and went on".into(),
            id: None,
        });
        // Read first: what runs when the signal comes is what was running.
        let running = self.running(black_box);
        process.kill();
        let gone = timeout(KILL_PATIENCE, process.exited()).await.is_ok();
        let reason: Arc<str> = match &cause {
            Cause::Deadline { reason, .. } | Cause::Protocol { reason, .. } => reason.clone(),
            Cause::Stopped | Cause::Start(_) | Cause::Exit(_) => "plugin host was stopped".into(),
        };
        if cause == Cause::Stopped {
            info!(host = self.node.name(), pid = process.pid(), "plugin host stopped");
        }
        let stuck = (!gone).then(|| {
            let (host, pid, unreachable) =
                (self.node.name(), process.pid(), process.is_unreachable());
            error!(host, pid, unreachable, "plugin host cannot be killed, going on without it");
            process
        });
        LinkEnd { cause, reason, running, stuck }
    }

    fn ended(&self, exit: Exit, black_box: &BlackBox) -> LinkEnd {
        let running = self.running(black_box);
        LinkEnd { reason: exit.to_string().into(), cause: Cause::Exit(exit), running, stuck: None }
    }

    fn running(&self, black_box: &BlackBox) -> Vec<(u32, &'static str)> {
        let now_ns = {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + now.tv_nsec.unsigned_abs()
        };
        let running = black_box.running();
        for one in &running {
            let after = Duration::from_nanos(now_ns.saturating_sub(one.since_ns));
            let (host, instance, phase) = (self.node.name(), one.instance, one.phase.name());
            debug!(host, instance, phase, ?after, "was running when the host ended");
        }
        running.iter().map(|one| (one.instance, one.phase.name())).collect()
    }

    /// The first call that has overstayed its grace.
    fn overdue(&self) -> Option<Cause> {
        let now = Instant::now();
        let state = self.line.lock();
        state.tenants.values().find_map(|tenant| {
            let call = tenant.call.as_ref().filter(|call| call.deadline + GRACE <= now)?;
            let after = humantime::format_duration(call.after);
            let reason = format!("deadline of {after} exceeded in {}", call.name()).into();
            Some(Cause::Deadline { id: tenant.shared.id, reason })
        })
    }

    /// Writes what waits, as far as it goes; whether something is left.
    fn send(&self, socket: &UnixStream) -> io::Result<bool> {
        let mut state = self.line.lock();
        while let Some(parcel) = state.outgoing.front_mut() {
            let sent = socket.try_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                let descriptors = parcel.descriptor.as_ref().map(|descriptor| [descriptor.as_fd()]);
                if let Some(descriptors) = &descriptors {
                    control.push(SendAncillaryMessage::ScmRights(descriptors));
                }
                let bytes = [IoSlice::new(&parcel.bytes)];
                Ok(sendmsg(socket, &bytes, &mut control, SendFlags::NOSIGNAL)?)
            });
            match sent {
                Ok(sent) if sent >= parcel.bytes.len() => {
                    state.outgoing.pop_front();
                }
                Ok(sent) => {
                    parcel.descriptor = None;
                    parcel.bytes.drain(..sent);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => {
                    state.outgoing.clear();
                    return Err(error);
                }
            }
        }
        Ok(false)
    }

    /// Reads what there is and acts on it; false at the end of the socket.
    fn receive(
        &self,
        socket: &UnixStream,
        inbox: &mut Inbox,
        buffer: &mut [u8],
    ) -> Result<bool, Broken> {
        let mut read = None;
        let tried = socket.try_io(Interest::READABLE, || {
            let (len, _) = recv(socket, &mut *buffer, RecvFlags::empty())?;
            read = Some(len);
            // Less than there is room for: there is no more, and asking again would cost a call.
            let is_all = len > 0 && len < buffer.len();
            if is_all { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        let read = match (read, tried) {
            (Some(0), _) => return Ok(false),
            (Some(read), _) => read,
            (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            (None, _) => return Ok(false),
        };
        inbox.fill(buffer.get(..read).unwrap_or_default());
        let mut state = self.line.lock();
        let mut faults = Vec::new();
        let outcome = loop {
            match inbox.next() {
                Ok(Some((head, body))) => match answers::handle(&mut state, head, body) {
                    Ok(None) => {}
                    Ok(Some(fault)) => faults.push(fault),
                    Err(broken) => break Err(broken),
                },
                Ok(None) => break Ok(true),
                Err(error) => {
                    let reason = format!("plugin host broke the protocol: {error}").into();
                    break Err(Broken { reason, id: None });
                }
            }
        };
        drop(state);
        for (id, fault) in faults {
            let message = PluginMessage::Faulted { id, host: self.line.host, fault };
            if self.parent.cast(message).is_err() {
                warn!(host = self.node.name(), "nobody heard of a fault: the plugin actor is gone");
            }
        }
        outcome
    }
}
