//! From a manifest to what shall be committed: one candidate per image and run, with the exact bytes of its evidence. It owns the checks
//! that make a manifest trustworthy (digests, ids, run, verdict agree with the evidence file); it refuses to touch git.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::merge::{MergeConflict, merge, summed_up};
use assay_model::{
    AmiRef, BuiltArtifact, Candidate, CandidateAmi, Digest, Evidence, ImageName, Manifest, ManifestBuild, ManifestRuns,
    RunId, Verdict, manifest::StampedBuild, target::verdict_on,
};

/// The largest manifest or evidence file that is read.
const MAX_FILE: u64 = 64 << 20;

/// Why a manifest cannot be committed.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: line {}, column {}: not {what}", .source.line(), .source.column())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
        /// The parser's reason.
        #[source]
        source: serde_json::Error,
    },
    /// There is nothing of assay's in the manifest, or not the run that was asked for.
    #[error("{path} holds no build with a verdict{}; it is written by the assay post-processor or `assay validate` with a manifest", .run.map(|r| format!(" of run {r}")).unwrap_or_default())]
    Nothing {
        /// The manifest.
        path: PathBuf,
        /// The run that was asked for.
        run: Option<RunId>,
    },
    /// Manifest and evidence disagree.
    #[error("{path}: {message}")]
    Disagree {
        /// The evidence file, or the manifest.
        path: PathBuf,
        /// What and what it should be.
        message: String,
    },
    /// An AMI that EC2 never described cannot be recorded.
    #[error(
        "{path}: EC2 never described {ami} of build {build:?}, so its owner and snapshots are unknown; run `assay validate --ami {ami}` and commit that"
    )]
    NeverSeen {
        /// The manifest.
        path: PathBuf,
        /// The build's name.
        build: String,
        /// Which AMI.
        ami: AmiRef,
    },
    /// Two builds of the run exclude each other.
    #[error("{path}: builds of one run exclude each other")]
    Merge {
        /// The manifest.
        path: PathBuf,
        /// Which.
        #[source]
        source: MergeConflict,
    },
}

/// One image's share of a commit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ImageSubmission {
    /// What shall be in git when done, as far as this manifest knows.
    pub candidate: Candidate,
    /// The evidence behind it: digest and exact bytes.
    pub evidence: Vec<(Digest, Vec<u8>)>,
}

/// What a manifest gives.
#[derive(Debug)]
pub(crate) struct ManifestIntake {
    /// What is sound, sorted by image and run; at least one.
    pub submissions: Vec<ImageSubmission>,
    /// Why the rest is not; only where every run was asked for.
    pub left: Vec<IntakeError>,
}

/// Reads the manifest at `path` and everything that the chosen runs name. Of all runs what is sound is taken, since one build's mistake must not keep
/// another's AMIs out of git; of one run all or nothing.
pub(crate) fn read(path: &Path, runs: ManifestRuns) -> Result<ManifestIntake, IntakeError> {
    let bytes = read_bounded(path)?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|source| IntakeError::Malformed {
        path: path.to_owned(),
        what: "a manifest",
        source,
    })?;
    let wanted = match runs {
        ManifestRuns::Last => default_run(&manifest),
        ManifestRuns::One(run) => Some(run),
        ManifestRuns::All => None,
    };
    let builds: Vec<(&ManifestBuild, &StampedBuild)> = manifest
        .builds
        .iter()
        .filter_map(|build| build.assay.as_ref().map(|stamped| (build, stamped)))
        .filter(|(_, stamped)| runs == ManifestRuns::All || Some(stamped.run) == wanted)
        .collect();
    if builds.is_empty() {
        let run = if let ManifestRuns::One(run) = runs { Some(run) } else { None };
        return Err(IntakeError::Nothing { path: path.to_owned(), run });
    }
    let (mut sound, mut left) = (Vec::new(), Vec::new());
    for (build, stamped) in builds {
        match submission(path, build, stamped) {
            Ok(one) => sound.push(one),
            Err(error) if runs == ManifestRuns::All => left.push(error),
            Err(error) => return Err(error),
        }
    }
    sound.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut submissions = Vec::new();
    for same in sound.chunk_by(|a, b| key(a) == key(b)) {
        match merged(path, same) {
            Ok(one) => submissions.extend(one),
            Err(error) if runs == ManifestRuns::All => left.push(error),
            Err(error) => return Err(error),
        }
    }
    if submissions.is_empty() && !left.is_empty() {
        return Err(left.swap_remove(0));
    }
    Ok(ManifestIntake { submissions, left })
}

