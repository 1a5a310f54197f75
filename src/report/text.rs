//! The text report: what the command line prints and report.txt holds. It owns the layout; colour only where it is asked for, never a
//! line that begins with something a host said (`::`, `##[` steer CI systems), never an unescaped byte.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use assay_model::{CheckEvidence, CheckOutcome, Evidence, PhaseTime, TargetEvidence, Verdict, escape::escape_line};

/// The most characters of one value in the report; the evidence has all of it.
const MOST: usize = 400;

/// How the report looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReportStyle {
    /// ANSI colours.
    pub color: bool,
    /// The width that tables may take, in columns; `None`: as wide as they need.
    pub width: Option<u16>,
}

impl ReportStyle {
    /// No colour, no bound on the width: for files.
    pub(crate) fn plain() -> Self {
        Self { color: false, width: None }
    }
}

/// The whole report, with a line end: headline, targets, what did not pass, what is left over.
pub(crate) fn render(evidence: &Evidence, style: ReportStyle) -> String {
    let mut text = format!("{}\n", headline(evidence, style));
    if !evidence.targets.is_empty() {
        let _ = write!(text, "\n{}\n", targets_table(&evidence.targets, style));
    }
    for target in &evidence.targets {
        text.push_str(&problems(target, style));
    }
    text.push_str(&remarks(evidence));
    text
}

/// `assay: FAILED  image base, run …: 2 targets, 6 checks: 2 passed (1 flaky), 2 failed, 1 skipped, 1 undecided`
pub(crate) fn headline(evidence: &Evidence, style: ReportStyle) -> String {
    let counts = evidence.counts();
    let flaky = if counts.flaky > 0 { format!(" ({} flaky)", counts.flaky) } else { String::new() };
    let image = evidence.image.as_ref().map(|image| format!("image {image}, ")).unwrap_or_default();
    let all = counts.passed + counts.failed + counts.skipped + counts.undecided;
    format!(
        "assay: {}  {image}run {}: {}, {}: {} passed{flaky}, {} failed, {} skipped, {} undecided",
        verdict_word(evidence.verdict, style),
        evidence.run,
        many(evidence.targets.len(), "target"),
        many(all, "check"),
        counts.passed,
        counts.failed,
        counts.skipped,
        counts.undecided,
    )
}

/// The run in a few lines, for Packer's Ui: the headline and the table. No line is empty or holds a line end.
pub(crate) fn summary_lines(evidence: &Evidence) -> Vec<String> {
    let style = ReportStyle::plain();
    let mut lines = vec![headline(evidence, style)];
    if !evidence.targets.is_empty() {
        lines.extend(targets_table(&evidence.targets, style).lines().map(|line| line.trim_end().to_owned()));
    }
    lines
}

/// The table of targets, without a line end.
pub(crate) fn targets_table(targets: &[TargetEvidence], style: ReportStyle) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = style.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(["target", "verdict", "passed", "failed", "skipped", "undecided", "host key", "phases"]);
    for target in targets {
        let count = |outcome| target.checks.iter().filter(|check| check.outcome == outcome).count().to_string();
        table.add_row([
            escape_line(&target.target),
            target.verdict.as_str().to_owned(),
            count(CheckOutcome::Passed),
            count(CheckOutcome::Failed),
            count(CheckOutcome::Skipped),
            count(CheckOutcome::Undecided),
            target.host_key.as_str().to_owned(),
            phases_text(&target.phases),
        ]);
    }
    // A row's first character is the table's own space: no cell can begin a line.
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// `launch 1.2 s, ssh 8.0 s`
pub(crate) fn phases_text(phases: &[PhaseTime]) -> String {
    let parts: Vec<String> = phases
        .iter()
        .map(|phase| format!("{} {}", escape_line(&phase.name), duration_text(phase.duration_ms)))
        .collect();
    parts.join(", ")
}

/// Milliseconds for people: `730 ms`, `8.0 s`, `2 m 05 s`.
pub(crate) fn duration_text(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => format!("{} m {:02} s", milliseconds / 60_000, milliseconds / 1000 % 60),
    }
}

/// A JSON value on one line, escaped, at most `most` characters; what is cut is said.
pub(crate) fn value_text(value: &Value, most: usize) -> String {
    // JSON's own escapes for control characters first, then whatever else a terminal might act on.
    let text = escape_line(&value.to_string());
    let length = text.chars().count();
    if length <= most {
        return text;
    }
    let kept: String = text.chars().take(most).collect();
    format!("{kept}… ({} characters more in evidence.json)", length - most)
}

