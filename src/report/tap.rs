//! The Test Anything Protocol, version 14 (testanything.org): one test point per property. It owns its escapes; what a host said stands
//! in YAML's double quotes, so that no line of it can look like a test point.

use std::fmt::Write as _;

use super::{json, text::value_text};
use assay_model::{CheckEvidence, CheckOutcome, Evidence, TargetEvidence, Verdict, escape::escape_line};

/// The most characters of one value.
const MOST: usize = 4 << 10;

/// The report as text. A target without a verdict has a test point of its own, which is `not ok`.
pub(crate) fn render(evidence: &Evidence) -> String {
    let points: usize = evidence.targets.iter().map(|t| t.checks.len() + usize::from(is_undecided(t))).sum();
    let mut text = format!("TAP version 14\n1..{points}\n");
    let mut number = 0;
    for target in &evidence.targets {
        for check in &target.checks {
            number += 1;
            point(&mut text, number, target, check);
        }
        if is_undecided(target) {
            number += 1;
            let reason =
                target.undecided.as_ref().map_or("not every planned check was answered", |u| u.reason.as_str());
            line(&mut text, format_args!("not ok {number} - {}", description(&format!("{} verdict", target.target))));
            diagnostics(&mut text, &[("outcome", quoted("undecided")), ("message", quoted(reason))]);
        }
    }
    text
}

fn is_undecided(target: &TargetEvidence) -> bool {
    target.verdict == Verdict::Undecided
}

fn point(text: &mut String, number: usize, target: &TargetEvidence, check: &CheckEvidence) {
    let name = format!("{} {}: {} {} {}", target.target, check.suite, check.resource, check.id, check.property);
    let name = description(&name);
    match check.outcome {
        CheckOutcome::Passed => line(text, format_args!("ok {number} - {name}")),
        CheckOutcome::Skipped => {
            line(text, format_args!("ok {number} - {name} # SKIP {}", description(&check.message)));
        }
        CheckOutcome::Failed | CheckOutcome::Undecided => {
            line(text, format_args!("not ok {number} - {name}"));
            let told = [
                ("outcome", quoted(check.outcome.as_str())),
                ("message", quoted(&check.message)),
                ("expected", value(&check.expected)),
                ("actual", value(&check.actual)),
            ];
            diagnostics(text, &told);
        }
    }
}

/// A YAML block. Each value is JSON on one line, which is YAML too (YAML 1.2.2, section 1.2).
fn diagnostics(text: &mut String, pairs: &[(&str, String)]) {
    text.push_str("  ---\n");
    for (name, value) in pairs {
        line(text, format_args!("  {name}: {value}"));
    }
    text.push_str("  ...\n");
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(escape_line(text)).to_string()
}

/// A value as it is; one that is too long becomes a text that says so.
fn value(value: &serde_json::Value) -> String {
    match json::line(value) {
        Ok(text) if text.len() <= MOST => text,
        _ => quoted(&value_text(value, MOST)),
    }
}

/// A description: one line, with TAP's own signs escaped (TAP 14, "Escaping").
fn description(text: &str) -> String {
    escape_line(text).replace('\\', "\\\\").replace('#', "\\#")
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::escape::is_harmless;
    use assay_model::sample;

    #[test]
    fn the_report() {
        insta::assert_snapshot!("tap", render(&sample::evidence()));
    }

    #[test]
    fn no_host_can_write_a_test_point() {
        let mut evidence = sample::evidence();
        let forged = "x\nok 99 - all is well # SKIP\n1..0\nBail out!\u{1b}[2J";
        let check = &mut evidence.targets[1].checks[1];
        check.id = forged.to_owned();
        check.message = forged.to_owned();
        check.actual = forged.into();
        let text = render(&evidence);
        assert!(text.chars().all(|c| c == '\n' || is_harmless(c)));
        let points = text.lines().filter(|l| l.starts_with("ok ") || l.starts_with("not ok ")).count();
        assert_eq!(text.lines().nth(1), Some(format!("1..{points}").as_str()));
        assert_eq!(points, sample::evidence().targets.iter().map(|t| t.checks.len()).sum::<usize>() + 1);
        assert!(!text.lines().any(|l| l.starts_with("Bail out!")));
        let skipped = text.lines().filter(|l| l.starts_with("ok ") && l.contains(" # SKIP")).count();
        assert_eq!(skipped, 1, "{text}");
    }
}
