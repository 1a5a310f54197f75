//! Values of templates, with the distinctions that Go's text/template and Sprig make: `int` is not `int64`, a list of
//! texts not a list of anything, and a dict is one thing, however many names it has. It owns how they are made from
//! files, printed as Go prints them, and weighed, so that no template can make one that fills the memory or the stack.

use std::{fmt::Write, sync::Arc};

use super::dict::{DictKey, TemplateDict};
use crate::tree::{SourceNode, SourceValue as Read};

/// The heaviest value that a function may make, in bytes of text and 16 for each element, counted as often as it is
/// reached.
pub(super) const MAX_WEIGHT: usize = 1 << 20;
/// The deepest value: printing, comparing and dropping recurse.
const MAX_DEPTH: usize = 64;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TemplateValue {
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
    List(TemplateList),
    Dict(TemplateDict),
    /// What a whole template sees as `.`: it can be asked for its fields only.
    Root(TemplateRoot),
}

/// `.Vars` and `.Env`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TemplateRoot {
    pub vars: TemplateDict,
    pub env: TemplateDict,
}

/// What Go's type of a list says of its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListElements {
    /// `[]interface {}`.
    Any,
    /// `[]string`.
    Texts,
    /// `[]int`.
    Ints,
}

/// A list. Unlike a dict it never changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TemplateList {
    pub items: Arc<[TemplateValue]>,
    pub of: ListElements,
}

impl From<&str> for TemplateValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for TemplateValue {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<bool> for TemplateValue {
    fn from(it: bool) -> Self {
        Self::Bool(it)
    }
}

impl TemplateValue {
    /// A list of anything.
    pub(super) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(TemplateList { items: items.into_iter().collect(), of: ListElements::Any })
    }

    /// A list of texts.
    pub(super) fn texts(items: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let items = items.into_iter().map(|text| Self::Text(text.as_ref().into())).collect();
        Self::List(TemplateList { items, of: ListElements::Texts })
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
pub(super) fn weigh(value: &TemplateValue) -> Option<usize> {
    let mut left = MAX_WEIGHT;
    take(value, &mut left, MAX_DEPTH)?;
    Some(MAX_WEIGHT - left)
}

fn take(value: &TemplateValue, left: &mut usize, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let own = match value {
        TemplateValue::Text(text) => text.len(),
        _ => 0,
    };
    *left = left.checked_sub(own + 16)?;
    match value {
        TemplateValue::List(list) => list.items.iter().try_for_each(|item| take(item, left, depth)),
        TemplateValue::Dict(dict) => dict.entries().iter().try_for_each(|(key, value)| {
            *left = left.checked_sub(key.weight())?;
            take(value, left, depth)
        }),
        _ => Some(()),
    }
}

/// What stood in the file `text`. `floats`: every number becomes a floating one, as Go's encoding/json does.
pub(super) fn from_node(node: &SourceNode, text: &str, floats: bool) -> TemplateValue {
    match &node.value {
        Read::Null | Read::Broken => TemplateValue::Nil,
        Read::Bool(it) => TemplateValue::Bool(*it),
        Read::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), _, _) if !floats => TemplateValue::Int(whole),
            (_, Some(whole), _) if !floats => TemplateValue::Uint(whole),
            (_, _, Some(float)) => TemplateValue::Float(float),
            _ => TemplateValue::Nil,
        },
        Read::Text(text) => TemplateValue::Text(text.as_str().into()),
        Read::List(items) => TemplateValue::list(items.iter().map(|item| from_node(item, text, floats))),
        Read::Map(entries) => {
            let key = |name: &str, span: &std::ops::Range<usize>| match text.get(span.clone()) {
                Some(written) if !floats => DictKey::of_yaml(name, written),
                _ => DictKey::from(name),
            };
            let entries = entries.iter().map(|e| (key(&e.name, &e.name_span), from_node(&e.node, text, floats)));
            TemplateValue::Dict(TemplateDict::of_file(entries.collect()))
        }
    }
}

/// A value of JSON, numbers floating as Go's encoding/json has them.
pub(super) fn from_json(value: &serde_json::Value) -> TemplateValue {
    match value {
        serde_json::Value::Null => TemplateValue::Nil,
        serde_json::Value::Bool(it) => TemplateValue::Bool(*it),
        serde_json::Value::Number(number) => TemplateValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => TemplateValue::Text(text.as_str().into()),
        serde_json::Value::Array(items) => TemplateValue::list(items.iter().map(from_json)),
        serde_json::Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (DictKey::from(key.as_str()), from_json(value)));
            TemplateValue::Dict(TemplateDict::of_anything(entries.collect()))
        }
    }
}

/// The value as Go's `%v` prints it.
pub(super) fn show(value: &TemplateValue) -> String {
    let mut text = String::new();
    print(value, &mut text);
    text
}

fn print(value: &TemplateValue, out: &mut String) {
    // Writing to a String does not fail.
    match value {
        TemplateValue::Nil => out.push_str("<nil>"),
        TemplateValue::Bool(it) => drop(write!(out, "{it}")),
        TemplateValue::Int(number) | TemplateValue::Int64(number) => drop(write!(out, "{number}")),
        TemplateValue::Uint(number) => drop(write!(out, "{number}")),
        TemplateValue::Text(text) => out.push_str(text),
        TemplateValue::Float(float) => out.push_str(&float_text(*float)),
        TemplateValue::List(list) => {
            out.push('[');
            for (at, item) in list.items.iter().enumerate() {
                out.push_str(if at > 0 { " " } else { "" });
                print(item, out);
            }
            out.push(']');
        }
        TemplateValue::Dict(dict) => print_dict(dict, out),
        TemplateValue::Root(root) => {
            out.push_str("&{");
            print_dict(&root.vars, out);
            out.push('}');
        }
    }
}

fn print_dict(dict: &TemplateDict, out: &mut String) {
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
pub(super) fn kind(value: &TemplateValue) -> &'static str {
    match value {
        TemplateValue::Nil => "invalid",
        TemplateValue::Bool(_) => "bool",
        TemplateValue::Int(_) => "int",
        TemplateValue::Int64(_) => "int64",
        TemplateValue::Uint(_) => "uint64",
        TemplateValue::Float(_) => "float64",
        TemplateValue::Text(_) => "string",
        TemplateValue::List(_) => "slice",
        TemplateValue::Dict(_) => "map",
        TemplateValue::Root(_) => "ptr",
    }
}

/// Go's name of the value's type (`%T`).
pub(super) fn type_of(value: &TemplateValue) -> &'static str {
    match value {
        TemplateValue::Nil => "<nil>",
        TemplateValue::List(list) => match list.of {
            ListElements::Any => "[]interface {}",
            ListElements::Texts => "[]string",
            ListElements::Ints => "[]int",
        },
        TemplateValue::Dict(dict) => dict.type_name(),
        TemplateValue::Root(_) => "*goss.TmplVars",
        other => kind(other),
    }
}
