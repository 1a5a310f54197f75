//! The post-processor: the noun that a plugin implements and Packer calls. Both ends.
//!
//! It owns the rules of one post-processor's life: configured any number of times, then asked to process an artifact;
//! cancelled at any time. A Cancel holds for good, also when it comes before the work (the Go SDK loses that one), and
//! the end of the connection is a Cancel too. An error makes Packer destroy the artifact, so nothing here invents one:
//! only a plugin's own error, a defect in it, or a call that could not be set up at all is answered with an error.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rmpv::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::artifact::{Artifact, ArtifactProxy};
use super::broker::StreamBroker;
use super::config::ComponentConfig;
use super::encoding::SpecEncoding;
use super::msgpack;
use super::rpc::{self, CallError, NIL, RpcClient, RpcHandler, RpcReply};
use super::spec::OptionsSpec;
use super::ui::Ui;

/// What a plugin implements to be a post-processor.
pub trait PostProcessor: Send + Sync + 'static {
    /// The options that Packer accepts in the block. Asked any number of times; always the same.
    fn spec(&self) -> OptionsSpec;

    /// Takes the options in. Called more than once on one process; the last call counts, and only that one may hold
    /// every value ([`ComponentConfig::unknowns`]). The error's text is shown to the user, and may have many lines.
    fn configure(&self, config: ComponentConfig) -> BoxFuture<'_, Result<(), String>>;

    /// Does the work. `cancel` is cancelled when Packer says so or is gone; the work should then end soon, and is
    /// waited for: how long cleaning up may take is the implementor's to bound.
    fn post_process(&self, ui: Ui, artifact: Artifact, cancel: CancellationToken) -> BoxFuture<'_, PostProcessOutcome>;
}

/// What came of the work. Without an error, the artifact that came in is handed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostProcessOutcome {
    /// Fails the build; Packer then destroys the artifact, unless another post-processor has kept it.
    pub error: Option<String>,
    /// Packer shall keep the artifact that came in.
    pub keep: bool,
    /// `keep` holds against the user's `keep_input_artifact`.
    pub force_override: bool,
}

impl PostProcessOutcome {
    /// Success; the artifact stays, whatever the template says.
    pub fn kept() -> Self {
        Self { error: None, keep: true, force_override: true }
    }

    /// Failure with a text for the user.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { error: Some(text.into()), keep: true, force_override: true }
    }
}

/// The plugin's end: answers `PostProcessor.…` on the main stream.
pub struct PostProcessorService {
    component: Arc<dyn PostProcessor>,
    encoding: SpecEncoding,
    broker: Arc<StreamBroker>,
    cancel: CancellationToken,
    running: TaskTracker,
}

impl PostProcessorService {
    /// Serves `component`. `cancel` is cancelled by Packer's Cancel; `running` tracks the work, which outlives the
    /// stream until it has ended by itself.
    pub fn new(
        component: Arc<dyn PostProcessor>,
        encoding: SpecEncoding,
        broker: Arc<StreamBroker>,
        cancel: CancellationToken,
        running: TaskTracker,
    ) -> Self {
        Self { component, encoding, broker, cancel, running }
    }

    fn config_spec(&self) -> RpcReply {
        let bytes = self.encoding.spec(&self.component.spec());
        Ok(msgpack::encode(&msgpack::map([("ConfigSpec", Value::Binary(bytes))])))
    }

    async fn configure(&self, argument: &[u8]) -> RpcReply {
        let argument = msgpack::decode(argument).map_err(|error| error.to_string())?;
        let config = ComponentConfig::from_argument(&argument).map_err(|error| error.to_string())?;
        self.component.configure(config).await.map(|()| NIL.to_vec())
    }

    async fn post_process(&self, argument: &[u8]) -> RpcReply {
        let id = msgpack::decode(argument).ok().and_then(|id| id.as_u64()).and_then(|id| u32::try_from(id).ok());
        let id = id.ok_or("PostProcess takes the number of a stream")?;
        let stream = self.broker.dial(id).await.map_err(|error| format!("the stream of Ui and artifact: {error}"))?;
        let client = RpcClient::new(stream);
        let (component, cancel) = (Arc::clone(&self.component), self.cancel.clone());
        let (ui, artifact) = (Ui::new(client.clone()), Artifact::new(client));
        let given = artifact.clone();
        let work = self.running.spawn(async move { component.post_process(ui, given, cancel).await });
        // Dropping this future, when the stream ends, leaves the work running.
        let outcome = work.await.map_err(|_| "PostProcess failed: a defect in the plugin".to_owned())?;
        Ok(self.answer(outcome, artifact))
    }

