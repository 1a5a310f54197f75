//! Ranges of versions as goss reads them (github.com/blang/semver v4, `range.go`): `>=1.2.0 <2.0.0 || 3.x`. They are
//! not Cargo's: a bare version means exactly that one, a space means "and", and a pre-release is compared like any other.

use semver::{BuildMetadata, Version};

/// A range: any of its alternatives, each of which wants all of its comparisons.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SemverRange(Vec<Vec<(SemverComparator, Version)>>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum SemverComparator {
    Equal,
    NotEqual,
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl SemverRange {
    /// Reads a range; the error says what is wrong with it, in one line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts = split(text);
        if parts.first().is_none_or(|p| p == "||") || parts.last().is_none_or(|p| p == "||") {
            return Err(if parts.is_empty() { "empty" } else { "\"||\" at its end or beginning" }.to_owned());
        }
        let alternatives = parts.split(|part| part == "||").map(|all| {
            if all.is_empty() {
                return Err("nothing between two \"||\"".to_owned());
            }
            let mut comparisons = Vec::new();
            for part in all {
                for flat in without_wildcard(part)? {
                    let (word, version) = cut(&flat)?;
                    comparisons.push((comparator(word, &flat)?, version_of(version)?));
                }
            }
            Ok(comparisons)
        });
        alternatives.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the version lies in it.
    pub(crate) fn holds(&self, version: &Version) -> bool {
        self.0.iter().any(|all| {
            all.iter().all(|(comparator, limit)| {
                let order = version.cmp_precedence(limit);
                match comparator {
                    SemverComparator::Equal => order.is_eq(),
                    SemverComparator::NotEqual => order.is_ne(),
                    SemverComparator::Above => order.is_gt(),
                    SemverComparator::AtLeast => order.is_ge(),
                    SemverComparator::Below => order.is_lt(),
                    SemverComparator::AtMost => order.is_le(),
                }
            })
        })
    }
}

/// A version with all three numbers, as semver.org writes it; `None` for anything else (`v1.2.3`, `1.2`, `1.02.3`).
pub(super) fn version(text: &str) -> Option<Version> {
    let mut version = Version::parse(text).ok()?;
    version.build = BuildMetadata::EMPTY;
    Some(version)
}

fn version_of(text: &str) -> Result<Version, String> {
    version(text).ok_or_else(|| format!("{text:?} is no version: three numbers, like 1.2.0"))
}

/// At spaces, but not at those after an operator. As there, a part of one character is lost.
fn split(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let (mut start, mut last) = (0, ' ');
    for (at, c) in text.char_indices() {
        if c == ' ' && !"><=".contains(last) {
            if start + 1 < at {
                parts.push(&text[start..at]);
            }
            start = at + 1;
        } else if c != ' ' {
            last = c;
        }
    }
    if start + 1 < text.len() {
        parts.push(&text[start..]);
    }
    parts.into_iter().map(|part| part.replace(' ', "")).collect()
}

/// The operator and the version of one comparison.
fn cut(text: &str) -> Result<(&str, &str), String> {
    let at = text.find(|c: char| c.is_ascii_digit()).ok_or_else(|| format!("no version in {text:?}"))?;
    Ok((text[..at].trim(), &text[at..]))
}

fn comparator(word: &str, whole: &str) -> Result<SemverComparator, String> {
    Ok(match word {
        "" | "=" | "==" => SemverComparator::Equal,
        "!" | "!=" => SemverComparator::NotEqual,
        ">" => SemverComparator::Above,
        ">=" => SemverComparator::AtLeast,
        "<" => SemverComparator::Below,
        "<=" => SemverComparator::AtMost,
        _ => return Err(format!("{word:?} in {whole:?} is none of <, <=, >, >=, =, !=")),
    })
}

/// `1.2.x` and `1.x` as one or two plain comparisons. What is meant by `!=1.2.x` is, as there, "below and at least
/// above", which no version meets.
fn without_wildcard(part: &str) -> Result<Vec<String>, String> {
    if !part.contains('x') {
        return Ok(vec![part.to_owned()]);
    }
    let (word, version) = cut(part)?;
    let pieces = version.split('.').count();
    let place = if version.rsplit('.').next() == Some("x") { pieces } else { 0 };
    let zero = version.replacen(".x.x", ".x", 1).replacen(".x", ".0", 1);
    let flat = if zero.split('.').count() == 2 { format!("{zero}.0") } else { zero };
    let next = || match place {
        3 => increment(&flat, 1),
        2 => increment(&flat, 0),
        _ => String::new(),
    };
    Ok(match word {
        ">" => vec![format!(">={}", next())],
        ">=" => vec![format!(">={flat}")],
        "<" => vec![format!("<{flat}")],
        "<=" => vec![format!("<{}", next())],
        "" | "=" | "==" => vec![format!(">={flat}"), format!("<{}", next())],
        "!" | "!=" => vec![format!("<{flat}"), format!(">={}", next())],
        _ => vec![flat],
    })
}

fn increment(version: &str, place: usize) -> String {
    let mut pieces: Vec<String> = version.split('.').map(str::to_owned).collect();
    let Some(next) = pieces.get(place).and_then(|p| p.parse::<u64>().ok()).and_then(|n| n.checked_add(1)) else {
        return String::new();
    };
    pieces[place] = next.to_string();
    pieces.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (range, inside, outside) in [
            ("1.2.3", vec!["1.2.3", "1.2.3+b"], vec!["1.2.4", "1.2.3-a"]),
            (">1.0.0 <2.0.0 || >3.0.0 !4.2.1", vec!["1.9.9", "3.1.1"], vec!["4.2.1", "2.1.1", "1.0.0"]),
            (">= 1.2.x", vec!["1.2.0", "9.0.0"], vec!["1.1.9"]),
            ("<=1.2.x", vec!["1.2.9"], vec!["1.3.0"]),
            (">1.x", vec!["2.0.0"], vec!["1.9.9"]),
            ("1.x", vec!["1.0.0", "1.9.9", "2.0.0-rc1"], vec!["2.0.0", "0.9.9"]),
            ("!=1.x", vec![], vec!["0.1.0", "1.0.0", "2.0.0"]),
            (">=1.2.0", vec!["1.3.0-alpha"], vec!["1.2.0-alpha"]),
        ] {
            let range = SemverRange::parse(range).expect(range);
            for (list, wanted) in [(inside, true), (outside, false)] {
                for text in list {
                    assert_eq!(range.holds(&version(text).expect(text)), wanted, "{range:?} {text}");
                }
            }
        }
        for bad in [
            "",
            "1",
            "|| 1.0.0",
            "1.0.0 ||",
            "^1.0.0",
            "~1.2.0",
            "1.2",
            ">=v1.0.0",
            "1.0.0 || || 2.0.0",
            "x",
            "1.2.x-a",
        ] {
            assert!(SemverRange::parse(bad).is_err(), "{bad}");
        }
        for bad in ["v1.0.0", "1.2", "1.02.3", "1.2.3\n", "", "1:1.2.3"] {
            assert!(version(bad).is_none(), "{bad}");
        }
    }
}
