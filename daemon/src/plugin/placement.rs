//! Which host an instance lives in, and who is to blame when a host ends: decisions without
//! actors, clocks or processes.

use std::sync::Arc;

use super::process::Exit;

/// Which host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum HostKey {
    /// The one that all bundled files share.
    Bundled {
        /// Hosts take so many instances; more go into the next.
        shard: usize,
    },
    /// The one of a file.
    File {
        /// Name of its plugin and first eight digits of its sha256.
        file: String,
        /// As above.
        shard: usize,
    },
    /// One instance's own.
    Own {
        /// As above.
        file: String,
        /// The instance.
        id: u64,
    },
}

impl HostKey {
    /// Name of the host in the tree.
    pub(super) fn name(&self) -> Arc<str> {
        let name = match self {
            Self::Bundled { shard: 0 } => "host:bundled".to_owned(),
            Self::Bundled { shard } => format!("host:bundled:{shard}"),
            Self::File { file, shard: 0 } => format!("host:{file}"),
            Self::File { file, shard } => format!("host:{file}:{shard}"),
            Self::Own { file, id } => format!("host:{file}:own-{id}"),
        };
        name.into()
    }
}

/// Why a host ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// As asked.
    Stopped,
    /// It could not be started.
    Start(String),
    /// By itself, or from outside.
    Exit(Exit),
    /// Killed by us: an instance stayed in a call beyond its deadline.
    Deadline {
        /// The instance.
        id: u64,
        /// What it was told.
        reason: Arc<str>,
    },
    /// Killed by us: it broke the protocol.
    Protocol {
        /// How.
        reason: Arc<str>,
        /// The instance that it spoke for.
        id: Option<u64>,
    },
}

/// Who pauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Blame {
    /// Nobody: all resume at once.
    Nobody,
    /// This instance; the others resume at once.
    One(u64),
    /// One of these, nobody knows which: each gets a host of its own, at once.
    Several(Vec<u64>),
}

impl Blame {
    /// All of them.
    pub(super) fn ids(&self) -> &[u64] {
        match self {
            Self::Nobody => &[],
            Self::One(id) => std::slice::from_ref(id),
            Self::Several(ids) => ids,
        }
    }
}

/// Who is to blame, given who was in a call and who lived there.
pub(super) fn blame(cause: &Cause, running: &[u64], tenants: &[u64]) -> Blame {
    match cause {
        Cause::Stopped | Cause::Start(_) => Blame::Nobody,
        // No plugin's fault ends like this: somebody killed it from outside.
        Cause::Exit(Exit::Signal(signal)) if *signal == rustix::process::Signal::KILL.as_raw() => {
            Blame::Nobody
        }
        Cause::Deadline { id, .. } | Cause::Protocol { id: Some(id), .. } => Blame::One(*id),
        Cause::Exit(_) | Cause::Protocol { id: None, .. } => match (running, tenants) {
            (&[one], _) | (&[], &[one]) => Blame::One(one),
            (&[], _) => Blame::Nobody,
            (several, _) => Blame::Several(several.to_vec()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_running_is_to_blame() {
        let crash = Cause::Exit(Exit::Signal(11));
        assert_eq!(blame(&crash, &[2], &[1, 2, 3]), Blame::One(2));
        assert_eq!(blame(&crash, &[2, 3], &[1, 2, 3]), Blame::Several(vec![2, 3]));
        assert_eq!(blame(&crash, &[], &[1, 2]), Blame::Nobody);
        assert_eq!(blame(&crash, &[], &[1]), Blame::One(1), "it has nobody to share it with");
    }

    #[test]
    fn a_kill_from_outside_is_nobodys_fault() {
        assert_eq!(blame(&Cause::Exit(Exit::Signal(9)), &[1], &[1]), Blame::Nobody);
        let ours = Cause::Deadline { id: 1, reason: "".into() };
        assert_eq!(blame(&ours, &[1, 2], &[1, 2]), Blame::One(1));
    }
}
