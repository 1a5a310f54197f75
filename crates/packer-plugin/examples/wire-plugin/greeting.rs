//! The example's data source. It owns two options and a greeting, and touches nothing outside its process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::wire::{AttributeKind, ComponentConfig, DataSource, OptionsSpec};

/// What the SDK's reference data source of the tests is in Go, word for word.
#[derive(Default)]
pub(crate) struct Greeting {
    options: Mutex<Map<String, Value>>,
}

impl DataSource for Greeting {
    fn spec(&self) -> OptionsSpec {
        OptionsSpec::new()
            .required("who", AttributeKind::String)
            .optional("tongues", AttributeKind::list(AttributeKind::String))
    }

    fn output(&self) -> BTreeMap<String, AttributeKind> {
        [
            ("greeting", AttributeKind::String),
            ("warm", AttributeKind::Bool),
            ("tongues", AttributeKind::list(AttributeKind::String)),
            ("by_tongue", AttributeKind::map(AttributeKind::map(AttributeKind::String))),
        ]
        .map(|(name, kind)| (name.to_owned(), kind))
        .into()
    }

    fn configure(&self, config: ComponentConfig) -> BoxFuture<'_, Result<(), String>> {
        let refused = config.options.get("who").is_some_and(|who| who == "nobody");
        *self.options.lock().unwrap_or_else(PoisonError::into_inner) = config.options;
        async move { if refused { Err("who: nobody cannot be greeted".to_owned()) } else { Ok(()) } }.boxed()
    }

    fn execute(&self) -> BoxFuture<'_, Result<Map<String, Value>, String>> {
        let options = self.options.lock().unwrap_or_else(PoisonError::into_inner).clone();
        async move {
            let who = options.get("who").and_then(Value::as_str).unwrap_or_default();
            if who == "nothing" {
                return Err("there is nothing\nto greet".to_owned());
            }
            let greeting = format!("hello {who}");
            let tongues = options.get("tongues").and_then(Value::as_array).cloned().unwrap_or_default();
            let by_tongue: Map<String, Value> = tongues
                .iter()
                .filter_map(Value::as_str)
                .map(|tongue| (tongue.to_owned(), json!({ "greeting": greeting })))
                .collect();
            let output = [
                ("greeting", json!(greeting)),
                ("warm", json!(true)),
                ("tongues", json!(tongues)),
                ("by_tongue", json!(by_tongue)),
            ];
            Ok(output.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())
        }
        .boxed()
    }
}
