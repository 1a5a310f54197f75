//! A [`OptionsSpec`] or a value as Go gob, the way Packer before 1.12 reads it, and any Packer with one old plugin installed.
//!
//! It owns an encoder for exactly two families of Go types (`hcldec.ObjectSpec` and `cty.Value`, see `value`, and what they
//! hold) and refuses to be a general gob library; nothing here decodes. The bytes are those of the Go SDK in a fresh process whose maps happen to
//! be in order, so that files made by the SDK can be compared byte for byte.
//!
//! The format is that of Go's `encoding/gob` package documentation. Unsigned integers below 128 are one byte, others
//! the count of bytes (negated) and then big-endian bytes; signed ones carry their sign in the lowest bit. A struct is
//! (field-number delta, value)… 0; a field that is zero is left out.
//!
//! One habit of Go's encoder shapes everything here: a type is defined where it is first met, *in the buffer of the
//! value being written*, and the buffer is then sent off with the half-finished value before the definition. The rest of
//! the value follows as another message (`Encoder::define`). Types are numbered in the order in which the whole
//! process meets them (`Numbers`), while what has been defined counts per stream; a cty type is a stream of its own
//! inside its attribute.

use super::spec::{AttributeKind, OptionsSpec, SpecField};

mod value;

pub use value::encode_value;

/// The first number that Go gives to a type that is not its own.
const FIRST_NUMBER: i64 = 64;

/// A type that appears as a struct's field, or whose definition is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GobType {
    Bool,
    Int,
    Uint,
    String,
    Interface,
    /// `hcldec.ObjectSpec`, a map from text to an interface.
    ObjectSpec,
    AttrSpec,
    BlockSpec,
    BlockListSpec,
    /// `cty.Type`, which encodes itself.
    Cty,
    /// What `cty.Type` encodes itself as (go-cty 1.13 of Packer's fork, `cty/gob.go`).
    Gob,
    Primitive,
    List,
    Map,
    /// `cty.typeObject`, and the types of its two fields; the last is that of a set's members.
    Object,
    AttributeTypes,
    OptionalAttributes,
    Nothing,
    /// `cty.Value`, which encodes itself.
    Value,
    /// What `cty.Value` encodes itself as.
    GobValue,
    /// `map[string]interface {}` and `[]interface {}`: how cty keeps objects and maps, and lists.
    Entries,
    Items,
}

/// What a definition says of a type (`wireType` in `encoding/gob/type.go`); the numbers are its fields'.
#[derive(Debug, Clone, Copy)]
enum GobShape {
    Slice = 2,
    Struct = 3,
    Map = 4,
    Encoder = 5,
}

impl GobType {
    /// The Go type's own name; empty where it has none.
    fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::String => "string",
            Self::Interface => "interface",
            Self::ObjectSpec => "ObjectSpec",
            Self::AttrSpec => "AttrSpec",
            Self::BlockSpec => "BlockSpec",
            Self::BlockListSpec => "BlockListSpec",
            Self::Cty => "Type",
            Self::Gob => "gobType",
            Self::Primitive => "primitiveType",
            Self::List => "typeList",
            Self::Map => "typeMap",
            Self::Object => "typeObject",
            // A field's type without a name of its own goes by its text.
            Self::AttributeTypes => "map[string]cty.Type",
            Self::OptionalAttributes => "map[string]struct {}",
            Self::Value => "Value",
            Self::GobValue => "gobValue",
            Self::Nothing | Self::Entries | Self::Items => "",
        }
    }

    /// The name under which the SDK (`rpc/common.go`) or go-cty registers the type for interfaces.
    fn registered(self) -> String {
        match self {
            Self::AttrSpec | Self::BlockSpec | Self::BlockListSpec => format!("*hcldec.{}", self.name()),
            Self::ObjectSpec => "github.com/hashicorp/hcl/v2/hcldec.ObjectSpec".to_owned(),
            Self::Entries => "map[string]interface {}".to_owned(),
            Self::Items => "[]interface {}".to_owned(),
            Self::String | Self::Bool => self.name().to_owned(),
            _ => format!("github.com/zclconf/go-cty/cty.{}", self.name()),
        }
    }

    /// The number that Go's encoder itself gives (`encoding/gob/type.go`); none for other types.
    fn builtin(self) -> Option<i64> {
        match self {
            Self::Bool => Some(1),
            Self::Int => Some(2),
            Self::Uint => Some(3),
            Self::String => Some(6),
            Self::Interface => Some(8),
            _ => None,
        }
    }

    /// A struct's fields, in order; nothing for other types.
    fn fields(self) -> &'static [(&'static str, GobType)] {
        match self {
            Self::AttrSpec => &[("Name", Self::String), ("Type", Self::Cty), ("Required", Self::Bool)],
            Self::BlockSpec => &[("TypeName", Self::String), ("Nested", Self::Interface), ("Required", Self::Bool)],
            Self::BlockListSpec => &[
                ("TypeName", Self::String),
                ("Nested", Self::Interface),
                ("MinItems", Self::Int),
                ("MaxItems", Self::Int),
            ],
            Self::Gob => &[("Version", Self::Int), ("Impl", Self::Interface)],
            Self::Primitive => &[("Kind", Self::Uint)],
            Self::List | Self::Map => &[("ElementTypeT", Self::Cty)],
            Self::Object => &[("AttrTypes", Self::AttributeTypes), ("AttrOptional", Self::OptionalAttributes)],
            Self::GobValue => &[("Version", Self::Int), ("Ty", Self::Cty), ("V", Self::Interface)],
            _ => &[],
        }
    }

    /// What a map's keys and members, or a slice's members, are; nothing for other types.
    fn members(self) -> &'static [GobType] {
        match self {
            Self::ObjectSpec | Self::Entries => &[Self::String, Self::Interface],
            Self::AttributeTypes => &[Self::String, Self::Cty],
            Self::OptionalAttributes => &[Self::String, Self::Nothing],
            Self::Items => &[Self::Interface],
            _ => &[],
        }
    }

    fn shape(self) -> GobShape {
        match self {
            Self::Cty | Self::Value => GobShape::Encoder,
            Self::Items => GobShape::Slice,
            _ if self.members().is_empty() => GobShape::Struct,
            _ => GobShape::Map,
        }
    }
}

