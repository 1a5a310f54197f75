//! `build`: what is due, built by Packer, one image after the other. It owns the order and what a build amounts to; it refuses to test (the
//! post-processor in the template does) and to commit (`commit` does).

mod packer;

use std::{ffi::OsString, path::PathBuf};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use packer::{OLDEST, Packer, Step, steps};

use super::plan::{self, Decision, Plan, PlanError};
use crate::report::outcomes::{self, Outcome};
use crate::test_run::Events;
use assay_config::{
    Problem,
    file::{BuildDecl, ImageDecl},
    image_requests::BuildRequest,
};
use assay_ledger::Environment;
use assay_model::{AmiRef, RunId, Verdict, exit::Exit};

/// What became of the plan.
#[derive(Debug)]
pub struct Built {
    /// Every image of the plan, parents first.
    pub images: Vec<ImageBuilt>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// A signal ended it early.
    pub cancelled: bool,
}

/// One image.
#[derive(Debug)]
pub struct ImageBuilt {
    /// What the plan says.
    pub decision: Decision,
    /// What was, or with a dry run would be, called; empty: nothing.
    pub steps: Vec<Step>,
    /// What came of it.
    pub end: End,
    /// What our post-processor told.
    pub outcomes: Vec<Outcome>,
}

/// What came of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Not due.
    NotDue,
    /// Due, and something else builds it: assay.hcl has no `build` block.
    NotOurs,
    /// Due, and only shown.
    Shown,
    /// Due, and not begun: cancelled.
    Cancelled,
    /// Packer ended well, and the post-processor told of a pass.
    Passed,
    /// Packer ended well, and no post-processor told anything: nothing was tested.
    Untested,
    /// A check failed.
    Failed,
    /// No verdict, or Packer was interrupted.
    Undecided,
    /// Packer ended badly before anything was tested; its exit code or signal in words.
    Broken(String),
}

impl End {
    /// The word that programs read.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotDue => "not-due",
            Self::NotOurs => "not-ours",
            Self::Shown => "shown",
            Self::Cancelled => "cancelled",
            Self::Passed => "passed",
            Self::Untested => "untested",
            Self::Failed => "failed",
            Self::Undecided => "undecided",
            Self::Broken(_) => "broken",
        }
    }
}

impl Built {
    /// 2 where an image failed its test or is stuck, 3 without a verdict (also where nothing was tested at all), 1 where Packer failed otherwise, 0 else.
    pub fn exit(&self) -> Exit {
        let any = |wanted: &dyn Fn(&ImageBuilt) -> bool| self.images.iter().any(wanted);
        if any(&|image| image.end == End::Failed) {
            Exit::Failed
        } else if self.cancelled || any(&|image| image.end == End::Undecided) {
            Exit::Undecided
        } else if any(&|image| matches!(image.end, End::Broken(_))) {
            Exit::Usage
        } else if any(&|image| image.end == End::Untested) {
            Exit::Undecided
        } else if any(&|image| image.decision.is_stuck()) {
            Exit::Failed
        } else {
            Exit::Done
        }
    }
}

impl ImageBuilt {
    /// The run, where one was told.
    pub fn run(&self) -> Option<RunId> {
        self.outcomes.last().map(|outcome| outcome.run)
    }

    /// Every AMI that was told.
    pub fn amis(&self) -> Vec<&AmiRef> {
        self.outcomes.iter().flat_map(|outcome| &outcome.amis).collect()
    }
}

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// No Packer.
    #[error("{0}")]
    Packer(String),
    /// No place for the post-processor's word.
    #[error("no temporary folder: {0}")]
    Folder(std::io::Error),
}

impl BuildError {
    /// The exit code of a command that ends so.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Plan(error) => error.exit(),
            Self::Packer(_) => Exit::Usage,
            Self::Folder(_) => Exit::Undecided,
        }
    }
}

/// Plans, and builds what is due. A failure of one image does not keep the others: those that are due at one time do not depend on each other. Fails
/// where nothing was begun.
pub async fn build(
    request: &BuildRequest,
    program: PathBuf,
    to_stderr: bool,
    environment: &Environment,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Built, BuildError> {
    let plan = plan::plan(&request.plan, environment, Timestamp::now()).await?;
    let problems = problems(request, &plan);
    if !problems.is_empty() {
        return Err(PlanError::Configuration(problems).into());
    }
    let folder = request.plan.file.folder.clone();
    let packer = Packer { program, folder, to_stderr };
    let mut work = Work { request, packer, events, cancel, checked: false };
    let mut built = Built { images: Vec::new(), notes: plan.notes, cancelled: false };
    for decision in plan.images {
        built.images.push(work.image(decision).await?);
    }
    built.cancelled = cancel.is_cancelled();
    Ok(built)
}

fn declared<'a>(request: &'a BuildRequest, decision: &Decision) -> Option<&'a ImageDecl> {
    request.plan.file.image(&decision.image)
}

