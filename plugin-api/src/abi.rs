//! The shapes that cross the border between a plugin and the process that loads it.
//!
//! `include/bartizan_plugin.h` says the same in C; `tests/header.rs` compares the two field by field.
//!
//! # Invariants
//!
//! - The major version is in the name of the symbol, [`SYMBOL`]. Within a major, a struct only grows, at its end.
//! - Every struct that can grow says its size. A reader takes the smaller of that and its own ([`read_prefix`]);
//!   what the other side does not have is zero, and a function that is zero is absent.
//! - Strings are UTF-8, not terminated, and borrowed for the length of one call. Nobody frees the other side's memory.
//! - No function unwinds across this border.
//!
//! Each function names who may call it: `[instance]` is the one thread that all calls of an instance come from,
//! `[any-thread]` is what it says.

#![expect(
    unsafe_code,
    reason = "these shapes are shared with code that no compiler sees together with ours"
)]

use std::{
    ffi::{CStr, c_void},
    mem::{MaybeUninit, offset_of, size_of},
    ptr,
    sync::atomic::AtomicU32,
};

/// Major version: another one has another [`SYMBOL`] and is another contract.
pub const ABI_MAJOR: u32 = 1;

/// Minor version: grows with each addition.
pub const ABI_MINOR: u32 = 0;

/// First word of an entry: the bytes `BARTIZAN` as they lie in memory.
pub const MAGIC: u64 = u64::from_ne_bytes(*b"BARTIZAN");

/// The one symbol that is looked up: a function of type [`BzEntryFn`].
pub const SYMBOL: &CStr = c"bartizan_plugin_v1";

/// What [`SYMBOL`] names. It returns a pointer that is never null and stays valid as long as the library is mapped.
pub type BzEntryFn = unsafe extern "C" fn() -> *const BzEntry;

/// The handle of a series that the host refused; a sample given to it goes nowhere.
pub const NO_SERIES: u32 = u32::MAX;

/// Flag of a sample: the value of this counter is in `f`. For counts that have fractions, such as seconds.
pub const FLOAT: u32 = 1;

/// A borrowed string: UTF-8, not terminated. `len` 0 means empty, whatever `ptr` is.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BzStr {
    /// First byte.
    pub ptr: *const u8,
    /// Length in bytes.
    pub len: usize,
}

/// One label of a series.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BzLabel {
    /// Its name, one of those that the manifest gives the metric.
    pub key: BzStr,
    /// Its value.
    pub val: BzStr,
}

/// A measured value; the kind of the metric decides which member counts, and [`FLOAT`] overrules it.
#[repr(C)]
#[derive(Clone, Copy)]
pub union BzValue {
    /// Of a gauge.
    pub f: f64,
    /// Of a counter: f64 loses counts above 2^53.
    pub u: u64,
    /// Of kinds to come.
    pub i: i64,
}

/// One measured value of one series. Frozen: it never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct BzSample {
    /// Handle that `series` returned.
    pub series: u32,
    /// [`FLOAT`] or zero; a reader ignores what it does not know.
    pub flags: u32,
    /// The value.
    pub v: BzValue,
}

/// One call of `collect`: what the plugin is told, and the array it writes to. Owned by the host.
#[repr(C)]
pub struct BzCollect {
    /// Size of this struct as the host was built.
    pub size: u32,
    /// Zero.
    pub _r0: u32,
    /// Timestamp given to every sample of this round, nanoseconds since 1970.
    pub now_unix_ns: i64,
    /// Be back before this, nanoseconds of `CLOCK_MONOTONIC`.
    pub deadline_mono_ns: u64,
    /// Becomes 1 at the deadline or on shutdown; may be null.
    pub cancelled: *const AtomicU32,
    /// `cap` samples to write to.
    pub buf: *mut BzSample,
    /// Room in `buf`, in samples.
    pub cap: u32,
    /// Samples written; the plugin counts up.
    pub len: u32,
    /// Samples that found no room; the plugin counts up.
    pub dropped: u32,
    /// Zero.
    pub _r1: u32,
}

