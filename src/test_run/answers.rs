//! The conductor's own answers: what EC2 or a second boot tells is put where the prober said that no host can tell. It owns where a check stands in a
//! target's evidence, the rule of the deciding property, and what the whole amounts to; it refuses to know where a value came from.

use std::ops::Range;

use serde_json::Value;

use assay_model::{
    CheckEvidence, CheckOutcome,
    escape::{bounded, escape_line},
};
use assay_prober::shown;
use assay_suite::{Check, CheckProperty, Matcher, QuestionAsker, ResourceKind, Suite, judge_written};

/// The longest message in evidence, in bytes.
const MESSAGE: usize = 1 << 10;

/// What the conductor knows about one property.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum KnownProperty {
    /// Its value.
    Value(Value),
    /// Its value, and why it is so: said where the demand is not met.
    Because(Value, String),
    /// No trustworthy answer, for this reason.
    Unknown(String),
}

impl KnownProperty {
    /// An answer that could not be had, for a reason in words.
    pub(super) fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown(why.into())
    }

    /// True; or false, because of what `wrong` says.
    pub(super) fn holds(wrong: Option<String>) -> Self {
        match wrong {
            None => Self::Value(true.into()),
            Some(why) => Self::Because(false.into(), why),
        }
    }
}

/// Whether the suites ask for a resource with this id (any, where `None`), skipped checks aside.
pub(super) fn asks(suites: &[Suite], resource: ResourceKind, id: Option<&str>) -> bool {
    wanted(suites, resource, id).next().is_some()
}

/// Whether a check of this resource and id demands something of `property`.
pub(super) fn asks_property(suites: &[Suite], resource: ResourceKind, id: Option<&str>, property: &str) -> bool {
    let demanded = |p: &CheckProperty| p.name == property && p.matcher != Matcher::Equal(false.into());
    wanted(suites, resource, id).any(|check| check.properties.iter().any(demanded))
}

fn wanted<'a>(suites: &'a [Suite], resource: ResourceKind, id: Option<&'a str>) -> impl Iterator<Item = &'a Check> {
    let checks = suites.iter().flat_map(|suite| &suite.checks);
    checks.filter(move |c| c.resource == resource && !c.skip && id.is_none_or(|id| id == c.id))
}

/// Answers every check of `resource` (and `id`, where one is given) in `checks`, which holds every property of `suites` in their order. Where it holds fewer, the
/// target was lost before it was asked, and nothing is changed.
pub(super) fn answer(
    suites: &[Suite],
    resource: ResourceKind,
    id: Option<&str>,
    checks: &mut [CheckEvidence],
    known: impl Fn(&Check, &str) -> KnownProperty,
) {
    for (check, place) in places(suites) {
        let mine = check.resource == resource && id.is_none_or(|id| id == check.id) && !check.skip;
        if let (true, Some(entries)) = (mine, checks.get_mut(place)) {
            decide(check, entries, &known);
        }
    }
}

/// Writes how often a check was tried and how long it took, where `known` says so. What passed after a retry is flaky.
pub(super) fn note_attempts(
    suites: &[Suite],
    checks: &mut [CheckEvidence],
    known: impl Fn(&Check) -> Option<(u32, u64)>,
) {
    for (check, place) in places(suites) {
        if let (Some((attempts, duration_ms)), Some(entries)) = (known(check), checks.get_mut(place)) {
            for entry in entries.iter_mut().filter(|entry| entry.outcome != CheckOutcome::Skipped) {
                (entry.attempts, entry.duration_ms) = (attempts, duration_ms);
                entry.flaky = entry.outcome == CheckOutcome::Passed && attempts > 1;
            }
        }
    }
}

/// Every check with the place of its properties among all answers.
fn places(suites: &[Suite]) -> impl Iterator<Item = (&Check, Range<usize>)> {
    let mut next = 0;
    suites.iter().flat_map(|suite| &suite.checks).map(move |check| {
        let place = next..next + check.properties.len();
        next = place.end;
        (check, place)
    })
}

fn decide(check: &Check, entries: &mut [CheckEvidence], known: impl Fn(&Check, &str) -> KnownProperty) {
    let mut closed: Option<String> = None;
    for (property, entry) in check.properties.iter().zip(entries) {
        if let Some(why) = &closed {
            write(entry, CheckOutcome::Skipped, &Value::Null, why);
            continue;
        }
        let seen = known(check, &property.name);
        match &seen {
            KnownProperty::Value(value) | KnownProperty::Because(value, _) => {
                let judgement = judge_written(&property.matcher, value);
                let why = match &seen {
                    KnownProperty::Because(_, why) if !judgement.met => format!("{}: {why}", judgement.message),
                    _ => judgement.message,
                };
                write(entry, if judgement.met { CheckOutcome::Passed } else { CheckOutcome::Failed }, value, &why);
            }
            KnownProperty::Unknown(why) => write(entry, CheckOutcome::Undecided, &Value::Null, why),
        }
        if check.resource.gate() == Some(property.name.as_str()) {
            closed = match (entry.outcome, &seen) {
                (CheckOutcome::Failed, _) => Some(format!("{:?} failed", property.name)),
                (CheckOutcome::Undecided, _) => Some(format!("{:?} is undecided", property.name)),
                (_, KnownProperty::Value(Value::Bool(false)) | KnownProperty::Because(Value::Bool(false), _)) => {
                    Some(format!("{:?} is false", property.name))
                }
                _ => None,
            };
        }
    }
}

fn write(entry: &mut CheckEvidence, outcome: CheckOutcome, value: &Value, why: &str) {
    entry.outcome = outcome;
    entry.actual = shown(value);
    entry.message = bounded(&escape_line(why), MESSAGE);
    entry.attempts = u32::from(outcome != CheckOutcome::Skipped);
}

