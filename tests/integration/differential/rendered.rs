//! Templates in both programs. goss renders many in one file, each on a line of its own; at a mistake it names the line
//! and makes nothing, so that line is taken out and the rest is rendered again.

use std::process::Command;

use assay_suite as suite;

use super::{Compared, Outcome, templates::VARS};
use crate::support::tools;

/// How many templates stand in one file.
const TOGETHER: usize = 200;
const PREFIX: &str = "DEBUG: file after text/template render\n";

pub(super) fn compare(cases: &[String]) -> Vec<Compared> {
    let assay: Vec<Outcome> = cases.iter().map(|case| by_assay(case)).collect();
    let mut goss: Vec<Option<Outcome>> = vec![None; cases.len()];
    // What assay refuses goes alone: most of it goss refuses too.
    let (alone, together): (Vec<usize>, Vec<usize>) =
        (0..cases.len()).partition(|at| matches!(assay[*at], Outcome::Refused(_)));
    let chunks = together.chunks(TOGETHER).chain(alone.chunks(1));
    for chunk in chunks {
        let mut left: Vec<usize> = chunk.to_vec();
        while !left.is_empty() {
            let texts: Vec<&str> = left.iter().map(|at| cases[*at].as_str()).collect();
            match by_goss(&texts) {
                Ok(made) => {
                    for (at, text) in left.drain(..).zip(made) {
                        goss[at] = Some(Outcome::Text(text));
                    }
                }
                Err((line, why)) => {
                    let at = left.remove(line.min(left.len() - 1));
                    goss[at] = Some(Outcome::Refused(why));
                }
            }
        }
    }
    let goss = goss.into_iter().map(|outcome| outcome.expect("each was asked"));
    cases
        .iter()
        .zip(goss)
        .zip(assay)
        .map(|((case, goss), assay)| Compared { case: case.clone(), goss, assay })
        .collect()
}

/// A template that changes its variables must not change those of the others.
fn own_variables(case: &str) -> String {
    format!("{{{{ with deepCopy .Vars }}}}{{{{ $v := . }}}}{case}{{{{ end }}}}")
}

fn by_assay(case: &str) -> Outcome {
    match suite::rendered(&own_variables(case), VARS) {
        Ok(text) => Outcome::Text(text),
        Err(mistakes) => Outcome::Refused(mistakes.first().map(|it| it.title.clone()).unwrap_or_default()),
    }
}

/// What each template makes; or the number of the one that makes nothing, and why.
fn by_goss(cases: &[&str]) -> Result<Vec<String>, (usize, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = "\u{1}";
    let text: String = cases.iter().map(|case| format!("{}{mark}\n", own_variables(case))).collect();
    let file = folder.path().join("goss.yaml");
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(tools::goss());
    command.arg("-g").arg(&file).args(["--vars-inline", VARS, "render", "--debug"]);
    let output = command.env_clear().current_dir(folder.path()).output().expect("goss runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(made) = said.strip_prefix(PREFIX) {
        // Behind the text goss says what is wrong with it as YAML.
        let made: Vec<String> = made.split(&format!("{mark}\n")).map(str::to_owned).take(cases.len()).collect();
        assert_eq!(made.len(), cases.len(), "{said}");
        return Ok(made);
    }
    let said = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    let place = said.split_once("template: test:").map_or("", |(_, rest)| rest);
    let line: usize = place.split([':', ' ']).next().and_then(|line| line.parse().ok()).unwrap_or(1);
    Err((line.saturating_sub(1), said.trim().to_owned()))
}
