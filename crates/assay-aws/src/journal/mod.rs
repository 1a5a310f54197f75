//! The record of what assay creates, written before it is created, and what is done with it: undo at the end of a run, the reaper when
//! the run's process is killed, the sweep from the cloud's own records when the record itself is lost.
//!
//! Reading order: `entry` (the words of the record), `store` (the file), `names`, `removal` (ending one thing until it is confirmed
//! gone), `undo` (all that a record holds), `reaper` (the child process), `proof` and `sweep`.
//!
//! Deliberately absent: anything that prints, and any knowledge of Packer's Ui. What could not be removed comes back as
//! [`Leftover`](assay_model::evidence::Leftover)s.

mod entry;
mod handover;
mod names;
mod store;
mod undo;

pub mod proof;
pub mod reaper;
pub mod removal;
pub mod sweep;

#[cfg(test)]
mod tests;

pub use entry::{JournalEvent, JournalHeader, JournalStep, JournaledKind, StepState};
pub use names::ResourceNames;
pub use removal::UndoPolicy;
#[cfg(test)]
pub(crate) use store::JournalDisk;
pub use store::{Journal, JournalError, default_root};
pub use undo::undo;
