//! Go templates in goss files, rendered as goss renders them: text/template with Sprig, `.Vars`, `.Env` and goss's own
//! functions, a missing key being an error (goss v0.4.9: template.go, store.go). It owns what a template may see and how
//! much it may make, and where each part of the rendered text came from.
//!
//! The crate gotmpl parses and executes. It tells no line of what fails while executing, so a marker stands before
//! every node of the tree ([`instrument`]): it records what is being executed and where its output begins.

mod engine;
mod environment;
mod format;
mod functions;
mod instrument;
mod rendered;
mod value;
mod vars;

pub(super) use engine::{World, render};
pub(super) use environment::Environment;
pub(super) use rendered::Rendered;
pub use vars::VarSources;
pub(super) use vars::{Vars, load as load_vars};

use std::ops::Range;

/// What is wrong in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Where in the source, in bytes.
    pub span: Range<usize>,
    /// What, in one line.
    pub title: String,
    /// What would be right.
    pub help: Option<String>,
}

#[cfg(test)]
mod tests;
