//! The example's post-processor. It owns a few options and a greeting, and touches nothing outside its process.

use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::wire::{
    Artifact, AttributeKind, CallError, ComponentConfig, OptionsSpec, PostProcessOutcome, PostProcessor, Ui, config,
};

/// What the SDK's reference plugin of the tests is in Go, word for word.
#[derive(Default)]
pub(crate) struct Greeter {
    mode: Mutex<String>,
}

impl Greeter {
    async fn greet(&self, ui: &Ui, artifact: &Artifact) -> Result<String, CallError> {
        let id = artifact.id().await?;
        ui.say(&format!("received {id} from {}", artifact.builder_id().await?)).await?;
        let data = artifact.state("generated_data").await?;
        ui.message(&format!("built as {}", data["User"].as_str().unwrap_or("nobody"))).await?;
        ui.machine("reference,verdict", &[&self.mode(), &artifact.id().await?]).await?;
        if self.mode() == "fail" {
            ui.error("the reference was told to fail").await?;
            return artifact.id().await;
        }
        Ok(id)
    }

    fn mode(&self) -> String {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self, config: &ComponentConfig) -> Result<(), String> {
        let mut mistakes = Vec::new();
        let option = |name: &str| config.options.get(name);
        let mode = option("mode").and_then(|mode| mode.as_str()).unwrap_or_default();
        if !["", "pass", "fail", "wait", config::UNKNOWN].contains(&mode) {
            mistakes.push(format!("mode {mode:?} is not one of pass, fail, wait"));
        }
        if let Some(count) = option("count").and_then(|count| count.as_i64()).filter(|count| *count < 0) {
            mistakes.push(format!("count {count} is negative"));
        }
        for name in option("tags").and_then(|tags| tags.as_object()).into_iter().flatten().map(|(name, _)| name) {
            if name.starts_with("reference:") {
                mistakes.push(format!("tag `{name}` is reserved"));
            }
        }
        let known = self.spec();
        mistakes.extend(config.options.keys().filter(|name| !known.fields.contains_key(*name)).cloned());
        mistakes.sort();
        mode.clone_into(&mut self.mode.lock().unwrap_or_else(PoisonError::into_inner));
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("\n")) }
    }
}

impl PostProcessor for Greeter {
    fn spec(&self) -> OptionsSpec {
        let check =
            OptionsSpec::new().required("command", AttributeKind::String).optional("retries", AttributeKind::Number);
        OptionsSpec::new()
            .required("message", AttributeKind::String)
            .optional("mode", AttributeKind::String)
            .optional("count", AttributeKind::Number)
            .optional("force", AttributeKind::Bool)
            .optional("paths", AttributeKind::list(AttributeKind::String))
            .optional("tags", AttributeKind::map(AttributeKind::String))
            .block_list("check", check)
    }

    fn configure(&self, config: ComponentConfig) -> BoxFuture<'_, Result<(), String>> {
        async move { self.take(&config) }.boxed()
    }

    fn post_process(&self, ui: Ui, artifact: Artifact, cancel: CancellationToken) -> BoxFuture<'_, PostProcessOutcome> {
        async move {
            let id = match self.greet(&ui, &artifact).await {
                Ok(id) => id,
                Err(error) => return PostProcessOutcome::failed(error.to_string()),
            };
            match self.mode().as_str() {
                "fail" => PostProcessOutcome::failed(format!("rejected {id}")),
                "wait" => {
                    cancel.cancelled().await;
                    PostProcessOutcome::failed("cancelled while waiting")
                }
                _ => PostProcessOutcome::kept(),
            }
        }
        .boxed()
    }
}
