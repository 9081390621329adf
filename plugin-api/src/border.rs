//! The border itself: the functions that a host calls, and the calls to the host.
//!
//! # Invariants
//!
//! - Every function that a host calls catches what its inside panics with, the drop of an author's type included.
//! - A [`HostRef`] is reachable only through a [`Ctx`], which forgets it before the host may free it.
//! - No reference is made to memory of the other side that may be shorter than we think: it is copied, as far as known.

#![expect(unsafe_code, reason = "raw pointers are what a C ABI consists of")]

use std::{
    any::Any,
    ffi::c_void,
    mem::{self, MaybeUninit, size_of},
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use crate::{
    abi::{
        ABI_MINOR, BzCollect, BzCreateArgs, BzEntry, BzHost, BzLabel, BzSample, BzStr, Level,
        MAGIC, NO_SERIES, Status, read_prefix,
    },
    collector::{Collector, Plugin},
    context::Ctx,
    error::{Error, Result},
    manifest::MAX_LABELS,
    round::Out,
};

/// `bz_collect` of the first minor, the shortest there can be.
const ROUND_BYTES: usize = size_of::<BzCollect>();

/// The host that an instance was given, and the part of it that we know.
#[derive(Clone, Copy)]
pub(crate) struct HostRef {
    at: *const BzHost,
    known: BzHost,
}

impl HostRef {
    /// # Safety
    ///
    /// `at` is a host of any minor, and lives for as long as this is reachable.
    unsafe fn new(at: *const BzHost) -> Self {
        // SAFETY: the caller's promise.
        Self { at, known: unsafe { read_prefix(at) } }
    }

    pub(crate) fn log(self, level: Level, text: &str) {
        if let Some(log) = self.known.log {
            // SAFETY: the host lives, see the invariants; the text lives for the call.
            unsafe { log(self.at, level as u32, BzStr::new(text)) }
        }
    }

    fn error(self, text: &str) {
        if let Some(error) = self.known.error {
            // SAFETY: as above, on the instance's thread.
            unsafe { error(self.at, BzStr::new(text)) }
        }
    }

    pub(crate) fn series(self, metric: u32, labels: &[(&str, &str)]) -> u32 {
        let Some(series) = self.known.series else { return NO_SERIES };
        let mut lent = [BzLabel { key: BzStr::new(""), val: BzStr::new("") }; MAX_LABELS];
        let Some(lent) = lent.get_mut(..labels.len()) else {
            self.log(Level::Error, &format!("refused a series with {} labels", labels.len()));
            return NO_SERIES;
        };
        for (place, (key, val)) in lent.iter_mut().zip(labels) {
            *place = BzLabel { key: BzStr::new(key), val: BzStr::new(val) };
        }
        // SAFETY: as above; the labels live for the call.
        unsafe { series(self.at, metric, lent.as_ptr(), lent.len()) }
    }

    pub(crate) fn series_drop(self, handle: u32) {
        if let Some(series_drop) = self.known.series_drop {
            // SAFETY: as above.
            unsafe { series_drop(self.at, handle) }
        }
    }
}

/// What `*instance` points to.
struct Instance<C> {
    collector: C,
    ctx: Ctx,
}

/// The entry of a plugin, over the bytes of its section.
#[must_use]
pub const fn entry<C: Plugin>(manifest: &'static [u8]) -> BzEntry {
    BzEntry {
        magic: MAGIC,
        size: size_of::<BzEntry>() as u32,
        abi_minor: ABI_MINOR,
        manifest: BzStr { ptr: manifest.as_ptr(), len: manifest.len() },
        create: Some(create::<C>),
        collect: Some(collect::<C>),
        destroy: Some(destroy::<C>),
        ext: None,
    }
}

/// # Safety
///
/// The contract of [`BzEntry::create`].
unsafe extern "C" fn create<C: Collector>(
    host: *const BzHost,
    args: *const BzCreateArgs,
    instance: *mut *mut c_void,
) -> i32 {
    // SAFETY: the host lives until destroy has returned, and both structs say their size.
    let (host, args) = unsafe { (HostRef::new(host), read_prefix(args)) };
    // SAFETY: the strings live for this call.
    let (config, name, target) =
        unsafe { (args.config_json.bytes(), args.instance.bytes(), args.target.bytes()) };
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let ctx = Ctx::new(host, text(name), text(target), Duration::from_nanos(args.interval_ns));
    let made = guarded(|| {
        let cfg = serde_json::from_slice(config).map_err(Error::config)?;
        let collector = C::new(cfg, ctx.clone())?;
        Ok(Box::new(Instance { collector, ctx: ctx.clone() }))
    });
    match made {
        Ok(made) => {
            // SAFETY: the host gives room for one pointer.
            unsafe { *instance = Box::into_raw(made).cast() };
            Status::Ok.code()
        }
        Err(error) => {
            ctx.end();
            host.error(error.text());
            error.status().code()
        }
    }
}

/// # Safety
///
/// The contract of [`BzEntry::collect`].
unsafe extern "C" fn collect<C: Collector>(instance: *mut c_void, round: *mut BzCollect) -> i32 {
    // SAFETY: create made it, and nobody else is in a call with it.
    let Instance { collector, ctx } = unsafe { &mut *instance.cast::<Instance<C>>() };
    let read = guarded(|| {
        // SAFETY: every bz_collect begins with its size.
        if (unsafe { (*round).size } as usize) < ROUND_BYTES {
            return Err(Error::fatal("the host's bz_collect is shorter than that of ABI 1.0"));
        }
        // SAFETY: it is as long as ours, and the host leaves it to us for this call.
        let round = unsafe { &mut *round };
        let room: &mut [MaybeUninit<BzSample>] = if round.buf.is_null() {
            &mut []
        } else {
            // SAFETY: the host gives room for `cap` samples.
            unsafe { std::slice::from_raw_parts_mut(round.buf.cast(), round.cap as usize) }
        };
        let cap = room.len();
        let mut out = Out {
            free: room.iter_mut(),
            dropped: 0,
            now_unix_ns: round.now_unix_ns,
            deadline: instant_of(round.deadline_mono_ns),
            // SAFETY: null or a flag that lives for this call.
            cancelled: unsafe { round.cancelled.as_ref() },
        };
        let read = collector.collect(&mut out);
        // Room is counted in 32 bits, so what was written of it fits.
        round.len = (cap - out.free.len()) as u32;
        round.dropped = out.dropped;
        read
    });
    match read {
        Ok(()) => Status::Ok.code(),
        Err(error) => {
            if let Some(host) = ctx.host() {
                host.error(error.text());
            }
            error.status().code()
        }
    }
}

/// # Safety
///
/// The contract of [`BzEntry::destroy`].
unsafe extern "C" fn destroy<C: Collector>(instance: *mut c_void) {
    // SAFETY: create made it, and this is the last call.
    let Instance { collector, ctx } = *unsafe { Box::from_raw(instance.cast::<Instance<C>>()) };
    let dropped = guarded(|| {
        drop(collector);
        Ok(())
    });
    if let (Err(error), Some(host)) = (dropped, ctx.host()) {
        host.log(Level::Error, &format!("panicked in destroy: {}", error.text()));
    }
    ctx.end();
}

/// Runs an author's code; a panic becomes an error with its message.
fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result,
        Err(payload) => {
            let error = Error::new(Status::Panic, panic_text(&*payload));
            // Its own drop may panic, and nobody is left to catch that.
            mem::forget(payload);
            Err(error)
        }
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "panicked without a message"
    }
}

/// The moment at which `CLOCK_MONOTONIC` will show this; now, where it has passed.
fn instant_of(mono_ns: u64) -> Instant {
    let now = Instant::now();
    let left = Duration::from_nanos(mono_ns.saturating_sub(monotonic_ns()));
    // A host without a limit may name the end of time.
    now.checked_add(left).unwrap_or(now + Duration::from_secs(3600))
}

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock of [`BzCollect::deadline_mono_ns`].
pub(crate) fn monotonic_ns() -> u64 {
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        nanoseconds: i64,
    }
    // Std links the C library on every machine that loads plugins, but does not show this clock's number.
    unsafe extern "C" {
        fn clock_gettime(clock: i32, into: *mut Timespec) -> i32;
    }
    const CLOCK_MONOTONIC: i32 = 1;
    let mut now = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: it writes to what it is given; this clock is always there, and where it is not, zero stays.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &raw mut now) };
    now.seconds
        .unsigned_abs()
        .saturating_mul(1_000_000_000)
        .saturating_add(now.nanoseconds.unsigned_abs())
}
