//! Reports: what a run found, rendered. It owns text, JSON, JUnit, the manifest file and the lines of Packer's Ui; it refuses to decide anything.

pub mod event_lines;

/// placeholder
#[derive(Debug)]
pub struct ReportPaths;
