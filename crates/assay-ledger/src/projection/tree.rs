//! A parsed file as far as projections need it: maps, strings and where they stand in the text. It refuses to hold anything else: what is
//! neither is `Other`, and never written over.

use std::ops::Range;

use assay_model::{AmiId, Architecture, Region};

/// A value and the bytes that it stands in.
#[derive(Debug, Clone)]
pub enum Node {
    /// A plain string, or nothing (null, an empty value): `text` is empty then.
    Text { span: Range<usize>, text: String },
    /// A map.
    Map { span: Range<usize>, kind: Kind, entries: Vec<Entry> },
    /// A number, list, reference, expression, ….
    Other { span: Range<usize>, what: &'static str },
}

/// How a map is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In braces.
    Braces,
    /// YAML's, by indentation.
    Indented,
    /// The whole of an HCL file.
    File,
    /// The inside of an HCL block; the span is the block's.
    Block,
    /// The labels of an HCL block.
    Labels,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub key_span: Range<usize>,
    pub value: Node,
}

/// What shall be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Id(String),
    Map(Vec<(String, Wanted)>),
}

/// Where a path leads.
pub enum Found<'a, 'p> {
    /// To a value.
    Value(&'a Node),
    /// As far as this map, which lacks `rest`.
    Missing { map: &'a Node, rest: &'p [&'p str] },
    /// To a value without anything in it, short of the end of the path.
    Empty { node: &'a Node, rest: &'p [&'p str] },
    /// Through something that is no map.
    Blocked { at: usize, name: String },
}

impl Node {
    pub fn span(&self) -> Range<usize> {
        match self {
            Self::Text { span, .. } | Self::Map { span, .. } | Self::Other { span, .. } => span.clone(),
        }
    }

    /// Follows a path. A key may hold dots itself: the longest match counts.
    pub fn find<'a, 'p>(&'a self, path: &'p [&'p str]) -> Found<'a, 'p> {
        let Self::Map { entries, .. } = self else {
            return Found::Missing { map: self, rest: path };
        };
        let whole = path.join(".");
        if let Some(entry) = entries.iter().find(|entry| entry.key == whole) {
            return Found::Value(&entry.value);
        }
        let mut best = Found::Missing { map: self, rest: path };
        let Some((first, rest)) = path.split_first().filter(|(_, rest)| !rest.is_empty()) else { return best };
        for entry in entries.iter().filter(|entry| entry.key == *first) {
            let found = match &entry.value {
                Self::Map { .. } => entry.value.find(rest),
                Self::Text { text, .. } if text.is_empty() => Found::Empty { node: &entry.value, rest },
                _ => Found::Blocked { at: entry.key_span.start, name: (*first).to_owned() },
            };
            match found {
                Found::Value(_) => return found,
                // HCL has several blocks of one name: the first that can take it.
                _ if matches!(best, Found::Missing { map, .. } if std::ptr::eq(map, self)) => best = found,
                _ => {}
            }
        }
        best
    }

    /// Where its keys and what is no map stand, in the text's order.
    pub fn words(&self, found: &mut Vec<Range<usize>>) {
        match self {
            Self::Map { entries, .. } => entries.iter().for_each(|entry| {
                found.push(entry.key_span.clone());
                entry.value.words(found);
            }),
            Self::Text { span, .. } | Self::Other { span, .. } => found.push(span.clone()),
        }
    }

    /// Whether it says at least what is wanted.
    pub fn holds(&self, wanted: &Wanted) -> bool {
        match (self, wanted) {
            (Self::Text { text, .. }, Wanted::Id(id)) => text == id,
            (Self::Map { entries, .. }, Wanted::Map(wanted)) => {
                wanted.iter().all(|(key, value)| entries.iter().any(|e| e.key == *key && e.value.holds(value)))
            }
            _ => false,
        }
    }

    /// Whether nothing is lost when it is replaced: AMI ids and empty values under architectures and regions.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Text { text, .. } => text.is_empty() || text.parse::<AmiId>().is_ok(),
            Self::Map { entries, kind, .. } => {
                matches!(kind, Kind::Braces | Kind::Indented) && entries.iter().all(Entry::is_ours)
            }
            Self::Other { .. } => false,
        }
    }
}

impl Entry {
    /// Whether assay wrote it: an architecture or a region, and ids.
    pub fn is_ours(&self) -> bool {
        (self.key.parse::<Architecture>().is_ok() || self.key.parse::<Region>().is_ok()) && self.value.is_ours()
    }
}
