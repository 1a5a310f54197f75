//! The probe: suites compiled to one script per host, run over SSH in a process of its own that holds no credentials,
//! and its answers judged there.
//!
//! Two halves of one program. The conductor holds a [`Prober`] (`client`, `collect`), which starts the prober process
//! and speaks gRPC with it (proto/prober.proto). In the prober process [`serve`] confines itself (`confine`), then
//! runs `engine` on top of `session` (which alone, with `session_lanes` and `session_hop`, knows ssh2) and everything that reads what hosts say. No byte
//! that a host sent is parsed in the conductor: it gets typed outcomes, escaped and bounded.

mod carry;
mod client;
mod collect;
mod confine;
mod engine;
mod evaluate;
mod facts;
mod frames;
mod hop;
mod host_key;
mod inventory;
mod lanes;
mod proto;
mod questions;
mod reach;
pub mod remote;
mod remote_client;
mod reports;
mod rounds;
mod script;
mod serve;
mod session;
mod session_hop;
mod session_lanes;
mod watchdog;
mod ways;

pub use client::{ProbeError, ProbeRequest, Prober};
pub use collect::{ProbeEvent, ProbePhase, SeenHostKey, TargetProbe, amounts_to};
pub use confine::{ConfineError, confine};
pub use evaluate::shown;
pub use facts::{CloudInitState, HostFacts};
pub use inventory::FoundInventory;
pub use reports::{ReportFormat, ReportedTest};
pub use serve::{ServeError, serve};
pub use ways::{BastionOrder, BastionProcess, ConnectionMaker, ConnectionMeans, ConnectionWay};

#[cfg(test)]
#[path = "../../../tests/support/sshd.rs"]
mod sshd;
