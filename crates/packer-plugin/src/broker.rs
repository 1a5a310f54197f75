//! How the two sides find each other's streams: by a number written at a stream's start.
//!
//! Whoever *sends* a number in a message waits for it ([`StreamBroker::expect`]); whoever *receives* it opens a stream, writes
//! the number (four bytes, little-endian) and reads it back ([`StreamBroker::dial`]). Either side may come first; each waits
//! five seconds for the other (`rpc/mux_broker.go` in the SDK). The two sides count separately, from 1; the number 0 is
//! Packer's main stream.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::mux::{Mode, MuxSession, MuxStream};

/// How long either side waits for the other.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Why two sides did not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The session is over.
    #[error("the connection is closed")]
    Closed,
    /// The other side did not come in time.
    #[error("nobody came for stream {0} in time")]
    Late(u32),
    /// The echo was another number.
    #[error("stream {expected} was answered as {found}")]
    WrongEcho {
        /// The number written.
        expected: u32,
        /// The number read.
        found: u32,
    },
    /// Somebody here waits for that number already.
    #[error("stream {0} is waited for twice")]
    Twice(u32),
}

/// The meeting place of one session.
#[derive(Debug)]
pub struct StreamBroker {
    session: MuxSession,
    next: AtomicU32,
    slots: Arc<StreamSlots>,
    patience: Duration,
}

/// Numbers of which only one of the two sides has come. Never more than there are streams and calls.
type StreamSlots = Mutex<HashMap<u32, StreamSlot>>;

#[derive(Debug)]
enum StreamSlot {
    /// We wait for the peer.
    Expected(oneshot::Sender<MuxStream>),
    /// The peer waits for us.
    Arrived(MuxStream),
}

impl StreamBroker {
    /// Starts a session on a connection and a broker on the session. Must be called within a tokio runtime.
    pub fn start<T>(connection: T, mode: Mode) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::with_patience(connection, mode, PATIENCE)
    }

    fn with_patience<T>(connection: T, mode: Mode, patience: Duration) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (session, streams) = MuxSession::start(connection, mode);
        let slots = Arc::default();
        tokio::spawn(receive(streams, Arc::clone(&slots), patience));
        Self { session, next: AtomicU32::new(0), slots, patience }
    }

    /// A number not yet used on this side.
    pub fn next_id(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Is cancelled when the session is over.
    pub fn closed(&self) -> &CancellationToken {
        self.session.closed()
    }

    /// Opens the stream that the peer waits for under this number.
    pub async fn dial(&self, id: u32) -> Result<MuxStream, BrokerError> {
        let meeting = async {
            let mut stream = self.session.open().await.map_err(|_| BrokerError::Closed)?;
            stream.write_u32_le(id).await.map_err(|_| BrokerError::Closed)?;
            stream.flush().await.map_err(|_| BrokerError::Closed)?;
            // A peer that does not want the number closes the stream.
            let found = stream.read_u32_le().await.map_err(|_| BrokerError::Late(id))?;
            if found == id { Ok(stream) } else { Err(BrokerError::WrongEcho { expected: id, found }) }
        };
        self.patiently(id, meeting).await
    }

    /// From now on the peer's stream of this number is ours; the result waits for it.
    ///
    /// Call this before the number is sent, and await the result after.
    pub fn expect(&self, id: u32) -> impl Future<Output = Result<MuxStream, BrokerError>> + Send + use<'_> {
        let ticket = self.claim(id);
        let meeting = async move {
            let mut stream = match ticket? {
                StreamClaim::Here(stream) => stream,
                StreamClaim::Later(stream) => stream.await.map_err(|_| BrokerError::Closed)?,
            };
            stream.write_u32_le(id).await.map_err(|_| BrokerError::Closed)?;
            stream.flush().await.map_err(|_| BrokerError::Closed)?;
            Ok(stream)
        };
        async move {
            let result = self.patiently(id, meeting).await;
            if matches!(result, Err(BrokerError::Late(_))) {
                lock(&self.slots).remove(&id);
            }
            result
        }
    }

    fn claim(&self, id: u32) -> Result<StreamClaim, BrokerError> {
        let mut slots = lock(&self.slots);
        match slots.remove(&id) {
            Some(StreamSlot::Arrived(stream)) => return Ok(StreamClaim::Here(stream)),
            Some(StreamSlot::Expected(sender)) if !sender.is_closed() => {
                slots.insert(id, StreamSlot::Expected(sender));
                return Err(BrokerError::Twice(id));
            }
            // Whoever waited has gone away.
            Some(StreamSlot::Expected(_)) | None => {}
        }
        let (sender, stream) = oneshot::channel();
        slots.insert(id, StreamSlot::Expected(sender));
        Ok(StreamClaim::Later(stream))
    }

    async fn patiently<T>(
        &self,
        id: u32,
        meeting: impl Future<Output = Result<T, BrokerError>>,
    ) -> Result<T, BrokerError> {
        tokio::select! {
            () = self.closed().cancelled() => Err(BrokerError::Closed),
            result = tokio::time::timeout(self.patience, meeting) => result.unwrap_or(Err(BrokerError::Late(id))),
        }
    }
}

enum StreamClaim {
    Here(MuxStream),
    Later(oneshot::Receiver<MuxStream>),
}

fn lock(slots: &StreamSlots) -> MutexGuard<'_, HashMap<u32, StreamSlot>> {
    // No code panics while it holds the lock; the map is whole in any case.
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes in the streams that the peer opens, each in a task of its own; there are never more than the session allows.
async fn receive(mut streams: mpsc::Receiver<MuxStream>, slots: Arc<StreamSlots>, patience: Duration) {
    while let Some(stream) = streams.recv().await {
        tokio::spawn(admit(stream, Arc::clone(&slots), patience));
    }
}

