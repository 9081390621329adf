//! The procedural macros behind `bartizan-plugin`, which exports and explains them.
//!
//! # Invariants
//!
//! - What a macro can judge it refuses while compiling, at the token that is wrong.
//! - An author's crate needs no lint exception for what is generated here, `unsafe_code = "forbid"` included.
//! - Generated code names everything by its full path: it works whatever the author has imported.

use proc_macro::TokenStream;
use syn::parse_macro_input;

mod config;
mod manifest;
mod plugin;

/// Makes a configuration of a struct: how it is read, and the JSON schema that the daemon checks it against.
///
/// It implements `serde::Deserialize` and `Schema`, so do not derive the former as well. A key that the struct does not
/// have is refused. A field that is an `Option` or has a default need not be there; its doc comment is the schema's
/// `description`. An enum without fields becomes a choice of its variants' names in `snake_case`.
///
/// - `#[config(default = "/proc")]`: text, number, boolean, or a list of them
/// - `#[config(default)]` or `#[serde(default)]`: `Default::default()`
/// - `#[config(secret)]`: never shown again once it was entered
///
/// ```
/// use bartizan_plugin::Config;
///
/// #[derive(Config)]
/// struct Config {
///     /// Where the kernel's files are mounted.
///     #[config(default = "/proc")]
///     procfs: std::path::PathBuf,
///     /// Mounts to leave out.
///     #[config(default)]
///     exclude: Vec<String>,
/// }
/// ```
#[proc_macro_derive(Config, attributes(config, serde))]
pub fn derive_config(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as syn::DeriveInput);
    config::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a plugin of a `Collector`: its manifest, the enum `M` of its metrics, and the two exported symbols.
///
/// Name, version, authors and description come from `Cargo.toml`. `config` is the schema of a configuration that does
/// not derive `Config`. A metric is `Variant: kind "name" "unit" ["label", …] "help";`.
///
/// ```text
/// plugin! { Temp,
///     id: "org.example.cpu-temp",                       // unique in the world
///     license: "MIT",                                   // SPDX
///     interval: "5s",                                   // optional, as all below: 500ms, 5s, 1m, 2h
///     timeout: "2s",
///     threads: "single",                                // instances never run at the same time
///     name: "cpu-temp", description: "…",               // instead of what Cargo.toml says
///     config: r#"{"type":"object"}"#,
///     needs { read: ["/sys"], connect: ["tcp:443"], exec: [], caps: [] }
///     metrics {
///         Temp: gauge "cpu_temperature_celsius" "celsius" ["zone"] "CPU temperature" max_series: 64;
///         Reads: counter "cpu_temperature_reads_total" "reads" [] "Readings taken";
///     }
/// }
/// ```
#[proc_macro]
pub fn plugin(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as plugin::Plugin);
    plugin::expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
