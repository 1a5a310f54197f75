//! What the commands about all images of assay.hcl were asked to do (`plan`, `build`, `status`): checked, plain requests. They own no behaviour.

use std::{ffi::OsString, time::Duration};

use super::{file::ConfigFile, request::OutputFormat, settings::AccessSettings};
use assay_model::{ImageName, Region};

/// `assay plan`: which images need a build, and why.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// assay.hcl; its parents are in order.
    pub file: ConfigFile,
    /// Only these, each declared; empty: all.
    pub images: Vec<ImageName>,
    /// Built whatever git says; each is one of `images` where these are named.
    pub force: Vec<ImageName>,
    /// Instead of each image's own `max_age`.
    pub max_age: Option<Duration>,
    /// Whether the remote is asked; else only what is here counts.
    pub fetch: bool,
}

impl PlanRequest {
    /// Whether the plan is to tell of this image.
    pub fn wants(&self, image: &ImageName) -> bool {
        self.images.is_empty() || self.images.contains(image)
    }
}

/// `assay build`: build what is due.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// What is due.
    pub plan: PlanRequest,
    /// Only show the commands.
    pub dry_run: bool,
    /// Arguments for `packer build`, after those of assay.hcl.
    pub packer_arguments: Vec<OsString>,
    /// What Packer is told of colour; absent: as the terminal is.
    pub color: Option<bool>,
    /// How to print the result.
    pub format: OutputFormat,
}

/// `assay status`: where lock and cloud disagree.
#[derive(Debug, Clone)]
pub struct StatusRequest {
    /// What is looked at, and how git is read.
    pub plan: PlanRequest,
    /// Only these regions; empty: all that the lock or assay.hcl name.
    pub regions: Vec<Region>,
    /// How to reach AWS.
    pub access: AccessSettings,
    /// `owner` of assay.hcl; absent: what git's remote says.
    pub owner: Option<String>,
    /// Mend what can be mended.
    pub repair: bool,
}