/// What assay.hcl lacks for what is due; all at once, before anything is built.
fn problems(request: &BuildRequest, plan: &Plan) -> Vec<Problem> {
    let file = &request.plan.file;
    let mut problems = Vec::new();
    for image in plan.due().filter_map(|decision| declared(request, decision)) {
        let mut problem = |option: &str, message: String| {
            let shown = format!("image {:?}: {option}", image.name.as_str());
            problems.push(Problem::in_file(&file.shown, image.line, shown, message));
        };
        let Some(build) = &image.build else {
            if request.plan.images.contains(&image.name) || request.plan.force.contains(&image.name) {
                problem("build", "is missing: write build { template = \"FILE\" }".to_owned());
            }
            continue;
        };
        for (option, path) in std::iter::once(("build.template", &build.template))
            .chain(build.var_files.iter().map(|path| ("build.var_files", path)))
        {
            if let Err(error) = std::fs::metadata(file.folder.join(path)) {
                problem(option, format!("{}: {error}", path.display()));
            }
        }
    }
    problems
}

struct Work<'a> {
    request: &'a BuildRequest,
    packer: Packer,
    events: &'a Events,
    cancel: &'a CancellationToken,
    checked: bool,
}

impl Work<'_> {
    async fn image(&mut self, decision: Decision) -> Result<ImageBuilt, BuildError> {
        let build = declared(self.request, &decision).and_then(|image| image.build.as_ref());
        let mut image = ImageBuilt { decision, steps: Vec::new(), end: End::NotDue, outcomes: Vec::new() };
        if !image.decision.due {
            return Ok(image);
        }
        let Some(build) = build else {
            image.end = End::NotOurs;
            return Ok(image);
        };
        if self.cancel.is_cancelled() {
            image.end = End::Cancelled;
            return Ok(image);
        }
        image.steps = self.steps(build, &self.request.packer_arguments);
        if self.request.dry_run {
            image.end = End::Shown;
            return Ok(image);
        }
        if !self.checked {
            self.packer.check().await.map_err(BuildError::Packer)?;
            self.checked = true;
        }
        self.run(&mut image).await?;
        Ok(image)
    }

    fn steps(&self, build: &BuildDecl, extra: &[OsString]) -> Vec<Step> {
        steps(build, self.request.color, extra)
    }

    async fn run(&self, image: &mut ImageBuilt) -> Result<(), BuildError> {
        let folder = tempfile::Builder::new().prefix("assay-build-").tempdir().map_err(BuildError::Folder)?;
        let told = folder.path().join("outcomes");
        let mut broken = None;
        for step in &image.steps {
            self.events.note(format!("{}: {}", image.decision.image, step.line()));
            let ended = self.packer.run(step, &told).await.map_err(BuildError::Packer)?;
            if !ended.success() {
                broken = Some(format!("packer {}: {ended}", step.verb));
                break;
            }
        }
        match outcomes::read(&told) {
            Ok(outcomes) => image.outcomes = outcomes,
            Err(error) => self.events.warn(format!("what the post-processor told cannot be read: {error}")),
        }
        image.outcomes.retain(|outcome| outcome.image.as_ref().is_none_or(|name| *name == image.decision.image));
        image.end = end(&image.outcomes, broken, self.cancel.is_cancelled());
        Ok(())
    }
}

/// What came of a build, from what the post-processors told and how Packer ended.
fn end(outcomes: &[Outcome], broken: Option<String>, cancelled: bool) -> End {
    let verdict = (!outcomes.is_empty()).then(|| Verdict::over(outcomes.iter().map(|outcome| outcome.verdict)));
    match (verdict, broken) {
        (Some(Verdict::Failed), _) => End::Failed,
        (_, Some(_)) if cancelled => End::Undecided,
        (Some(Verdict::Undecided), _) => End::Undecided,
        (_, Some(words)) => End::Broken(words),
        (Some(Verdict::Passed), None) => End::Passed,
        (None, None) => End::Untested,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(verdict: Verdict) -> Outcome {
        Outcome { image: None, run: RunId::generate(), verdict, amis: Vec::new() }
    }

    #[test]
    fn what_a_build_amounts_to() {
        use Verdict::{Failed, Passed, Undecided};
        let broken = || Some("packer build: exit status: 1".to_owned());
        for (verdicts, packer, cancelled, wanted) in [
            (vec![Passed], None, false, End::Passed),
            (vec![Passed, Failed], broken(), false, End::Failed),
            (vec![Failed], broken(), true, End::Failed),
            (vec![Undecided, Passed], broken(), false, End::Undecided),
            // A pass whose stamp or manifest could not be written ends Packer as well.
            (vec![Passed], broken(), false, End::Broken("packer build: exit status: 1".to_owned())),
            (vec![], broken(), false, End::Broken("packer build: exit status: 1".to_owned())),
            (vec![], broken(), true, End::Undecided),
            (vec![], None, false, End::Untested),
        ] {
            let outcomes: Vec<Outcome> = verdicts.iter().map(|verdict| told(*verdict)).collect();
            assert_eq!(end(&outcomes, packer.clone(), cancelled), wanted, "{verdicts:?} {packer:?} {cancelled}");
        }
    }
}
