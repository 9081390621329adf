//! Bartizan watches servers. The modules stand in the order of the data:
//!
//! ```text
//!  files ◄─ exchange ─► http, cli
//!  other nodes, Prometheus, scripts ─► http ─► ingest ──┐
//!  exporters ─► scrape ──────────────┐                  ▼
//!  plugin_host ─frames─► plugin ─► collector ─► server ─┬─► store ─► forward ─► hubs, VictoriaMetrics
//!                                                       ├─► detect ─► alert ─► people
//!                                                       └─► live ─► http ─► web
//!  hubs, VictoriaMetrics, what is older than the store ─► history ─► http
//! ```
//!
//! Arrows are data. Start and stop go the other way: the root starts everything
//! and stops it in reverse. Each actor's folder has one shape: `mod.rs` promises
//! and absences, `messages.rs` the interface, `actor.rs` the reactions, other
//! nouns the pure decisions. Another module's `messages` may be named; its
//! `actor` only by whoever spawns it. `tests/tidy.rs` keeps all of this true.

pub mod alert;
pub mod cli;
pub mod collector;
pub mod config;
pub mod detect;
pub mod enrol;
pub mod exchange;
pub mod fleet;
pub mod forward;
pub mod history;
pub mod http;
pub mod ingest;
pub mod live;
pub mod logging;
pub mod manifest;
pub mod plugin;
pub mod plugin_host;
pub mod root;
pub mod scrape;
pub mod series;
pub mod server;
pub mod store;
pub mod supervision;
pub mod systemd;
mod trust;
