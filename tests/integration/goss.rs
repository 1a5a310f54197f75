//! goss's own binary and assay read the same files and must judge alike, check by check. Here the checks need no host:
//! goss's resource `matching` has its value in the file.

use std::{collections::BTreeMap, path::Path, process::Command};

use assay_suite as suite;
use assay_suite::ResourceKind;
use serde_json::{Value, json};

use crate::support::tools;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

type Outcomes = BTreeMap<String, Outcome>;

/// What goss says of a file, by id.
fn by_goss(file: &Path) -> Outcomes {
    let output = Command::new(tools::goss())
        .arg("-g")
        .arg(file)
        .args(["validate", "--format", "json"])
        .output()
        .expect("goss runs");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let results = report["results"].as_array().expect("results");
    let outcome = |result: &Value| match result["result"].as_u64() {
        Some(0) => Outcome::Passed,
        Some(1) => Outcome::Failed,
        Some(2) => Outcome::Skipped,
        other => panic!("{other:?} is no outcome: {result}"),
    };
    results.iter().map(|r| (r["resource-id"].as_str().expect("an id").to_owned(), outcome(r))).collect()
}

/// What assay says of a file's `matching` checks, by id.
fn by_assay(file: &Path) -> Outcomes {
    let suites = suite::load(&[file.to_owned()], Path::new("/"))
        .unwrap_or_else(|all| panic!("{}", all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")));
    let mut outcomes = Outcomes::new();
    for check in suites.iter().flat_map(|s| &s.checks) {
        assert_eq!(check.resource, ResourceKind::Matching);
        let content = check.parameters.get("content").cloned().unwrap_or_default();
        let judgement = suite::judge_written(&check.properties[0].matcher, &content);
        assert_eq!(judgement.met, judgement.message.is_empty(), "{}: {judgement:?}", check.id);
        let outcome = match (check.skip, judgement.met) {
            (true, _) => Outcome::Skipped,
            (false, true) => Outcome::Passed,
            (false, false) => Outcome::Failed,
        };
        outcomes.insert(check.id.clone(), outcome);
    }
    outcomes
}

/// Both read the file; every difference is told. Returns how many passed and how many failed.
fn agree(file: &Path) -> (usize, usize) {
    let (goss, assay) = (by_goss(file), by_assay(file));
    let differing: Vec<String> = goss
        .keys()
        .chain(assay.keys().filter(|id| !goss.contains_key(*id)))
        .filter(|id| goss.get(*id) != assay.get(*id))
        .map(|id| format!("{id}: goss {:?}, assay {:?}", goss.get(id), assay.get(id)))
        .collect();
    assert!(differing.is_empty(), "{} of {} differ:\n{}", differing.len(), goss.len(), differing.join("\n"));
    let count = |wanted| goss.values().filter(|o| **o == wanted).count();
    (count(Outcome::Passed), count(Outcome::Failed))
}

#[test]
fn the_fine_points_of_every_matcher() {
    let (passed, failed) = agree(&tools::root().join("tests/fixtures/goss/matching.yaml"));
    assert!(passed > 180 && failed > 80, "{passed} passed, {failed} failed");
}

/// One value of each type, and of each shape that a matcher may look for.
fn contents() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(15),
        json!(1.5),
        json!(""),
        json!("abc"),
        json!("15"),
        json!("a\n15\nmoo\n"),
        json!("1.2.3"),
        json!(r#"{"a": 15, "b": ["x", "y"], "c": {"d": null}}"#),
        json!([]),
        json!(["abc"]),
        json!(["15"]),
        json!(["a", "15", "moo"]),
        json!(["1.2.3", "2.0.0"]),
        json!([15, "abc", true, null, 1.5, ["a"], {"a": "b"}]),
        json!({}),
        json!({"a": "abc", "15": 15, "moo": ["x"]}),
    ]
}

/// Every matcher, with arguments that some of the values meet.
fn demands() -> Vec<Value> {
    let mut all: Vec<Value> = contents().into_iter().filter(|v| !v.is_null() && !v.is_object()).collect();
    // An element that is null or a map would be no demand.
    all.retain(|v| v.as_array().is_none_or(|items| items.iter().all(|i| !i.is_null() && !i.is_object())));
    all.extend(contents().into_iter().filter(|v| !v.is_null()).map(|v| json!({ "equal": v })));
    all.extend([
        json!({"have-prefix": "a"}),
        json!({"have-prefix": ""}),
        json!({"have-suffix": "5"}),
        json!({"have-suffix": "moo\n"}),
        json!({"match-regexp": "^a?b?c?$"}),
        json!({"match-regexp": "(?m)^15$"}),
        json!({"contain-substring": "1"}),
        json!({"contain-substring": "map["}),
        json!({"have-len": 0}),
        json!({"have-len": 3}),
        json!({"have-patterns": []}),
        json!({"have-patterns": ["15"]}),
        json!({"have-patterns": ["/^a/", "!moo"]}),
        json!({"have-key": "a"}),
        json!({"have-key": "15"}),
        json!({"have-key": {"have-prefix": "mo"}}),
        json!({"contain-element": "abc"}),
        json!({"contain-element": 15}),
        json!({"contain-element": {"lt": 20}}),
        json!({"contain-elements": []}),
        json!({"contain-elements": ["15"]}),
        json!({"contain-elements": [{"have-len": 3}, {"gt": 1}]}),
        json!({"consist-of": []}),
        json!({"consist-of": ["15"]}),
        json!({"consist-of": [{"have-suffix": "o"}, 15, "a"]}),
        json!({"gt": 1}),
        json!({"ge": 15}),
        json!({"lt": 1.5}),
        json!({"le": 15}),
        json!({"semver-constraint": ">=1.0.0"}),
        json!({"semver-constraint": "<2.0.0 || 3.x"}),
        json!({"gjson": {"a": 15}}),
        json!({"gjson": {"b": {"consist-of": ["y", "x"]}}}),
        json!({"gjson": {"@this": {"have-key": "c"}, "c.d": "<nil>"}}),
        json!({"and": [{"have-len": 3}, {"have-prefix": "a"}]}),
        json!({"and": [{"gt": 1}, "15"]}),
        json!({"or": [{"gt": 1}, "abc"]}),
        json!({"or": ["abc", {"gt": 1}]}),
    ]);
    all
}

#[test]
fn every_matcher_on_every_type_of_value() {
    let mut checks = serde_json::Map::new();
    for (c, content) in contents().iter().enumerate() {
        for (d, demand) in demands().iter().enumerate() {
            let (id, not) = (format!("{c}/{d}"), json!({ "not": demand }));
            checks.insert(id.clone(), json!({ "content": content, "matches": demand }));
            // goss itself crashes at a `not` of an `or` that cannot be judged.
            if demand.get("or").is_none() {
                checks.insert(format!("{id} not"), json!({ "content": content, "matches": not }));
            }
            checks.insert(format!("{id} read"), json!({ "content": content, "matches": demand, "as-reader": true }));
        }
    }
    let total = checks.len();
    let text = json!({ "matching": checks }).to_string();
    assert!(text.len() < 1 << 20, "{}", text.len());
    let folder = tempfile::tempdir().expect("a folder");
    // In JSON every number is a fraction for goss, in YAML it is not.
    for name in ["all.yaml", "all.json"] {
        let file = folder.path().join(name);
        std::fs::write(&file, &text).expect("written");
        let (passed, failed) = agree(&file);
        assert_eq!(passed + failed, total, "{name}");
        assert!(passed > 800 && failed > 800, "{name}: {passed} passed, {failed} failed");
    }
}

/// Every resource and attribute, passing and failing, on a booted Debian with systemd: `tests/tools/goss-agreement` runs goss's binary there and assay from here, and
/// compares property by property. What differs with a reason stands in docs/goss-differences.md.
#[test]
fn goss_and_assay_agree_about_a_booted_instance() {
    let goss = tools::goss();
    let root = tools::root();
    let mini_cloud = tools::mini_cloud();
    let output = Command::new(&mini_cloud)
        .args(["run", "--"])
        .arg(&mini_cloud)
        .arg("python")
        .arg(root.join("tests/tools/on-an-instance"))
        .arg(root.join("tests/tools/goss-agreement"))
        .args(["--host", "{host}", "--key", "{key}", "--assay", env!("CARGO_BIN_EXE_assay"), "--goss"])
        .arg(goss)
        .output()
        .expect("the mini cloud runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or_default();
    let agree: usize = last.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(output.status.success() && agree >= 300, "{:?}\n{text}\n{complaint}", output.status);
}
