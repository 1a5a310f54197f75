//! The `assay` program: picks the door and turns its result into an exit code. Packer's words come first: its plugin names begin with a
//! dash, which no option parser would take, and `describe` must answer at once.

use std::{env, ffi::OsString, process::ExitCode};

use assay::doors::{cli, plugin, seams};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let rest = arguments.get(1..).unwrap_or_default();
    if let Some(exit) = plugin::run(rest) {
        return exit.into();
    }
    match rest.first().and_then(|word| word.to_str()) {
        Some("prober") => seams::prober(&rest[1..]),
        Some("reaper") => seams::reaper(&rest[1..]),
        _ => cli::run(arguments),
    }
    .into()
}
