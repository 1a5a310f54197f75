//! From arguments to an exit code: parse, set up colour and logging, hand over to the command.

use std::{ffi::OsString, fmt::Display, path::PathBuf};

use clap::{Parser, error::ErrorKind};
use tracing_subscriber::EnvFilter;

use super::{
    args::{Cli, Color, Command, Globals, Log, PackerCommand, ReportCommand},
    build, commit, completions, diff, doctor, iam, lint, man, moves, output, packer_install, plan, probe, promote,
    prune, report, serve, status, sweep, validate, verify,
};
use assay_config::{Problem, request::Format};
use assay_model::exit::Exit;

/// Runs the command that `arguments` (with the program's name first) ask for.
pub fn run(arguments: Vec<OsString>) -> Exit {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => {
            colour(cli.globals.color);
            log(&cli.globals);
            command(cli.command, &cli.globals)
        }
        Err(error) => refused(&error),
    }
}

/// Help and version are answers; all else that clap refuses is wrong usage, which is 1 here and not clap's 2.
fn refused(error: &clap::Error) -> Exit {
    let exit = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    };
    // A reader that went away changes nothing.
    drop(error.print());
    exit
}

fn command(command: Command, globals: &Globals) -> Exit {
    match command {
        Command::Validate(args) => planned(validate::plan(&args, globals), validate::execute),
        Command::Probe(args) => planned(probe::plan(&args, globals), probe::execute),
        Command::Serve(args) => planned(serve::plan(&args), serve::execute),
        Command::Commit(args) => planned(commit::plan(&args, globals), commit::execute),
        Command::Plan(args) => planned(plan::plan(&args, globals), plan::execute),
        Command::Build(args) => planned(build::plan(&args, globals), build::execute),
        Command::Promote(args) => planned(promote::plan(&args, globals), promote::execute),
        Command::Reject(args) => planned(moves::reject(&args, globals), moves::execute),
        Command::Retire(args) => planned(moves::retire(&args, globals), moves::execute),
        Command::Revoke(args) => planned(moves::revoke(&args, globals), moves::execute),
        Command::Rollback(args) => planned(moves::rollback(&args, globals), moves::execute),
        Command::Verify(args) => planned(verify::plan(&args, globals), verify::execute),
        Command::Status(args) => planned(status::plan(&args, globals), status::execute),
        Command::Sweep(args) => planned(sweep::plan(&args, globals), sweep::execute),
        Command::Doctor(args) => planned(doctor::plan(&args, globals), doctor::execute),
        Command::Iam(args) => planned(iam::plan(&args, globals), iam::execute),
        Command::Prune(args) => planned(prune::plan(&args, globals), prune::execute),
        Command::Report(ReportCommand::Merge(args)) => planned(report::plan(&args, globals), report::execute),
        Command::Diff(args) => planned(diff::plan(&args, globals), diff::execute),
        Command::Lint(args) => planned(plain_format(globals), |format| lint::execute(&args, globals, format)),
        Command::Packer(PackerCommand::Install(args)) => {
            planned(plain_format(globals), |format| packer_install::execute(&args, format))
        }
        Command::Completions(args) => completions::execute(&args),
        Command::Man(args) => man::execute(&args),
    }
}

/// For commands whose only plan is how they answer.
fn plain_format(globals: &Globals) -> Result<Format, Vec<Problem>> {
    globals.plain_format().map_err(|problem| vec![problem])
}

/// Executes what could be planned, or prints every mistake.
fn planned<R>(plan: Result<R, Vec<Problem>>, execute: impl FnOnce(R) -> Exit) -> Exit {
    match plan {
        Ok(request) => execute(request),
        Err(problems) => {
            problems.iter().for_each(|problem| output::error(problem as &dyn Display));
            Exit::Usage
        }
    }
}

/// The working folder.
pub(super) fn working_dir() -> Result<PathBuf, Vec<Problem>> {
    std::env::current_dir()
        .map_err(|error| vec![super::option_flags::problem("", format!("there is no working folder: {error}"))])
}

fn colour(color: Color) {
    match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Only assay's own lines: what libraries log could hold headers with credentials.
fn log(globals: &Globals) {
    let level = match globals.log {
        Log::Off => "off",
        Log::Error => "error",
        Log::Warn => "warn",
        Log::Info => "info",
        Log::Debug => "debug",
        Log::Trace => "trace",
    };
    let ansi = match globals.color {
        Color::Auto => anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never,
        Color::Always => true,
        Color::Never => false,
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
