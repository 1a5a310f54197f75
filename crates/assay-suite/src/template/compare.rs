//! `eq`, `ne`, `lt`, `le`, `gt`, `ge` (Go: text/template, funcs.go): values of different kinds cannot be compared.

use std::cmp::Ordering;

use super::{
    functions::Answer,
    value::{Value, type_of},
};

/// Compares by the function `name`.
pub(super) fn compare(name: &str, args: &[Value]) -> Answer {
    let told = |why: String| format!("{name}: {why}");
    match (name, args) {
        ("eq", [first, rest @ ..]) if !rest.is_empty() => {
            for other in rest {
                if equal(first, other).map_err(told)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        ("ne", [a, b]) => Ok(Value::Bool(!equal(a, b).map_err(told)?)),
        ("lt" | "le" | "gt" | "ge", [a, b]) => {
            let order = order(a, b).map_err(told)?;
            // Where a NaN is, Go's `le` is false, and `gt` and `ge` are the contraries of `le` and `lt`.
            let (less, equal) = (order == Some(Ordering::Less), order == Some(Ordering::Equal));
            Ok(Value::Bool(match name {
                "lt" => less,
                "le" => less || equal,
                "gt" => !(less || equal),
                _ => !less,
            }))
        }
        ("eq", _) => Err(format!("eq takes at least 2 arguments, not {}", args.len())),
        _ => Err(format!("{name} takes 2 arguments, not {}", args.len())),
    }
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::List(_), Value::List(_)) | (Value::Dict(_), Value::Dict(_)) | (Value::Root(_), Value::Root(_)) => {
            Err(format!("{} cannot be compared; deepEqual can", type_of(a)))
        }
        _ => order(a, b).map(|order| order == Some(Ordering::Equal)),
    }
}

/// The order of two numbers or two texts.
fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        _ => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => Ok(Some(a.cmp(&b))),
            _ => Err(format!("{} and {} cannot be compared", type_of(a), type_of(b))),
        },
    }
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) | Value::Int64(number) => Some(i128::from(*number)),
        Value::Uint(number) => Some(i128::from(*number)),
        _ => None,
    }
}
