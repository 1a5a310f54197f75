//! What Packer sends to Configure, as plain values.
//!
//! Packer sends a list, in two shapes. From an HCL template: a map of `packer_…` values and the options as cty's JSON in
//! bytes (and, for provisioners, a map of overrides). From a legacy JSON template: the options as a plain map, a map of
//! `packer_…` values, and a map of build variables that are not known yet. This file takes both apart. It refuses to
//! judge options: which exist, and what they mean, is the component's business.
//!
//! Packer configures more than once; only the last time, right before the work, are build variables known. Before that
//! they stand as [`UNKNOWN`] in texts, and as 0, false or empty in other types.

use std::collections::BTreeMap;

use rmpv::Value;
use serde_json::{Map, Value as Json};

use super::msgpack;

/// What stands in a text for a value that Packer does not know yet.
pub const UNKNOWN: &str = "<unknown>";

/// A component's configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ComponentConfig {
    /// The user's options, by name. What the user left out (null on the wire) is left out here; absent blocks are
    /// empty lists.
    pub options: Map<String, Json>,
    /// Where each option came from.
    pub origins: BTreeMap<String, ConfigOrigin>,
    /// Packer's own values, with their full names (`packer_build_name`, `packer_builder_type`, …).
    pub packer: Map<String, Json>,
    /// Build variables that a JSON template's text might name, each with a placeholder for its value.
    pub placeholders: Map<String, Json>,
    /// The options came from a legacy JSON template: Packer has not interpolated `{{ … }}` in their texts, and has not
    /// checked them against the component's spec.
    pub from_json_template: bool,
}

/// Which part of the list an option came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigOrigin {
    /// An HCL template, evaluated and checked by Packer.
    Hcl,
    /// A legacy JSON template, as written.
    JsonTemplate,
    /// The `override` of an HCL provisioner, for the source being built.
    Override,
}

/// Why the list cannot be understood. The user can do nothing about it but change Packer's version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No map with a list of configurations.
    #[error("Configure was called without a list of configurations")]
    NoList,
    /// An element that is neither bytes nor map nor nil.
    #[error("part {0} of the configuration is neither a map nor JSON")]
    Part(usize),
    /// Bytes that are not `{"value": {…}, "type": …}`.
    #[error("part {part} of the configuration is not JSON of an object: {reason}")]
    Cty {
        /// Which part, from 0.
        part: usize,
        /// What JSON's reader says.
        reason: String,
    },
    /// A value that JSON cannot hold.
    #[error("the configuration's `{key}` holds {reason}")]
    Value {
        /// Which key.
        key: String,
        /// What it holds.
        reason: String,
    },
}

impl ComponentConfig {
    /// Takes Configure's argument apart: `{"Configs": […]}`.
    pub fn from_argument(argument: &Value) -> Result<Self, ConfigError> {
        let list = msgpack::get(argument, "Configs").and_then(Value::as_array).ok_or(ConfigError::NoList)?;
        let mut config = Self { from_json_template: !list.iter().any(Value::is_bin), ..Self::default() };
        for (part, element) in list.iter().enumerate() {
            match element {
                Value::Nil => {}
                Value::Binary(bytes) => config.add_cty(part, bytes)?,
                Value::Map(entries) if config.from_json_template && part > 0 && are_placeholders(entries) => {
                    config.add_placeholders(entries);
                }
                Value::Map(entries) => config.add_map(entries)?,
                _ => return Err(ConfigError::Part(part)),
            }
        }
        Ok(config)
    }

    /// One of Packer's own values as text, by its full name.
    pub fn packer_text(&self, key: &str) -> Option<&str> {
        self.packer.get(key)?.as_str()
    }

    /// One of Packer's own switches; HCL templates send the texts "true" and "false". False when absent.
    pub fn packer_flag(&self, key: &str) -> bool {
        match self.packer.get(key) {
            Some(Json::Bool(flag)) => *flag,
            Some(Json::String(text)) => text == "true",
            _ => false,
        }
    }

