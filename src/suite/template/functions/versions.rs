//! Semantic versions (Sprig: semver.go, on Masterminds/semver v3). A version may lack its minor and patch number.

use gotmpl::Value;
use semver::{Comparator, Op, Version, VersionReq};

use super::{super::value::map, Function, arguments::text, function};

pub(super) const FUNCTIONS: &[Function] = &[
    function("semver", 1, 1, |a| {
        let version = version(text(a, 0)?)?;
        let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        Ok(map(std::collections::BTreeMap::from([
            ("Major".into(), number(version.major)),
            ("Minor".into(), number(version.minor)),
            ("Patch".into(), number(version.patch)),
            ("Prerelease".into(), version.pre.as_str().into()),
            ("Metadata".into(), version.build.as_str().into()),
            ("Original".into(), a[0].clone()),
        ])))
    }),
    function("semverCompare", 2, 2, |a| Ok(Value::Bool(meets(text(a, 0)?, &version(text(a, 1)?)?)?))),
];

fn version(text: &str) -> Result<Version, String> {
    let wrong = || format!("{text:?} is no semantic version; expected one like \"1.2.3\"");
    let bare = text.strip_prefix('v').unwrap_or(text);
    let (numbers, rest) = bare.split_at(bare.find(['-', '+']).unwrap_or(bare.len()));
    let dots = numbers.matches('.').count();
    if dots > 2 {
        return Err(wrong());
    }
    Version::parse(&format!("{numbers}{}{rest}", ".0".repeat(2 - dots))).map_err(|_| wrong())
}

/// `||` between alternatives; in each, comparators apart by commas or blanks, or `A - B`.
fn meets(constraint: &str, version: &Version) -> Result<bool, String> {
    let mut any = false;
    for alternative in constraint.split("||") {
        any |= all_of(alternative.trim(), version)?;
    }
    Ok(any)
}

fn all_of(text: &str, version: &Version) -> Result<bool, String> {
    if let Some((low, high)) = text.split_once(" - ") {
        return Ok(one(&format!(">={}", low.trim()), version)? && one(&format!("<={}", high.trim()), version)?);
    }
    let mut all = true;
    let mut operator = String::new();
    for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
        operator.push_str(part);
        if operator.ends_with(['=', '<', '>', '!', '~', '^']) {
            continue;
        }
        all &= one(&std::mem::take(&mut operator), version)?;
    }
    if operator.is_empty() { Ok(all) } else { one(&operator, version) }
}

fn one(text: &str, version: &Version) -> Result<bool, String> {
    let number = text.trim_start_matches(['=', '<', '>', '!', '~', '^']);
    let operator = match &text[..text.len() - number.len()] {
        "" | "=" | "==" => "=",
        ">" => ">",
        "<" => "<",
        ">=" | "=>" => ">=",
        "<=" | "=<" => "<=",
        "~" | "~>" => "~",
        "^" => "^",
        "!=" => "!=",
        _ => return Err(format!("{text:?} is no version constraint")),
    };
    let number = number.strip_prefix('v').unwrap_or(number);
    let number = number.replace(['x', 'X'], "*");
    if number == "*" || number.is_empty() {
        return Ok(operator != "!=" && version.pre.is_empty());
    }
    let number = number.trim_end_matches(".*");
    let plain = if operator == "!=" { "=" } else { operator };
    let comparator =
        Comparator::parse(&format!("{plain}{number}")).map_err(|_| format!("{text:?} is no version constraint"))?;
    debug_assert!(!matches!(comparator.op, Op::Wildcard), "wildcards are cut off before");
    let meets = VersionReq { comparators: vec![comparator] }.matches(version);
    Ok(if operator == "!=" { !meets } else { meets })
}
