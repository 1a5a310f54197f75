//! JUnit XML: one test suite per target, one test case per property. It owns what counts as failure, error and skipped, that no two cases have the same class
//! and name (GitLab drops all but the first), and that the file is XML 1.0 that reads back; it refuses raw bytes of a host: control characters are shown, not dropped, so that names stay different.

use std::{collections::BTreeSet, time::Duration};

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::text::value_text;
use assay_model::{CheckEvidence, CheckOutcome, Evidence, TargetEvidence, Verdict, escape::escape_line};

/// The most characters of one value in the file.
const MOST: usize = 16 << 10;

/// Why there is no JUnit file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JunitError {
    /// quick-junit could not write it.
    #[error("it cannot be written as XML")]
    Write(#[from] quick_junit::SerializeError),
    /// What was written does not read back: better none than one that breaks the reader's CI.
    #[error("what was written is not well-formed XML")]
    Read(#[from] quick_junit::DeserializeError),
}

/// The report as text. It has been parsed again before it is returned.
pub(crate) fn render(evidence: &Evidence) -> Result<String, JunitError> {
    let name = match &evidence.image {
        Some(image) => format!("assay {image}"),
        None => "assay".to_owned(),
    };
    let mut report = Report::new(name);
    let mut taken = BTreeSet::new();
    for (target, place) in evidence.targets.iter().zip(places(evidence)) {
        let mut suite = suite(evidence, target, &place);
        for case in &mut suite.test_cases {
            distinguish(case, &mut taken);
        }
        report.add_test_suite(suite);
    }
    let text = report.to_string()?;
    Report::deserialize_from_str(&text)?;
    Ok(text)
}

/// What test cases of each target have before the suite in their class: the same for the next build of the image, whose AMIs are others, as far as that tells
/// the targets of this file apart.
fn places(evidence: &Evidence) -> Vec<String> {
    let image = evidence.image.as_ref().map(|image| format!("{image}.")).unwrap_or_default();
    let of = |place: &dyn Fn(&TargetEvidence) -> Option<String>| -> Option<Vec<String>> {
        let places: Vec<String> = evidence.targets.iter().map(place).collect::<Option<_>>()?;
        (places.iter().collect::<BTreeSet<_>>().len() == places.len()).then_some(places)
    };
    let by_place = |target: &TargetEvidence| {
        let record = target.ami.as_ref()?;
        Some(format!("{image}{}.{}", record.ami.region, record.architecture))
    };
    let by_type = |target: &TargetEvidence| Some(format!("{}.{}", by_place(target)?, target.instance_type.as_ref()?));
    let by_name = || evidence.targets.iter().map(|target| target.target.clone()).collect();
    of(&by_place).or_else(|| of(&by_type)).unwrap_or_else(by_name)
}

/// Numbers a case that has the class and name of one before it: tests of external suites may repeat.
fn distinguish(case: &mut TestCase, taken: &mut BTreeSet<(String, String)>) {
    let class = case.classname.as_ref().map(|class| class.as_str().to_owned()).unwrap_or_default();
    let name = case.name.as_str().to_owned();
    let mut number = 2;
    while !taken.insert((class.clone(), case.name.as_str().to_owned())) {
        case.name = format!("{name} ({number})").into();
        number += 1;
    }
}

fn suite(evidence: &Evidence, target: &TargetEvidence, place: &str) -> TestSuite {
    let mut suite = TestSuite::new(escape_line(&target.target));
    let mut property = |name: &str, value: &str| {
        suite.add_property(Property::new(name, escape_line(value)));
    };
    property("run", &evidence.run.to_string());
    property("verdict", target.verdict.as_str());
    property("host_key", target.host_key.as_str());
    property("started_at", &evidence.started_at);
    for phase in &target.phases {
        property(&format!("phase.{}", escape_line(&phase.name)), &format!("{} ms", phase.duration_ms));
    }
    suite.set_time(target.phases.iter().map(|phase| Duration::from_millis(phase.duration_ms)).sum());
    for check in &target.checks {
        suite.add_test_case(case(check, place));
    }
    // A target without a verdict must not look green because none of its checks ran.
    if target.verdict == Verdict::Undecided {
        suite.add_test_case(undecided_case(target, place));
    }
    suite
}

fn undecided_case(target: &TargetEvidence, place: &str) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    match &target.undecided {
        Some(undecided) => {
            status.set_type(format!("{:?}", undecided.kind).to_lowercase()).set_message(escape_line(&undecided.reason))
        }
        None => status.set_type("undecided").set_message("not every planned check was answered"),
    };
    let mut case = TestCase::new("verdict", status);
    case.set_classname(escape_line(&format!("{place}.assay")));
    case
}

fn case(check: &CheckEvidence, place: &str) -> TestCase {
    let name = format!("{} {} {}", check.resource, check.id, check.property);
    let mut case = TestCase::new(escape_line(&name), status(check));
    case.set_classname(escape_line(&format!("{place}.{}", check.suite)));
    case.set_time(Duration::from_millis(check.duration_ms));
    if let Some(file) = &check.file {
        case.extra.insert("file".into(), escape_line(file).into());
    }
    case
}