/// The builds of one image and run as one.
fn merged(path: &Path, same: &[ImageSubmission]) -> Result<Option<ImageSubmission>, IntakeError> {
    let same = worst_of_each(same);
    let Some((first, others)) = same.split_first() else { return Ok(None) };
    let mut whole = (*first).clone();
    for other in others {
        whole.candidate = merge(&whole.candidate, &other.candidate)
            .map_err(|source| IntakeError::Merge { path: path.to_owned(), source })?;
        whole.evidence.extend(other.evidence.iter().cloned());
    }
    Ok(Some(whole))
}

/// Without tests of AMIs that another test of the same run judged worse: each of several post-processor blocks asked what the others did not. Of those that judged
/// alike the first stays, which is the one that the AMI's tags name.
fn worst_of_each(same: &[ImageSubmission]) -> Vec<&ImageSubmission> {
    let rank = |one: &ImageSubmission| match one.candidate.verdict {
        Verdict::Failed => 0,
        Verdict::Undecided => 1,
        Verdict::Passed => 2,
    };
    let order = |one: &ImageSubmission| (rank(one), one.candidate.tested_at.parse::<jiff::Timestamp>().ok());
    let amis =
        |one: &ImageSubmission| one.candidate.amis.iter().map(|ami| ami.record.ami.clone()).collect::<BTreeSet<_>>();
    let outweighed = |at: usize, one: &ImageSubmission| {
        same.iter().enumerate().any(|(other_at, other)| {
            other_at != at && amis(one) == amis(other) && (order(other), other_at) < (order(one), at)
        })
    };
    same.iter().enumerate().filter(|(at, one)| !outweighed(*at, one)).map(|(_, one)| one).collect()
}

fn key(submission: &ImageSubmission) -> (&ImageName, RunId) {
    (&submission.candidate.image, submission.candidate.run)
}

fn default_run(manifest: &Manifest) -> Option<RunId> {
    let stamped =
        |build: &ManifestBuild| build.assay.as_ref().map(|s| (s.tested_at.parse::<jiff::Timestamp>().ok(), s.run));
    let of_last_writer = manifest
        .builds
        .iter()
        .filter(|build| !manifest.last_run_uuid.is_empty() && build.packer_run_uuid == manifest.last_run_uuid)
        .filter_map(stamped)
        .max();
    of_last_writer.or_else(|| manifest.builds.iter().filter_map(stamped).max()).map(|(_, run)| run)
}

fn submission(manifest: &Path, build: &ManifestBuild, stamped: &StampedBuild) -> Result<ImageSubmission, IntakeError> {
    let path = manifest.parent().unwrap_or(Path::new("")).join(&stamped.evidence);
    let bytes = read_bounded(&path)?;
    let digest = Digest::of(&bytes);
    let disagree = |message: String| IntakeError::Disagree { path: path.clone(), message };
    if digest != stamped.evidence_digest {
        let due = &stamped.evidence_digest;
        return Err(disagree(format!(
            "these bytes have the digest {digest}, the manifest says {due}; the file was changed, or overwritten by another build with the same report_dir"
        )));
    }
    let evidence: Evidence = serde_json::from_slice(&bytes).map_err(|source| IntakeError::Malformed {
        path: path.clone(),
        what: "evidence",
        source,
    })?;
    let amis = amis_of(manifest, build, stamped, &digest)?;
    agree(&evidence, stamped, &amis).map_err(disagree)?;
    let candidate = Candidate {
        image: stamped.image.clone(),
        run: stamped.run,
        state: stamped.state,
        verdict: stamped.verdict,
        tested_at: stamped.tested_at.clone(),
        provenance: stamped.provenance.clone(),
        evidence: digest.clone(),
        amis,
    };
    Ok(ImageSubmission { candidate: summed_up(candidate), evidence: vec![(digest, bytes)] })
}

