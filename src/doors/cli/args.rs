//! The command line's shape: global flags and the list of commands. Commands that do not exist yet are not listed.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{commit, completions, lint, man, packer_install, probe, sweep, validate};
use crate::{config::request, suite::VarSources};

/// Boots AWS machine images, tests them over SSH, stamps them with tags and records the result in git
#[derive(Debug, Parser)]
#[command(name = "assay", version, max_term_width = 110, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes:\n  \
    0  passed, or done\n  \
    1  the command line or a configuration file is wrong; nothing was started\n  \
    2  at least one check failed\n  \
    3  undecided: unreachable, throttled, no capacity, cancelled, credentials\n  \
    4  something that assay created could not be removed\n  \
    5  a state or a git branch moved meanwhile, or the move is not allowed\n  \
    6  there was nothing to do where something was asked for")]
pub struct Cli {
    /// What holds for every command
    #[command(flatten)]
    pub globals: Globals,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, Args)]
pub struct Globals {
    /// The assay.hcl to use; default: the first one in the working folder or above it
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// How results are written to stdout
    #[arg(long, global = true, value_enum, default_value_t, help_heading = "Global options")]
    pub format: Format,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", help_heading = "Global options")]
    pub color: Color,
    /// How much to say on stderr
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "LEVEL",
        env = "ASSAY_LOG",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub log: Log,
}

/// Variables for suites, for the commands without options of their own for them.
#[derive(Debug, Clone, Default, Args)]
pub struct VarFlags {
    /// A file of variables for the suites, YAML or JSON; may be given several times, a later one outweighs an earlier one
    #[arg(long, value_name = "FILE")]
    vars: Vec<PathBuf>,
    /// Variables for the suites, as a text of YAML or JSON; they outweigh those of files
    #[arg(long, value_name = "YAML|JSON")]
    vars_inline: Option<String>,
}

impl VarFlags {
    /// Where the variables come from; paths start from `folder`.
    pub fn sources(&self, folder: &Path) -> VarSources {
        VarSources { folder: folder.to_owned(), files: self.vars.clone(), inline: self.vars_inline.clone() }
    }
}

/// See [`request::Format`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document at the end
    Json,
    /// One JSON document per event and line
    Jsonl,
}

impl From<Format> for request::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Json => Self::Json,
            Format::Jsonl => Self::Jsonl,
        }
    }
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How much to say on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Log {
    /// Nothing
    Off,
    /// Errors only
    Error,
    /// Also what may go wrong
    #[default]
    Warn,
    /// Also each step
    Info,
    /// Also why each step was taken
    Debug,
    /// Everything
    Trace,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boot AMIs, run suites on them, tag them and write manifest and reports
    Validate(Box<validate::ValidateArgs>),
    /// Run suites on machines that answer SSH; no cloud involved
    Probe(probe::ProbeArgs),
    /// Record the AMIs of a manifest in git: candidate file, evidence, annotated tag, one atomic push
    Commit(commit::CommitArgs),
    /// Show what runs have left behind in the cloud, and with --yes remove it
    Sweep(sweep::SweepArgs),
    /// Check assay.hcl and suites; prints every mistake
    Lint(lint::LintArgs),
    /// Everything about Packer
    #[command(subcommand)]
    Packer(PackerCommand),
    /// Print a shell's completions
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man(man::ManArgs),
}

/// `assay packer …`
#[derive(Debug, Subcommand)]
pub enum PackerCommand {
    /// Install this very program as Packer's plugin
    Install(packer_install::InstallArgs),
}
