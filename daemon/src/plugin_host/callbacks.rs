//! What an instance may call: log, error, series, series_drop, ext.

#![expect(unsafe_code, reason = "these functions are called by foreign code with raw pointers")]

use std::{
    collections::HashMap,
    ffi::c_void,
    ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bartizan_plugin::{
    abi::{ABI_MINOR, BzHost, BzLabel, BzStr, NO_SERIES},
    manifest::MAX_LABELS,
};

use super::outbox::Outbox;
use crate::plugin::{
    frames::{Head, Kind, LABEL_MAX, SERIES_MAX, SeriesBody, TEXT_MAX},
    log_budget::LogBudget,
};

/// What stands behind an instance's `bz_host`.
pub(super) struct Context {
    instance: u32,
    metrics: u32,
    outbox: Arc<Outbox>,
    error: Mutex<Vec<u8>>,
    series: Mutex<Handles>,
    log: Mutex<LogBudget>,
}

/// The series that the instance has, by what they are.
#[derive(Default)]
struct Handles {
    known: HashMap<Vec<u8>, u32>,
    free: Vec<u32>,
    next: u32,
    refused: u32,
}

impl Context {
    /// A context and the table that leads to it. Both stay for ever: a thread that a plugin
    /// forgot to stop may still call, and there is one per `create`, which back-off bounds.
    pub(super) fn new(
        instance: u32,
        metrics: u32,
        outbox: Arc<Outbox>,
    ) -> (&'static Self, &'static BzHost) {
        let context: &'static Self = Box::leak(Box::new(Self {
            instance,
            metrics,
            outbox,
            error: Mutex::default(),
            series: Mutex::default(),
            log: Mutex::default(),
        }));
        let host = BzHost {
            size: size_of::<BzHost>() as u32,
            abi_minor: ABI_MINOR,
            data: ptr::from_ref(context).cast_mut().cast(),
            log: Some(log),
            error: Some(error),
            series: Some(series),
            series_drop: Some(series_drop),
            ext: Some(ext),
        };
        (context, Box::leak(Box::new(host)))
    }

    /// The text for the status just returned; empty if there was none.
    pub(super) fn take_error(&self) -> Vec<u8> {
        std::mem::take(&mut *lock(&self.error))
    }

    /// How many series were refused so far.
    pub(super) fn refused(&self) -> u32 {
        lock(&self.series).refused
    }

    fn register(&self, metric: u32, labels: Option<&[BzLabel]>) -> u32 {
        let mut body = SeriesBody::start(metric);
        for label in labels.unwrap_or_default() {
            SeriesBody::push(&mut body, bytes(&label.key, LABEL_MAX + 4));
            SeriesBody::push(&mut body, bytes(&label.val, LABEL_MAX + 4));
        }
        let mut handles = lock(&self.series);
        if let Some(&handle) = handles.known.get(&body) {
            return handle;
        }
        let fits = metric < self.metrics && labels.is_some() && handles.known.len() < SERIES_MAX;
        let handle = match handles.free.pop() {
            _ if !fits => NO_SERIES,
            Some(handle) => handle,
            None => {
                handles.next += 1;
                handles.next - 1
            }
        };
        if fits {
            handles.known.insert(body.clone(), handle);
        } else {
            handles.refused = handles.refused.saturating_add(1);
            // The first one is told, so that the daemon can name it.
            if handles.refused > 1 {
                return NO_SERIES;
            }
        }
        self.outbox.say(Head::new(Kind::Series, self.instance, handle), &[&body]);
        handle
    }

    fn end_series(&self, handle: u32) {
        let mut handles = lock(&self.series);
        let before = handles.known.len();
        handles.known.retain(|_, known| *known != handle);
        if handles.known.len() < before {
            handles.free.push(handle);
            self.outbox.say(Head::new(Kind::SeriesDrop, self.instance, handle), &[]);
        }
    }

    fn say(&self, level: u32, text: &[u8]) {
        let Some(suppressed) = lock(&self.log).admit(Instant::now()) else { return };
        let flags = u16::try_from(level).unwrap_or(u16::MAX);
        let head = Head { flags, ..Head::new(Kind::Log, self.instance, suppressed) };
        self.outbox.say(head, &[text]);
    }
}

/// The first `most` bytes of a borrowed string.
fn bytes(text: &BzStr, most: usize) -> &[u8] {
    // SAFETY: by the contract the plugin lends it for the length of the call, and this
    // reference does not outlive the call: it is tied to the argument.
    unsafe { BzStr { ptr: text.ptr, len: text.len.min(most) }.bytes() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The context behind a plugin's pointer; none if it made one up.
fn context(host: *const BzHost) -> Option<&'static Context> {
    // SAFETY: not null, so by the contract it is the one of `create`, which stays for ever.
    unsafe { host.as_ref()?.data.cast::<Context>().as_ref() }
}

unsafe extern "C" fn log(host: *const BzHost, level: u32, text: BzStr) {
    if let Some(context) = context(host) {
        context.say(level, bytes(&text, TEXT_MAX));
    }
}

unsafe extern "C" fn error(host: *const BzHost, text: BzStr) {
    if let Some(context) = context(host) {
        *lock(&context.error) = bytes(&text, TEXT_MAX).to_vec();
    }
}

unsafe extern "C" fn series(
    host: *const BzHost,
    metric: u32,
    labels: *const BzLabel,
    n: usize,
) -> u32 {
    let Some(context) = context(host) else { return NO_SERIES };
    let labels = match n {
        0 => Some(&[][..]),
        1..=MAX_LABELS if !labels.is_null() && labels.is_aligned() => {
            // SAFETY: by the contract there are `n` labels, lent for the length of the call.
            Some(unsafe { std::slice::from_raw_parts(labels, n) })
        }
        _ => None,
    };
    context.register(metric, labels)
}

unsafe extern "C" fn series_drop(host: *const BzHost, series: u32) {
    if let Some(context) = context(host) {
        context.end_series(series);
    }
}

unsafe extern "C" fn ext(_: *const BzHost, _: BzStr) -> *const c_void {
    ptr::null()
}
