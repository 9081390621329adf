//! The line to one plugin host: what waits to be sent, and who lives there.
//!
//! Collectors, the plugin actor and the link all hold it. Nobody holds its lock across an
//! await or a system call. What waits is bounded by what may be in flight: one call for each
//! of at most [`INSTANCES_MAX`](super::frames::INSTANCES_MAX) instances.

use std::{
    collections::{HashMap, VecDeque},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, oneshot};

use super::{
    catalog::FoundPlugin,
    frames::{BODY_MAX, Head, Kind, OpenBody, push},
    instance::{InstanceShared, Seat},
    log_budget::LogBudget,
    messages::{CollectError, InstanceState, Reading},
    series_table::SeriesTable,
};

/// How long a reading may take, unless the manifest says another `timeout`.
const COLLECT_DEADLINE: Duration = Duration::from_secs(5);

/// Shortest time that an instance gets for being made: loading may be slow on a busy machine.
const CREATE_DEADLINE_MIN: Duration = Duration::from_secs(5);

/// How long `destroy` may take.
pub(super) const DESTROY_DEADLINE: Duration = Duration::from_secs(1);

/// What happened to an instance that cannot go on as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It fell: made again after a pause that grows.
    Fell(Arc<str>),
    /// What it needs is not there now: made again after a while.
    Later(Arc<str>),
    /// Nothing helps until something changes.
    Parked(Arc<str>),
    /// This machine has no such thing, so nothing is missing.
    Absent(Arc<str>),
}

/// The line to one host.
pub(super) struct Line {
    /// Number of the host, never given twice.
    pub(super) host: u64,
    state: Mutex<LineState>,
    /// Something waits to be sent, or the line is to be closed.
    pub(super) wake: Notify,
}

pub(super) struct LineState {
    pub(super) outgoing: VecDeque<Parcel>,
    pub(super) tenants: HashMap<u32, Tenant>,
    files: HashMap<[u8; 32], u32>,
    numbers: u32,
    pub(super) stopping: bool,
    /// The process at the other end, while there is one.
    pub(super) process: Option<i32>,
    /// Why nothing goes through any more.
    closed: Option<Arc<str>>,
}

/// Bytes to be sent, with the descriptor that travels along.
pub(super) struct Parcel {
    pub(super) bytes: Vec<u8>,
    pub(super) descriptor: Option<Arc<OwnedFd>>,
}

/// An instance in this host.
pub(super) struct Tenant {
    pub(super) shared: Arc<InstanceShared>,
    pub(super) table: SeriesTable,
    pub(super) budget: LogBudget,
    pub(super) call: Option<Call>,
    /// How long one reading may take.
    deadline: Duration,
    /// Frames about series that it may still send in this call.
    pub(super) series_left: usize,
    seq: u32,
}

/// A call in flight.
pub(super) struct Call {
    pub(super) seq: u32,
    pub(super) doing: Doing,
    pub(super) deadline: Instant,
    pub(super) after: Duration,
}

/// The outcome of a reading, on its way.
pub(super) type Answer = oneshot::Receiver<Result<Reading, CollectError>>;

/// What the call is, and who waits for it.
pub(super) enum Doing {
    Create,
    Collect(oneshot::Sender<Result<Reading, CollectError>>),
    Destroy,
}

