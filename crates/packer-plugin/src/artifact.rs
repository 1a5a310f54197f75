//! What a build made: Packer's artifact as a plugin sees it, and the artifact that a plugin hands back. Both ends.
//!
//! A plugin returns the very artifact that it was given. To Packer that is a new remote noun, so this file serves one
//! that forwards each question to Packer's own, body bytes untouched (`State` must keep Go's map keys as text, or
//! Packer panics). It goes on serving after the post-process call was answered: Packer asks for State again for the
//! next post-processor, and never closes the stream.
//!
//! **Destroy is not forwarded.** A later post-processor that does not keep its input makes Packer call Destroy on *our*
//! artifact; forwarded, that would delete the image of a build that Packer then reports as green.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rmpv::Value;

use super::msgpack;
use super::rpc::{CallError, NIL, RpcClient, RpcHandler, RpcReply, unknown_method};

/// Packer's artifact, as a plugin sees it. Clones share one stream.
#[derive(Debug, Clone)]
pub struct Artifact {
    client: RpcClient,
}

impl Artifact {
    /// The artifact served on a stream.
    pub fn new(client: RpcClient) -> Self {
        Self { client }
    }

    /// What identifies the artifact to its kind of builder; for AMIs `region:ami-…,region:ami-…`, sorted.
    pub async fn id(&self) -> Result<String, CallError> {
        self.text("Artifact.Id").await
    }

    /// Which kind of builder made it, like `mitchellh.amazonebs`.
    pub async fn builder_id(&self) -> Result<String, CallError> {
        self.text("Artifact.BuilderId").await
    }

    /// The artifact described for people.
    pub async fn string(&self) -> Result<String, CallError> {
        self.text("Artifact.String").await
    }

    /// The files it consists of; none for AMIs.
    pub async fn files(&self) -> Result<Vec<String>, CallError> {
        const METHOD: &str = "Artifact.Files";
        let unexpected = || CallError::Unexpected { method: METHOD.to_owned(), expected: "a list of texts" };
        let value = self.ask(METHOD, NIL.to_vec(), "a list of texts").await?;
        match value {
            // Go sends an empty list as nil.
            Value::Nil => Ok(Vec::new()),
            Value::Array(items) => {
                items.into_iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(unexpected)).collect()
            }
            _ => Err(unexpected()),
        }
    }

    /// What the builder keeps under a key, like `generated_data`; JSON's null when there is nothing.
    pub async fn state(&self, key: &str) -> Result<serde_json::Value, CallError> {
        const METHOD: &str = "Artifact.State";
        const EXPECTED: &str = "what JSON can hold";
        let value = self.ask(METHOD, msgpack::encode(&key.into()), EXPECTED).await?;
        let unexpected = |_| CallError::Unexpected { method: METHOD.to_owned(), expected: EXPECTED };
        msgpack::to_json(&value).map_err(unexpected)
    }

    /// Asks Packer to delete what was built. Only a plugin that made the thing has reason to.
    pub async fn destroy(&self) -> Result<(), CallError> {
        self.client.call("Artifact.Destroy", NIL.to_vec()).await.map(drop)
    }

    async fn text(&self, method: &str) -> Result<String, CallError> {
        let value = self.ask(method, NIL.to_vec(), "a text").await?;
        let unexpected = CallError::Unexpected { method: method.to_owned(), expected: "a text" };
        value.as_str().map(str::to_owned).ok_or(unexpected)
    }

    async fn ask(&self, method: &str, argument: Vec<u8>, expected: &'static str) -> Result<Value, CallError> {
        let raw = self.client.call(method, argument).await?;
        msgpack::decode(&raw).map_err(|_| CallError::Unexpected { method: method.to_owned(), expected })
    }
}

/// The artifact that a plugin hands back: every question goes to the one it was given, except Destroy.
#[derive(Debug)]
pub struct ArtifactProxy {
    artifact: Artifact,
}

