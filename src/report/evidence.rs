//! The report folder: evidence.json, junit.xml and report.txt of one build. It owns the file names and that each file is whole or absent;
//! where several builds share a report_dir the caller gives each a folder of its own.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    aside, json,
    junit::{self, JunitError},
    text::{self, Style},
};
use crate::model::{Digest, Evidence};

/// The evidence file's name in a report folder.
pub const EVIDENCE_NAME: &str = "evidence.json";
/// The JUnit file's name.
pub const JUNIT_NAME: &str = "junit.xml";
/// The text report's name.
pub const TEXT_NAME: &str = "report.txt";

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file or its folder.
    #[error("{path} cannot be written")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The evidence cannot be JSON.
    #[error("the evidence cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The JUnit report cannot be made.
    #[error("the JUnit report cannot be made")]
    Junit(#[from] JunitError),
}

/// Where the reports are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportPaths {
    /// evidence.json
    pub evidence: PathBuf,
    /// Digest of its bytes: what tags, manifest and ledger name.
    pub evidence_digest: Digest,
    /// junit.xml
    pub junit: PathBuf,
    /// report.txt
    pub text: PathBuf,
}

/// Writes evidence.json, junit.xml and report.txt into `folder`, each aside and renamed; evidence first, since the rest can be made from
/// it. Fails on the first that cannot be written.
pub fn write_all(folder: &Path, evidence: &Evidence) -> Result<ReportPaths, ReportError> {
    let paths = (folder.join(EVIDENCE_NAME), folder.join(JUNIT_NAME), folder.join(TEXT_NAME));
    let evidence_digest = write_evidence(&paths.0, evidence)?;
    write(&paths.1, junit::render(evidence)?.as_bytes())?;
    write(&paths.2, text::render(evidence, Style::plain()).as_bytes())?;
    Ok(ReportPaths { evidence: paths.0, evidence_digest, junit: paths.1, text: paths.2 })
}

/// Writes the evidence to `path` and returns the digest of the bytes. The same evidence always gives the same bytes.
pub fn write_evidence(path: &Path, evidence: &Evidence) -> Result<Digest, ReportError> {
    let bytes = json::pretty(evidence)?;
    write(path, bytes.as_bytes())?;
    Ok(Digest::of(bytes.as_bytes()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    aside::write(path, bytes).map_err(|source| ReportError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_digest_is_that_of_the_bytes_and_they_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = write_all(&folder.path().join("base-x86_64"), &sample::evidence()).expect("written");
        let bytes = std::fs::read(&paths.evidence).expect("evidence");
        assert_eq!(Digest::of(&bytes), paths.evidence_digest);
        assert_eq!(serde_json::from_slice::<Evidence>(&bytes).expect("evidence"), sample::evidence());
        let again = write_all(&folder.path().join("base-x86_64"), &sample::evidence()).expect("written");
        assert_eq!(again, paths);
        for path in [&paths.evidence, &paths.junit, &paths.text] {
            let text = std::fs::read_to_string(path).expect("a report");
            assert!(text.chars().all(|c| c == '\n' || crate::model::escape::is_harmless(c)), "{path:?}");
        }
    }

    #[test]
    fn the_json_of_evidence() {
        insta::assert_snapshot!("evidence", json::pretty(&sample::evidence()).expect("JSON"));
    }
}
