//! A [`Spec`] as Go gob, the way Packer before 1.12 reads it, and any Packer with one old plugin installed.
//!
//! It owns an encoder for exactly one family of Go types (`hcldec.ObjectSpec` and what it holds) and refuses to be a
//! general gob library; nothing here decodes. Go's own encoder defines types inside values, in the order in which it
//! meets them, with numbers that depend on the process's history. Here all definitions come first, under fixed numbers;
//! Go decodes both to equal values, and the same spec always gives the same bytes.
//!
//! The format is that of Go's `encoding/gob` package documentation. Unsigned integers below 128 are one byte, others
//! the count of bytes (negated) and then big-endian bytes; signed ones carry their sign in the lowest bit. A struct is
//! (field-number delta, value)… 0; a field that is zero is left out. A definition's number is negative.

use super::spec::{Field, Kind, Spec};

/// Numbers of Go's built-in types (`encoding/gob/type.go`).
mod builtin {
    pub const BOOL: i64 = 1;
    pub const INT: i64 = 2;
    pub const UINT: i64 = 3;
    pub const STRING: i64 = 6;
    pub const INTERFACE: i64 = 8;
}

/// The numbers under which this encoder defines the spec's types.
mod own {
    pub const OBJECT_SPEC: i64 = 64;
    pub const ATTR_SPEC: i64 = 65;
    pub const BLOCK_LIST_SPEC: i64 = 66;
    pub const BLOCK_SPEC: i64 = 67;
    pub const TYPE: i64 = 68;
}

/// The numbers within the small stream that describes one cty type.
mod inner {
    pub const GOB_TYPE: i64 = 65;
    pub const VARIANT: i64 = 66;
    pub const ELEMENT: i64 = 69;
}

/// The names under which packer-plugin-sdk registers the types (`rpc/common.go`); a nested object has no short one.
const ATTR_SPEC: &str = "*hcldec.AttrSpec";
const BLOCK_SPEC: &str = "*hcldec.BlockSpec";
const BLOCK_LIST_SPEC: &str = "*hcldec.BlockListSpec";
const OBJECT_SPEC: &str = "github.com/hashicorp/hcl/v2/hcldec.ObjectSpec";

/// The bytes of a whole gob stream holding one `hcldec.ObjectSpec`: the body of an answer to ConfigSpec.
pub fn encode(spec: &Spec) -> Vec<u8> {
    let mut out = definitions();
    message(&mut out, |body| {
        int(body, own::OBJECT_SPEC);
        object(body, spec);
    });
    out
}

fn definitions() -> Vec<u8> {
    use builtin::{BOOL, INT, INTERFACE, STRING};
    let mut out = Vec::new();
    message(&mut out, |body| {
        int(body, -own::OBJECT_SPEC);
        body.push(4); // wireType's fourth field, MapT
        common(body, "ObjectSpec", own::OBJECT_SPEC);
        body.push(1);
        int(body, STRING);
        body.push(1);
        int(body, INTERFACE);
        body.extend([0, 0]);
    });
    let attr = [("Name", STRING), ("Type", own::TYPE), ("Required", BOOL)];
    structure(&mut out, own::ATTR_SPEC, "AttrSpec", &attr);
    gob_encoder(&mut out, own::TYPE);
    let list = [("TypeName", STRING), ("Nested", INTERFACE), ("MinItems", INT), ("MaxItems", INT)];
    structure(&mut out, own::BLOCK_LIST_SPEC, "BlockListSpec", &list);
    let block = [("TypeName", STRING), ("Nested", INTERFACE), ("Required", BOOL)];
    structure(&mut out, own::BLOCK_SPEC, "BlockSpec", &block);
    out
}

/// An ObjectSpec's value: not a struct, hence a zero first, then the map's entries.
fn object(out: &mut Vec<u8>, spec: &Spec) {
    out.push(0);
    uint(out, spec.fields.len() as u64);
    for (name, each) in &spec.fields {
        string(out, name);
        field(out, name, each);
    }
}

fn field(out: &mut Vec<u8>, name: &str, field: &Field) {
    match field {
        Field::Attribute { kind, required } => interface(out, ATTR_SPEC, own::ATTR_SPEC, |value| {
            value.push(1);
            string(value, name);
            value.push(1);
            bytes(value, &cty_type(kind));
            flag(value, *required);
        }),
        Field::Block { required, nested } => interface(out, BLOCK_SPEC, own::BLOCK_SPEC, |value| {
            block_head(value, name, nested);
            flag(value, *required);
        }),
        Field::BlockList { nested } => interface(out, BLOCK_LIST_SPEC, own::BLOCK_LIST_SPEC, |value| {
            block_head(value, name, nested);
            value.push(0);
        }),
    }
}

fn block_head(out: &mut Vec<u8>, name: &str, nested: &Spec) {
    out.push(1);
    string(out, name);
    out.push(1);
    interface(out, OBJECT_SPEC, own::OBJECT_SPEC, |value| object(value, nested));
}

/// The last, boolean field of a struct and the struct's end.
fn flag(out: &mut Vec<u8>, set: bool) {
    if set {
        out.extend([1, 1]);
    }
    out.push(0);
}

