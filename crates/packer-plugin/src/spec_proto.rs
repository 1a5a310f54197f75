//! A [`OptionsSpec`] as protobuf, the way Packer 1.12 and later ask for it (`start … --protobuf`).
//!
//! It owns the messages of `proto/packer_spec.proto`; the other encoding is [`super::gob`]'s.

use prost::Message;

use super::spec::{AttributeKind, OptionsSpec, SpecField};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
mod messages {
    include!(concat!(env!("OUT_DIR"), "/packer_spec.rs"));
}

use messages::{cty_type::TypeDef, spec::Block as Choice};

/// The bytes of the message `Spec{object}`: the body of an answer to ConfigSpec.
pub fn encode(spec: &OptionsSpec) -> Vec<u8> {
    object(spec).encode_to_vec()
}

fn object(spec: &OptionsSpec) -> messages::Spec {
    let attributes = spec.fields.iter().map(|(name, each)| (name.clone(), field(name, each))).collect();
    messages::Spec { block: Some(Choice::Object(messages::Object { attributes })) }
}

fn field(name: &str, field: &SpecField) -> messages::Spec {
    let name = name.to_owned();
    let choice = match field {
        SpecField::Attribute { kind, required } => {
            Choice::Attr(messages::Attr { name, r#type: Some(cty_type(kind)), required: *required })
        }
        SpecField::Block { required, nested } => Choice::BlockValue(Box::new(messages::Block {
            name,
            required: *required,
            nested: Some(Box::new(object(nested))),
        })),
        SpecField::BlockList { nested } => {
            Choice::BlockList(Box::new(messages::BlockList { name, nested: Some(Box::new(object(nested))) }))
        }
    };
    messages::Spec { block: Some(choice) }
}

fn cty_type(kind: &AttributeKind) -> messages::CtyType {
    let primitive = |name: &str| TypeDef::Primitive(messages::CtyPrimitive { type_string: name.to_owned() });
    let type_def = match kind {
        AttributeKind::String => primitive("cty.String"),
        AttributeKind::Number => primitive("cty.Number"),
        AttributeKind::Bool => primitive("cty.Bool"),
        AttributeKind::List(element) => {
            TypeDef::List(Box::new(messages::CtyList { element_type: Some(Box::new(cty_type(element))) }))
        }
        AttributeKind::Map(element) => {
            TypeDef::Map(Box::new(messages::CtyMap { element_type: Some(Box::new(cty_type(element))) }))
        }
    };
    messages::CtyType { type_def: Some(type_def) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen on the wire between Packer 1.16.0 and a plugin of the Go SDK.
    #[test]
    fn one_string_gives_the_sdks_bytes() {
        let mut expected = vec![0x0a, 0x1c, 0x0a, 0x1a, 0x0a, 0x01, b'q', 0x12, 0x15, 0x12, 0x13, 0x0a, 0x01, b'q'];
        expected.extend([0x12, 0x0e, 0x0a, 0x0c, 0x0a, 0x0a]);
        expected.extend(b"cty.String");
        assert_eq!(encode(&OptionsSpec::new().optional("q", AttributeKind::String)), expected);
    }

    /// `required` is one more field of Attr, and makes every enclosing length two longer.
    #[test]
    fn required_is_field_three() {
        let bytes = encode(&OptionsSpec::new().required("q", AttributeKind::String));
        assert!(bytes.starts_with(&[0x0a, 0x1e, 0x0a, 0x1c, 0x0a, 0x01, b'q', 0x12, 0x17, 0x12, 0x15]));
        assert!(bytes.ends_with(&[0x18, 0x01]));
    }

    #[test]
    fn every_shape_has_its_field_number() {
        let nested = OptionsSpec::new().optional("n", AttributeKind::Bool);
        let block = encode(&OptionsSpec::new().with("b", SpecField::Block { required: true, nested: nested.clone() }));
        // object > entry "b" > block_value(3){name, required(2), nested(3)}
        assert_eq!(
            &block[..16],
            [0x0a, 0x2c, 0x0a, 0x2a, 0x0a, 1, b'b', 0x12, 0x25, 0x1a, 0x23, 0x0a, 1, b'b', 0x10, 1]
        );
        assert_eq!(block[16], 0x1a);
        let list = encode(&OptionsSpec::new().block_list("b", nested));
        assert_eq!(&list[..15], [0x0a, 0x2a, 0x0a, 0x28, 0x0a, 1, b'b', 0x12, 0x23, 0x22, 0x21, 0x0a, 1, b'b', 0x12]);
        let map =
            encode(&OptionsSpec::new().optional("m", AttributeKind::map(AttributeKind::list(AttributeKind::Number))));
        assert!(map.windows(4).any(|w| w[0] == 0x1a && w[2] == 0x0a), "map is field 3, its element field 1");
        assert!(map.ends_with(b"cty.Number"));
    }

    #[test]
    fn no_options_are_an_empty_object() {
        assert_eq!(encode(&OptionsSpec::new()), [0x0a, 0x00]);
    }
}