    /// The places in the options that hold [`UNKNOWN`], like `tags.Name` or `check[0].name`: values of which nothing
    /// can be said yet. Empty for JSON templates.
    pub fn unknowns(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !self.from_json_template {
            for (name, value) in &self.options {
                unknowns(name, value, &mut found);
            }
        }
        found
    }

    /// `{"value": {…}, "type": […]}`, as go-cty writes a value of dynamic type; the type repeats our own spec.
    fn add_cty(&mut self, part: usize, bytes: &[u8]) -> Result<(), ConfigError> {
        let broken = |reason: String| ConfigError::Cty { part, reason };
        let document: Json = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
        match document {
            Json::Object(mut parts) => match parts.remove("value") {
                Some(Json::Object(options)) => {
                    for (name, value) in options {
                        self.set(name, value, ConfigOrigin::Hcl);
                    }
                    Ok(())
                }
                // An object all of whose attributes are unset.
                Some(Json::Null) => Ok(()),
                _ => Err(broken("it has no object `value`".to_owned())),
            },
            _ => Err(broken("it is no object".to_owned())),
        }
    }

    fn add_map(&mut self, entries: &[(Value, Value)]) -> Result<(), ConfigError> {
        let origin = if self.from_json_template { ConfigOrigin::JsonTemplate } else { ConfigOrigin::Override };
        for (key, value) in entries {
            let Some(name) = key.as_str() else {
                return Err(ConfigError::Value { key: key.to_string(), reason: "a name that is not text".to_owned() });
            };
            let value =
                msgpack::to_json(value).map_err(|reason| ConfigError::Value { key: name.to_owned(), reason })?;
            if name.starts_with("packer_") {
                self.packer.insert(name.to_owned(), value);
            } else {
                self.set(name.to_owned(), value, origin);
            }
        }
        Ok(())
    }

    fn add_placeholders(&mut self, entries: &[(Value, Value)]) {
        for (key, value) in entries {
            if let (Some(key), Some(value)) = (key.as_str(), value.as_str()) {
                self.placeholders.insert(key.to_owned(), value.into());
            }
        }
    }

    fn set(&mut self, name: String, value: Json, origin: ConfigOrigin) {
        if !value.is_null() {
            self.origins.insert(name.clone(), origin);
            self.options.insert(name, value);
        }
    }
}

/// Whether a map is the third of a JSON template: it holds `"ID": "Build_ID. To set this …"` and the like
/// (`BasicPlaceholderData` in Packer's packer/build.go), among values of other forms.
fn are_placeholders(entries: &[(Value, Value)]) -> bool {
    entries.iter().any(|(key, value)| match (key.as_str(), value.as_str()) {
        (Some(key), Some(text)) => text.strip_prefix("Build_").is_some_and(|rest| rest.starts_with(key)),
        _ => false,
    })
}

