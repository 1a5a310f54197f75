//! Dicts of templates. A dict is one thing: what `set` and `merge` change under one name is changed under every other
//! name too, as Go's maps do it, also in the variables that several files are rendered with. It owns the order of keys
//! and that no dict holds itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::value::Value;

/// A key. Their order is the one in which Go's fmt and text/template go through a map: texts before numbers before
/// booleans is how the Go linker lays out these types.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// YAML's `null`.
    Nil,
    Text(Arc<str>),
    Int(i64),
    Bool(bool),
    /// A number with a fraction, ordered by [`f64::total_cmp`].
    Float(OrderedFloat),
}

/// A floating number that can be a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrderedFloat(f64);

impl Ord for OrderedFloat {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for OrderedFloat {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for OrderedFloat {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for OrderedFloat {}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl Key {
    /// The key that a YAML file writes as `written`; `name` is its text.
    pub(super) fn of_yaml(name: &str, written: &str) -> Self {
        let special = written.starts_with(|c: char| c.is_ascii_digit() || "+-.~tTfFnN".contains(c));
        let scalar = if special { serde_saphyr::from_str::<serde_json::Value>(written).ok() } else { None };
        match scalar {
            Some(serde_json::Value::Null) => Self::Nil,
            Some(serde_json::Value::Bool(it)) => Self::Bool(it),
            Some(serde_json::Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Self::Int(whole),
                (None, Some(float)) => Self::Float(OrderedFloat(float)),
                (None, None) => Self::from(name),
            },
            _ => Self::from(name),
        }
    }

    /// The key that a value is; `None` for what can be none.
    pub(super) fn of_value(value: &Value) -> Option<Self> {
        match value {
            Value::Nil => Some(Self::Nil),
            Value::Text(text) => Some(Self::Text(text.clone())),
            Value::Int(number) => Some(Self::Int(*number)),
            Value::Bool(it) => Some(Self::Bool(*it)),
            Value::Float(float) => Some(Self::Float(OrderedFloat(*float))),
            _ => None,
        }
    }

    /// The key as a value.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Nil => Value::Nil,
            Self::Text(text) => Value::Text(text.clone()),
            Self::Int(number) => Value::Int(*number),
            Self::Bool(it) => Value::Bool(*it),
            Self::Float(OrderedFloat(float)) => Value::Float(*float),
        }
    }

    /// What it counts for in the weight of a value.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            _ => 8,
        }
    }
}

/// What Go's type of a map says of its keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// `map[string]interface {}`: what Sprig's functions take.
    Anything,
    /// `map[string]string`: the environment, and what `split` makes.
    Texts,
    /// `map[interface {}]interface {}`: a map of YAML of which one key is no text.
    AnyKeys,
}

/// A dict; a clone is the same dict.
#[derive(Debug, Clone)]
pub(crate) struct Dict {
    entries: Arc<Mutex<BTreeMap<Key, Value>>>,
    holds: Holds,
}

impl PartialEq for Dict {
    /// Go's reflect.DeepEqual: of one type, with equal entries.
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || (self.holds == other.holds && self.entries() == other.entries())
    }
}

impl Dict {
    /// A dict of texts to anything.
    pub(super) fn of_anything(entries: BTreeMap<Key, Value>) -> Self {
        Self { entries: Arc::new(Mutex::new(entries)), holds: Holds::Anything }
    }

    /// A dict of texts to texts.
    pub(super) fn of_texts(entries: BTreeMap<Key, Value>) -> Self {
        Self { entries: Arc::new(Mutex::new(entries)), holds: Holds::Texts }
    }

    /// A map of a YAML file.
    pub(super) fn of_file(entries: BTreeMap<Key, Value>) -> Self {
        let texts = entries.keys().all(|key| matches!(key, Key::Text(_)));
        let holds = if texts { Holds::Anything } else { Holds::AnyKeys };
        Self { entries: Arc::new(Mutex::new(entries)), holds }
    }

    /// Go's name of its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self.holds {
            Holds::Anything => "map[string]interface {}",
            Holds::Texts => "map[string]string",
            Holds::AnyKeys => "map[interface {}]interface {}",
        }
    }

    /// Whether Sprig's functions take it.
    pub(super) fn is_of_anything(&self) -> bool {
        self.holds == Holds::Anything
    }

    /// Whether the two are one dict, not only equal.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries)
    }

    /// The entries as they are now. No lock is held while a caller looks at them, so a dict may be met again within.
    pub(super) fn entries(&self) -> Vec<(Key, Value)> {
        self.locked().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(super) fn get(&self, key: &str) -> Option<Value> {
        self.locked().get(&Key::from(key)).cloned()
    }

    pub(super) fn len(&self) -> usize {
        self.locked().len()
    }

    pub(super) fn remove(&self, key: &str) {
        self.locked().remove(&Key::from(key));
    }

    /// Puts a value in. Fails where the dict would hold itself: nothing could print or weigh it.
    pub(super) fn insert(&self, key: Key, value: Value) -> Result<(), String> {
        if self.is_within(&value, 0) {
            return Err("the dict would hold itself".to_owned());
        }
        self.locked().insert(key, value);
        Ok(())
    }

    /// `index`: what stands at a key, or what Go has for nothing there: nil, or an empty text in a dict of texts.
    pub(super) fn index(&self, key: &Value) -> Result<Value, String> {
        let key = match (self.holds, key) {
            (Holds::AnyKeys, key) => Key::of_value(key),
            (_, Value::Text(text)) => Some(Key::Text(text.clone())),
            (_, Value::Nil) => return Err("value is nil; should be of type string".to_owned()),
            (_, other) => return Err(format!("value has type {}; should be string", super::value::type_of(other))),
        };
        let found = key.and_then(|key| self.locked().get(&key).cloned());
        let nothing = if self.holds == Holds::Texts { Value::from("") } else { Value::Nil };
        Ok(found.unwrap_or(nothing))
    }

    /// A dict of its own, all the way down.
    pub(crate) fn copied(&self) -> Self {
        let copy = self.entries().into_iter().map(|(key, value)| (key, copied(&value))).collect();
        Self { entries: Arc::new(Mutex::new(copy)), holds: self.holds }
    }

    fn is_within(&self, value: &Value, depth: usize) -> bool {
        // Deeper than any value may be: whoever weighs it refuses it.
        if depth > 100 {
            return true;
        }
        match value {
            Value::Dict(dict) => {
                self.is(dict) || dict.entries().iter().any(|(_, inner)| self.is_within(inner, depth + 1))
            }
            Value::List(list) => list.items.iter().any(|inner| self.is_within(inner, depth + 1)),
            _ => false,
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Key, Value>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sprig's `deepCopy`.
pub(super) fn copied(value: &Value) -> Value {
    match value {
        Value::Dict(dict) => Value::Dict(dict.copied()),
        Value::List(list) => {
            let items = list.items.iter().map(copied).collect();
            Value::List(super::value::List { items, of: list.of })
        }
        other => other.clone(),
    }
}
