//! A parsed file as far as projections need it: maps, strings and where they stand in the text. It refuses to hold anything else: what is
//! neither is `Other`, and never written over.

use std::ops::Range;

use assay_model::{AmiId, Architecture, Region};

/// A value and the bytes that it stands in.
#[derive(Debug, Clone)]
pub(super) enum ProjectionNode {
    /// A plain string, or nothing (null, an empty value): `text` is empty then.
    Text { span: Range<usize>, text: String },
    /// A map.
    Map { span: Range<usize>, kind: ProjectionNodeKind, entries: Vec<ProjectionEntry> },
    /// A number, list, reference, expression, ….
    Other { span: Range<usize>, what: &'static str },
}

/// How a map is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProjectionNodeKind {
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
pub(super) struct ProjectionEntry {
    pub key: String,
    pub key_span: Range<usize>,
    pub value: ProjectionNode,
}

/// What shall be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WantedNode {
    Id(String),
    Map(Vec<(String, WantedNode)>),
}

/// Where a path leads.
pub(super) enum FoundNode<'a, 'p> {
    /// To a value.
    Value(&'a ProjectionNode),
    /// As far as this map, which lacks `rest`.
    Missing { map: &'a ProjectionNode, rest: &'p [&'p str] },
    /// To a value without anything in it, short of the end of the path.
    Empty { node: &'a ProjectionNode, rest: &'p [&'p str] },
    /// Through something that is no map.
    Blocked { at: usize, name: String },
}

impl ProjectionNode {
    pub(super) fn span(&self) -> Range<usize> {
        match self {
            Self::Text { span, .. } | Self::Map { span, .. } | Self::Other { span, .. } => span.clone(),
        }
    }

    /// Follows a path. A key may hold dots itself: the longest match counts.
    pub(super) fn find<'a, 'p>(&'a self, path: &'p [&'p str]) -> FoundNode<'a, 'p> {
        let Self::Map { entries, .. } = self else {
            return FoundNode::Missing { map: self, rest: path };
        };
        let whole = path.join(".");
        if let Some(entry) = entries.iter().find(|entry| entry.key == whole) {
            return FoundNode::Value(&entry.value);
        }
        let mut best = FoundNode::Missing { map: self, rest: path };
        let Some((first, rest)) = path.split_first().filter(|(_, rest)| !rest.is_empty()) else { return best };
        for entry in entries.iter().filter(|entry| entry.key == *first) {
            let found = match &entry.value {
                Self::Map { .. } => entry.value.find(rest),
                Self::Text { text, .. } if text.is_empty() => FoundNode::Empty { node: &entry.value, rest },
                _ => FoundNode::Blocked { at: entry.key_span.start, name: (*first).to_owned() },
            };
            match found {
                FoundNode::Value(_) => return found,
                // HCL has several blocks of one name: the first that can take it.
                _ if matches!(best, FoundNode::Missing { map, .. } if std::ptr::eq(map, self)) => best = found,
                _ => {}
            }
        }
        best
    }

    /// Where its keys and what is no map stand, in the text's order.
    pub(super) fn words(&self, found: &mut Vec<Range<usize>>) {
        match self {
            Self::Map { entries, .. } => entries.iter().for_each(|entry| {
                found.push(entry.key_span.clone());
                entry.value.words(found);
            }),
            Self::Text { span, .. } | Self::Other { span, .. } => found.push(span.clone()),
        }
    }

    /// Whether it says at least what is wanted.
    pub(super) fn holds(&self, wanted: &WantedNode) -> bool {
        match (self, wanted) {
            (Self::Text { text, .. }, WantedNode::Id(id)) => text == id,
            (Self::Map { entries, .. }, WantedNode::Map(wanted)) => {
                wanted.iter().all(|(key, value)| entries.iter().any(|e| e.key == *key && e.value.holds(value)))
            }
            _ => false,
        }
    }

    /// Whether nothing is lost when it is replaced: AMI ids and empty values under architectures and regions.
    pub(super) fn is_ours(&self) -> bool {
        match self {
            Self::Text { text, .. } => text.is_empty() || text.parse::<AmiId>().is_ok(),
            Self::Map { entries, kind, .. } => {
                matches!(kind, ProjectionNodeKind::Braces | ProjectionNodeKind::Indented)
                    && entries.iter().all(ProjectionEntry::is_ours)
            }
            Self::Other { .. } => false,
        }
    }
}

impl ProjectionEntry {
    /// Whether assay wrote it: an architecture or a region, and ids.
    pub(super) fn is_ours(&self) -> bool {
        (self.key.parse::<Architecture>().is_ok() || self.key.parse::<Region>().is_ok()) && self.value.is_ours()
    }
}
