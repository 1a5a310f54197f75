//! How a matcher judges a value: pure, total, and with a reason for people. It owns goss's rules of equality (a number
//! and the text of that number are equal); it refuses to know where a value came from.

use regex::Regex;
use serde_json::{Value, json};

use super::{Matcher, pattern::Pattern};

/// What a matcher said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whether the demand is met.
    pub met: bool,
    /// Why not, for people; empty when met. Not escaped: it may quote the value.
    pub message: String,
}

impl Judgement {
    fn of(met: bool, message: impl FnOnce() -> String) -> Self {
        Self { met, message: if met { String::new() } else { message() } }
    }
}

/// Judges `observed`: a boolean, a number, a text (for contents, stdout and stderr the whole of it) or a list.
pub fn judge(matcher: &Matcher, observed: &Value) -> Judgement {
    match matcher {
        Matcher::Equal(wanted) => {
            Judgement::of(equal(wanted, observed), || format!("expected {}, found {}", short(wanted), short(observed)))
        }
        Matcher::ContainElements(wanted) => contain_elements(wanted, observed),
        Matcher::HavePatterns(patterns) => have_patterns(patterns, observed),
        Matcher::MatchRegexp(regexp) => match_regexp(regexp, observed),
        Matcher::Gt(limit) => compare(observed, *limit, "above", |n, l| n > l),
        Matcher::Ge(limit) => compare(observed, *limit, "at least", |n, l| n >= l),
        Matcher::Lt(limit) => compare(observed, *limit, "below", |n, l| n < l),
        Matcher::Le(limit) => compare(observed, *limit, "at most", |n, l| n <= l),
        Matcher::Not(inner) => {
            let met = !judge(inner, observed).met;
            Judgement::of(met, || format!("expected not {}, found {}", short(&inner.to_json()), short(observed)))
        }
        Matcher::And(all) => {
            all.iter().map(|m| judge(m, observed)).find(|j| !j.met).unwrap_or_else(|| Judgement::of(true, String::new))
        }
        Matcher::Or(any) => {
            let judged: Vec<Judgement> = any.iter().map(|m| judge(m, observed)).collect();
            let met = judged.iter().any(|j| j.met);
            let reasons = || judged.iter().map(|j| j.message.as_str()).collect::<Vec<_>>().join("; and ");
            Judgement::of(met, reasons)
        }
        Matcher::HavePrefix(text) => on_text(observed, "begin with", text, |t| t.starts_with(text.as_str())),
        Matcher::HaveSuffix(text) => on_text(observed, "end with", text, |t| t.ends_with(text.as_str())),
        Matcher::ContainSubstring(text) => on_text(observed, "contain", text, |t| t.contains(text.as_str())),
        Matcher::HaveLen(wanted) => have_len(*wanted, observed),
    }
}

impl Matcher {
    /// The demand as goss would write it: a plain value for equality, else a map with one matcher.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Equal(value) => value.clone(),
            Self::ContainElements(values) => json!({ "contain-elements": values }),
            Self::HavePatterns(patterns) => json!({ "have-patterns": patterns }),
            Self::MatchRegexp(text) => json!({ "match-regexp": text }),
            Self::Gt(n) => json!({ "gt": number(*n) }),
            Self::Ge(n) => json!({ "ge": number(*n) }),
            Self::Lt(n) => json!({ "lt": number(*n) }),
            Self::Le(n) => json!({ "le": number(*n) }),
            Self::Not(inner) => json!({ "not": inner.to_json() }),
            Self::And(all) => json!({ "and": all.iter().map(Self::to_json).collect::<Vec<_>>() }),
            Self::Or(any) => json!({ "or": any.iter().map(Self::to_json).collect::<Vec<_>>() }),
            Self::HavePrefix(text) => json!({ "have-prefix": text }),
            Self::HaveSuffix(text) => json!({ "have-suffix": text }),
            Self::ContainSubstring(text) => json!({ "contain-substring": text }),
            Self::HaveLen(n) => json!({ "have-len": n }),
        }
    }

    /// Whether being met by the beginning of a text means being met by all of it. Where it does not, a text that was
    /// cut off cannot be judged.
    pub fn holds_for_longer_text(&self) -> bool {
        match self {
            Self::HavePatterns(patterns) => !patterns.iter().any(|p| p.starts_with('!')),
            Self::HavePrefix(_) | Self::ContainSubstring(_) => true,
            Self::And(all) | Self::Or(all) => all.iter().all(Self::holds_for_longer_text),
            _ => false,
        }
    }
}

