//! The doors that are not part of this tree yet, each behind one function, so that linking one changes one line.

use std::ffi::OsString;

use crate::exit::Exit;

/// Serves Packer where the arguments (without the program's name) are Packer's; `None` where a person typed them.
pub fn plugin(arguments: &[OsString]) -> Option<Exit> {
    match arguments.first().and_then(|word| word.to_str()) {
        Some(word @ ("describe" | "start")) => Some(not_linked(word)),
        _ => None,
    }
}

/// The prober process.
pub fn prober(_arguments: &[OsString]) -> Exit {
    not_linked("prober")
}

/// The reaper process.
pub fn reaper(_arguments: &[OsString]) -> Exit {
    not_linked("reaper")
}

fn not_linked(what: &str) -> Exit {
    super::cli::output::error(&format!("`assay {what}` is not linked yet"));
    Exit::Usage
}
