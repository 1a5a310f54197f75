//! `sweep`: what runs left behind, found in the cloud's own records. It owns where to look and in whose name; the proof is `journal::proof`'s.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::test_run::EventSender;
use assay_aws::{
    cloud::{CloudError, CloudFactory, Ec2Factory},
    journal::{
        UndoPolicy,
        proof::SweepScope,
        sweep::{self, SweepPlan},
    },
};
use assay_config::request::SweepRequest;
use assay_ledger as ledger;
use assay_ledger::ProvenanceRequest;
use assay_model::{Region, evidence::Leftover};

/// How long removing may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a sweep found and did.
#[derive(Debug)]
pub(crate) struct SweepReport {
    /// Everything with our tags in scope.
    pub plan: SweepPlan,
    /// What could not be removed; `None`: nothing was to be removed, only shown.
    pub left: Option<Vec<Leftover>>,
    /// The owner that was looked for.
    pub owner: Option<String>,
    /// A signal ended it early: `plan` may lack what was not looked at, `left` names what was not removed any more.
    pub cancelled: bool,
}

/// Looks, and with `request.yes` removes. After a cancel nothing more is begun. Fails where the regions cannot be listed.
pub(crate) async fn sweep(
    request: &SweepRequest,
    events: &EventSender,
    cancel: &CancellationToken,
) -> Result<SweepReport, CloudError> {
    let factory = Ec2Factory::connect(&request.access).await;
    let owner = match &request.owner {
        Some(owner) => Some(owner.clone()),
        None if request.run.is_some() => None,
        None => owner_of_repository().await,
    };
    let scope = SweepScope {
        run: request.run,
        owner: owner.clone(),
        named: request.run.is_some() || request.owner_named,
        older_than: request.older_than,
    };
    let looking = look(&factory, request, &scope, events);
    let Some(plan) = cancel.run_until_cancelled(looking).await.transpose()? else {
        return Ok(SweepReport { plan: SweepPlan::default(), left: None, owner, cancelled: true });
    };
    let left = if request.yes {
        events.note(format!("removing {} things", plan.removals().count()));
        Some(sweep::execute(&factory, &plan, &scope, UndoPolicy::within(PATIENCE), cancel).await)
    } else {
        None
    };
    Ok(SweepReport { plan, left, owner, cancelled: cancel.is_cancelled() })
}

async fn look(
    factory: &Ec2Factory,
    request: &SweepRequest,
    scope: &SweepScope,
    events: &EventSender,
) -> Result<SweepPlan, CloudError> {
    if !request.regions.is_empty() {
        return Ok(sweep::plan(factory, &request.regions, scope).await);
    }
    let regions = factory.regions().await?;
    let mut plan = sweep::plan(factory, &regions, scope).await;
    let denied = without_forbidden(&mut plan, regions.len(), request.access.region.as_ref());
    if !denied.is_empty() {
        events.note(format!("not looked at, since a policy forbids it: {}", denied.join(", ")));
    }
    Ok(plan)
}

/// Takes the errors of regions away that a policy forbids outright, where nobody named them: an organisation's guard forbids most, and nothing can be there. Returns these
/// regions. Where every region is forbidden, or the one that is worked in, it is an error all the same.
fn without_forbidden(plan: &mut SweepPlan, asked: usize, own: Option<&Region>) -> Vec<String> {
    let is_forbidden =
        |error: &CloudError| error.is_explicitly_denied() && own.is_none_or(|own| own.as_str() != error.region);
    if plan.errors.iter().filter(|&error| is_forbidden(error)).count() == asked {
        return Vec::new();
    }
    let (forbidden, errors) = std::mem::take(&mut plan.errors).into_iter().partition(is_forbidden);
    plan.errors = errors;
    let forbidden: Vec<CloudError> = forbidden;
    forbidden.into_iter().map(|error| error.region).collect()
}

async fn owner_of_repository() -> Option<String> {
    let environment = ledger::environment_of_process();
    let folder = std::env::current_dir().ok()?;
    let asked = ProvenanceRequest {
        folder: &folder,
        environment: &environment,
        owner: None,
        inputs: &[],
        projections: &[],
        build: "",
    };
    ledger::learn(asked).await.provenance.owner
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_aws::cloud::CloudErrorKind;

    fn error(region: &str, message: &str) -> CloudError {
        CloudError {
            action: "DescribeInstances",
            region: region.to_owned(),
            kind: CloudErrorKind::Denied,
            code: "UnauthorizedOperation".to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn a_region_that_an_organisation_forbids_is_no_error_unless_it_is_ones_own() {
        const FORBIDDEN: &str = "is not authorized to perform it with an explicit deny in a service control policy";
        const MISSING: &str = "is not authorized to perform it because no identity-based policy allows it";
        let plan = |errors: &[(&str, &str)]| SweepPlan {
            items: Vec::new(),
            errors: errors.iter().map(|(region, message)| error(region, message)).collect(),
        };
        let own: Region = "us-east-1".parse().expect("a region");
        let mut some = plan(&[("eu-west-1", FORBIDDEN), ("us-east-1", FORBIDDEN), ("eu-west-2", MISSING)]);
        assert_eq!(without_forbidden(&mut some, 17, Some(&own)), ["eu-west-1"]);
        let left: Vec<&str> = some.errors.iter().map(|error| error.region.as_str()).collect();
        assert_eq!(left, ["us-east-1", "eu-west-2"]);
        let mut all = plan(&[("eu-west-1", FORBIDDEN), ("eu-west-2", FORBIDDEN)]);
        assert!(without_forbidden(&mut all, 2, None).is_empty() && all.errors.len() == 2);
    }
}
