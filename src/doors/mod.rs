//! The doors: each way into assay, thin.

pub mod prober;
