//! Values of templates, with the distinctions that Go's text/template and Sprig make: `int` is not `int64`, a list of
//! texts not a list of anything, and a dict is one thing, however many names it has. It owns how they are made from
//! files, printed as Go prints them, and weighed, so that no template can make one that fills the memory or the stack.

use std::{fmt::Write, sync::Arc};

use super::dict::{Dict, Key};
use crate::tree::{Node, Value as Read};

/// The heaviest value that a function may make, in bytes of text and 16 for each element, counted as often as it is
/// reached.
pub(super) const MAX_WEIGHT: usize = 1 << 20;
/// The deepest value: printing, comparing and dropping recurse.
const MAX_DEPTH: usize = 64;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    /// Go's `int`: numbers that are written, and those of YAML.
    Int(i64),
    /// Go's `int64`: what Sprig computes. Equal to an `int` for `eq`, but not for `has` and `deepEqual`.
    Int64(i64),
    /// Go's `uint64`: whole numbers of YAML above 2^63-1.
    Uint(u64),
    Float(f64),
    Text(Arc<str>),
    List(List),
    Dict(Dict),
    /// What a whole template sees as `.`: it can be asked for its fields only.
    Root(Root),
}

/// `.Vars` and `.Env`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Root {
    pub vars: Dict,
    pub env: Dict,
}

/// What Go's type of a list says of its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elements {
    /// `[]interface {}`.
    Any,
    /// `[]string`.
    Texts,
    /// `[]int`.
    Ints,
}

/// A list. Unlike a dict it never changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct List {
    pub items: Arc<[Value]>,
    pub of: Elements,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<bool> for Value {
    fn from(it: bool) -> Self {
        Self::Bool(it)
    }
}

impl Value {
    /// A list of anything.
    pub(super) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(List { items: items.into_iter().collect(), of: Elements::Any })
    }

    /// A list of texts.
    pub(super) fn texts(items: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let items = items.into_iter().map(|text| Self::Text(text.as_ref().into())).collect();
        Self::List(List { items, of: Elements::Texts })
    }

    /// The text that this is.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is anything but nil, false, zero, or without elements.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(it) => *it,
            Self::Int(number) | Self::Int64(number) => *number != 0,
            Self::Uint(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Dict(dict) => dict.len() > 0,
            Self::Root(_) => true,
        }
    }
}

/// The weight of a value, or `None` where it is too heavy or too deep.
pub(super) fn weigh(value: &Value) -> Option<usize> {
    let mut left = MAX_WEIGHT;
    take(value, &mut left, MAX_DEPTH)?;
    Some(MAX_WEIGHT - left)
}

fn take(value: &Value, left: &mut usize, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let own = match value {
        Value::Text(text) => text.len(),
        _ => 0,
    };
    *left = left.checked_sub(own + 16)?;
    match value {
        Value::List(list) => list.items.iter().try_for_each(|item| take(item, left, depth)),
        Value::Dict(dict) => dict.entries().iter().try_for_each(|(key, value)| {
            *left = left.checked_sub(key.weight())?;
            take(value, left, depth)
        }),
        _ => Some(()),
    }
}

/// What stood in the file `text`. `floats`: every number becomes a floating one, as Go's encoding/json does.
pub(super) fn from_node(node: &Node, text: &str, floats: bool) -> Value {
    match &node.value {
        Read::Null | Read::Broken => Value::Nil,
        Read::Bool(it) => Value::Bool(*it),
        Read::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), _, _) if !floats => Value::Int(whole),
            (_, Some(whole), _) if !floats => Value::Uint(whole),
            (_, _, Some(float)) => Value::Float(float),
            _ => Value::Nil,
        },
        Read::Text(text) => Value::Text(text.as_str().into()),
        Read::List(items) => Value::list(items.iter().map(|item| from_node(item, text, floats))),
        Read::Map(entries) => {
            let key = |name: &str, span: &std::ops::Range<usize>| match text.get(span.clone()) {
                Some(written) if !floats => Key::of_yaml(name, written),
                _ => Key::from(name),
            };
            let entries = entries.iter().map(|e| (key(&e.name, &e.name_span), from_node(&e.node, text, floats)));
            Value::Dict(Dict::of_file(entries.collect()))
        }
    }
}

/// A value of JSON, numbers floating as Go's encoding/json has them.
pub(super) fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(it) => Value::Bool(*it),
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::Text(text.as_str().into()),
        serde_json::Value::Array(items) => Value::list(items.iter().map(from_json)),
        serde_json::Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (Key::from(key.as_str()), from_json(value)));
            Value::Dict(Dict::of_anything(entries.collect()))
        }
    }
}

/// The value as Go's `%v` prints it.
pub(super) fn show(value: &Value) -> String {
    let mut text = String::new();
    print(value, &mut text);
    text
}

fn print(value: &Value, out: &mut String) {
    // Writing to a String does not fail.
    match value {
        Value::Nil => out.push_str("<nil>"),
        Value::Bool(it) => drop(write!(out, "{it}")),
        Value::Int(number) | Value::Int64(number) => drop(write!(out, "{number}")),
        Value::Uint(number) => drop(write!(out, "{number}")),
        Value::Text(text) => out.push_str(text),
        Value::Float(float) => out.push_str(&float_text(*float)),
        Value::List(list) => {
            out.push('[');
            for (at, item) in list.items.iter().enumerate() {
                out.push_str(if at > 0 { " " } else { "" });
                print(item, out);
            }
            out.push(']');
        }
        Value::Dict(dict) => print_dict(dict, out),
        Value::Root(root) => {
            out.push_str("&{");
            print_dict(&root.vars, out);
            out.push('}');
        }
    }
}

fn print_dict(dict: &Dict, out: &mut String) {
    out.push_str("map[");
    for (at, (key, value)) in dict.entries().iter().enumerate() {
        out.push_str(if at > 0 { " " } else { "" });
        print(&key.value(), out);
        out.push(':');
        print(value, out);
    }
    out.push(']');
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
        Value::Int64(_) => "int64",
        Value::Uint(_) => "uint64",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
        Value::List(_) => "slice",
        Value::Dict(_) => "map",
        Value::Root(_) => "ptr",
    }
}

/// Go's name of the value's type (`%T`).
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::List(list) => match list.of {
            Elements::Any => "[]interface {}",
            Elements::Texts => "[]string",
            Elements::Ints => "[]int",
        },
        Value::Dict(dict) => dict.type_name(),
        Value::Root(_) => "*goss.TmplVars",
        other => kind(other),
    }
}
