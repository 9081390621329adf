//! What the test host writes down: series, log lines, and the text of an error.

use std::{
    ffi::c_void,
    mem::size_of,
    ptr,
    rc::Rc,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::LogLine;
use crate::{
    abi::{ABI_MINOR, BzHost, BzLabel, BzStr, Level, NO_SERIES},
    manifest::Metric,
};

/// Most series of one instance, as in the daemon.
const MAX_SERIES: usize = 1000;

/// The host's memory of one instance. A plugin may log from any thread, hence the lock.
pub(super) struct Book {
    metrics: Vec<Metric>,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    /// By handle; none where it was dropped.
    series: Vec<Option<Registered>>,
    logs: Vec<LogLine>,
    error: String,
}

#[derive(Clone, PartialEq)]
struct Registered {
    metric: usize,
    labels: Vec<(String, String)>,
}

impl Book {
    pub(super) fn new(metrics: Vec<Metric>) -> Self {
        Self { metrics, pages: Mutex::default() }
    }

    /// The table that the instance sees; it leads back to the book, which must outlive it.
    pub(super) fn host(book: &Rc<Self>) -> BzHost {
        BzHost {
            size: size_of::<BzHost>() as u32,
            abi_minor: ABI_MINOR,
            data: Rc::as_ptr(book).cast_mut().cast(),
            log: Some(log),
            error: Some(error),
            series: Some(series),
            series_drop: Some(series_drop),
            ext: Some(ext),
        }
    }

    pub(super) fn logs(&self) -> Vec<LogLine> {
        self.pages().logs.clone()
    }

    pub(super) fn take_error(&self) -> String {
        std::mem::take(&mut self.pages().error)
    }

    /// Position of the metric, and the labels.
    pub(super) fn series(&self, handle: u32) -> Option<(usize, Vec<(String, String)>)> {
        let registered = self.pages().series.get(handle as usize)?.clone()?;
        Some((registered.metric, registered.labels))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, metric: usize, labels: Vec<(String, String)>) -> u32 {
        let wanted = Registered { metric, labels };
        let mut pages = self.pages();
        if let Some(at) = pages.series.iter().position(|series| series.as_ref() == Some(&wanted)) {
            return u32::try_from(at).unwrap_or(NO_SERIES);
        }
        match self.judge(&wanted, &pages.series) {
            Ok(()) => {
                pages.series.push(Some(wanted));
                u32::try_from(pages.series.len() - 1).unwrap_or(NO_SERIES)
            }
            Err(why) => {
                let text = format!("refused a series of metric {metric}: {why}");
                pages.logs.push(LogLine { level: Level::Error, text });
                NO_SERIES
            }
        }
    }

    fn judge(&self, wanted: &Registered, series: &[Option<Registered>]) -> Result<(), String> {
        let metric = self.metrics.get(wanted.metric).ok_or("the manifest has no such metric")?;
        if let Some((label, _)) = wanted.labels.iter().find(|(key, _)| !metric.labels.contains(key))
        {
            return Err(format!("{} has no label `{label}`", metric.name));
        }
        let live = series.iter().flatten();
        let of_metric = live.clone().filter(|other| other.metric == wanted.metric).count();
        match metric.max_series {
            Some(most) if of_metric >= most as usize => {
                Err(format!("{} has {most} already", metric.name))
            }
            _ if live.count() >= MAX_SERIES => Err(format!("there are {MAX_SERIES} already")),
            _ => Ok(()),
        }
    }
}

/// # Safety
///
/// `host` is a table of [`Book::host`], and its book lives.
unsafe fn book<'a>(host: *const BzHost) -> &'a Book {
    // SAFETY: the caller's promise.
    unsafe { &*(*host).data.cast::<Book>() }
}

/// # Safety
///
/// The text lives for the call.
unsafe fn owned(text: BzStr) -> String {
    // SAFETY: the caller's promise.
    String::from_utf8_lossy(unsafe { text.bytes() }).into_owned()
}

unsafe extern "C" fn log(host: *const BzHost, level: u32, text: BzStr) {
    // SAFETY: the plugin hands back the host that it was given, and a text for this call.
    let (book, text) = unsafe { (book(host), owned(text)) };
    book.pages().logs.push(LogLine { level: Level::from_code(level), text });
}

unsafe extern "C" fn error(host: *const BzHost, text: BzStr) {
    // SAFETY: as in log.
    let (book, text) = unsafe { (book(host), owned(text)) };
    book.pages().error = text;
}

unsafe extern "C" fn series(
    host: *const BzHost,
    metric: u32,
    labels: *const BzLabel,
    n: usize,
) -> u32 {
    let labels = if n == 0 {
        &[]
    } else {
        // SAFETY: the plugin lends `n` labels for this call.
        unsafe { std::slice::from_raw_parts(labels, n) }
    };
    // SAFETY: as in log.
    let labels =
        labels.iter().map(|label| unsafe { (owned(label.key), owned(label.val)) }).collect();
    // SAFETY: as in log.
    unsafe { book(host) }.register(metric as usize, labels)
}

unsafe extern "C" fn series_drop(host: *const BzHost, handle: u32) {
    // SAFETY: as in log.
    let book = unsafe { book(host) };
    if let Some(series) = book.pages().series.get_mut(handle as usize) {
        *series = None;
    }
}

unsafe extern "C" fn ext(_: *const BzHost, _: BzStr) -> *const c_void {
    ptr::null()
}
