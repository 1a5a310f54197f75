//! Where a run came from: asks the ledger about the repository, and adds what Packer knew.

use super::Request;
use crate::model::Provenance;

/// Commit, branch, owner, pipeline and source digest as far as they can be learned; never fails.
pub async fn learn(request: &Request) -> Provenance {
    Provenance { owner: request.settings.owner.clone(), parent: request.parent.clone(), ..Provenance::default() }
}
