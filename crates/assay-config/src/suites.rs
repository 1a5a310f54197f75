//! The one place where configuration has suites read.

use std::path::{Path, PathBuf};

use assay_suite as suite;
use assay_suite::{Suite, VarSources};

/// Reads suites: paths, the folder that they start from, and variables. Fails with every diagnostic, each naming file and line.
pub type SuiteLoader = fn(&[PathBuf], &Path, &VarSources) -> Result<Vec<Suite>, Vec<String>>;

/// The reader of suites.
pub fn load(paths: &[PathBuf], folder: &Path, vars: &VarSources) -> Result<Vec<Suite>, Vec<String>> {
    suite::load_with(paths, folder, vars)
        .map_err(|diagnostics| diagnostics.iter().map(|text| fragment(text.to_string())).collect())
}

/// A diagnostic without its own "error: ", since it becomes part of a message that has one.
fn fragment(text: String) -> String {
    text.strip_prefix("error: ").map(str::to_owned).unwrap_or(text)
}