impl ArtifactProxy {
    /// Serves `artifact` again.
    pub fn new(artifact: Artifact) -> Self {
        Self { artifact }
    }
}

impl RpcHandler for ArtifactProxy {
    fn call(self: Arc<Self>, method: String, argument: Vec<u8>) -> BoxFuture<'static, RpcReply> {
        async move {
            match method.as_str() {
                "Artifact.Id" | "Artifact.BuilderId" | "Artifact.String" | "Artifact.Files" | "Artifact.State" => {
                    self.artifact.client.call(&method, argument).await.map_err(|error| error.to_string())
                }
                "Artifact.Destroy" => {
                    tracing::warn!(
                        "Packer asked to destroy the artifact after this post-processor had passed it on, because a \
                         later post-processor does not keep its input; the artifact is kept"
                    );
                    Ok(NIL.to_vec())
                }
                _ => unknown_method(&method),
            }
        }
        .boxed()
    }
}

/// An artifact that is here: what Packer's end serves to a plugin. For tests, and for plugins that make something.
#[derive(Debug, Clone, Default)]
pub struct LocalArtifact {
    /// [`Artifact::id`]
    pub id: String,
    /// [`Artifact::builder_id`]
    pub builder_id: String,
    /// [`Artifact::string`]
    pub string: String,
    /// [`Artifact::files`]
    pub files: Vec<String>,
    /// [`Artifact::state`]
    pub state: BTreeMap<String, Value>,
}

impl LocalArtifact {
    /// Answers a call to `Artifact.…`; `destroy` carries out a Destroy.
    ///
    /// A failed Destroy is told in the header: the Go SDK puts it in the body, where its own client cannot read it and
    /// gives up the stream.
    pub fn answer(&self, method: &str, argument: &[u8], destroy: impl FnOnce() -> Result<(), String>) -> RpcReply {
        let value = match method {
            "Artifact.Id" => self.id.as_str().into(),
            "Artifact.BuilderId" => self.builder_id.as_str().into(),
            "Artifact.String" => self.string.as_str().into(),
            "Artifact.Files" if self.files.is_empty() => Value::Nil,
            "Artifact.Files" => Value::Array(self.files.iter().map(|file| file.as_str().into()).collect()),
            "Artifact.State" => {
                let key = msgpack::decode(argument).map_err(|error| error.to_string())?;
                let key = key.as_str().ok_or("Artifact.State takes a text")?;
                self.state.get(key).cloned().unwrap_or(Value::Nil)
            }
            "Artifact.Destroy" => {
                destroy()?;
                Value::Nil
            }
            _ => return unknown_method(method),
        };
        Ok(msgpack::encode(&value))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::duplex;

    use super::*;
    use crate::rpc::serve;

    #[derive(Default)]
    struct Served {
        artifact: LocalArtifact,
        /// Answers that no Go struct has, by method.
        odd: BTreeMap<&'static str, Vec<u8>>,
        asked: Mutex<Vec<(String, Vec<u8>)>>,
    }

    impl RpcHandler for Served {
        fn call(self: Arc<Self>, method: String, argument: Vec<u8>) -> BoxFuture<'static, RpcReply> {
            let reply = match self.odd.get(method.as_str()) {
                Some(bytes) => Ok(bytes.clone()),
                None => self.artifact.answer(&method, &argument, || Err("may not be deregistered".into())),
            };
            self.asked.lock().unwrap().push((method, argument));
            async move { reply }.boxed()
        }
    }

    fn served(packers: &Arc<Served>) -> Artifact {
        let (near, far) = duplex(1 << 12);
        tokio::spawn(serve(far, Arc::clone(packers)));
        Artifact::new(RpcClient::new(near))
    }

    fn ami() -> LocalArtifact {
        LocalArtifact {
            id: "eu-west-1:ami-2,us-east-1:ami-1".into(),
            builder_id: "mitchellh.amazonebs".into(),
            string: "AMIs were created:\n…".into(),
            files: Vec::new(),
            state: [("generated_data".into(), msgpack::map([("ID", "i-1".into())]))].into(),
        }
    }

