//! A validation's evidence, as it is offered for a promotion: its bytes, its signature, and what it must say. It owns reading it and every demand on its content; it
//! refuses to say who vouches for it (`vouching`).

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    outcome::{MoveRefusal, PromotionError},
    rules::SuiteDemand,
};
use assay_ledger as ledger;
use assay_ledger::{GitEnvironment, LedgerSnapshot};
use assay_model::{
    AmiRecord, AmiRef, Candidate, CheckOutcome, Digest, Evidence, HostKeyPin, ImageName, RunId, Verdict,
    evidence::EVIDENCE_SCHEMA, lock::Lock,
};
use assay_signing::SIGNATURE_AT_MOST;

/// The longest evidence that is read, in bytes.
const LONGEST: u64 = 64 << 20;
/// How far the clock of the machine that tested may be ahead of ours.
const CLOCKS: Duration = Duration::from_secs(300);

/// Evidence with where it came from.
#[derive(Debug, Clone)]
pub(super) struct FoundEvidence {
    /// The file as messages call it.
    pub shown: String,
    /// Its bytes: what is signed and committed.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// What they say.
    pub evidence: Evidence,
    /// The armored signature, where there is one.
    pub signature: Option<String>,
    pub origin: EvidenceOrigin,
}

/// Where evidence was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EvidenceOrigin {
    /// A file that git does not track.
    Untracked,
    /// A file that git tracks: its bytes are some commit's.
    Tracked,
    /// The protected branch, by the digest that the lock names: it was vouched for when the run was vetted.
    Lock,
}

impl FoundEvidence {
    /// Reads every file, with `<file>.sig` beside it. `folder` is that of assay.hcl, whose repository is asked which of them it tracks. Fails with the first that cannot be read or is no evidence.
    pub(super) async fn read_all(
        files: &[PathBuf],
        folder: &Path,
        environment: &GitEnvironment,
    ) -> Result<Vec<Self>, PromotionError> {
        let mut proofs: Vec<Self> = Vec::new();
        for file in files {
            let proof = Self::read(file, folder, environment).await?;
            let same = |other: &&Self| {
                other.digest != proof.digest
                    && (other.evidence.image.as_ref(), other.evidence.run)
                        == (proof.evidence.image.as_ref(), proof.evidence.run)
            };
            if let Some(other) = proofs.iter().find(same) {
                let run = proof.evidence.run;
                return Err(PromotionError::Usage(format!(
                    "--evidence: {} and {} are both of run {run}; put the parts together with assay report merge, and sign the whole",
                    other.shown, proof.shown
                )));
            }
            proofs.push(proof);
        }
        Ok(proofs)
    }

    async fn read(file: &Path, folder: &Path, environment: &GitEnvironment) -> Result<Self, PromotionError> {
        let shown = file.display().to_string();
        let wrong = |why: String| PromotionError::Usage(format!("--evidence: {shown} {why}"));
        let bytes = bytes_of(file, LONGEST).map_err(|why| wrong(format!("cannot be read: {why}")))?;
        let evidence = serde_json::from_slice(&bytes).map_err(|error| wrong(format!("is no evidence: {error}")))?;
        let mut beside = file.as_os_str().to_owned();
        beside.push(".sig");
        let beside = PathBuf::from(beside);
        let signature = match beside.exists() {
            true => {
                let most = SIGNATURE_AT_MOST as u64;
                let text = bytes_of(&beside, most).map_err(|why| wrong(format!("has a signature beside it: {why}")))?;
                Some(String::from_utf8_lossy(&text).into_owned())
            }
            false => None,
        };
        let tracked = ledger::is_tracked(file, folder, environment).await?;
        let origin = if tracked { EvidenceOrigin::Tracked } else { EvidenceOrigin::Untracked };
        Ok(Self { shown, digest: Digest::of(&bytes), bytes, evidence, signature, origin })
    }

