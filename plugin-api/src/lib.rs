//! What a Bartizan collector plugin is: the C ABI, the Rust trait, the manifest and a test host.
//!
//! ```text
//!  your crate ── plugin!{} ──► plugin.so ──┬── section .bartizan_manifest   read without running anything
//!  (Collector, Config)                     └── symbol bartizan_plugin_v1    create, collect, destroy
//! ```
//!
//! An author implements [`Collector`], describes it with [`plugin!`](crate::plugin) and tests it with
//! [`testing::Host`]; `README.md` goes through it in ten minutes. The process that loads plugins needs only [`abi`]
//! and [`manifest`].
//!
//! # Invariants
//!
//! - No panic of an author's code leaves the plugin: it is caught inside, and becomes [`abi::Status::Panic`]. A plugin
//!   built with `panic = "abort"` cannot keep this promise; the process that loads it is there for that.
//! - All calls of one instance come from one thread. [`Ctx`] cannot leave it.
//! - `collect` allocates nothing: a sample is 16 bytes written into the host's array.
//! - This crate names std and serde, and nothing of the daemon.
//!
//! # A collector
//!
//! ```standalone_crate
//! use bartizan_plugin::{Collector, Config, Ctx, Out, Result, Series, plugin};
//!
//! #[derive(Config)]
//! pub struct Config {
//!     /// File that holds thousandths of a degree.
//!     #[config(default = "/sys/class/thermal/thermal_zone0/temp")]
//!     path: std::path::PathBuf,
//! }
//!
//! pub struct Temp {
//!     cfg: Config,
//!     temp: Series,
//! }
//!
//! impl Collector for Temp {
//!     type Config = Config;
//!     fn new(cfg: Config, ctx: Ctx) -> Result<Self> {
//!         Ok(Temp { cfg, temp: ctx.series(M::Temp, &[]) })
//!     }
//!     fn collect(&mut self, out: &mut Out) -> Result<()> {
//!         let milli: f64 = std::fs::read_to_string(&self.cfg.path)?.trim().parse()?;
//!         out.gauge(self.temp, milli / 1000.0);
//!         Ok(())
//!     }
//! }
//!
//! plugin! { Temp, id: "org.example.cpu-temp", license: "MIT", interval: "5s",
//!     metrics { Temp: gauge "cpu_temperature_celsius" "celsius" [] "CPU temperature"; } }
//! # fn main() {}
//! ```

// The derive names this crate as its users do.
extern crate self as bartizan_plugin;

pub mod abi;
mod border;
mod collector;
mod context;
mod error;
pub mod manifest;
mod round;
mod schema;
pub mod testing;
#[cfg(test)]
mod tests;

pub use bartizan_plugin_macros::{Config, plugin};
pub use collector::{Collector, Metric, NoConfig, Plugin};
pub use context::{Ctx, Series};
pub use error::{Error, Result};
pub use round::Out;
pub use schema::{Json, Schema};

/// What the macros' code calls; not for anybody else, and it may change with any release.
#[doc(hidden)]
pub mod macro_support {
    pub use crate::{
        border::entry,
        schema::{json_len, render},
    };
    pub use serde;
}