/// The numbers of types, as one Go process gives them: in the order of first use, a struct before its fields, a map or a
/// slice after its members (`newTypeObject`).
#[derive(Debug, Default)]
struct GobNumbers {
    known: Vec<GobType>,
}

impl GobNumbers {
    fn of(&mut self, kind: GobType) -> i64 {
        if let Some(number) = kind.builtin() {
            return number;
        }
        let position = self.known.iter().position(|known| *known == kind).unwrap_or_else(|| self.add(kind));
        FIRST_NUMBER + position as i64
    }

    fn add(&mut self, kind: GobType) -> usize {
        for member in kind.members() {
            self.of(*member);
        }
        self.known.push(kind);
        let position = self.known.len() - 1;
        for (_, field) in kind.fields() {
            self.of(*field);
        }
        position
    }
}

/// One gob stream in the making. In its functions `sink` is where finished messages go, `buffer` what is being written.
struct GobEncoder<'a> {
    numbers: &'a mut GobNumbers,
    defined: Vec<GobType>,
}

/// The bytes of a whole gob stream holding one `hcldec.ObjectSpec`: the body of an answer to ConfigSpec.
pub fn encode(spec: &OptionsSpec) -> Vec<u8> {
    let mut numbers = GobNumbers::default();
    GobEncoder { numbers: &mut numbers, defined: Vec::new() }
        .stream(GobType::ObjectSpec, |encoder, sink, buffer| encoder.object(sink, buffer, spec))
}

