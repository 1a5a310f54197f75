//! The names of assay's tags and where a run came from. It owns every `assay:*` key; it refuses to write one (see `registry`).

use serde::{Deserialize, Serialize};

use super::ids::{AmiId, Digest};

/// The prefix that belongs to assay; user tags must not begin with it.
pub const PREFIX: &str = "assay:";
/// `true` on everything that assay made or judged.
pub const MANAGED: &str = "assay:managed";
/// The repository on whose behalf it was made.
pub const OWNER: &str = "assay:owner";
/// The image line.
pub const IMAGE: &str = "assay:image";
/// The run's ULID.
pub const RUN: &str = "assay:run";
/// One of [`super::ImageState`].
pub const STATE: &str = "assay:state";
/// The git commit that was built.
pub const COMMIT: &str = "assay:commit";
/// The git branch that was built.
pub const BRANCH: &str = "assay:branch";
/// The CI build's URL or id.
pub const PIPELINE: &str = "assay:pipeline";
/// Digest of the image's inputs.
pub const SOURCE_DIGEST: &str = "assay:source-digest";
/// The AMI that it was built from.
pub const PARENT: &str = "assay:parent";
/// passed, failed or undecided.
pub const VERDICT: &str = "assay:verdict";
/// Digest of the evidence file.
pub const EVIDENCE: &str = "assay:evidence";
/// On snapshots that are being deleted: the AMI that they belonged to.
pub const PRUNED: &str = "assay:pruned";
/// Who made the last move that the lock holds: a CI job's URL or a person.
pub const PROMOTED_BY: &str = "assay:promoted-by";
/// On an AMI that promotion copied: the tested one, as `region:ami-…`.
pub const COPY_OF: &str = "assay:copy-of";
/// `assay` where promotion turned deregistration protection on, `nobody` after it was lifted.
pub const PROTECTED_BY: &str = "assay:protected-by";
/// On what is temporary: when it may be swept, RFC 3339 UTC.
pub const EXPIRES_AT: &str = "assay:expires-at";

/// Where a run came from; what is unknown is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The repository, as `host/owner/name` or what the user configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The git commit, 40 or 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The git branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The CI build's URL or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// Digest of the inputs that `assay.hcl` names for the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_digest: Option<Digest>,
    /// The AMI that it was built from (Packer's SourceAMI).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<AmiId>,
    /// When the build was begun, RFC 3339 UTC: what was decided before that, it knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<String>,
}

impl Provenance {
    /// The tags that say this, in a fixed order; EC2 limits a value to 256 characters, longer ones are cut.
    pub fn tags(&self) -> Vec<(String, String)> {
        let cut = |text: &str| text.chars().take(256).collect::<String>();
        [
            (OWNER, self.owner.as_deref()),
            (COMMIT, self.commit.as_deref()),
            (BRANCH, self.branch.as_deref()),
            (PIPELINE, self.pipeline.as_deref()),
            (SOURCE_DIGEST, self.source_digest.as_ref().map(Digest::as_str)),
            (PARENT, self.parent.as_ref().map(AmiId::as_str)),
        ]
        .into_iter()
        .filter_map(|(key, value)| value.map(|v| (key.to_owned(), cut(v))))
        .collect()
    }
}
