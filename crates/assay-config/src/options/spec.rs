//! What Packer is told of the options, as plain values: the post-processor maps them to Packer's own types. It owns nothing
//! but the derivation. No option is `required` there: Packer would stop at the first missing one, and assay reports all at once.

use super::{OptionKind, all};

/// One name of a body in Packer's ConfigSpec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecEntry {
    /// The name.
    pub name: &'static str,
    /// Attribute or block.
    pub kind: SpecKind,
    /// Whether Packer itself is to demand it.
    pub required: bool,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecKind {
    /// A text attribute.
    String,
    /// A number attribute.
    Number,
    /// A boolean attribute.
    Bool,
    /// A list of texts.
    StringList,
    /// A map from text to text.
    StringMap,
    /// A block, at most once.
    Block(Vec<SpecEntry>),
    /// A block, any number of times.
    BlockList(Vec<SpecEntry>),
}

impl From<OptionKind> for SpecKind {
    fn from(kind: OptionKind) -> Self {
        let nested = |fields: &'static [super::BlockField]| {
            fields
                .iter()
                .map(|field| SpecEntry { name: field.name, kind: field.kind.kind().into(), required: false })
                .collect()
        };
        match kind {
            OptionKind::String => Self::String,
            OptionKind::Number => Self::Number,
            OptionKind::Bool => Self::Bool,
            OptionKind::List => Self::StringList,
            OptionKind::Map => Self::StringMap,
            OptionKind::Block(fields) => Self::Block(nested(fields)),
            OptionKind::BlockList(fields) => Self::BlockList(nested(fields)),
        }
    }
}

/// The post-processor's whole ConfigSpec, sorted by name; refused options are in it, so that the refusal is assay's own.
pub fn spec() -> Vec<SpecEntry> {
    let mut entries: Vec<SpecEntry> =
        all().map(|option| SpecEntry { name: option.name, kind: option.kind.into(), required: false }).collect();
    entries.sort_by_key(|entry| entry.name);
    entries
}
