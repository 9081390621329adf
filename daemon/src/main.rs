//! The program `bartizan`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("plugin-host") => bartizan::plugin_host::run(args),
        _ => ExitCode::from(2),
    }
}
