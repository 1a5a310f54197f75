//! Regular expressions (Sprig: regex.go; `regexMatch` and `findStringSubmatch`: goss, template.go), read as Go reads
//! them. A wrong expression is always an error.

use std::collections::BTreeMap;

use regex::{Captures, NoExpand, Regex};

use super::{
    super::{
        dict::{DictKey, TemplateDict},
        value::{MAX_WEIGHT, TemplateValue},
    },
    FunctionAnswer, TemplateFunction,
    arguments::{int, text},
    function,
};
use crate::re2;

pub(super) const FUNCTIONS: &[TemplateFunction] = &[
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
    re2::compile_with_groups(expression).map_err(|why| format!("{expression:?} is no regular expression: {why}"))
}

fn is_match(args: &[TemplateValue]) -> FunctionAnswer {
    Ok(TemplateValue::Bool(compiled(text(args, 0)?)?.is_match(text(args, 1)?)))
}

fn find(args: &[TemplateValue]) -> FunctionAnswer {
    let regex = compiled(text(args, 0)?)?;
    Ok(regex.find(text(args, 1)?).map_or("", |found| found.as_str()).into())
}

fn find_all(args: &[TemplateValue]) -> FunctionAnswer {
    let regex = compiled(text(args, 0)?)?;
    let most = usize::try_from(int(args, 2)?).unwrap_or(usize::MAX);
    Ok(TemplateValue::texts(regex.find_iter(text(args, 1)?).take(most).map(|found| found.as_str())))
}

fn replaced(args: &[TemplateValue], expand: bool) -> FunctionAnswer {
    let regex = compiled(text(args, 0)?)?;
    let (from, with) = (text(args, 1)?, text(args, 2)?);
    let mut references = if expand { with.matches('$').count() } else { 0 };
    references = references.saturating_mul(from.len()).saturating_add(with.len());
    if references.saturating_mul(regex.find_iter(from).count()) > 4 * MAX_WEIGHT {
        return Err("would make too much text".to_owned());
    }
    let text = match expand {
        true => regex.replace_all(from, |found: &Captures<'_>| expanded(found, with)),
        false => regex.replace_all(from, NoExpand(with)),
    };
    Ok(text.into_owned().into())
}

/// Go's Regexp.Expand: `$1`, `$name`, `${name}`; a name is as long as it can be, and a group that is none is empty.
fn expanded(found: &Captures<'_>, with: &str) -> String {
    let mut out = String::new();
    let mut rest = with;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let is_word = |c: char| c == '_' || c.is_alphanumeric();
        let (name, behind) = match after.strip_prefix('{') {
            Some(inner) => {
                let (name, behind) = inner.split_at(inner.find(|c| !is_word(c)).unwrap_or(inner.len()));
                match behind.strip_prefix('}') {
                    Some(behind) => (name, behind),
                    None => ("", after),
                }
            }
            None => after.split_at(after.find(|c| !is_word(c)).unwrap_or(after.len())),
        };
        if name.is_empty() {
            out.push('$');
            rest = after;
            continue;
        }
        let group = match name.parse::<usize>() {
            Ok(number) => found.get(number),
            Err(_) => found.name(name),
        };
        out.push_str(group.map_or("", |group| group.as_str()));
        rest = behind;
    }
    out + rest
}

/// Go's Regexp.Split: what stands between the matches; an empty one at the beginning or the end splits nothing off.
fn split(args: &[TemplateValue]) -> FunctionAnswer {
    let expression = text(args, 0)?;
    let regex = compiled(expression)?;
    let from = text(args, 1)?;
    let most = int(args, 2)?;
    if most == 0 {
        return Ok(TemplateValue::texts([""; 0]));
    }
    if !expression.is_empty() && from.is_empty() {
        return Ok(TemplateValue::texts([""]));
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let (mut begins, mut ends) = (0, 0);
    for found in regex.find_iter(from) {
        if parts.len() + 1 == most {
            break;
        }
        ends = found.start();
        if found.end() != 0 {
            parts.push(&from[begins..ends]);
        }
        begins = found.end();
    }
    if ends != from.len() {
        parts.push(&from[begins..]);
    }
    Ok(TemplateValue::texts(parts))
}

/// Go's regexp.QuoteMeta; Rust's own escapes more characters.
fn quoted(text: &str) -> String {
    text.chars().flat_map(|c| r"\.+*?()|[]{}^$".contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// The named groups of the first match; where no group has a name, all by number.
fn submatch(args: &[TemplateValue]) -> FunctionAnswer {
    let regex = compiled(text(args, 0)?)?;
    let dict = |entries| Ok(TemplateValue::Dict(TemplateDict::of_anything(entries)));
    let Some(found) = regex.captures(text(args, 1)?) else { return dict(BTreeMap::new()) };
    let group = |at: usize| found.get(at).map_or("", |group| group.as_str());
    let named =
        regex.capture_names().enumerate().filter_map(|(at, name)| Some((DictKey::from(name?), group(at).into())));
    let by_name: BTreeMap<_, _> = named.collect();
    if !by_name.is_empty() {
        return dict(by_name);
    }
    dict((0..found.len()).map(|at| (DictKey::from(at.to_string().as_str()), group(at).into())).collect())
}
