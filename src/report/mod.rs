//! Reports: the manifest, evidence JSON, JUnit XML, one text report, the lines for Packer's Ui. It owns how things are said and how files
//! are written so that nothing is lost or half written; it renders and never decides. Everything that came from a host is escaped
//! here once more, whatever was done before.

mod aside;
pub mod diff;
pub mod event_lines;
pub mod evidence;
pub mod json;
pub mod junit;
mod lock;
pub mod manifest;
pub mod outcomes;
pub mod tap;
pub mod text;
mod written;

pub use aside::{refuse_links, write as write_aside};
pub use evidence::{ReportError, ReportPaths, write_all, write_anew};
pub use manifest::{ManifestError, append};
pub use text::Style;
pub use written::{rendered, write};
