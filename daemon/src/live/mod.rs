//! What happens now, for whoever watches.

pub mod messages;
