//! Signing, candidates and comparisons on the command line.

use super::*;
use crate::cli::diff;
use assay_config::request::{DiffFormat, DiffWhat, SignAs};

#[test]
fn a_key_that_cannot_sign_is_found_before_anything_is_launched() {
    let folder = folder(&[("smoke.hcl", ""), ("assay.hcl", ASSAY_HCL), ("open", "a key that anybody may read")]);
    let said = |arguments: &str| validate_in(&folder, &format!("--ami {AMI} {arguments}"), None).expect_err("refused");
    let problems = said("--sign-with nosuch --report-dir out");
    assert!(problems[0].contains("--sign-with") && problems[0].contains("cannot be read"), "{problems:?}");
    let problems = said("--sign-with open --report-dir out");
    assert!(problems[0].contains("may be used by others"), "{problems:?}");
    let problems = said("--sign-with kms:alias/evidence");
    assert!(problems[0].contains("--report-dir"), "{problems:?}");
    let request = validate_in(&folder, &format!("--ami {AMI} --sign-with kms:alias/evidence --report-dir out"), None);
    assert!(matches!(request.expect("a request").sign, Some(SignAs::Kms(key)) if key == "alias/evidence"));
}

#[test]
fn a_candidate_is_tested_with_the_gold_suites_too_and_never_stamped() {
    let hcl = ASSAY_HCL.replace("[\"smoke.hcl\"]", "[\"smoke.hcl\"]\n    gold = [\"full.hcl\", \"smoke.hcl\"]");
    let folder = folder(&[("smoke.hcl", ""), ("full.hcl", ""), ("other.hcl", ""), ("assay.hcl", &hcl)]);
    let names = |request: &ValidateRequest| {
        let suites = request.settings.suites.iter().map(|suite| suite.path.display().to_string());
        suites.collect::<Vec<_>>().join(" ")
    };
    let request = validate_in(&folder, "--image base --candidate", None).expect("a request");
    assert!(matches!(&request.targets, TargetChoice::Candidate { run: None, .. }) && !request.stamp);
    assert!(names(&request).contains("smoke.hcl") && names(&request).contains("full.hcl"), "{}", names(&request));
    assert_eq!(request.settings.suites.len(), 2, "each once");
    let named = validate_in(&folder, "--image base --candidate 01KAQ3B6G0R8ZJ5Q2X7V9N4M1C --suite other.hcl", None);
    let named = named.expect("a request");
    assert!(matches!(&named.targets, TargetChoice::Candidate { run: Some(_), .. }));
    assert!(names(&named).contains("other.hcl") && named.settings.suites.len() == 1, "{}", names(&named));
    let plain = validate_in(&folder, &format!("--ami {AMI} --image base"), None).expect("a request");
    assert!(names(&plain).contains("smoke.hcl") && plain.settings.suites.len() == 1 && plain.stamp);
}

#[test]
fn where_a_comparison_goes() {
    let planned = |arguments: &str| {
        let cli = parse(&format!("assay diff --image base {arguments}"));
        let CliCommand::Diff(args) = &cli.command else { panic!("diff") };
        diff::plan_in(args, &cli.globals, Path::new("/nowhere")).map_err(texts)
    };
    let plain = planned("").expect("a request");
    assert_eq!(plain.outputs, [(DiffFormat::Text, None)]);
    assert!(matches!(&plain.what, DiffWhat::Runs { run: None, against: None, at, .. } if at == "HEAD"));
    let two = planned("--format markdown=out/diff.md --format json").expect("a request");
    assert_eq!(two.outputs, [(DiffFormat::Markdown, Some("out/diff.md".into())), (DiffFormat::Json, None)]);
    let file = planned("--format markdown --output diff.md").expect("a request");
    assert_eq!(file.outputs, [(DiffFormat::Markdown, Some("diff.md".into()))]);
    assert!(planned("--format json --format text").expect_err("twice")[0].contains("stdout twice"));
    assert!(planned("--at=-x").expect_err("no commit")[0].contains("--at"));
}
