//! The two encodings between which Packer chooses by its command line, for everything that has two: specifications and values.
//!
//! It owns the choice and nothing of the bytes: those are [`super::gob`]'s, [`super::spec_proto`]'s and [`super::cty`]'s.

use super::{
    cty::CtyObject,
    gob,
    spec::{AttributeKind, OptionsSpec},
    spec_proto,
};

/// How specifications and values are to be sent; Packer chooses by its command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecEncoding {
    /// Go gob, for both.
    Gob,
    /// Protobuf for specifications, msgpack for values (`--protobuf`).
    Protobuf,
}

impl SpecEncoding {
    /// A specification's bytes.
    pub fn spec(self, spec: &OptionsSpec) -> Vec<u8> {
        match self {
            Self::Gob => gob::encode(spec),
            Self::Protobuf => spec_proto::encode(spec),
        }
    }

    /// A value's bytes, with its type.
    pub fn value(self, value: &CtyObject) -> Vec<u8> {
        match self {
            Self::Gob => gob::encode_value(value),
            Self::Protobuf => value.to_msgpack(),
        }
    }
}

/// A specification of attributes alone, as an output has.
pub(super) fn attributes<'a>(kinds: impl IntoIterator<Item = (&'a String, &'a AttributeKind)>) -> OptionsSpec {
    kinds.into_iter().fold(OptionsSpec::new(), |spec, (name, kind)| spec.optional(name, kind.clone()))
}
