//! The answering end of net/rpc.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{RpcError, RpcRequest, RpcResponse, outbox};
use crate::msgpack::ValueReader;

/// How many calls of one stream may run at a time; more are answered with an error. Packer makes about two.
pub const MAX_CONCURRENT: usize = 64;

/// A call's result: one msgpack value, or an error's text.
pub type RpcReply = Result<Vec<u8>, String>;

/// Something that answers calls.
pub trait RpcHandler: Send + Sync + 'static {
    /// Answers one call. `argument` is one msgpack value. The future may be dropped when the stream ends.
    fn call(self: Arc<Self>, method: String, argument: Vec<u8>) -> BoxFuture<'static, RpcReply>;
}

/// The answer to a method that does not exist, in the words of Go's net/rpc.
pub fn unknown_method(method: &str) -> RpcReply {
    Err(format!("rpc: can't find method {method}"))
}

/// Answers the calls on a stream until its end. Calls still running then are dropped.
///
/// Fails when the peer sends what is no call; the stream is of no more use then.
pub async fn serve<S>(stream: S, handler: Arc<impl RpcHandler>) -> Result<(), RpcError>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, write) = tokio::io::split(stream);
    let mut reader = ValueReader::new(read);
    let answers = outbox(write);
    let places = Arc::new(Semaphore::new(MAX_CONCURRENT));
    let mut running = JoinSet::new();
    while let Some(RpcRequest { method, seq, body }) = RpcRequest::read(&mut reader).await? {
        while running.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            let outcome = Err(format!("more than {MAX_CONCURRENT} calls at a time"));
            drop(answers.send(RpcResponse { method, seq, outcome }.encode()).await);
            continue;
        };
        let (answers, handler) = (answers.clone(), Arc::clone(&handler));
        running.spawn(async move {
            let call = std::panic::AssertUnwindSafe(handler.call(method.clone(), body)).catch_unwind();
            let outcome = call.await.unwrap_or_else(|_| Err(format!("{method} failed: a defect in the plugin")));
            // When writing has failed, the stream's end is noticed by the reader.
            drop(answers.send(RpcResponse { method, seq, outcome }.encode()).await);
            drop(place);
        });
    }
    Ok(())
}
