//! How a matcher judges a value: pure, total, and with a reason for people. It owns goss's rules: which matcher makes a
//! text or a number of what it is given, and that a demand which cannot be judged (a number wanted, a word found) is
//! not met, not even under `not`. It refuses to know where a value came from.

use serde_json::Value;

use super::{
    Matcher,
    datum::ObservedValue,
    json_path,
    matcher::number,
    pattern::SearchPattern,
    re2,
    semver_range::{self, SemverRange},
};

/// What a matcher said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whether the demand is met.
    pub met: bool,
    /// Why not, for people; empty when met. Not escaped: it may quote the value.
    pub message: String,
}

/// Judges what a host answered: a boolean, a number, a text (for contents, stdout and stderr the whole of it) or a list
/// of texts. As in goss, such a list is never the same as one that stands in a file (`equal: [a]`).
pub fn judge(matcher: &Matcher, observed: &Value) -> Judgement {
    judgement(matcher, &ObservedValue::answered(observed))
}

/// Judges a value that is written in the suite, or that assay itself found: its lists hold anything.
pub fn judge_written(matcher: &Matcher, observed: &Value) -> Judgement {
    judgement(matcher, &ObservedValue::written(observed))
}

/// A value as Go writes it, for `as-reader`.
pub(super) fn as_text(value: &Value) -> String {
    ObservedValue::written(value).show()
}

fn judgement(matcher: &Matcher, observed: &ObservedValue) -> Judgement {
    let message = match meets(matcher, observed) {
        Ok(true) => return Judgement { met: true, message: String::new() },
        Ok(false) => why_not(matcher, observed),
        Err(why) => format!("{why}: expected {}, found {}", short(&matcher.to_json()), shown(observed)),
    };
    Judgement { met: false, message }
}

/// Whether the demand is met; the error says why that cannot be judged.
fn meets(matcher: &Matcher, observed: &ObservedValue) -> Result<bool, String> {
    match matcher {
        Matcher::Equal(wanted) => equal(wanted, observed),
        Matcher::SameAs(Value::Null) if *observed == ObservedValue::Nothing => {
            Err("null cannot be compared with null".to_owned())
        }
        Matcher::SameAs(wanted) => Ok(ObservedValue::written(wanted) == *observed),
        Matcher::Elements(wanted) => Ok(assigned(wanted, &elements(observed)?) == wanted.len()),
        Matcher::ContainElements(wanted) => Ok(assigned(wanted, &elements(&observed.lines())?) == wanted.len()),
        Matcher::ContainElement(wanted) => contain_element(wanted, &observed.lines()),
        Matcher::ConsistOf(wanted) => {
            let found = elements(observed)?;
            Ok(found.len() == wanted.len() && assigned(wanted, &found) == wanted.len())
        }
        Matcher::HavePatterns(patterns) => Ok(unmet_patterns(patterns, &observed.text())?.is_empty()),
        Matcher::MatchRegexp(regexp) => {
            let regex = re2::compile(regexp)?;
            Ok(regex.is_match(observed.text().as_bytes()))
        }
        Matcher::Gt(limit) => Ok(float(observed)? > *limit),
        Matcher::Ge(limit) => Ok(float(observed)? >= *limit),
        Matcher::Lt(limit) => Ok(float(observed)? < *limit),
        Matcher::Le(limit) => Ok(float(observed)? <= *limit),
        Matcher::Not(inner) => meets(inner, observed).map(|met| !met),
        Matcher::And(all) => every(all.iter(), |m| meets(m, observed)),
        Matcher::Or(any) => every(any.iter(), |m| meets(m, observed).map(|met| !met)).map(|none| !none),
        Matcher::HavePrefix(text) => Ok(observed.text().starts_with(text.as_str())),
        Matcher::HaveSuffix(text) => Ok(observed.text().ends_with(text.as_str())),
        Matcher::ContainSubstring(text) => Ok(observed.text().contains(text.as_str())),
        Matcher::HaveLen(wanted) => Ok(length(observed)? == *wanted),
        Matcher::HaveKey(key) => match observed {
            ObservedValue::Map(pairs) => {
                every(pairs.iter(), |(k, _)| meets(key, &ObservedValue::Text(k.clone())).map(|met| !met))
                    .map(|none| !none)
            }
            _ => Err("only a map has keys".to_owned()),
        },
        Matcher::SemverConstraint(range) => in_range(range, observed),
        Matcher::Gjson(paths) => every(paths.iter(), |(path, inner)| match observed {
            ObservedValue::Text(text) => meets(inner, &ObservedValue::of_json(&json_path::at(text, path)?)),
            _ => Err("JSON is a text".to_owned()),
        }),
    }
}

