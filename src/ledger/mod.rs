//! The ledger: what assay writes to git and how it gets there. It owns candidate and lock files, evidence in git, tags and pushes, and
//! what can be learned from a repository about where a run came from. It is the only room that runs `git`; it refuses to touch the
//! user's work tree, index and branches.

pub mod candidate_file;
#[cfg(test)]
mod fixtures;
mod hcl_text;
pub mod lock_file;
mod merge;

pub use hcl_text::HclError;
pub use merge::MergeConflict;
