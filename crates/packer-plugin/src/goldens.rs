//! The two encodings of specifications and of values against the Go SDK's bytes, which `tests/goldens` keeps.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{AttributeKind, OptionsSpec, SpecField, cty::CtyObject, gob, spec_proto};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens");

fn read(path: &str) -> Vec<u8> {
    std::fs::read(format!("{FOLDER}/{path}")).unwrap_or_else(|error| panic!("tests/goldens/{path}: {error}"))
}

/// The specifications that can be said on our side, by name.
fn specs() -> Vec<(String, OptionsSpec)> {
    let listing: Value = serde_json::from_slice(&read("specs.json")).unwrap();
    let ours = listing.as_object().unwrap().iter().filter(|(_, each)| each["sdk_only"] == false);
    ours.map(|(name, each)| (name.clone(), spec(&each["fields"]))).collect()
}

fn spec(fields: &Value) -> OptionsSpec {
    fields.as_object().unwrap().iter().fold(OptionsSpec::new(), |spec, (name, each)| spec.with(name, field(each)))
}

fn field(each: &Value) -> SpecField {
    let required = each["required"] == true;
    if let Some(nested) = each.get("block") {
        return SpecField::Block { required, nested: spec(nested) };
    }
    if let Some(nested) = each.get("block_list") {
        return SpecField::BlockList { nested: spec(nested) };
    }
    SpecField::Attribute { kind: kind(&each["attribute"]), required }
}

fn kind(value: &Value) -> AttributeKind {
    match (value.as_str(), value[0].as_str()) {
        (Some("string"), _) => AttributeKind::String,
        (Some("number"), _) => AttributeKind::Number,
        (Some("bool"), _) => AttributeKind::Bool,
        (_, Some("list")) => AttributeKind::list(kind(&value[1])),
        (_, Some("map")) => AttributeKind::map(kind(&value[1])),
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

/// The values by name; the flag says that the SDK has no gob of it in order, only ours is kept and read by the SDK.
fn values() -> Vec<(String, CtyObject, bool)> {
    let listing: Value = serde_json::from_slice(&read("values.json")).unwrap();
    let object = |each: &Value| {
        let types = each["types"].as_object().unwrap().iter();
        let kinds: BTreeMap<_, _> = types.map(|(name, each)| (name.clone(), kind(each))).collect();
        CtyObject::new(&kinds, each["value"].as_object().unwrap().clone()).unwrap()
    };
    let all = listing.as_object().unwrap().iter();
    all.map(|(name, each)| (name.clone(), object(each), each["crowded"] == true)).collect()
}

#[test]
fn values_are_the_sdks_byte_for_byte() {
    let values = values();
    assert!(values.len() >= 12, "values.json lists only {}", values.len());
    for (name, value, crowded) in values {
        let folder = if crowded { "values/gob/ours" } else { "values/gob" };
        let ours = gob::encode_value(&value);
        if crowded && std::env::var_os("ASSAY_WRITE_GOLDENS").is_some() {
            std::fs::create_dir_all(format!("{FOLDER}/{folder}")).unwrap();
            std::fs::write(format!("{FOLDER}/{folder}/{name}.bin"), &ours).unwrap();
        }
        assert!(ours == read(&format!("{folder}/{name}.bin")), "{folder}/{name}.bin");
        assert!(value.to_msgpack() == read(&format!("values/msgpack/{name}.bin")), "values/msgpack/{name}.bin");
    }
}