/// Whether all hold, up to the first that does not or cannot be judged.
fn every<T>(all: impl Iterator<Item = T>, mut holds: impl FnMut(T) -> Result<bool, String>) -> Result<bool, String> {
    for one in all {
        if !holds(one)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A plain value: what was found is made a text where a text is wanted, a number where a number is wanted.
fn equal(wanted: &Value, observed: &ObservedValue) -> Result<bool, String> {
    match wanted {
        Value::String(text) => Ok(observed.text() == *text),
        Value::Number(_) => match (ObservedValue::written(wanted), observed.number()?) {
            (ObservedValue::Whole(a), ObservedValue::Whole(b)) => Ok(a == b),
            (a, b) => Ok(float(&a)? == float(&b)?),
        },
        Value::Array(items) => {
            let found = elements(observed)?;
            Ok(found.len() == items.len() && every(items.iter().zip(&found), |(w, f)| equal(w, f))?)
        }
        _ => Ok(ObservedValue::written(wanted) == *observed),
    }
}

fn float(value: &ObservedValue) -> Result<f64, String> {
    Ok(match value.number()? {
        ObservedValue::Whole(n) => n as f64,
        ObservedValue::Fraction(n) => n,
        _ => f64::NAN,
    })
}

fn elements(value: &ObservedValue) -> Result<Vec<ObservedValue>, String> {
    value.elements().ok_or_else(|| "this is no list".to_owned())
}

fn length(value: &ObservedValue) -> Result<u64, String> {
    let length = match value {
        ObservedValue::Text(text) => text.len(),
        ObservedValue::Map(pairs) => pairs.len(),
        other => elements(other).map_err(|_| "this has no length")?.len(),
    };
    Ok(length as u64)
}

/// One that cannot be judged does not count, unless none is found.
fn contain_element(wanted: &Matcher, observed: &ObservedValue) -> Result<bool, String> {
    let mut last = Ok(false);
    for element in elements(observed)? {
        match meets(wanted, &element) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            error => last = error,
        }
    }
    last
}

/// For how many of the demands an element of its own can be found: a largest matching (Kuhn's algorithm), so that a
/// demand which many elements meet does not take the only element that another one has.
fn assigned(wanted: &[Matcher], found: &[ObservedValue]) -> usize {
    let fits: Vec<Vec<usize>> =
        wanted.iter().map(|m| (0..found.len()).filter(|i| meets(m, &found[*i]) == Ok(true)).collect()).collect();
    let mut taken: Vec<Option<usize>> = vec![None; found.len()];
    (0..wanted.len()).filter(|demand| assign(*demand, &fits, &mut taken, &mut vec![false; found.len()])).count()
}

fn assign(demand: usize, fits: &[Vec<usize>], taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for &element in &fits[demand] {
        if std::mem::replace(&mut tried[element], true) {
            continue;
        }
        let free = match taken[element] {
            None => true,
            Some(other) => assign(other, fits, taken, tried),
        };
        if free {
            taken[element] = Some(demand);
            return true;
        }
    }
    false
}

fn unmet_patterns<'p>(patterns: &'p [String], text: &str) -> Result<Vec<&'p str>, String> {
    let mut unmet = Vec::new();
    for written in patterns {
        if !SearchPattern::parse(written)?.is_met_by(text) {
            unmet.push(written.as_str());
        }
    }
    Ok(unmet)
}

fn in_range(range: &str, observed: &ObservedValue) -> Result<bool, String> {
    let range = SemverRange::parse(range)?;
    let texts = match observed {
        ObservedValue::Text(_) => vec![observed.clone()],
        ObservedValue::Map(_) => Vec::new(),
        other => other.elements().unwrap_or_default(),
    };
    let version = |datum: &ObservedValue| match datum {
        ObservedValue::Text(text) => semver_range::version(text),
        _ => None,
    };
    match texts.iter().map(version).collect::<Option<Vec<_>>>() {
        Some(versions) if !versions.is_empty() => Ok(versions.iter().all(|v| range.holds(v))),
        _ => Err("only versions like 1.2.3 can be compared so".to_owned()),
    }
}

