//! The words of assay's commits and tags. It owns their layout; nothing in them comes from a pull request but names whose grammar is
//! checked (image, run, AMI ids), so that no text such as `[skip ci]` can be smuggled in. Loops are broken by content, never by a marker.
//! The words of lock moves are in `message_lock`, and callable from here.

use std::{collections::BTreeSet, fmt::Write as _};

pub use super::message_lock::{harmless, lock_commit, lock_tag, lock_tag_name};
use assay_model::{Candidate, RunId};

/// The commit message: a subject with status, verdict and run, then every AMI, then trailers that scripts can read.
pub fn of_commit(candidates: &[Candidate]) -> String {
    let mut message = format!("{}\n", subject(candidates));
    for candidate in candidates {
        message.push('\n');
        message.push_str(&summary(candidate));
    }
    message.push('\n');
    for candidate in candidates {
        let _ = writeln!(message, "Assay-Image: {}", candidate.image);
        let _ = writeln!(message, "Assay-Run: {}", candidate.run);
        let _ = writeln!(message, "Assay-Verdict: {}", candidate.verdict);
    }
    message
}

/// The message of one image's annotated tag.
pub fn of_tag(candidate: &Candidate) -> String {
    format!("{}\n\n{}", subject(std::slice::from_ref(candidate)), summary(candidate))
}

/// `<image>/<state>/<yyyymmdd>-<run>`, the day of the test in UTC.
pub fn tag_name(candidate: &Candidate) -> String {
    let day: String = candidate
        .tested_at
        .parse::<jiff::Timestamp>()
        .map_or_else(|_| "00000000".to_owned(), |moment| moment.strftime("%Y%m%d").to_string());
    format!("{}/{}/{day}-{}", candidate.image, candidate.state, candidate.run)
}

fn subject(candidates: &[Candidate]) -> String {
    let images: Vec<String> = candidates.iter().map(|c| format!("{} {} ({})", c.image, c.state, c.verdict)).collect();
    let runs: BTreeSet<RunId> = candidates.iter().map(|c| c.run).collect();
    let run = match runs.first() {
        Some(run) if runs.len() == 1 => format!(", run {run}"),
        Some(_) => format!(", {} runs", runs.len()),
        None => String::new(),
    };
    // Many images in one run would make a subject that no tool shows whole.
    if images.len() > 3 {
        let lines: BTreeSet<_> = candidates.iter().map(|c| &c.image).collect();
        return format!("assay: {} images{run}", lines.len());
    }
    format!("assay: {}{run}", images.join(", "))
}

fn summary(candidate: &Candidate) -> String {
    let mut text = String::new();
    let row = |text: &mut String, name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    let _ = writeln!(text, "{}", candidate.image);
    row(&mut text, "status", candidate.state.as_str());
    row(&mut text, "verdict", candidate.verdict.as_str());
    row(&mut text, "tested", &candidate.tested_at);
    row(&mut text, "evidence", candidate.evidence.as_str());
    for ami in &candidate.amis {
        let record = &ami.record;
        let place = format!("{} {} {}", record.ami.id, record.architecture, record.ami.region);
        row(&mut text, "ami", &format!("{place} {}", ami.state));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{candidate, candidate_of_two_builds};

    #[test]
    fn the_words() {
        insta::assert_snapshot!("commit_message", of_commit(&[candidate_of_two_builds()]));
        insta::assert_snapshot!("tag_message", of_tag(&candidate()));
        assert_eq!(tag_name(&candidate()), "base/candidate/20261122-01KAQ3B6G0R8ZJ5Q2X7V9N4M1C");
    }

    #[test]
    fn nothing_of_a_pull_request_is_in_a_message() {
        let mut candidate = candidate();
        candidate.provenance.branch = Some("[skip ci]".to_owned());
        candidate.provenance.pipeline = Some("[ci skip]".to_owned());
        candidate.amis[0].record.name = "[skip ci]".to_owned();
        assert!(!of_commit(&[candidate.clone()]).contains("skip"));
        assert!(!of_tag(&candidate).contains("skip"));
    }
}
