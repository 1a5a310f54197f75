//! Go's net/rpc over msgpack: calls and answers on one byte stream, both ends.
//!
//! Each message is two msgpack values, header then body, with nothing between or around them. There is always exactly
//! one body, also for "no argument" and behind an error. Bodies pass through here as raw bytes; only the nouns above
//! know what they say. Requests run concurrently and are answered in any order; numbers (`Seq`) count per stream.

mod client;
mod header;
mod server;

pub use client::{CallError, DEADLINE, RpcClient};
pub use header::{RpcRequest, RpcResponse};
pub use server::{MAX_CONCURRENT, RpcHandler, RpcReply, serve, unknown_method};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// The body of "no argument" and of "done": nil.
pub const NIL: &[u8] = &[0xc0];

/// The body behind an error; any one value would do, the reader skips it.
const EMPTY: &[u8] = &[0x80];

/// Why the other side's bytes are not calls or answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The bytes are no bounded msgpack.
    #[error(transparent)]
    Msgpack(#[from] super::msgpack::MsgpackError),
    /// A value where a header must be is none.
    #[error("a header without {0}")]
    Header(&'static str),
}

/// How many messages may wait to be written; whoever would add one more waits.
const OUTBOX: usize = 16;

/// Starts the task that alone writes to a stream, so that no message is ever torn by a caller that gives up.
///
/// It ends, and shuts the stream down, when all senders are gone; it ends early when writing fails.
fn outbox<W>(mut stream: W) -> mpsc::Sender<Vec<u8>>
where
    W: AsyncWrite + Send + Unpin + 'static,
{
    let (sender, mut messages) = mpsc::channel::<Vec<u8>>(OUTBOX);
    tokio::spawn(async move {
        while let Some(message) = messages.recv().await {
            let written = async {
                stream.write_all(&message).await?;
                stream.flush().await
            };
            if let Err(error) = written.await {
                tracing::debug!(%error, "writing to a stream");
                return;
            }
        }
        // The peer may have closed it before; then there is nobody to tell.
        drop(stream.shutdown().await);
    });
    sender
}

#[cfg(test)]
mod tests;
