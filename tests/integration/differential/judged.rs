//! Checks of goss's `matching` in both programs: the value stands in the file, so no host is needed. A case is one such
//! check as JSON on one line.

use std::{path::Path, process::Command};

use assay_suite as suite;
use assay_suite::ResourceKind;
use serde_json::Value;

use super::{Compared, Outcome};
use crate::support::tools;

/// How many checks stand in one file.
const TOGETHER: usize = 2000;

pub(super) fn compare(cases: &[String]) -> Vec<Compared> {
    let mut compared = Vec::with_capacity(cases.len());
    for chunk in cases.chunks(TOGETHER) {
        let mut goss = vec![Outcome::Failed; chunk.len()];
        by_goss(chunk, &mut goss);
        let assay = by_assay(chunk);
        for ((case, goss), assay) in chunk.iter().zip(goss).zip(assay) {
            compared.push(Compared { case: case.clone(), goss, assay });
        }
    }
    compared
}

/// JSON is YAML, in which goss keeps whole numbers whole.
fn file(cases: &[String]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("goss.yaml");
    let lines: Vec<String> = cases.iter().enumerate().map(|(at, case)| format!("\"{at}\": {case}")).collect();
    std::fs::write(&path, format!("{{\"matching\": {{\n{}\n}}}}", lines.join(",\n"))).expect("written");
    (folder, path)
}

/// A check at which goss breaks down takes all others with it: then each half is asked for itself.
fn by_goss(cases: &[String], outcomes: &mut [Outcome]) {
    let (_folder, path) = file(cases);
    let mut command = Command::new(tools::goss());
    let output = command.arg("-g").arg(&path).args(["validate", "--format", "json"]).output().expect("goss runs");
    let report: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    let results = report.as_ref().and_then(|report| report["results"].as_array()).filter(|all| !all.is_empty());
    let Some(results) = results else {
        if cases.len() == 1 {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().or(std::str::from_utf8(&output.stdout).ok()).unwrap_or_default();
            // It may break down while its report is written already, which then holds nothing.
            let crashed = said.starts_with("panic:") || report.is_some();
            outcomes[0] = if crashed { Outcome::Crashed } else { Outcome::Refused(said.to_owned()) };
            return;
        }
        let half = cases.len() / 2;
        by_goss(&cases[..half], &mut outcomes[..half]);
        by_goss(&cases[half..], &mut outcomes[half..]);
        return;
    };
    for result in results {
        let at = result["resource-id"].as_str().and_then(|id| id.parse::<usize>().ok());
        let at = at.unwrap_or_else(|| panic!("this is no number of a case: {result}"));
        outcomes[at] = match result["result"].as_u64() {
            Some(0) => Outcome::Passed,
            Some(1) => Outcome::Failed,
            Some(2) => Outcome::Skipped,
            other => panic!("{other:?} is no outcome"),
        };
    }
}

/// What assay refuses it tells by line; the others are judged.
fn by_assay(cases: &[String]) -> Vec<Outcome> {
    let mut outcomes = vec![Outcome::Failed; cases.len()];
    let mut left: Vec<usize> = (0..cases.len()).collect();
    while !left.is_empty() {
        let texts: Vec<String> = left.iter().map(|at| cases[*at].clone()).collect();
        let (_folder, path) = file(&texts);
        match suite::load(std::slice::from_ref(&path), Path::new("/")) {
            Ok(suites) => {
                for check in suites.iter().flat_map(|suite| &suite.checks) {
                    assert_eq!(check.resource, ResourceKind::Matching);
                    let content = check.parameters.get("content").cloned().unwrap_or_default();
                    let met = suite::judge_written(&check.properties[0].matcher, &content).met;
                    let at = left[check.id.parse::<usize>().expect("the number of a case")];
                    outcomes[at] = if met { Outcome::Passed } else { Outcome::Failed };
                }
                break;
            }
            Err(mistakes) => {
                let mut refused: Vec<usize> = Vec::new();
                for mistake in &mistakes {
                    let line = usize::try_from(mistake.line).unwrap_or(0);
                    let place = line.checked_sub(2).filter(|place| *place < left.len());
                    let place = place.unwrap_or_else(|| panic!("of which case is this? {mistake}"));
                    outcomes[left[place]] = Outcome::Refused(mistake.title.clone());
                    refused.push(place);
                }
                let mut at = 0;
                left.retain(|_| {
                    at += 1;
                    !refused.contains(&(at - 1))
                });
            }
        }
    }
    outcomes
}
