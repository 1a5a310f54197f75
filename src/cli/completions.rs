//! `assay completions`: a shell's completions, written to stdout.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{args::CommandLine, output};
use assay_model::exit::ExitStatus;

/// Print a shell's completions
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Writes them.
pub fn execute(args: &CompletionsArgs) -> ExitStatus {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "assay", &mut script);
    output::result(&String::from_utf8_lossy(&script), ExitStatus::Done)
}
