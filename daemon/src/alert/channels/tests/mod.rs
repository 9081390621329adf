//! Channels against servers that do as they are told. Limits are short here, and only they are waited for.

mod email;
mod server;
mod sms;
mod tls;
mod webhook;

use std::time::Duration;

use super::Limits;

/// Short, and the one clearly shorter than the other.
const LIMITS: Limits = Limits { attempt: Duration::from_secs(3), silence: Duration::from_secs(1) };
