//! Values of templates: made from files, printed as Go prints them, and weighed, so that no template can make one that
//! fills the memory or the stack.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use gotmpl::Value;

use crate::suite::tree::{Node, Value as Read};

/// The heaviest value that a function may make, in bytes of text and 16 for each element, counted as often as it is
/// reached.
pub(super) const MAX_WEIGHT: usize = 1 << 20;
/// The deepest value: printing, comparing and dropping recurse.
const MAX_DEPTH: usize = 64;

/// The weight of a value, or `None` where it is too heavy or too deep.
pub(super) fn weigh(value: &Value) -> Option<usize> {
    let mut left = MAX_WEIGHT;
    take(value, &mut left, MAX_DEPTH)?;
    Some(MAX_WEIGHT - left)
}

fn take(value: &Value, left: &mut usize, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let own = match value {
        Value::String(text) => text.len(),
        _ => 0,
    };
    *left = left.checked_sub(own + 16)?;
    match value {
        Value::List(items) => items.iter().try_for_each(|item| take(item, left, depth)),
        Value::Map(entries) => entries.iter().try_for_each(|(key, value)| {
            *left = left.checked_sub(key.len())?;
            take(value, left, depth)
        }),
        _ => Some(()),
    }
}

/// What stood in a file. `floats`: every number becomes a floating one, as Go's encoding/json does.
pub(super) fn from_node(node: &Node, floats: bool) -> Value {
    match &node.value {
        Read::Null | Read::Broken => Value::Nil,
        Read::Bool(it) => Value::Bool(*it),
        Read::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) if !floats => Value::Int(whole),
            (_, Some(float)) => Value::Float(float),
            _ => Value::Nil,
        },
        Read::Text(text) => Value::String(text.as_str().into()),
        Read::List(items) => Value::List(items.iter().map(|item| from_node(item, floats)).collect()),
        Read::Map(entries) => {
            let entries = entries.iter().map(|e| (e.name.as_str().into(), from_node(&e.node, floats)));
            Value::Map(Arc::new(entries.collect()))
        }
    }
}

/// A value of JSON, numbers floating as Go's encoding/json has them.
pub(super) fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(it) => Value::Bool(*it),
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::String(text.as_str().into()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(from_json).collect()),
        serde_json::Value::Object(entries) => {
            map(entries.iter().map(|(key, value)| (Arc::from(key.as_str()), from_json(value))).collect())
        }
    }
}

/// A value as JSON; whole floats without a fraction, as Go's encoding/json writes them.
pub(super) fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(it) => (*it).into(),
        Value::Int(number) => (*number).into(),
        Value::Uint(number) => (*number).into(),
        Value::Float(float) if float.fract() == 0.0 && float.abs() < 1e15 => {
            // Whole and far within the range, so nothing is lost.
            serde_json::Value::from(format!("{float:.0}").parse::<i64>().unwrap_or_default())
        }
        Value::Float(float) => serde_json::Number::from_f64(*float).map_or(serde_json::Value::Null, Into::into),
        Value::String(text) => (&**text).into(),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => {
            serde_json::Value::Object(entries.iter().map(|(key, value)| (key.to_string(), to_json(value))).collect())
        }
        _ => serde_json::Value::Null,
    }
}

/// A map.
pub(super) fn map(entries: BTreeMap<Arc<str>, Value>) -> Value {
    Value::Map(Arc::new(entries))
}

/// The value as Go's `%v` prints it.
pub(super) fn show(value: &Value) -> String {
    let mut text = String::new();
    print(value, &mut text);
    text
}

fn print(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Float(float) => out.push_str(&float_text(*float)),
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { " " } else { "" });
                print(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push_str("map[");
            for (at, (key, value)) in entries.iter().enumerate() {
                out.push_str(if at > 0 { " " } else { "" });
                out.push_str(key);
                out.push(':');
                print(value, out);
            }
            out.push(']');
        }
        // Writing to a String does not fail.
        other => drop(write!(out, "{other}")),
    }
}

/// Go's `%v` of a float64: the shortest digits, with an exponent below -4 and from 6 on (strconv, format g).
pub(super) fn float_text(float: f64) -> String {
    if float.is_nan() {
        return "NaN".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if float == 0.0 || (-4..6).contains(&exponent) {
        return format!("{float}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// Go's name of the value's kind (reflect.Kind).
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "invalid",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Uint(_) => "uint",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "slice",
        Value::Map(_) => "map",
        _ => "func",
    }
}

/// Go's name of the value's type (`%T`).
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
        other => kind(other),
    }
}
