//! What `assay prune` was asked to do: the checked request, and how much is kept where nobody says it. It owns the defaults; it refuses to look at an AMI.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    file::{KeepRule, RetentionDecl},
    request::OutputFormat,
    settings::AccessSettings,
};
use assay_model::{ImageName, ImageState, Region};

/// The newest releases that are kept of each image and state.
pub const KEEP_RELEASES: u32 = 3;
/// Days for which every release is kept.
pub const KEEP_DAYS: u32 = 30;
/// Of what failed its checks: the newest, to look at.
pub const KEEP_REJECTED_RELEASES: u32 = 1;
/// See [`KEEP_REJECTED_RELEASES`].
pub const KEEP_REJECTED_DAYS: u32 = 7;
/// How long an AMI is disabled before it is deleted.
pub const GRACE: Duration = Duration::from_secs(7 * 86_400);

/// `assay prune`: retire and delete AMIs that are past retention.
#[derive(Debug, Clone)]
pub struct PruneRequest {
    /// Only these images; empty: all that assay.hcl declares.
    pub images: Vec<ImageName>,
    /// What assay.hcl says of each declared image's retention.
    pub retention: BTreeMap<ImageName, RetentionDecl>,
    /// `--keep-releases` and `--keep-days`: over what assay.hcl says, for every state.
    pub keep: KeepRule,
    /// Where to look; empty: everywhere that the account may use.
    pub regions: Vec<Region>,
    /// How long an AMI is disabled before it is deleted.
    pub grace: Duration,
    /// The repository's name in tags; absent: learned from git's remote.
    pub owner: Option<String>,
    /// The folder of assay.hcl.
    pub folder: PathBuf,
    /// The protected branch.
    pub branch: String,
    /// The remote; absent: git's own choice, else `origin`.
    pub remote: Option<String>,
    /// How to reach AWS.
    pub access: AccessSettings,
    /// Do it; otherwise only show.
    pub yes: bool,
    /// How to print the result.
    pub format: OutputFormat,
}

/// How much is kept of one image and state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepCount {
    /// The newest releases.
    pub releases: u32,
    /// Days.
    pub days: u32,
}

impl PruneRequest {
    /// What holds for `state` of `image`: the flags, then the state's own block, then the image's, then the defaults. `None`: assay.hcl does not declare the
    /// image.
    pub fn rule(&self, image: &ImageName, state: ImageState) -> Option<KeepCount> {
        let said = self.retention.get(image)?.of(state);
        let (releases, days) = match state {
            ImageState::Rejected => (KEEP_REJECTED_RELEASES, KEEP_REJECTED_DAYS),
            _ => (KEEP_RELEASES, KEEP_DAYS),
        };
        Some(KeepCount {
            releases: self.keep.keep_releases.or(said.keep_releases).unwrap_or(releases),
            days: self.keep.keep_days.or(said.keep_days).unwrap_or(days),
        })
    }

    /// Whether AMIs of this image are meant.
    pub fn asks_for(&self, image: &ImageName) -> bool {
        self.images.is_empty() || self.images.contains(image)
    }
}
