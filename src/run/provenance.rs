//! Where a run came from: asks the ledger about the repository, and adds what Packer knew.

use super::Request;
use crate::{
    ledger::{self, ProvenanceRequest},
    model::Provenance,
};

/// Commit, branch, owner, pipeline and source digest as far as they can be learned; never fails. What could not be learned is logged.
pub async fn learn(request: &Request) -> Provenance {
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
    Provenance { parent: request.parent.clone(), ..learned.provenance }
}