/// What the host offers one instance. Owned by the host; valid until `destroy` has returned.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct BzHost {
    /// Size of this struct as the host was built.
    pub size: u32,
    /// Minor version of the host.
    pub abi_minor: u32,
    /// The host's own; not for the plugin.
    pub data: *mut c_void,
    /// Writes a line to the daemon's log; the level is a [`Level`]. `[any-thread]`
    pub log: Option<unsafe extern "C" fn(host: *const BzHost, level: u32, text: BzStr)>,
    /// Gives the text for the status that this call will return. `[instance]`
    pub error: Option<unsafe extern "C" fn(host: *const BzHost, text: BzStr)>,
    /// Registers a series and returns its handle; the same labels bring the same handle, a refusal brings
    /// [`NO_SERIES`]. `metric` is a position in the manifest's `metrics`. `[instance]`
    pub series: Option<
        unsafe extern "C" fn(
            host: *const BzHost,
            metric: u32,
            labels: *const BzLabel,
            n: usize,
        ) -> u32,
    >,
    /// Ends a series on purpose; its handle may be given out again. `[instance]`
    pub series_drop: Option<unsafe extern "C" fn(host: *const BzHost, series: u32)>,
    /// Finds an extension by its id; null where the host has none of that name. `[any-thread]`
    pub ext: Option<unsafe extern "C" fn(host: *const BzHost, id: BzStr) -> *const c_void>,
}

/// What an instance is born with. Owned by the host; valid during `create` only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct BzCreateArgs {
    /// Size of this struct as the host was built.
    pub size: u32,
    /// Zero.
    pub _r0: u32,
    /// The instance's configuration: a JSON object that fits the manifest's schema.
    pub config_json: BzStr,
    /// Name of the instance, unique in the daemon.
    pub instance: BzStr,
    /// Name of the server that it watches.
    pub target: BzStr,
    /// Time between two rounds, in nanoseconds.
    pub interval_ns: u64,
}

/// The table a plugin hands over. It lives as long as the library.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct BzEntry {
    /// [`MAGIC`]. Read before any other field.
    pub magic: u64,
    /// Size of this struct as the plugin was built.
    pub size: u32,
    /// Minor version that the plugin was built against.
    pub abi_minor: u32,
    /// The same bytes as the section `.bartizan_manifest`.
    pub manifest: BzStr,
    /// Makes an instance. On [`Status::Ok`] `*instance` is set and belongs to the plugin until `destroy`; on any other
    /// status there is no instance and `destroy` is not called. `[instance]`
    pub create: Option<
        unsafe extern "C" fn(
            host: *const BzHost,
            args: *const BzCreateArgs,
            instance: *mut *mut c_void,
        ) -> i32,
    >,
    /// Reads one round. What it wrote counts only with [`Status::Ok`]. `[instance]`
    pub collect: Option<unsafe extern "C" fn(instance: *mut c_void, round: *mut BzCollect) -> i32>,
    /// Ends the instance. Called once, last. `[instance]`
    pub destroy: Option<unsafe extern "C" fn(instance: *mut c_void)>,
    /// Finds an extension of the plugin by its id; null where it has none of that name. `[any-thread]`
    pub ext: Option<unsafe extern "C" fn(id: BzStr) -> *const c_void>,
}

// SAFETY: an entry is a table that nobody writes; its pointers lead to what lives as long as the library.
unsafe impl Sync for BzEntry {}

/// What `create` and `collect` return. The code drives supervision; the text is for people.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All is well.
    Ok = 0,
    /// The target is down. This is data, not a fault of the plugin.
    Unavailable = 1,
    /// Transient; counted, the schedule is unchanged.
    Retry = 2,
    /// Stop until the configuration changes.
    Config = 3,
    /// A permission is missing.
    Permission = 4,
    /// This machine has no such thing; park silently.
    Unsupported = 5,
    /// Destroy and create again, with back-off.
    Fatal = 6,
    /// The plugin panicked and caught it; as `Fatal`, and counted apart.
    Panic = 7,
}

impl Status {
    /// Every status, in the order of its code.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Unavailable,
        Self::Retry,
        Self::Config,
        Self::Permission,
        Self::Unsupported,
        Self::Fatal,
        Self::Panic,
    ];

    /// The code that crosses the border.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// The status with this code; none for a code that this minor does not know.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

