//! The image manager: what keeps a registry of images in git, one module for each command. It builds what is due, plans and compares, moves builds through their
//! states, tells whether the cloud agrees with git, and removes what nobody needs. It owns the order of writing: git first, tags after. It refuses to boot
//! instances: that is [`crate::test_run`]'s.

pub mod build;
mod candidate;
mod diff;
pub mod doctor;
mod gold;
pub mod plan;
pub mod promotion;
mod prune;
pub mod status;
mod sweep;

pub use candidate::{NoCandidate, candidate};
pub use diff::{DiffError, diff};
pub use gold::{Gold, GoldError, GoldRequest, gold};
pub use prune::{Action, Outcome as PruneOutcome, PruneError, Pruned, Subject, prune};
pub use sweep::{Swept, sweep};