fn unknowns(place: &str, value: &Json, found: &mut Vec<String>) {
    match value {
        Json::String(text) if text.contains(UNKNOWN) => found.push(place.to_owned()),
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                unknowns(&format!("{place}[{index}]"), item, found);
            }
        }
        Json::Object(entries) => {
            for (name, item) in entries {
                unknowns(&format!("{place}.{name}"), item, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn from_list(list: Vec<Value>) -> Result<ComponentConfig, ConfigError> {
        ComponentConfig::from_argument(&msgpack::map([("Configs", Value::Array(list))]))
    }

    fn hcl() -> Vec<Value> {
        let packer = msgpack::map([
            ("packer_build_name", "a".into()),
            ("packer_builder_type", "file".into()),
            ("packer_core_version", "1.16.0".into()),
            ("packer_debug", "true".into()),
            ("packer_force", "false".into()),
            ("packer_on_error", "".into()),
            ("packer_sensitive_variables", Value::Array(Vec::new())),
        ]);
        let json = br#"{"value":{"check":[{"name":"n\u003cunknown\u003e"}],"count":2,"message":"hi \u003cunknown\u003e","regions":null},"type":["object",{"check":["list",["object",{"name":"string"}]],"count":"number","message":"string","regions":["list","string"]}]}"#;
        vec![packer, Value::Binary(json.to_vec())]
    }

    #[test]
    fn hcl_templates_send_a_map_and_json() {
        let config = from_list(hcl()).unwrap();
        assert!(!config.from_json_template);
        let expected = json!({"check": [{"name": "n<unknown>"}], "count": 2, "message": "hi <unknown>"});
        assert_eq!(Json::Object(config.options.clone()), expected);
        assert_eq!(config.origins["count"], ConfigOrigin::Hcl);
        assert!(!config.origins.contains_key("regions"), "what the user left out is left out");
        assert_eq!(config.packer_text("packer_builder_type"), Some("file"));
        assert!(config.packer_flag("packer_debug"));
        assert!(!config.packer_flag("packer_force"));
        assert!(!config.packer_flag("packer_nothing"));
        assert_eq!(config.unknowns(), ["check[0].name", "message"]);
    }

    #[test]
    fn a_provisioners_override_is_merged_last() {
        let mut list = hcl();
        list.push(msgpack::map([("count", 3.into())]));
        list.push(Value::Nil);
        let config = from_list(list).unwrap();
        assert_eq!(config.options["count"], json!(3));
        assert_eq!(config.origins["count"], ConfigOrigin::Override);
    }

    #[test]
    fn json_templates_send_three_maps() {
        let list = vec![
            msgpack::map([
                ("image", "base-{{ user `u` }} <unknown>".into()),
                ("count", Value::F64(2.0)),
                ("check", Value::Array(vec![msgpack::map([("name", "n".into())])])),
            ]),
            msgpack::map([
                ("packer_debug", true.into()),
                ("packer_template_path", "/t.json".into()),
                ("packer_user_variables", msgpack::map([("", "".into()), ("u", "x".into())])),
                ("packer_sensitive_variables", Value::Nil),
            ]),
            msgpack::map([("ID", "Build_ID. …".into()), ("WinRMPassword", "{{.WinRMPassword}}".into())]),
        ];
        let config = from_list(list).unwrap();
        assert!(config.from_json_template);
        assert_eq!(config.options["count"], json!(2), "a float that is whole is an integer");
        assert_eq!(config.options.keys().collect::<Vec<_>>(), ["image", "count", "check"]);
        assert_eq!(config.origins["image"], ConfigOrigin::JsonTemplate);
        assert!(config.packer_flag("packer_debug"));
        assert_eq!(config.packer["packer_user_variables"], json!({"": "", "u": "x"}));
        assert_eq!(config.placeholders.keys().collect::<Vec<_>>(), ["ID", "WinRMPassword"]);
        assert_eq!(config.unknowns(), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        assert_eq!(ComponentConfig::from_argument(&Value::Nil), Err(ConfigError::NoList));
        assert_eq!(from_list(vec![Value::Nil, 5.into()]), Err(ConfigError::Part(1)));
        for bytes in [&b"{"[..], b"[]", b"{}", br#"{"value":5}"#] {
            let result = from_list(vec![Value::Binary(bytes.to_vec())]);
            assert!(matches!(result, Err(ConfigError::Cty { part: 0, .. })), "{bytes:?}");
        }
        let text = from_list(vec![msgpack::map([("x", Value::Binary(vec![0xff]))])]).unwrap_err().to_string();
        assert_eq!(text, "the configuration's `x` holds bytes that are not text");
        assert!(from_list(vec![Value::Map(vec![(1.into(), 2.into())])]).is_err());
        assert_eq!(from_list(Vec::new()).unwrap().options.len(), 0);
    }

    proptest! {
        #[test]
        fn any_argument_is_a_configuration_or_an_error(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            let list = vec![Value::Binary(raw.clone()), msgpack::decode(&raw).unwrap_or(Value::Nil)];
            let _ = from_list(list);
        }
    }
}
