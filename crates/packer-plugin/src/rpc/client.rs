//! The calling end of net/rpc.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::server::MAX_CONCURRENT;
use super::{RpcError, RpcRequest, RpcResponse, outbox};
use crate::msgpack::ValueReader;

/// How long an ordinary call may take. Packer answers these from memory; a Packer that is stopped must not hold up
/// whoever is cleaning up. It is the time hashicorp/yamux gives a write.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The stream or the connection under it is gone.
    #[error("the connection is closed")]
    Closed,
    /// No answer within the [`DEADLINE`]. The call may have been carried out.
    #[error("{0} was not answered in time")]
    Late(String),
    /// The other side's own error.
    #[error("{0}")]
    Remote(String),
    /// An answer came, but not of the form that the method has.
    #[error("{method} was answered with something else than {expected}")]
    Unexpected {
        /// The method called.
        method: String,
        /// What it must return.
        expected: &'static str,
    },
}

type PendingCalls = HashMap<u64, oneshot::Sender<Result<Vec<u8>, String>>>;
type PendingCall = Mutex<PendingCalls>;

/// A stream on which calls can be made. Clones share it; it is closed when the last is dropped.
#[derive(Debug, Clone)]
pub struct RpcClient {
    shared: Arc<SharedClient>,
    deadline: Duration,
}

#[derive(Debug)]
struct SharedClient {
    calls: mpsc::Sender<Vec<u8>>,
    next: AtomicU64,
    pending: Arc<PendingCall>,
    places: Semaphore,
    closed: CancellationToken,
    _reader: AbortOnDropHandle<()>,
}

impl RpcClient {
    /// Makes a stream ready for calls. Must be called within a tokio runtime.
    pub fn new<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        let pending = Arc::<PendingCall>::default();
        let closed = CancellationToken::new();
        let reader = receive(ValueReader::new(read), Arc::clone(&pending), closed.clone().drop_guard());
        let shared = SharedClient {
            calls: outbox(write),
            next: AtomicU64::new(0),
            pending,
            places: Semaphore::new(MAX_CONCURRENT),
            closed,
            _reader: AbortOnDropHandle::new(tokio::spawn(reader)),
        };
        Self { shared: Arc::new(shared), deadline: DEADLINE }
    }

    /// The same stream with another deadline for ordinary calls.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Calls a method with a raw argument, waits until the deadline at most, returns the raw result.
    pub async fn call(&self, method: &str, argument: Vec<u8>) -> Result<Vec<u8>, CallError> {
        match tokio::time::timeout(self.deadline, self.call_patiently(method, argument)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Late(method.to_owned())),
        }
    }

    /// The same without a deadline; only the stream's end ends the wait.
    pub async fn call_patiently(&self, method: &str, argument: Vec<u8>) -> Result<Vec<u8>, CallError> {
        tokio::select! {
            // An answer that came before the end counts.
            biased;
            result = self.exchange(method, argument) => result,
            () = self.shared.closed.cancelled() => Err(CallError::Closed),
        }
    }

    /// Whether calls can still be answered.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.is_cancelled()
    }

    async fn exchange(&self, method: &str, body: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let shared = &*self.shared;
        let _place = shared.places.acquire().await.map_err(|_| CallError::Closed)?;
        let seq = shared.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        lock(&shared.pending).insert(seq, sender);
        let _forget = PendingCallGuard { pending: &shared.pending, seq };
        let request = RpcRequest { method: method.to_owned(), seq, body };
        shared.calls.send(request.encode()).await.map_err(|_| CallError::Closed)?;
        answer.await.map_err(|_| CallError::Closed)?.map_err(CallError::Remote)
    }
}

/// Takes a call off the list when its caller has its answer or gives up.
struct PendingCallGuard<'a> {
    pending: &'a PendingCall,
    seq: u64,
}

impl Drop for PendingCallGuard<'_> {
    fn drop(&mut self) {
        lock(self.pending).remove(&self.seq);
    }
}

fn lock(pending: &PendingCall) -> MutexGuard<'_, PendingCalls> {
    // No code panics while it holds the lock; the map is whole in any case.
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn receive<R: AsyncRead + Unpin>(mut reader: ValueReader<R>, pending: Arc<PendingCall>, _closed: DropGuard) {
    loop {
        match RpcResponse::read(&mut reader).await {
            // An answer to a call that was given up, or to none, is dropped.
            Ok(Some(response)) => {
                let caller = lock(&pending).remove(&response.seq);
                drop(caller.map(|caller| caller.send(response.outcome)));
            }
            Ok(None) => return,
            Err(error) => return broken(&error),
        }
    }
}

fn broken(error: &RpcError) {
    tracing::warn!(%error, "answers on a stream cannot be read; no more calls are made on it");
}
