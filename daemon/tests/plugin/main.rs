//! The plugin actor with real hosts and hostile plugins: whatever a plugin does, the daemon
//! stays, the reason is told, and the others go on.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

mod faults;
mod files;
mod hosts;
mod world;
