//! A client's connection before and below TLS. It owns how many there may be and that one which says nothing at all is ended; what is said is TLS's and
//! gRPC's. A healthy client answers the server's pings, so silence means that nobody is there.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};
use tonic::{Status, transport::server::Connected};

use super::{
    pending::{PendingConnections, PendingPlace},
    quota::ClientQuotas,
};
use crate::Prober;
use assay_model::cause::chain;

/// Connections at once of those that showed a certificate, and of those that did not yet (see `pending`).
const CONNECTIONS: usize = 512;
/// How long a connection lives on whose client may not ask: until it has read why.
const DISMISSED: Duration = Duration::from_secs(2);
/// The longest silence; pings go out more often.
const SILENCE: Duration = Duration::from_secs(60);
/// The pause after an accept that failed: descriptors are short, and become free.
const BREATH: Duration = Duration::from_millis(200);

/// One connection's client, and the process that works for it.
#[derive(Debug)]
pub(super) struct ConnectionPeer {
    pub(super) address: SocketAddr,
    program: PathBuf,
    prober: AsyncMutex<Option<Arc<Prober>>>,
    /// Its place among the connections of its client.
    place: OnceLock<OwnedSemaphorePermit>,
    dismissed: AtomicBool,
}

impl ConnectionPeer {
    fn new(address: SocketAddr, program: PathBuf) -> Self {
        let (prober, place) = (AsyncMutex::default(), OnceLock::new());
        Self { address, program, prober, place, dismissed: AtomicBool::new(false) }
    }

    /// The confined process of this connection, started when it is first needed and gone with the connection; one that has ended is replaced. No two clients
    /// share one, so what an image does to the process that reads it stays among the targets of one client.
    pub(super) async fn prober(&self) -> Result<Arc<Prober>, Status> {
        let mut known = self.prober.lock().await;
        if let Some(prober) = known.as_ref().filter(|prober| !prober.has_ended()) {
            return Ok(Arc::clone(prober));
        }
        let started = Prober::start(&self.program).await.map_err(|error| {
            tracing::error!("no prober process: {}", chain(&error));
            Status::unavailable("the prober could not start its process; its log says why")
        })?;
        Ok(Arc::clone(known.insert(Arc::new(started))))
    }

    /// Whether this connection has, or now gets, a place among those of `client`.
    pub(super) fn is_one_of(&self, lines: &ClientQuotas, client: &str) -> bool {
        // Of two requests at once the second finds the place of the first.
        self.place.get().is_some()
            || lines.place_now(client).is_some_and(|place| self.place.set(place).is_ok() || self.place.get().is_some())
    }

    /// Ends the connection soon.
    pub(super) fn dismiss(&self) {
        self.dismissed.store(true, Ordering::Relaxed);
    }
}

/// The bytes of one connection.
pub(super) struct ConnectionLine {
    socket: TcpStream,
    peer: Arc<ConnectionPeer>,
    silence: Pin<Box<Sleep>>,
    /// Whether `silence` is the last one.
    ending: bool,
    /// Until TLS stands.
    waiting: Mutex<Option<PendingPlace>>,
    _place: OwnedSemaphorePermit,
}

/// Every connection that comes, as long as there are places. One from an address that has enough without a certificate is closed at once.
pub(super) fn incoming(listener: TcpListener, program: PathBuf) -> impl Stream<Item = io::Result<ConnectionLine>> {
    let (places, pending) = (Arc::new(Semaphore::new(CONNECTIONS)), PendingConnections::default());
    Box::pin(stream::unfold((listener, places, pending, program), async |(listener, places, pending, program)| {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return None };
            match listener.accept().await {
                Ok((socket, address)) => {
                    let Some(waiting) = pending.place(address.ip()) else {
                        tracing::warn!("{address}: too many connections without a certificate; closed");
                        continue;
                    };
                    // Latency matters more than packets here; a socket without it works too.
                    let _ = socket.set_nodelay(true);
                    let peer = Arc::new(ConnectionPeer::new(address, program.clone()));
                    let (silence, waiting) = (Box::pin(sleep(SILENCE)), Mutex::new(Some(waiting)));
                    let line = ConnectionLine { socket, peer, silence, ending: false, waiting, _place: place };
                    return Some((Ok(line), (listener, places, pending, program)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(BREATH).await;
                }
            }
        }
    }))
}

impl Connected for ConnectionLine {
    type ConnectInfo = Arc<ConnectionPeer>;
    /// Asked for when TLS stands.
    fn connect_info(&self) -> Self::ConnectInfo {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        Arc::clone(&self.peer)
    }
}

impl AsyncRead for ConnectionLine {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.peer.dismissed.load(Ordering::Relaxed) && !self.ending {
            self.ending = true;
            self.silence.as_mut().reset(Instant::now() + DISMISSED);
        }
        if self.ending && self.silence.is_elapsed() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match Pin::new(&mut self.socket).poll_read(context, buffer) {
            Poll::Ready(read) => {
                if !self.ending {
                    self.silence.as_mut().reset(Instant::now() + SILENCE);
                }
                Poll::Ready(read)
            }
            Poll::Pending => self.silence.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl AsyncWrite for ConnectionLine {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
