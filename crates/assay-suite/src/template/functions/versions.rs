//! Semantic versions (Sprig: semver.go, on Masterminds/semver v3.3). A version may lack its minor and patch number, and
//! its numbers may begin with zeros. A pre-release meets a constraint only where that names one itself.

use std::cmp::Ordering;

use super::{
    super::{
        dict::{DictKey, TemplateDict},
        value::TemplateValue,
    },
    TemplateFunction,
    arguments::text,
    function,
};

pub(super) const FUNCTIONS: &[TemplateFunction] = &[
    function("semver", 1, 1, |a| {
        let version = SprigVersion::read(text(a, 0)?)?;
        let entries = [
            ("Major", TemplateValue::Uint(version.numbers[0])),
            ("Minor", TemplateValue::Uint(version.numbers[1])),
            ("Patch", TemplateValue::Uint(version.numbers[2])),
            ("Prerelease", version.pre.into()),
            ("Metadata", version.metadata.into()),
            ("Original", a[0].clone()),
        ];
        Ok(TemplateValue::Dict(TemplateDict::of_anything(
            entries.map(|(key, value)| (DictKey::from(key), value)).into(),
        )))
    }),
    function("semverCompare", 2, 2, |a| {
        // Everything is read before anything is compared, so that a mistake does not hide behind an `||`.
        let (alternatives, version) = (constraints(text(a, 0)?)?, SprigVersion::read(text(a, 1)?)?);
        Ok(TemplateValue::Bool(alternatives.iter().any(|all| all.iter().all(|one| one.is_met_by(&version)))))
    }),
];

#[derive(Debug, Clone, PartialEq, Eq)]
struct SprigVersion {
    /// Major, minor, patch.
    numbers: [u64; 3],
    pre: String,
    metadata: String,
}

impl SprigVersion {
    fn read(written: &str) -> Result<Self, String> {
        let wrong = || format!("{written:?} is no semantic version; expected one like \"1.2.3\"");
        let parts = VersionParts::read(written).filter(|parts| parts.rest.is_empty()).ok_or_else(wrong)?;
        let mut numbers = [0; 3];
        for (number, digits) in numbers.iter_mut().zip(&parts.numbers) {
            *number = digits.parse().map_err(|_| wrong())?;
        }
        let leading_zero = |part: &str| part.len() > 1 && part.starts_with('0') && is_number(part);
        if parts.pre.split('.').any(leading_zero) {
            return Err(wrong());
        }
        Ok(Self { numbers, pre: parts.pre.to_owned(), metadata: parts.metadata.to_owned() })
    }

    fn order(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => order_of_pre_releases(&self.pre, &other.pre),
        })
    }
}

fn order_of_pre_releases(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let (a, b) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => (a, b),
        };
        let order = match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => a.cmp(b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The parts of a version as they are written; in a constraint a number may be `x`, `X` or `*`.
#[derive(Debug)]
struct VersionParts<'v> {
    /// One to three.
    numbers: Vec<&'v str>,
    pre: &'v str,
    metadata: &'v str,
    /// What follows.
    rest: &'v str,
}

impl<'v> VersionParts<'v> {
    /// The longest version at the beginning of `text`.
    fn read(text: &'v str) -> Option<Self> {
        let number = |text: &'v str| {
            let end = text.find(|c: char| !(c.is_ascii_digit() || "xX*".contains(c))).unwrap_or(text.len());
            (end > 0).then(|| text.split_at(end))
        };
        let (first, mut rest) = number(text.strip_prefix('v').unwrap_or(text))?;
        let mut numbers = vec![first];
        while let Some((next, after)) = rest.strip_prefix('.').and_then(number).filter(|_| numbers.len() < 3) {
            numbers.push(next);
            rest = after;
        }
        let (pre, rest) = identifiers(rest, '-');
        let (metadata, rest) = identifiers(rest, '+');
        Some(Self { numbers, pre, metadata, rest })
    }
}

