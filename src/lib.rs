//! assay boots AWS machine images, tests them over SSH, writes state tags on them, and records the result in git.
//!
//! This crate is the program: the test run, the image manager, reports, and what Packer and people talk to. The crates below it are in
//! `crates/`; ARCHITECTURE.md is the map. Data goes one way:
//! `Artifact → Settings → FleetOrder → Fleet → Evidence → Verdict → StateTags → Manifest → Commit`.
//!
//! What is deliberately absent: no `utils`, no global state, no printing outside `cli`, `packer` and `report` (in plugin mode
//! stdout belongs to Packer's handshake).

mod orphan_watch;
mod signals;

mod external_suites;
mod report;

mod test_run;

mod manager;

pub mod cli;
pub mod internal_programs;
pub mod packer;
