//! assay.hcl: images declared once for all doors. It owns finding and reading the file, its names and places; what the options in it mean
//! is `check`'s business. What later releases act on (parent, max_age, retention, projection, the gold suites) is read and checked
//! here already, so that a file does not break with an upgrade.

mod literal;
mod read;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::raw::Layer;
use crate::model::ImageName;

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
    pub options: Layer,
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
    pub options: Layer,
    /// `suites { gold = […] }`: the full suite that promotion demands.
    pub gold_suites: Vec<PathBuf>,
    /// `parent`: the image line that this one is built on.
    pub parent: Option<ImageName>,
    /// `max_age`: when a rebuild is due at the latest.
    pub max_age: Option<Duration>,
    /// `retention { … }`.
    pub retention: Retention,
    /// `projection "FILE" { … }`, in file order.
    pub projections: Vec<Projection>,
}

/// How much is kept when old AMIs are pruned; names as in packer-plugin-amazon-ami-management.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// `keep_releases`: at least this many of the newest.
    pub keep_releases: Option<u32>,
    /// `keep_days`: all that are younger.
    pub keep_days: Option<u32>,
}

/// A file outside `images/` into which the gold AMI's ids are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// The block's label: a path from the file's folder.
    pub path: PathBuf,
    /// `variable`: the name to set in it.
    pub variable: String,
}

impl ConfigFile {
    /// The image of that name.
    pub fn image(&self, name: &ImageName) -> Option<&ImageDecl> {
        self.images.iter().find(|image| image.name == *name)
    }
}

/// The first assay.hcl in `start` or a folder above it. Looks at nothing else.
pub fn find(start: &Path) -> Option<PathBuf> {
    start.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
}
