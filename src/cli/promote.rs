//! `assay promote`: a candidate becomes vetted, a vetted run becomes gold.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

use super::{
    args::GlobalOptions,
    dispatch,
    live::{self, OnInterrupt},
    option_flags::{AccessFlags, problem},
    output,
};
use crate::manager::promotion::{self, LockChange, MovedRun, PromotionError};
use assay_config::{
    CheckInput, ConfigFile, ConfigProblem, EntryPoint,
    check::check_access,
    file,
    promotion_request::{LedgerOptions, PromoteRequest, RunGoal},
    request::OutputFormat,
};
use assay_model::{ImageName, RunId, exit::ExitStatus};

/// Make a candidate vetted, with the evidence of its full validation; make a vetted run gold
///
/// Every question is asked of the protected branch and of EC2, and every reason against it is told at once. Gold is copied, then committed to the lock on
/// that branch, then tagged, shared and pointed to. Running it again goes on wherever the last try ended.
#[derive(Debug, Args)]
pub struct PromoteArgs {
    #[command(flatten)]
    which: ChosenImages,
    /// What the run is to become
    #[arg(long, value_enum)]
    to: TargetState,
    /// Evidence of the full validation, with its signature as FILE.sig beside it where there is one; for --to vetted
    #[arg(long, value_name = "FILE", num_args = 1..)]
    evidence: Vec<PathBuf>,
    /// The run, also where it is older than gold or was set aside; default: that of the evidence, or the newest vetted one that may become gold by itself
    #[arg(long, value_name = "ULID", conflicts_with = "all")]
    run: Option<RunId>,
    #[command(flatten)]
    ledger: LedgerFlags,
}

/// Which images.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ChosenImages {
    /// The image
    #[arg(long, value_name = "NAME")]
    image: Option<ImageName>,
    /// Every image of assay.hcl; those without anything to promote are passed over
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TargetState {
    Vetted,
    Gold,
}

/// Flags of every command that writes the lock.
#[derive(Debug, Args)]
pub(super) struct LedgerFlags {
    /// Why, for the record in the lock
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Push to this branch instead of the protected one, where that takes only pull requests; tags follow once it is merged, with assay promote or assay status
    /// --repair
    #[arg(long, value_name = "BRANCH")]
    open_branch: Option<String>,
    #[command(flatten)]
    access: AccessFlags,
}

impl LedgerFlags {
    /// What all such commands need, and the assay.hcl. Adds every mistake to `problems`; `None` where assay.hcl cannot be used.
    pub(super) fn plan(
        &self,
        globals: &GlobalOptions,
        folder: &Path,
        problems: &mut Vec<ConfigProblem>,
    ) -> Option<(LedgerOptions, ConfigFile)> {
        let given = self.access.given();
        problems.extend(given.problems.clone());
        if self.reason.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
            problems.push(problem("--reason", "is empty"));
        }
        if let Some(branch) = self.open_branch.as_ref().filter(|name| !super::commit::is_ref_part(name)) {
            problems.push(problem("--open-branch", format!("{branch:?} is not a name that git takes")));
        }
        let format = globals.plain_format().map_err(|wrong| problems.push(wrong)).unwrap_or_default();
        let Some(path) = file::locate(globals.config.as_deref(), folder) else {
            let message = format!("there is no {} here or above; the lock is written by its rules", file::FILE_NAME);
            problems.push(problem("--config", message));
            return None;
        };
        let input = CheckInput {
            flags: given.layer.clone(),
            config_file: Some(path.clone()),
            ..CheckInput::new(EntryPoint::Command, folder)
        };
        let (access, _owner, mistakes) = check_access(&input);
        problems.extend(mistakes);
        // Its mistakes are among those of check_access.
        let file = file::read(&path, &file::shown(&path, folder), &mut Vec::new())?;
        let ledgering = LedgerOptions {
            config: path,
            git: file.git.clone(),
            access,
            open_branch: self.open_branch.clone(),
            reason: self.reason.clone(),
            format,
        };
        Some((ledgering, file))
    }
}

/// Whether assay.hcl declares the image; a mistake with the nearest name where it does not.
pub(super) fn declared(file: &ConfigFile, image: &ImageName, problems: &mut Vec<ConfigProblem>) {
    if file.image(image).is_some() {
        return;
    }
    let names = file.images.iter().map(|image| image.name.as_str());
    let near = assay_config::options::nearest(image.as_str(), names.clone());
    let near = near.map_or(String::new(), |near| format!("; did you mean {near:?}?"));
    let list = names.collect::<Vec<_>>().join(", ");
    let shown = file.shown.display();
    problems.push(problem("--image", format!("{shown} declares no image {:?}, but {list}{near}", image.as_str())));
}

/// Checks the flags together with assay.hcl. Fails with every mistake.
pub fn plan(args: &PromoteArgs, globals: &GlobalOptions) -> Result<PromoteRequest, Vec<ConfigProblem>> {
    plan_in(args, globals, &dispatch::working_dir()?)
}