/// Identifiers apart by points, behind `mark`; nothing where there are none.
fn identifiers(text: &str, mark: char) -> (&str, &str) {
    let Some(inner) = text.strip_prefix(mark) else { return ("", text) };
    let mut end = 0;
    loop {
        // A point belongs to it only before another identifier.
        let from = match (end, inner[end..].starts_with('.')) {
            (0, _) => 0,
            (_, true) => end + 1,
            (_, false) => break,
        };
        let other = inner[from..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let length = other.unwrap_or(inner.len() - from);
        if length == 0 {
            break;
        }
        end = from + length;
    }
    if end == 0 { ("", text) } else { inner.split_at(end) }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A version with an operator in front.
#[derive(Debug)]
struct VersionConstraint {
    operator: &'static str,
    version: SprigVersion,
    /// How many of its numbers are given, before the first that is a wildcard.
    given: usize,
}

/// `||` between alternatives; in each, constraints apart by blanks or commas, or `A - B`.
fn constraints(text: &str) -> Result<Vec<Vec<VersionConstraint>>, String> {
    text.split("||").map(alternative).collect()
}

fn alternative(text: &str) -> Result<Vec<VersionConstraint>, String> {
    let wrong = || format!("{text:?} is no version constraint; expected one like \">=1.2.0, <2.0.0\"");
    let mut all = Vec::new();
    let mut rest = text.trim();
    // Masterminds/semver loses the blank in front of `A - B`.
    let mut ranges = true;
    loop {
        let (operator, after) = operator(rest);
        let parts = VersionParts::read(after.trim_start()).ok_or_else(wrong)?;
        let high = parts.rest.trim_start().strip_prefix('-').filter(|high| {
            operator.is_empty() && parts.rest.starts_with(char::is_whitespace) && high.starts_with(char::is_whitespace)
        });
        let behind = match high {
            Some(high) => {
                let high = VersionParts::read(high.trim_start()).filter(|_| ranges).ok_or_else(wrong)?;
                all.push(VersionConstraint::of(">=", &parts).ok_or_else(wrong)?);
                all.push(VersionConstraint::of("<=", &high).ok_or_else(wrong)?);
                high.rest
            }
            None => {
                all.push(VersionConstraint::of(operator, &parts).ok_or_else(wrong)?);
                parts.rest
            }
        };
        rest = behind.trim_start();
        if rest.is_empty() {
            return Ok(all);
        }
        let blank = rest.len() < behind.len();
        match rest.strip_prefix(',') {
            Some(after) => (rest, ranges) = (after.trim_start(), true),
            None if blank => ranges = false,
            None => return Err(wrong()),
        }
    }
}

fn operator(text: &str) -> (&'static str, &str) {
    const OPERATORS: [(&str, &str); 11] = [
        ("!=", "!="),
        (">=", ">="),
        ("=>", ">="),
        ("<=", "<="),
        ("=<", "<="),
        ("~>", "~"),
        ("=", ""),
        (">", ">"),
        ("<", "<"),
        ("~", "~"),
        ("^", "^"),
    ];
    let found = OPERATORS.iter().find_map(|(written, meant)| Some((*meant, text.strip_prefix(written)?)));
    found.unwrap_or(("", text))
}

impl VersionConstraint {
    fn of(operator: &'static str, parts: &VersionParts<'_>) -> Option<Self> {
        let wildcard = |number: &&&str| ["x", "X", "*"].contains(*number);
        let given = parts.numbers.iter().take_while(|number| !wildcard(number)).count();
        let mut version = SprigVersion { numbers: [0; 3], pre: parts.pre.to_owned(), metadata: String::new() };
        for (number, digits) in version.numbers.iter_mut().zip(&parts.numbers[..given]) {
            *number = digits.parse().ok()?;
        }
        let leading_zero = |part: &str| part.len() > 1 && part.starts_with('0') && is_number(part);
        (!parts.pre.split('.').any(leading_zero)).then_some(Self { operator, version, given })
    }

    fn is_met_by(&self, version: &SprigVersion) -> bool {
        let unasked = !version.pre.is_empty() && self.version.pre.is_empty();
        if unasked && (self.operator != "!=" || self.given < 3) {
            return false;
        }
        let order = version.order(&self.version);
        let ([major, minor, patch], [v_major, v_minor, v_patch]) = (self.version.numbers, version.numbers);
        match self.operator {
            "!=" => self.differs_from(version),
            ">" if self.given == 3 || self.given == 0 => order.is_gt(),
            ">" if v_major != major => v_major > major,
            ">" => self.given == 2 && v_minor > minor,
            ">=" => order.is_ge(),
            "<" => order.is_lt(),
            "<=" if self.given == 3 => order.is_le(),
            "<=" => v_major < major || v_major == major && (self.given == 1 || v_minor <= minor),
            "^" => {
                let same = match (self.given, major, minor) {
                    (1, ..) => v_major == major,
                    (_, 1.., _) => v_major == major,
                    (2, ..) | (_, _, 1..) => v_major == 0 && v_minor == minor,
                    _ => v_major == 0 && v_minor == 0 && v_patch == patch,
                };
                order.is_ge() && same
            }
            "~" => self.is_near(version, order),
            _ if self.given < 3 => self.is_near(version, order),
            _ => order.is_eq(),
        }
    }

    /// `~1.2.3`: from this on, with the same major and minor number as far as they are given.
    fn is_near(&self, version: &SprigVersion, order: Ordering) -> bool {
        let ([major, minor, patch], [v_major, v_minor, _]) = (self.version.numbers, version.numbers);
        let anything = [major, minor, patch] == [0; 3] && (self.given == 0 || self.given == 3);
        order.is_ge() && (anything || v_major == major && (self.given == 1 || v_minor == minor))
    }

    fn differs_from(&self, version: &SprigVersion) -> bool {
        let ([major, minor, _], [v_major, v_minor, _]) = (self.version.numbers, version.numbers);
        match self.given {
            3 => version.order(&self.version).is_ne(),
            // A wildcard alone is read as 0.0.0 there.
            0 => version.numbers != [0; 3] || version.order(&self.version).is_ne(),
            1 => v_major != major,
            _ => v_major != major || v_minor != minor || (version.pre != self.version.pre),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(constraint: &str, version: &str) -> Option<bool> {
        let function = FUNCTIONS.iter().find(|f| f.name == "semverCompare").expect("it exists");
        match function.call(&[constraint.into(), version.into()]) {
            Ok(TemplateValue::Bool(met)) => Some(met),
            _ => None,
        }
    }

    #[test]
    fn pre_releases_and_leading_zeros() {
        for (constraint, version, met) in [
            (">=2.0.0-rc1", "2.1.0-beta", Some(true)),
            (">=1.2.3-a", "1.3.0-rc1", Some(true)),
            ("<2.0.0-z", "1.9.0-rc1", Some(true)),
            (">=0-0", "1.2.3-rc1", Some(true)),
            (">=1.2.3", "1.3.0-rc1", Some(false)),
            ("!=*", "1.2.3", Some(true)),
            ("^*", "1.2.3", Some(false)),
            ("==1.5.0", "1.5.0", None),
            ("", "1.5.0", None),
            (">=20.04", "22.04", Some(true)),
            (">=20.04", "18.04", Some(false)),
            ("01.2.3", "1.02.3", Some(true)),
            ("1.2 - 1.4", "1.4.9", Some(true)),
            ("1.2.3 - 1.4.0", "1.4.1", Some(false)),
            (">=1.2, <2 || ^3", "3.1.0", Some(true)),
            (">=1.2,", "1.3.0", None),
            ("1.2.x", "1.2.9", Some(true)),
            ("~1.2", "1.3.0", Some(false)),
            ("^0.2.3", "0.3.0", Some(false)),
            ("1.2.3-01", "1.2.3", None),
            (">1.2.3.4", "2.0.0", None),
        ] {
            assert_eq!(meets(constraint, version), met, "{constraint} {version}");
        }
    }
}
