//! A client's connection before and below TLS. It owns how many there may be and that one which says nothing at all is ended; what is said is TLS's and
//! gRPC's. A healthy client answers the server's pings, so silence means that nobody is there.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};
use tonic::{Status, transport::server::Connected};

use crate::{model::cause::chain, probe::Prober};

/// Connections at once, of all clients and of those that are not known yet.
const CONNECTIONS: usize = 512;
/// The longest silence; pings go out more often.
const SILENCE: Duration = Duration::from_secs(60);
/// The pause after an accept that failed: descriptors are short, and become free.
const BREATH: Duration = Duration::from_millis(200);

/// One connection's client, and the process that works for it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    program: PathBuf,
    prober: OnceCell<Prober>,
}

impl Peer {
    /// The confined process of this connection, started when it is first needed and gone with the connection. No two clients share one, so what an image
    /// does to the process that reads it stays among the targets of one client.
    pub(super) async fn prober(&self) -> Result<&Prober, Status> {
        self.prober.get_or_try_init(|| Prober::start(&self.program)).await.map_err(|error| {
            tracing::error!("no prober process: {}", chain(&error));
            Status::unavailable("the prober could not start its process; its log says why")
        })
    }
}

/// The bytes of one connection.
pub(super) struct Line {
    socket: TcpStream,
    peer: Arc<Peer>,
    silence: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

/// Every connection that comes, as long as there are places.
pub(super) fn incoming(listener: TcpListener, program: PathBuf) -> impl Stream<Item = io::Result<Line>> {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    Box::pin(stream::unfold((listener, places, program), async |(listener, places, program)| {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return None };
            match listener.accept().await {
                Ok((socket, address)) => {
                    // Latency matters more than packets here; a socket without it works too.
                    let _ = socket.set_nodelay(true);
                    let peer = Arc::new(Peer { address, program: program.clone(), prober: OnceCell::new() });
                    let line = Line { socket, peer, silence: Box::pin(sleep(SILENCE)), _place: place };
                    return Some((Ok(line), (listener, places, program)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(BREATH).await;
                }
            }
        }
    }))
}

impl Connected for Line {
    type ConnectInfo = Arc<Peer>;
    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(&self.peer)
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.socket).poll_read(context, buffer) {
            Poll::Ready(read) => {
                self.silence.as_mut().reset(Instant::now() + SILENCE);
                Poll::Ready(read)
            }
            Poll::Pending => self.silence.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl AsyncWrite for Line {
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