fn status(check: &CheckEvidence) -> TestCaseStatus {
    let mut status = match check.outcome {
        CheckOutcome::Passed => {
            let mut status = TestCaseStatus::success();
            if check.flaky {
                let mut rerun = TestRerun::new(NonSuccessKind::Failure);
                rerun.set_type("flaky").set_message(format!("passed at attempt {}", check.attempts));
                status.add_rerun(rerun);
            }
            return status;
        }
        CheckOutcome::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(escape_line(&check.message));
            return status;
        }
        CheckOutcome::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        CheckOutcome::Undecided => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    let expected = value_text(&check.expected, MOST);
    let actual = value_text(&check.actual, MOST);
    status.set_type(check.outcome.as_str());
    status.set_message(message(check));
    status.set_description(format!("expected: {expected}\nactual:   {actual}\nattempts: {}", check.attempts));
    status
}

fn message(check: &CheckEvidence) -> String {
    if check.message.is_empty() {
        return format!("{} is not as demanded", escape_line(&check.property));
    }
    escape_line(&check.message.chars().take(MOST).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use assay_model::escape::is_harmless;
    use assay_model::sample;

    /// XML 1.0, production 2 (Char).
    fn is_xml_char(c: char) -> bool {
        matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    }

    fn hostile() -> impl Strategy<Value = String> {
        let pieces = prop_oneof![
            any::<String>(),
            Just("]]>".to_owned()),
            Just("\u{1b}[31m".to_owned()),
            Just("\u{0}\u{fffe}\u{ffff}".to_owned()),
            Just("<!DOCTYPE x><![CDATA[".to_owned()),
            Just("&amp;&#0;\"'<>".to_owned()),
        ];
        prop::collection::vec(pieces, 0..4).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn whatever_a_host_says_the_file_reads_back(texts in prop::array::uniform6(hostile()), outcome in 0..4_usize) {
            let outcomes = [CheckOutcome::Passed, CheckOutcome::Failed, CheckOutcome::Skipped, CheckOutcome::Undecided];
            let mut evidence = sample::evidence();
            let target = &mut evidence.targets[1];
            target.target = texts[0].clone();
            let check = &mut target.checks[1];
            check.outcome = outcomes[outcome];
            check.id = texts[1].clone();
            check.message = texts[2].clone();
            check.actual = serde_json::json!(texts[3]);
            check.expected = serde_json::json!({ texts[4].clone(): 1 });
            check.suite = texts[5].clone();
            let xml = render(&evidence).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
            prop_assert!(xml.chars().all(|c| is_xml_char(c) && (c == '\n' || is_harmless(c))));
            let report = Report::deserialize_from_str(&xml).expect("reads back");
            prop_assert_eq!(report.test_suites[1].name.as_str(), escape_line(&texts[0]));
            prop_assert_eq!(
                report.test_suites[1].test_cases[1].name.as_str(),
                escape_line(&format!("file {} mode", texts[1]))
            );
        }
    }

    #[test]
    fn the_file() {
        insta::assert_snapshot!("junit", render(&sample::evidence()).expect("XML"));
    }

    #[test]
    fn no_two_cases_have_the_same_class_and_name() {
        let mut evidence = sample::evidence();
        let second = evidence.targets[1].checks.clone();
        evidence.targets[0].checks.clone_from(&second);
        let twice = evidence.targets[1].checks[0].clone();
        evidence.targets[1].checks.push(twice);
        let mut third = evidence.targets[0].clone();
        third.target = "us-east-1:ami-00000099".to_owned();
        for more in [Vec::new(), vec![third]] {
            evidence.targets.extend(more);
            let report = Report::deserialize_from_str(&render(&evidence).expect("XML")).expect("reads back");
            let cases: Vec<_> = report
                .test_suites
                .iter()
                .flat_map(|suite| &suite.test_cases)
                .map(|case| (case.classname.as_ref().map(|class| class.as_str()), case.name.as_str()))
                .collect();
            assert_eq!(cases.iter().collect::<BTreeSet<_>>().len(), cases.len(), "{cases:?}");
        }
    }

    #[test]
    fn python_reads_it_too() {
        let xml = render(&sample::evidence()).expect("XML");
        let script = "import sys, xml.etree.ElementTree as t; r = t.fromstring(sys.stdin.buffer.read()); \
                      print(r.get('tests'), r.get('failures'), r.get('errors'), len(list(r.iter('testcase'))))";
        let mut child = std::process::Command::new("python3")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("python3 is needed: apt install python3");
        let mut stdin = child.stdin.take().expect("stdin");
        std::io::Write::write_all(&mut stdin, xml.as_bytes()).expect("written");
        drop(stdin);
        let output = child.wait_with_output().expect("python3");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "7 2 2 7");
    }

    #[test]
    fn an_undecided_target_without_checks_is_an_error() {
        let mut evidence = sample::evidence();
        evidence.targets.truncate(1);
        evidence.targets[0].checks.clear();
        let report = Report::deserialize_from_str(&render(&evidence).expect("XML")).expect("reads back");
        assert_eq!((report.tests, report.errors), (1, 1));
    }
}