fn problems(target: &TargetEvidence, style: ReportStyle) -> String {
    let mut text = String::new();
    if let Some(undecided) = &target.undecided {
        let _ = write!(
            text,
            "\n{}  {}\n    reason    {}\n",
            verdict_word(Verdict::Undecided, style),
            escape_line(&target.target),
            escape_line(&undecided.reason)
        );
        if let Some(console) = &target.console {
            let _ = writeln!(text, "    console   {}", escape_line(console));
        }
    }
    for check in &target.checks {
        match check.outcome {
            CheckOutcome::Failed => text.push_str(&problem(target, check, verdict_word(Verdict::Failed, style))),
            CheckOutcome::Undecided => text.push_str(&problem(target, check, verdict_word(Verdict::Undecided, style))),
            CheckOutcome::Passed | CheckOutcome::Skipped => {}
        }
    }
    text
}

fn problem(target: &TargetEvidence, check: &CheckEvidence, word: String) -> String {
    let mut text = format!(
        "\n{word}  {}  {} {} {}  (suite {})\n",
        escape_line(&target.target),
        escape_line(&check.resource),
        escape_line(&check.id),
        escape_line(&check.property),
        escape_line(&check.suite)
    );
    let _ = writeln!(text, "    expected  {}", value_text(&check.expected, MOST));
    let _ = writeln!(text, "    actual    {}", value_text(&check.actual, MOST));
    if !check.message.is_empty() {
        let message: String = check.message.chars().take(MOST).collect();
        let _ = writeln!(text, "    message   {}", escape_line(&message));
    }
    if check.attempts > 1 {
        let _ = writeln!(text, "    attempts  {}", check.attempts);
    }
    text
}

fn remarks(evidence: &Evidence) -> String {
    let mut text = String::new();
    if !evidence.confinement.is_empty() {
        text.push_str("\nThe prober was not confined in full:\n");
        for remark in &evidence.confinement {
            let _ = writeln!(text, "    {}", escape_line(remark));
        }
    }
    if !evidence.leftovers.is_empty() {
        text.push_str("\nNot cleaned up:\n");
        for leftover in &evidence.leftovers {
            let _ = writeln!(
                text,
                "    {} {} {}: {}\n        remove it: {}",
                escape_line(&leftover.region),
                escape_line(&leftover.kind),
                escape_line(&leftover.id),
                escape_line(&leftover.reason),
                escape_line(&leftover.cure)
            );
        }
    }
    text
}

/// The verdict in capitals, coloured where asked: green, red, yellow.
pub(crate) fn verdict_word(verdict: Verdict, style: ReportStyle) -> String {
    let word = verdict.as_str().to_uppercase();
    if !style.color {
        return word;
    }
    let colour = match verdict {
        Verdict::Passed => 32,
        Verdict::Failed => 31,
        Verdict::Undecided => 33,
    };
    format!("\u{1b}[1;{colour}m{word}\u{1b}[0m")
}

fn many(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::escape::is_harmless;
    use assay_model::sample;

    #[test]
    fn the_report_of_a_failed_run() {
        insta::assert_snapshot!("text_failed", render(&sample::evidence(), ReportStyle::plain()));
    }

    #[test]
    fn the_report_of_a_passed_run() {
        insta::assert_snapshot!("text_passed", render(&sample::passed(), ReportStyle::plain()));
    }

    #[test]
    fn a_narrow_terminal() {
        let text = render(&sample::passed(), ReportStyle { color: false, width: Some(80) });
        let table: Vec<&str> = text.lines().skip(2).collect();
        assert!(table.iter().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn colour_only_where_asked_and_only_ours() {
        assert!(render(&sample::evidence(), ReportStyle::plain()).chars().all(|c| c == '\n' || is_harmless(c)));
        let coloured = render(&sample::evidence(), ReportStyle { color: true, width: None });
        let without = coloured.replace("\u{1b}[1;31m", "").replace("\u{1b}[1;33m", "").replace("\u{1b}[0m", "");
        assert_eq!(without, render(&sample::evidence(), ReportStyle::plain()));
    }

    #[test]
    fn no_line_begins_with_what_a_host_said() {
        let mut evidence = sample::evidence();
        for name in ["::set-env name=X::1", "##[error]x", "\n::stop-commands::x"] {
            for target in &mut evidence.targets {
                target.target = name.to_owned();
                target.checks.iter_mut().for_each(|check| {
                    check.id = name.to_owned();
                    check.message = name.to_owned();
                    check.actual = name.into();
                });
            }
            for width in [None, Some(40)] {
                let text = render(&evidence, ReportStyle { color: false, width });
                assert!(!text.lines().any(|line| line.starts_with("::") || line.starts_with("##[")), "{text}");
            }
        }
    }

    #[test]
    fn a_long_value_is_cut_and_says_so() {
        let text = value_text(&"x".repeat(1000).into(), 100);
        assert!(text.ends_with("… (902 characters more in evidence.json)"), "{text}");
    }

    #[test]
    fn durations() {
        let shown = [730, 8040, 125_000].map(duration_text);
        assert_eq!(shown, ["730 ms", "8.0 s", "2 m 05 s"]);
    }
}