pub(super) fn plan_in(
    args: &PromoteArgs,
    globals: &GlobalOptions,
    folder: &Path,
) -> Result<PromoteRequest, Vec<ConfigProblem>> {
    let mut problems = Vec::new();
    let planned = args.ledger.plan(globals, folder, &mut problems);
    match (args.to, args.evidence.is_empty()) {
        (TargetState::Vetted, true) => problems.push(problem(
            "--evidence",
            "is missing; --to vetted needs what assay validate --candidate wrote, like build/reports/evidence.json",
        )),
        (TargetState::Gold, false) => {
            problems.push(problem("--evidence", "is for --to vetted; gold rests on the evidence that the lock names"));
        }
        _ => {}
    }
    for file in &args.evidence {
        if let Err(error) = std::fs::File::open(folder.join(file)) {
            problems.push(problem("--evidence", format!("cannot read {}: {error}", file.display())));
        }
    }
    let mut images = Vec::new();
    if let Some((_, file)) = &planned {
        match &args.which.image {
            Some(image) => {
                declared(file, image, &mut problems);
                images.push(image.clone());
            }
            None => images.extend(file.images.iter().map(|image| image.name.clone())),
        }
        if images.is_empty() {
            problems.push(problem("--all", format!("{} declares no image", file.shown.display())));
        }
    }
    let to = match args.to {
        TargetState::Vetted => RunGoal::Vetted(args.evidence.iter().map(|file| folder.join(file)).collect()),
        TargetState::Gold => RunGoal::Gold,
    };
    match planned {
        Some((ledgering, _)) if problems.is_empty() => {
            Ok(PromoteRequest { ledgering, images, all: args.which.all, to, run: args.run })
        }
        _ => Err(problems),
    }
}

/// Promotes, and prints what became of each image.
pub fn execute(request: PromoteRequest) -> ExitStatus {
    let format = request.ledgering.format;
    live::run(format, OnInterrupt::Finish, async move |events, _cancel| {
        let results = promotion::promote(&request, &events).await;
        if results.is_empty() {
            output::error(&"there is nothing to promote, and nothing is gold");
            return ExitStatus::Nothing;
        }
        shown(&results, format)
    })
}

/// Prints results, and gives the exit code over all of them.
pub(super) fn shown(results: &[Result<MovedRun, PromotionError>], format: OutputFormat) -> ExitStatus {
    let exits = results.iter().map(|result| result.as_ref().map_or_else(PromotionError::exit, MovedRun::exit));
    let exit = worst(exits);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        output::chain(error);
        if let PromotionError::Refused { refusals, .. } = error {
            refusals.iter().for_each(|refusal| output::error(refusal));
        }
    }
    match format {
        OutputFormat::Text => {
            let text: String = results.iter().filter_map(|result| result.as_ref().ok()).map(text).collect();
            for moved in results.iter().filter_map(|result| result.as_ref().ok()) {
                moved.notes.iter().for_each(|note| output::warning(note));
                for missing in &moved.missing {
                    let image = &moved.image;
                    output::error(&format!("image {image}: {missing}; the lock holds the move: run it again"));
                }
            }
            output::result(&text, exit)
        }
        _ => output::json(&json!({ "images": results.iter().map(as_json).collect::<Vec<_>>() }), format, exit),
    }
}

/// Usage, then conflict, then what may pass, then nothing to do.
pub(super) fn worst(exits: impl Iterator<Item = ExitStatus>) -> ExitStatus {
    let weight = |exit: &ExitStatus| match exit {
        ExitStatus::Usage => 5,
        ExitStatus::Conflict => 4,
        ExitStatus::Undecided | ExitStatus::Failed | ExitStatus::Leftovers => 3,
        ExitStatus::Nothing => 2,
        ExitStatus::Done => 1,
    };
    exits.max_by_key(weight).unwrap_or(ExitStatus::Done)
}

fn text(moved: &MovedRun) -> String {
    let MovedRun { image, run, state, written, .. } = moved;
    let first = match moved.change {
        LockChange::Made => format!("{image}: run {run} is {state}, in {} on {}", written.commit, written.branch),
        LockChange::Already => format!("{image}: run {run} is {state} already, on {}", written.branch),
        LockChange::Proposed => {
            format!("{image}: run {run} becomes {state} once branch {} is merged ({})", written.branch, written.commit)
        }
    };
    let mut lines = vec![first];
    lines.extend(written.tags.iter().map(|tag| format!("  annotated tag {tag}")));
    lines.extend(moved.copied.iter().map(|ami| format!("  copy {ami}")));
    for one in &moved.amis {
        let what = match (one.gone, one.changed.is_empty()) {
            (true, _) => "gone".to_owned(),
            (false, true) => format!("{}, as it was", one.state),
            (false, false) => one.changed.join(", "),
        };
        lines.push(format!("  {} {what}", one.ami));
    }
    lines.extend(moved.done.iter().map(|line| format!("  {line}")));
    lines.join("\n") + "\n"
}

fn as_json(result: &Result<MovedRun, PromotionError>) -> Json {
    match result {
        Ok(moved) => json!({
            "image": moved.image,
            "run": moved.run,
            "state": moved.state,
            "change": match moved.change {
                LockChange::Made => "made",
                LockChange::Already => "already",
                LockChange::Proposed => "proposed",
            },
            "commit": moved.written.commit,
            "branch": moved.written.branch,
            "tags": moved.written.tags,
            "files": moved.written.files,
            "amis": moved.amis.iter().map(|one| json!({
                "ami": one.ami, "state": one.state, "changed": one.changed, "gone": one.gone, "problem": one.problem,
            })).collect::<Vec<_>>(),
            "copied": moved.copied,
            "done": moved.done,
            "notes": moved.notes,
            "missing": moved.missing,
        }),
        Err(PromotionError::Refused { image, run, refusals }) => json!({
            "image": image,
            "run": run,
            "error": "refused",
            "refusals": refusals.iter().map(|r| json!({ "about": r.about, "reason": r.reason })).collect::<Vec<_>>(),
        }),
        Err(error) => json!({ "error": assay_model::cause::chain(error) }),
    }
}
