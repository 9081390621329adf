//! Names of targets, looked up by the system, a few at a time.
//!
//! A look-up holds a thread until the system gives up, long after a reading has. Without a limit, a thousand targets
//! and a name server that is down would hold every thread that others wait for too.

use std::{
    io,
    net::ToSocketAddrs,
    sync::{Arc, LazyLock},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Threads that look names up at the same time, at most.
const AT_ONCE: usize = 16;

/// Of all targets together.
static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_ONCE)));

/// Looks up names when it is their turn.
#[derive(Debug)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let turn = TURNS.clone().acquire_owned().await?;
            let found = spawn_blocking(move || {
                // Kept until the system has answered, whether or not anybody still waits for it.
                let _turn = turn;
                (name.as_str(), 0).to_socket_addrs()
            });
            let found: Addrs = Box::new(found.await.map_err(io::Error::other)??);
            Ok(found)
        })
    }
}