    #[tokio::test]
    async fn a_plugin_sees_packers_artifact() {
        let artifact = served(&Arc::new(Served { artifact: ami(), ..Served::default() }));
        assert_eq!(artifact.id().await.unwrap(), "eu-west-1:ami-2,us-east-1:ami-1");
        assert_eq!(artifact.builder_id().await.unwrap(), "mitchellh.amazonebs");
        assert_eq!(artifact.string().await.unwrap(), "AMIs were created:\n…");
        assert_eq!(artifact.files().await.unwrap(), Vec::<String>::new());
        assert_eq!(artifact.state("generated_data").await.unwrap(), serde_json::json!({"ID": "i-1"}));
        assert_eq!(artifact.state("nothing").await.unwrap(), serde_json::Value::Null);
        assert_eq!(artifact.destroy().await, Err(CallError::Remote("may not be deregistered".into())));
        assert!(artifact.id().await.is_ok(), "the stream lives on after a failed Destroy");
    }

    #[tokio::test]
    async fn a_wrong_answer_is_an_error_that_names_the_method() {
        let odd = [
            ("Artifact.Id", vec![0x05]),
            ("Artifact.Files", vec![0x91, 0x01]),
            ("Artifact.State", vec![0xc4, 1, 0xff]),
        ];
        let artifact = served(&Arc::new(Served { odd: odd.into(), ..Served::default() }));
        let id = artifact.id().await.unwrap_err().to_string();
        assert_eq!(id, "Artifact.Id was answered with something else than a text");
        assert!(artifact.files().await.is_err());
        assert!(artifact.state("x").await.is_err());
    }

    /// A body of Go's, with wide integers that a decoder and encoder would shorten.
    #[tokio::test]
    async fn the_proxy_passes_bodies_on_untouched_and_never_destroys() {
        let wide = b"\x82\xa1n\xd3\x00\x00\x00\x00\x00\x00\x00\x05\xa1m\x81\xa1k\xc0".to_vec();
        let odd = [("Artifact.State", wide.clone())].into();
        let packers = Arc::new(Served { artifact: ami(), odd, ..Served::default() });
        let proxy = Arc::new(ArtifactProxy::new(served(&packers)));
        let (near, far) = duplex(1 << 12);
        tokio::spawn(serve(far, proxy));
        let client = RpcClient::new(near);
        assert_eq!(client.call("Artifact.State", b"\xa1x".to_vec()).await, Ok(wide));
        assert_eq!(client.call("Artifact.Destroy", NIL.to_vec()).await, Ok(NIL.to_vec()));
        assert!(client.call("Artifact.Nope", NIL.to_vec()).await.is_err());
        for method in ["Artifact.Id", "Artifact.BuilderId", "Artifact.String", "Artifact.Files"] {
            assert!(client.call(method, NIL.to_vec()).await.is_ok(), "{method}");
        }
        let asked: Vec<_> = packers.asked.lock().unwrap().iter().map(|(method, _)| method.clone()).collect();
        let forwarded = ["Artifact.State", "Artifact.Id", "Artifact.BuilderId", "Artifact.String", "Artifact.Files"];
        assert_eq!(asked, forwarded, "Destroy and unknown methods stay here");
        assert_eq!(packers.asked.lock().unwrap()[0].1, b"\xa1x");
    }

    #[test]
    fn lists_are_gos() {
        let files = LocalArtifact { files: vec!["/out.txt".into()], ..LocalArtifact::default() };
        assert_eq!(files.answer("Artifact.Files", NIL, || Ok(())), Ok(b"\x91\xa8/out.txt".to_vec()));
        assert_eq!(LocalArtifact::default().answer("Artifact.Files", NIL, || Ok(())), Ok(NIL.to_vec()));
    }
}
