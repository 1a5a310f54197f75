//! The conductor's own answers: what EC2 or a second boot tells is put where the prober said that no host can tell. It owns where a check stands in a
//! target's evidence, the rule of the deciding property, and what the whole amounts to; it refuses to know where a value came from.

use std::ops::Range;

use serde_json::Value;

use crate::{
    model::{
        CheckEvidence, Outcome,
        escape::{bounded, escape_line},
    },
    probe::shown,
    suite::{Asker, Check, Resource, Suite, judge},
};

/// The longest message in evidence, in bytes.
const MESSAGE: usize = 1 << 10;

/// What the conductor knows about one property.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// Its value.
    Value(Value),
    /// Its value, and why it is so: said where the demand is not met.
    Because(Value, String),
    /// No trustworthy answer, for this reason.
    Unknown(String),
}

impl Known {
    /// An answer that could not be had, for a reason in words.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown(why.into())
    }

    /// True; or false, because of what `wrong` says.
    pub fn holds(wrong: Option<String>) -> Self {
        match wrong {
            None => Self::Value(true.into()),
            Some(why) => Self::Because(false.into(), why),
        }
    }
}

/// Whether the suites ask for a resource with this id (any, where `None`), skipped checks aside.
pub fn asks(suites: &[Suite], resource: Resource, id: Option<&str>) -> bool {
    wanted(suites, resource, id).next().is_some()
}

/// Whether a check of this resource and id demands something of `property`.
pub fn asks_property(suites: &[Suite], resource: Resource, id: Option<&str>, property: &str) -> bool {
    wanted(suites, resource, id).any(|check| check.properties.iter().any(|p| p.name == property))
}

fn wanted<'a>(suites: &'a [Suite], resource: Resource, id: Option<&'a str>) -> impl Iterator<Item = &'a Check> {
    let checks = suites.iter().flat_map(|suite| &suite.checks);
    checks.filter(move |c| c.resource == resource && !c.skip && id.is_none_or(|id| id == c.id))
}

/// Answers every check of `resource` (and `id`, where one is given) in `checks`, which holds every property of `suites` in their order. Where it holds fewer, the
/// target was lost before it was asked, and nothing is changed.
pub fn answer(
    suites: &[Suite],
    resource: Resource,
    id: Option<&str>,
    checks: &mut [CheckEvidence],
    known: impl Fn(&Check, &str) -> Known,
) {
    for (check, place) in places(suites) {
        let mine = check.resource == resource && id.is_none_or(|id| id == check.id) && !check.skip;
        if let (true, Some(entries)) = (mine, checks.get_mut(place)) {
            decide(check, entries, &known);
        }
    }
}

/// Every check with the place of its properties among all answers.
fn places(suites: &[Suite]) -> impl Iterator<Item = (&Check, Range<usize>)> {
    let mut next = 0;
    suites.iter().flat_map(|suite| &suite.checks).map(move |check| {
        let place = next..next + check.properties.len();
        next = place.end;
        (check, place)
    })
}

fn decide(check: &Check, entries: &mut [CheckEvidence], known: impl Fn(&Check, &str) -> Known) {
    let mut closed: Option<String> = None;
    for (property, entry) in check.properties.iter().zip(entries) {
        if let Some(why) = &closed {
            write(entry, Outcome::Skipped, &Value::Null, why);
            continue;
        }
        let seen = known(check, &property.name);
        match &seen {
            Known::Value(value) | Known::Because(value, _) => {
                let judgement = judge(&property.matcher, value);
                let why = match &seen {
                    Known::Because(_, why) if !judgement.met => format!("{}: {why}", judgement.message),
                    _ => judgement.message,
                };
                write(entry, if judgement.met { Outcome::Passed } else { Outcome::Failed }, value, &why);
            }
            Known::Unknown(why) => write(entry, Outcome::Undecided, &Value::Null, why),
        }
        if check.resource.gate() == Some(property.name.as_str()) {
            closed = match (entry.outcome, &seen) {
                (Outcome::Failed, _) => Some(format!("{:?} failed", property.name)),
                (Outcome::Undecided, _) => Some(format!("{:?} is undecided", property.name)),
                (_, Known::Value(Value::Bool(false)) | Known::Because(Value::Bool(false), _)) => {
                    Some(format!("{:?} is false", property.name))
                }
                _ => None,
            };
        }
    }
}

fn write(entry: &mut CheckEvidence, outcome: Outcome, value: &Value, why: &str) {
    entry.outcome = outcome;
    entry.actual = shown(value);
    entry.message = bounded(&escape_line(why), MESSAGE);
    entry.attempts = u32::from(outcome != Outcome::Skipped);
}

/// The checks of `suites` that a host answers, as suites whose names say when they were asked: `smoke after soft reboot`. Suites without any are left out.
pub fn asked_again(suites: &[Suite], when: &str) -> Vec<Suite> {
    let again = suites.iter().map(|suite| Suite {
        name: format!("{} {when}", suite.name),
        checks: suite.checks.iter().filter(|c| c.resource.asker() == Asker::Host).cloned().collect(),
        ..suite.clone()
    });
    again.filter(|suite| !suite.checks.is_empty()).collect()
}

/// What did not pass of `checks`, in words; `None` where all did. At most ten are named.
pub fn complaint(checks: &[CheckEvidence]) -> Option<String> {
    let bad: Vec<String> = checks
        .iter()
        .filter(|c| matches!(c.outcome, Outcome::Failed | Outcome::Undecided))
        .map(|c| format!("{} {:?} {} {}", c.resource, c.id, c.property, c.outcome.as_str()))
        .collect();
    let more = bad.len().saturating_sub(10);
    let mut text = bad.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(", and {more} more"));
    }
    (!bad.is_empty()).then_some(text)
}
