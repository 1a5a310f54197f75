//! `assay sweep`: what runs have left behind.

use crate::manager;
use std::{path::Path, time::Duration};

use clap::Args;

use super::{
    args::GlobalOptions,
    dispatch,
    live::{self, OnInterrupt},
    option_flags::{AccessFlags, problem},
    output,
};
use crate::manager::SweepReport;
use assay_config::{
    CheckInput, ConfigProblem, EntryPoint,
    check::check_access,
    request::{OutputFormat, SweepRequest},
    units,
};
use assay_model::{Region, RunId, exit::ExitStatus};

/// Show what runs have left behind in the cloud, and with --yes remove it
///
/// Only what is provably assay's, or what a killed Packer left of a template with assay's run_tags (as in packer/base.pkr.hcl), and only what has
/// expired. --run or --owner overrule expiry; for Packer's things, which a build may still be using, --owner does so only together with
/// --older-than.
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
    /// Remove what is shown as to be removed
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    access: AccessFlags,
}

/// Checks the flags together with assay.hcl. Fails with every mistake.
pub fn plan(args: &SweepArgs, globals: &GlobalOptions) -> Result<SweepRequest, Vec<ConfigProblem>> {
    plan_in(args, globals, &dispatch::working_dir()?)
}

/// [`plan`] with the world given.
pub(super) fn plan_in(
    args: &SweepArgs,
    globals: &GlobalOptions,
    working_dir: &Path,
) -> Result<SweepRequest, Vec<ConfigProblem>> {
    let given = args.access.given();
    let mut problems = given.problems.clone();
    if args.owner.as_deref().is_some_and(str::is_empty) {
        problems.push(problem("--owner", "is empty"));
    }
    let input = CheckInput {
        flags: given.layer.clone(),
        config_file: globals.config.clone(),
        ..CheckInput::new(EntryPoint::Command, working_dir)
    };
    let (access, owner, errors) = check_access(&input);
    problems.extend(errors);
    let format = globals.plain_format().map_err(|wrong| problems.push(wrong)).unwrap_or_default();
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
        format,
    })
}

/// What a first interrupt does.
const ON_INTERRUPT: OnInterrupt = OnInterrupt::Cancel("cancelled; nothing more is removed, what has begun is finished");

/// Looks, removes with --yes, and prints each thing with the reason.
pub fn execute(request: SweepRequest) -> ExitStatus {
    let format = request.format;
    live::run(format, ON_INTERRUPT, async move |events, cancel| {
        match manager::sweep(&request, &events, &cancel).await {
            Ok(swept) => shown(&swept, format),
            Err(error) => {
                output::chain(&error);
                ExitStatus::Undecided
            }
        }
    })
}

fn shown(swept: &SweepReport, format: OutputFormat) -> ExitStatus {
    swept.plan.errors.iter().for_each(|error| output::error(error));
    let exit = match &swept.left {
        _ if !swept.plan.errors.is_empty() || swept.cancelled => ExitStatus::Undecided,
        Some(left) if !left.is_empty() => ExitStatus::Leftovers,
        _ => ExitStatus::Done,
    };
    match format {
        OutputFormat::Text => output::result(&text(swept), exit),
        _ => output::json(&json(swept), format, exit),
    }
}

fn text(swept: &SweepReport) -> String {
    let mut lines = Vec::new();
    for item in &swept.plan.items {
        let (word, why) = match &item.finding {
            Ok((_, why)) => (if swept.left.is_some() { "remove" } else { "would remove" }, why),
            Err(why) => ("leave", why),
        };
        lines.push(format!("{word} {} {} {} in {}: {why}", item.facts.kind.as_str(), item.id, item.name, item.region));
    }
    let count = swept.plan.removals().count();
    match &swept.left {
        None if swept.cancelled => lines.push("cancelled; nothing was removed".to_owned()),
        None if count == 0 => {
            let whom = swept.owner.as_deref().unwrap_or("this run");
            // "Nothing" is said only of what was seen.
            let seen = if swept.plan.errors.is_empty() { "" } else { " in the regions that could be looked at" };
            lines.push(format!("nothing to remove for {whom}{seen}"));
        }
        None => lines.push(format!("{count} to remove; --yes does it")),
        Some(left) => {
            lines.push(format!("{} removed", count.saturating_sub(left.len())));
            lines
                .extend(left.iter().map(|l| format!("still there: {} {} in {}: {}", l.kind, l.id, l.region, l.reason)));
        }
    }
    lines.join("\n") + "\n"
}

fn json(swept: &SweepReport) -> serde_json::Value {
    let items: Vec<_> = swept
        .plan
        .items
        .iter()
        .map(|item| {
            let (removable, why) = match &item.finding {
                Ok((_, why)) => (true, why),
                Err(why) => (false, why),
            };
            serde_json::json!({
                "region": item.region,
                "kind": item.facts.kind.as_str(),
                "id": item.id,
                "name": item.name,
                "remove": removable,
                "reason": why,
            })
        })
        .collect();
    let errors: Vec<_> = swept.plan.errors.iter().map(ToString::to_string).collect();
    serde_json::json!({ "owner": swept.owner, "items": items, "left": swept.left, "errors": errors, "cancelled": swept.cancelled })
}

fn age(text: &str) -> Result<Duration, String> {
    units::age(text).ok_or_else(|| "expected an age like \"2h\" or \"3d\"".to_owned())
}
