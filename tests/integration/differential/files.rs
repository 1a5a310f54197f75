//! Goss files that include each other: which of several files has the last word. A case is a map of files as JSON, of
//! which `main.yaml` is the outermost; it says how each check of `matching` came out.

use std::{collections::BTreeMap, path::Path, process::Command};

use assay_suite as suite;
use serde_json::{Value, json};

use super::{Compared, Outcome, random::Random};
use crate::support::tools;

const NAMES: [&str; 4] = ["a.yaml", "b.yaml", "c.yaml", "d.yaml"];

/// A few files. Those later in the alphabet include none before them, so that nothing includes itself.
pub(super) fn case(random: &mut Random) -> String {
    let mut files = BTreeMap::new();
    files.insert("main.yaml".to_owned(), file(random, 0));
    for (at, name) in NAMES.iter().enumerate() {
        files.insert((*name).to_owned(), file(random, at + 1));
    }
    json!(files).to_string()
}

fn file(random: &mut Random, from: usize) -> String {
    let mut text = String::new();
    if from < NAMES.len() && !random.one_in(4) {
        text.push_str("gossfile:\n");
        for number in 0..1 + random.below(3) {
            let pattern = match random.below(5) {
                0 if from < 3 => "\"[cd].yaml\"",
                _ => NAMES[from + random.below(NAMES.len() - from)],
            };
            let skip = if random.one_in(6) { ", skip: yes" } else { "" };
            text.push_str(&format!("  {number}: {{file: {pattern}{skip}}}\n"));
        }
    }
    text.push_str("matching:\n  here: {content: 1, matches: 1}\n");
    for id in ["x", "y", "z"] {
        if random.one_in(2) {
            let content = random.of(&["{{ .Vars.n }}", "2", "{{ $_ := set .Vars \"n\" 3 }}{{ .Vars.n }}", "1"]);
            text.push_str(&format!("  {id}: {{content: {content}, matches: {}}}\n", 1 + random.below(3)));
        }
    }
    text
}

pub(super) fn compare(cases: &[String]) -> Vec<Compared> {
    cases.iter().map(|case| compared(case)).collect()
}

fn compared(case: &str) -> Compared {
    let folder = tempfile::tempdir().expect("a folder");
    let files: BTreeMap<String, String> = serde_json::from_str(case).expect("a map of files");
    for (name, text) in &files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    Compared { case: case.to_owned(), goss: by_goss(folder.path()), assay: by_assay(folder.path()) }
}

fn told(outcomes: BTreeMap<String, bool>) -> Outcome {
    Outcome::Text(outcomes.into_iter().map(|(id, met)| format!("{id}:{met} ")).collect())
}

fn by_goss(folder: &Path) -> Outcome {
    let mut command = Command::new(tools::goss());
    command.current_dir(folder).args(["-g", "main.yaml", "--vars-inline", "n: 1", "validate", "--format", "json"]);
    let output = command.output().expect("goss runs");
    let Ok(report) = serde_json::from_slice::<Value>(&output.stdout) else {
        return Outcome::Refused(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    };
    let results = report["results"].as_array().expect("results");
    told(
        results
            .iter()
            .map(|result| (result["resource-id"].as_str().expect("an id").to_owned(), result["result"] == 0))
            .collect(),
    )
}

fn by_assay(folder: &Path) -> Outcome {
    let vars = suite::VarSources { inline: Some("n: 1".to_owned()), ..suite::VarSources::default() };
    match suite::load_with(&["main.yaml".into()], folder, &vars) {
        Err(mistakes) => Outcome::Refused(mistakes.first().map(ToString::to_string).unwrap_or_default()),
        Ok(suites) => told(
            suites
                .iter()
                .flat_map(|suite| &suite.checks)
                .map(|check| {
                    let content = check.parameters.get("content").cloned().unwrap_or_default();
                    (check.id.clone(), suite::judge_written(&check.properties[0].matcher, &content).met)
                })
                .collect(),
        ),
    }
}
