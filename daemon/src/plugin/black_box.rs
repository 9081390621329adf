//! The page in which a plugin host notes who is running, read after its death.
//!
//! A memfd of one page per host, shared with it: a slot for each instance, written
//! before and after each call into the plugin. The daemon reads it with `pread`, so
//! that nothing a dying host wrote there can hurt anybody.

use std::{io, os::fd::OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use super::frames::{INSTANCES_MAX, u32_at, u64_at};

/// Length of a slot: `instance: u32, phase: u32, since: u64`, then nothing up to a cache line.
pub(crate) const SLOT: usize = 64;

/// Length of the page.
pub(crate) const LEN: usize = SLOT * INSTANCES_MAX;

/// What an instance is doing, as the host notes it.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing.
    Idle = 0,
    /// Its file is being loaded: constructors run.
    Load = 1,
    /// In `create`.
    Create = 2,
    /// In `collect`.
    Collect = 3,
    /// In `destroy`.
    Destroy = 4,
}

impl Phase {
    fn from_code(code: u32) -> Option<Self> {
        use Phase::*;
        [Load, Create, Collect, Destroy].into_iter().find(|phase| *phase as u32 == code)
    }

    /// As it stands in a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "nothing",
            Self::Load => "load",
            Self::Create => "create",
            Self::Collect => "collect",
            Self::Destroy => "destroy",
        }
    }
}

/// An instance that was in the middle of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Running {
    /// Its number in the host.
    pub(crate) instance: u32,
    /// The call.
    pub(crate) phase: Phase,
    /// When it began, nanoseconds of `CLOCK_MONOTONIC`, if the host is to be believed.
    pub(crate) since_ns: u64,
}

/// The daemon's hold on the page.
#[derive(Debug)]
pub(crate) struct BlackBox {
    file: OwnedFd,
}

impl BlackBox {
    /// A new page, all idle. It cannot change its size, so a host that maps it is never
    /// surprised.
    pub(crate) fn create() -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("bartizan-black-box", flags)?;
        ftruncate(&file, LEN as u64)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(Self { file })
    }

    /// The descriptor, to be sent to the host.
    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Who is in the middle of a call.
    pub(crate) fn running(&self) -> Vec<Running> {
        let mut page = [0; LEN];
        // A page that cannot be read blames nobody.
        let read = rustix::io::pread(&self.file, &mut page, 0).unwrap_or(0);
        let slots = page.get(..read).unwrap_or_default().chunks_exact(SLOT);
        slots
            .filter_map(|slot| {
                let phase = Phase::from_code(u32_at(slot, 4))?;
                Some(Running { instance: u32_at(slot, 0), phase, since_ns: u64_at(slot, 8) })
            })
            .collect()
    }
}
