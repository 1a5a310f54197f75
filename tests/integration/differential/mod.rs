//! goss's own program beside assay, on suites, templates, variables and values that are made up: thousands of cases in
//! a few runs of goss. Every difference is mended, or is one that `tests/fixtures/goss/differential/known.tsv` names;
//! a line there that no longer differs fails too.
//!
//! `ASSAY_GOSS_CASES` says how many cases each area has (default: what takes less than a minute), `ASSAY_GOSS_SEED` which.

mod expressions;
mod files;
mod judged;
mod known;
mod paths;
mod random;
mod rendered;
mod templates;
mod values;

use std::fmt;

use known::Known;
use random::Random;

/// How a case came out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
    /// This text was made of it.
    Text(String),
    /// It was not read: why.
    Refused(String),
    /// goss itself broke down at it.
    Crashed,
}

impl Outcome {
    /// Whether the two say the same. What assay refuses beforehand goss reports on the host, as failed; where goss breaks
    /// down nothing has passed.
    fn agrees(&self, goss: &Self) -> bool {
        match (self, goss) {
            (Self::Refused(_), Self::Refused(_) | Self::Failed) => true,
            (Self::Refused(_) | Self::Failed, Self::Crashed) => true,
            (assay, goss) => assay == goss,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Refused(why) => write!(f, "refused ({why})"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// One case and what both said of it.
#[derive(Debug)]
struct Compared {
    case: String,
    goss: Outcome,
    assay: Outcome,
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Compares `area`: made-up cases, and those of the known differences.
fn area(area: &str, share: u64, make: impl Fn(&mut Random) -> String, compare: impl Fn(&[String]) -> Vec<Compared>) {
    let seed = number("ASSAY_GOSS_SEED", 1);
    let count = number("ASSAY_GOSS_CASES", 600) * share / 100;
    let mut random = Random::new(seed, area);
    let mut cases: Vec<String> = (0..count).map(|_| make(&mut random)).collect();
    cases.sort();
    cases.dedup();
    let known = Known::of(area);
    let compared = compare(&[cases, known.examples()].concat());
    let mut unknown = Vec::new();
    let (mut passed, mut failed, mut refused, mut excused) = (0, 0, 0, 0);
    for Compared { case, goss, assay } in &compared {
        match goss {
            Outcome::Passed | Outcome::Text(_) => passed += 1,
            Outcome::Refused(_) | Outcome::Crashed => refused += 1,
            _ => failed += 1,
        }
        if assay.agrees(goss) {
            continue;
        }
        if known.names(case) {
            excused += 1;
        } else {
            unknown.push(format!("{case}\n    goss:  {goss}\n    assay: {assay}"));
        }
    }
    let gone = known.gone(|case| compared.iter().any(|it| it.case == case && !it.assay.agrees(&it.goss)));
    #[allow(clippy::print_stdout, reason = "the figures are what `make test-goss` is run for")]
    {
        println!(
            "{area}: {} cases (seed {seed}): goss takes {passed}, fails {failed}, refuses {refused}; {excused} differ as documented, {} otherwise",
            compared.len(),
            unknown.len()
        );
    }
    let shown: Vec<&str> = unknown.iter().take(40).map(String::as_str).collect();
    assert!(unknown.is_empty(), "{area}: {} differ:\n{}", unknown.len(), shown.join("\n"));
    assert!(gone.is_empty(), "{area}: these lines of known.tsv do not differ any more: {gone:#?}");
    let alike = compared.iter().all(|it| it.goss == compared[0].goss);
    assert!(!alike, "{area}: all {} cases come out alike", compared.len());
}

#[test]
fn templates_render_alike() {
    area("templates", 100, templates::case, rendered::compare);
}

#[test]
fn matchers_judge_alike() {
    area("matchers", 300, values::case, judged::compare);
}

#[test]
fn paths_find_alike() {
    area("paths", 300, paths::case, judged::compare);
}

#[test]
fn expressions_match_alike() {
    area("expressions", 300, expressions::case, judged::compare);
}

#[test]
fn files_are_joined_alike() {
    area("files", 5, files::case, files::compare);
}
