//! The process that plugins run in: `bartizan plugin-host`, started by the daemon.
//!
//! ```text
//!  daemon ══ socket (stdin) ══► main thread ──► one thread per instance ──► C calls
//!                     ▲                                │        │
//!                     └──────── outbox: one write ◄────┘        └─ notes in the black box
//! ```
//!
//! # Invariants
//!
//! - All calls of an instance come from its one thread; a library is never unloaded.
//! - Before each call its instance and phase stand in the black box, so that the daemon
//!   knows who was running when this process died.
//! - This process ends with the daemon: by the death signal of its parent, and by the end of
//!   the socket. It ends by SIGKILL, because exit handlers of plugins are foreign code.
//! - No runtime, no configuration, no log of its own: what plugins say goes to the daemon.
//! - The only `unsafe` of the daemon is here, in the files that say so at their top.

mod callbacks;
mod contract;
mod instance;
mod library;
mod notebook;
mod outbox;
mod sandbox;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod seccomp;
mod talk;

use std::process::ExitCode;

/// Runs a plugin host until its daemon is gone. `args` are those after `plugin-host`: the
/// process id of the daemon, and how many bytes plugins may map.
///
/// To be called before anything else has been started: it must stay one thread until it has
/// shut itself in.
pub fn run(args: impl IntoIterator<Item = String>) -> ExitCode {
    let mut args = args.into_iter().map(|number| number.parse::<u64>());
    let (Some(Ok(parent)), Some(Ok(memory)), None) = (args.next(), args.next(), args.next()) else {
        eprintln!("bartizan: plugin-host is started by the daemon, not by hand");
        return ExitCode::from(2);
    };
    match sandbox::enter(parent, memory)
        .map_err(|error| error.to_string())
        .and_then(|()| talk::talk())
    {
        Ok(never) => match never {},
        Err(reason) => {
            eprintln!("bartizan: plugin host: {reason}");
            ExitCode::FAILURE
        }
    }
}
