//! `eq`, `ne`, `lt`, `le`, `gt`, `ge` (Go: text/template, funcs.go): values of different kinds cannot be compared.

use std::cmp::Ordering;

use super::{
    functions::FunctionAnswer,
    value::{TemplateValue, type_of},
};

/// Compares by the function `name`.
pub(super) fn compare(name: &str, args: &[TemplateValue]) -> FunctionAnswer {
    let told = |why: String| format!("{name}: {why}");
    match (name, args) {
        ("eq", [first, rest @ ..]) if !rest.is_empty() => {
            for other in rest {
                if equal(first, other).map_err(told)? {
                    return Ok(TemplateValue::Bool(true));
                }
            }
            Ok(TemplateValue::Bool(false))
        }
        ("ne", [a, b]) => Ok(TemplateValue::Bool(!equal(a, b).map_err(told)?)),
        ("lt" | "le" | "gt" | "ge", [a, b]) => {
            let order = order(a, b).map_err(told)?;
            // Where a NaN is, Go's `le` is false, and `gt` and `ge` are the contraries of `le` and `lt`.
            let (less, equal) = (order == Some(Ordering::Less), order == Some(Ordering::Equal));
            Ok(TemplateValue::Bool(match name {
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

fn equal(a: &TemplateValue, b: &TemplateValue) -> Result<bool, String> {
    match (a, b) {
        (TemplateValue::Nil, TemplateValue::Nil) => Ok(true),
        (TemplateValue::Nil, _) | (_, TemplateValue::Nil) => Ok(false),
        (TemplateValue::Bool(a), TemplateValue::Bool(b)) => Ok(a == b),
        (TemplateValue::List(_), TemplateValue::List(_))
        | (TemplateValue::Dict(_), TemplateValue::Dict(_))
        | (TemplateValue::Root(_), TemplateValue::Root(_)) => {
            Err(format!("{} cannot be compared; deepEqual can", type_of(a)))
        }
        _ => order(a, b).map(|order| order == Some(Ordering::Equal)),
    }
}

/// The order of two numbers or two texts.
fn order(a: &TemplateValue, b: &TemplateValue) -> Result<Option<Ordering>, String> {
    match (a, b) {
        (TemplateValue::Text(a), TemplateValue::Text(b)) => Ok(Some(a.cmp(b))),
        (TemplateValue::Float(a), TemplateValue::Float(b)) => Ok(a.partial_cmp(b)),
        _ => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => Ok(Some(a.cmp(&b))),
            _ => Err(format!("{} and {} cannot be compared", type_of(a), type_of(b))),
        },
    }
}

fn whole(value: &TemplateValue) -> Option<i128> {
    match value {
        TemplateValue::Int(number) | TemplateValue::Int64(number) => Some(i128::from(*number)),
        TemplateValue::Uint(number) => Some(i128::from(*number)),
        _ => None,
    }
}
