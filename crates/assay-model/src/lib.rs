//! The nouns of assay: ids, run, state, verdict, evidence, candidate, lock. It owns what the words mean and which values are
//! legal; it refuses all I/O, clocks and environment.

pub mod ami;
pub mod artifact;
pub mod candidate;
pub mod cause;
pub mod compare;
pub mod escape;
pub mod event;
pub mod evidence;
pub mod exit;
pub mod history;
pub mod ids;
pub mod image_diff;
pub mod inventory;
pub mod lock;
pub mod manifest;
pub mod merge;
#[cfg(any(test, feature = "test-support"))]
#[allow(missing_docs)]
pub mod sample;
pub mod shard;
pub mod state;
pub mod tags;
pub mod target;
pub mod verdict;

pub use ami::{AmiRecord, AmiRef, Architecture};
pub use artifact::BuiltArtifact;
pub use candidate::{Candidate, CandidateAmi};
pub use event::RunEvent;
pub use evidence::{CheckEvidence, CheckOutcome, Evidence, HostKeyPin, PhaseTime, TargetEvidence};
pub use ids::{AccountId, AmiId, Digest, IdError, ImageName, Region, RunId};
pub use inventory::{BootFacts, Inventory};
pub use manifest::{Manifest, ManifestBuild, ManifestRuns};
pub use shard::Shard;
pub use state::{IllegalMove, ImageState};
pub use tags::Provenance;
pub use target::{BootOptions, TargetId};
pub use verdict::{UndecidedKind, Verdict};
