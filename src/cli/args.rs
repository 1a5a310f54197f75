//! The command line's shape: global flags and the list of commands. Commands that do not exist yet are not listed.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    build, commit, completions, diff, doctor, iam, lint, man, moves, option_flags::problem, packer_install, plan,
    probe, promote, prune, report, serve, status, sweep, validate, verify,
};
use assay_config::{
    ConfigProblem,
    request::{CommandOutputs, DiffFormat, OutputFormat},
};
use assay_ledger as ledger;
use assay_suite::{NamedBy, SuiteBounds, VarSources};

/// Boots AWS machine images, tests them over SSH, stamps them with tags and records the result in git
#[derive(Debug, Parser)]
#[command(name = "assay", version, long_version = env!("ASSAY_LONG_VERSION"), max_term_width = 110, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes:\n  \
    0  passed, or done\n  \
    1  the command line or a configuration file is wrong; nothing was started\n  \
    2  at least one check failed\n  \
    3  undecided: unreachable, throttled, no capacity, cancelled, credentials\n  \
    4  something that assay created could not be removed\n  \
    5  a state or a git branch moved meanwhile, or the move is not allowed\n  \
    6  there was nothing to do where something was asked for")]
pub struct CommandLine {
    /// What holds for every command
    #[command(flatten)]
    pub globals: GlobalOptions,
    /// What to do
    #[command(subcommand)]
    pub command: CliCommand,
}

/// What holds for every command.
#[derive(Debug, Clone, Args)]
pub struct GlobalOptions {
    /// The assay.hcl to use; default: the first one in the working folder or above it
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Read suites, variables and user data below this folder too, though assay.hcl, a template or a suite names them from within a repository; may be repeated
    #[arg(long = "allow-path", global = true, value_name = "DIR", help_heading = "Global options")]
    pub allowed_paths: Vec<PathBuf>,
    /// Let external suites run as this user, where their run-as names it and assay is root; never root; may be repeated
    #[arg(long = "allow-run-as", global = true, value_name = "USER", help_heading = "Global options")]
    pub allowed_users: Vec<String>,
    /// How results are written: text, json, jsonl; for tests also junit, tap, for diff markdown. To stdout, or to a file as FORMAT=FILE; may be repeated
    #[arg(long = "format", global = true, value_name = "FORMAT[=FILE]", help_heading = "Global options")]
    pub formats: Vec<FormatFlag>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", help_heading = "Global options")]
    pub color: ColorChoice,
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
    pub log: LogFlags,
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
    /// An environment variable that the templates of suites may see; may be given several times
    #[arg(long = "env", value_name = "NAME")]
    environment: Vec<String>,
}

impl VarFlags {
    /// Where the variables come from; paths start from `folder`, and those of the suites are the command line's too.
    pub fn sources(&self, folder: &Path, globals: &GlobalOptions) -> VarSources {
        let named = NamedBy::CommandLine;
        let environment = self.environment.clone();
        let bounds = SuiteBounds { suites: named, vars: named, environment, ..globals.suite_bounds() };
        VarSources { folder: folder.to_owned(), files: self.vars.clone(), inline: self.vars_inline.clone(), bounds }
    }
}

/// `--format FORMAT[=FILE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatFlag {
    format: OutputFormat,
    /// Absent: stdout.
    file: Option<PathBuf>,
    /// `terraform`, which one command alone answers in.
    terraform: bool,
    /// `markdown`, which one command alone answers in.
    markdown: bool,
}

impl FromStr for FormatFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = match text.split_once('=') {
            Some((_, "")) => return Err("names no file after =".to_owned()),
            Some((name, file)) => (name, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let format = match name {
            "text" => OutputFormat::Text,
            "json" => OutputFormat::Json,
            "jsonl" => OutputFormat::Jsonl,
            "junit" => OutputFormat::Junit,
            "tap" => OutputFormat::Tap,
            "terraform" if file.is_none() => {
                return Ok(Self { format: OutputFormat::Text, file, terraform: true, markdown: false });
            }
            "markdown" => return Ok(Self { format: OutputFormat::Text, file, terraform: false, markdown: true }),
            _ => return Err("expected text, json, jsonl, junit or tap, or one of them with =FILE".to_owned()),
        };
        Ok(Self { format, file, terraform: false, markdown: false })
    }
}

impl GlobalOptions {
    /// What suites may read, as far as the command line says it for every command.
    pub fn suite_bounds(&self) -> SuiteBounds {
        SuiteBounds {
            allowed_paths: self.allowed_paths.clone(),
            allowed_users: self.allowed_users.clone(),
            tracked: Some(ledger::tracked_files),
            ..SuiteBounds::default()
        }
    }

    /// Where a test's findings go. Fails where two would go to one place.
    pub fn outputs(&self) -> Result<CommandOutputs, ConfigProblem> {
        self.no_markdown()?;
        let mut outputs = CommandOutputs { stdout: self.stdout()?, files: Vec::new() };
        for flag in &self.formats {
            let Some(file) = &flag.file else { continue };
            if outputs.files.iter().any(|(_, known)| known == file) {
                return Err(problem("--format", format!("writes {} twice", file.display())));
            }
            outputs.files.push((flag.format, file.clone()));
        }
        Ok(outputs)
    }

