//! The two headers of net/rpc, and whole messages made of a header and a raw body.

use rmpv::Value;
use tokio::io::AsyncRead;

use super::{EMPTY, RpcError};
use crate::msgpack::{self, ValueReader};

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcRequest {
    /// `Noun.Method`, compared exactly.
    pub method: String,
    /// The call's number on this stream.
    pub seq: u64,
    /// The argument: one msgpack value.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcResponse {
    /// The call's method, echoed.
    pub method: String,
    /// The call's number, echoed.
    pub seq: u64,
    /// The result, one msgpack value; or the error's text.
    pub outcome: Result<Vec<u8>, String>,
}

impl RpcRequest {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let header = msgpack::map([("ServiceMethod", self.method.as_str().into()), ("Seq", self.seq.into())]);
        let mut out = msgpack::encode(&header);
        out.extend(&self.body);
        out
    }

    /// The next call on a stream; `None` at its clean end.
    pub async fn read<R: AsyncRead + Unpin>(reader: &mut ValueReader<R>) -> Result<Option<Self>, RpcError> {
        let Some((header, body)) = read_pair(reader).await? else {
            return Ok(None);
        };
        Ok(Some(Self { method: method(&header)?, seq: seq(&header)?, body }))
    }
}

impl RpcResponse {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (error, body) = match &self.outcome {
            Ok(body) => ("", body.as_slice()),
            // An empty text would read as success.
            Err(text) if text.is_empty() => ("unknown error", EMPTY),
            Err(text) => (text.as_str(), EMPTY),
        };
        let header = msgpack::map([
            ("ServiceMethod", self.method.as_str().into()),
            ("Seq", self.seq.into()),
            ("Error", error.into()),
        ]);
        let mut out = msgpack::encode(&header);
        out.extend(body);
        out
    }

    /// The next answer on a stream; `None` at its clean end.
    pub async fn read<R: AsyncRead + Unpin>(reader: &mut ValueReader<R>) -> Result<Option<Self>, RpcError> {
        let Some((header, body)) = read_pair(reader).await? else {
            return Ok(None);
        };
        let error = match msgpack::get(&header, "Error") {
            None | Some(Value::Nil) => String::new(),
            Some(Value::String(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
            Some(_) => return Err(RpcError::Header("a text as Error")),
        };
        let outcome = if error.is_empty() { Ok(body) } else { Err(error) };
        Ok(Some(Self { method: method(&header)?, seq: seq(&header)?, outcome }))
    }
}

async fn read_pair<R: AsyncRead + Unpin>(reader: &mut ValueReader<R>) -> Result<Option<(Value, Vec<u8>)>, RpcError> {
    let Some(header) = reader.next().await? else {
        return Ok(None);
    };
    let body = reader.next().await?.ok_or(msgpack::MsgpackError::Truncated)?;
    Ok(Some((msgpack::decode(&header)?, body)))
}

fn method(header: &Value) -> Result<String, RpcError> {
    let method = msgpack::get(header, "ServiceMethod").and_then(Value::as_str);
    Ok(method.ok_or(RpcError::Header("ServiceMethod"))?.to_owned())
}

fn seq(header: &Value) -> Result<u64, RpcError> {
    msgpack::get(header, "Seq").and_then(Value::as_u64).ok_or(RpcError::Header("Seq"))
}