    /// The newest evidence of an image.
    pub(super) fn of_image<'a>(proofs: &'a [Self], image: &ImageName) -> Option<&'a Self> {
        proofs.iter().filter(|proof| proof.evidence.image.as_ref() == Some(image)).max_by_key(|proof| {
            let finished: Option<Timestamp> = proof.evidence.finished_at.parse().ok();
            (finished, proof.evidence.run)
        })
    }

    /// What is said of the proofs of an image beside the one that counts.
    pub(super) fn passed_over(&self, proofs: &[Self]) -> Vec<String> {
        let other =
            |proof: &&Self| proof.evidence.image == self.evidence.image && proof.evidence.run != self.evidence.run;
        let words = |proof: &Self| {
            let (run, taken) = (proof.evidence.run, self.evidence.run);
            format!(
                "{}: is of run {run} and passed over: that of run {taken} is newer; promote each run by itself",
                proof.shown
            )
        };
        proofs.iter().filter(other).map(words).collect()
    }

    /// A refusal for each proof of no image that is asked for: it would be passed over in silence.
    pub(super) fn strangers(proofs: &[Self], images: &[ImageName]) -> Vec<PromotionError> {
        let strange = |proof: &&Self| !proof.evidence.image.as_ref().is_some_and(|image| images.contains(image));
        let words = |proof: &Self| match &proof.evidence.image {
            Some(image) => format!("is of image {image}, which is not asked for"),
            None => "is of no image: it must come from assay validate".to_owned(),
        };
        proofs
            .iter()
            .filter(strange)
            .filter_map(|proof| {
                let image = images.first()?;
                Some(PromotionError::refused(image, proof.evidence.run, &proof.shown, words(proof)))
            })
            .collect()
    }

    /// The evidence that the lock names for a run, from the books. Refused where it is not there, or is not what the lock names.
    pub(super) async fn of_lock(
        books: &LedgerSnapshot,
        lock: &Lock,
        run: RunId,
    ) -> Result<Result<Self, MoveRefusal>, PromotionError> {
        let about = format!("run {run}");
        let Some(digest) = lock.evidence_of(run).cloned() else {
            return Ok(Err(MoveRefusal::new(about, "the lock names no evidence of a full validation")));
        };
        let path = path(&lock.image, run, &digest);
        let Some(bytes) = books.file(&path).await? else {
            return Ok(Err(MoveRefusal::new(about, format!("{path}, which the lock names, is not there"))));
        };
        if Digest::of(&bytes) != digest {
            let why = format!("{path} was changed: its digest is {}, the lock names {digest}", Digest::of(&bytes));
            return Ok(Err(MoveRefusal::new(about, why)));
        }
        let Ok(evidence) = serde_json::from_slice(&bytes) else {
            return Ok(Err(MoveRefusal::new(about, format!("{path} is no evidence that this assay can read"))));
        };
        let signature = books.file(&format!("{path}.sig")).await?;
        let signature = signature.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Ok(Self { shown: path, bytes, digest, evidence, signature, origin: EvidenceOrigin::Lock }))
    }

    /// The files to commit.
    pub(super) fn files(&self, image: &ImageName, run: RunId) -> Vec<(String, Option<Vec<u8>>)> {
        let path = path(image, run, &self.digest);
        let signature = self.signature.as_ref().map(|text| (format!("{path}.sig"), Some(text.clone().into_bytes())));
        std::iter::once((path, Some(self.bytes.clone()))).chain(signature).collect()
    }
}

/// Where a validation's evidence lies in the repository: the build's own has the same name without digits.
pub(super) fn path(image: &ImageName, run: RunId, digest: &Digest) -> String {
    let digits = digest.as_str().trim_start_matches("sha256:");
    format!("images/evidence/{image}/{run}-{}.json", &digits[..12])
}

fn bytes_of(file: &Path, most: u64) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
    opened.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most { Err(format!("it is longer than {most} bytes")) } else { Ok(bytes) }
}

/// What evidence must say.
#[derive(Debug)]
pub(super) struct EvidenceDemands<'a> {
    pub candidate: &'a Candidate,
    pub suites: &'a [SuiteDemand],
    /// `None`: however old (a rollback).
    pub max_age: Option<Duration>,
    pub pinned: bool,
    pub now: Timestamp,
}

