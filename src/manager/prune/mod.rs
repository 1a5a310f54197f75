//! `prune`: AMIs past retention are deprecated, disabled, and after a while deleted. Pure logic first, then the deeds.
//!
//! Reading order: `record` (what git says), `latest` (what it says by now), `subject` (one AMI, and the proof that it is ours), `decide` (what to keep and why), `look` (the calls that this
//! needs), `deeds` (what is done with the rest), `conduct` (the order of all that).

mod conduct;
mod decide;
mod deeds;
mod latest;
mod look;
mod record;
mod subject;

#[cfg(test)]
mod test_world;
#[cfg(test)]
mod tests;

pub(crate) use conduct::{PruneReport, prune};
pub(crate) use deeds::DeletionOutcome;
pub(crate) use subject::{PruneAction, PruneSubject};