/// A cty type: a gob stream of its own, since `cty.Type` is a GobEncoder (go-cty 1.13 of Packer's fork, `cty/gob.go`).
fn cty_type(kind: &Kind) -> Vec<u8> {
    let mut out = Vec::new();
    let fields = [("Version", builtin::INT), ("Impl", builtin::INTERFACE)];
    structure(&mut out, inner::GOB_TYPE, "gobType", &fields);
    match kind {
        Kind::String => primitive(&mut out, b'S'),
        Kind::Number => primitive(&mut out, b'N'),
        Kind::Bool => primitive(&mut out, b'B'),
        Kind::List(element) => collection(&mut out, "typeList", element),
        Kind::Map(element) => collection(&mut out, "typeMap", element),
    }
    out
}

fn primitive(out: &mut Vec<u8>, letter: u8) {
    structure(out, inner::VARIANT, "primitiveType", &[("Kind", builtin::UINT)]);
    implementation(out, "primitiveType", |value| value.extend([1, letter, 0]));
}

fn collection(out: &mut Vec<u8>, name: &str, element: &Kind) {
    structure(out, inner::VARIANT, name, &[("ElementTypeT", inner::ELEMENT)]);
    gob_encoder(out, inner::ELEMENT);
    implementation(out, name, |value| {
        value.push(1);
        bytes(value, &cty_type(element));
        value.push(0);
    });
}

/// The value message of a type's stream: gobType with Version 0 (left out) and Impl.
fn implementation(out: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    message(out, |body| {
        int(body, inner::GOB_TYPE);
        body.push(2);
        interface(body, &format!("github.com/zclconf/go-cty/cty.{name}"), inner::VARIANT, value);
        body.push(0);
    });
}

/// Defines a struct type.
fn structure(out: &mut Vec<u8>, id: i64, name: &str, fields: &[(&str, i64)]) {
    message(out, |body| {
        int(body, -id);
        body.push(3); // wireType's third field, StructT
        common(body, name, id);
        body.push(1);
        uint(body, fields.len() as u64);
        for (field, kind) in fields {
            body.push(1);
            string(body, field);
            body.push(1);
            int(body, *kind);
            body.push(0);
        }
        body.extend([0, 0]);
    });
}

/// Defines `cty.Type`, which encodes itself.
fn gob_encoder(out: &mut Vec<u8>, id: i64) {
    message(out, |body| {
        int(body, -id);
        body.push(5); // wireType's fifth field, GobEncoderT
        common(body, "Type", id);
        body.extend([0, 0]);
    });
}

/// The first field of every type definition: its name and number.
fn common(out: &mut Vec<u8>, name: &str, id: i64) {
    out.extend([1, 1]);
    string(out, name);
    out.push(1);
    int(out, id);
    out.push(0);
}

fn interface(out: &mut Vec<u8>, name: &str, id: i64, value: impl FnOnce(&mut Vec<u8>)) {
    string(out, name);
    int(out, id);
    let mut inside = Vec::new();
    value(&mut inside);
    bytes(out, &inside);
}

fn message(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let mut inside = Vec::new();
    body(&mut inside);
    bytes(out, &inside);
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
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn integers_are_gos() {
        let of = |number| {
            let mut out = Vec::new();
            int(&mut out, number);
            out
        };
        assert_eq!(of(0), [0]);
        assert_eq!(of(-1), [1]);
        assert_eq!(of(-64), [0x7f]);
        assert_eq!(of(64), [0xff, 0x80]);
        assert_eq!(of(-65), [0xff, 0x81]);
        assert_eq!(of(200), [0xfe, 0x01, 0x90]);
        assert_eq!(of(i64::MIN), [0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    }

    /// The definitions and the length that Packer 1.7.10, 1.11.2 and 1.16.0 accepted.
    #[test]
    fn one_required_string_gives_the_proven_bytes() {
        let bytes = encode(&Spec::new().required("m", Kind::String));
        let start = hex(
            "197f0401010a4f626a6563745370656301ff8000010c01100000
             36ff8103010108417474725370656301ff8200010301044e616d65010c0001045479706501ff880001085265717569726564010200000010
             ff87050101045479706501ff88000000
             4dff83",
        );
        assert_eq!(&bytes[..start.len()], start);
        assert_eq!(bytes.len(), 410);
    }

    #[test]
    fn a_primitive_types_stream_is_gos() {
        let expected = hex(
            "2aff8103010107676f625479706501ff82000102010756657273696f6e0104000104496d706c0110000000
             24ff830301010d7072696d69746976655479706501ff8400010101044b696e640106000000
             36ff82022b6769746875622e636f6d2f7a636c636f6e662f676f2d6374792f6374792e7072696d697469766554797065ff840301530000",
        );
        assert_eq!(cty_type(&Kind::String), expected);
        let number = cty_type(&Kind::Number);
        assert_eq!(number[number.len() - 3], b'N');
        let boolean = cty_type(&Kind::Bool);
        assert_eq!(boolean[boolean.len() - 3], b'B');
    }

    #[test]
    fn zero_fields_are_left_out() {
        let required = encode(&Spec::new().required("m", Kind::String));
        let optional = encode(&Spec::new().optional("m", Kind::String));
        assert_eq!(required.len(), optional.len() + 2);
    }
}
