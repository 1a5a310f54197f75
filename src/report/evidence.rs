//! The report folder: evidence.json, junit.xml and report.txt of a build. It owns the file names, that each file is whole or absent, and
//! that builds of one run which share a folder do not overwrite each other: the first to finish takes the plain names, the next
//! `evidence-<image>-<architecture>.json` and so on.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    aside, json,
    junit::{self, JunitError},
    lock,
    text::{self, Style},
};
use crate::model::{Digest, Evidence};

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
/// it. Where another build of the same run has taken these names, all three get a suffix. Blocks while another process writes there, at
/// most a minute. Fails on the first that cannot be written.
pub fn write_all(folder: &Path, evidence: &Evidence) -> Result<ReportPaths, ReportError> {
    let io_error = |source| ReportError::Io { path: folder.to_owned(), source };
    aside::refuse_links(&folder.join("evidence.json")).map_err(io_error)?;
    std::fs::create_dir_all(folder).map_err(io_error)?;
    let _lock = lock::take(folder).map_err(io_error)?;
    let suffix = free_suffix(folder, evidence);
    let path = |name: &str, extension: &str| folder.join(format!("{name}{suffix}.{extension}"));
    let paths = (path("evidence", "json"), path("junit", "xml"), path("report", "txt"));
    let evidence_digest = write_evidence(&paths.0, evidence)?;
    write(&paths.1, junit::render(evidence)?.as_bytes())?;
    write(&paths.2, text::render(evidence, Style::plain()).as_bytes())?;
    Ok(ReportPaths { evidence: paths.0, evidence_digest, junit: paths.1, text: paths.2 })
}

/// The first suffix whose evidence file is not that of another build of this run: none, image and architecture, or, where even these are
/// the same, some digits of the targets' digest.
fn free_suffix(folder: &Path, evidence: &Evidence) -> String {
    let targets = targets_of(evidence);
    let digest = Digest::of(targets.join("\n").as_bytes());
    let digits: String = digest.as_str().trim_start_matches("sha256:").chars().take(12).collect();
    let image = evidence.image.as_ref().map(|image| format!("-{image}")).unwrap_or_default();
    let mut suffixes = vec![String::new()];
    if let Some(record) = evidence.targets.iter().find_map(|target| target.ami.as_ref()) {
        suffixes.push(format!("{image}-{}", record.architecture));
    }
    let is_free = |suffix: &String| {
        let Ok(bytes) = std::fs::read(folder.join(format!("evidence{suffix}.json"))) else { return true };
        let Ok(known) = serde_json::from_slice::<Evidence>(&bytes) else { return true };
        known.run != evidence.run || (known.image == evidence.image && targets_of(&known) == targets)
    };
    suffixes.into_iter().find(is_free).unwrap_or_else(|| format!("{image}-{digits}"))
}

fn targets_of(evidence: &Evidence) -> Vec<&str> {
    let mut targets: Vec<&str> = evidence.targets.iter().map(|target| target.target.as_str()).collect();
    targets.sort_unstable();
    targets
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

    /// The sample as the build of another AMI of the same run would have it.
    fn sibling(number: u32) -> Evidence {
        let mut evidence = sample::passed();
        let target = &mut evidence.targets[0];
        target.target = format!("us-east-1:ami-{number:08x}");
        let record = target.ami.as_mut().expect("a record");
        record.ami = target.target.parse().expect("an AMI");
        if number > 0 {
            record.architecture = "arm64".parse().expect("an architecture");
        }
        evidence
    }

    #[test]
    fn builds_of_one_run_that_share_a_folder_keep_their_reports() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = |number: u32| {
            let paths = write_all(folder.path(), &sibling(number)).expect("written");
            paths.junit.file_name().expect("a name").to_string_lossy().into_owned()
        };
        let first = [names(0), names(1), names(2)];
        assert_eq!(first[..2], ["junit.xml", "junit-base-arm64.xml"]);
        assert!(first[2].starts_with("junit-base-") && first[2].len() == "junit-base-.xml".len() + 12, "{first:?}");
        assert_eq!([names(0), names(1), names(2)], first, "again, each at its place");

        let mut next = sibling(7);
        next.run = "01KAQ3B6G0R8ZJ5Q2X7V9N4M2D".parse().expect("a run");
        let paths = write_all(folder.path(), &next).expect("written");
        assert!(paths.junit.ends_with("junit.xml"), "a new run begins anew");
    }

    #[test]
    fn twenty_four_builds_at_once_keep_their_reports() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths: Vec<ReportPaths> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..24)
                .map(|number| {
                    let folder = folder.path();
                    scope.spawn(move || write_all(folder, &sibling(number)).expect("written"))
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().expect("a writer")).collect()
        });
        for path in &paths {
            let bytes = std::fs::read(&path.evidence).expect("evidence");
            assert_eq!(Digest::of(&bytes), path.evidence_digest);
        }
    }

    #[test]
    fn the_json_of_evidence() {
        insta::assert_snapshot!("evidence", json::pretty(&sample::evidence()).expect("JSON"));
    }
}