fn amis_of(
    manifest: &Path,
    build: &ManifestBuild,
    stamped: &StampedBuild,
    digest: &Digest,
) -> Result<Vec<CandidateAmi>, IntakeError> {
    let disagree = |message: String| IntakeError::Disagree { path: manifest.to_owned(), message };
    if stamped.tested_at.parse::<jiff::Timestamp>().is_err() {
        return Err(disagree(format!("build {:?}: tested_at {:?} is no RFC 3339 time", build.name, stamped.tested_at)));
    }
    let artifact =
        BuiltArtifact::parse("", &build.artifact_id).map_err(|e| disagree(format!("build {:?}: {e}", build.name)))?;
    // A region may hold two AMIs of one build (two architectures), its map only one of them.
    let in_artifact =
        |region: &String, id: &String| artifact.amis.iter().any(|a| a.region.as_str() == region && a.id.as_str() == id);
    let mapped = stamped.amis.iter().all(|(region, id)| in_artifact(region, id));
    if !mapped || artifact.amis.iter().any(|ami| !stamped.amis.contains_key(ami.region.as_str())) {
        let (name, map, id) = (&build.name, &stamped.amis, &build.artifact_id);
        return Err(disagree(format!("build {name:?}: assay.amis is {map:?}, artifact_id is {id}")));
    }
    artifact
        .amis
        .iter()
        .map(|ami| {
            let record = stamped.records.iter().find(|record| record.ami == *ami).ok_or_else(|| {
                IntakeError::NeverSeen { path: manifest.to_owned(), build: build.name.clone(), ami: ami.clone() }
            })?;
            Ok(CandidateAmi {
                record: record.clone(),
                state: stamped.state,
                evidence: digest.clone(),
                tested_at: stamped.tested_at.clone(),
            })
        })
        .collect()
}

/// Evidence must be of this run and image, cover each of these AMIs, and say the manifest's verdict on them. It may cover more: one run of
/// `assay validate` tests the AMIs of several builds.
fn agree(evidence: &Evidence, stamped: &StampedBuild, amis: &[CandidateAmi]) -> Result<(), String> {
    if evidence.run != stamped.run {
        return Err(format!("this evidence is of run {}, the manifest says {}", evidence.run, stamped.run));
    }
    if evidence.image.as_ref() != Some(&stamped.image) {
        let image = evidence.image.as_ref().map_or("no image", |image| image.as_str());
        return Err(format!("this evidence is of {image}, the manifest says {}", stamped.image));
    }
    let mut verdicts = Vec::new();
    for ami in amis {
        let ami = &ami.record.ami;
        if !evidence.targets.iter().any(|target| target.tested_ami().as_ref() == Some(ami)) {
            let tested: Vec<&str> = evidence.targets.iter().map(|target| target.target.as_str()).collect();
            return Err(format!("this evidence covers {}, and not {ami}", tested.join(",")));
        }
        verdicts.push(verdict_on(ami, &evidence.targets));
    }
    let verdict = Verdict::over(verdicts);
    if verdict != stamped.verdict {
        return Err(format!("this evidence says {verdict}, the manifest says {}", stamped.verdict));
    }
    Ok(())
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, IntakeError> {
    use std::io::Read as _;
    let unreadable = |source| IntakeError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(unreadable(std::io::Error::other(format!("it is larger than {MAX_FILE} bytes"))));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn tested(verdict: Verdict, at: &str) -> ImageSubmission {
        let mut candidate = fixtures::candidate();
        (candidate.verdict, candidate.tested_at) = (verdict, at.to_owned());
        ImageSubmission { candidate, evidence: Vec::new() }
    }

    #[test]
    fn of_several_tests_of_one_ami_in_one_run_the_worst_counts() {
        use Verdict::{Failed, Passed, Undecided};
        let (early, late) = ("2026-11-22T10:05:00Z", "2026-11-22T10:06:00Z");
        for (tests, due) in [
            ([(Failed, early), (Passed, late)], 0),
            ([(Passed, early), (Failed, late)], 1),
            ([(Undecided, late), (Passed, early)], 0),
            ([(Undecided, early), (Failed, late)], 1),
            ([(Passed, late), (Passed, early)], 1),
            ([(Passed, early), (Passed, early)], 0),
        ] {
            let same = tests.map(|(verdict, at)| tested(verdict, at));
            assert_eq!(worst_of_each(&same), [&same[due]], "{tests:?}");
        }
        let mut other = tested(Passed, late);
        other.candidate.amis = vec![fixtures::ami("arm64", "us-east-1", 2, b"two", late)];
        assert_eq!(worst_of_each(&[tested(Failed, early), other]).len(), 2, "another AMI");
    }
}
