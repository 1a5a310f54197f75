//! The doors that are not part of this tree yet, each behind one function, so that linking one changes one line.

use std::ffi::OsString;

use crate::exit::Exit;

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
