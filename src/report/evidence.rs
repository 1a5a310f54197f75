//! The report folder: evidence.json, junit.xml and report.txt of a build. It owns the file names, that each file is whole or absent, and
//! that builds of one run which share a folder do not overwrite each other, nor do several post-processor blocks of one build: the first to finish takes the
//! plain names, the next `evidence-<image>-<architecture>.json` and so on. A new run takes the place of the whole run before.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    aside, json,
    junit::{self, JunitError},
    lock,
    text::{self, ReportStyle},
};
use assay_model::{Digest, Evidence};

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
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
pub(crate) struct ReportPaths {
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
pub(crate) fn write_all(folder: &Path, evidence: &Evidence) -> Result<ReportPaths, ReportError> {
    write_named(folder, evidence, true)
}

/// As [`write_all`], for a test that decides anew what an earlier one of the run left open: it takes over that one's names, whatever suites that one ran.
pub(crate) fn write_anew(folder: &Path, evidence: &Evidence) -> Result<ReportPaths, ReportError> {
    write_named(folder, evidence, false)
}

/// `blocks_apart`: whether evidence of the same run and targets with other suites is another block's, which keeps its files.
fn write_named(folder: &Path, evidence: &Evidence, blocks_apart: bool) -> Result<ReportPaths, ReportError> {
    let io_error = |source| ReportError::Io { path: folder.to_owned(), source };
    aside::refuse_links(&folder.join("evidence.json")).map_err(io_error)?;
    std::fs::create_dir_all(folder).map_err(io_error)?;
    let _lock = lock::take(folder).map_err(io_error)?;
    let suffix = free_suffix(folder, evidence, blocks_apart);
    if suffix.is_empty() {
        remove_run_before(folder, evidence).map_err(io_error)?;
    }
    let path = |name: &str, extension: &str| folder.join(format!("{name}{suffix}.{extension}"));
    let paths = (path("evidence", "json"), path("junit", "xml"), path("report", "txt"));
    let evidence_digest = write_evidence(&paths.0, evidence)?;
    write(&paths.1, junit::render(evidence)?.as_bytes())?;
    write(&paths.2, text::render(evidence, ReportStyle::plain()).as_bytes())?;
    Ok(ReportPaths { evidence: paths.0, evidence_digest, junit: paths.1, text: paths.2 })
}

/// What `evidence.json` and its siblings hold; `None` where there is no such file, or none of ours.
fn known(path: &Path) -> Option<Evidence> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Removes what the run whose plain names are taken over wrote beside them: its reports would pass for this run's.
fn remove_run_before(folder: &Path, evidence: &Evidence) -> io::Result<()> {
    let Some(before) = known(&folder.join("evidence.json")).filter(|before| before.run != evidence.run) else {
        return Ok(());
    };
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_prefix("evidence-")?.strip_suffix(".json"));
        let Some(stem) = stem.filter(|_| known(&folder.join(&name)).is_some_and(|it| it.run == before.run)) else {
            continue;
        };
        // The evidence last: while it is there, another try finds the rest.
        for file in [
            format!("junit-{stem}.xml"),
            format!("report-{stem}.txt"),
            format!("evidence-{stem}.json.sig"),
            format!("evidence-{stem}.json"),
        ] {
            match std::fs::remove_file(folder.join(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    match std::fs::remove_file(folder.join("evidence.json.sig")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The first suffix whose evidence file is not that of another build of this run, or of another block with other suites: none, image and architecture, or, where
/// even these are the same, some digits of the digest of targets and suites.
fn free_suffix(folder: &Path, evidence: &Evidence, blocks_apart: bool) -> String {
    let targets = targets_of(evidence);
    let suites = evidence.suites.iter().map(|suite| format!("\n{}", suite.digest)).collect::<String>();
    let digest = Digest::of((targets.join("\n") + &suites).as_bytes());
    let digits: String = digest.as_str().trim_start_matches("sha256:").chars().take(12).collect();
    let image = evidence.image.as_ref().map(|image| format!("-{image}")).unwrap_or_default();
    let mut suffixes = vec![String::new()];
    if let Some(record) = evidence.targets.iter().find_map(|target| target.ami.as_ref()) {
        suffixes.push(format!("{image}-{}", record.architecture));
    }
    let is_free = |suffix: &String| {
        let Some(known) = known(&folder.join(format!("evidence{suffix}.json"))) else { return true };
        let same_test = !blocks_apart || known.suites == evidence.suites;
        let same = known.image == evidence.image && targets_of(&known) == targets && same_test;
        known.run != evidence.run || same
    };
    suffixes.into_iter().find(is_free).unwrap_or_else(|| format!("{image}-{digits}"))
}

fn targets_of(evidence: &Evidence) -> Vec<&str> {
    let mut targets: Vec<&str> = evidence.targets.iter().map(|target| target.target.as_str()).collect();
    targets.sort_unstable();
    targets
}

/// Writes the evidence to `path` and returns the digest of the bytes. The same evidence always gives the same bytes.
pub(crate) fn write_evidence(path: &Path, evidence: &Evidence) -> Result<Digest, ReportError> {
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
    use assay_model::sample;

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
            assert!(text.chars().all(|c| c == '\n' || assay_model::escape::is_harmless(c)), "{path:?}");
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
        let mut left: Vec<String> = std::fs::read_dir(folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        assert_eq!(left, ["evidence.json", "junit.xml", "report.txt"], "nothing of the run before stays beside it");
    }

    #[test]
    fn two_blocks_with_suites_of_their_own_keep_their_reports() {
        let folder = tempfile::tempdir().expect("a folder");
        let block = |suite: &[u8]| {
            let mut evidence = sibling(0);
            evidence.suites[0].digest = Digest::of(suite);
            write_all(folder.path(), &evidence).expect("written")
        };
        let paths = [block(b"smoke"), block(b"hardening"), block(b"more"), block(b"even more")];
        for (at, path) in paths.iter().enumerate() {
            let bytes = std::fs::read(&path.evidence).expect("evidence");
            assert_eq!(Digest::of(&bytes), path.evidence_digest, "{at}");
        }
        assert_eq!(block(b"hardening"), paths[1], "again, at its place");
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