/// Every reason why `proof` does not meet the demands, and the AMIs that it covers.
pub(super) fn judge(proof: &FoundEvidence, demands: &EvidenceDemands<'_>) -> (Vec<MoveRefusal>, BTreeSet<AmiRef>) {
    let mut reasons = whole(&proof.evidence, demands.candidate);
    reasons.extend(age(&proof.evidence, demands));
    reasons.extend(suites(&proof.evidence, demands.suites));
    let mut covered = BTreeSet::new();
    for target in &proof.evidence.targets {
        let Some(record) = &target.ami else {
            reasons.push(format!("{} is no AMI", target.target));
            continue;
        };
        reasons.extend(known(record, demands.candidate));
        let passed = target.verdict == Verdict::Passed && target.undecided.is_none();
        let answered = target.checks.iter().any(|check| check.outcome == CheckOutcome::Passed)
            && !target.checks.iter().any(|c| matches!(c.outcome, CheckOutcome::Failed | CheckOutcome::Undecided));
        if !passed {
            reasons.push(format!("its verdict on {} is {}, not passed", target.target, target.verdict));
        } else if !answered {
            reasons.push(format!("its checks on {} are not all answered as its verdict says", target.target));
        }
        if demands.pinned && target.host_key == HostKeyPin::None {
            let cure = "let the validation learn the key, or set promotion { require_pinned_host_key = false }";
            reasons.push(format!("the host key of {} was not known before it was trusted; {cure}", target.target));
        }
        covered.insert(record.ami.clone());
    }
    let refusals = reasons.into_iter().map(|reason| MoveRefusal::new(&proof.shown, reason)).collect();
    (refusals, covered)
}

/// What is wrong with the evidence as a whole.
fn whole(evidence: &Evidence, candidate: &Candidate) -> Vec<String> {
    let mut reasons = Vec::new();
    if evidence.schema != EVIDENCE_SCHEMA {
        reasons.push(format!("has schema {}; this assay knows {EVIDENCE_SCHEMA}", evidence.schema));
    }
    if evidence.image.as_ref() != Some(&candidate.image) {
        let of = evidence.image.as_ref().map_or("no image".to_owned(), |image| format!("image {image}"));
        reasons.push(format!("is of {of}, not of image {}", candidate.image));
    }
    if evidence.run != candidate.run || evidence.runs.iter().any(|run| *run != candidate.run) {
        let runs: Vec<String> = std::iter::once(&evidence.run).chain(&evidence.runs).map(ToString::to_string).collect();
        reasons.push(format!("is of run {}, not of run {}", runs.join(", "), candidate.run));
    }
    if let Some(share) = &evidence.shard {
        let share = share.shard;
        reasons.push(format!("is only the share {share} of the whole; put all shares together: assay report merge"));
    }
    if evidence.verdict != Verdict::Passed {
        reasons.push(format!("its verdict is {}, not passed", evidence.verdict));
    }
    if evidence.targets.is_empty() {
        reasons.push("tested nothing".to_owned());
    }
    reasons
}

fn age(evidence: &Evidence, demands: &EvidenceDemands<'_>) -> Option<String> {
    let finished = &evidence.finished_at;
    let Ok(at) = finished.parse::<Timestamp>() else {
        return Some(format!("its finished_at {finished:?} is no time; expected RFC 3339"));
    };
    let age = demands.now.duration_since(at);
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    if age.as_secs() < -seconds(CLOCKS) {
        return Some(format!("was finished in the future, at {at}; the clocks must agree"));
    }
    let most = demands.max_age.filter(|most| age.as_secs() > seconds(*most))?;
    let hours = |seconds: i64| format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
    Some(format!(
        "is stale: finished at {at}, {} ago; promotion.evidence_max_age is {}; validate again",
        hours(age.as_secs()),
        hours(seconds(most))
    ))
}

/// Each demanded suite, with the very digest that the protected branch holds.
fn suites(evidence: &Evidence, demanded: &[SuiteDemand]) -> Vec<String> {
    let reason = |demand: &SuiteDemand| {
        let ran: Vec<_> = evidence.suites.iter().filter(|suite| suite.path == demand.path).collect();
        if ran.iter().any(|suite| suite.digest == demand.digest) {
            return None;
        }
        Some(match ran.first() {
            Some(other) => format!(
                "ran the suite {} as {}; on the protected branch it is {}",
                demand.path, other.digest, demand.digest
            ),
            None => format!("did not run the suite {}", demand.path),
        })
    };
    demanded.iter().filter_map(reason).collect()
}

/// Whether what was tested is what the candidate records.
fn known(tested: &AmiRecord, candidate: &Candidate) -> Option<String> {
    let Some(ours) = candidate.amis.iter().find(|ami| ami.record.ami == tested.ami) else {
        return Some(format!("tested {}, which is no AMI of run {}", tested.ami, candidate.run));
    };
    (ours.record != *tested).then(|| format!("describes {} otherwise than the candidate file does", tested.ami))
}
