//! `build`: what is due, built by Packer, one image after the other. It owns the order and what a build amounts to; it refuses to test (the
//! post-processor in the template does) and to commit (`commit` does).

mod packer;

use std::{ffi::OsString, path::PathBuf};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub(crate) use packer::{PackerProgram, PackerStep, steps};

use super::plan::{self, BuildDecision, BuildPlan, PlanError};
use crate::report::outcomes::{self, RunOutcome};
use crate::test_run::EventSender;
use assay_config::{
    ConfigProblem,
    file::{BuildDecl, ImageDecl},
    image_requests::BuildRequest,
};
use assay_ledger::GitEnvironment;
use assay_model::{AmiRef, RunId, Verdict, exit::ExitStatus};

/// What became of the plan.
#[derive(Debug)]
pub(crate) struct BuildReport {
    /// Every image of the plan, parents first.
    pub images: Vec<ImageBuilt>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// A signal ended it early.
    pub cancelled: bool,
}

/// One image.
#[derive(Debug)]
pub(crate) struct ImageBuilt {
    /// What the plan says.
    pub decision: BuildDecision,
    /// What was, or with a dry run would be, called; empty: nothing.
    pub steps: Vec<PackerStep>,
    /// What came of it.
    pub end: ImageEnd,
    /// What our post-processor told.
    pub outcomes: Vec<RunOutcome>,
}

/// What came of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageEnd {
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

impl ImageEnd {
    /// The word that programs read.
    pub(crate) fn name(&self) -> &'static str {
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

impl BuildReport {
    /// 2 where an image failed its test or is stuck, 3 without a verdict (also where nothing was tested at all), 1 where Packer failed otherwise, 0 else.
    pub(crate) fn exit(&self) -> ExitStatus {
        let any = |wanted: &dyn Fn(&ImageBuilt) -> bool| self.images.iter().any(wanted);
        if any(&|image| image.end == ImageEnd::Failed) {
            ExitStatus::Failed
        } else if self.cancelled || any(&|image| image.end == ImageEnd::Undecided) {
            ExitStatus::Undecided
        } else if any(&|image| matches!(image.end, ImageEnd::Broken(_))) {
            ExitStatus::Usage
        } else if any(&|image| image.end == ImageEnd::Untested) {
            ExitStatus::Undecided
        } else if any(&|image| image.decision.is_stuck()) {
            ExitStatus::Failed
        } else {
            ExitStatus::Done
        }
    }
}

impl ImageBuilt {
    /// The run, where one was told.
    pub(crate) fn run(&self) -> Option<RunId> {
        self.outcomes.last().map(|outcome| outcome.run)
    }

    /// Every AMI that was told.
    pub(crate) fn amis(&self) -> Vec<&AmiRef> {
        self.outcomes.iter().flat_map(|outcome| &outcome.amis).collect()
    }
}

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
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
    pub(crate) fn exit(&self) -> ExitStatus {
        match self {
            Self::Plan(error) => error.exit(),
            Self::Packer(_) => ExitStatus::Usage,
            Self::Folder(_) => ExitStatus::Undecided,
        }
    }
}

/// Plans, and builds what is due. A failure of one image does not keep the others: those that are due at one time do not depend on each other. Fails
/// where nothing was begun.
pub(crate) async fn build(
    request: &BuildRequest,
    program: PathBuf,
    to_stderr: bool,
    environment: &GitEnvironment,
    events: &EventSender,
    cancel: &CancellationToken,
) -> Result<BuildReport, BuildError> {
    let plan = plan::plan(&request.plan, environment, Timestamp::now()).await?;
    let problems = problems(request, &plan);
    if !problems.is_empty() {
        return Err(PlanError::Configuration(problems).into());
    }
    let folder = request.plan.file.folder.clone();
    let packer = PackerProgram { program, folder, to_stderr };
    let mut work = BuildWork { request, packer, events, cancel, checked: false };
    let mut built = BuildReport { images: Vec::new(), notes: plan.notes, cancelled: false };
    for decision in plan.images {
        built.images.push(work.image(decision).await?);
    }
    built.cancelled = cancel.is_cancelled();
    Ok(built)
}

