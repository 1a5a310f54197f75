//! Dicts of templates. A dict is one thing: what `set` and `merge` change under one name is changed under every other
//! name too, as Go's maps do it, also in the variables that several files are rendered with. It owns the order of keys
//! and that no dict holds itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::value::TemplateValue;

/// A key. Their order is the one in which Go's fmt and text/template go through a map: texts before numbers before
/// booleans is how the Go linker lays out these types.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DictKey {
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

impl From<&str> for DictKey {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl DictKey {
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
    pub(super) fn of_value(value: &TemplateValue) -> Option<Self> {
        match value {
            TemplateValue::Nil => Some(Self::Nil),
            TemplateValue::Text(text) => Some(Self::Text(text.clone())),
            TemplateValue::Int(number) => Some(Self::Int(*number)),
            TemplateValue::Bool(it) => Some(Self::Bool(*it)),
            TemplateValue::Float(float) => Some(Self::Float(OrderedFloat(*float))),
            _ => None,
        }
    }

    /// The key as a value.
    pub(super) fn value(&self) -> TemplateValue {
        match self {
            Self::Nil => TemplateValue::Nil,
            Self::Text(text) => TemplateValue::Text(text.clone()),
            Self::Int(number) => TemplateValue::Int(*number),
            Self::Bool(it) => TemplateValue::Bool(*it),
            Self::Float(OrderedFloat(float)) => TemplateValue::Float(*float),
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
enum MapType {
    /// `map[string]interface {}`: what Sprig's functions take.
    Anything,
    /// `map[string]string`: the environment, and what `split` makes.
    Texts,
    /// `map[interface {}]interface {}`: a map of YAML of which one key is no text.
    AnyKeys,
}

/// A dict; a clone is the same dict.
#[derive(Debug, Clone)]
pub(crate) struct TemplateDict {
    entries: Arc<Mutex<BTreeMap<DictKey, TemplateValue>>>,
    holds: MapType,
}

impl PartialEq for TemplateDict {
    /// Go's reflect.DeepEqual: of one type, with equal entries.
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || (self.holds == other.holds && self.entries() == other.entries())
    }
}

impl TemplateDict {
    /// A dict of texts to anything.
    pub(super) fn of_anything(entries: BTreeMap<DictKey, TemplateValue>) -> Self {
        Self { entries: Arc::new(Mutex::new(entries)), holds: MapType::Anything }
    }

    /// A dict of texts to texts.
    pub(super) fn of_texts(entries: BTreeMap<DictKey, TemplateValue>) -> Self {
        Self { entries: Arc::new(Mutex::new(entries)), holds: MapType::Texts }
    }

    /// A map of a YAML file.
    pub(super) fn of_file(entries: BTreeMap<DictKey, TemplateValue>) -> Self {
        let texts = entries.keys().all(|key| matches!(key, DictKey::Text(_)));
        let holds = if texts { MapType::Anything } else { MapType::AnyKeys };
        Self { entries: Arc::new(Mutex::new(entries)), holds }
    }

    /// Go's name of its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self.holds {
            MapType::Anything => "map[string]interface {}",
            MapType::Texts => "map[string]string",
            MapType::AnyKeys => "map[interface {}]interface {}",
        }
    }

    /// Whether Sprig's functions take it.
    pub(super) fn is_of_anything(&self) -> bool {
        self.holds == MapType::Anything
    }

    /// Whether the two are one dict, not only equal.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries)
    }

    /// The entries as they are now. No lock is held while a caller looks at them, so a dict may be met again within.
    pub(super) fn entries(&self) -> Vec<(DictKey, TemplateValue)> {
        self.locked().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(super) fn get(&self, key: &str) -> Option<TemplateValue> {
        self.locked().get(&DictKey::from(key)).cloned()
    }

    pub(super) fn len(&self) -> usize {
        self.locked().len()
    }

    pub(super) fn remove(&self, key: &str) {
        self.locked().remove(&DictKey::from(key));
    }

    /// Puts a value in. Fails where the dict would hold itself: nothing could print or weigh it.
    pub(super) fn insert(&self, key: DictKey, value: TemplateValue) -> Result<(), String> {
        if self.is_within(&value, 0) {
            return Err("the dict would hold itself".to_owned());
        }
        self.locked().insert(key, value);
        Ok(())
    }

    /// `index`: what stands at a key, or what Go has for nothing there: nil, or an empty text in a dict of texts.
    pub(super) fn index(&self, key: &TemplateValue) -> Result<TemplateValue, String> {
        let key = match (self.holds, key) {
            (MapType::AnyKeys, key) => DictKey::of_value(key),
            (_, TemplateValue::Text(text)) => Some(DictKey::Text(text.clone())),
            (_, TemplateValue::Nil) => return Err("value is nil; should be of type string".to_owned()),
            (_, other) => return Err(format!("value has type {}; should be string", super::value::type_of(other))),
        };
        let found = key.and_then(|key| self.locked().get(&key).cloned());
        let nothing = if self.holds == MapType::Texts { TemplateValue::from("") } else { TemplateValue::Nil };
        Ok(found.unwrap_or(nothing))
    }

    /// A dict of its own, all the way down.
    pub(crate) fn copied(&self) -> Self {
        let copy = self.entries().into_iter().map(|(key, value)| (key, copied(&value))).collect();
        Self { entries: Arc::new(Mutex::new(copy)), holds: self.holds }
    }

    fn is_within(&self, value: &TemplateValue, depth: usize) -> bool {
        // Deeper than any value may be: whoever weighs it refuses it.
        if depth > 100 {
            return true;
        }
        match value {
            TemplateValue::Dict(dict) => {
                self.is(dict) || dict.entries().iter().any(|(_, inner)| self.is_within(inner, depth + 1))
            }
            TemplateValue::List(list) => list.items.iter().any(|inner| self.is_within(inner, depth + 1)),
            _ => false,
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<DictKey, TemplateValue>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sprig's `deepCopy`.
pub(super) fn copied(value: &TemplateValue) -> TemplateValue {
    match value {
        TemplateValue::Dict(dict) => TemplateValue::Dict(dict.copied()),
        TemplateValue::List(list) => {
            let items = list.items.iter().map(copied).collect();
            TemplateValue::List(super::value::TemplateList { items, of: list.of })
        }
        other => other.clone(),
    }
}