async fn admit(mut stream: MuxStream, slots: Arc<StreamSlots>, patience: Duration) {
    let Ok(Ok(id)) = tokio::time::timeout(patience, stream.read_u32_le()).await else {
        return;
    };
    {
        let mut slots = lock(&slots);
        match slots.remove(&id) {
            Some(StreamSlot::Expected(waiting)) => match waiting.send(stream) {
                Ok(()) => return,
                Err(unclaimed) => drop(slots.insert(id, StreamSlot::Arrived(unclaimed))),
            },
            // The first comer keeps its place; this one is closed.
            Some(arrived @ StreamSlot::Arrived(_)) => {
                slots.insert(id, arrived);
                return;
            }
            None => drop(slots.insert(id, StreamSlot::Arrived(stream))),
        }
    }
    tokio::time::sleep(patience).await;
    let mut slots = lock(&slots);
    if matches!(slots.get(&id), Some(StreamSlot::Arrived(_))) {
        slots.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;

    fn pair() -> (StreamBroker, StreamBroker) {
        let (near, far) = duplex(1 << 16);
        (StreamBroker::start(near, Mode::Server), StreamBroker::start(far, Mode::Client))
    }

    async fn talks(mut one: MuxStream, mut other: MuxStream) {
        one.write_all(b"hello").await.unwrap();
        one.flush().await.unwrap();
        let mut heard = [0; 5];
        other.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
    }

    #[tokio::test]
    async fn the_two_meet_whoever_comes_first() {
        let (plugin, packer) = pair();
        let expected = plugin.expect(1);
        let (near, far) = tokio::join!(expected, packer.dial(1));
        talks(near.unwrap(), far.unwrap()).await;

        let dialling = packer.dial(7);
        tokio::pin!(dialling);
        // The dialler has written its number and waits for the echo before anybody expects it.
        while !matches!(lock(&plugin.slots).get(&7), Some(StreamSlot::Arrived(_))) {
            tokio::select! {
                _ = &mut dialling => panic!("nobody has answered yet"),
                () = tokio::task::yield_now() => {}
            }
        }
        let (near, far) = tokio::join!(plugin.expect(7), dialling);
        talks(far.unwrap(), near.unwrap()).await;
    }

    #[tokio::test]
    async fn both_sides_use_the_same_numbers_apart() {
        let (plugin, packer) = pair();
        assert_eq!((plugin.next_id(), packer.next_id(), plugin.next_id()), (1, 1, 2));
        let (a, b, c, d) = tokio::join!(plugin.expect(1), packer.dial(1), packer.expect(1), plugin.dial(1));
        talks(a.unwrap(), b.unwrap()).await;
        talks(c.unwrap(), d.unwrap()).await;
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let (near, far) = duplex(1 << 16);
        let patience = Duration::from_millis(20);
        let plugin = StreamBroker::with_patience(near, Mode::Server, patience);
        let packer = StreamBroker::start(far, Mode::Client);
        let (expected, dialled) = tokio::join!(plugin.expect(1), packer.dial(2));
        assert!(matches!(expected, Err(BrokerError::Late(1))));
        assert!(matches!(dialled, Err(BrokerError::Late(2))));
        // Nothing is kept of either.
        while !lock(&plugin.slots).is_empty() {
            tokio::time::sleep(patience).await;
        }
    }

    #[tokio::test]
    async fn a_number_is_expected_once() {
        let (plugin, _packer) = pair();
        let first = plugin.expect(1);
        assert!(matches!(plugin.expect(1).await, Err(BrokerError::Twice(1))));
        drop(first);
    }

    #[tokio::test]
    async fn a_closed_session_is_told_at_once() {
        let (plugin, packer) = pair();
        drop(packer);
        assert!(matches!(plugin.expect(1).await, Err(BrokerError::Closed)));
        assert!(matches!(plugin.dial(1).await, Err(BrokerError::Closed)));
    }

    #[tokio::test]
    async fn a_wrong_echo_is_an_error() {
        let (near, far) = duplex(1 << 16);
        let plugin = StreamBroker::start(near, Mode::Server);
        let (_packer, mut streams) = MuxSession::start(far, Mode::Client);
        let answer = async {
            let mut stream = streams.recv().await.unwrap();
            let id = stream.read_u32_le().await.unwrap();
            stream.write_u32_le(id + 1).await.unwrap();
            stream
        };
        let (result, _stream) = tokio::join!(plugin.dial(4), answer);
        assert!(matches!(result, Err(BrokerError::WrongEcho { expected: 4, found: 5 })));
    }
    proptest! {
        /// Whatever a peer writes at the start of its streams, the next honest meeting works.
        #[test]
        fn any_starts_of_streams_disturb_nobody(
            starts in proptest::collection::vec(proptest::collection::vec(0..3_u8, 0..6), 0..20),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (near, far) = duplex(1 << 16);
                let plugin = StreamBroker::start(near, Mode::Server);
                let (packer, _streams) = MuxSession::start(far, Mode::Client);
                let mut held = Vec::new();
                for start in &starts {
                    let mut stream = packer.open().await.unwrap();
                    stream.write_all(start).await.unwrap();
                    held.push(stream);
                }
                let mut honest = packer.open().await.unwrap();
                honest.write_u32_le(77).await.unwrap();
                let met = plugin.expect(77).await.unwrap();
                assert_eq!(honest.read_u32_le().await.unwrap(), 77);
                talks(honest, met).await;
                assert!(lock(&plugin.slots).len() <= starts.len());
            });
        }
    }
}
