//! Demands as data. It owns their shape and how they are written; how one judges a value is `judge`'s, how one is read
//! from a file `demand`'s.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::pattern::is_inverse;

/// A demand on a value: goss 0.4.9's vocabulary (`resource/gomega.go`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Matcher {
    /// A plain text, number or boolean: the value, made a text or a number where that is asked for, is this one. A list
    /// (assay's own resources): these elements in this order.
    Equal(Value),
    /// goss's `equal`: this very value, of this very type.
    SameAs(Value),
    /// A plain list: the list holds, for each of these, an element of its own.
    Elements(Vec<Matcher>),
    /// goss's `contain-elements`: like a plain list; a text counts as the list of its lines.
    ContainElements(Vec<Matcher>),
    /// The list (or text, by lines) holds such an element.
    ContainElement(Box<Matcher>),
    /// The list holds exactly these, in any order.
    ConsistOf(Vec<Matcher>),
    /// Every pattern is met by some line (goss: a list at contents, stdout, stderr, headers, body): `foo`, `!foo`,
    /// `/re/`, `!/re/`.
    HavePatterns(Vec<String>),
    /// The text matches this regular expression (RE2 syntax).
    MatchRegexp(String),
    /// The number is above this.
    Gt(f64),
    /// The number is this or above.
    Ge(f64),
    /// The number is below this.
    Lt(f64),
    /// The number is this or below.
    Le(f64),
    /// The inner demand is not met; one that cannot be judged is not met either way.
    Not(Box<Matcher>),
    /// All are met.
    And(Vec<Matcher>),
    /// At least one is met.
    Or(Vec<Matcher>),
    /// The text begins so.
    HavePrefix(String),
    /// The text ends so.
    HaveSuffix(String),
    /// The text holds this.
    ContainSubstring(String),
    /// The list, text (in bytes) or map is this long.
    HaveLen(u64),
    /// The map has such a key.
    HaveKey(Box<Matcher>),
    /// The version, or each of the list, lies in this range.
    SemverConstraint(String),
    /// The text is JSON, and what stands at each of these paths meets its demand.
    Gjson(Vec<(String, Matcher)>),
}

impl Matcher {
    /// The demand as goss would write it: a plain value for equality, else a map with one matcher.
    pub fn to_json(&self) -> Value {
        let list = |all: &[Self]| all.iter().map(Self::to_json).collect::<Vec<_>>();
        match self {
            Self::Equal(value) => value.clone(),
            Self::SameAs(value) => json!({ "equal": value }),
            Self::Elements(all) | Self::ContainElements(all) => json!({ "contain-elements": list(all) }),
            Self::ContainElement(one) => json!({ "contain-element": one.to_json() }),
            Self::ConsistOf(all) => json!({ "consist-of": list(all) }),
            Self::HavePatterns(patterns) => json!({ "have-patterns": patterns }),
            Self::MatchRegexp(text) => json!({ "match-regexp": text }),
            Self::Gt(n) => json!({ "gt": number(*n) }),
            Self::Ge(n) => json!({ "ge": number(*n) }),
            Self::Lt(n) => json!({ "lt": number(*n) }),
            Self::Le(n) => json!({ "le": number(*n) }),
            Self::Not(inner) => json!({ "not": inner.to_json() }),
            Self::And(all) => json!({ "and": list(all) }),
            Self::Or(any) => json!({ "or": list(any) }),
            Self::HavePrefix(text) => json!({ "have-prefix": text }),
            Self::HaveSuffix(text) => json!({ "have-suffix": text }),
            Self::ContainSubstring(text) => json!({ "contain-substring": text }),
            Self::HaveLen(n) => json!({ "have-len": n }),
            Self::HaveKey(key) => json!({ "have-key": key.to_json() }),
            Self::SemverConstraint(range) => json!({ "semver-constraint": range }),
            Self::Gjson(paths) => {
                let paths: Map<String, Value> = paths.iter().map(|(path, m)| (path.clone(), m.to_json())).collect();
                json!({ "gjson": paths })
            }
        }
    }

    /// Whether being met by the beginning of a text means being met by all of it. Where it does not, a text that was
    /// cut off cannot be judged. Some need the beginning to end with a whole line: see [`Self::reads_lines`].
    pub fn holds_for_longer_text(&self) -> bool {
        match self {
            Self::HavePatterns(patterns) => !patterns.iter().any(|p| is_inverse(p)),
            Self::HavePrefix(_) | Self::ContainSubstring(_) => true,
            Self::ContainElement(_) | Self::ContainElements(_) => true,
            Self::And(all) | Self::Or(all) => all.iter().all(Self::holds_for_longer_text),
            _ => false,
        }
    }

    /// Whether it looks at lines as wholes, so that one that was cut off would mislead it.
    pub fn reads_lines(&self) -> bool {
        match self {
            Self::HavePatterns(patterns) => patterns.iter().any(|p| p.starts_with('/')),
            Self::HavePrefix(_) | Self::ContainSubstring(_) => false,
            Self::And(all) | Self::Or(all) => all.iter().any(Self::reads_lines),
            _ => true,
        }
    }
}

/// A whole number without its decimal point.
pub(super) fn number(n: f64) -> Value {
    if n.fract() == 0.0 && n.abs() < 9e15 { (n as i64).into() } else { n.into() }
}
