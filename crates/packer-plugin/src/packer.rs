//! Packer's side of a session: what drives a plugin. Packer itself has its own; this one serves tests, here and in other
//! rooms, so that a plugin can be tried whole without a Packer.
//!
//! It does what Packer 1.16 does, in the same order, and notes what it saw; it judges nothing.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use rmpv::Value;
use serde_json::Value as Json;
use tokio::io::{AsyncRead, AsyncWrite};

use super::artifact::{Artifact, LocalArtifact};
use super::broker::{BrokerError, StreamBroker};
use super::data_source;
use super::msgpack;
use super::mux::Mode;
use super::post_processor::{PostProcessOutcome, RemotePostProcessor};
use super::rpc::{self, CallError, RpcClient, RpcHandler, RpcReply, unknown_method};
use super::ui::{self, UiLine};

/// A running session with a plugin that serves a post-processor.
pub struct PackerSession {
    broker: Arc<StreamBroker>,
    remote: RemotePostProcessor,
}

/// A running session with a plugin that serves a data source. Packer needs no other stream for it.
pub struct DataSession {
    remote: data_source::RemoteDataSource,
    // The connection ends with it.
    _broker: StreamBroker,
}

impl DataSession {
    /// Opens Packer's main stream on a connection to a plugin.
    pub async fn start<T>(connection: T) -> Result<Self, SessionError>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let broker = StreamBroker::start(connection, Mode::Client);
        let main = broker.dial(0).await?;
        Ok(Self { remote: data_source::RemoteDataSource::new(RpcClient::new(main)), _broker: broker })
    }

    /// The data source's calls.
    pub fn data_source(&self) -> &data_source::RemoteDataSource {
        &self.remote
    }

    /// Configures it as Packer 1.16 does: a data source gets its options and nothing of Packer's own.
    pub async fn configure(&self, options: &Json) -> Result<(), SessionError> {
        let list = hcl_list(&[], options).split_off(1);
        Ok(self.remote.configure(list).await?)
    }
}

/// What one PostProcess brought.
pub struct ProcessedArtifact {
    /// What the plugin said.
    pub outcome: PostProcessOutcome,
    /// The plugin's artifact; none when it failed.
    pub artifact: Option<Artifact>,
}

/// Why a session could not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// A stream could not be opened.
    #[error(transparent)]
    Stream(#[from] BrokerError),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl PackerSession {
    /// Opens Packer's main stream on a connection to a plugin.
    pub async fn start<T>(connection: T) -> Result<Self, SessionError>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let broker = Arc::new(StreamBroker::start(connection, Mode::Client));
        let main = broker.dial(0).await?;
        Ok(Self { broker, remote: RemotePostProcessor::new(RpcClient::new(main)) })
    }

    /// The post-processor's calls that need nothing else.
    pub fn post_processor(&self) -> &RemotePostProcessor {
        &self.remote
    }

    /// Configures it as Packer 1.16 does for an HCL template.
    pub async fn configure_hcl(&self, packer: &[(&str, &str)], options: &Json) -> Result<(), SessionError> {
        Ok(self.remote.configure(hcl_list(packer, options)).await?)
    }

    /// Serves an artifact and a Ui, has them processed, and dials the artifact that comes back.
    pub async fn post_process(&self, desk: Arc<PackerStub>) -> Result<ProcessedArtifact, SessionError> {
        let id = self.broker.next_id();
        let broker = Arc::clone(&self.broker);
        tokio::spawn(async move {
            let expected = broker.expect(id).await;
            // The session's end must not wait for this stream's.
            drop(broker);
            if let Ok(stream) = expected {
                drop(rpc::serve(stream, desk).await);
            }
        });
        let answer = self.remote.post_process(id).await?;
        let artifact = match answer.stream {
            0 => None,
            stream => Some(Artifact::new(RpcClient::new(self.broker.dial(stream).await?))),
        };
        Ok(ProcessedArtifact { outcome: answer.outcome, artifact })
    }
}

/// Configure's list for an HCL template: a map of `packer_…` texts, and the options as cty's JSON.
pub fn hcl_list(packer: &[(&str, &str)], options: &Json) -> Vec<Value> {
    let packer = packer.iter().map(|(key, value)| (Value::from(*key), Value::from(*value))).collect();
    let document = serde_json::json!({ "value": options, "type": "dynamic" });
    vec![Value::Map(packer), Value::Binary(document.to_string().into_bytes())]
}

/// What Packer serves to a plugin at work: an artifact and the Ui. It keeps all lines.
#[derive(Debug, Default)]
pub struct PackerStub {
    artifact: LocalArtifact,
    lines: Mutex<Vec<UiLine>>,
    destroyed: Mutex<u32>,
}

impl PackerStub {
    /// A desk with this artifact on it.
    pub fn new(artifact: LocalArtifact) -> Self {
        Self { artifact, ..Self::default() }
    }

    /// The lines said so far.
    pub fn lines(&self) -> Vec<UiLine> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often the plugin asked for the artifact's end.
    pub fn destroyed(&self) -> u32 {
        *self.destroyed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, method: &str, argument: &[u8]) -> RpcReply {
        if method.starts_with("Ui.") {
            return ui::answer(method, argument, |line| {
                self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            });
        }
        if method.starts_with("Artifact.") {
            return self.artifact.answer(method, argument, || {
                *self.destroyed.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                Ok(())
            });
        }
        unknown_method(method)
    }
}

impl RpcHandler for PackerStub {
    fn call(self: Arc<Self>, method: String, argument: Vec<u8>) -> BoxFuture<'static, RpcReply> {
        async move { self.answer(&method, &argument) }.boxed()
    }
}

/// A state for [`LocalArtifact`]: what a builder keeps as `generated_data`.
pub fn generated_data(entries: &[(&str, &str)]) -> Value {
    Value::Map(entries.iter().map(|(key, value)| (Value::from(*key), Value::from(*value))).collect())
}

/// The list of a legacy JSON template: options as written, Packer's values, and placeholders.
pub fn json_list(options: Value, packer: Value) -> Vec<Value> {
    let placeholders = msgpack::map([
        ("ID", "Build_ID. To set this dynamically in the Packer template, you must use the `build` function".into()),
        ("WinRMPassword", "{{.WinRMPassword}}".into()),
    ]);
    vec![options, packer, placeholders]
}
