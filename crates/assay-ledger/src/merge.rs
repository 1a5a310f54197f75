//! Two candidates of one image and run become one, by key (architecture and region), from parsed data. The result depends only on what
//! was merged, not on the order, so that every job that lost a push race arrives at the same file. It refuses to choose between two AMIs
//! for one key and to make a move that the state table does not hold.

use assay_model::{Architecture, Candidate, CandidateAmi, Digest, IllegalMove, ImageState, Region, Verdict};

/// Why two candidates cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeConflict {
    /// Two AMIs claim one place.
    #[error(
        "{architecture} in {region} is already {there}, this build says {ours}; one run makes one AMI per architecture and region"
    )]
    TwoAmis {
        /// The key.
        architecture: Architecture,
        /// The key.
        region: Region,
        /// The AMI in git.
        there: String,
        /// The AMI in the manifest.
        ours: String,
    },
    /// The AMI in git is in a state from which this build's is out of reach.
    #[error("{ami} is recorded as tested later or judged otherwise")]
    State {
        /// Which AMI.
        ami: String,
        /// The move that would have been made.
        #[source]
        source: IllegalMove,
    },
}

/// Adds `ours` to `there`: for each key the later test counts, and one that failed in any case; the same AMI only. Provenance follows the later test.
pub(crate) fn merge(there: &Candidate, ours: &Candidate) -> Result<Candidate, MergeConflict> {
    let mut merged = there.clone();
    for ami in &ours.amis {
        match merged.amis.iter_mut().find(|other| other.key() == ami.key()) {
            None => merged.amis.push(ami.clone()),
            Some(other) => merge_ami(other, ami)?,
        }
    }
    if moment(&ours.tested_at) > moment(&there.tested_at) {
        merged.provenance = ours.provenance.clone();
    }
    Ok(summed_up(merged))
}

fn merge_ami(there: &mut CandidateAmi, ours: &CandidateAmi) -> Result<(), MergeConflict> {
    if there.record.ami != ours.record.ami {
        let (architecture, region) = ours.key();
        return Err(MergeConflict::TwoAmis {
            architecture,
            region,
            there: there.record.ami.id.to_string(),
            ours: ours.record.ami.id.to_string(),
        });
    }
    if ours.state == ImageState::Rejected && ImageState::may_move(Some(there.state), ImageState::Rejected).is_ok() {
        // A test that failed is not undone by one that passed, and the clocks of two builders may differ.
        *there = ours.clone();
    } else if moment(&ours.tested_at) > moment(&there.tested_at) {
        ImageState::may_move(Some(there.state), ours.state)
            .map_err(|source| MergeConflict::State { ami: ours.record.ami.to_string(), source })?;
        *there = ours.clone();
    }
    Ok(())
}

/// Derives what a candidate says as a whole from its AMIs: their order, the evidence of the first, the latest test, state and verdict.
pub(crate) fn summed_up(mut candidate: Candidate) -> Candidate {
    candidate.amis.sort_by_key(CandidateAmi::key);
    if let Some(first) = candidate.amis.first() {
        candidate.evidence = first.evidence.clone();
    }
    if let Some(last) = candidate.amis.iter().max_by_key(|ami| moment(&ami.tested_at)) {
        candidate.tested_at = last.tested_at.clone();
    }
    candidate.verdict = Verdict::over(candidate.amis.iter().map(|ami| verdict_behind(ami.state)));
    candidate.state = ImageState::after_smoke(candidate.verdict);
    candidate
}

/// The verdict that a build job's state stands for; every other state came from a decided verdict.
fn verdict_behind(state: ImageState) -> Verdict {
    match state {
        ImageState::Rejected | ImageState::Revoked => Verdict::Failed,
        ImageState::Building | ImageState::Untested => Verdict::Undecided,
        ImageState::Candidate | ImageState::Vetted | ImageState::Gold | ImageState::Retired => Verdict::Passed,
    }
}

/// Every evidence file of a candidate: (path, digest). The first AMI's is `<run>.json`; a further build's carries the first digits of its
/// digest in its name. A pure function of the candidate, so that all writers choose the same names.
pub fn evidence_paths(candidate: &Candidate) -> Vec<(String, Digest)> {
    let folder = format!("images/evidence/{}", candidate.image);
    let mut paths = vec![(format!("{folder}/{}.json", candidate.run), candidate.evidence.clone())];
    for ami in &candidate.amis {
        if !paths.iter().any(|(_, digest)| *digest == ami.evidence) {
            let digits: String = ami.evidence.as_str().trim_start_matches("sha256:").chars().take(12).collect();
            paths.push((format!("{folder}/{}-{digits}.json", candidate.run), ami.evidence.clone()));
        }
    }
    paths
}

/// A timestamp for comparison; what does not parse is older than all that does.
fn moment(text: &str) -> Option<jiff::Timestamp> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{ami, candidate};

    fn arm() -> Candidate {
        let mut arm = candidate();
        arm.amis = vec![ami("arm64", "us-east-1", 2, b"two", "2026-11-22T10:09:00Z")];
        arm.provenance.pipeline = Some("https://ci.example/arm".to_owned());
        summed_up(arm)
    }

    #[test]
    fn the_order_of_merging_does_not_matter_and_twice_is_once() {
        let (x86, arm) = (candidate(), arm());
        let one = merge(&x86, &arm).expect("merges");
        assert_eq!(one, merge(&arm, &x86).expect("merges"));
        assert_eq!(one, merge(&one, &arm).expect("merges"));
        assert_eq!(one, merge(&one, &x86).expect("merges"));
        assert_eq!(one.amis.len(), 2);
        assert_eq!(one.tested_at, "2026-11-22T10:09:00Z");
        assert_eq!(evidence_paths(&one).len(), 2);
        assert!(evidence_paths(&one)[0].0.ends_with("/01KAQ3B6G0R8ZJ5Q2X7V9N4M1C.json"));
    }

    #[test]
    fn one_rejected_ami_rejects_the_whole() {
        let mut arm = arm();
        arm.amis[0].state = ImageState::Rejected;
        let merged = merge(&candidate(), &summed_up(arm)).expect("merges");
        assert_eq!((merged.state, merged.verdict), (ImageState::Rejected, Verdict::Failed));
    }

    #[test]
    fn another_ami_under_the_same_key_is_a_conflict() {
        let mut other = candidate();
        other.amis[0] = ami("x86_64", "us-east-1", 9, b"nine", "2026-11-22T11:00:00Z");
        assert!(matches!(merge(&candidate(), &other), Err(MergeConflict::TwoAmis { .. })));
    }

    #[test]
    fn a_later_test_replaces_an_earlier_one_by_legal_moves_only() {
        let mut untested = candidate();
        untested.amis[0].state = ImageState::Untested;
        let untested = summed_up(untested);
        let mut later = candidate();
        later.amis[0].tested_at = "2026-11-22T11:00:00Z".to_owned();
        let later = summed_up(later);
        let merged = merge(&untested, &later).expect("untested may become candidate");
        assert_eq!(merged.state, ImageState::Candidate);
        assert_eq!(merge(&merged, &untested).expect("the older test changes nothing"), merged);

        let mut rejected = candidate();
        rejected.amis[0].state = ImageState::Rejected;
        let rejected = summed_up(rejected);
        assert!(matches!(merge(&rejected, &later), Err(MergeConflict::State { .. })));
        assert_eq!(merge(&later, &rejected).expect("by an earlier clock").state, ImageState::Rejected);
    }
}
