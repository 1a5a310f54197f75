//! The one integration binary: real Packer, real amazon plugin, the mini cloud, real git. It links once.
//!
//! Every test proves behaviour from outside: what Packer printed, what stands in the cloud, in git and on disk. A missing tool makes a test fail and say how
//! to get it. Needs what `make test` prepares.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/sshd.rs"]
mod sshd;
mod support;

mod append;
mod architecture;
mod boots;
mod build;
mod build_due;
mod chained;
mod cleanup;
mod command_line;
mod differences;
mod differential;
mod doctor;
mod ec2_requests;
mod estate;
mod external;
mod failing;
mod gitops;
mod goss;
mod goss_render;
mod hostile_repositories;
mod hygiene;
mod launching;
mod lifetime;
mod older_packers;
mod packer_destroys;
mod permissions;
mod plan;
mod privacy;
mod prober;
mod program;
mod programs;
mod promotion;
mod pruning;
mod regions;
mod remote;
mod rights;
mod samples;
mod status;
mod ways;
