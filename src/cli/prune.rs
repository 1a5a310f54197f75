//! `assay prune`: old AMIs, retired step by step.

use crate::manager;
use std::{path::Path, time::Duration};

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;

use super::{
    args::GlobalOptions,
    dispatch,
    live::{self, OnInterrupt},
    option_flags::{AccessFlags, problem},
    output,
};
use crate::manager::{PruneAction, PruneOutcome, PruneReport, PruneSubject};
use assay_config::{
    CheckInput, ConfigProblem, EntryPoint,
    check::check_access,
    file::{self, KeepRule},
    prune::{GRACE, PruneRequest},
    request::OutputFormat,
    units, whole,
};
use assay_model::{ImageName, Region, escape::escape_line, exit::ExitStatus};

/// Show which AMIs are past retention, and with --yes retire them: deprecate, disable, and after the grace period delete
///
/// Never gold, never in use, never the parent of an AMI that is kept, never what is not provably of this repository, and nothing about which anything could
/// not be learned. Releases are counted per image and state; retention { } in assay.hcl says how many stay.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Only these images; default: all of assay.hcl
    #[arg(long = "image", value_name = "NAME", num_args = 1..)]
    images: Vec<ImageName>,
    /// Where to look; default: every region of the account
    #[arg(long = "region", value_name = "REGION", num_args = 1..)]
    regions: Vec<Region>,
    /// The newest releases to keep of each image and state [default: assay.hcl's, else 3; of rejected ones 1]
    #[arg(long, value_name = "N")]
    keep_releases: Option<u32>,
    /// For how many days every release is kept [default: assay.hcl's, else 30; rejected ones 7]
    #[arg(long, value_name = "DAYS")]
    keep_days: Option<u32>,
    /// How long an AMI is disabled before it is deleted, like 7d or 12h; 0s deletes at once [default: 7d]
    #[arg(long, value_name = "AGE", value_parser = age)]
    grace: Option<Duration>,
    /// Do what is shown
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    access: AccessFlags,
}

/// Checks the flags together with assay.hcl. Fails with every mistake.
pub fn plan(args: &PruneArgs, globals: &GlobalOptions) -> Result<PruneRequest, Vec<ConfigProblem>> {
    plan_in(args, globals, &dispatch::working_dir()?)
}

/// [`plan`] with the world given.
pub(super) fn plan_in(
    args: &PruneArgs,
    globals: &GlobalOptions,
    working_dir: &Path,
) -> Result<PruneRequest, Vec<ConfigProblem>> {
    let given = args.access.given();
    let mut problems = given.problems.clone();
    let input = CheckInput {
        flags: given.layer.clone(),
        config_file: globals.config.clone(),
        ..CheckInput::new(EntryPoint::Command, working_dir)
    };
    // Its mistakes in assay.hcl are those that are found here too.
    let (access, owner, errors) = check_access(&input);
    problems.extend(errors);
    let format = globals.plain_format().map_err(|wrong| problems.push(wrong)).unwrap_or_default();
    let Some(path) = file::locate(globals.config.as_deref(), working_dir) else {
        problems.push(problem("", "there is no assay.hcl here: its images are what may be pruned"));
        return Err(problems);
    };
    let config = file::read(&path, &file::shown(&path, working_dir), &mut Vec::new());
    if let Some(config) = &config {
        unknown_images(args, config, &mut problems);
    }
    // An AMI that is looked at twice would seem to be somebody's copy of itself.
    whole::check_regions("--region", &args.regions, &mut problems);
    let Some(config) = config.filter(|_| problems.is_empty()) else { return Err(problems) };
    Ok(PruneRequest {
        images: args.images.clone(),
        retention: config.images.iter().map(|image| (image.name.clone(), image.retention.clone())).collect(),
        keep: KeepRule { keep_releases: args.keep_releases, keep_days: args.keep_days },
        regions: args.regions.clone(),
        grace: args.grace.unwrap_or(GRACE),
        owner,
        folder: config.folder,
        branch: config.git.branch,
        remote: config.git.remote,
        access,
        yes: args.yes,
        format,
    })
}

