//! Reports as the tools write them, and such as no tool writes.

use CheckOutcome::{Failed, Passed, Skipped, Undecided};
use proptest::prelude::*;

use super::*;
use assay_model::escape::is_harmless;

fn outcomes(format: ReportFormat, report: &str) -> Vec<(String, CheckOutcome, String)> {
    let tests = read(format, report.as_bytes()).unwrap_or_else(|why| panic!("{why}"));
    tests.into_iter().map(|t| (t.name, t.outcome, t.message)).collect()
}

/// pytest 9's own, shortened.
const PYTEST: &str = r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="1.2" timestamp="2026-11-23T01:00:00.12+00:00" hostname="ci">
<testcase classname="tests.test_base" name="test_root[ssh://target]" time="0.251" />
<testcase classname="tests.test_base" name="test_port[ssh://target]" time="0.1"><failure message="AssertionError: assert False&#10; + where False">def test_port(host):
&gt;   assert host.socket("tcp://99").is_listening</failure></testcase>
<testcase classname="tests.test_base" name="test_skip" time="0.0"><skipped type="pytest.skip" message="not here">x</skipped></testcase>
<testcase classname="tests.test_base" name="test_setup" time="0.0"><error message="failed on setup with &quot;no route&quot;">trace</error></testcase>
</testsuite></testsuites>"#;

#[test]
fn pytest() {
    let seen = outcomes(ReportFormat::Junit, PYTEST);
    let expected = [
        ("tests.test_base::test_root[ssh://target]", Passed, ""),
        ("tests.test_base::test_port[ssh://target]", Failed, "AssertionError: assert False\\n + where False"),
        ("tests.test_base::test_skip", Skipped, "not here"),
        ("tests.test_base::test_setup", Undecided, "failed on setup with \"no route\""),
    ];
    let seen: Vec<_> = seen.iter().map(|(n, o, m)| (n.as_str(), *o, m.as_str())).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_suite_alone_and_a_message_in_the_text_are_junit_too() {
    let report = "<testsuite><testcase name='a'><failure>it &lt;broke&gt;<![CDATA[ & more]]></failure><error/></testcase></testsuite>";
    assert_eq!(outcomes(ReportFormat::Junit, report), [("a".to_owned(), Failed, "it <broke> & more".to_owned())]);
    assert_eq!(outcomes(ReportFormat::Junit, "<testsuites/>"), []);
}

#[test]
fn what_is_no_junit_is_refused() {
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><testsuite/>";
    for (report, why) in [
        (bomb, "document type"),
        ("", "no <testsuites>"),
        ("<html><testcase name='a'/></html>", "no <testsuites>"),
        ("<testsuite><testcase name='a'>", "middle of <testsuite/testcase>"),
        ("<testsuite><testcase/></testsuite>", "no name"),
        ("<testsuite></testcase></testsuite>", "not XML"),
    ] {
        let error = read(ReportFormat::Junit, report.as_bytes()).expect_err(report);
        assert!(error.contains(why), "{report}: {error}");
    }
    let deep = "<testsuite>".repeat(40);
    assert!(read(ReportFormat::Junit, deep.as_bytes()).expect_err("deep").contains("too deep"));
    assert!(read(ReportFormat::Junit, &vec![b' '; MAX_REPORT + 1]).expect_err("large").contains("larger"));
}

#[test]
fn rspec() {
    let report = r#"{"version":"3.13","examples":[
        {"full_description":"Package \"ssh\" is installed","status":"passed","run_time":0.5,"pending_message":null},
        {"full_description":"Port 99","status":"failed","run_time":0.1,"exception":{"class":"X","message":"expected\nlistening"}},
        {"full_description":"later","status":"pending","run_time":0.0,"pending_message":"soon"}],
        "summary":{"errors_outside_of_examples_count":1}}"#;
    let seen = outcomes(ReportFormat::Rspec, report);
    assert_eq!(seen.iter().map(|t| t.1).collect::<Vec<_>>(), [Passed, Failed, Skipped, Undecided]);
    assert_eq!(seen[1].2, "expected\\nlistening");
}

#[test]
fn inspec() {
    let report = r#"{"platform":{"name":"debian"},"profiles":[{"name":"base","status":"loaded","controls":[
        {"id":"ssh-1","results":[{"status":"passed","code_desc":"File /etc/passwd","run_time":0.01},
          {"status":"failed","code_desc":"Port 99","run_time":0.02,"message":"expected it to listen"},
          {"status":"skipped","code_desc":"x","skip_message":"no systemd"},
          {"status":"failed","code_desc":"y","message":"undefined method","exception":"NoMethodError"}]}]},
        {"name":"other","status":"failed","status_message":"cannot load"}]}"#;
    let seen = outcomes(ReportFormat::Inspec, report);
    assert_eq!(seen.iter().map(|t| t.1).collect::<Vec<_>>(), [Passed, Failed, Skipped, Undecided, Undecided]);
    assert_eq!(seen[0].0, "ssh-1: File /etc/passwd");
}

#[test]
fn goss() {
    let report = r#"{"results":[{"resource-type":"File","resource-id":"/x","property":"exists","result":0,"duration":5000000,"summary-line":"ok"},
        {"resource-type":"Port","resource-id":"tcp:1","property":"listening","result":1,"duration":1,"summary-line":"Port: tcp:1: listening: false"},
        {"resource-type":"User","resource-id":"u","property":"uid","result":2,"duration":1,"summary-line":"skipped"},
        {"resource-type":"Dns","resource-id":"d","property":"x","result":1,"err":{"message":"timeout"},"duration":1,"summary-line":"e"}],
        "summary":{"failed-count":2}}"#;
    let seen = outcomes(ReportFormat::Goss, report);
    assert_eq!(seen.iter().map(|t| t.1).collect::<Vec<_>>(), [Passed, Failed, Skipped, Undecided]);
    assert_eq!(seen[0].0, "file /x exists");
    assert!(read(ReportFormat::Goss, b"not json").is_err());
}

proptest! {
    #[test]
    fn whatever_stands_in_a_report_comes_out_harmless(noise in any::<Vec<u8>>(), text in any::<String>()) {
        for format in [ReportFormat::Junit, ReportFormat::Rspec, ReportFormat::Inspec, ReportFormat::Goss] {
            if let Err(why) = read(format, &noise) {
                prop_assert!(why.chars().all(is_harmless), "{why:?}");
            }
        }
        let report = serde_json::json!({"results": [{"resource-id": text, "result": 1, "summary-line": text}]}).to_string();
        let tests = read(ReportFormat::Goss, report.as_bytes()).expect("a report");
        prop_assert!(tests[0].name.chars().chain(tests[0].message.chars()).all(is_harmless));
    }
}
