//! Packer's Ui: the lines that a user sees while a component works. Both ends.
//!
//! The plugin calls; Packer prints, with the component's name before each line. Arguments are bare values
//! (`rpc/ui.go` in the SDK). Asking the user and progress bars are not built: a post-processor runs unattended.

use rmpv::Value;

use super::msgpack;
use super::rpc::{CallError, NIL, RpcClient, RpcReply};

/// Packer's Ui, as a plugin sees it. Every call returns at once with an error when Packer is gone, and after
/// [`DEADLINE`](super::rpc::DEADLINE) at the latest; whoever cleans up may ignore the result, never wait for it.
#[derive(Debug, Clone)]
pub struct Ui {
    client: RpcClient,
}

impl Ui {
    /// The Ui served on a stream.
    pub fn new(client: RpcClient) -> Self {
        Self { client }
    }

    /// A heading line: green, with an arrow.
    pub async fn say(&self, text: &str) -> Result<(), CallError> {
        self.line("Ui.Say", text.into()).await
    }

    /// A plain line under a heading.
    pub async fn message(&self, text: &str) -> Result<(), CallError> {
        self.line("Ui.Message", text.into()).await
    }

    /// A red line.
    pub async fn error(&self, text: &str) -> Result<(), CallError> {
        self.line("Ui.Error", text.into()).await
    }

    /// A row of `-machine-readable` output; shown nowhere else. Packer escapes commas and line ends in `arguments`.
    pub async fn machine(&self, category: &str, arguments: &[&str]) -> Result<(), CallError> {
        let arguments = arguments.iter().map(|argument| Value::from(*argument)).collect();
        let row = msgpack::map([("Category", category.into()), ("Args", Value::Array(arguments))]);
        self.line("Ui.Machine", row).await
    }

    async fn line(&self, method: &str, argument: Value) -> Result<(), CallError> {
        self.client.call(method, msgpack::encode(&argument)).await.map(drop)
    }
}

/// One call on the Ui, as Packer's end receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UiLine {
    /// [`Ui::say`]
    Say(String),
    /// [`Ui::message`]
    Message(String),
    /// [`Ui::error`]
    Error(String),
    /// [`Ui::machine`]
    Machine {
        /// What kind of row.
        category: String,
        /// Its columns.
        arguments: Vec<String>,
    },
}

/// Answers a call to `Ui.…` as Packer does, handing the line to `sink`.
pub fn answer(method: &str, argument: &[u8], sink: impl FnOnce(UiLine)) -> RpcReply {
    let argument = msgpack::decode(argument).map_err(|error| error.to_string())?;
    let text = || argument.as_str().map(str::to_owned).ok_or_else(|| format!("{method} takes a text"));
    let line = match method {
        "Ui.Say" => UiLine::Say(text()?),
        "Ui.Message" => UiLine::Message(text()?),
        "Ui.Error" => UiLine::Error(text()?),
        "Ui.Machine" => machine(&argument).ok_or_else(|| format!("{method} takes Category and Args"))?,
        _ => return super::rpc::unknown_method(method),
    };
    sink(line);
    Ok(NIL.to_vec())
}

fn machine(argument: &Value) -> Option<UiLine> {
    let category = msgpack::get(argument, "Category")?.as_str()?.to_owned();
    let columns = msgpack::get(argument, "Args")?.as_array()?.iter();
    let arguments = columns.map(|each| each.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    Some(UiLine::Machine { category, arguments })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::msgpack::ValueReader;
    use crate::rpc::{RpcRequest, RpcResponse};

    /// Each call's bytes, as the Go SDK writes them; then Packer's answer.
    #[tokio::test]
    async fn calls_are_the_sdks_bytes() {
        let (near, mut wire) = duplex(1 << 12);
        let ui = Ui::new(RpcClient::new(near));
        let call = tokio::spawn(async move {
            ui.say("hello").await.unwrap();
            ui.machine("assay,verdict", &["pass", "b"]).await.unwrap();
            ui.error("").await
        });
        let say = b"\x82\xadServiceMethod\xa6Ui.Say\xa3Seq\x00\xa5hello";
        let mut heard = vec![0; say.len()];
        wire.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, say);
        wire.write_all(b"\x83\xadServiceMethod\xa6Ui.Say\xa3Seq\x00\xa5Error\xa0\xc0").await.unwrap();
        let row =
            b"\x82\xadServiceMethod\xaaUi.Machine\xa3Seq\x01\x82\xa8Category\xadassay,verdict\xa4Args\x92\xa4pass\xa1b";
        let mut heard = vec![0; row.len()];
        wire.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, row);
        wire.write_all(b"\x83\xadServiceMethod\xaaUi.Machine\xa3Seq\x01\xa5Error\xa0\xc0").await.unwrap();
        drop(wire);
        assert_eq!(call.await.unwrap(), Err(CallError::Closed));
    }

    #[test]
    fn packers_end_understands_them() {
        let row = b"\x82\xa8Category\xadassay,verdict\xa4Args\x92\xa4pass\xa1b";
        let mut lines = Vec::new();
        answer("Ui.Machine", row, |line| lines.push(line)).unwrap();
        answer("Ui.Message", b"\xa1x", |line| lines.push(line)).unwrap();
        assert!(answer("Ui.Say", b"\x01", |line| lines.push(line)).is_err());
        assert!(answer("Ui.Nope", b"\x01", |line| lines.push(line)).is_err());
        let row = UiLine::Machine { category: "assay,verdict".into(), arguments: vec!["pass".into(), "b".into()] };
        assert_eq!(lines, [row, UiLine::Message("x".into())]);
    }

    /// Packer's own error, as seen for Ui.Ask without a terminal.
    #[tokio::test]
    async fn packers_refusal_comes_back_as_text() {
        let (near, mut wire) = duplex(1 << 12);
        let ui = Ui::new(RpcClient::new(near));
        let call = tokio::spawn(async move { ui.message("x").await });
        let request = RpcRequest::read(&mut ValueReader::new(&mut wire)).await.unwrap().unwrap();
        let refusal = RpcResponse { method: request.method, seq: request.seq, outcome: Err("no available tty".into()) };
        wire.write_all(&refusal.encode()).await.unwrap();
        assert_eq!(call.await.unwrap(), Err(CallError::Remote("no available tty".into())));
    }
}
