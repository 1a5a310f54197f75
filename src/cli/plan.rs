//! `assay plan`: which images need a build, and why.

use std::{path::Path, time::Duration};

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::{
    args::GlobalOptions,
    dispatch,
    live::{self, OnInterrupt},
    option_flags::problem,
    output,
};
use crate::manager::plan::{self, BuildDecision, BuildPlan};
use assay_config::{ConfigProblem, image_requests::PlanRequest, request::OutputFormat, units, whole};
use assay_ledger::environment_of_process;
use assay_model::{ImageName, exit::ExitStatus};

/// Which images are meant and what makes them due; shared with `build` and `status`.
#[derive(Debug, Clone, Args)]
pub struct PlanFlags {
    /// Only these images; default: all of assay.hcl
    #[arg(long = "image", value_name = "NAME", num_args = 1..)]
    pub(super) images: Vec<ImageName>,
    /// Build these whatever git says
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(super) force: Vec<ImageName>,
    /// Build what was tested longer ago than this, like 7d; instead of each image's max_age
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(super) max_age: Option<Duration>,
    /// Do not ask the remote: only what this repository knows counts
    #[arg(long)]
    pub(super) no_fetch: bool,
}

/// Say which images need a build, and why; asks git, not the cloud
///
/// An image is due when it was never built, when no usable build has its inputs, when its parent has a new gold, when its newest build is too old
/// or has no verdict, or when it is forced. Parents come first, and an image waits for a parent that is due. Ends with 0 whether or not anything is
/// due, and with 2 where building again would only repeat what was rejected, rolled back or revoked.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    flags: PlanFlags,
}

impl PlanFlags {
    /// The request, with assay.hcl read. Every mistake is added to `problems`; `None`: there is no file to go by.
    pub(super) fn request(
        &self,
        globals: &GlobalOptions,
        working_dir: &Path,
        problems: &mut Vec<ConfigProblem>,
    ) -> Option<PlanRequest> {
        let file = match whole::read(globals.config.as_deref(), working_dir) {
            Ok(file) => file,
            Err(errors) => {
                problems.extend(errors);
                return None;
            }
        };
        whole::check_names(&file, "--image", &self.images, problems);
        whole::check_names(&file, "--force", &self.force, problems);
        for name in self.force.iter().filter(|name| !self.images.is_empty() && !self.images.contains(name)) {
            let message = format!("{:?} is not among the images of --image", name.as_str());
            problems.push(problem("--force", message));
        }
        let (images, force) = (self.images.clone(), self.force.clone());
        Some(PlanRequest { file, images, force, max_age: self.max_age, fetch: !self.no_fetch })
    }
}

/// Checks the flags together with assay.hcl. Fails with every mistake.
pub fn plan(args: &PlanArgs, globals: &GlobalOptions) -> Result<(PlanRequest, OutputFormat), Vec<ConfigProblem>> {
    let working_dir = dispatch::working_dir()?;
    let mut problems = Vec::new();
    let request = args.flags.request(globals, &working_dir, &mut problems);
    let format = globals.plain_format().map_err(|wrong| problems.push(wrong)).unwrap_or_default();
    request.filter(|_| problems.is_empty()).map(|request| (request, format)).ok_or(problems)
}

/// Plans, and prints a line for each image.
pub fn execute((request, format): (PlanRequest, OutputFormat)) -> ExitStatus {
    live::run(format, OnInterrupt::End, async move |_events, _cancel| {
        match plan::plan(&request, &environment_of_process(), Timestamp::now()).await {
            Ok(plan) => shown(&plan, format),
            Err(error) => refused(&error),
        }
    })
}

/// Prints why there is no plan.
pub(super) fn refused(error: &plan::PlanError) -> ExitStatus {
    match error {
        plan::PlanError::Configuration(problems) => problems.iter().for_each(|problem| output::error(problem)),
        error => output::chain(error),
    }
    error.exit()
}

fn shown(plan: &BuildPlan, format: OutputFormat) -> ExitStatus {
    plan.notes.iter().for_each(|note| output::warning(note));
    match format {
        OutputFormat::Text => output::result(&text(plan), plan.exit()),
        OutputFormat::Jsonl => {
            let lines: String = plan.images.iter().map(|decision| format!("{}\n", json(decision))).collect();
            output::result(&lines, plan.exit())
        }
        _ => output::json(&json!({ "images": plan.images.iter().map(json).collect::<Vec<_>>() }), format, plan.exit()),
    }
}

fn text(plan: &BuildPlan) -> String {
    let width = plan.images.iter().map(|decision| decision.image.as_str().len()).max().unwrap_or(0);
    let mut lines: String = plan.images.iter().map(|decision| format!("{}\n", line(decision, width))).collect();
    let due = plan.due().count();
    lines.push_str(&match due {
        0 => "nothing is due\n".to_owned(),
        due => format!("{due} due\n"),
    });
    lines
}

/// One image in a line: `base  due      its inputs changed: …`.
pub(super) fn line(decision: &BuildDecision, width: usize) -> String {
    let word = if decision.due { "due    " } else { "not due" };
    let why: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
    format!("{:width$}  {word}  {}", decision.image.as_str(), why.join("; "))
}

/// One image as programs read it; the names stay.
pub(super) fn json(decision: &BuildDecision) -> Json {
    let reasons: Vec<Json> = decision
        .reasons
        .iter()
        .map(|reason| json!({ "reason": reason.name(), "message": reason.to_string() }))
        .collect();
    json!({
        "image": decision.image,
        "due": decision.due,
        "reasons": reasons,
        "waits_for": decision.waits_for,
        "source_digest": decision.source_digest,
        "newest": decision.newest.map(|(run, state)| json!({ "run": run, "state": state })),
    })
}

fn age(text: &str) -> Result<Duration, String> {
    let age = units::age(text).filter(|age| !age.is_zero());
    age.ok_or_else(|| "expected an age like \"7d\" or \"36h\"".to_owned())
}
