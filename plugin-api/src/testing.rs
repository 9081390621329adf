//! A host inside `cargo test`: a collector is created, read and destroyed as the daemon does it, without a `.so`.
//!
//! # Invariants
//!
//! - Every call goes through the C ABI: panics are caught, a bad configuration is refused, as in earnest.
//! - What the daemon would refuse is refused here, and said in the log: unknown metrics and labels, too many series.
//! - A sample of a series that was dropped, or never registered, fails the round.
//!
//! ```standalone_crate
//! use bartizan_plugin::{Collector, Ctx, NoConfig, Out, Result, plugin, testing::Host};
//!
//! struct Answer(Ctx);
//! impl Collector for Answer {
//!     type Config = NoConfig;
//!     fn new(_: NoConfig, ctx: Ctx) -> Result<Self> {
//!         Ok(Self(ctx))
//!     }
//!     fn collect(&mut self, out: &mut Out) -> Result<()> {
//!         out.gauge(self.0.series(M::Answer, &[("of", "everything")]), 42.0);
//!         Ok(())
//!     }
//! }
//! plugin! { Answer, id: "org.example.answer",
//!     metrics { Answer: gauge "answer" "answers" ["of"] "The answer"; } }
//!
//! # fn main() {
//! let mut host = Host::new::<Answer>("{}").unwrap();
//! let round = host.collect().unwrap();
//! assert_eq!(round.value("answer", &[("of", "everything")]), Some(42.0));
//! # }
//! ```

#![expect(unsafe_code, reason = "it speaks the C ABI with the plugin")]

use std::{
    ffi::c_void,
    mem::{MaybeUninit, size_of},
    ptr,
    rc::Rc,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use crate::{
    abi::{
        BzCollect, BzCreateArgs, BzEntry, BzHost, BzSample, BzStr, FLOAT, Level, MAGIC, Status,
        read_prefix,
    },
    border::{entry, monotonic_ns},
    collector::Plugin,
    error::{Error, Result},
    manifest::{Kind, Manifest},
};

mod book;

use book::Book;

/// Room for samples unless [`Host::set_capacity`] says otherwise.
const CAPACITY: usize = 4096;

/// One instance of a collector, and the host that it sees.
///
/// The instance is called `test`, watches the server `test-server`, and is read every second.
pub struct Host {
    manifest: Manifest,
    entry: BzEntry,
    instance: *mut c_void,
    book: Rc<Book>,
    // The instance keeps a pointer to it until it is destroyed.
    host: Rc<BzHost>,
    samples: Vec<MaybeUninit<BzSample>>,
    time_limit: Duration,
    cancelled: AtomicU32,
}

/// What one round brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// In the order in which they were written.
    pub samples: Vec<Sample>,
    /// How many found no room.
    pub dropped: u32,
}

/// One sample, with its series spelled out.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name of the metric.
    pub metric: String,
    /// Names and values, as they were registered.
    pub labels: Vec<(String, String)>,
    /// What was measured.
    pub value: Value,
}

/// A measured value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Of a gauge.
    Gauge(f64),
    /// Of a counter.
    Counter(u64),
    /// Of a counter that has fractions.
    CounterF64(f64),
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The line.
    pub text: String,
}

impl Round {
    /// The value of a series, its labels in any order; counts above 2^53 lose their last digits.
    #[must_use]
    pub fn value(&self, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let sample = self.samples.iter().find(|sample| sample.is(metric, labels))?;
        Some(match sample.value {
            Value::Gauge(value) | Value::CounterF64(value) => value,
            Value::Counter(count) => count as f64,
        })
    }
}

impl Sample {
    fn is(&self, metric: &str, labels: &[(&str, &str)]) -> bool {
        self.metric == metric
            && self.labels.len() == labels.len()
            && self.labels.iter().all(|(key, value)| labels.contains(&(key, value)))
    }
}

impl Host {
    /// Creates an instance with a configuration in JSON, as the daemon makes it of the administrator's TOML.
    ///
    /// # Errors
    ///
    /// What the collector's `new` failed with; [`Status::Config`] where the configuration does not fit;
    /// [`Status::Panic`] where it panicked.
    pub fn new<C: Plugin>(config_json: &str) -> Result<Self> {
        Self::of_entry(entry::<C>(C::MANIFEST), C::MANIFEST, config_json)
    }

    /// Creates an instance of a plugin that was loaded from a file, in whatever language it was written.
    ///
    /// # Errors
    ///
    /// As [`Host::new`]; and what is wrong with the entry or its manifest.
    ///
    /// # Safety
    ///
    /// The entry is what the file's `bartizan_plugin_v1` returned, and the file stays loaded.
    pub unsafe fn load(entry: *const BzEntry, config_json: &str) -> Result<Self> {
        if entry.is_null() {
            return Err(Error::fatal("entry is null"));
        }
        // SAFETY: the caller's promise; an entry says its size.
        let entry = unsafe { read_prefix(entry) };
        if entry.magic != MAGIC {
            return Err(Error::fatal("entry does not begin with BARTIZAN"));
        }
        // SAFETY: the caller's promise.
        Self::of_entry(entry, unsafe { entry.manifest.bytes() }, config_json)
    }

