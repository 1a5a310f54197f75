//! Events as lines: one plain line per event for a terminal or Packer's Ui, and Packer's machine-readable rows. It owns the wording; it refuses colours and
//! time stamps, which belong to whoever prints. Everything that an instance sent is escaped here once more.

use super::text::duration_text;
use assay_model::{CheckEvidence, RunEvent, Verdict, escape::escape_line};

/// How a line is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineWeight {
    /// A step.
    Heading,
    /// Detail under a step.
    Plain,
    /// Something is wrong.
    Bad,
}

/// The longest value that is shown in a line, in characters; the evidence holds more.
const SHOWN: usize = 300;

/// The lines for one event, at least one.
pub(crate) fn lines(event: &RunEvent) -> Vec<(LineWeight, String)> {
    use LineWeight::{Bad, Heading, Plain};
    match event {
        RunEvent::Started { run, targets } => {
            vec![(Heading, format!("assay run {run}: {}", targets.join(", ")))]
        }
        RunEvent::Note { text } => vec![(Plain, escape_line(text))],
        RunEvent::Warning { text } => vec![(Bad, escape_line(text))],
        RunEvent::Phase { target, phase, duration_ms } => {
            vec![(Plain, format!("{target}: {phase} after {}", duration_text(*duration_ms)))]
        }
        RunEvent::Waiting { targets, seconds } => {
            vec![(Plain, format!("{seconds} s: still waiting for {}", targets.join(", ")))]
        }
        RunEvent::Check { target, check } => check_lines(target, check).into_iter().map(|line| (Bad, line)).collect(),
        RunEvent::Judged { target, verdict, host_key, reason } => {
            let weight = if *verdict == Verdict::Passed { Heading } else { Bad };
            let reason = reason.as_ref().map_or(String::new(), |r| format!(": {}", escape_line(r)));
            vec![(weight, format!("{target}: {verdict} (host key {}){reason}", host_key.as_str()))]
        }
        RunEvent::Stamped { target, state } => vec![(Plain, format!("{target}: tagged assay:state = {state}"))],
    }
}

/// A property that did not pass, with what was expected and what was found.
pub(crate) fn check_lines(target: &str, check: &CheckEvidence) -> Vec<String> {
    let mut lines = vec![format!(
        "{target}: {} {} \"{}\" {}",
        check.outcome.as_str(),
        check.resource,
        escape_line(&check.id),
        check.property
    )];
    lines.push(format!("    expected: {}", value(&check.expected)));
    lines.push(format!("    actual:   {}", value(&check.actual)));
    if !check.message.is_empty() {
        lines.push(format!("    {}", cut(&escape_line(&check.message))));
    }
    lines
}

/// The row for `-machine-readable`, where the event has one: a category beginning `assay,` and its arguments.
pub(crate) fn machine_row(event: &RunEvent) -> Option<(String, Vec<String>)> {
    let row = |category: &str, arguments: &[&str]| {
        Some((format!("assay,{category}"), arguments.iter().map(|a| escape_line(a)).collect()))
    };
    match event {
        RunEvent::Started { run, .. } => row("run", &[run]),
        RunEvent::Phase { target, phase, duration_ms } => row("phase", &[target, phase, &duration_ms.to_string()]),
        RunEvent::Check { target, check } => {
            row("check", &[target, check.outcome.as_str(), &check.suite, &check.resource, &check.id, &check.property])
        }
        RunEvent::Judged { target, verdict, host_key, .. } => {
            row("verdict", &[target, verdict.as_str(), host_key.as_str()])
        }
        RunEvent::Stamped { target, state } => row("state", &[target, state.as_str()]),
        RunEvent::Warning { text } => row("warning", &[text]),
        RunEvent::Note { .. } | RunEvent::Waiting { .. } => None,
    }
}

fn value(value: &serde_json::Value) -> String {
    cut(&escape_line(&value.to_string()))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::CheckOutcome;

    #[test]
    fn a_failed_check_shows_expected_and_actual_and_no_control_character() {
        let check = CheckEvidence {
            suite: "smoke".into(),
            file: None,
            resource: "file".into(),
            id: "/etc/\u{1b}[2Jpasswd".into(),
            property: "mode".into(),
            outcome: CheckOutcome::Failed,
            expected: "0600".into(),
            actual: "0644".into(),
            message: "artifact,0,id\u{202e}".into(),
            attempts: 1,
            flaky: false,
            duration_ms: 2,
        };
        let text = check_lines("us-east-1:ami-1", &check).join("\n");
        assert_eq!(
            text,
            "us-east-1:ami-1: failed file \"/etc/\\x1b[2Jpasswd\" mode\n    expected: \"0600\"\n    actual:   \"0644\"\n    artifact,0,id\\u{202e}"
        );
        let (category, arguments) =
            machine_row(&RunEvent::Check { target: "t".into(), check: Box::new(check) }).expect("a row");
        assert_eq!(category, "assay,check");
        assert!(arguments.iter().all(|a| !a.contains('\u{1b}')));
    }
}
