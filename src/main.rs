//! The `assay` program: picks the entry point and turns its result into an exit code. The prober comes first and by hand, since it must be confined before anything
//! else is done; then Packer's words: its plugin names begin with a dash, which no option parser would take, and `describe` must answer at once.

use std::{env, ffi::OsString, path::Path, process::ExitCode};

use assay::{cli, internal_programs::prober, internal_programs::reaper, packer::plugin};
use assay_model::exit::ExitStatus;

fn main() -> ExitCode {
    if env::args_os().nth(1).is_some_and(|word| word == "prober") {
        return prober::run().into();
    }
    let arguments: Vec<OsString> = env::args_os().collect();
    let rest = arguments.get(1..).unwrap_or_default();
    match plugin::run(rest) {
        Some(exit) => exit,
        None => by_word(rest).unwrap_or_else(|| cli::run(arguments.clone())),
    }
    .into()
}

/// The hidden program that assay starts itself: `reaper --journal DIR`.
fn by_word(rest: &[OsString]) -> Option<ExitStatus> {
    match rest {
        [word, flag, dir] if word == "reaper" && flag == "--journal" => Some(reaper::run(Path::new(dir))),
        _ => None,
    }
}
