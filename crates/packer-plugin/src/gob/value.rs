//! A value with its type as Go gob: what `cty.Value` of go-cty 1.13 (Packer's fork, `cty/gob.go`) makes of itself.
//!
//! Three streams lie in each other: the value that encodes itself, in it a `gobValue` of type and content, and in that the type, which
//! encodes itself too and holds a stream for each of its parts. Content is Go's own: a text is a `string`, an object or a map a
//! `map[string]interface {}`, a list an `[]interface {}`, and null a nil interface.

use serde_json::Value as Json;

use super::{GobEncoder, GobNumbers, GobType, bytes, cty_type, string, uint};
use crate::cty::CtyObject;

/// The bytes of a whole gob stream holding one `cty.Value`: the body of an answer to Execute.
pub fn encode_value(value: &CtyObject) -> Vec<u8> {
    let mut numbers = GobNumbers::default();
    GobEncoder { numbers: &mut numbers, defined: Vec::new() }.stream(GobType::Value, |encoder, _, buffer| {
        // Not a struct, hence a zero first.
        buffer.push(0);
        bytes(buffer, &gob_value(encoder.numbers, value));
    })
}

/// `gobValue`: Version 0, which is left out, Ty, and V.
fn gob_value(numbers: &mut GobNumbers, value: &CtyObject) -> Vec<u8> {
    GobEncoder { numbers, defined: Vec::new() }.stream(GobType::GobValue, |encoder, sink, buffer| {
        buffer.push(2);
        bytes(buffer, &object_type(encoder.numbers, value));
        buffer.push(1);
        encoder.interface(sink, buffer, GobType::Entries, |encoder, sink, inside| {
            encoder.entries(sink, inside, value.attributes().map(|(name, _, value)| (name, value)));
        });
        buffer.push(0);
    })
}

/// The object's own type: `gobType` around a `typeObject`, whose optional attributes are none and left out.
fn object_type(numbers: &mut GobNumbers, value: &CtyObject) -> Vec<u8> {
    GobEncoder { numbers, defined: Vec::new() }.stream(GobType::Gob, |encoder, sink, buffer| {
        buffer.push(2);
        encoder.interface(sink, buffer, GobType::Object, |encoder, _, inside| {
            inside.push(1);
            uint(inside, value.attributes().len() as u64);
            for (name, kind, _) in value.attributes() {
                string(inside, name);
                bytes(inside, &cty_type(encoder.numbers, kind));
            }
            inside.push(0);
        });
        buffer.push(0);
    })
}

impl GobEncoder<'_> {
    /// A `map[string]interface {}`.
    fn entries<'a>(
        &mut self,
        sink: &mut Vec<u8>,
        buffer: &mut Vec<u8>,
        entries: impl ExactSizeIterator<Item = (&'a str, &'a Json)>,
    ) {
        buffer.push(0);
        uint(buffer, entries.len() as u64);
        for (key, value) in entries {
            string(buffer, key);
            self.content(sink, buffer, value);
        }
    }

    /// An interface's value; a nil one is a name of no length.
    fn content(&mut self, sink: &mut Vec<u8>, buffer: &mut Vec<u8>, value: &Json) {
        match value {
            // Objects hold no numbers.
            Json::Null | Json::Number(_) => buffer.push(0),
            Json::Bool(flag) => self.interface(sink, buffer, GobType::Bool, |_, _, inside| {
                inside.extend([0, u8::from(*flag)]);
            }),
            Json::String(text) => self.interface(sink, buffer, GobType::String, |_, _, inside| {
                inside.push(0);
                string(inside, text);
            }),
            Json::Array(items) => self.interface(sink, buffer, GobType::Items, |encoder, sink, inside| {
                inside.push(0);
                uint(inside, items.len() as u64);
                for item in items {
                    encoder.content(sink, inside, item);
                }
            }),
            Json::Object(entries) => self.interface(sink, buffer, GobType::Entries, |encoder, sink, inside| {
                encoder.entries(sink, inside, entries.iter().map(|(key, value)| (key.as_str(), value)));
            }),
        }
    }
}
