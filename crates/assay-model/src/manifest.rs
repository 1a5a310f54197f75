//! The manifest: Packer's own manifest file and, in each build, an `assay` object more. It owns the JSON shape
//! (hashicorp/packer: `post-processor/manifest`), so that jq scripts for Packer's file go on working.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    ami::AmiRecord,
    evidence::Leftover,
    ids::{Digest, ImageName, RunId},
    state::ImageState,
    tags::Provenance,
    verdict::Verdict,
};

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Every build, oldest first.
    pub builds: Vec<ManifestBuild>,
    /// PackerRunUUID of the last writer.
    #[serde(default)]
    pub last_run_uuid: String,
}

/// Which runs of a manifest are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestRuns {
    /// That of the last writer (`last_run_uuid`), else the one tested last.
    Last,
    /// This one.
    One(RunId),
    /// Every one that the manifest holds.
    All,
}

/// One build. The first seven fields are Packer's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestBuild {
    /// The source's name, e.g. `base`.
    pub name: String,
    /// e.g. `amazon-ebs`.
    pub builder_type: String,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_time: Option<i64>,
    /// Null for AMIs.
    pub files: Option<Vec<serde_json::Value>>,
    /// `region:ami-…[,…]`.
    pub artifact_id: String,
    /// PackerRunUUID.
    pub packer_run_uuid: String,
    /// Null, or the user's map.
    pub custom_data: Option<BTreeMap<String, String>>,
    /// Ours; absent in entries that Packer's own post-processor wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assay: Option<StampedBuild>,
}

/// What assay adds to a build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StampedBuild {
    /// The image line.
    pub image: ImageName,
    /// The run.
    pub run: RunId,
    /// The state that was written to the tags.
    pub state: ImageState,
    /// The verdict over all AMIs of this build.
    pub verdict: Verdict,
    /// region → AMI id.
    pub amis: BTreeMap<String, String>,
    /// What EC2 said of each AMI.
    pub records: Vec<AmiRecord>,
    /// Where the run came from.
    pub provenance: Provenance,
    /// Path of the evidence file, relative to the manifest's folder where possible.
    pub evidence: String,
    /// Digest of the evidence file's bytes.
    pub evidence_digest: Digest,
    /// When testing ended, RFC 3339 UTC.
    pub tested_at: String,
    /// What could not be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<Leftover>,
}
