//! Where a run came from: asks the ledger about the repository, and adds what Packer knew.

use super::Request;
use crate::{
    ledger::{self, ProvenanceRequest},
    model::Provenance,
};

/// Commit, branch, owner, pipeline and source digest as far as they can be learned, or the candidate's own, and the CI workflow that this job is of;
/// never fails. What could not be learned is logged.
pub async fn learn(request: &Request) -> (Provenance, Option<String>) {
    let environment = ledger::environment_of_process();
    let learned = ledger::learn(ProvenanceRequest {
        folder: &request.settings.base_dir,
        environment: &environment,
        owner: request.settings.owner.as_deref(),
        inputs: &request.settings.inputs,
        projections: &request.settings.projections,
    })
    .await;
    for reason in &learned.unknown {
        tracing::info!(%reason, "not known of this run");
    }
    let provenance = match &request.candidate {
        Some(candidate) => candidate.provenance.clone(),
        None => Provenance { parent: request.parent.clone(), ..learned.provenance },
    };
    (provenance, learned.workflow)
}
