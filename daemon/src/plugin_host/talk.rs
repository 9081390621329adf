//! The main thread: reads what the daemon wants and hands it to the instances.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::fd::OwnedFd,
    sync::Arc,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
    process::{Signal, getpid, kill_process},
};

use super::{
    contract::monotonic_ns,
    instance::{Call, Handle},
    library::File,
    notebook::Notebook,
    outbox::Outbox,
};
use crate::plugin::frames::{Head, Inbox, Kind, OpenBody, verdict};

/// How long answers wait for those of the same tick that are still running.
const LINGER_NS: u64 = 5_000_000;

/// Most descriptors that arrive in one read; the daemon sends one at a time.
const DESCRIPTORS_MAX: usize = 4;

/// Ends this process without running exit handlers, which are foreign code.
pub(super) fn end() -> ! {
    loop {
        // A process may always kill itself; should the signal take a moment, the loop waits.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

/// Serves the daemon at the other end of stdin. It comes back only with what makes it
/// impossible to go on; with the end of the socket the process ends.
pub(super) fn talk() -> Result<Infallible, String> {
    let mut talk = Talk::default();
    let mut bytes = vec![0; 64 * 1024];
    loop {
        talk.wait().map_err(|error| format!("failed to wait for the daemon: {error}"))?;
        match talk.receive(&mut bytes) {
            Ok(0) => end(),
            Ok(read) => {
                talk.inbox.fill(bytes.get(..read).unwrap_or_default());
                talk.react()?;
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(format!("failed to read from the daemon: {error}")),
        }
    }
}

#[derive(Default)]
struct Talk {
    inbox: Inbox,
    descriptors: VecDeque<OwnedFd>,
    notebook: Option<&'static Notebook>,
    /// They stay for ever, as what is loaded from them does.
    files: HashMap<u32, &'static File>,
    instances: HashMap<u32, Handle>,
    outbox: Arc<Outbox>,
}

impl Talk {
    /// Waits until there is something to read. Meanwhile, ends the time of calls whose deadline
    /// passes, and sends answers that have waited long enough for others.
    fn wait(&mut self) -> io::Result<()> {
        let stdin = io::stdin();
        let linger_until = monotonic_ns() + LINGER_NS;
        loop {
            let now = monotonic_ns();
            let mut until: Option<u64> = None;
            for handle in self.instances.values() {
                if let Some(deadline) = handle.watch().check(now) {
                    until = Some(until.map_or(deadline, |until| until.min(deadline)));
                }
            }
            if self.outbox.is_waiting() {
                if now >= linger_until {
                    self.outbox.flush_late();
                } else {
                    until = Some(until.map_or(linger_until, |until| until.min(linger_until)));
                }
            }
            let timeout = until.map(|until| {
                let left = until.saturating_sub(now);
                Timespec {
                    tv_sec: i64::try_from(left / 1_000_000_000).unwrap_or(i64::MAX),
                    tv_nsec: (left % 1_000_000_000) as _,
                }
            });
            let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn receive(&mut self, bytes: &mut [u8]) -> Result<usize, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = recvmsg(io::stdin(), &mut parts, &mut control, flags)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        Ok(received.bytes)
    }

    fn react(&mut self) -> Result<(), String> {
        let mut inbox = std::mem::take(&mut self.inbox);
        while let Some((head, body)) = inbox.next().map_err(|error| error.to_string())? {
            self.handle(head, body)?;
        }
        self.inbox = inbox;
        Ok(())
    }

    fn handle(&mut self, head: Head, body: &[u8]) -> Result<(), String> {
        let Head { instance, seq, time, .. } = head;
        match head.kind {
            Kind::BlackBox => {
                let page = self.descriptors.pop_front().ok_or("no page came along")?;
                let notebook = Notebook::open(page)
                    .map_err(|error| format!("failed to map the black box: {error}"))?;
                self.notebook = Some(notebook);
            }
            Kind::File => {
                let image = self.descriptors.pop_front().ok_or("no file came along")?;
                self.files.insert(instance, Box::leak(Box::new(File::new(image, body.to_vec()))));
            }
            Kind::Create => {
                self.outbox.begin();
                if let Err(reason) = self.create(instance, seq, body) {
                    self.fail(instance, seq, &reason);
                }
            }
            Kind::Collect => self.call(instance, Call::Collect { seq, now_unix_ns: time }, seq),
            Kind::Destroy => {
                self.call(instance, Call::Destroy { seq }, seq);
                self.instances.remove(&instance);
            }
            Kind::Done | Kind::Series | Kind::SeriesDrop | Kind::Log => {
                return Err(format!("the daemon sent {:?}", head.kind));
            }
        }
        Ok(())
    }

    fn create(&mut self, instance: u32, seq: u32, body: &[u8]) -> Result<(), String> {
        let open: OpenBody = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let file = self.files.get(&open.file).copied().ok_or("its file was not sent")?;
        let notebook = self.notebook.ok_or("the black box was not sent")?;
        let note = notebook.claim(instance).ok_or("too many instances in one host")?;
        let handle = Handle::start(instance, seq, open, file, note, self.outbox.clone())
            .map_err(|error| format!("failed to start a thread: {error}"))?;
        self.instances.insert(instance, handle);
        Ok(())
    }

    fn call(&self, instance: u32, call: Call, seq: u32) {
        self.outbox.begin();
        if !self.instances.get(&instance).is_some_and(|handle| handle.call(call)) {
            self.fail(instance, seq, "no such instance, or it is busy");
        }
    }

    fn fail(&self, instance: u32, seq: u32, reason: &str) {
        let flags = verdict::HOST_FAILED;
        let head = Head { flags, ..Head::new(Kind::Done, instance, seq) };
        self.outbox.finish(head, &[reason.as_bytes()]);
    }
}