    fn of_entry(entry: BzEntry, manifest: &[u8], config_json: &str) -> Result<Self> {
        let manifest = Manifest::parse(manifest)?;
        let book = Rc::new(Book::new(manifest.metrics.clone()));
        let host = Rc::new(Book::host(&book));
        let args = BzCreateArgs {
            size: size_of::<BzCreateArgs>() as u32,
            _r0: 0,
            config_json: BzStr::new(config_json),
            instance: BzStr::new("test"),
            target: BzStr::new("test-server"),
            interval_ns: 1_000_000_000,
        };
        let mut host = Self {
            manifest,
            entry,
            instance: ptr::null_mut(),
            book,
            host,
            samples: vec![MaybeUninit::uninit(); CAPACITY],
            time_limit: Duration::from_secs(5),
            cancelled: AtomicU32::new(0),
        };
        let create = entry.create.ok_or_else(|| Error::fatal("entry has no create"))?;
        // SAFETY: the host lives as long as this value, the arguments for the call.
        let code =
            unsafe { create(Rc::as_ptr(&host.host), &raw const args, &raw mut host.instance) };
        host.judge(code)?;
        Ok(host)
    }

    /// Reads one round.
    ///
    /// # Errors
    ///
    /// What the collector's `collect` failed with; [`Status::Panic`] where it panicked; [`Status::Fatal`] where it wrote
    /// to a series that is not registered.
    pub fn collect(&mut self) -> Result<Round> {
        let collect = self.entry.collect.ok_or_else(|| Error::fatal("entry has no collect"))?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let limit_ns = u64::try_from(self.time_limit.as_nanos()).unwrap_or(u64::MAX);
        let mut round = BzCollect {
            size: size_of::<BzCollect>() as u32,
            _r0: 0,
            now_unix_ns: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX),
            deadline_mono_ns: monotonic_ns().saturating_add(limit_ns),
            cancelled: &raw const self.cancelled,
            buf: self.samples.as_mut_ptr().cast(),
            cap: u32::try_from(self.samples.len()).unwrap_or(u32::MAX),
            len: 0,
            dropped: 0,
            _r1: 0,
        };
        // SAFETY: create made the instance; the round and what it points to live for the call.
        let code = unsafe { collect(self.instance, &raw mut round) };
        self.judge(code)?;
        let written = self.samples.get(..round.len as usize);
        let written =
            written.ok_or_else(|| Error::fatal("wrote more samples than there is room"))?;
        let samples = written.iter().map(|sample| {
            // SAFETY: the collector wrote as many as it says.
            self.spell(unsafe { sample.assume_init_ref() })
        });
        Ok(Round { samples: samples.collect::<Result<_>>()?, dropped: round.dropped })
    }

    /// What was logged so far.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        self.book.logs()
    }

    /// Ends the instance, and returns all that was logged.
    #[must_use]
    pub fn destroy(mut self) -> Vec<LogLine> {
        self.end();
        self.book.logs()
    }

    /// Gives the coming rounds room for this many samples.
    pub fn set_capacity(&mut self, samples: usize) {
        self.samples.resize(samples, MaybeUninit::uninit());
    }

    /// Gives the coming rounds this long; a late one is not killed here.
    pub fn set_time_limit(&mut self, limit: Duration) {
        self.time_limit = limit;
    }

    /// Says whether the coming rounds find themselves cancelled.
    pub fn set_cancelled(&mut self, cancelled: bool) {
        self.cancelled.store(u32::from(cancelled), Ordering::Relaxed);
    }

    fn judge(&self, code: i32) -> Result<()> {
        let text = self.book.take_error();
        match Status::from_code(code) {
            Some(Status::Ok) => Ok(()),
            Some(status) => Err(Error::new(status, text)),
            None => Err(Error::fatal(format_args!("returned the unknown status {code}: {text}"))),
        }
    }

    fn spell(&self, sample: &BzSample) -> Result<Sample> {
        let found = self.book.series(sample.series).and_then(|(at, labels)| {
            let metric = self.manifest.metrics.get(at)?;
            Some((metric, labels))
        });
        let Some((metric, labels)) = found else {
            return Err(Error::fatal(format_args!(
                "wrote to series {}, which is not registered",
                sample.series
            )));
        };
        let value = match metric.kind {
            // SAFETY: every bit pattern is an f64.
            Kind::Gauge => Value::Gauge(unsafe { sample.v.f }),
            // SAFETY: every bit pattern is an f64.
            Kind::Counter if sample.flags & FLOAT != 0 => Value::CounterF64(unsafe { sample.v.f }),
            // SAFETY: every bit pattern is a u64.
            Kind::Counter => Value::Counter(unsafe { sample.v.u }),
        };
        Ok(Sample { metric: metric.name.clone(), labels, value })
    }

    fn end(&mut self) {
        if let (false, Some(destroy)) = (self.instance.is_null(), self.entry.destroy) {
            // SAFETY: create made it, and it is forgotten here.
            unsafe { destroy(std::mem::replace(&mut self.instance, ptr::null_mut())) }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
    }
}
