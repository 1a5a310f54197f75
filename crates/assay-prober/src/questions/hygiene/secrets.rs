//! What the people and programs of the build left behind in files: histories, hosts they knew, keys, credentials.

use super::{HygieneFacts, HygieneFinding};

/// `hist`: user, bytes, path.
pub(super) fn histories(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    of_three(facts, "hist", |user, bytes, path| {
        HygieneFinding::new(&[user, path], format!("{user}: {path} holds {bytes} bytes"))
    })
}

/// `known`: user, lines, path.
pub(super) fn known_hosts(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    of_three(facts, "known", |user, lines, path| {
        HygieneFinding::new(&[user, path], format!("{user}: {path} knows hosts ({lines} lines)"))
    })
}

/// `private`: line, path.
pub(super) fn private_keys(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let lines = facts.answer.section("private").facts();
    lines
        .iter()
        .map(|[line, path]| HygieneFinding::new(&[path], format!("{path} line {line}: a private key")))
        .collect()
}

/// `creds`: what, line, path.
pub(super) fn credentials(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    of_three(facts, "creds", |what, line, path| {
        HygieneFinding::new(&[path], format!("{path} line {line}: {} {what}", article(what)))
    })
}

fn of_three(
    facts: &HygieneFacts<'_>,
    section: &str,
    finding: impl Fn(&str, &str, &str) -> HygieneFinding,
) -> Vec<HygieneFinding> {
    facts.answer.section(section).facts().iter().map(|[a, b, path]| finding(a, b, path)).collect()
}

fn article(what: &str) -> &'static str {
    if what.starts_with(['A', 'a']) { "an" } else { "a" }
}
