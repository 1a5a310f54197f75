//! From arguments to an exit code: parse, set up colour and logging, hand over to the command.

use std::{ffi::OsString, fmt::Display, path::PathBuf};

use clap::{Parser, error::ErrorKind};
use tracing_subscriber::EnvFilter;

use super::{
    args::{CliCommand, ColorChoice, CommandLine, GlobalOptions, LogFlags, PackerCommand, ReportCommand},
    build, commit, completions, diff, doctor, iam, lint, man, moves, output, packer_install, plan, probe, promote,
    prune, report, serve, status, sweep, validate, verify,
};
use assay_config::{ConfigProblem, request::OutputFormat};
use assay_model::exit::ExitStatus;

/// Runs the command that `arguments` (with the program's name first) ask for.
pub fn run(arguments: Vec<OsString>) -> ExitStatus {
    match CommandLine::try_parse_from(arguments) {
        Ok(cli) => {
            colour(cli.globals.color);
            log(&cli.globals);
            command(cli.command, &cli.globals)
        }
        Err(error) => refused(&error),
    }
}

/// Help and version are answers; all else that clap refuses is wrong usage, which is 1 here and not clap's 2.
fn refused(error: &clap::Error) -> ExitStatus {
    let exit = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitStatus::Done,
        _ => ExitStatus::Usage,
    };
    // A reader that went away changes nothing.
    drop(error.print());
    exit
}

fn command(command: CliCommand, globals: &GlobalOptions) -> ExitStatus {
    match command {
        CliCommand::Validate(args) => planned(validate::plan(&args, globals), validate::execute),
        CliCommand::Probe(args) => planned(probe::plan(&args, globals), probe::execute),
        CliCommand::Serve(args) => planned(serve::plan(&args), serve::execute),
        CliCommand::Commit(args) => planned(commit::plan(&args, globals), commit::execute),
        CliCommand::Plan(args) => planned(plan::plan(&args, globals), plan::execute),
        CliCommand::Build(args) => planned(build::plan(&args, globals), build::execute),
        CliCommand::Promote(args) => planned(promote::plan(&args, globals), promote::execute),
        CliCommand::Reject(args) => planned(moves::reject(&args, globals), moves::execute),
        CliCommand::Retire(args) => planned(moves::retire(&args, globals), moves::execute),
        CliCommand::Revoke(args) => planned(moves::revoke(&args, globals), moves::execute),
        CliCommand::Rollback(args) => planned(moves::rollback(&args, globals), moves::execute),
        CliCommand::Verify(args) => planned(verify::plan(&args, globals), verify::execute),
        CliCommand::Status(args) => planned(status::plan(&args, globals), status::execute),
        CliCommand::Sweep(args) => planned(sweep::plan(&args, globals), sweep::execute),
        CliCommand::Doctor(args) => planned(doctor::plan(&args, globals), doctor::execute),
        CliCommand::Iam(args) => planned(iam::plan(&args, globals), iam::execute),
        CliCommand::Prune(args) => planned(prune::plan(&args, globals), prune::execute),
        CliCommand::Report(ReportCommand::Merge(args)) => planned(report::plan(&args, globals), report::execute),
        CliCommand::Diff(args) => planned(diff::plan(&args, globals), diff::execute),
        CliCommand::Lint(args) => planned(plain_format(globals), |format| lint::execute(&args, globals, format)),
        CliCommand::Packer(PackerCommand::Install(args)) => {
            planned(plain_format(globals), |format| packer_install::execute(&args, format))
        }
        CliCommand::Completions(args) => completions::execute(&args),
        CliCommand::Man(args) => man::execute(&args),
    }
}

/// For commands whose only plan is how they answer.
fn plain_format(globals: &GlobalOptions) -> Result<OutputFormat, Vec<ConfigProblem>> {
    globals.plain_format().map_err(|problem| vec![problem])
}

/// Executes what could be planned, or prints every mistake.
fn planned<R>(plan: Result<R, Vec<ConfigProblem>>, execute: impl FnOnce(R) -> ExitStatus) -> ExitStatus {
    match plan {
        Ok(request) => execute(request),
        Err(problems) => {
            problems.iter().for_each(|problem| output::error(problem as &dyn Display));
            ExitStatus::Usage
        }
    }
}

/// The working folder.
pub(super) fn working_dir() -> Result<PathBuf, Vec<ConfigProblem>> {
    std::env::current_dir()
        .map_err(|error| vec![super::option_flags::problem("", format!("there is no working folder: {error}"))])
}

fn colour(color: ColorChoice) {
    match color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Only assay's own lines: what libraries log could hold headers with credentials.
fn log(globals: &GlobalOptions) {
    let level = match globals.log {
        LogFlags::Off => "off",
        LogFlags::Error => "error",
        LogFlags::Warn => "warn",
        LogFlags::Info => "info",
        LogFlags::Debug => "debug",
        LogFlags::Trace => "trace",
    };
    let ansi = match globals.color {
        ColorChoice::Auto => anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never,
        ColorChoice::Always => true,
        ColorChoice::Never => false,
    };
    let started = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("assay={level}")))
        .with_writer(std::io::stderr)
        // It would tell of a standard error that cannot be written on standard error, and panic.
        .log_internal_errors(false)
        .with_ansi(ansi)
        .try_init();
    // A second start in one process happens only in tests.
    drop(started);
}
