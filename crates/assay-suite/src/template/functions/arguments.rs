//! Arguments by kind. Texts, lists and maps must be such, as in Go; numbers are read as Sprig does (spf13/cast): from
//! texts and booleans too, and what is no number counts as 0.

use super::super::{
    dict::TemplateDict,
    literal,
    value::{TemplateList, TemplateValue, show, type_of},
};
use crate::datum::parse_float;

/// The text at `at`.
pub(super) fn text(args: &[TemplateValue], at: usize) -> Result<&str, String> {
    match args.get(at) {
        Some(TemplateValue::Text(text)) => Ok(text),
        other => Err(mistyped(at, "a text", other)),
    }
}

/// The list at `at`.
pub(super) fn list(args: &[TemplateValue], at: usize) -> Result<&[TemplateValue], String> {
    match args.get(at) {
        Some(TemplateValue::List(list)) => Ok(&list.items),
        other => Err(mistyped(at, "a list", other)),
    }
}

/// The dict at `at`. Go's type must be that of Sprig's dicts: the environment is none, nor a map of YAML with numbers
/// as keys.
pub(super) fn map(args: &[TemplateValue], at: usize) -> Result<&TemplateDict, String> {
    match args.get(at) {
        Some(TemplateValue::Dict(dict)) if dict.is_of_anything() => Ok(dict),
        Some(TemplateValue::Dict(dict)) => {
            Err(format!("argument {} must be a dict whose keys are texts, not {}", at + 1, dict.type_name()))
        }
        other => Err(mistyped(at, "a dict", other)),
    }
}

/// The whole number at `at`, where Go's function wants an `int`.
pub(super) fn int(args: &[TemplateValue], at: usize) -> Result<i64, String> {
    match args.get(at) {
        Some(TemplateValue::Int(number)) => Ok(*number),
        Some(TemplateValue::Int64(number)) => {
            Err(format!("argument {} must be an int, not int64; write (int …), here (int {number})", at + 1))
        }
        other => Err(mistyped(at, "a whole number", other)),
    }
}

fn mistyped(at: usize, wanted: &str, found: Option<&TemplateValue>) -> String {
    format!("argument {} must be {wanted}, not {}", at + 1, found.map_or("missing", type_of))
}

/// A whole number from anything (cast.ToInt64).
pub(super) fn whole(value: &TemplateValue) -> i64 {
    match value {
        TemplateValue::Int(number) | TemplateValue::Int64(number) => *number,
        // Go keeps the bits.
        TemplateValue::Uint(number) => number.cast_signed(),
        // `as` cuts the fraction and stops at the ends of the range; Go cuts the fraction too.
        TemplateValue::Float(float) => *float as i64,
        TemplateValue::Bool(it) => i64::from(*it),
        TemplateValue::Text(text) => {
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
pub(super) fn float(value: &TemplateValue) -> f64 {
    match value {
        TemplateValue::Float(float) => *float,
        TemplateValue::Int(number) | TemplateValue::Int64(number) => *number as f64,
        TemplateValue::Uint(number) => *number as f64,
        TemplateValue::Bool(it) => f64::from(u8::from(*it)),
        TemplateValue::Text(text) => parse_float(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// Sprig's `strslice`: the elements of a list as texts, nothing left out but nil; anything else is one element.
pub(super) fn texts(value: &TemplateValue) -> Vec<String> {
    match value {
        TemplateValue::List(TemplateList { items, .. }) => {
            items.iter().filter(|item| **item != TemplateValue::Nil).map(show).collect()
        }
        TemplateValue::Nil => Vec::new(),
        other => vec![show(other)],
    }
}

/// Sprig's `empty`: nil, false, zero, and what has no element.
pub(super) fn empty(value: &TemplateValue) -> bool {
    !value.is_true()
}
