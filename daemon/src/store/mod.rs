//! The store: a log, sealed segments, and sled as their catalogue.

pub mod messages;
