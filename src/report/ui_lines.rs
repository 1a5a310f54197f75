//! What Packer's Ui shows: plain lines (Packer adds its own `==> name:`) and machine-readable rows. Pure functions; it refuses to send
//! them. A row's category is `assay,<kind>`: Packer takes what stands before the comma as the row's target (packer/ui.go,
//! `MachineReadableUi.Machine`), so that no row can be taken for its `artifact,0,id`.

use std::time::Duration;

use super::text::{Style, duration_text, headline, phases_text, targets_table, value_text};
use crate::model::{AmiRef, Evidence, Outcome, State, Verdict, escape::escape_line};

/// The most characters of one argument of a machine row, and of one value in a line.
const MOST: usize = 400;

/// One machine-readable row: category and arguments, for `Ui.Machine`.
pub type Row = (String, Vec<String>);

/// A phase ended: `us-east-1:ami-…: ssh after 8.0 s`.
pub fn phase_line(target: &str, phase: &str, took: Duration) -> String {
    format!("{}: {} after {}", escape_line(target), escape_line(phase), span(took))
}

/// A phase began: `us-east-1:ami-…: waiting for ssh`.
pub fn waiting_line(target: &str, waiting_for: &str) -> String {
    format!("{}: waiting for {}", escape_line(target), escape_line(waiting_for))
}

/// Still waiting: something must appear now and then, or a CI system takes the job for dead.
pub fn heartbeat_line(target: &str, waiting_for: &str, elapsed: Duration, deadline: Duration) -> String {
    let left = deadline.saturating_sub(elapsed);
    format!(
        "{}: still waiting for {} ({}, at most {} more)",
        escape_line(target),
        escape_line(waiting_for),
        span(elapsed),
        span(left)
    )
}

/// The end of a run: headline, table, each property that did not pass with expected and actual, leftovers with their cure. No line is empty
/// or holds a line end.
pub fn final_lines(evidence: &Evidence) -> Vec<String> {
    let style = Style::plain();
    let mut lines = vec![headline(evidence, style)];
    if !evidence.targets.is_empty() {
        lines.extend(targets_table(&evidence.targets, style).lines().map(str::to_owned));
    }
    for target in &evidence.targets {
        let name = escape_line(&target.target);
        if let Some(undecided) = &target.undecided {
            lines.push(format!("UNDECIDED {name}: {}", escape_line(&undecided.reason)));
        }
        for check in &target.checks {
            let word = match check.outcome {
                Outcome::Failed => "FAILED",
                Outcome::Undecided => "UNDECIDED",
                Outcome::Passed | Outcome::Skipped => continue,
            };
            let what = escape_line(&format!("{} {} {}", check.resource, check.id, check.property));
            let (expected, actual) = (value_text(&check.expected, MOST), value_text(&check.actual, MOST));
            lines.push(format!("{word} {name}: {what}: expected {expected}, actual {actual}"));
        }
    }
    for leftover in &evidence.leftovers {
        let what = format!("{} {} in {}: {}", leftover.kind, leftover.id, leftover.region, leftover.reason);
        lines.push(format!("NOT CLEANED UP {}; remove it with: {}", escape_line(&what), escape_line(&leftover.cure)));
    }
    lines
}

/// The rows of a finished run: `assay,verdict` (run, verdict, state), `assay,ami` (region, AMI, verdict, state), `assay,phase` (target,
/// phase, milliseconds), `assay,check` (target, suite, resource, id, property, outcome) for what did not pass, `assay,evidence` (digest),
/// `assay,leftover` (region, kind, id, cure).
pub fn machine_rows(evidence: &Evidence, state: Option<State>, digest: Option<&str>) -> Vec<Row> {
    let state = state.map_or("", State::as_str);
    let mut rows = vec![row("verdict", &[&evidence.run.to_string(), evidence.verdict.as_str(), state])];
    for target in &evidence.targets {
        if let Ok(ami) = target.target.parse::<AmiRef>() {
            rows.push(row("ami", &[ami.region.as_str(), ami.id.as_str(), target.verdict.as_str(), state]));
        }
        for phase in &target.phases {
            rows.push(row("phase", &[&target.target, &phase.name, &phase.duration_ms.to_string()]));
        }
        for check in target.checks.iter().filter(|check| matches!(check.outcome, Outcome::Failed | Outcome::Undecided))
        {
            let outcome = check.outcome.as_str();
            rows.push(row(
                "check",
                &[&target.target, &check.suite, &check.resource, &check.id, &check.property, outcome],
            ));
        }
    }
    if let Some(digest) = digest {
        rows.push(row("evidence", &[digest]));
    }
    for leftover in &evidence.leftovers {
        rows.push(row("leftover", &[&leftover.region, &leftover.kind, &leftover.id, &leftover.cure]));
    }
    rows
}

/// The word for a verdict's end in one line: what becomes of the AMI.
pub fn fate_line(verdict: Verdict, destroys: bool) -> &'static str {
    match (verdict, destroys) {
        (Verdict::Passed, _) => "the AMI is kept",
        (Verdict::Failed, true) => "the AMI is left to Packer, which deregisters it (on_failure = \"destroy\")",
        (Verdict::Failed, false) => "the AMI is kept for a look at it, and rejected",
        (Verdict::Undecided, _) => "the AMI is kept, untested: nothing was found out about it",
    }
}

fn row(kind: &str, arguments: &[&str]) -> Row {
    let bounded = |text: &&str| escape_line(&text.chars().take(MOST).collect::<String>());
    (format!("assay,{kind}"), arguments.iter().map(bounded).collect())
}

fn span(duration: Duration) -> String {
    duration_text(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// `launch 1.2 s, ssh 8.0 s` of one target, for a line of its own.
pub fn phases_line(target: &crate::model::TargetEvidence) -> String {
    format!("{}: {}", escape_line(&target.target), phases_text(&target.phases))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::escape::is_harmless, report::sample};

    #[test]
    fn the_lines_of_a_failed_run() {
        let mut lines = vec![
            waiting_line("us-east-1:ami-0abcdef1234567890", "ssh"),
            heartbeat_line("us-east-1:ami-0abcdef1234567890", "ssh", Duration::from_secs(30), Duration::from_secs(300)),
            phase_line("us-east-1:ami-0abcdef1234567890", "ssh", Duration::from_millis(31_250)),
            phases_line(&sample::evidence().targets[1]),
        ];
        lines.extend(final_lines(&sample::evidence()));
        assert!(lines.iter().all(|line| !line.is_empty() && line.chars().all(is_harmless)));
        insta::assert_snapshot!("ui_lines", lines.join("\n"));
    }

    #[test]
    fn the_rows_of_a_failed_run() {
        let rows = machine_rows(&sample::evidence(), Some(State::Rejected), Some("sha256:00"));
        assert!(rows.iter().all(|(category, _)| category.starts_with("assay,")));
        let text: Vec<String> = rows.iter().map(|(category, arguments)| format!("{category}: {arguments:?}")).collect();
        insta::assert_snapshot!("machine_rows", text.join("\n"));
    }
}
