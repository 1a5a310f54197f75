//! `assay man`: the manual, one page to stdout or every page to a folder.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::{args::Cli, output};
use assay_model::exit::Exit;

/// Print the manual page
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the page of every command to this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Writes it.
pub fn execute(args: &ManArgs) -> Exit {
    if let Some(dir) = &args.dir {
        return match std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir)) {
            Ok(()) => Exit::Done,
            Err(error) => {
                output::error(&format!("cannot write the manual to {}: {error}", dir.display()));
                Exit::Usage
            }
        };
    }
    let mut page = Vec::new();
    match clap_mangen::Man::new(Cli::command()).render(&mut page) {
        Ok(()) => output::result(&String::from_utf8_lossy(&page), Exit::Done),
        Err(error) => {
            output::error(&format!("cannot write the manual: {error}"));
            Exit::Usage
        }
    }
}
