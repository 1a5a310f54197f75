//! Arguments by kind. Texts, lists and maps must be such, as in Go; numbers are read as Sprig does (spf13/cast): from
//! texts and booleans too, and what is no number counts as 0.

use super::super::{
    dict::Dict,
    literal,
    value::{List, Value, show, type_of},
};
use crate::datum::parse_float;

/// The text at `at`.
pub(super) fn text(args: &[Value], at: usize) -> Result<&str, String> {
    match args.get(at) {
        Some(Value::Text(text)) => Ok(text),
        other => Err(mistyped(at, "a text", other)),
    }
}

/// The list at `at`.
pub(super) fn list(args: &[Value], at: usize) -> Result<&[Value], String> {
    match args.get(at) {
        Some(Value::List(list)) => Ok(&list.items),
        other => Err(mistyped(at, "a list", other)),
    }
}

/// The dict at `at`. Go's type must be that of Sprig's dicts: the environment is none, nor a map of YAML with numbers
/// as keys.
pub(super) fn map(args: &[Value], at: usize) -> Result<&Dict, String> {
    match args.get(at) {
        Some(Value::Dict(dict)) if dict.is_of_anything() => Ok(dict),
        Some(Value::Dict(dict)) => {
            Err(format!("argument {} must be a dict whose keys are texts, not {}", at + 1, dict.type_name()))
        }
        other => Err(mistyped(at, "a dict", other)),
    }
}

/// The whole number at `at`, where Go's function wants an `int`.
pub(super) fn int(args: &[Value], at: usize) -> Result<i64, String> {
    match args.get(at) {
        Some(Value::Int(number)) => Ok(*number),
        Some(Value::Int64(number)) => {
            Err(format!("argument {} must be an int, not int64; write (int …), here (int {number})", at + 1))
        }
        other => Err(mistyped(at, "a whole number", other)),
    }
}

fn mistyped(at: usize, wanted: &str, found: Option<&Value>) -> String {
    format!("argument {} must be {wanted}, not {}", at + 1, found.map_or("missing", type_of))
}

/// A whole number from anything (cast.ToInt64).
pub(super) fn whole(value: &Value) -> i64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number,
        // Go keeps the bits.
        Value::Uint(number) => number.cast_signed(),
        // `as` cuts the fraction and stops at the ends of the range; Go cuts the fraction too.
        Value::Float(float) => *float as i64,
        Value::Bool(it) => i64::from(*it),
        Value::Text(text) => {
            literal::whole(without_zeros(text)).and_then(|number| i64::try_from(number).ok()).unwrap_or(0)
        }
        _ => 0,
    }
}

/// The text without a point and zeros at its end, of which there must be one.
fn without_zeros(text: &str) -> &str {
    let bare = text.trim_end_matches('0');
    match bare.strip_suffix('.') {
        Some(whole) if bare.len() < text.len() => whole,
        _ => text,
    }
}

/// A floating number from anything (cast.ToFloat64).
pub(super) fn float(value: &Value) -> f64 {
    match value {
        Value::Float(float) => *float,
        Value::Int(number) | Value::Int64(number) => *number as f64,
        Value::Uint(number) => *number as f64,
        Value::Bool(it) => f64::from(u8::from(*it)),
        Value::Text(text) => parse_float(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// Sprig's `strslice`: the elements of a list as texts, nothing left out but nil; anything else is one element.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::List(List { items, .. }) => items.iter().filter(|item| **item != Value::Nil).map(show).collect(),
        Value::Nil => Vec::new(),
        other => vec![show(other)],
    }
}

/// Sprig's `empty`: nil, false, zero, and what has no element.
pub(super) fn empty(value: &Value) -> bool {
    !value.is_true()
}
