//! The calls into a plugin: create, collect, destroy.

#![expect(unsafe_code, reason = "these are the C calls of the plugin contract")]

use std::{ffi::c_void, ptr, sync::atomic::AtomicU32};

use bartizan_plugin::abi::{BzCollect, BzCreateArgs, BzHost, BzSample, BzStr, NO_SERIES, Status};
use rustix::time::{ClockId, clock_gettime};

use super::{callbacks::Context, library::Plugin};
use crate::plugin::frames::{OpenBody, SAMPLES_MAX, verdict};

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub(super) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// How a call ended: the flags of its answer, and a text unless it went well.
pub(super) struct Ended {
    pub(super) status: u16,
    pub(super) text: Vec<u8>,
}

/// What one `collect` is told.
pub(super) struct Round<'a> {
    pub(super) now_unix_ns: i64,
    pub(super) deadline_mono_ns: u64,
    pub(super) cancelled: &'a AtomicU32,
}

/// An instance that the plugin has made. Not `Send`: it stays on its thread.
pub(super) struct Live {
    plugin: &'static Plugin,
    context: &'static Context,
    instance: *mut c_void,
    buffer: Vec<[u64; 2]>,
}

impl Live {
    /// Calls `create`.
    pub(super) fn create(
        plugin: &'static Plugin,
        context: &'static Context,
        host: &'static BzHost,
        open: &OpenBody,
    ) -> Result<Self, Ended> {
        let args = BzCreateArgs {
            size: size_of::<BzCreateArgs>() as u32,
            _r0: 0,
            config_json: BzStr::new(&open.config),
            instance: BzStr::new(&open.instance),
            target: BzStr::new(&open.target),
            interval_ns: open.interval_ns,
        };
        let mut instance = ptr::null_mut();
        let Some(create) = plugin.entry.create else { return Err(Ended::broke("no create")) };
        // SAFETY: `host` lives for ever, `args` and its strings for the call; this is the
        // instance's own thread.
        let status = unsafe { create(host, &args, &mut instance) };
        let ended = context.ended(status);
        if ended.status != 0 {
            return Err(ended);
        }
        let buffer = vec![[0; 2]; SAMPLES_MAX];
        Ok(Self { plugin, context, instance, buffer })
    }

    /// Calls `collect`. If it went well: how many samples found no room, and the samples.
    pub(super) fn collect(&mut self, round: &Round<'_>) -> Result<(u32, &[u8]), Ended> {
        const _: () = assert!(size_of::<BzSample>() == 16 && align_of::<BzSample>() <= 8);
        let buf = self.buffer.as_mut_ptr().cast::<BzSample>();
        let cap = SAMPLES_MAX as u32;
        let mut call = BzCollect {
            size: size_of::<BzCollect>() as u32,
            _r0: 0,
            now_unix_ns: round.now_unix_ns,
            deadline_mono_ns: round.deadline_mono_ns,
            cancelled: round.cancelled,
            buf,
            cap,
            len: 0,
            dropped: 0,
            _r1: 0,
        };
        let Some(collect) = self.plugin.entry.collect else {
            return Err(Ended::broke("no collect"));
        };
        // SAFETY: `instance` is what `create` made and `destroy` has not ended; `call` and its
        // buffer live for the call; this is the instance's own thread.
        let status = unsafe { collect(self.instance, &mut call) };
        let ended = self.context.ended(status);
        if ended.status != 0 {
            return Err(ended);
        }
        if call.buf != buf || call.cap != cap || call.len > cap {
            return Err(Ended::broke("wrote more samples than it was given room for"));
        }
        let len = call.len as usize * size_of::<BzSample>();
        // SAFETY: the buffer is initialised, and `len` bytes of it are within.
        let samples = unsafe { std::slice::from_raw_parts(self.buffer.as_ptr().cast(), len) };
        Ok((call.dropped, samples))
    }

    /// Calls `destroy`.
    pub(super) fn destroy(self) {
        if let Some(destroy) = self.plugin.entry.destroy {
            // SAFETY: as for `collect`, and by value: it is the last call.
            unsafe { destroy(self.instance) };
        }
    }
}

impl Context {
    /// What a status that a call returned means, with the text that the plugin gave it.
    fn ended(&self, code: i32) -> Ended {
        let text = self.take_error();
        match Status::from_code(code) {
            Some(status) => Ended { status: status.code().unsigned_abs() as u16, text },
            None => Ended::broke(&format!("returned status {code}, which does not exist")),
        }
    }
}

impl Ended {
    /// The plugin did what the contract forbids.
    pub(super) fn broke(what: &str) -> Self {
        Self { status: verdict::BROKE_CONTRACT, text: what.as_bytes().to_vec() }
    }
}

const _: () = assert!(SAMPLES_MAX < NO_SERIES as usize);
