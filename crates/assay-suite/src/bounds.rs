//! What suites may read of this machine, as the caller knows it: who named them, what the command line allows beyond the repository, and which files git
//! tracks. It owns the answers, and refuses to look anything up itself ([`super::reach`] looks at paths, the ledger at git).

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Lists the files that git tracks in the checkout whose top folder is given, as real paths; a sentence where git cannot say. Blocks.
pub type TrackedFiles = fn(&Path) -> Result<BTreeSet<PathBuf>, String>;

/// Who named a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NamedBy {
    /// assay.hcl or a suite, which whoever opens a pull request may change: the file must lie within the repository.
    #[default]
    File,
    /// The command line, or an option in a Packer template, which Packer has read already and whose author can read any file with Packer's own `file()`: the file
    /// may be anywhere, as long as no link in a repository leads out of it on the way there.
    CommandLine,
}

/// See the module. The default allows nothing beyond the repository.
#[derive(Debug, Clone, Default)]
pub struct SuiteBounds {
    /// Who named the suites.
    pub suites: NamedBy,
    /// Who named the files of variables.
    pub vars: NamedBy,
    /// `--allow-path`: folders within which files may be named from anywhere.
    pub allowed_paths: Vec<PathBuf>,
    /// `--allow-run-as`: users, beside nobody, that external suites may run as.
    pub allowed_users: Vec<String>,
    /// Environment variables that templates may see beside the usual ones.
    pub environment: Vec<String>,
    /// A commit's files, checked out below this folder: it counts as the repository, and git tracks all that is in it.
    pub checkout: Option<PathBuf>,
    /// Asks git; without it no template reads a file of a repository.
    pub tracked: Option<TrackedFiles>,
}
