//! The ledger: what assay writes to git and how it gets there. It owns candidate and lock files, evidence in git, tags and pushes, and
//! what can be learned from a repository about where a run came from. It is the only crate that runs `git`; it refuses to touch the
//! user's work tree, index and branches.

pub mod books;
mod branch;
pub mod candidate_file;
mod candidate_signature;
mod candidates;
mod checkout;
pub mod checkup;
pub mod commit;
#[cfg(test)]
mod commit_tests;
#[cfg(any(test, feature = "test-support"))]
#[allow(missing_docs)]
pub mod fixtures;
mod git;
mod hcl_text;
mod input_digest;
mod intake;
mod local;
mod location;
pub mod lock_file;
mod lookup;
mod merge;
pub mod message;
mod message_lock;
mod plan;
pub mod projection;
pub mod provenance;
mod race;
#[cfg(test)]
mod race_tests;
mod remote;
mod repository;
mod source_digest;
mod surroundings;
mod tag_place;
mod tag_statement;
pub mod vantage;
pub mod verify;
mod words;
#[cfg(any(test, feature = "test-support"))]
#[allow(missing_docs)]
pub mod world;
pub mod write;
#[cfg(test)]
mod write_tests;

pub use books::{BooksRequest, LedgerEdit, LedgerSnapshot, NewTag, WriteError, WriteRequest, WrittenChange};
pub use branch::BranchError;
pub use candidate_signature::CandidateSigner;
pub use candidates::{CandidateFiles, ImageFiles, UnreadableFile};
pub use commit::{CommitChange, CommitOutcome, CommitRequest, LedgerError, LeftOut, RacePatience, TagOutcome, commit};
pub use git::{GitEnvironment, GitError, environment_of_process};
pub use hcl_text::HclError;
pub use intake::IntakeError;
pub use merge::{MergeConflict, evidence_paths};
pub use message_lock::{lock_commit, lock_tag, lock_tag_name};
pub use plan::PlanError;
pub use provenance::{LearnedProvenance, ProvenanceRequest, is_this_workflow, learn, owner_of, workflow};
pub use source_digest::SourceDigest;
pub use surroundings::{
    actor, branch_of_job, embedded_repositories, is_tracked, path_in_repository, tracked_below, tracked_files,
};
