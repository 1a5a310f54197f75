//! Arguments by kind. Texts, lists and maps must be such, as in Go; numbers are read as Sprig does (spf13/cast): from
//! texts and booleans too, and what is no number counts as 0.

use std::{collections::BTreeMap, sync::Arc};

use gotmpl::Value;

use super::super::value::{show, type_of};

/// The text at `at`.
pub(super) fn text(args: &[Value], at: usize) -> Result<&str, String> {
    match args.get(at) {
        Some(Value::String(text)) => Ok(text),
        other => Err(mistyped(at, "a text", other)),
    }
}

/// The list at `at`.
pub(super) fn list(args: &[Value], at: usize) -> Result<&[Value], String> {
    match args.get(at) {
        Some(Value::List(items)) => Ok(items),
        other => Err(mistyped(at, "a list", other)),
    }
}

/// The map at `at`.
pub(super) fn map(args: &[Value], at: usize) -> Result<&BTreeMap<Arc<str>, Value>, String> {
    match args.get(at) {
        Some(Value::Map(entries)) => Ok(entries),
        other => Err(mistyped(at, "a dict", other)),
    }
}

/// The whole number at `at`, where Go's function wants an `int`.
pub(super) fn int(args: &[Value], at: usize) -> Result<i64, String> {
    match args.get(at) {
        Some(Value::Int(number)) => Ok(*number),
        other => Err(mistyped(at, "a whole number", other)),
    }
}

fn mistyped(at: usize, wanted: &str, found: Option<&Value>) -> String {
    format!("argument {} must be {wanted}, not {}", at + 1, found.map_or("missing", type_of))
}

/// A whole number from anything (cast.ToInt64).
pub(super) fn whole(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        Value::Uint(number) => i64::try_from(*number).unwrap_or(0),
        // `as` cuts the fraction and stops at the ends of the range; Go cuts the fraction too.
        Value::Float(float) => *float as i64,
        Value::Bool(it) => i64::from(*it),
        Value::String(text) => whole_text(text),
        _ => 0,
    }
}

/// Go's ParseInt with base 0, after cutting a fraction of zeros.
fn whole_text(text: &str) -> i64 {
    let text = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let parsed = match (lower.get(..2), lower.as_bytes().first()) {
        (Some("0x"), _) => i64::from_str_radix(&lower[2..], 16),
        (Some("0b"), _) => i64::from_str_radix(&lower[2..], 2),
        (Some("0o"), _) => i64::from_str_radix(&lower[2..], 8),
        (Some(_), Some(b'0')) => i64::from_str_radix(&lower[1..], 8),
        _ => lower.parse(),
    };
    if lower.contains(['+', '-']) { 0 } else { parsed.map_or(0, |number| number * sign) }
}

/// A floating number from anything (cast.ToFloat64).
pub(super) fn float(value: &Value) -> f64 {
    match value {
        Value::Float(float) => *float,
        Value::Int(number) => *number as f64,
        Value::Uint(number) => *number as f64,
        Value::Bool(it) => f64::from(u8::from(*it)),
        Value::String(text) => text.parse().unwrap_or(0.0),
        _ => 0.0,
    }
}

/// Sprig's `strslice`: the elements of a list as texts, nothing left out but nil; anything else is one element.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::List(items) => items.iter().filter(|item| !matches!(item, Value::Nil)).map(show).collect(),
        Value::Nil => Vec::new(),
        other => vec![show(other)],
    }
}

/// A list of texts.
pub(super) fn text_list(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Value {
    Value::List(texts.into_iter().map(|text| Value::String(text.as_ref().into())).collect())
}

/// Sprig's `empty`: nil, false, zero, and what has no element.
pub(super) fn empty(value: &Value) -> bool {
    !value.is_truthy()
}
