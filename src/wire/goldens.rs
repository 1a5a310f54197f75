//! The two encodings of specifications against the Go SDK's bytes, which `tests/goldens` keeps.

use serde_json::Value;

use super::{Field, Kind, Spec, gob, spec_proto};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens");

fn read(path: &str) -> Vec<u8> {
    std::fs::read(format!("{FOLDER}/{path}")).unwrap_or_else(|error| panic!("tests/goldens/{path}: {error}"))
}

/// The specifications that can be said on our side, by name.
fn specs() -> Vec<(String, Spec)> {
    let listing: Value = serde_json::from_slice(&read("specs.json")).unwrap();
    let ours = listing.as_object().unwrap().iter().filter(|(_, each)| each["sdk_only"] == false);
    ours.map(|(name, each)| (name.clone(), spec(&each["fields"]))).collect()
}

fn spec(fields: &Value) -> Spec {
    fields.as_object().unwrap().iter().fold(Spec::new(), |spec, (name, each)| spec.with(name, field(each)))
}

fn field(each: &Value) -> Field {
    let required = each["required"] == true;
    if let Some(nested) = each.get("block") {
        return Field::Block { required, nested: spec(nested) };
    }
    if let Some(nested) = each.get("block_list") {
        return Field::BlockList { nested: spec(nested) };
    }
    Field::Attribute { kind: kind(&each["attribute"]), required }
}

fn kind(value: &Value) -> Kind {
    match (value.as_str(), value[0].as_str()) {
        (Some("string"), _) => Kind::String,
        (Some("number"), _) => Kind::Number,
        (Some("bool"), _) => Kind::Bool,
        (_, Some("list")) => Kind::list(kind(&value[1])),
        (_, Some("map")) => Kind::map(kind(&value[1])),
        _ => panic!("specs.json: no type {value}"),
    }
}

#[test]
fn both_encodings_are_the_sdks_byte_for_byte() {
    let specs = specs();
    assert!(specs.len() >= 19, "specs.json lists only {}", specs.len());
    for (name, spec) in specs {
        assert!(gob::encode(&spec) == read(&format!("gob/{name}.bin")), "gob/{name}.bin");
        assert!(gob::encode(&spec) == read(&format!("gob/ours/{name}.bin")), "gob/ours/{name}.bin");
        assert!(spec_proto::encode(&spec) == read(&format!("proto/{name}.bin")), "proto/{name}.bin");
    }
}
