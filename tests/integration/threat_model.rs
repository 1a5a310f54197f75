//! docs/threat-model.md says of each promise which test tries it: the tests are there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::tools::root;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

#[test]
fn every_test_that_the_threat_model_names_is_there_and_every_promise_has_one() {
    let mut files = Vec::new();
    ["src", "crates", "tests/integration"].iter().for_each(|folder| sources(&root().join(folder), &mut files));
    let texts: Vec<String> = files.iter().map(|path| fs::read_to_string(path).expect("a source")).collect();
    let is_test = |name: &str| texts.iter().any(|text| text.contains(&format!("fn {name}(")));
    let page = fs::read_to_string(root().join("docs/threat-model.md")).expect("the page");
    let names_of = |line: &str| {
        let quoted = line.split('`').skip(1).step_by(2).map(str::to_owned);
        let is_name = |name: &String| {
            name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
        };
        quoted.filter(is_name).filter(|name| name.matches('_').count() > 1).collect::<Vec<_>>()
    };
    let mut named = 0;
    for name in page.lines().flat_map(names_of) {
        named += 1;
        assert!(is_test(&name), "there is no test {name}");
    }
    assert!(named > 40, "{named}");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| they must") && !line.starts_with("| it must"));
    for row in rows {
        let tests = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        assert!(tests.contains('`'), "no test for: {row}");
    }
}