fn declared<'a>(request: &'a BuildRequest, decision: &BuildDecision) -> Option<&'a ImageDecl> {
    request.plan.file.image(&decision.image)
}

/// What assay.hcl lacks for what is due; all at once, before anything is built.
fn problems(request: &BuildRequest, plan: &BuildPlan) -> Vec<ConfigProblem> {
    let file = &request.plan.file;
    let mut problems = Vec::new();
    for image in plan.due().filter_map(|decision| declared(request, decision)) {
        let mut problem = |option: &str, message: String| {
            let shown = format!("image {:?}: {option}", image.name.as_str());
            problems.push(ConfigProblem::in_file(&file.shown, image.line, shown, message));
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

struct BuildWork<'a> {
    request: &'a BuildRequest,
    packer: PackerProgram,
    events: &'a EventSender,
    cancel: &'a CancellationToken,
    checked: bool,
}

impl BuildWork<'_> {
    async fn image(&mut self, decision: BuildDecision) -> Result<ImageBuilt, BuildError> {
        let build = declared(self.request, &decision).and_then(|image| image.build.as_ref());
        let mut image = ImageBuilt { decision, steps: Vec::new(), end: ImageEnd::NotDue, outcomes: Vec::new() };
        if !image.decision.due {
            return Ok(image);
        }
        let Some(build) = build else {
            image.end = ImageEnd::NotOurs;
            return Ok(image);
        };
        if self.cancel.is_cancelled() {
            image.end = ImageEnd::Cancelled;
            return Ok(image);
        }
        image.steps = self.steps(build, &self.request.packer_arguments);
        if self.request.dry_run {
            image.end = ImageEnd::Shown;
            return Ok(image);
        }
        if !self.checked {
            self.packer.check().await.map_err(BuildError::Packer)?;
            self.checked = true;
        }
        self.run(&mut image).await?;
        Ok(image)
    }

    fn steps(&self, build: &BuildDecl, extra: &[OsString]) -> Vec<PackerStep> {
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
fn end(outcomes: &[RunOutcome], broken: Option<String>, cancelled: bool) -> ImageEnd {
    let verdict = (!outcomes.is_empty()).then(|| Verdict::over(outcomes.iter().map(|outcome| outcome.verdict)));
    match (verdict, broken) {
        (Some(Verdict::Failed), _) => ImageEnd::Failed,
        (_, Some(_)) if cancelled => ImageEnd::Undecided,
        (Some(Verdict::Undecided), _) => ImageEnd::Undecided,
        (_, Some(words)) => ImageEnd::Broken(words),
        (Some(Verdict::Passed), None) => ImageEnd::Passed,
        (None, None) => ImageEnd::Untested,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(verdict: Verdict) -> RunOutcome {
        RunOutcome { image: None, run: RunId::generate(), verdict, amis: Vec::new() }
    }

    #[test]
    fn what_a_build_amounts_to() {
        use Verdict::{Failed, Passed, Undecided};
        let broken = || Some("packer build: exit status: 1".to_owned());
        for (verdicts, packer, cancelled, wanted) in [
            (vec![Passed], None, false, ImageEnd::Passed),
            (vec![Passed, Failed], broken(), false, ImageEnd::Failed),
            (vec![Failed], broken(), true, ImageEnd::Failed),
            (vec![Undecided, Passed], broken(), false, ImageEnd::Undecided),
            // A pass whose stamp or manifest could not be written ends Packer as well.
            (vec![Passed], broken(), false, ImageEnd::Broken("packer build: exit status: 1".to_owned())),
            (vec![], broken(), false, ImageEnd::Broken("packer build: exit status: 1".to_owned())),
            (vec![], broken(), true, ImageEnd::Undecided),
            (vec![], None, false, ImageEnd::Untested),
        ] {
            let outcomes: Vec<RunOutcome> = verdicts.iter().map(|verdict| told(*verdict)).collect();
            assert_eq!(end(&outcomes, packer.clone(), cancelled), wanted, "{verdicts:?} {packer:?} {cancelled}");
        }
    }
}