    /// Where the comparison of two runs goes: text, json, jsonl or markdown, to stdout (`None`) or to files; stdout is text where no flag says otherwise. Fails on
    /// other formats, and where two would go to one place.
    pub fn diff_outputs(&self) -> Result<Vec<(DiffFormat, Option<PathBuf>)>, ConfigProblem> {
        let mut outputs: Vec<(DiffFormat, Option<PathBuf>)> = Vec::new();
        for flag in &self.formats {
            let format = match flag.format {
                _ if flag.markdown => DiffFormat::Markdown,
                OutputFormat::Text if !flag.terraform => DiffFormat::Text,
                OutputFormat::Json => DiffFormat::Json,
                OutputFormat::Jsonl => DiffFormat::Jsonl,
                _ => {
                    return Err(problem(
                        "--format",
                        "expected text, json, jsonl or markdown: this command runs no tests",
                    ));
                }
            };
            if outputs.iter().any(|(_, known)| *known == flag.file) {
                let place = flag.file.as_ref().map_or("stdout".to_owned(), |file| file.display().to_string());
                return Err(problem("--format", format!("writes {place} twice")));
            }
            outputs.push((format, flag.file.clone()));
        }
        if outputs.iter().all(|(_, file)| file.is_some()) {
            outputs.push((DiffFormat::Text, None));
        }
        Ok(outputs)
    }

    /// How a command's answer is written that is no test's finding: text, json or jsonl, to stdout. Fails on anything else.
    pub fn plain_format(&self) -> Result<OutputFormat, ConfigProblem> {
        if let Some(file) = self.formats.iter().find_map(|flag| flag.file.as_ref()) {
            let message = format!("cannot write {}: this command answers on stdout only", file.display());
            return Err(problem("--format", message));
        }
        match self.stdout()? {
            OutputFormat::Junit | OutputFormat::Tap => {
                Err(problem("--format", "expected text, json or jsonl: this command runs no tests"))
            }
            format => Ok(format),
        }
    }

    /// Whether `--format terraform` was given, and nothing else.
    pub fn terraform(&self) -> bool {
        matches!(self.formats.as_slice(), [only] if only.terraform)
    }

    fn no_markdown(&self) -> Result<(), ConfigProblem> {
        match self.formats.iter().any(|flag| flag.markdown) {
            true => Err(problem("--format", "markdown is a format of assay diff alone")),
            false => Ok(()),
        }
    }

    fn stdout(&self) -> Result<OutputFormat, ConfigProblem> {
        self.no_markdown()?;
        if self.formats.iter().any(|flag| flag.terraform) {
            return Err(problem("--format", "terraform is a format of assay iam alone, and of its stdout alone"));
        }
        let mut named = self.formats.iter().filter(|flag| flag.file.is_none());
        let format = named.next().map_or(OutputFormat::Text, |flag| flag.format);
        match named.next() {
            Some(_) => {
                Err(problem("--format", "is given twice for stdout; write the other to a file, like junit=junit.xml"))
            }
            None => Ok(format),
        }
    }
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ColorChoice {
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
pub enum LogFlags {
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
pub enum CliCommand {
    /// Boot AMIs, run suites on them, tag them and write manifest and reports
    Validate(Box<validate::ValidateArgs>),
    /// Run suites on machines that answer SSH; no cloud involved
    Probe(probe::ProbeArgs),
    /// Test machines for others, over TCP with mutual TLS
    Serve(serve::ServeArgs),
    /// Record the AMIs of a manifest in git: candidate file, evidence, annotated tag, one atomic push
    Commit(commit::CommitArgs),
    /// Say which images need a build, and why; asks git, not the cloud
    Plan(plan::PlanArgs),
    /// Build the images that are due, with Packer, one after the other
    Build(build::BuildArgs),
    /// Make a candidate vetted, with the evidence of its full validation; make a vetted run gold
    Promote(promote::PromoteArgs),
    /// Reject a run: it did not pass what it should
    Reject(moves::RejectArgs),
    /// Set a run aside: nothing is wrong with it, and it is not to become gold
    Retire(moves::RetireArgs),
    /// Revoke a run: its AMIs must not be used any more
    Revoke(moves::RevokeArgs),
    /// Go back to what was gold before; what is gold now is retired
    Rollback(moves::RollbackArgs),
    /// Check what git says of the images: locks, their chain and history, evidence, tags
    Verify(verify::VerifyArgs),
    /// Show what is gold, what waits, what is due, and where the cloud disagrees with the lock
    Status(status::StatusArgs),
    /// Show what runs have left behind in the cloud, and with --yes remove it
    Sweep(sweep::SweepArgs),
    /// Look whether a run has what it needs: credentials, rights, networks, git, Packer
    Doctor(doctor::DoctorArgs),
    /// Print the IAM policy of a role, made from assay.hcl
    Iam(Box<iam::IamArgs>),
    /// Show which AMIs are past retention, and with --yes retire them: deprecate, disable, and after the grace period delete
    Prune(prune::PruneArgs),
    /// Say what differs between two runs of an image: packages, kernel, units, ports, accounts, set-id programs, boot time, size
    Diff(Box<diff::DiffArgs>),
    /// Check assay.hcl and suites; prints every mistake
    Lint(lint::LintArgs),
    /// Work with reports
    #[command(subcommand)]
    Report(ReportCommand),
    /// Everything about Packer
    #[command(subcommand)]
    Packer(PackerCommand),
    /// Print a shell's completions
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man(man::ManArgs),
}

/// `assay report …`
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Put the evidence of several runs together, such as the shares of CI containers
    Merge(report::MergeArgs),
}

/// `assay packer …`
#[derive(Debug, Subcommand)]
pub enum PackerCommand {
    /// Install this very program as Packer's plugin
    Install(packer_install::InstallArgs),
}
