//! Reports: the manifest, evidence JSON, JUnit XML, one text report, the lines for Packer's Ui. It owns how things are said and how files
//! are written so that nothing is lost or half written; it renders and never decides. Everything that came from a host is escaped
//! here once more, whatever was done before.

mod aside;
pub(crate) mod diff;
pub(crate) mod event_lines;
pub(crate) mod evidence;
pub(crate) mod json;
pub(crate) mod junit;
mod lock;
pub(crate) mod manifest;
pub(crate) mod outcomes;
pub(crate) mod tap;
pub(crate) mod text;
mod written;

pub(crate) use aside::{refuse_links, write as write_aside};
pub(crate) use evidence::{ReportError, ReportPaths, write_all, write_anew};
pub(crate) use manifest::append;
pub(crate) use text::ReportStyle;
pub(crate) use written::{rendered, write};
