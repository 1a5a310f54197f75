//! Demands as data. It owns their shape; how one judges a value is `judge`'s, how one is read from a file `demand`'s.

use serde::{Deserialize, Serialize};

/// A demand on a value. goss 0.4's vocabulary; what is not listed yet is refused by the readers by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Matcher {
    /// The value is this one.
    Equal(serde_json::Value),
    /// The list holds at least these (goss: a plain list).
    ContainElements(Vec<serde_json::Value>),
    /// Every pattern is met by some line (goss: a list at contents, stdout, stderr): `foo`, `!foo`, `/re/`, `!/re/`.
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
    /// The inner demand is not met.
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
    /// The list or text is this long.
    HaveLen(u64),
}
