//! Go templates in goss files, rendered as goss renders them: text/template with Sprig, `.Vars`, `.Env` and goss's own
//! functions, a missing key being an error (goss v0.4.9: template.go, store.go). It owns what a template may see and how
//! much it may make, and where each part of the rendered text came from.
//!
//! [`lex`] cuts the text into tokens, [`parse`] makes a tree of them, [`execute`] walks it; [`builtin`], [`compare`],
//! [`format`] and [`printf`] are text/template's own functions, `functions` Sprig's and goss's. Values are [`value`]'s and
//! [`dict`]'s. Why this is not a crate's: docs/decisions/0007-templates.md.

mod builtin;
mod characters;
mod compare;
mod dict;
mod engine;
mod environment;
mod execute;
mod format;
mod functions;
mod json;
mod lex;
mod literal;
mod parse;
mod printf;
mod rendered;
mod syntax;
mod value;
mod vars;

pub(super) use engine::{TemplateWorld, render};
pub(super) use environment::VisibleEnvironment;
pub(super) use rendered::RenderedText;
pub use vars::VarSources;
pub(super) use vars::{TemplateVars, load as load_vars};

use std::ops::Range;

/// What is wrong in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TemplateMistake {
    /// Where in the source, in bytes.
    pub span: Range<usize>,
    /// What, in one line.
    pub title: String,
    /// What would be right.
    pub help: Option<String>,
}

/// The mistake of a template that cannot be parsed.
fn unparsable(span: Range<usize>, what: &str) -> TemplateMistake {
    TemplateMistake {
        span,
        title: format!("this template cannot be parsed: {what}"),
        help: Some("goss files are Go templates; to write {{ itself: {{ \"{{\" }}".to_owned()),
    }
}

#[cfg(test)]
mod tests;