fn unknown_images(args: &PruneArgs, config: &file::ConfigFile, problems: &mut Vec<ConfigProblem>) {
    if config.images.is_empty() {
        problems.push(problem("", format!("{} declares no image", config.shown.display())));
        return;
    }
    whole::check_names(config, "--image", &args.images, problems);
}

/// What a first interrupt does.
const ON_INTERRUPT: OnInterrupt = OnInterrupt::Cancel("cancelled; nothing more is retired, what has begun is finished");

/// Looks, with --yes retires, and prints each AMI with the reason.
pub fn execute(request: PruneRequest) -> ExitStatus {
    let format = request.format;
    live::run(format, ON_INTERRUPT, async move |events, cancel| {
        match manager::prune(&request, &events, &cancel).await {
            Ok(pruned) => shown(&pruned, format),
            Err(error) => {
                output::chain(&error);
                error.exit()
            }
        }
    })
}

fn shown(pruned: &PruneReport, format: OutputFormat) -> ExitStatus {
    pruned.plan.errors.iter().for_each(|error| output::error(error));
    let exit = pruned.exit();
    match format {
        OutputFormat::Text => output::result(&text(pruned), exit),
        _ => output::json(&json(pruned), format, exit),
    }
}

/// The word for what is to be done.
fn word(action: &PruneAction) -> &'static str {
    match action {
        PruneAction::Keep => "keep",
        PruneAction::Deprecate => "deprecate",
        PruneAction::Disable => "disable",
        PruneAction::Wait(_) => "wait",
        PruneAction::Delete => "delete",
    }
}

/// Why, in words.
fn why(subject: &PruneSubject) -> String {
    match (&subject.claim, subject.decided()) {
        (Err(reason), _) => reason.clone(),
        (_, PruneAction::Keep) => {
            let disabled = if subject.image.state == "disabled" { "disabled, and to be kept: " } else { "" };
            format!("{disabled}{}", subject.keep.join("; "))
        }
        (_, PruneAction::Wait(until)) => format!("disabled; deleted from {until} on"),
        (_, PruneAction::Deprecate) => {
            "past retention; shared with other accounts, so it is deprecated first".to_owned()
        }
        (_, PruneAction::Disable) => "past retention".to_owned(),
        (_, PruneAction::Delete) => "past retention, and disabled for long enough".to_owned(),
    }
}

fn outcome<'a>(pruned: &'a PruneReport, id: &str) -> Option<&'a PruneOutcome> {
    pruned.outcomes.as_ref()?.get(id)
}

fn outcome_text(outcome: &PruneOutcome) -> String {
    match outcome {
        PruneOutcome::Done(words) => words.clone(),
        PruneOutcome::Kept(words) | PruneOutcome::Unknown(words) => format!("kept: {words}"),
        PruneOutcome::Failed(words) => format!("FAILED: {words}"),
    }
}

fn text(pruned: &PruneReport) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["AMI", "image", "run", "state", "made", "to do", "why"]);
    let mut others = 0;
    for subject in &pruned.plan.subjects {
        let Ok(claim) = &subject.claim else {
            others += 1;
            continue;
        };
        let state = claim.state.map_or("-", |state| state.as_str());
        let day: String = subject.image.created_at.chars().take(10).collect();
        let reason = match outcome(pruned, &subject.ami.to_string()) {
            Some(outcome) => outcome_text(outcome),
            None => why(subject),
        };
        table.add_row([
            subject.ami.to_string(),
            claim.image.to_string(),
            claim.run.to_string(),
            state.to_owned(),
            day,
            word(&subject.decided()).to_owned(),
            escape_line(&reason),
        ]);
    }
    // A row's first character is the table's own space: no cell can begin a line.
    let mut lines: Vec<String> = match table.is_empty() {
        true => Vec::new(),
        false => table.lines().map(|line| line.trim_end().to_owned()).collect(),
    };
    if others > 0 {
        lines.push(format!("{others} more that are not provably of {}: --format json says why", pruned.owner));
    }
    for (region, snapshot) in &pruned.plan.orphans {
        let id = format!("{region}:{snapshot}");
        let done = outcome(pruned, &id).map_or("left by an earlier prune".to_owned(), outcome_text);
        lines.push(format!("delete snapshot {id}: {done}"));
    }
    lines.push(summary(pruned));
    lines.join("\n") + "\n"
}

