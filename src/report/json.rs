//! JSON for machines: `--format json` (the evidence, as `docs/evidence.schema.json` describes it) and `--format jsonl` (one event a line).
//! It owns that no character that could steer a terminal or reverse text stands in the output as itself: such characters become `\u`
//! escapes, which lose nothing.

use std::fmt::Write as _;

use serde::Serialize;

use assay_model::{Evidence, escape::is_harmless};

/// `value` over several lines, two spaces a level, with a line end: the same value gives the same text. Fails only where serde does (a map
/// whose keys are no strings).
pub(crate) fn pretty(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(harmless(&serde_json::to_string_pretty(value)?, true) + "\n")
}

/// `value` on one line, without a line end.
pub(crate) fn line(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(harmless(&serde_json::to_string(value)?, false))
}

/// JSON's own signs are all harmless, so that any other character stands inside a string, where `\u` may replace it (RFC 8259, section 7).
fn harmless(json: &str, keep_line_ends: bool) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if is_harmless(character) || (keep_line_ends && character == '\n') {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

/// The last line of `--format jsonl`: everything, as `--format json` gives it, as an event of its own.
pub(crate) fn result_line(evidence: &Evidence) -> Result<String, serde_json::Error> {
    line(&serde_json::json!({ "event": "result", "evidence": evidence }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use assay_model::sample;

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_dangerous_shows(text in any::<String>()) {
            let value = serde_json::json!({"a": [text]});
            for json in [pretty(&value).expect("JSON"), line(&value).expect("JSON")] {
                prop_assert_eq!(&serde_json::from_str::<Value>(&json).expect("reads back"), &value);
                prop_assert!(json.chars().all(|c| c == '\n' || is_harmless(c)));
            }
            prop_assert!(!line(&value).expect("JSON").contains('\n'));
        }
    }

    #[test]
    fn the_last_line_of_a_stream_holds_everything() {
        let last: Value = serde_json::from_str(&result_line(&sample::evidence()).expect("JSON")).expect("JSON");
        assert_eq!((&last["event"], &last["evidence"]["verdict"]), (&"result".into(), &"failed".into()));
    }

    const SCHEMA: &str = include_str!("../../docs/evidence.schema.json");

    #[test]
    fn the_published_schema_holds_for_evidence_and_names_every_field() {
        let schema: Value = serde_json::from_str(SCHEMA).expect("a schema");
        let evidence = serde_json::to_value(sample::evidence()).expect("JSON");
        let mut seen = std::collections::BTreeSet::new();
        let mut wrong = Vec::new();
        validate(&schema, &schema, &evidence, "$", &mut wrong, &mut seen);
        assert_eq!(wrong, Vec::<String>::new());
        let mut known = std::collections::BTreeSet::new();
        properties(&schema, &mut known);
        // The sample fills every field once: what the schema names beyond that does not exist.
        assert_eq!(seen, known);
    }

    #[test]
    fn the_schema_refuses_what_is_no_evidence() {
        let schema: Value = serde_json::from_str(SCHEMA).expect("a schema");
        let break_at = |pointer: &str, value: Value| {
            let mut evidence = serde_json::to_value(sample::evidence()).expect("JSON");
            *evidence.pointer_mut(pointer).expect(pointer) = value;
            let mut wrong = Vec::new();
            validate(&schema, &schema, &evidence, "$", &mut wrong, &mut Default::default());
            assert!(!wrong.is_empty(), "{pointer} was accepted");
        };
        break_at("/verdict", "ok".into());
        break_at("/targets/0/host_key", Value::Null);
        break_at("/targets/0/checks/0/outcome", "unknown".into());
        break_at("/targets/0/checks/0/attempts", "1".into());
        break_at("/suites/0", serde_json::json!({"name": "smoke"}));
        break_at("/leftovers/0", serde_json::json!({"surprise": 1}));
    }

    /// As much of JSON Schema (2020-12) as the published file uses; an unknown keyword fails, so that nothing in it goes unchecked.
    fn validate(
        root: &Value,
        schema: &Value,
        value: &Value,
        place: &str,
        wrong: &mut Vec<String>,
        seen: &mut std::collections::BTreeSet<String>,
    ) {
        let keywords = schema.as_object().expect("a schema is an object");
        let mut note = |what: String| wrong.push(format!("{place}: {what}"));
        for (keyword, rule) in keywords {
            match keyword.as_str() {
                "$schema" | "$id" | "title" | "description" | "$defs" | "properties" | "items" | "$ref" => {}
                "type" => {
                    let kinds = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                    let fits = |kind: &str| match kind {
                        "object" => value.is_object(),
                        "array" => value.is_array(),
                        "string" => value.is_string(),
                        "boolean" => value.is_boolean(),
                        "integer" => value.is_u64() || value.is_i64(),
                        other => panic!("type {other}"),
                    };
                    if !kinds.iter().any(|kind| fits(kind.as_str().expect("a type"))) {
                        note(format!("is no {rule}"));
                    }
                }
                "enum" => {
                    if !rule.as_array().expect("a list").contains(value) {
                        note(format!("{value} is none of {rule}"));
                    }
                }
                "const" if rule == value => {}
                "const" => note(format!("{value} is not {rule}")),
                "minimum" => {
                    if value.as_f64() < rule.as_f64() {
                        note(format!("{value} is below {rule}"));
                    }
                }
                "pattern" => {
                    let pattern = regex::Regex::new(rule.as_str().expect("a pattern")).expect("a pattern");
                    if !value.as_str().is_some_and(|text| pattern.is_match(text)) {
                        note(format!("{value} does not match {rule}"));
                    }
                }
                "required" => {
                    for name in rule.as_array().expect("a list") {
                        if value.get(name.as_str().expect("a name")).is_none() {
                            note(format!("{name} is missing"));
                        }
                    }
                }
                "additionalProperties" if rule.is_object() => {}
                "additionalProperties" => assert_eq!(rule, &Value::Bool(false)),
                other => panic!("this test does not know the keyword {other}"),
            }
        }
        // A map whose keys are data.
        if let Some(rule) = schema.get("additionalProperties").filter(|rule| rule.is_object()) {
            for (name, field) in value.as_object().into_iter().flatten() {
                validate(root, rule, field, &format!("{place}.{name}"), wrong, seen);
            }
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let inner = root.pointer(reference.trim_start_matches('#')).expect(reference);
            validate(root, inner, value, place, wrong, seen);
        }
        if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
            for (number, item) in list.iter().enumerate() {
                validate(root, items, item, &format!("{place}[{number}]"), wrong, seen);
            }
        }
        if let (Some(known), Some(fields)) = (schema.get("properties"), value.as_object()) {
            for (name, field) in fields {
                match known.get(name) {
                    Some(inner) => {
                        seen.insert(format!("{}.{name}", schema["title"].as_str().expect("a title")));
                        validate(root, inner, field, &format!("{place}.{name}"), wrong, seen);
                    }
                    None => wrong.push(format!("{place}: no field {name}")),
                }
            }
        }
    }

    fn properties(schema: &Value, known: &mut std::collections::BTreeSet<String>) {
        let Some(object) = schema.as_object() else { return };
        if let Some(properties) = object.get("properties").and_then(Value::as_object) {
            for name in properties.keys() {
                known.insert(format!("{}.{name}", schema["title"].as_str().expect("a title")));
            }
        }
        for (_, inner) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            properties(inner, known);
        }
    }
}
