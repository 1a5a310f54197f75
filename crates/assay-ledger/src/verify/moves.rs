//! The moves of a lock and the candidates beside it: each legal where it stands, one gold at the end. The chain itself is checked in reading.

use std::collections::BTreeMap;

use super::{CommittedImage, VerifyFinding};
use crate::{candidate_file, lock_file};
use assay_model::{
    ImageState, RunId,
    history::{BY_ITSELF, GoldObjection, ImageHistory},
    lock::Lock,
};

/// Every illegal move of the image's lock, and every candidate that is not where it belongs.
pub(super) fn check(image: &CommittedImage, findings: &mut Vec<VerifyFinding>) {
    if let Some(lock) = &image.lock {
        of_lock(image, lock, findings);
    }
    for (path, candidate) in &image.candidates {
        let mut wrong = |message: String, cure: &str| {
            findings.push(VerifyFinding { place: path.clone(), line: None, message, cure: cure.to_owned() });
        };
        if candidate_file::path(candidate) != *path {
            let due = candidate_file::path(candidate);
            wrong(
                format!("it holds the candidate that belongs to {due}"),
                "move it there, or remove it: assay commit writes it anew",
            );
        }
        if !matches!(candidate.state, ImageState::Candidate | ImageState::Rejected | ImageState::Untested) {
            let state = candidate.state;
            wrong(
                format!("a candidate file cannot make an AMI {state}"),
                "remove it: only the lock says what is promoted",
            );
        }
        if image.lock.as_ref().is_some_and(|lock| lock.candidate(candidate.run).is_some()) {
            wrong(format!("run {} was moved into the lock", candidate.run), "remove the file: the lock has all of it");
        }
    }
}

fn of_lock(image: &CommittedImage, lock: &Lock, findings: &mut Vec<VerifyFinding>) {
    let path = lock_file::path(&image.name);
    let mut wrong = |line: Option<usize>, message: String, cure: &str| {
        findings.push(VerifyFinding { place: path.clone(), line, message, cure: cure.to_owned() });
    };
    let mut states: BTreeMap<RunId, ImageState> = BTreeMap::new();
    for (index, entry) in lock.entries.iter().enumerate() {
        let line = image.lines.get(index).copied();
        let moved_in = entry.candidate.as_ref().map(|candidate| candidate.state);
        let before = states.get(&entry.run).copied().or(moved_in);
        let gold_before = lock.entries[..index].iter().any(|e| e.run == entry.run && e.state == ImageState::Gold);
        if let Some(message) = illegal(before, entry.state, gold_before) {
            let message = format!("run {}: {message}", entry.run);
            wrong(
                line,
                message,
                "find who wrote it (git log -p), and revoke the run with assay revoke --force if it is in use",
            );
        }
        if let Some(message) = unfounded(lock, index, moved_in) {
            wrong(
                line,
                format!("run {}: {message}", entry.run),
                "find who wrote it (git log -p), and revoke the run with assay revoke --force if it is in use",
            );
        }
        if entry.effective_at.is_some() && entry.state != ImageState::Revoked {
            wrong(
                line,
                "effective_at belongs to revoked entries".to_owned(),
                "restore the file from the last good commit",
            );
        }
        states.insert(entry.run, entry.state);
    }
    if let Some((index, objection)) = out_of_order(lock) {
        let run = lock.entries[index].run;
        wrong(
            image.lines.get(index).copied(),
            format!("run {run}: it became gold by itself, though it {objection}"),
            "promote the build that should be gold by name (assay promote --to gold --run), or go back by assay rollback; the next promotion ends this",
        );
    }
    let golds: Vec<String> =
        states.iter().filter(|(_, state)| **state == ImageState::Gold).map(|(run, _)| run.to_string()).collect();
    if golds.len() > 1 {
        wrong(
            None,
            format!("{} runs are gold at once: {}", golds.len(), golds.join(", ")),
            "retire all but the right one: assay rollback --run",
        );
    }
    if let (None, [run]) = (lock.gold, golds.as_slice()) {
        wrong(
            Some(2),
            format!("run {run} is gold by its last entry, and gold does not name it"),
            "restore the line gold = … from the last good commit",
        );
    }
}

/// The move that made the last run gold, where nobody named the run or gave a reason and the order of builds spoke against it. What a later move mended is past.
fn out_of_order(lock: &Lock) -> Option<(usize, GoldObjection)> {
    let history = ImageHistory::of(lock, &[]);
    let index = history.last_gold_move().filter(|index| lock.entries[*index].reason == BY_ITSELF)?;
    Some((index, history.objection_then(index)?))
}

/// What an entry would have to rest on and does not: a candidate comes from a build, vetted needs evidence, gold needs vetted.
fn unfounded(lock: &Lock, index: usize, moved_in: Option<ImageState>) -> Option<String> {
    let entry = &lock.entries[index];
    if let Some(state) =
        moved_in.filter(|s| !matches!(s, ImageState::Candidate | ImageState::Rejected | ImageState::Untested))
    {
        return Some(format!("it was moved in as {state}; a build makes candidate, rejected or untested"));
    }
    let was_vetted = || {
        lock.entries[..index]
            .iter()
            .any(|e| e.run == entry.run && e.state == ImageState::Vetted && e.evidence.is_some())
    };
    match entry.state {
        ImageState::Vetted if entry.evidence.is_none() => Some("it is vetted without naming evidence".to_owned()),
        ImageState::Gold if !was_vetted() => Some("it became gold without having been vetted".to_owned()),
        _ => None,
    }
}

/// Why a move is illegal; see the state table. A gold run may be revoked by force.
fn illegal(before: Option<ImageState>, to: ImageState, gold_before: bool) -> Option<String> {
    if !matches!(
        to,
        ImageState::Vetted | ImageState::Gold | ImageState::Retired | ImageState::Revoked | ImageState::Rejected
    ) {
        return Some(format!("a lock does not make a run {to}"));
    }
    match (before, to) {
        (Some(ImageState::Gold), ImageState::Revoked) => None,
        (Some(ImageState::Retired), ImageState::Gold) if !gold_before => {
            Some("it was retired and never gold, so it cannot become gold".to_owned())
        }
        (before, to) => ImageState::may_move(before, to).err().map(|error| error.to_string()),
    }
}
