//! assay.hcl: images declared once for all entry points. It owns finding and reading the file, its names and places; what the options in it mean
//! is `check`'s business. What only the image manager asks (parent, build, distribution, promotion, retention, …) are no options of a
//! template and are read and checked here.

mod family;
mod literal;
mod manager;
mod read;
mod read_manager;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{problem::ConfigProblem, raw::OptionLayer};
use assay_model::{Architecture, Candidate, ImageName, Region};

pub use family::in_order;
pub use manager::{
    ALLOWED_SIGNERS, BuildDecl, DistributionDecl, GitDecl, KeepRule, ProjectionDecl, PromotionDecl, RetentionDecl,
};
pub use read::{parse, read};

/// The file's name.
pub const FILE_NAME: &str = "assay.hcl";

/// A whole assay.hcl.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFile {
    /// The file as messages name it.
    pub shown: PathBuf,
    /// The folder that relative paths in it start from.
    pub folder: PathBuf,
    /// `owner` and `access { … }`: options that hold for every image.
    pub options: OptionLayer,
    /// `git { … }`: where the protected branch is.
    pub git: GitDecl,
    /// `promotion { … }`: what evidence must be like.
    pub promotion: PromotionDecl,
    /// The images, in file order.
    pub images: Vec<ImageDecl>,
}

/// One `image "NAME" { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDecl {
    /// Its label.
    pub name: ImageName,
    /// 1-based line of the block.
    pub line: usize,
    /// Its options, by their names in a template.
    pub options: OptionLayer,
    /// `suites { gold = […] }`: the full suite that promotion demands.
    pub gold_suites: Vec<PathBuf>,
    /// `parent`: the image line that this one is built on.
    pub parent: Option<ImageName>,
    /// `max_age`: when a rebuild is due at the latest.
    pub max_age: Option<Duration>,
    /// `regions`: those that gold must cover; empty: those that the candidate has.
    pub regions: Vec<Region>,
    /// `architectures`: those that gold must cover; empty: those that the candidate has.
    pub architectures: Vec<Architecture>,
    /// `build { … }`: how Packer builds it; absent: something else does.
    pub build: Option<BuildDecl>,
    /// `distribution { … }`: where a gold AMI goes.
    pub distribution: DistributionDecl,
    /// `retention { … }`.
    pub retention: RetentionDecl,
    /// `projection "FILE" { … }`, in file order.
    pub projections: Vec<ProjectionDecl>,
}

impl ImageDecl {
    /// Whether gold must be in a region: it is named here, or none is and `candidate` was built there. What lies elsewhere is left from a region that was given up.
    pub fn covers(&self, region: &Region, candidate: &Candidate) -> bool {
        let built = || candidate.amis.iter().any(|ami| ami.record.ami.region == *region);
        self.names(region) || self.regions.is_empty() && built()
    }

    /// Whether a region is named here.
    pub fn names(&self, region: &Region) -> bool {
        self.regions.contains(region) || self.distribution.ami_regions.contains(region)
    }
}

impl ConfigFile {
    /// The image of that name.
    pub fn image(&self, name: &ImageName) -> Option<&ImageDecl> {
        self.images.iter().find(|image| image.name == *name)
    }
}

/// The assay.hcl that `named` (`--config`, from `working_dir`) says, whether it is there or not, else the first in `working_dir` or above it.
pub fn locate(named: Option<&Path>, working_dir: &Path) -> Option<PathBuf> {
    named.map(|path| working_dir.join(path)).or_else(|| find(working_dir))
}

/// How messages call the file at `path`: from `working_dir`, where it lies below that.
pub fn shown(path: &Path, working_dir: &Path) -> PathBuf {
    path.strip_prefix(working_dir).unwrap_or(path).to_owned()
}

/// [`locate`], then [`read`]. `None`: there is none, or nothing of it can be used; the mistakes are in `problems`.
pub fn read_located(named: Option<&Path>, working_dir: &Path, problems: &mut Vec<ConfigProblem>) -> Option<ConfigFile> {
    let path = locate(named, working_dir)?;
    read(&path, &shown(&path, working_dir), problems)
}

/// The first assay.hcl in `start` or a folder above it. Looks at nothing else.
pub fn find(start: &Path) -> Option<PathBuf> {
    start.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
}
