//! assay boots AWS machine images, tests them over SSH, stamps them with tags, and records the result in git.
//!
//! This file is the map: the rooms of the code in reading order, lowest first. Each room may use the rooms above
//! it in this list and never one below. Data goes one way:
//! `Artifact → Settings → Order → Fleet → Evidence → Verdict → Hallmark → Manifest → Commit`.
//!
//! What is deliberately absent: no `utils`, no global state, no printing outside `doors` and `report` (in plugin mode
//! stdout belongs to Packer's handshake).

pub mod exit;
pub mod model;
mod orphan_watch;
mod signals;

pub mod signing;

pub mod suite;

pub mod config;

pub mod iam;

pub mod cloud;

pub mod journal;

pub mod external;
pub mod launch;
pub mod ledger;
pub mod probe;
pub mod registry;
pub mod report;
pub mod wire;

pub mod run;

pub mod doors;
