//! Room under construction.

pub mod reaper;