/// How much a log line matters.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something failed and somebody should look.
    Error = 1,
    /// Something is odd; the collector goes on.
    Warn = 2,
    /// Worth knowing once.
    Info = 3,
    /// For whoever looks for a fault.
    Debug = 4,
    /// For whoever writes the plugin.
    Trace = 5,
}

impl Level {
    /// The level with this code; a code that nobody knows is the least important one.
    #[must_use]
    pub fn from_code(code: u32) -> Self {
        match code {
            1 => Self::Error,
            2 => Self::Warn,
            3 => Self::Info,
            4 => Self::Debug,
            _ => Self::Trace,
        }
    }
}

impl BzStr {
    /// Lends a string.
    #[must_use]
    pub const fn new(text: &str) -> Self {
        Self { ptr: text.as_ptr(), len: text.len() }
    }

    /// The bytes it points to: the other side may not have kept its promise of UTF-8.
    ///
    /// # Safety
    ///
    /// `ptr` is null, or points to `len` bytes that live and do not change for `'a`.
    #[must_use]
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() || self.len == 0 {
            return &[];
        }
        // SAFETY: the caller's promise, and the pointer is not null.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

/// A struct that says its own size and can grow.
///
/// # Safety
///
/// The type is `repr(C)`, its size is a multiple of 8, it has a `u32` size at `SIZE_AT`, and all zeros is a value of it.
pub unsafe trait Growing: Copy {
    /// Where the size stands, in bytes from the start.
    const SIZE_AT: usize;
}

// SAFETY: repr(C), the offsets are asserted below, pointers and functions may be null.
unsafe impl Growing for BzHost {
    const SIZE_AT: usize = 0;
}
// SAFETY: as above.
unsafe impl Growing for BzCreateArgs {
    const SIZE_AT: usize = 0;
}
// SAFETY: as above.
unsafe impl Growing for BzEntry {
    const SIZE_AT: usize = offset_of!(BzEntry, size);
}

/// Copies the part of `*from` that both sides know; the rest is zero.
///
/// # Safety
///
/// `from` is not null, is aligned, and points to as many readable bytes as its size says, and at least to that size.
#[must_use]
pub unsafe fn read_prefix<T: Growing>(from: *const T) -> T {
    let mut copy = MaybeUninit::<T>::zeroed();
    // SAFETY: by the caller's promise the size can be read, and as many bytes as it says; the copy is as long as the
    // shorter of the two. All zeros is a value of `T`, and so is one whose tail is zero: fields are cut whole because
    // no field crosses a multiple of 8.
    unsafe {
        let size = from.cast::<u8>().add(T::SIZE_AT).cast::<u32>().read() as usize;
        let known = size.min(size_of::<T>()) & !7;
        ptr::copy_nonoverlapping(from.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), known);
        copy.assume_init()
    }
}

macro_rules! assert_layout {
    ($type:ty, $size:literal, { $($field:ident: $at:literal),+ $(,)? }) => {
        const _: () = {
            assert!(size_of::<$type>() == $size);
            $(assert!(offset_of!($type, $field) == $at);)+
        };
    };
}

// A machine of another word size has another contract; plugins are built for 64 bits.
const _: () = assert!(size_of::<usize>() == 8);
assert_layout!(BzStr, 16, { ptr: 0, len: 8 });
assert_layout!(BzLabel, 32, { key: 0, val: 16 });
assert_layout!(BzValue, 8, { f: 0, u: 0, i: 0 });
assert_layout!(BzSample, 16, { series: 0, flags: 4, v: 8 });
assert_layout!(BzCollect, 56, {
    size: 0, _r0: 4, now_unix_ns: 8, deadline_mono_ns: 16, cancelled: 24, buf: 32, cap: 40, len: 44, dropped: 48, _r1: 52,
});
assert_layout!(BzHost, 56, {
    size: 0, abi_minor: 4, data: 8, log: 16, error: 24, series: 32, series_drop: 40, ext: 48,
});
assert_layout!(BzCreateArgs, 64, {
    size: 0, _r0: 4, config_json: 8, instance: 24, target: 40, interval_ns: 56,
});
assert_layout!(BzEntry, 64, {
    magic: 0, size: 8, abi_minor: 12, manifest: 16, create: 32, collect: 40, destroy: 48, ext: 56,
});
