//! The data source: the noun that a plugin implements and a template reads (`data "…" "…" {}`). Both ends.
//!
//! It owns the rules of one data source's life: asked for its two specifications, configured, and executed once; all of that before
//! anything is built. Packer never cancels one, and in `packer validate` it does not execute it unless `-evaluate-datasources` says so: it
//! then takes the output's specification and works with values that are not known. An error ends Packer with its text and harms nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rmpv::Value;
use serde_json::{Map, Value as Json};

use super::config::ComponentConfig;
use super::cty::{self, CtyObject};
use super::encoding::{self, SpecEncoding};
use super::msgpack;
use super::rpc::{self, CallError, NIL, RpcClient, RpcHandler, RpcReply};
use super::spec::{AttributeKind, OptionsSpec};

/// What a plugin implements to be a data source.
pub trait DataSource: Send + Sync + 'static {
    /// The options that Packer accepts in the block. Asked any number of times; always the same.
    fn spec(&self) -> OptionsSpec;

    /// The attributes that templates may read, with their types; no numbers ([`CtyObject`]). Always the same.
    fn output(&self) -> BTreeMap<String, AttributeKind>;

    /// Takes the options in. The error's text is shown to the user, and may have many lines. Values that Packer does not know yet (in
    /// `packer validate`) arrive as [`UNKNOWN`](super::config::UNKNOWN).
    fn configure(&self, config: ComponentConfig) -> BoxFuture<'_, Result<(), String>>;

    /// The output's values, by name; what is left out is null. The error's text is shown to the user. The future is dropped when Packer
    /// is gone, so it should hold nothing that must be put away.
    fn execute(&self) -> BoxFuture<'_, Result<Map<String, Json>, String>>;
}

/// The plugin's end: answers `Datasource.…` on the main stream.
pub struct DataSourceService {
    component: Arc<dyn DataSource>,
    encoding: SpecEncoding,
}

impl DataSourceService {
    /// Serves `component`.
    pub fn new(component: Arc<dyn DataSource>, encoding: SpecEncoding) -> Self {
        Self { component, encoding }
    }

    /// `ConfigSpecResponse` and `OutputSpecResponse` in the SDK's `rpc/common.go` and `rpc/datasource.go`.
    fn spec(&self, field: &str, spec: &OptionsSpec) -> RpcReply {
        Ok(msgpack::encode(&msgpack::map([(field, Value::Binary(self.encoding.spec(spec)))])))
    }

    /// `DatasourceConfigureResponse`; an error stands in the header, as the SDK's own server has it.
    async fn configure(&self, argument: &[u8]) -> RpcReply {
        let argument = msgpack::decode(argument).map_err(|error| error.to_string())?;
        let config = ComponentConfig::from_argument(&argument).map_err(|error| error.to_string())?;
        self.component.configure(config).await?;
        Ok(msgpack::encode(&msgpack::map([("Error", Value::Nil)])))
    }

    /// `ExecuteResponse`.
    async fn execute(&self) -> RpcReply {
        let values = self.component.execute().await?;
        let object = CtyObject::new(&self.component.output(), values)
            .map_err(|error| format!("a defect in the plugin: its output contradicts its specification: {error}"))?;
        let value = Value::Binary(self.encoding.value(&object));
        Ok(msgpack::encode(&msgpack::map([("Value", value), ("Error", Value::Nil)])))
    }
}

impl RpcHandler for DataSourceService {
    fn call(self: Arc<Self>, method: String, argument: Vec<u8>) -> BoxFuture<'static, RpcReply> {
        async move {
            match method.as_str() {
                "Datasource.ConfigSpec" => self.spec("ConfigSpec", &self.component.spec()),
                "Datasource.OutputSpec" => self.spec("OutputSpec", &encoding::attributes(&self.component.output())),
                "Datasource.Configure" => self.configure(&argument).await,
                "Datasource.Execute" => self.execute().await,
                "Datasource.Cancel" => Ok(NIL.to_vec()),
                _ => rpc::unknown_method(&method),
            }
        }
        .boxed()
    }
}

/// Packer's end: calls `Datasource.…` on the main stream.
#[derive(Debug, Clone)]
pub struct RemoteDataSource {
    client: RpcClient,
}

impl RemoteDataSource {
    /// The data source behind a main stream.
    pub fn new(client: RpcClient) -> Self {
        Self { client }
    }

    /// The options' specification, in whichever encoding the plugin was started with.
    pub async fn config_spec(&self) -> Result<Vec<u8>, CallError> {
        self.bytes("Datasource.ConfigSpec", "ConfigSpec").await
    }

    /// The output's specification, likewise.
    pub async fn output_spec(&self) -> Result<Vec<u8>, CallError> {
        self.bytes("Datasource.OutputSpec", "OutputSpec").await
    }

    /// Configures it with the elements of Packer's list.
    pub async fn configure(&self, list: Vec<Value>) -> Result<(), CallError> {
        let argument = msgpack::map([("Configs", Value::Array(list))]);
        let raw = self.client.call("Datasource.Configure", msgpack::encode(&argument)).await?;
        failed("Datasource.Configure", &raw)
    }

    /// The output's bytes, in whichever encoding the plugin was started with. No deadline: only the plugin knows how long it takes.
    pub async fn execute(&self) -> Result<Vec<u8>, CallError> {
        const METHOD: &str = "Datasource.Execute";
        let raw = self.client.call_patiently(METHOD, NIL.to_vec()).await?;
        failed(METHOD, &raw)?;
        field(METHOD, "Value", &raw)
    }

    /// The output of a plugin that was started with `--protobuf`, by name.
    pub async fn values(&self) -> Result<Map<String, Json>, CallError> {
        let raw = self.execute().await?;
        cty::from_msgpack(&raw).map_err(|_| unexpected("Datasource.Execute", "a value with its type"))
    }

    async fn bytes(&self, method: &str, name: &'static str) -> Result<Vec<u8>, CallError> {
        field(method, name, &self.client.call(method, NIL.to_vec()).await?)
    }
}

fn field(method: &str, name: &'static str, raw: &[u8]) -> Result<Vec<u8>, CallError> {
    let value = msgpack::decode(raw).ok();
    let bytes = value.as_ref().and_then(|value| msgpack::get(value, name)).and_then(Value::as_slice);
    bytes.map(<[u8]>::to_vec).ok_or_else(|| unexpected(method, name))
}

/// An error in the answer's body (`BasicError`), which the SDK's client takes as readily as one in the header.
fn failed(method: &str, raw: &[u8]) -> Result<(), CallError> {
    let value = msgpack::decode(raw).map_err(|_| unexpected(method, "an answer"))?;
    match msgpack::get(&value, "Error") {
        None | Some(Value::Nil) => Ok(()),
        Some(error) => match msgpack::get(error, "Message").and_then(Value::as_str) {
            Some(text) => Err(CallError::Remote(text.to_owned())),
            None => Err(unexpected(method, "Error with a Message")),
        },
    }
}

fn unexpected(method: &str, expected: &'static str) -> CallError {
    CallError::Unexpected { method: method.to_owned(), expected }
}

#[cfg(test)]
mod tests;
