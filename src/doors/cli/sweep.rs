//! `assay sweep`: what runs have left behind.

use std::{path::Path, time::Duration};

use clap::Args;

use super::{
    args::Globals,
    dispatch,
    option_flags::{AccessFlags, problem},
};
use crate::{
    config::{Door, Input, Problem, check::check_access, request::SweepRequest, units},
    exit::Exit,
    model::{Region, RunId},
};

/// Show what runs have left behind in the cloud, and with --yes remove it
///
/// Only what is provably assay's, and only what has expired; --run or --owner overrule expiry.
#[derive(Debug, Args)]
pub struct SweepArgs {
    /// Only what this run made, expired or not
    #[arg(long, value_name = "ULID")]
    run: Option<RunId>,
    /// Only what belongs to this repository, expired or not; default: the owner of assay.hcl or of the git remote, expired
    #[arg(long, value_name = "REPO")]
    owner: Option<String>,
    /// Only what is older than this, like 2h or 3d
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
    /// Where to look; default: every region of the account
    #[arg(long = "region", value_name = "REGION", num_args = 1..)]
    regions: Vec<Region>,
    /// Remove it
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    access: AccessFlags,
}

/// Checks the flags together with assay.hcl. Fails with every mistake.
pub fn plan(args: &SweepArgs, globals: &Globals) -> Result<SweepRequest, Vec<Problem>> {
    plan_in(args, globals, &dispatch::working_dir()?)
}

/// [`plan`] with the world given.
pub(super) fn plan_in(args: &SweepArgs, globals: &Globals, working_dir: &Path) -> Result<SweepRequest, Vec<Problem>> {
    let given = args.access.given();
    let mut problems = given.problems.clone();
    if args.owner.as_deref().is_some_and(str::is_empty) {
        problems.push(problem("--owner", "is empty"));
    }
    let input = Input {
        flags: given.layer.clone(),
        config_file: globals.config.clone(),
        ..Input::new(Door::Command, working_dir)
    };
    let (access, owner, errors) = check_access(&input);
    problems.extend(errors);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(SweepRequest {
        run: args.run,
        owner_named: args.owner.is_some(),
        owner: args.owner.clone().or(owner),
        older_than: args.older_than,
        regions: args.regions.clone(),
        access,
        yes: args.yes,
        format: globals.format.into(),
    })
}

/// Hands the request to the conductor.
pub fn execute(request: SweepRequest) -> Exit {
    drop(request);
    super::output::error(&"sweep is not linked yet");
    Exit::Usage
}

fn age(text: &str) -> Result<Duration, String> {
    units::age(text).ok_or_else(|| "expected an age like \"2h\" or \"3d\"".to_owned())
}
