//! The image manager: what keeps a registry of images in git, one module for each command. It builds what is due, plans and compares, moves builds through their
//! states, tells whether the cloud agrees with git, and removes what nobody needs. It owns the order of writing: git first, tags after. It refuses to boot
//! instances: that is [`crate::test_run`]'s.

pub(crate) mod build;
mod candidate;
mod diff;
pub(crate) mod doctor;
mod gold;
pub(crate) mod plan;
pub(crate) mod promotion;
mod prune;
pub(crate) mod status;
mod sweep;

pub(crate) use candidate::candidate;
pub(crate) use diff::diff;
pub(crate) use gold::{GoldImage, GoldRequest, gold};
pub(crate) use prune::{DeletionOutcome as PruneOutcome, PruneAction, PruneReport, PruneSubject, prune};
pub(crate) use sweep::{SweepReport, sweep};