    /// `PostProcessorProcessResponse` in the SDK's `rpc/post_processor.go`.
    fn answer(&self, outcome: PostProcessOutcome, artifact: Artifact) -> Vec<u8> {
        let (error, stream) = match outcome.error {
            Some(text) => (msgpack::map([("Message", text.into())]), 0),
            None => (Value::Nil, self.hand_back(artifact)),
        };
        msgpack::encode(&msgpack::map([
            ("Err", error),
            ("Keep", outcome.keep.into()),
            ("ForceOverride", outcome.force_override.into()),
            ("StreamId", stream.into()),
        ]))
    }

    /// Serves the artifact under a new number, which Packer dials as soon as it has the answer.
    fn hand_back(&self, artifact: Artifact) -> u32 {
        let id = self.broker.next_id();
        let broker = Arc::clone(&self.broker);
        tokio::spawn(async move {
            let expected = broker.expect(id).await;
            // The session's end must not wait for this stream's.
            drop(broker);
            let served = match expected {
                Ok(stream) => {
                    rpc::serve(stream, Arc::new(ArtifactProxy::new(artifact))).await.map_err(|e| e.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = served {
                tracing::warn!(%error, "handing the artifact back to Packer");
            }
        });
        id
    }
}

impl RpcHandler for PostProcessorService {
    fn call(self: Arc<Self>, method: String, argument: Vec<u8>) -> BoxFuture<'static, RpcReply> {
        async move {
            match method.as_str() {
                "PostProcessor.ConfigSpec" => self.config_spec(),
                "PostProcessor.Configure" => self.configure(&argument).await,
                "PostProcessor.PostProcess" => self.post_process(&argument).await,
                "PostProcessor.Cancel" => {
                    self.cancel.cancel();
                    Ok(NIL.to_vec())
                }
                _ => rpc::unknown_method(&method),
            }
        }
        .boxed()
    }
}

/// Packer's end: calls `PostProcessor.…` on the main stream.
#[derive(Debug, Clone)]
pub struct RemotePostProcessor {
    client: RpcClient,
}

/// What Packer learns from PostProcess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostProcessAnswer {
    /// What the plugin said of the work.
    pub outcome: PostProcessOutcome,
    /// Under which number the plugin serves its artifact; 0 for none.
    pub stream: u32,
}

impl RemotePostProcessor {
    /// The post-processor behind a main stream.
    pub fn new(client: RpcClient) -> Self {
        Self { client }
    }

    /// The spec's bytes, in whichever encoding the plugin was started with.
    pub async fn config_spec(&self) -> Result<Vec<u8>, CallError> {
        const METHOD: &str = "PostProcessor.ConfigSpec";
        let raw = self.client.call(METHOD, NIL.to_vec()).await?;
        let value = msgpack::decode(&raw).ok();
        let bytes = value.as_ref().and_then(|value| msgpack::get(value, "ConfigSpec")).and_then(Value::as_slice);
        bytes.map(<[u8]>::to_vec).ok_or_else(|| unexpected(METHOD, "ConfigSpec"))
    }

    /// Configures it with the elements of Packer's list.
    pub async fn configure(&self, list: Vec<Value>) -> Result<(), CallError> {
        let argument = msgpack::map([("Configs", Value::Array(list))]);
        self.client.call("PostProcessor.Configure", msgpack::encode(&argument)).await.map(drop)
    }

    /// Has it process the artifact that is served, with a Ui, under the number `stream`.
    pub async fn post_process(&self, stream: u32) -> Result<PostProcessAnswer, CallError> {
        const METHOD: &str = "PostProcessor.PostProcess";
        let raw = self.client.call_patiently(METHOD, msgpack::encode(&stream.into())).await?;
        let value = msgpack::decode(&raw).map_err(|_| unexpected(METHOD, "an answer"))?;
        PostProcessAnswer::read(&value).ok_or_else(|| unexpected(METHOD, "Err, Keep, ForceOverride and StreamId"))
    }

    /// Cancels it.
    pub async fn cancel(&self) -> Result<(), CallError> {
        self.client.call("PostProcessor.Cancel", NIL.to_vec()).await.map(drop)
    }
}

impl PostProcessAnswer {
    fn read(value: &Value) -> Option<Self> {
        let error = match msgpack::get(value, "Err")? {
            Value::Nil => None,
            error => Some(msgpack::get(error, "Message")?.as_str()?.to_owned()),
        };
        let outcome = PostProcessOutcome {
            error,
            keep: msgpack::get(value, "Keep")?.as_bool()?,
            force_override: msgpack::get(value, "ForceOverride")?.as_bool()?,
        };
        Some(Self { outcome, stream: u32::try_from(msgpack::get(value, "StreamId")?.as_u64()?).ok()? })
    }
}

fn unexpected(method: &str, expected: &'static str) -> CallError {
    CallError::Unexpected { method: method.to_owned(), expected }
}
