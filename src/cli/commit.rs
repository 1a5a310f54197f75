//! `assay commit`: runs of a manifest, recorded in git.

use std::path::PathBuf;

use clap::Args;

use super::{
    args::GlobalOptions,
    dispatch,
    live::{self, OnInterrupt},
    option_flags::problem,
    output,
    promote::worst,
};
use assay_config::{
    ConfigProblem,
    request::{CommitRequest, OutputFormat},
};
use assay_ledger as ledger;
use assay_ledger::{CommitChange, CommitOutcome};
use assay_model::{ManifestRuns, RunId, exit::ExitStatus};

/// Record the AMIs of a manifest in git: candidate file, evidence, annotated tag, one atomic push
///
/// Running it again changes nothing. It never forces a push.
#[derive(Debug, Args)]
pub struct CommitArgs {
    /// The manifest that assay wrote
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// The branch to push to; default: the one that is checked out, or the CI job's
    #[arg(long)]
    branch: Option<String>,
    /// The remote to push to; default: the branch's own, else origin
    #[arg(long)]
    remote: Option<String>,
    /// Commit and tag, but do not push
    #[arg(long)]
    no_push: bool,
    /// Another run of the manifest than its last
    #[arg(long, value_name = "ULID")]
    run: Option<RunId>,
    /// Every run of the manifest, in one commit: what several builds of one job have made. What cannot be committed is left out and named
    #[arg(long, conflicts_with = "run")]
    all_runs: bool,
}

/// Checks the flags. Fails with every mistake.
pub fn plan(args: &CommitArgs, globals: &GlobalOptions) -> Result<CommitRequest, Vec<ConfigProblem>> {
    let mut problems = Vec::new();
    if let Err(error) = std::fs::File::open(&args.manifest) {
        problems.push(problem("--manifest", format!("cannot read {}: {error}", args.manifest.display())));
    }
    for (flag, name) in [("--branch", &args.branch), ("--remote", &args.remote)] {
        if let Some(name) = name.as_ref().filter(|name| !is_ref_part(name)) {
            problems.push(problem(flag, format!("{name:?} is not a name that git takes")));
        }
    }
    let format = globals.plain_format().map_err(|wrong| problems.push(wrong)).unwrap_or_default();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(CommitRequest {
        manifest: args.manifest.clone(),
        runs: match args.run {
            Some(run) => ManifestRuns::One(run),
            None if args.all_runs => ManifestRuns::All,
            None => ManifestRuns::Last,
        },
        branch: args.branch.clone(),
        remote: args.remote.clone(),
        push: !args.no_push,
        format,
    })
}

/// Commits, and prints what was done.
pub fn execute(request: CommitRequest) -> ExitStatus {
    let format = request.format;
    live::run(format, OnInterrupt::Finish, async move |_events, _cancel| {
        let repository = match dispatch::working_dir() {
            Ok(folder) => folder,
            Err(problems) => {
                problems.iter().for_each(|problem| output::error(problem));
                return ExitStatus::Usage;
            }
        };
        let wanted = ledger::CommitRequest {
            manifest: request.manifest,
            runs: request.runs,
            repository,
            branch: request.branch,
            remote: request.remote,
            push: request.push,
            environment: ledger::environment_of_process(),
            patience: ledger::RacePatience::default(),
        };
        match ledger::commit(&wanted).await {
            Ok(outcome) => shown(&outcome, format),
            Err(error) => {
                output::chain(&error);
                error.exit()
            }
        }
    })
}

fn shown(outcome: &CommitOutcome, format: OutputFormat) -> ExitStatus {
    let exit = worst(outcome.left.iter().map(|left| left.exit));
    outcome.warnings.iter().for_each(|warning| output::warning(warning));
    for left in &outcome.left {
        output::error(&format!("left out, while the rest was committed: {}", left.why));
    }
    match format {
        OutputFormat::Text => output::result(&text(outcome), exit),
        _ => output::json(&json(outcome), format, exit),
    }
}

fn text(outcome: &CommitOutcome) -> String {
    let remote = outcome.remote.as_deref().unwrap_or("this repository");
    let mut lines = vec![match &outcome.change {
        CommitChange::Pushed => format!("pushed {} to {} of {remote}", outcome.commit, outcome.branch),
        CommitChange::AlreadyThere => {
            format!("nothing to do: {} of {remote} has it all, in {}", outcome.branch, outcome.commit)
        }
        CommitChange::Kept { reference, moved_branch: true, .. } => {
            format!("committed {} to {}, not pushed (also kept as {reference})", outcome.commit, outcome.branch)
        }
        CommitChange::Kept { reference, cure, .. } => {
            let cure = cure.as_ref().map_or(String::new(), |c| format!("; to take it into the branch: {c}"));
            format!("committed {} as {reference}, not pushed{cure}", outcome.commit)
        }
    }];
    lines.extend(
        outcome
            .tags
            .iter()
            .map(|tag| format!("{} annotated tag {}", if tag.created { "made" } else { "found" }, tag.name)),
    );
    lines.extend(outcome.files.iter().map(|file| format!("  {file}")));
    lines.extend(outcome.left.iter().map(|left| format!("left out: {}", left.why)));
    lines.join("\n") + "\n"
}

fn json(outcome: &CommitOutcome) -> serde_json::Value {
    let change = match outcome.change {
        CommitChange::Pushed => "pushed",
        CommitChange::AlreadyThere => "already-there",
        CommitChange::Kept { .. } => "kept",
    };
    serde_json::json!({
        "commit": outcome.commit,
        "branch": outcome.branch,
        "remote": outcome.remote,
        "change": change,
        "tags": outcome.tags.iter().map(|t| &t.name).collect::<Vec<_>>(),
        "files": outcome.files,
        "left_out": outcome.left.iter().map(|left| &left.why).collect::<Vec<_>>(),
        "tries": outcome.tries,
    })
}

/// What git could take for an option or would refuse (git-check-ref-format), as far as it is a danger; git itself says the rest.
pub(super) fn is_ref_part(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && !name.contains("..")
        && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}
