//! Regular expressions (Sprig: regex.go; `regexMatch` and `findStringSubmatch`: goss, template.go). A wrong expression
//! is always an error.

use gotmpl::Value;
use regex::{NoExpand, Regex, RegexBuilder};

use super::{
    super::value::{MAX_WEIGHT, map},
    Answer, Function,
    arguments::{int, text, text_list},
    function,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("regexMatch", 2, 2, is_match),
    function("mustRegexMatch", 2, 2, is_match),
    function("regexFind", 2, 2, find),
    function("mustRegexFind", 2, 2, find),
    function("regexFindAll", 3, 3, find_all),
    function("mustRegexFindAll", 3, 3, find_all),
    function("regexReplaceAll", 3, 3, |a| replaced(a, true)),
    function("mustRegexReplaceAll", 3, 3, |a| replaced(a, true)),
    function("regexReplaceAllLiteral", 3, 3, |a| replaced(a, false)),
    function("mustRegexReplaceAllLiteral", 3, 3, |a| replaced(a, false)),
    function("regexSplit", 3, 3, split),
    function("mustRegexSplit", 3, 3, split),
    function("regexQuoteMeta", 1, 1, |a| Ok(quoted(text(a, 0)?).into())),
    function("findStringSubmatch", 2, 2, submatch),
];

fn compiled(expression: &str) -> Result<Regex, String> {
    RegexBuilder::new(expression)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| format!("{expression:?} is no regular expression: {}", last_line(&error.to_string())))
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ")
}

fn is_match(args: &[Value]) -> Answer {
    Ok(Value::Bool(compiled(text(args, 0)?)?.is_match(text(args, 1)?)))
}

fn find(args: &[Value]) -> Answer {
    let regex = compiled(text(args, 0)?)?;
    Ok(regex.find(text(args, 1)?).map_or("", |found| found.as_str()).into())
}

fn find_all(args: &[Value]) -> Answer {
    let regex = compiled(text(args, 0)?)?;
    let most = usize::try_from(int(args, 2)?).unwrap_or(usize::MAX);
    Ok(text_list(regex.find_iter(text(args, 1)?).take(most).map(|found| found.as_str())))
}

fn replaced(args: &[Value], expand: bool) -> Answer {
    let regex = compiled(text(args, 0)?)?;
    let (from, with) = (text(args, 1)?, text(args, 2)?);
    let mut references = if expand { with.matches('$').count() } else { 0 };
    references = references.saturating_mul(from.len()).saturating_add(with.len());
    if references.saturating_mul(regex.find_iter(from).count()) > 4 * MAX_WEIGHT {
        return Err("would make too much text".to_owned());
    }
    let text = if expand { regex.replace_all(from, with) } else { regex.replace_all(from, NoExpand(with)) };
    Ok(text.into_owned().into())
}

fn split(args: &[Value]) -> Answer {
    let regex = compiled(text(args, 0)?)?;
    let most = usize::try_from(int(args, 2)?).unwrap_or(usize::MAX);
    Ok(text_list(regex.splitn(text(args, 1)?, most)))
}

/// Go's regexp.QuoteMeta; Rust's own escapes more characters.
fn quoted(text: &str) -> String {
    text.chars().flat_map(|c| r"\.+*?()|[]{}^$".contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// The named groups of the first match; where no group has a name, all by number.
fn submatch(args: &[Value]) -> Answer {
    let regex = compiled(text(args, 0)?)?;
    let Some(found) = regex.captures(text(args, 1)?) else { return Ok(map(Default::default())) };
    let group = |at: usize| found.get(at).map_or("", |group| group.as_str());
    let named = regex.capture_names().enumerate().filter_map(|(at, name)| Some((name?.into(), group(at).into())));
    let by_name: std::collections::BTreeMap<_, _> = named.collect();
    if !by_name.is_empty() {
        return Ok(map(by_name));
    }
    Ok(map((0..found.len()).map(|at| (at.to_string().into(), group(at).into())).collect()))
}
