//! Takes away the system calls by which a plugin would reach beyond its process.
//!
//! # Invariants
//!
//! - No other process is made: neither by fork, which SIGKILL to this one would leave
//!   behind, nor by exec. Threads are.
//! - No other process is sent a signal, traced, written to or limited: the daemon has
//!   the same user as its hosts.
//! - It cannot be undone. A machine of another architecture than those known here, or
//!   a kernel without seccomp, goes without it.

#![expect(unsafe_code, reason = "the kernel takes its filter by a pointer")]

use std::{ffi::c_int, io};

use rustix::{io::Errno, process::getpid};

/// Numbers of system calls, from the kernel's tables.
#[cfg(target_arch = "x86_64")]
mod calls {
    pub(super) const ARCH: u32 = 0xc000_003e;
    pub(super) const CLONE: u32 = 56;
    /// fork, vfork, execve, execveat; ptrace, tkill, the queueing of signals, signals by
    /// pidfd, process_vm_writev.
    pub(super) const REFUSED: [u32; 10] = [57, 58, 59, 322, 101, 200, 129, 297, 424, 311];
    pub(super) const KILL: [u32; 2] = [62, 234];
    pub(super) const PRLIMIT: u32 = 302;
}
#[cfg(target_arch = "aarch64")]
mod calls {
    pub(super) const ARCH: u32 = 0xc000_00b7;
    pub(super) const CLONE: u32 = 220;
    /// execve, execveat; ptrace, tkill, the queueing of signals, signals by pidfd,
    /// process_vm_writev.
    pub(super) const REFUSED: [u32; 8] = [221, 281, 117, 130, 138, 240, 424, 271];
    pub(super) const KILL: [u32; 2] = [129, 131];
    pub(super) const PRLIMIT: u32 = 261;
}

const CLONE3: u32 = 435;
const CLONE_THREAD: u32 = 0x0001_0000;
/// From here on x86's second table of the same calls.
const SECOND_TABLE: u32 = 0x4000_0000;

const PR_SET_SECCOMP: c_int = 22;
const SECCOMP_MODE_FILTER: usize = 2;

/// Offsets in the kernel's `seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const IF_BITS: u16 = 0x45;
const RETURN: u16 = 0x06;

const ALLOW: Step = Step { code: RETURN, yes: 0, no: 0, value: 0x7fff_0000 };

/// The kernel's `sock_filter`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Step {
    code: u16,
    yes: u8,
    no: u8,
    value: u32,
}

/// The kernel's `sock_fprog`.
#[repr(C)]
struct Program {
    len: u16,
    steps: *const Step,
}

unsafe extern "C" {
    fn prctl(option: c_int, ...) -> c_int;
}

/// Sets the filter for this process, which must still be one thread and have given up
/// new privileges.
pub(super) fn filter() -> io::Result<()> {
    let steps = program(getpid().as_raw_nonzero().get().cast_unsigned());
    let len = u16::try_from(steps.len()).map_err(io::Error::other)?;
    let program = Program { len, steps: steps.as_ptr() };
    // SAFETY: the kernel copies the program, whose steps live until the call is over.
    let done = unsafe { prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &raw const program) };
    let error = io::Error::last_os_error();
    let is_unknown = Errno::from_io_error(&error) == Some(Errno::INVAL);
    if done == 0 || is_unknown { Ok(()) } else { Err(error) }
}

fn program(own: u32) -> Vec<Step> {
    let refuse = refuse(Errno::PERM);
    let mut steps = vec![
        step(LOAD, ARCHITECTURE, 0, 0),
        step(IF_EQUAL, calls::ARCH, 1, 0),
        refuse,
        step(LOAD, NUMBER, 0, 0),
        step(IF_AT_LEAST, SECOND_TABLE, 0, 1),
        refuse,
    ];
    for call in calls::REFUSED {
        steps.extend([step(IF_EQUAL, call, 0, 1), refuse]);
    }
    // Its flags stand in memory, where a filter cannot look; libc goes on with clone.
    steps.extend([step(IF_EQUAL, CLONE3, 0, 1), self::refuse(Errno::NOSYS)]);
    let first_argument = |call, condition: &[Step]| {
        let skip = condition.len() as u8 + 3;
        let begin = [step(IF_EQUAL, call, 0, skip), step(LOAD, FIRST_ARGUMENT, 0, 0)];
        [&begin, condition, &[ALLOW, refuse]].concat()
    };
    steps.extend(first_argument(calls::CLONE, &[step(IF_BITS, CLONE_THREAD, 0, 1)]));
    for call in calls::KILL {
        steps.extend(first_argument(call, &[step(IF_EQUAL, own, 0, 1)]));
    }
    let own_limits = [step(IF_EQUAL, 0, 1, 0), step(IF_EQUAL, own, 0, 1)];
    steps.extend(first_argument(calls::PRLIMIT, &own_limits));
    steps.push(ALLOW);
    steps
}

const fn step(code: u16, value: u32, yes: u8, no: u8) -> Step {
    Step { code, yes, no, value }
}

fn refuse(error: Errno) -> Step {
    step(RETURN, 0x0005_0000 | error.raw_os_error().cast_unsigned(), 0, 0)
}
