//! `bartizan plugin`: those a daemon uses, and what a file says of itself.

use std::process::ExitCode;

use clap::Subcommand;
use serde::Deserialize;

use super::{
    Failure, PlaceArguments,
    client::{self, ClientError},
    output::print,
    table,
};

/// What is asked about plugins.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Lists the plugins of the running daemon, and the files it refused.
    List {
        #[command(flatten)]
        places: PlaceArguments,
    },
}

/// The answer to `GET /api/v1/plugins`.
#[derive(Debug, Deserialize)]
struct Plugins {
    plugins: Vec<Plugin>,
    refused: Vec<RefusedFile>,
}

/// A plugin file that is used.
#[derive(Debug, Deserialize)]
struct Plugin {
    id: String,
    name: String,
    version: String,
    path: String,
    instances: u64,
    host_pid: Option<u32>,
}

/// A file that is not used, and why.
#[derive(Debug, Deserialize)]
struct RefusedFile {
    path: String,
    reason: String,
}

/// Answers a question about plugins.
pub(super) fn plugin(command: PluginCommand) -> Result<ExitCode, Failure> {
    match command {
        PluginCommand::List { places } => {
            let state = places.sources().state()?;
            let body = match client::get(&state, "/api/v1/plugins") {
                Err(ClientError::Absent(_)) => return Err(Failure::NoDaemon(state)),
                answer => answer?,
            };
            let plugins: Plugins = serde_json::from_slice(&body)?;
            print(&plugins.list())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Plugins {
    fn list(&self) -> String {
        let head = ["NAME", "VERSION", "INSTANCES", "HOST", "ID", "FILE"];
        let mut rows = vec![head.map(String::from).to_vec()];
        for Plugin { id, name, version, path, instances, host_pid } in &self.plugins {
            let host = host_pid.map_or_else(|| "-".into(), |pid| pid.to_string());
            let row = [name, version, &instances.to_string(), &host, id, path];
            rows.push(row.map(String::clone).to_vec());
        }
        let mut text = table::columns(&rows, false);
        for RefusedFile { path, reason } in &self.refused {
            text.push_str(&format!("refused {path}: {reason}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn used_and_refused_files_are_listed() {
        let plugins: Plugins = serde_json::from_str(
            r#"{"plugins": [{"id": "bartizan.cpu", "name": "cpu", "version": "0.1.0", "description": "",
                 "abi": "1.0", "path": "/p/libbartizan_cpu.so", "sha256": "", "bundled": true,
                 "instances": 1, "host_pid": 42}],
                "refused": [{"path": "/p/notes.so", "reason": "not an ELF file"}]}"#,
        )
        .unwrap();
        assert_eq!(
            plugins.list(),
            "NAME  VERSION  INSTANCES  HOST  ID            FILE\n\
             cpu   0.1.0    1          42    bartizan.cpu  /p/libbartizan_cpu.so\n\
             refused /p/notes.so: not an ELF file\n"
        );
    }
}