/// A whole number without its decimal point.
fn number(n: f64) -> Value {
    if n.fract() == 0.0 && n.abs() < 9e15 { (n as i64).into() } else { n.into() }
}

fn equal(wanted: &Value, observed: &Value) -> bool {
    match (wanted, observed) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (scalar, Value::Array(list)) if !scalar.is_array() => matches!(list.as_slice(), [one] if equal(scalar, one)),
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Number(_), Value::String(_)) | (Value::String(_), Value::Number(_)) => {
            matches!((as_number(wanted), as_number(observed)), (Some(a), Some(b)) if a == b)
        }
        (Value::Bool(b), Value::String(text)) | (Value::String(text), Value::Bool(b)) => *text == b.to_string(),
        _ => wanted == observed,
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        Value::Array(list) => match list.as_slice() {
            [one] if !one.is_array() => as_number(one),
            _ => None,
        },
        _ => None,
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Array(list) => match list.as_slice() {
            [one] if !one.is_array() => as_text(one),
            _ => None,
        },
        _ => None,
    }
}

fn contain_elements(wanted: &[Value], observed: &Value) -> Judgement {
    let found: Vec<Value> = match observed {
        Value::Array(list) => list.clone(),
        Value::String(text) => text.lines().map(Value::from).collect(),
        other => vec![other.clone()],
    };
    let missing: Vec<&Value> = wanted.iter().filter(|w| !found.iter().any(|f| equal(w, f))).collect();
    Judgement::of(missing.is_empty(), || format!("missing {}, found {}", short(&json!(missing)), short(observed)))
}

fn have_patterns(patterns: &[String], observed: &Value) -> Judgement {
    let text = match observed {
        Value::Array(list) => list.iter().filter_map(as_text).collect::<Vec<_>>().join("\n"),
        other => as_text(other).unwrap_or_default(),
    };
    let mut reasons = Vec::new();
    for written in patterns {
        match Pattern::parse(written) {
            Ok(pattern) if pattern.is_held_by(&text) != pattern.inverse => {}
            Ok(pattern) if pattern.inverse => reasons.push(format!("a line holds what {written:?} forbids")),
            Ok(_) => reasons.push(format!("no line holds {written:?}")),
            Err(_) => reasons.push(format!("{written:?} is no pattern")),
        }
    }
    Judgement::of(reasons.is_empty(), || reasons.join("; "))
}

fn match_regexp(regexp: &str, observed: &Value) -> Judgement {
    match (Regex::new(regexp), as_text(observed)) {
        (Ok(regex), Some(text)) => {
            Judgement::of(regex.is_match(&text), || format!("expected to match /{regexp}/, found {}", short(observed)))
        }
        (Err(_), _) => Judgement { met: false, message: format!("/{regexp}/ is no regular expression") },
        (_, None) => Judgement { met: false, message: format!("expected a text, found {}", short(observed)) },
    }
}

fn compare(observed: &Value, limit: f64, word: &str, holds: impl Fn(f64, f64) -> bool) -> Judgement {
    match as_number(observed) {
        Some(found) => {
            Judgement::of(holds(found, limit), || format!("expected {word} {}, found {}", number(limit), number(found)))
        }
        None => Judgement { met: false, message: format!("expected a number, found {}", short(observed)) },
    }
}

fn on_text(observed: &Value, verb: &str, wanted: &str, holds: impl Fn(&str) -> bool) -> Judgement {
    match as_text(observed) {
        Some(text) => {
            Judgement::of(holds(&text), || format!("expected to {verb} {wanted:?}, found {}", short(observed)))
        }
        None => Judgement { met: false, message: format!("expected a text, found {}", short(observed)) },
    }
}

fn have_len(wanted: u64, observed: &Value) -> Judgement {
    let length = match observed {
        Value::Array(list) => list.len() as u64,
        other => match as_text(other) {
            Some(text) => text.len() as u64,
            None => return Judgement { met: false, message: format!("{} has no length", short(observed)) },
        },
    };
    Judgement::of(length == wanted, || format!("expected a length of {wanted}, found {length}"))
}

/// A value in a message: JSON, at most 200 characters.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
