//! The candidate file: what a build job writes to its branch, one file per image and run, so that two never conflict. It owns the
//! fields; `ledger` owns the HCL text and the place (`images/<image>/candidates/<run>.hcl`).

use serde::{Deserialize, Serialize};

use super::{
    ami::{AmiRecord, Architecture},
    ids::{Digest, ImageName, Region, RunId},
    state::ImageState,
    tags::Provenance,
    verdict::Verdict,
};

/// One run's AMIs of one image with their build status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The image line.
    pub image: ImageName,
    /// The run.
    pub run: RunId,
    /// Over all AMIs: candidate, rejected or untested.
    pub state: ImageState,
    /// Over all AMIs.
    pub verdict: Verdict,
    /// When the run's evidence was finished, RFC 3339 UTC (not when the file was written: writing again changes nothing).
    pub tested_at: String,
    /// Where the run came from.
    pub provenance: Provenance,
    /// Digest of `images/evidence/<image>/<run>.json`: that of the first AMI, in the order of `amis`.
    pub evidence: Digest,
    /// One per architecture and region, sorted so.
    pub amis: Vec<CandidateAmi>,
}

/// One AMI of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateAmi {
    /// What EC2 said of it when it was tested.
    pub record: AmiRecord,
    /// Its state when the file was written.
    pub state: ImageState,
    /// Digest of the evidence of the build that made it. Builds of one run each bring their own (an amd64 job and an arm64 job).
    pub evidence: Digest,
    /// When that evidence was finished, RFC 3339 UTC.
    pub tested_at: String,
}

impl Candidate {
    /// Whether every AMI of this candidate is in `whole` under the same key, and there is at least one.
    pub fn is_part_of(&self, whole: &Candidate) -> bool {
        let held = |ami: &CandidateAmi| {
            whole.amis.iter().any(|other| other.key() == ami.key() && other.record.ami == ami.record.ami)
        };
        !self.amis.is_empty() && self.amis.iter().all(held)
    }
}

impl CandidateAmi {
    /// What identifies an AMI within an image and run: architecture and region.
    pub fn key(&self) -> (Architecture, Region) {
        (self.record.architecture, self.record.ami.region.clone())
    }
}
