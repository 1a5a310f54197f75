//! `plan`: which images need a build, and why. It owns the order of things (look at git, gather facts, decide each image after its parent) and what
//! a plan is; the decision itself is `decide`, a pure function of facts; it refuses the cloud: git says all that is needed.

mod decide;
mod facts;
mod reason;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;

pub(crate) use decide::decide;
pub(crate) use facts::{GatheredFacts, KnownImage, gather};
pub(crate) use reason::{BuildReason, ReasonKind, words as reason_words};

use assay_config::{ConfigProblem, file::in_order, image_requests::PlanRequest};
use assay_ledger::{GitEnvironment, LedgerError};
use assay_model::{
    AmiId, Architecture, Digest, ImageName, ImageState, Region, RunId, exit::ExitStatus, history::GoldObjection,
};

/// What is known of one image when its case is decided.
#[derive(Debug, Clone)]
pub(crate) struct ImageFacts {
    /// The image.
    pub image: ImageName,
    /// Digest of its inputs as they are checked out; `None`: assay.hcl names none.
    pub digest: Option<Digest>,
    /// Every build that git knows of, newest test first.
    pub made: Vec<MadeBuild>,
    /// Digest of the gold in the checked out commit's own lock: another one than the protected branch's where the checkout is behind.
    pub gold_here: Option<Digest>,
    /// Where it is built on another image.
    pub parent: Option<ParentFacts>,
    /// When a build is too old.
    pub max_age: Option<std::time::Duration>,
    /// A user asked for a build whatever is known.
    pub forced: bool,
    /// What assay.hcl declares.
    pub architectures: Vec<Architecture>,
    /// The regions that assay.hcl wants gold in, but those that promotion copies it to.
    pub regions: Vec<Region>,
}

/// One build: a run's AMIs, from a candidate file or the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MadeBuild {
    /// The run.
    pub run: RunId,
    /// The lock's word, else the candidate file's.
    pub state: ImageState,
    /// Digest of what it was built from.
    pub digest: Option<Digest>,
    /// The AMI that it was built on, where that was recorded.
    pub parent: Option<AmiId>,
    /// When its smoke test ended.
    pub tested_at: Timestamp,
    /// When EC2 made its first AMI; `tested_at` where no AMI says.
    pub made_at: Timestamp,
    /// What it has AMIs for, and where.
    pub places: BTreeSet<(Architecture, Region)>,
    /// Retired because another became gold in its place: nobody took it out of use.
    pub superseded: bool,
    /// What the law says against its becoming gold by itself: promotion would refuse it.
    pub objection: Option<GoldObjection>,
}

/// What is known of the image that this one is built on.
#[derive(Debug, Clone)]
pub(crate) struct ParentFacts {
    /// Its name.
    pub image: ImageName,
    /// Its gold, where it has one.
    pub gold: Option<ParentGold>,
    /// A build of it is due, or waits for its own parent.
    pub pending: bool,
}

/// The gold of a parent.
#[derive(Debug, Clone)]
pub(crate) struct ParentGold {
    /// The run.
    pub run: RunId,
    /// Its AMIs in every region.
    pub amis: Vec<AmiId>,
    /// Since when it is gold.
    pub since: Timestamp,
}

/// What was decided for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuildDecision {
    /// The image.
    pub image: ImageName,
    /// Whether it is to be built now.
    pub due: bool,
    /// Why, or why not; at least one.
    pub reasons: Vec<BuildReason>,
    /// The parent whose next gold it waits for.
    pub waits_for: Option<ImageName>,
    /// Digest of its inputs.
    pub source_digest: Option<Digest>,
    /// The newest build of exactly these inputs (of any, where assay.hcl names none).
    pub newest: Option<(RunId, ImageState)>,
}

impl BuildDecision {
    /// Nothing is built of which nothing is known.
    fn unreadable(facts: &ImageFacts, why: String) -> Self {
        Self {
            image: facts.image.clone(),
            due: false,
            reasons: vec![BuildReason::LockUnreadable { why }],
            waits_for: None,
            source_digest: facts.digest.clone(),
            newest: None,
        }
    }

    /// Whether nothing goes on without a person: building again would only repeat what was rejected or taken out of use.
    pub(crate) fn is_stuck(&self) -> bool {
        !self.due && self.reasons.iter().any(|reason| reason.kind() == ReasonKind::Stuck)
    }
}

/// A plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct BuildPlan {
    /// Parents first; only those that were asked for.
    pub images: Vec<BuildDecision>,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl BuildPlan {
    /// 0, also when nothing is due; 2 where an image is stuck.
    pub(crate) fn exit(&self) -> ExitStatus {
        if self.images.iter().any(BuildDecision::is_stuck) { ExitStatus::Failed } else { ExitStatus::Done }
    }

    /// The images to build.
    pub(crate) fn due(&self) -> impl Iterator<Item = &BuildDecision> {
        self.images.iter().filter(|decision| decision.due)
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// assay.hcl asks for what cannot be known.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Configuration(Vec<ConfigProblem>),
    /// git.
    #[error("git cannot say what is there")]
    Ledger(#[from] LedgerError),
}

impl PlanError {
    /// The exit code of a command that ends so.
    pub(crate) fn exit(&self) -> ExitStatus {
        match self {
            Self::Configuration(_) => ExitStatus::Usage,
            Self::Ledger(error) => error.exit(),
        }
    }
}

/// Plans. Fails where git or the remote cannot be read, and where the digest of declared inputs cannot be made.
pub(crate) async fn plan(
    request: &PlanRequest,
    environment: &GitEnvironment,
    now: Timestamp,
) -> Result<BuildPlan, PlanError> {
    let gathered = gather(request, environment).await?;
    Ok(planned(request, &gathered, now))
}

/// The plan that follows from what was gathered.
pub(crate) fn planned(request: &PlanRequest, gathered: &GatheredFacts, now: Timestamp) -> BuildPlan {
    let mut plan = BuildPlan { images: Vec::new(), notes: gathered.notes.clone() };
    let mut decided: Vec<BuildDecision> = Vec::new();
    for declared in in_order(&request.file) {
        let Some(facts) = gathered.facts(request, declared, &decided, now) else { continue };
        let unreadable = gathered.images.get(&declared.name).and_then(|known| known.unreadable.clone());
        let decision = match unreadable {
            Some(why) => BuildDecision::unreadable(&facts, why),
            None => decide(&facts, now),
        };
        if request.wants(&decision.image) {
            plan.images.push(decision.clone());
        }
        decided.push(decision);
    }
    plan
}
