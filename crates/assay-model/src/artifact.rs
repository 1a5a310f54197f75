//! The artifact that Packer hands over, read into plain values. It owns which builders make AMIs.

use super::ami::AmiRef;
use super::ids::IdError;

/// Builder ids whose artifact is a set of AMIs (packer-plugin-amazon: `builder/*/builder.go`, `post-processor/import`).
pub const AMI_BUILDER_IDS: [&str; 5] = [
    "mitchellh.amazonebs",
    "mitchellh.amazon.ebssurrogate",
    "mitchellh.amazon.chroot",
    "mitchellh.amazon.instance",
    "packer.post-processor.amazon-import",
];

/// The builder that makes volumes and snapshots but no AMI.
pub const EBSVOLUME_BUILDER_ID: &str = "mitchellh.amazon.ebsvolume";

/// `packer_builder_type` values that can never yield an AMI to test, with the reason, for `packer validate`. Only types that are known
/// to make none are listed: an unknown type may belong to somebody's own AMI builder, and what makes files (null, file, docker) may stand before `artifice` and `amazon-import`.
pub const BUILDER_TYPES_WITHOUT_AMI: [(&str, &str); 3] = [
    ("amazon-ebsvolume", "it makes volumes and snapshots, no AMI"),
    ("googlecompute", "it makes a Google Compute Engine image"),
    ("azure-arm", "it makes an Azure image"),
];

/// What one build produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltArtifact {
    /// The artifact's builder id, one of [`AMI_BUILDER_IDS`] in the usual case.
    pub builder_id: String,
    /// Packer's artifact id: `region:ami-…` joined by commas, sorted.
    pub id: String,
    /// The AMIs in it.
    pub amis: Vec<AmiRef>,
}

impl BuiltArtifact {
    /// Reads an artifact id. Fails when a part is no `region:ami-…`, or when there is none.
    pub fn parse(builder_id: &str, id: &str) -> Result<Self, IdError> {
        let amis = id
            .split(',')
            .filter(|part| !part.trim().is_empty())
            .map(|part| part.trim().parse())
            .collect::<Result<Vec<AmiRef>, IdError>>()?;
        if amis.is_empty() {
            return Err(IdError {
                what: "an artifact of AMIs",
                value: id.to_owned(),
                expected: "REGION:AMI[,REGION:AMI…]",
            });
        }
        Ok(Self { builder_id: builder_id.to_owned(), id: id.to_owned(), amis })
    }
}
