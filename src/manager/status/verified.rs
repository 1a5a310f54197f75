//! Which runs a repair must not promote in the cloud: those that the tags do not know yet, while the lock that names them does not verify. Whoever can push to the protected branch
//! can write a lock by hand; evidence and its signature cannot be written so. It owns that question; what is taken away (revoked, retired, rejected) is followed unasked.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    finding::{StatusDrift, StatusFinding},
    look::StatusSubject,
};
use assay_aws::registry;
use assay_config::file::PromotionDecl;
use assay_ledger::{
    BooksRequest, LedgerError, LedgerSnapshot,
    verify::{VerifyFinding, VerifyRequest, verify},
};
use assay_model::{
    ImageName, ImageState, RunId,
    lock::{Lock, LockEntry},
    tags,
};

/// The runs that are not followed, each with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UnverifiedRuns {
    runs: BTreeMap<(ImageName, RunId), String>,
    /// Images whose lock may be older than what the cloud followed: nothing of them is mended.
    behind: BTreeMap<ImageName, String>,
}

impl UnverifiedRuns {
    /// Why what is found of a run is not mended.
    pub(super) fn why(&self, drift: &StatusDrift) -> Option<&str> {
        let run = || self.runs.get(&(drift.image.clone(), drift.run?));
        self.behind.get(&drift.image).or_else(run).map(String::as_str)
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
    let lagging = books.lags(request).await?;
    for subject in subjects {
        let image = &subject.lock.image;
        if let Some(why) = lagging.clone().or_else(|| behind(&subject.lock, drift)) {
            found.behind.insert(image.clone(), why);
            continue;
        }
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
        found.runs.extend(runs.into_iter().map(|run| ((image.clone(), run), why.clone())));
    }
    Ok(found)
}

/// Why a lock seems to be older than the one that tags followed: an AMI's tags say a later state of its run than the lock does, by somebody who made no such move in it. Where somebody
/// changed one tag by hand, the other still says what the lock says.
pub(super) fn behind(lock: &Lock, drift: &[StatusDrift]) -> Option<String> {
    let of = |one: &StatusDrift, wanted: &str| match (&one.finding, &one.ami) {
        (StatusFinding::Retagged { resource, key, found: Some(found), .. }, Some(ami))
            if key == wanted && *resource == ami.id.as_str() =>
        {
            Some(found.clone())
        }
        _ => None,
    };
    drift.iter().filter(|one| one.image == lock.image).find_map(|one| {
        let (run, ami) = (one.run?, one.ami.as_ref()?);
        let (known, tagged) = (lock.state_of(run)?, of(one, tags::STATE)?.parse::<ImageState>().ok()?);
        let by = drift.iter().filter(|other| other.ami.as_ref() == Some(ami)).find_map(|other| of(other, tags::PROMOTED_BY))?;
        let is_past = |entry: &LockEntry| entry.run == run && entry.state == tagged && by == registry::promoted_by(entry);
        (order(tagged) > order(known) && !lock.entries.iter().any(is_past)).then(|| {
            format!(
                "{ami} is tagged {tagged} by {}, and the lock that was read says {known}: it may be older than the one that the tags followed (a clone or a mirror that is behind?), so nothing of the image is changed. If the lock is right, tag the AMI {known} by hand",
                assay_model::escape::escape_line(&by)
            )
        })
    })
}

/// How far along a run is: a lock never goes back in this but by a rollback.
fn order(state: ImageState) -> u8 {
    match state {
        ImageState::Building | ImageState::Untested => 0,
        ImageState::Candidate => 1,
        ImageState::Vetted => 2,
        ImageState::Gold => 3,
        ImageState::Retired | ImageState::Rejected => 4,
        ImageState::Revoked => 5,
    }
}

/// Whether mending this would promote AMIs whose tags know nothing of a promotion.
fn is_new(drift: &StatusDrift) -> bool {
    let StatusFinding::Retagged { key, found, .. } = &drift.finding else { return false };
    let promoted =
        |text: &String| matches!(text.parse(), Ok(ImageState::Vetted | ImageState::Gold | ImageState::Retired));
    match key.as_str() {
        tags::STATE => !found.as_ref().is_some_and(promoted),
        // Tags of another run: what they say of a state is not of this one.
        tags::RUN | tags::IMAGE | tags::MANAGED => true,
        _ => false,
    }
}
