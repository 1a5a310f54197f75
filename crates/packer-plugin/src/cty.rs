//! A value with its type, as go-cty writes one whose type the reader does not know: the answer of a data source.
//!
//! It owns objects whose attributes are texts, switches, and lists and maps of these; the type is declared once and every value is held
//! against it, so that what is sent never contradicts the output's specification. It refuses numbers, which gob carries as Go's `big.Float`.
//!
//! The msgpack form is that of go-cty 1.13 (`cty/msgpack/dynamic.go`): an array of the type, as JSON in bytes, and the value. The gob form
//! is [`super::gob`]'s.

use std::collections::BTreeMap;

use rmpv::Value;
use serde_json::{Map, Value as Json, json};

use super::msgpack::{self, MsgpackError};
use super::spec::AttributeKind;

/// An object: each attribute with its type and its value, which may be null.
#[derive(Debug, Clone, PartialEq)]
pub struct CtyObject {
    attributes: BTreeMap<String, (AttributeKind, Json)>,
}

/// Why a value cannot be sent or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CtyError {
    /// A value of an attribute that the output does not declare.
    #[error("there is no output `{0}`")]
    Undeclared(String),
    /// A value that is not of the declared type.
    #[error("`{place}` is to be {expected}")]
    Mismatch {
        /// Where, like `amis["x86_64"]`.
        place: String,
        /// The type, in HCL's words.
        expected: String,
    },
    /// A type that is not carried.
    #[error("`{0}` is a number, which outputs cannot be; declare a text")]
    Number(String),
    /// Bytes that are no msgpack.
    #[error(transparent)]
    Msgpack(#[from] MsgpackError),
    /// msgpack that is no value with its type.
    #[error("no value with its type: {0}")]
    Shape(&'static str),
}

impl CtyObject {
    /// `values` by the types in `kinds`. What has no value is null.
    pub fn new(kinds: &BTreeMap<String, AttributeKind>, mut values: Map<String, Json>) -> Result<Self, CtyError> {
        let mut attributes = BTreeMap::new();
        for (name, kind) in kinds {
            let mut value = values.shift_remove(name).unwrap_or(Json::Null);
            conform(name, kind, &value)?;
            // Go writes maps so; the same value is to give the same bytes.
            value.sort_all_objects();
            attributes.insert(name.clone(), (kind.clone(), value));
        }
        match values.keys().next() {
            Some(name) => Err(CtyError::Undeclared(name.clone())),
            None => Ok(Self { attributes }),
        }
    }

    /// The attributes by name, in order.
    pub fn attributes(&self) -> impl ExactSizeIterator<Item = (&str, &AttributeKind, &Json)> {
        self.attributes.iter().map(|(name, (kind, value))| (name.as_str(), kind, value))
    }

    /// The type and the value in msgpack.
    pub fn to_msgpack(&self) -> Vec<u8> {
        let kinds: Map<String, Json> =
            self.attributes().map(|(name, kind, _)| (name.to_owned(), type_of(kind))).collect();
        let values = self.attributes().map(|(name, _, value)| (Value::from(name), to_value(value))).collect();
        let kind = json!(["object", kinds]).to_string().into_bytes();
        msgpack::encode(&Value::Array(vec![Value::Binary(kind), Value::Map(values)]))
    }
}

/// Reads what [`CtyObject::to_msgpack`] writes, without holding the value against its type: Packer's end, for tests.
pub fn from_msgpack(raw: &[u8]) -> Result<Map<String, Json>, CtyError> {
    let value = msgpack::decode(raw)?;
    let [kind, value] = value.as_array().map(Vec::as_slice).ok_or(CtyError::Shape("it is no list"))? else {
        return Err(CtyError::Shape("it is no list of two"));
    };
    let kind: Option<Json> = kind.as_slice().and_then(|bytes| serde_json::from_slice(bytes).ok());
    if kind.is_none_or(|kind| kind[0] != "object") {
        return Err(CtyError::Shape("its type is no object's"));
    }
    match msgpack::to_json(value) {
        Ok(Json::Object(values)) => Ok(values),
        _ => Err(CtyError::Shape("it is no object of texts, switches, lists and maps")),
    }
}

/// The type in cty's JSON (`cty/json.go`).
fn type_of(kind: &AttributeKind) -> Json {
    match kind {
        AttributeKind::String => json!("string"),
        AttributeKind::Number => json!("number"),
        AttributeKind::Bool => json!("bool"),
        AttributeKind::List(element) => json!(["list", type_of(element)]),
        AttributeKind::Map(element) => json!(["map", type_of(element)]),
    }
}

fn words(kind: &AttributeKind) -> String {
    match kind {
        AttributeKind::String => "string".to_owned(),
        AttributeKind::Number => "number".to_owned(),
        AttributeKind::Bool => "bool".to_owned(),
        AttributeKind::List(element) => format!("list({})", words(element)),
        AttributeKind::Map(element) => format!("map({})", words(element)),
    }
}

fn conform(place: &str, kind: &AttributeKind, value: &Json) -> Result<(), CtyError> {
    match (kind, value) {
        (AttributeKind::Number, _) => Err(CtyError::Number(place.to_owned())),
        // Go's msgpack knows a null everywhere; a null *inside* a list or map is of no use to a template.
        (_, Json::Null) | (AttributeKind::String, Json::String(_)) | (AttributeKind::Bool, Json::Bool(_)) => Ok(()),
        (AttributeKind::List(element), Json::Array(items)) => {
            items.iter().enumerate().try_for_each(|(index, item)| inside(&format!("{place}[{index}]"), element, item))
        }
        (AttributeKind::Map(element), Json::Object(entries)) => {
            entries.iter().try_for_each(|(key, item)| inside(&format!("{place}[{key:?}]"), element, item))
        }
        _ => Err(CtyError::Mismatch { place: place.to_owned(), expected: words(kind) }),
    }
}

fn inside(place: &str, kind: &AttributeKind, value: &Json) -> Result<(), CtyError> {
    match value {
        Json::Null => Err(CtyError::Mismatch { place: place.to_owned(), expected: words(kind) }),
        value => conform(place, kind, value),
    }
}

fn to_value(value: &Json) -> Value {
    match value {
        Json::Bool(flag) => Value::from(*flag),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(to_value).collect::<Vec<_>>().into(),
        Json::Object(entries) => {
            Value::Map(entries.iter().map(|(key, item)| (Value::from(key.as_str()), to_value(item))).collect())
        }
        // No number passes `conform`.
        Json::Null | Json::Number(_) => Value::Nil,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds() -> BTreeMap<String, AttributeKind> {
        [
            ("id", AttributeKind::String),
            ("amis", AttributeKind::map(AttributeKind::map(AttributeKind::String))),
            ("regions", AttributeKind::list(AttributeKind::String)),
            ("gold", AttributeKind::Bool),
        ]
        .map(|(name, kind)| (name.to_owned(), kind))
        .into()
    }

    fn object(values: Json) -> Result<CtyObject, CtyError> {
        CtyObject::new(&kinds(), values.as_object().cloned().unwrap_or_default())
    }

    /// Seen between Packer 1.16 and the SDK's own server.
    #[test]
    fn the_bytes_are_those_that_packer_was_seen_to_read() {
        let kinds = [("id", AttributeKind::String), ("tags", AttributeKind::map(AttributeKind::String))]
            .map(|(name, kind)| (name.to_owned(), kind));
        let values = json!({"id": "ami-1", "tags": {"a": "b"}});
        let object = CtyObject::new(&kinds.into(), values.as_object().cloned().expect("an object")).expect("conforms");
        let mut expected = b"\x92\xc4\x32[\"object\",{\"id\":\"string\",\"tags\":[\"map\",\"string\"]}]".to_vec();
        expected.extend(b"\x82\xa2id\xa5ami-1\xa4tags\x81\xa1a\xa1b");
        assert_eq!(object.to_msgpack(), expected);
    }

    #[test]
    fn what_has_no_value_is_null_and_comes_back_so() {
        let values = json!({"id": "x", "amis": {"x86_64": {"us-east-1": "ami-1"}}, "regions": [], "gold": true});
        let sent = object(values.clone()).expect("conforms").to_msgpack();
        assert_eq!(Json::Object(from_msgpack(&sent).expect("reads")), values);
        let empty = object(json!({})).expect("conforms").to_msgpack();
        assert_eq!(from_msgpack(&empty).expect("reads")["id"], Json::Null);
    }

    #[test]
    fn what_contradicts_the_declaration_is_a_defect_that_is_named() {
        let refused = |values: Json| object(values).expect_err("refused").to_string();
        assert_eq!(refused(json!({"idd": "x"})), "there is no output `idd`");
        assert_eq!(refused(json!({"id": true})), "`id` is to be string");
        assert_eq!(refused(json!({"amis": {"a": ["b"]}})), "`amis[\"a\"]` is to be map(string)");
        assert_eq!(refused(json!({"regions": ["a", null]})), "`regions[1]` is to be string");
        let number =
            CtyObject::new(&[("n".to_owned(), AttributeKind::Number)].into(), Map::new()).expect_err("refused");
        assert_eq!(number, CtyError::Number("n".to_owned()));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for raw in [
            &b""[..],
            b"\xc0",
            b"\x92\xc0\xc0",
            b"\x91\xc4\x00",
            b"\x92\xc4\x08\"string\"\xa1x",
            b"\x92\xc4\x0b[\"object\",1]\xa1x",
        ] {
            assert!(from_msgpack(raw).is_err(), "{raw:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_value_or_an_error(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_msgpack(&raw);
            let framed = [&b"\x92\xc4\x0d[\"object\",{}]"[..], &raw].concat();
            let _ = from_msgpack(&framed);
        }
    }
}
