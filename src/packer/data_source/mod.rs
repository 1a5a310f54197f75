//! The data source `data "assay-image"`: it gives a template the gold AMI of an image line. It owns its options, their mistakes (all at once,
//! in Configure, so that `packer validate` tells them) and the names of what templates read; which AMI is gold is [`manager::gold`]'s to know.
//! It asks no cloud.

mod options;

use crate::manager;
use std::{collections::BTreeMap, path::PathBuf, sync::Mutex};

use futures::future::BoxFuture;
use serde_json::{Map, Value as Json, json};

use crate::manager::GoldImage;
use assay_ledger::environment_of_process;
use options::{DataSourceOptions, ProcessSurroundings};
use packer_plugin::{AttributeKind, ComponentConfig, DataSource, OptionsSpec};

/// The name in the plugin's description; Packer puts the plugin's own before it: `data "assay-image"`.
pub const NAME: &str = "image";

/// The component.
#[derive(Default)]
pub struct ImageDataSource {
    options: Mutex<Option<DataSourceOptions>>,
}

impl DataSource for ImageDataSource {
    fn spec(&self) -> OptionsSpec {
        options::spec()
    }

    fn output(&self) -> BTreeMap<String, AttributeKind> {
        let texts = ["id", "run", "name", "source_digest", "promoted_at", "owner"];
        let mut output: BTreeMap<String, AttributeKind> =
            texts.map(|name| (name.to_owned(), AttributeKind::String)).into();
        output.insert("amis".to_owned(), AttributeKind::map(AttributeKind::map(AttributeKind::String)));
        output
    }

    fn configure(&self, config: ComponentConfig) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let surroundings = ProcessSurroundings {
                working_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
                environment: environment_of_process(),
            };
            let options = DataSourceOptions::read(&config.options, &surroundings)?;
            *self.options.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(options);
            Ok(())
        })
    }

    fn execute(&self) -> BoxFuture<'_, Result<Map<String, Json>, String>> {
        let options = self.options.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        Box::pin(async move {
            let request = options.ok_or("it was never configured")?.request(jiff::Timestamp::now())?;
            let gold = manager::gold(&request).await.map_err(|error| error.to_string())?;
            if let Some(moment) = &gold.revoked_from {
                tracing::warn!(image = %request.image, run = %gold.run, "this gold is revoked from {moment} on");
            }
            Ok(output(&gold))
        })
    }
}

/// What templates read. Texts are never null: an empty one can stand in a longer text.
fn output(gold: &GoldImage) -> Map<String, Json> {
    [
        ("id", json!(gold.ami.ami.id.as_str())),
        ("run", json!(gold.run.to_string())),
        ("name", json!(gold.ami.name)),
        ("source_digest", json!(gold.source_digest.as_deref().unwrap_or_default())),
        ("promoted_at", json!(gold.promoted_at)),
        ("owner", json!(gold.ami.owner.as_str())),
        ("amis", json!(gold.amis)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use packer_plugin::{
        CallError, Component,
        encoding::SpecEncoding,
        packer::{DataSession, SessionError},
        server::serve_connection,
    };

    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gold");

    /// The kept assay.hcl and lock outside of this repository, whose own `images/` would count.
    fn kept() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("images")).expect("made");
        for name in ["assay.hcl", "images/base.lock.hcl"] {
            std::fs::copy(std::path::Path::new(KEPT).join(name), folder.path().join(name)).expect("copied");
        }
        let config = folder.path().join("assay.hcl");
        (folder, config)
    }

    async fn session() -> DataSession {
        let (near, far) = tokio::io::duplex(1 << 16);
        let component = Component::DataSource(Arc::new(ImageDataSource::default()));
        tokio::spawn(serve_connection(near, component, SpecEncoding::Protobuf));
        DataSession::start(far).await.expect("a session")
    }

    #[tokio::test]
    async fn a_template_reads_the_gold() {
        let (_folder, config) = kept();
        let session = session().await;
        let options = json!({"image": "base", "region": "eu-west-1", "config": config, "architecture": null});
        session.configure(&options).await.expect("configured");
        let values = session.data_source().values().await.expect("values");
        let expected = json!({
            "id": "ami-0aaaaaaaaaaaaaaa3",
            "run": "01KAQ3B6G0R8ZJ5Q2X7V9N4M1C",
            "name": "base-ami-0aaaaaaaaaaaaaaa3",
            "source_digest": assay_model::Digest::of(b"inputs").to_string(),
            "promoted_at": "2026-11-22T12:00:00Z",
            "owner": "123456789012",
            "amis": {
                "arm64": {"us-east-1": "ami-0aaaaaaaaaaaaaaa1"},
                "x86_64": {"eu-west-1": "ami-0aaaaaaaaaaaaaaa3", "us-east-1": "ami-0aaaaaaaaaaaaaaa2"},
            },
        });
        assert_eq!(Json::Object(values), expected);
    }

    #[tokio::test]
    async fn mistakes_come_from_configure_and_missing_gold_from_execute() {
        let (_folder, config) = kept();
        let session = session().await;
        let wrong = json!({"image": "Base", "region": "Oregon", "architecture": "amd64", "config": config});
        let refused = session.configure(&wrong).await.expect_err("refused").to_string();
        assert_eq!(refused.lines().count(), 3, "{refused}");
        let elsewhere = json!({"image": "base", "region": "us-west-2", "config": config});
        session.configure(&elsewhere).await.expect("configured");
        let failed = session.data_source().values().await.expect_err("no such AMI");
        assert!(
            matches!(&failed, CallError::Remote(text) if text.contains("no AMI for x86_64 in us-west-2")),
            "{failed}"
        );
        assert!(matches!(session.configure(&json!({})).await, Err(SessionError::Call(_))));
    }
}