/// The reason for people of a demand that was judged and is not met.
fn why_not(matcher: &Matcher, observed: &ObservedValue) -> String {
    let found = shown(observed);
    match matcher {
        Matcher::Equal(wanted) => format!("expected {}, found {found}", short(wanted)),
        Matcher::SameAs(wanted) => format!("expected exactly {}, found {found}", short(wanted)),
        Matcher::Elements(wanted) => missing(wanted, observed),
        Matcher::ContainElements(wanted) => missing(wanted, &observed.lines()),
        Matcher::ContainElement(wanted) => format!("no element is {}, found {found}", short(&wanted.to_json())),
        Matcher::ConsistOf(wanted) => {
            let all: Value = wanted.iter().map(Matcher::to_json).collect();
            format!("expected exactly the elements {}, found {found}", short(&all))
        }
        Matcher::HavePatterns(patterns) => {
            let unmet = unmet_patterns(patterns, &observed.text()).unwrap_or_default();
            unmet.iter().map(|p| unmet_pattern(p)).collect::<Vec<_>>().join("; ")
        }
        Matcher::MatchRegexp(regexp) => format!("expected to match /{regexp}/, found {found}"),
        Matcher::Gt(limit) => compared("above", *limit, observed),
        Matcher::Ge(limit) => compared("at least", *limit, observed),
        Matcher::Lt(limit) => compared("below", *limit, observed),
        Matcher::Le(limit) => compared("at most", *limit, observed),
        Matcher::Not(inner) => format!("expected not {}, found {found}", short(&inner.to_json())),
        Matcher::And(all) => {
            all.iter().find(|m| meets(m, observed) == Ok(false)).map_or_else(String::new, |m| why_not(m, observed))
        }
        Matcher::Or(any) => any.iter().map(|m| why_not(m, observed)).collect::<Vec<_>>().join("; and "),
        Matcher::HavePrefix(text) => format!("expected to begin with {text:?}, found {found}"),
        Matcher::HaveSuffix(text) => format!("expected to end with {text:?}, found {found}"),
        Matcher::ContainSubstring(text) => format!("expected to contain {text:?}, found {found}"),
        Matcher::HaveLen(wanted) => {
            format!("expected a length of {wanted}, found {}", length(observed).unwrap_or_default())
        }
        Matcher::HaveKey(key) => format!("no key is {}, found {found}", short(&key.to_json())),
        Matcher::SemverConstraint(range) => format!("expected a version in {range:?}, found {found}"),
        Matcher::Gjson(paths) => paths.iter().find_map(|path| why_not_at(path, observed)).unwrap_or_default(),
    }
}

fn why_not_at((path, inner): &(String, Matcher), observed: &ObservedValue) -> Option<String> {
    let ObservedValue::Text(text) = observed else { return None };
    let found = ObservedValue::of_json(&json_path::at(text, path).ok()?);
    (meets(inner, &found) == Ok(false)).then(|| format!("at {path:?}: {}", why_not(inner, &found)))
}

fn missing(wanted: &[Matcher], observed: &ObservedValue) -> String {
    let found = observed.elements().unwrap_or_default();
    let none = |m: &&Matcher| !found.iter().any(|f| meets(m, f) == Ok(true));
    let missing: Value = wanted.iter().filter(none).map(Matcher::to_json).collect();
    if missing.as_array().is_some_and(Vec::is_empty) {
        let all: Value = wanted.iter().map(Matcher::to_json).collect();
        return format!("not an element for each of {}, found {}", short(&all), shown(observed));
    }
    format!("missing {}, found {}", short(&missing), shown(observed))
}

fn unmet_pattern(pattern: &str) -> String {
    match pattern.starts_with('!') {
        true => format!("a line holds what {pattern:?} forbids"),
        false => format!("no line holds {pattern:?}"),
    }
}

fn compared(word: &str, limit: f64, observed: &ObservedValue) -> String {
    format!("expected {word} {}, found {}", number(limit), number(float(observed).unwrap_or(f64::NAN)))
}

/// A value in a message: JSON, at most 200 characters.
fn short(value: &Value) -> String {
    cut(value.to_string())
}

fn shown(datum: &ObservedValue) -> String {
    cut(datum.json().to_string())
}

fn cut(text: String) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
