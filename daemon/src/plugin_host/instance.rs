//! One instance: its thread, and what the main thread knows of it.

use std::{
    io,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use super::{
    callbacks::Context,
    contract::{Ended, Live, Round, monotonic_ns},
    library::{File, Plugin},
    notebook::Note,
    outbox::Outbox,
};
use crate::plugin::{
    black_box::Phase,
    frames::{Answer, Head, Kind, OpenBody, verdict},
};

/// Stack of an instance's thread, in bytes. Only what is used takes memory.
const STACK: usize = 2 * 1024 * 1024;

/// What an instance is asked to do.
pub(super) enum Call {
    /// Read once, with this timestamp.
    Collect { seq: u32, now_unix_ns: i64 },
    /// End.
    Destroy { seq: u32 },
}

/// What the main thread and the instance's share: when the call that runs must be over.
#[derive(Default)]
pub(super) struct Watch {
    /// `CLOCK_MONOTONIC`; zero while nothing runs, or the time is up already.
    deadline_ns: AtomicU64,
    cancelled: AtomicU32,
}

impl Watch {
    fn start(&self, deadline_ns: u64) {
        self.cancelled.store(0, Ordering::Relaxed);
        self.deadline_ns.store(deadline_ns, Ordering::Release);
    }

    /// The deadline of the call that runs; at `now_ns` the time of one that is over is up.
    pub(super) fn check(&self, now_ns: u64) -> Option<u64> {
        match self.deadline_ns.load(Ordering::Acquire) {
            0 => None,
            deadline if deadline > now_ns => Some(deadline),
            _ => {
                self.cancelled.store(1, Ordering::Relaxed);
                self.deadline_ns.store(0, Ordering::Release);
                None
            }
        }
    }
}

/// The main thread's hold on an instance.
pub(super) struct Handle {
    calls: SyncSender<Call>,
    watch: Arc<Watch>,
    collect_deadline_ns: u64,
}

impl Handle {
    /// Starts the instance's thread, whose first call is `create`.
    pub(super) fn start(
        number: u32,
        seq: u32,
        open: OpenBody,
        file: &'static File,
        note: Note,
        outbox: Arc<Outbox>,
    ) -> io::Result<Self> {
        // A collect, and a destroy behind it; the daemon sends no more.
        let (calls, inbox) = sync_channel(2);
        let watch = Arc::new(Watch::default());
        watch.start(monotonic_ns().saturating_add(open.create_deadline_ns));
        let collect_deadline_ns = open.collect_deadline_ns;
        let body = Body { number, note, outbox, watch: watch.clone(), collect_deadline_ns };
        thread::Builder::new()
            .name(open.instance.chars().take(15).filter(|c| *c != '\0').collect())
            .stack_size(STACK)
            .spawn(move || body.run(seq, &open, file, &inbox))?;
        Ok(Self { calls, watch, collect_deadline_ns })
    }

    /// Hands a call over; false if the instance has more than it should already, or is gone.
    pub(super) fn call(&self, call: Call) -> bool {
        if matches!(call, Call::Collect { .. }) {
            self.watch.start(monotonic_ns().saturating_add(self.collect_deadline_ns));
        } else {
            // On the way out: a call that still runs should come home.
            self.watch.cancelled.store(1, Ordering::Relaxed);
        }
        match self.calls.try_send(call) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// The instance's watch.
    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }
}

/// What the instance's thread owns.
struct Body {
    number: u32,
    note: Note,
    outbox: Arc<Outbox>,
    watch: Arc<Watch>,
    collect_deadline_ns: u64,
}

/// An instance that was made.
struct Made {
    live: Live,
    plugin: &'static Plugin,
    context: &'static Context,
}

impl Body {
    /// Makes the instance, then serves its calls until the daemon ends it. One that could not
    /// be made waits for that too, so that no call is left without an answer.
    fn run(self, seq: u32, open: &OpenBody, file: &'static File, inbox: &Receiver<Call>) {
        let began = monotonic_ns();
        let mut made = match self.create(open, file) {
            Ok(made) => {
                self.done(seq, 0, began, &[]);
                Some(made)
            }
            Err(Ended { status, text }) => {
                self.done(seq, status, began, &[&text]);
                None
            }
        };
        while let Ok(call) = inbox.recv() {
            let began = monotonic_ns();
            match call {
                Call::Collect { seq, now_unix_ns } => {
                    let Some(made) = &mut made else {
                        self.done(seq, verdict::HOST_FAILED, began, &[b"it was never made"]);
                        continue;
                    };
                    self.collect(made, seq, now_unix_ns, began);
                }
                Call::Destroy { seq } => {
                    if let Some(Made { live, plugin, .. }) = made.take() {
                        self.noted(plugin, Phase::Destroy, || live.destroy());
                    }
                    return self.done(seq, 0, began, &[]);
                }
            }
        }
    }

    fn collect(&self, made: &mut Made, seq: u32, now_unix_ns: i64, began_ns: u64) {
        let Made { live, plugin, context } = made;
        let deadline_mono_ns = began_ns.saturating_add(self.collect_deadline_ns);
        let round = Round { now_unix_ns, deadline_mono_ns, cancelled: &self.watch.cancelled };
        match self.noted(plugin, Phase::Collect, || live.collect(&round)) {
            Ok((dropped, samples)) => {
                let front = Answer::front(dropped, context.refused());
                self.done(seq, 0, began_ns, &[&front, samples]);
            }
            Err(Ended { status, text }) => self.done(seq, status, began_ns, &[&text]),
        }
    }

    fn create(&self, open: &OpenBody, file: &'static File) -> Result<Made, Ended> {
        self.note.set(Phase::Load);
        let plugin = file
            .plugin()
            .map_err(|reason| Ended { status: verdict::REFUSED, text: reason.as_bytes().to_vec() });
        self.note.set(Phase::Idle);
        let plugin = plugin?;
        let (context, host) = Context::new(self.number, plugin.metrics, self.outbox.clone());
        let live =
            self.noted(plugin, Phase::Create, || Live::create(plugin, context, host, open))?;
        Ok(Made { live, plugin, context })
    }

    /// Runs a call with its phase in the black box, and alone where the plugin asks for that.
    fn noted<T>(&self, plugin: &Plugin, phase: Phase, call: impl FnOnce() -> T) -> T {
        let alone = plugin.gate.as_ref();
        let alone = alone.map(|gate| gate.lock().unwrap_or_else(PoisonError::into_inner));
        self.note.set(phase);
        let outcome = call();
        self.note.set(Phase::Idle);
        drop(alone);
        outcome
    }

    fn done(&self, seq: u32, flags: u16, began_ns: u64, body: &[&[u8]]) {
        self.watch.deadline_ns.store(0, Ordering::Release);
        let took = monotonic_ns().saturating_sub(began_ns);
        let time = i64::try_from(took).unwrap_or(i64::MAX);
        self.outbox.finish(Head { flags, time, ..Head::new(Kind::Done, self.number, seq) }, body);
    }
}
