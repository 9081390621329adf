//! The host's side of the black box: who is in which call, and since when.

#![expect(unsafe_code, reason = "the page is shared memory")]

use std::{
    io,
    os::fd::OwnedFd,
    ptr::NonNull,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use rustix::mm::{MapFlags, ProtFlags, mmap};

use super::contract::monotonic_ns;
use crate::plugin::{
    black_box::{LEN, Phase, SLOT},
    frames::INSTANCES_MAX,
};

/// One slot, as [`black_box`](crate::plugin::black_box) lays it out.
#[repr(C, align(64))]
struct Slot {
    instance: AtomicU32,
    phase: AtomicU32,
    since_ns: AtomicU64,
}

const _: () = assert!(size_of::<Slot>() == SLOT && LEN == SLOT * INSTANCES_MAX);

/// The page, mapped for as long as this process lives.
pub(super) struct Notebook {
    slots: &'static [Slot],
    /// A bit for each slot that is somebody's.
    taken: Mutex<u64>,
}

/// An instance's slot.
pub(super) struct Note {
    notebook: &'static Notebook,
    at: usize,
}

impl Notebook {
    /// Maps the page that the daemon sent. Called once; it is never unmapped.
    pub(super) fn open(page: OwnedFd) -> io::Result<&'static Self> {
        let stat = rustix::fs::fstat(&page)?;
        if u64::try_from(stat.st_size).is_ok_and(|size| size < LEN as u64) {
            return Err(io::Error::other("the black box is too small"));
        }
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping, of a file that has this length and is sealed against shrinking.
        let at = unsafe { mmap(std::ptr::null_mut(), LEN, access, flags, &page, 0)? };
        let at = NonNull::new(at.cast::<Slot>()).ok_or(io::Error::other("mapped at zero"))?;
        // SAFETY: the page holds so many slots, is aligned as pages are, stays mapped, and the
        // slots are atomics, so that others may read it.
        let slots = unsafe { std::slice::from_raw_parts(at.as_ptr(), INSTANCES_MAX) };
        Ok(Box::leak(Box::new(Self { slots, taken: Mutex::new(0) })))
    }

    /// A slot for `instance`; none if all are taken.
    pub(super) fn claim(&'static self, instance: u32) -> Option<Note> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (0..self.slots.len()).find(|at| *taken & (1 << at) == 0)?;
        *taken |= 1 << at;
        self.slots.get(at)?.instance.store(instance, Ordering::Relaxed);
        Some(Note { notebook: self, at })
    }
}

impl Note {
    /// Notes what the instance does from now on.
    pub(super) fn set(&self, phase: Phase) {
        let Some(slot) = self.notebook.slots.get(self.at) else { return };
        slot.since_ns.store(monotonic_ns(), Ordering::Relaxed);
        slot.phase.store(phase as u32, Ordering::Release);
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        self.set(Phase::Idle);
        let mut taken = self.notebook.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken &= !(1 << self.at);
    }
}