impl Line {
    /// A line whose host is yet to be started; what is sent waits for it. The host's first
    /// parcel is the page of its black box.
    pub(super) fn new(host: u64) -> Arc<Self> {
        let state = LineState {
            outgoing: VecDeque::new(),
            tenants: HashMap::new(),
            files: HashMap::new(),
            numbers: 0,
            stopping: false,
            process: None,
            closed: None,
        };
        Arc::new(Self { host, state: Mutex::new(state), wake: Notify::new() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, LineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an instance of `plugin` there, with a configuration already judged; its number.
    pub(super) fn open(
        self: &Arc<Self>,
        shared: Arc<InstanceShared>,
        plugin: &FoundPlugin,
        config: String,
        table: SeriesTable,
    ) -> Result<u32, Arc<str>> {
        let mut state = self.lock();
        if let Some(reason) = &state.closed {
            return Err(reason.clone());
        }
        let spec = &shared.spec;
        let collect_deadline = plugin.manifest.timeout.unwrap_or(COLLECT_DEADLINE);
        let after = collect_deadline.max(CREATE_DEADLINE_MIN);
        let body = OpenBody {
            file: state.send_file(plugin),
            config,
            instance: shared.name(),
            target: spec.server.to_string(),
            interval_ns: nanos(spec.interval),
            create_deadline_ns: nanos(after),
            collect_deadline_ns: nanos(collect_deadline),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        if body.len() > BODY_MAX {
            return Err("configuration is too long".into());
        }
        state.numbers += 1;
        let number = state.numbers;
        state.send(Head::new(Kind::Create, number, 1), &body);
        let call = Call { seq: 1, doing: Doing::Create, deadline: Instant::now() + after, after };
        shared.sit(Some(Seat { line: self.clone(), number }));
        let budget = LogBudget::default();
        let series_left = series_allowed();
        let (call, deadline) = (Some(call), collect_deadline);
        let tenant = Tenant { shared, table, budget, call, deadline, series_left, seq: 1 };
        state.tenants.insert(number, tenant);
        drop(state);
        self.wake.notify_one();
        Ok(number)
    }

    /// Asks an instance to read; the answer comes within the time that is returned with it.
    pub(super) fn collect(
        &self,
        number: u32,
        at_ms: i64,
    ) -> Result<(Answer, Duration), CollectError> {
        let mut state = self.lock();
        if let Some(reason) = &state.closed {
            return Err(CollectError::HostDown(reason.clone()));
        }
        let Some(tenant) = state.tenants.get_mut(&number) else {
            return Err(CollectError::NotReady("plugin is about to be made again".into()));
        };
        if tenant.call.is_some() {
            return Err(CollectError::NotReady("plugin is still busy with an earlier slot".into()));
        }
        let (answer, waiting) = oneshot::channel();
        let after = tenant.deadline;
        let seq = tenant.start(Doing::Collect(answer), after);
        let time = at_ms.saturating_mul(1_000_000);
        state.send(Head { time, ..Head::new(Kind::Collect, number, seq) }, &[]);
        drop(state);
        self.wake.notify_one();
        Ok((waiting, after))
    }

    /// Ends an instance; a call of it that is in flight comes to nothing.
    pub(super) fn close(&self, number: u32) {
        self.lock().close(number);
        self.wake.notify_one();
    }

    /// Ends all instances; the link then ends the host.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        let numbers: Vec<u32> = state.tenants.keys().copied().collect();
        numbers.into_iter().for_each(|number| state.close(number));
        drop(state);
        self.wake.notify_one();
    }

    /// The host is gone: nothing goes through any more, and whoever waits is told why.
    /// Returns those who lived there.
    pub(super) fn hang_up(&self, reason: &Arc<str>) -> HashMap<u32, Tenant> {
        let mut state = self.lock();
        state.closed = Some(reason.clone());
        state.outgoing.clear();
        let mut tenants = std::mem::take(&mut state.tenants);
        drop(state);
        for tenant in tenants.values_mut() {
            // One on its way out has been told its reason already, or lives elsewhere by now.
            if !tenant.is_leaving() {
                tenant.shared.sit(None);
                tenant.shared.set_state(InstanceState::Down { reason: reason.clone() });
            }
            if let Some(Call { doing: Doing::Collect(answer), .. }) = tenant.call.take() {
                // A collector that gave up waits no more.
                let _ = answer.send(Err(CollectError::HostDown(reason.clone())));
            }
        }
        tenants
    }
}

impl LineState {
    fn send(&mut self, head: Head, body: &[u8]) {
        match self.outgoing.back_mut() {
            Some(parcel) => push(&mut parcel.bytes, head, &[body]),
            None => self.send_with(head, body, None),
        }
    }

    /// A descriptor travels with the first byte of its parcel.
    pub(super) fn send_with(&mut self, head: Head, body: &[u8], descriptor: Option<Arc<OwnedFd>>) {
        let mut bytes = Vec::new();
        push(&mut bytes, head, &[body]);
        self.outgoing.push_back(Parcel { bytes, descriptor });
    }

    fn send_file(&mut self, plugin: &FoundPlugin) -> u32 {
        let next = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        if let Some(&file) = self.files.get(&plugin.digest) {
            return file;
        }
        self.files.insert(plugin.digest, next);
        let head = Head::new(Kind::File, next, 0);
        self.send_with(head, &plugin.section, Some(plugin.image.clone()));
        next
    }

    /// Ends an instance that the host still has.
    pub(super) fn close(&mut self, number: u32) {
        let Some(tenant) = self.tenants.get_mut(&number) else { return };
        if tenant.is_leaving() {
            return;
        }
        tenant.shared.sit(None);
        // A call in flight is given up; the host runs it to its end first, so it has the time
        // that it had, and `destroy` its own.
        let left = tenant.call.as_ref().map(|call| call.deadline - Instant::now());
        let seq = tenant.start(Doing::Destroy, DESTROY_DEADLINE);
        if let (Some(call), Some(left)) = (&mut tenant.call, left) {
            call.deadline += left;
        }
        self.send(Head::new(Kind::Destroy, number, seq), &[]);
    }

    /// The first deadline of all that runs.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.tenants.values().filter_map(|tenant| Some(tenant.call.as_ref()?.deadline)).min()
    }
}

impl Tenant {
    /// Whether it is being destroyed.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.call, Some(Call { doing: Doing::Destroy, .. }))
    }

    fn start(&mut self, doing: Doing, after: Duration) -> u32 {
        self.seq = self.seq.wrapping_add(1);
        self.series_left = series_allowed();
        self.call = Some(Call { seq: self.seq, doing, deadline: Instant::now() + after, after });
        self.seq
    }
}

impl Call {
    /// As it stands in a sentence.
    pub(super) fn name(&self) -> &'static str {
        match self.doing {
            Doing::Create => "create",
            Doing::Collect(_) => "collect",
            Doing::Destroy => "destroy",
        }
    }
}

/// An honest host ends and registers each series at most once in a call, and names one refused.
fn series_allowed() -> usize {
    2 * super::frames::SERIES_MAX + 1
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
