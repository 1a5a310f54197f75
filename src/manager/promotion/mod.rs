//! Promotion: a candidate becomes vetted, a vetted run becomes gold, and what was gold is replaced, revoked or brought back. It owns the order: what is intended is
//! committed to the lock on the protected branch, whose push is the one compare-and-set; then tags follow, then sharing, then the pointer. Every step may be repeated,
//! and a rerun goes on wherever the one before ended. It refuses to launch, and to believe a tag, a work tree or a pull request over the protected branch.

mod context;
mod copying;
mod distribution;
mod evidence;
mod facts;
mod following;
mod gold;
mod moves;
mod outcome;
mod rules;
mod sanity;
mod vetting;
mod vouching;

#[cfg(test)]
mod tests;

pub(crate) use outcome::{LockChange, MoveRefusal, MovedRun, PromotionError};

use crate::test_run::EventSender;
use assay_aws::cloud::{CloudError, CloudFactory, Ec2Factory};
use assay_config::promotion_request::{MoveRequest, PromoteRequest, RunGoal};
use assay_ledger::{GitEnvironment, environment_of_process};
use assay_model::Candidate;
use context::MoveContext;
use evidence::FoundEvidence;

/// Why the AMIs of a candidate that waits are not what its file says; empty: they are. Fails where EC2 does not answer.
pub(super) async fn strange_amis(
    factory: &dyn CloudFactory,
    candidate: &Candidate,
) -> Result<Vec<MoveRefusal>, CloudError> {
    let records = || candidate.amis.iter().map(|ami| &ami.record);
    let (seen, mut unanswered) = facts::look(factory, records().map(|record| record.ami.clone())).await;
    if let Some((_, error)) = unanswered.pop() {
        return Err(error);
    }
    let differ = |record| facts::compare(&seen, record, &candidate.image, candidate.run, false);
    Ok(records().flat_map(differ).chain(facts::origin(&seen, candidate)).collect())
}

/// `assay promote`: one result for each image that something was to be done for, in the order of the request.
pub(crate) async fn promote(request: &PromoteRequest, events: &EventSender) -> Vec<Result<MovedRun, PromotionError>> {
    let factory = Ec2Factory::connect(&request.ledgering.access).await;
    promote_with(request, &factory, &environment_of_process(), events).await
}

async fn promote_with(
    request: &PromoteRequest,
    factory: &dyn CloudFactory,
    environment: &GitEnvironment,
    events: &EventSender,
) -> Vec<Result<MovedRun, PromotionError>> {
    let context = match MoveContext::open(&request.ledgering, factory, environment, events).await {
        Ok(context) => context,
        Err(error) => return vec![Err(error)],
    };
    let mut results = Vec::new();
    match &request.to {
        RunGoal::Vetted(files) => {
            let proofs = match FoundEvidence::read_all(files, &context.write.books.folder, environment).await {
                Ok(proofs) => proofs,
                Err(error) => return vec![Err(error)],
            };
            results.extend(FoundEvidence::strangers(&proofs, &request.images).into_iter().map(Err));
            for image in &request.images {
                match FoundEvidence::of_image(&proofs, image) {
                    None if request.all => {}
                    found => {
                        let mut vetted = vetting::vet(&context, image, request.run, found).await;
                        if let (Ok(moved), Some(found)) = (&mut vetted, found) {
                            moved.notes.extend(found.passed_over(&proofs));
                        }
                        results.push(vetted);
                    }
                }
            }
        }
        RunGoal::Gold => {
            for image in &request.images {
                match gold::promote(&context, image, request.run).await {
                    Err(PromotionError::Nothing { .. }) if request.all => {}
                    result => results.push(result),
                }
            }
        }
    }
    results
}

/// `assay reject`, `retire`, `revoke` and `rollback`.
pub(crate) async fn moved(request: &MoveRequest, events: &EventSender) -> Result<MovedRun, PromotionError> {
    let factory = Ec2Factory::connect(&request.ledgering.access).await;
    moved_with(request, &factory, &environment_of_process(), events).await
}

async fn moved_with(
    request: &MoveRequest,
    factory: &dyn CloudFactory,
    environment: &GitEnvironment,
    events: &EventSender,
) -> Result<MovedRun, PromotionError> {
    let context = MoveContext::open(&request.ledgering, factory, environment, events).await?;
    moves::make(&context, &request.image, request.what).await
}