impl GobEncoder<'_> {
    /// A stream of one value.
    fn stream(mut self, kind: GobType, value: impl FnOnce(&mut Self, &mut Vec<u8>, &mut Vec<u8>)) -> Vec<u8> {
        let (mut sink, mut buffer) = (Vec::new(), Vec::new());
        self.define(&mut sink, &mut buffer, kind);
        int(&mut buffer, self.numbers.of(kind));
        value(&mut self, &mut sink, &mut buffer);
        send(&mut sink, &mut buffer);
        sink
    }

    /// Defines a type, and then the types of its fields, unless this stream has them. Sends off what the buffer holds.
    fn define(&mut self, sink: &mut Vec<u8>, buffer: &mut Vec<u8>, kind: GobType) {
        if kind.builtin().is_some() || self.defined.contains(&kind) {
            return;
        }
        int(buffer, -self.numbers.of(kind));
        self.definition(buffer, kind);
        send(sink, buffer);
        self.defined.push(kind);
        for part in kind.fields().iter().map(|(_, field)| field).chain(kind.members()) {
            self.define(sink, buffer, *part);
        }
    }

    /// `wireType` of `encoding/gob/type.go`: one of its fields is set, by what kind of type it is.
    fn definition(&mut self, out: &mut Vec<u8>, kind: GobType) {
        out.push(kind.shape() as u8);
        out.push(1); // CommonType: its name, where it has one, and its number
        if kind.name().is_empty() {
            out.push(2);
        } else {
            out.push(1);
            string(out, kind.name());
            out.push(1);
        }
        int(out, self.numbers.of(kind));
        out.push(0);
        for member in kind.members() {
            out.push(1);
            int(out, self.numbers.of(*member));
        }
        if !kind.fields().is_empty() {
            out.push(1);
            uint(out, kind.fields().len() as u64);
        }
        for (name, field) in kind.fields() {
            out.push(1);
            string(out, name);
            out.push(1);
            int(out, self.numbers.of(*field));
            out.push(0);
        }
        out.extend([0, 0]);
    }

    /// An interface's value: the type's name and number, the value's length, the value. While the value is written, the
    /// buffer around it takes the messages.
    fn interface(
        &mut self,
        sink: &mut Vec<u8>,
        buffer: &mut Vec<u8>,
        kind: GobType,
        value: impl FnOnce(&mut Self, &mut Vec<u8>, &mut Vec<u8>),
    ) {
        string(buffer, &kind.registered());
        self.define(sink, buffer, kind);
        int(buffer, self.numbers.of(kind));
        let mut inside = Vec::new();
        value(self, buffer, &mut inside);
        send(buffer, &mut inside);
    }

    /// An ObjectSpec's value: not a struct, hence a zero first, then the map's entries.
    fn object(&mut self, sink: &mut Vec<u8>, buffer: &mut Vec<u8>, spec: &OptionsSpec) {
        buffer.push(0);
        uint(buffer, spec.fields.len() as u64);
        for (name, each) in &spec.fields {
            string(buffer, name);
            self.field(sink, buffer, name, each);
        }
    }

    fn field(&mut self, sink: &mut Vec<u8>, buffer: &mut Vec<u8>, name: &str, field: &SpecField) {
        let (kind, required) = match field {
            SpecField::Attribute { required, .. } => (GobType::AttrSpec, *required),
            SpecField::Block { required, .. } => (GobType::BlockSpec, *required),
            SpecField::BlockList { .. } => (GobType::BlockListSpec, false),
        };
        self.interface(sink, buffer, kind, |encoder, sink, value| {
            value.push(1);
            string(value, name);
            value.push(1);
            match field {
                SpecField::Attribute { kind, .. } => bytes(value, &cty_type(encoder.numbers, kind)),
                SpecField::Block { nested, .. } | SpecField::BlockList { nested } => {
                    encoder.interface(sink, value, GobType::ObjectSpec, |encoder, sink, inside| {
                        encoder.object(sink, inside, nested);
                    });
                }
            }
            if required {
                value.extend([1, 1]);
            }
            value.push(0);
        });
    }
}

/// A cty type: gobType with Version 0, which is left out, and Impl.
fn cty_type(numbers: &mut GobNumbers, kind: &AttributeKind) -> Vec<u8> {
    let implementation = match kind {
        AttributeKind::String | AttributeKind::Number | AttributeKind::Bool => GobType::Primitive,
        AttributeKind::List(_) => GobType::List,
        AttributeKind::Map(_) => GobType::Map,
    };
    GobEncoder { numbers, defined: Vec::new() }.stream(GobType::Gob, |encoder, sink, buffer| {
        buffer.push(2);
        encoder.interface(sink, buffer, implementation, |encoder, _, value| {
            value.push(1);
            match kind {
                AttributeKind::String => value.push(b'S'),
                AttributeKind::Number => value.push(b'N'),
                AttributeKind::Bool => value.push(b'B'),
                AttributeKind::List(element) | AttributeKind::Map(element) => {
                    bytes(value, &cty_type(encoder.numbers, element))
                }
            }
            value.push(0);
        });
        buffer.push(0);
    })
}

/// Sends a buffer off as one message, and empties it.
fn send(sink: &mut Vec<u8>, buffer: &mut Vec<u8>) {
    bytes(sink, buffer);
    buffer.clear();
}

fn string(out: &mut Vec<u8>, text: &str) {
    bytes(out, text.as_bytes());
}

fn bytes(out: &mut Vec<u8>, content: &[u8]) {
    uint(out, content.len() as u64);
    out.extend(content);
}

fn int(out: &mut Vec<u8>, number: i64) {
    let folded = (number as u64) << 1;
    uint(out, if number < 0 { !folded } else { folded });
}

fn uint(out: &mut Vec<u8>, number: u64) {
    if number < 128 {
        out.push(number as u8);
        return;
    }
    let all = number.to_be_bytes();
    let count = 8 - number.leading_zeros() as usize / 8;
    out.push((count as u8).wrapping_neg());
    out.extend(&all[8 - count..]);
}

#[cfg(test)]
mod tests;
