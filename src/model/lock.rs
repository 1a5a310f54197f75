//! The lock file of one image, `images/<image>.lock.hcl` on the protected branch: which AMIs are gold, and how they came to be. It owns the
//! fields and the chain of digests; only main-only jobs write one (a later door), `ledger` owns the HCL text.

use serde::{Deserialize, Serialize};

use super::{
    candidate::Candidate,
    ids::{Digest, ImageName, RunId},
    state::State,
};

/// A lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The image line.
    pub image: ImageName,
    /// The run whose AMIs are gold; none before the first promotion.
    pub gold: Option<RunId>,
    /// What happened, oldest first.
    pub entries: Vec<LockEntry>,
}

/// One entry: a run that reached a state on the protected branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockEntry {
    /// The candidate as it was moved in.
    pub candidate: Candidate,
    /// The state that this entry gives it: vetted, gold, retired or revoked.
    pub state: State,
    /// Who asked: a CI job's URL or a person.
    pub by: String,
    /// When, RFC 3339 UTC.
    pub at: String,
    /// Why, in the user's words.
    pub reason: String,
    /// Digest of the entry before this one; none for the first.
    pub previous: Option<Digest>,
}
