//! What an author writes: one type that is born with a configuration and reads on request.

use serde::de::DeserializeOwned;

use crate::{Config, Ctx, Out, Result};

/// Reads one thing, again and again. Blocking is allowed: each instance has a thread of its own.
pub trait Collector: Sized + 'static {
    /// What the administrator may set: derive [`Config`](macro@crate::Config), or take [`NoConfig`].
    type Config: DeserializeOwned;

    /// Makes an instance. Series that are always there are best registered here.
    ///
    /// # Errors
    ///
    /// The [`Error`](crate::Error) says what the daemon does next; any other error means "try again".
    fn new(cfg: Self::Config, ctx: Ctx) -> Result<Self>;

    /// Reads once and writes every sample to `out`, before [`Out::deadline`].
    ///
    /// # Errors
    ///
    /// The [`Error`](crate::Error) says what the daemon does next; any other error means "try again". What was written
    /// before an error does not count.
    fn collect(&mut self, out: &mut Out) -> Result<()>;
}

/// A collector with its manifest: what [`plugin!`](crate::plugin) makes of it.
pub trait Plugin: Collector {
    /// The JSON that stands in the section `.bartizan_manifest`.
    const MANIFEST: &'static [u8];
}

/// A metric of the manifest: [`plugin!`](crate::plugin) makes an enum `M` of them.
pub trait Metric: Copy {
    /// Its position in the manifest.
    fn index(self) -> u32;
}

/// The configuration of a collector that has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Config)]
pub struct NoConfig {}
