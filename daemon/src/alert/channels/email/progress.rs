//! How far a conversation with a mail server has come.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::Relaxed},
};

/// What is done at present; the later, the further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Connecting.
    Reach,
    /// Waiting for its greeting, and for what it offers.
    Greet,
    /// Beginning encryption.
    Encrypt,
    /// Showing the password.
    LogIn,
    /// Naming the sender.
    Sender,
    /// Naming the recipient.
    Recipient,
    /// Asking whether it takes a mail now.
    Data,
    /// Sending the mail.
    HandOver,
    /// All of it is sent; its answer decides.
    HandedOver,
}

const STEPS: [Step; 9] = [
    Step::Reach,
    Step::Greet,
    Step::Encrypt,
    Step::LogIn,
    Step::Sender,
    Step::Recipient,
    Step::Data,
    Step::HandOver,
    Step::HandedOver,
];

impl Step {
    /// What the server was to do, in words that follow "did not".
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Reach => "take the connection",
            Self::Greet => "greet",
            Self::Encrypt => "begin encryption",
            Self::LogIn => "answer the password",
            Self::Sender => "answer the sender",
            Self::Recipient => "answer the recipient",
            Self::Data => "ask for the mail",
            Self::HandOver => "take the whole mail",
            Self::HandedOver => "say whether it took the mail",
        }
    }
}

/// The step of a conversation, known to the stream as well, which waits longer at the last one.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<AtomicU8>);

impl Progress {
    pub(super) fn step(&self) -> Step {
        STEPS[usize::from(self.0.load(Relaxed)).min(STEPS.len() - 1)]
    }

    pub(super) fn reach(&self, step: Step) {
        self.0.store(step as u8, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_read_as_it_was_written() {
        let progress = Progress::default();
        for step in STEPS {
            progress.reach(step);
            assert_eq!(progress.step(), step);
        }
    }
}