/// The checks of `suites` that a host answers, as suites whose names say when they were asked: `smoke after soft reboot`. Suites without any are left out.
pub(super) fn asked_again(suites: &[Suite], when: &str) -> Vec<Suite> {
    let again = suites.iter().map(|suite| Suite {
        name: format!("{} {when}", suite.name),
        checks: suite.checks.iter().filter(|c| c.resource.asker() == QuestionAsker::Host).cloned().collect(),
        ..suite.clone()
    });
    again.filter(|suite| !suite.checks.is_empty()).collect()
}

/// What did not pass of `checks`, in words; `None` where all did. At most ten are named.
pub(super) fn complaint(checks: &[CheckEvidence]) -> Option<String> {
    let bad: Vec<String> = checks
        .iter()
        .filter(|c| matches!(c.outcome, CheckOutcome::Failed | CheckOutcome::Undecided))
        .map(|c| format!("{} {:?} {} {}", c.resource, c.id, c.property, c.outcome.as_str()))
        .collect();
    let more = bad.len().saturating_sub(10);
    let mut text = bad.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(", and {more} more"));
    }
    (!bad.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    /// The suites of a file, and its checks as the prober leaves them: nobody could tell.
    fn planned(text: &str) -> (Vec<Suite>, Vec<CheckEvidence>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.hcl");
        std::fs::write(&path, text).expect("written");
        let suites = assay_suite::load(&[path], Path::new("/")).unwrap_or_else(|e| panic!("{}", e[0]));
        let mut checks = Vec::new();
        for suite in &suites {
            for check in &suite.checks {
                checks.extend(check.properties.iter().map(|property| CheckEvidence {
                    suite: suite.name.clone(),
                    file: None,
                    resource: check.resource.to_string(),
                    id: check.id.clone(),
                    property: property.name.clone(),
                    outcome: if check.skip { CheckOutcome::Skipped } else { CheckOutcome::Undecided },
                    expected: property.matcher.to_json(),
                    actual: Value::Null,
                    message: "not answered".to_owned(),
                    attempts: 0,
                    flaky: false,
                    duration_ms: 0,
                }));
            }
        }
        (suites, checks)
    }

    fn outcomes(checks: &[CheckEvidence]) -> Vec<String> {
        checks.iter().map(|c| format!("{} {} {}", c.id, c.property, c.outcome.as_str())).collect()
    }

    const TWO: &str = r#"
suite "a" {
  file "/x" { exists = true }
  ami "image" {
    public = false
    name   = { have-prefix = "base-" }
  }
}
suite "b" {
  ami "image" { tags = ["Team=core"] }
  ami "later" {
    skip   = true
    public = true
  }
}
"#;

    #[test]
    fn each_answer_stands_where_its_property_stands_and_nothing_else_is_touched() {
        let (suites, mut checks) = planned(TWO);
        answer(&suites, ResourceKind::Ami, None, &mut checks, |_, property| match property {
            "public" => KnownProperty::Because(true.into(), "somebody shared it".to_owned()),
            "name" => KnownProperty::Value("base-\u{1b}[2J".into()),
            _ => KnownProperty::unknown("nobody\nknows"),
        });
        assert_eq!(
            outcomes(&checks),
            [
                "/x exists undecided",
                "image public failed",
                "image name passed",
                "image tags undecided",
                "later public skipped"
            ]
        );
        assert!(checks[1].message.contains("somebody shared it") && checks[1].attempts == 1, "{:?}", checks[1]);
        assert_eq!(checks[2].actual, json!("base-\\x1b[2J"), "what a name holds is escaped");
        assert!(!checks[3].message.contains('\n'));
        assert!(
            asks(&suites, ResourceKind::Ami, None) && !asks(&suites, ResourceKind::Ami, Some("later")),
            "skipped is not asked"
        );
    }

    #[test]
    fn a_reboot_that_did_not_happen_leaves_the_rest_unasked() {
        let text = "suite \"s\" {\n reboot \"soft\" {\n suite = true\n returned = true\n }\n reboot \"stop-start\" { timer-armed = true }\n}\n";
        let (suites, mut checks) = planned(text);
        answer(&suites, ResourceKind::Reboot, Some("soft"), &mut checks, |_, property| match property {
            "returned" => KnownProperty::holds(Some("it is gone".to_owned())),
            _ => KnownProperty::Value(true.into()),
        });
        assert_eq!(
            outcomes(&checks),
            ["soft returned failed", "soft suite skipped", "stop-start timer-armed undecided"]
        );
        assert!(asks_property(&suites, ResourceKind::Reboot, Some("soft"), "suite"));
        assert!(!asks_property(&suites, ResourceKind::Reboot, Some("stop-start"), "suite"));
    }

    #[test]
    fn only_what_a_host_answers_is_asked_again_under_a_name_that_says_when() {
        let (suites, _) = planned(TWO);
        let again = asked_again(&suites, "after soft reboot");
        assert_eq!(again.len(), 1, "the second suite has nothing for a host");
        assert_eq!((again[0].name.as_str(), again[0].planned()), ("a after soft reboot", 1));
    }

    #[test]
    fn a_complaint_names_ten_and_counts_the_rest() {
        let (_, mut checks) = planned(TWO);
        assert!(complaint(&checks).expect("undecided ones").starts_with(r#"file "/x" exists undecided, "#));
        checks.iter_mut().for_each(|c| c.outcome = CheckOutcome::Passed);
        assert_eq!(complaint(&checks), None);
        let many: Vec<CheckEvidence> =
            (0..12).map(|_| CheckEvidence { outcome: CheckOutcome::Failed, ..checks[0].clone() }).collect();
        assert!(complaint(&many).expect("failed").ends_with("and 2 more"));
    }
}
