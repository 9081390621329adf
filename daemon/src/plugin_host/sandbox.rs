//! What this process may not do, set before any plugin is loaded.

use std::io;

use rustix::{
    process::{
        DumpableBehavior, Resource, Rlimit, Signal, getppid, getrlimit, set_dumpable_behavior,
        set_parent_process_death_signal, setrlimit,
    },
    thread::{set_name, set_no_new_privs},
};

/// Most open files. Plugins hold a few each; one that leaks them meets its own limit.
const FILES_MAX: u64 = 256;

/// Ties this process to `parent`'s life and takes away what plugins do not need. `memory` is
/// how much they may map beyond what is mapped now.
pub(super) fn enter(parent: u64, memory: u64) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the signal was asked for.
    let alive =
        getppid().is_some_and(|pid| u64::try_from(pid.as_raw_nonzero().get()) == Ok(parent));
    if !alive {
        return Err(io::Error::other("the daemon that started it is gone"));
    }
    // Started through /proc it would be called `exe` wherever processes are listed.
    set_name(c"bartizan-plugin")?;
    set_no_new_privs(true)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, FILES_MAX)?;
    limit(Resource::As, mapped()?.saturating_add(memory))?;
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    super::seccomp::filter()?;
    Ok(())
}

/// Lowers a limit, for good; one that is lower already stays.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |already| already.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// How much address space is in use, in bytes.
fn mapped() -> io::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: Option<u64> = statm.split(' ').next().and_then(|pages| pages.parse().ok());
    let pages = pages.ok_or_else(|| io::Error::other("/proc/self/statm has no size"))?;
    Ok(pages.saturating_mul(rustix::param::page_size() as u64))
}