fn summary(pruned: &PruneReport) -> String {
    // "Nothing" is said only of what was seen.
    let unknown = |one: &PruneOutcome| matches!(one, PruneOutcome::Unknown(_));
    let learned = pruned.plan.errors.is_empty() && !pruned.outcomes.iter().flatten().any(|(_, one)| unknown(one));
    let seen = if learned { "" } else { "; what could not be learned was kept" };
    let Some(outcomes) = &pruned.outcomes else {
        return match pruned.due() {
            0 => format!("nothing to do for {}{seen}", pruned.owner),
            count => format!("{count} to do; --yes does it{seen}"),
        };
    };
    let count = |wanted: fn(&PruneOutcome) -> bool| outcomes.values().filter(|one| wanted(one)).count();
    let done = count(|one| matches!(one, PruneOutcome::Done(_)));
    let kept = count(|one| matches!(one, PruneOutcome::Kept(_) | PruneOutcome::Unknown(_)));
    let failed = count(|one| matches!(one, PruneOutcome::Failed(_)));
    let cancelled = if pruned.cancelled { "; cancelled before the end" } else { "" };
    format!("{done} done, {kept} kept after all, {failed} failed{cancelled}{seen}")
}

fn json(pruned: &PruneReport) -> serde_json::Value {
    let items: Vec<_> = pruned
        .plan
        .subjects
        .iter()
        .map(|subject| {
            let claim = subject.claim.as_ref().ok();
            let until = match subject.decided() {
                PruneAction::Wait(until) => Some(until),
                _ => None,
            };
            serde_json::json!({
                "ami": subject.ami,
                "name": subject.image.name,
                "created_at": subject.image.created_at,
                "ours": claim.is_some(),
                "image": claim.map(|claim| &claim.image),
                "run": claim.map(|claim| claim.run),
                "state": claim.and_then(|claim| claim.state),
                "action": word(&subject.decided()),
                "until": until.as_ref().map(Timestamp::to_string),
                "reason": why(subject),
                "outcome": outcome(pruned, &subject.ami.to_string()).map(outcome_json),
            })
        })
        .collect();
    let snapshots: Vec<_> = pruned
        .plan
        .orphans
        .iter()
        .map(|(region, id)| {
            let done = outcome(pruned, &format!("{region}:{id}")).map(outcome_json);
            serde_json::json!({ "region": region, "snapshot": id, "outcome": done })
        })
        .collect();
    serde_json::json!({
        "owner": pruned.owner,
        "done": pruned.outcomes.is_some(),
        "cancelled": pruned.cancelled,
        "amis": items,
        "snapshots": snapshots,
        "errors": pruned.plan.errors,
    })
}

fn outcome_json(outcome: &PruneOutcome) -> serde_json::Value {
    let (result, words) = match outcome {
        PruneOutcome::Done(words) => ("done", words),
        PruneOutcome::Kept(words) => ("kept", words),
        PruneOutcome::Unknown(words) => ("unknown", words),
        PruneOutcome::Failed(words) => ("failed", words),
    };
    serde_json::json!({ "result": result, "message": words })
}

fn age(text: &str) -> Result<Duration, String> {
    units::age(text).ok_or_else(|| "expected an age like \"7d\" or \"12h\"".to_owned())
}
