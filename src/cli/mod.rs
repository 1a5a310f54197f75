//! The command line. One file per command: its flags, the checked request they make, and `execute`, which hands it to the conductor. It
//! owns words and exit codes; it refuses to decide anything about images. stdout holds results only, everything else goes to stderr.

pub mod args;
pub mod build;
pub mod commit;
pub mod completions;
mod diff;
mod dispatch;
pub mod doctor;
pub mod iam;
pub mod lint;
mod live;
pub mod man;
pub mod moves;
pub mod option_flags;
pub mod output;
pub mod packer_install;
pub mod plan;
pub mod probe;
pub mod prober_flags;
pub mod promote;
pub mod prune;
pub mod report;
mod results;
pub mod serve;
mod shard;
pub mod status;
pub mod sweep;
pub mod validate;
mod verify;

pub use dispatch::run;

#[cfg(test)]
mod tests;
