//! The order of a prune: books, account and regions, look, and with `--yes` the deeds. It owns what makes it impossible to judge anything at all.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    deeds::{self, DeletionOutcome},
    latest::{BranchRecord, LatestRecord},
    look::{self, PruneContext, PrunePlan},
    subject::PruneAction,
};
use crate::test_run::EventSender;
use assay_aws::cloud::{CloudError, CloudFactory, Ec2Factory};
use assay_config::prune::PruneRequest;
use assay_ledger as ledger;
use assay_ledger::{BooksRequest, LedgerError, ProvenanceRequest};
use assay_model::exit::ExitStatus;

/// What a prune found and did.
#[derive(Debug)]
pub(crate) struct PruneReport {
    /// On whose behalf.
    pub owner: String,
    /// Everything that was looked at, and what was decided.
    pub plan: PrunePlan,
    /// What was done, by `REGION:ID`; `None`: nothing was to be done, only shown.
    pub outcomes: Option<BTreeMap<String, DeletionOutcome>>,
    /// Whether it was cancelled in the middle.
    pub cancelled: bool,
}

/// Why nothing could be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PruneError {
    /// The protected branch is what says which AMI is gold.
    #[error("nothing was pruned: the protected branch cannot be read")]
    Books(#[source] LedgerError),
    /// The same, in words.
    #[error("nothing was pruned: the protected branch cannot be read: {0}")]
    Unread(String),
    /// EC2.
    #[error("nothing was pruned")]
    Cloud(#[from] CloudError),
    /// Whose AMIs?
    #[error(
        "nothing was pruned: this repository's name is not known; write owner = \"…\" in assay.hcl, as in the tag assay:owner of its AMIs"
    )]
    NoOwner,
}

impl PruneError {
    /// What a shell or CI job is told.
    pub(crate) fn exit(&self) -> ExitStatus {
        match self {
            Self::Books(error) => error.exit(),
            Self::Cloud(_) | Self::Unread(_) => ExitStatus::Undecided,
            Self::NoOwner => ExitStatus::Usage,
        }
    }
}

impl PruneReport {
    /// What a shell or CI job is told: something could not be learned; else something could not be removed; else done.
    pub(crate) fn exit(&self) -> ExitStatus {
        let some =
            |wanted: fn(&DeletionOutcome) -> bool| self.outcomes.iter().flatten().any(|(_, outcome)| wanted(outcome));
        if !self.plan.errors.is_empty() || self.cancelled || some(|one| matches!(one, DeletionOutcome::Unknown(_))) {
            ExitStatus::Undecided
        } else if some(|one| matches!(one, DeletionOutcome::Failed(_))) {
            ExitStatus::Leftovers
        } else {
            ExitStatus::Done
        }
    }

    /// How many AMIs something is to be done with now.
    pub(crate) fn due(&self) -> usize {
        let now = |action: &PruneAction| {
            matches!(action, PruneAction::Deprecate | PruneAction::Disable | PruneAction::Delete)
        };
        self.plan.subjects.iter().filter(|subject| now(&subject.decided())).count() + self.plan.orphans.len()
    }
}

/// Looks, and with `request.yes` does what is due. Fails where nothing can be judged.
pub(crate) async fn prune(
    request: &PruneRequest,
    events: &EventSender,
    cancel: &CancellationToken,
) -> Result<PruneReport, PruneError> {
    let environment = ledger::environment_of_process();
    let owner = owner(request, &environment).await.ok_or(PruneError::NoOwner)?;
    let asked = BooksRequest {
        folder: request.folder.clone(),
        branch: request.branch.clone(),
        remote: request.remote.clone(),
        environment,
    };
    let branch = BranchRecord::open(asked).await.map_err(PruneError::Books)?;
    let factory = Ec2Factory::connect(&request.access).await;
    prune_with(&factory, request, &branch, &owner, events, cancel).await
}

async fn owner(request: &PruneRequest, environment: &ledger::GitEnvironment) -> Option<String> {
    if request.owner.is_some() {
        return request.owner.clone();
    }
    let asked = ProvenanceRequest {
        folder: &request.folder,
        environment,
        owner: None,
        inputs: &[],
        projections: &[],
        build: "",
    };
    ledger::learn(asked).await.provenance.owner
}

/// [`prune`] with the world given: the cloud, what git says, and how to ask it again.
pub(super) async fn prune_with(
    factory: &dyn CloudFactory,
    request: &PruneRequest,
    branch: &dyn LatestRecord,
    owner: &str,
    events: &EventSender,
    cancel: &CancellationToken,
) -> Result<PruneReport, PruneError> {
    let record = branch.latest().await.map_err(PruneError::Unread)?;
    let account = factory.caller_account().await?;
    let regions = if request.regions.is_empty() { factory.regions().await? } else { request.regions.clone() };
    let now = Timestamp::now();
    let ground =
        PruneContext { factory, request, record: &record, branch, account: &account, owner, regions: &regions, now };
    let plan = look::plan(&ground).await;
    let mut pruned = PruneReport { owner: owner.to_owned(), plan, outcomes: None, cancelled: false };
    if request.yes {
        events.note(format!("{} to do", pruned.due()));
        pruned.outcomes = Some(deeds::execute(&ground, &pruned.plan, cancel).await);
        pruned.cancelled = cancel.is_cancelled();
    }
    Ok(pruned)
}
