//! Which runs a repair must not promote in the cloud: those that the tags do not know yet, while the lock that names them does not verify. Whoever can push to the protected branch
//! can write a lock by hand; evidence and its signature cannot be written so. It owns that question; what is taken away (revoked, retired, rejected) is followed unasked.

use std::collections::{BTreeMap, BTreeSet};

use super::{finding, finding::StatusDrift, look::StatusSubject};
use assay_config::file::PromotionDecl;
use assay_ledger::{
    BooksRequest, LedgerError, LedgerSnapshot,
    verify::{VerifyFinding, VerifyRequest, verify},
};
use assay_model::{ImageName, ImageState, RunId, tags};

/// The runs that are not followed, each with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UnverifiedRuns(BTreeMap<(ImageName, RunId), String>);

impl UnverifiedRuns {
    /// Why what is found of a run is not mended.
    pub(super) fn why(&self, drift: &StatusDrift) -> Option<&str> {
        self.0.get(&(drift.image.clone(), drift.run?)).map(String::as_str)
    }
}

/// Verifies the locks of those runs, as `books` has them. Fails where git cannot be asked.
pub(super) async fn unverified(
    request: &BooksRequest,
    books: &LedgerSnapshot,
    promotion: &PromotionDecl,
    subjects: &[StatusSubject],
    drift: &[StatusDrift],
) -> Result<UnverifiedRuns, LedgerError> {
    let mut found = UnverifiedRuns::default();
    for subject in subjects {
        let image = &subject.lock.image;
        let promoted = |run: &RunId| matches!(subject.lock.state_of(*run), Some(ImageState::Vetted | ImageState::Gold));
        let new = drift.iter().filter(|one| one.image == *image && is_new(one)).filter_map(|one| one.run);
        let runs: BTreeSet<RunId> = new.filter(promoted).collect();
        if runs.is_empty() {
            continue;
        }
        let verified = verify(&VerifyRequest {
            books: request.clone(),
            at: Some(books.commit().to_owned()),
            image: Some(image.clone()),
            tags: false,
            signatures: false,
            require_signature: promotion.require_signature,
            require_signed_candidate: promotion.require_signed_candidate,
            allowed_signers: promotion.allowed_signers.as_ref().map(|path| path.display().to_string()),
        })
        .await?;
        // A shallow clone hides the history, and is no sign of anything; a candidate file that somebody added says nothing of the lock.
        let candidates = format!("images/{image}/candidates/");
        let counts = |finding: &&VerifyFinding| finding.place != "history" && !finding.place.starts_with(&candidates);
        let Some(first) = verified.findings.iter().chain(&verified.unknown).find(counts) else { continue };
        let why = format!(
            "its AMIs are not tagged as promoted yet, and its lock does not verify: {}: {}. Look at it with assay verify --image {image}",
            first.place, first.message
        );
        found.0.extend(runs.into_iter().map(|run| ((image.clone(), run), why.clone())));
    }
    Ok(found)
}

/// Whether mending this would promote AMIs whose tags know nothing of a promotion.
fn is_new(drift: &StatusDrift) -> bool {
    let finding::StatusFinding::Retagged { key, found, .. } = &drift.finding else { return false };
    let promoted =
        |text: &String| matches!(text.parse(), Ok(ImageState::Vetted | ImageState::Gold | ImageState::Retired));
    match key.as_str() {
        tags::STATE => !found.as_ref().is_some_and(promoted),
        // Tags of another run: what they say of a state is not of this one.
        tags::RUN | tags::IMAGE | tags::MANAGED => true,
        _ => false,
    }
}
