//! A component's options as plain types: what Packer needs to read a user's HCL before the component sees it.
//!
//! It owns the few shapes that both encodings ([`super::spec_proto`], [`super::gob`]) can carry, and refuses all
//! others: no sets, objects, dynamic values or defaults, since Packer's protobuf messages have none.

use std::collections::BTreeMap;

/// The options of one body, by name. The order is the names', so that the same spec gives the same bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionsSpec {
    /// What the body may hold.
    pub fields: BTreeMap<String, SpecField>,
}

/// One thing that a body may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecField {
    /// `name = value`
    Attribute {
        /// The value's type; Packer converts what the user wrote, or refuses it.
        kind: AttributeKind,
        /// Packer refuses a body without it.
        required: bool,
    },
    /// `name { … }`, at most once.
    Block {
        /// Packer refuses a body without it.
        required: bool,
        /// The block's own options.
        nested: OptionsSpec,
    },
    /// `name { … }`, any number of times; arrives as a list.
    BlockList {
        /// The options of each block.
        nested: OptionsSpec,
    },
}

/// The type of an attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeKind {
    /// Text.
    String,
    /// Any number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A list of one type.
    List(Box<AttributeKind>),
    /// A map from text to one type.
    Map(Box<AttributeKind>),
}

impl AttributeKind {
    /// A list of `element`.
    pub fn list(element: AttributeKind) -> Self {
        Self::List(Box::new(element))
    }

    /// A map from text to `element`.
    pub fn map(element: AttributeKind) -> Self {
        Self::Map(Box::new(element))
    }
}

impl OptionsSpec {
    /// A body that may hold nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an attribute that may be left out.
    #[must_use]
    pub fn optional(self, name: &str, kind: AttributeKind) -> Self {
        self.with(name, SpecField::Attribute { kind, required: false })
    }

    /// Adds an attribute that Packer demands.
    #[must_use]
    pub fn required(self, name: &str, kind: AttributeKind) -> Self {
        self.with(name, SpecField::Attribute { kind, required: true })
    }

    /// Adds a block that may stand once.
    #[must_use]
    pub fn block(self, name: &str, nested: OptionsSpec) -> Self {
        self.with(name, SpecField::Block { required: false, nested })
    }

    /// Adds a block that may stand any number of times.
    #[must_use]
    pub fn block_list(self, name: &str, nested: OptionsSpec) -> Self {
        self.with(name, SpecField::BlockList { nested })
    }

    /// Adds a field; a second one of the same name replaces the first.
    #[must_use]
    pub fn with(mut self, name: &str, field: SpecField) -> Self {
        self.fields.insert(name.to_owned(), field);
        self
    }
}
