//! `assay man`: the manual, one page to stdout or every page to a folder.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::{args::CommandLine, output};
use assay_model::exit::ExitStatus;

/// Print the manual page
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the page of every command to this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Writes it.
pub fn execute(args: &ManArgs) -> ExitStatus {
    if let Some(dir) = &args.dir {
        return match std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(CommandLine::command(), dir)) {
            Ok(()) => ExitStatus::Done,
            Err(error) => {
                output::error(&format!("cannot write the manual to {}: {error}", dir.display()));
                ExitStatus::Usage
            }
        };
    }
    let mut page = Vec::new();
    match clap_mangen::Man::new(CommandLine::command()).render(&mut page) {
        Ok(()) => output::result(&String::from_utf8_lossy(&page), ExitStatus::Done),
        Err(error) => {
            output::error(&format!("cannot write the manual: {error}"));
            ExitStatus::Usage
        }
    }
}
