//! yamux: many byte streams on one connection.
//!
//! It owns the connection and the only task that touches it. The frames themselves are the `yamux` crate's (rust-libp2p);
//! read against hashicorp/yamux 0.1.1, which Packer uses, the two fit under conditions that this file sets:
//!
//! - **The receive window never grows.** hashicorp/yamux writes as much as the window allows in one frame, and the crate
//!   refuses a frame above 1 MiB. With the crate's window tuning a fast stream would reach that and end the session. The
//!   connection's total window is therefore exactly [`MAX_STREAMS`] times the initial 256 KiB: nothing is left to tune.
//! - **A stream is acknowledged with our first bytes**, not by a frame of its own. hashicorp/yamux takes the flag on
//!   either kind of frame and ends the session only after 75 s without it; the broker's echo, or the reset of a stream
//!   that nobody claimed within 5 s, comes long before.
//! - **Streams are opened with their first bytes** (SYN on the data frame), which hashicorp/yamux accepts; the broker
//!   writes an id at once.
//! - A second FIN would end Packer's session ("unexpected flag"). A stream is shut down once, by its owner's last write
//!   or by being dropped, never both.
//! - Pings are answered. The crate's own carry the SYN flag that hashicorp/yamux demands. Nobody here relies on them to
//!   notice a dead peer: calls have deadlines, and a closed socket is seen at once.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};
use tokio_util::sync::{CancellationToken, DropGuard};
use yamux::{Config, Connection};

pub use yamux::Mode;

/// How many streams may be open at a time, in both directions together. Packer uses about three per component.
pub const MAX_STREAMS: usize = 128;

/// How long closing may take before the socket is dropped without it.
const CLOSING: Duration = Duration::from_secs(1);

/// One byte stream. Dropping it closes it.
pub type MuxStream = Compat<yamux::Stream>;

/// The session is over: the peer closed its socket, broke the protocol, or was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is closed")]
pub struct SessionClosed;

type MuxDial = oneshot::Sender<yamux::Stream>;

/// A handle on a running session. The session ends when this is dropped, or when the peer ends it.
#[derive(Debug)]
pub struct MuxSession {
    dials: mpsc::Sender<MuxDial>,
    closed: CancellationToken,
    _shutdown: DropGuard,
}

impl MuxSession {
    /// Starts a session on a connection. The second part yields the streams that the peer opens.
    ///
    /// The plugin is yamux's server, Packer its client. Must be called within a tokio runtime.
    pub fn start<T>(connection: T, mode: Mode) -> (Self, mpsc::Receiver<MuxStream>)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut config = Config::default();
        config.set_max_num_streams(MAX_STREAMS);
        config.set_max_connection_receive_window(Some(MAX_STREAMS * yamux::DEFAULT_CREDIT as usize));
        let (dials, asked) = mpsc::channel(16);
        let (inbound, streams) = mpsc::channel(MAX_STREAMS);
        let closed = CancellationToken::new();
        let shutdown = CancellationToken::new();
        let driver = MuxDriver {
            connection: Connection::new(connection.compat(), config, mode),
            asked,
            waiting: None,
            inbound,
            _closed: closed.clone().drop_guard(),
        };
        tokio::spawn(driver.run(shutdown.clone()));
        (Self { dials, closed, _shutdown: shutdown.drop_guard() }, streams)
    }

    /// Opens a stream. The peer learns of it with the first bytes written.
    pub async fn open(&self) -> Result<MuxStream, SessionClosed> {
        let (answer, stream) = oneshot::channel();
        self.dials.send(answer).await.map_err(|_| SessionClosed)?;
        Ok(stream.await.map_err(|_| SessionClosed)?.compat())
    }

    /// Is cancelled as soon as the session is over, for whatever reason.
    pub fn closed(&self) -> &CancellationToken {
        &self.closed
    }
}

struct MuxDriver<T> {
    connection: Connection<Compat<T>>,
    asked: mpsc::Receiver<MuxDial>,
    waiting: Option<MuxDial>,
    inbound: mpsc::Sender<MuxStream>,
    /// Also speaks up when the task panics.
    _closed: DropGuard,
}

enum MuxEvent {
    Opened(yamux::Stream),
    Inbound(yamux::Stream),
    Over,
}

impl<T: AsyncRead + AsyncWrite + Unpin> MuxDriver<T> {
    async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => break,
                event = poll_fn(|context| self.poll(context)) => event,
            };
            match event {
                // A dialler that has gone away drops the stream, which resets it.
                MuxEvent::Opened(stream) => drop(self.waiting.take().map(|dial| dial.send(stream))),
                // Nobody listens, or too many wait: the stream is reset.
                MuxEvent::Inbound(stream) => drop(self.inbound.try_send(stream.compat())),
                MuxEvent::Over => return,
            }
        }
        let closing = poll_fn(|context| self.connection.poll_close(context));
        if let Ok(Err(error)) = tokio::time::timeout(CLOSING, closing).await {
            tracing::debug!(%error, "closing the session");
        }
    }

    fn poll(&mut self, context: &mut std::task::Context<'_>) -> Poll<MuxEvent> {
        if self.waiting.is_none()
            && let Poll::Ready(Some(dial)) = self.asked.poll_recv(context)
        {
            self.waiting = Some(dial);
        }
        if self.waiting.is_some()
            && let Poll::Ready(result) = self.connection.poll_new_outbound(context)
        {
            return Poll::Ready(result.map_or_else(over, MuxEvent::Opened));
        }
        match self.connection.poll_next_inbound(context) {
            Poll::Ready(Some(result)) => Poll::Ready(result.map_or_else(over, MuxEvent::Inbound)),
            Poll::Ready(None) => Poll::Ready(MuxEvent::Over),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn over(error: yamux::ConnectionError) -> MuxEvent {
    tracing::debug!(%error, "the session ended");
    MuxEvent::Over
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    async fn pair() -> (MuxSession, mpsc::Receiver<MuxStream>, MuxSession, mpsc::Receiver<MuxStream>) {
        let (near, far) = duplex(1 << 16);
        let (plugin, from_packer) = MuxSession::start(near, Mode::Server);
        let (packer, from_plugin) = MuxSession::start(far, Mode::Client);
        (plugin, from_packer, packer, from_plugin)
    }

    async fn frame(wire: &mut DuplexStream) -> ([u8; 12], Vec<u8>) {
        loop {
            let mut header = [0; 12];
            wire.read_exact(&mut header).await.unwrap();
            let mut body = Vec::new();
            if header[1] == 0 {
                body = vec![0; u32::from_be_bytes(header[8..].try_into().unwrap()) as usize];
                wire.read_exact(&mut body).await.unwrap();
            }
            // The crate measures the round trip from time to time.
            if header[1] != 2 || header[3] == 2 {
                return (header, body);
            }
        }
    }

    /// Packer's own frames: SYN in a window update, then data; the answer carries the acknowledgement.
    #[tokio::test]
    async fn packers_first_stream_is_accepted_and_acknowledged() {
        let (near, mut wire) = duplex(1 << 16);
        let (_session, mut streams) = MuxSession::start(near, Mode::Server);
        wire.write_all(b"\0\x01\0\x01\0\0\0\x01\0\0\0\0").await.unwrap();
        wire.write_all(b"\0\0\0\0\0\0\0\x01\0\0\0\x04\0\0\0\0").await.unwrap();
        let mut stream = streams.recv().await.unwrap();
        let mut id = [9; 4];
        stream.read_exact(&mut id).await.unwrap();
        assert_eq!(id, [0; 4]);
        stream.write_all(&id).await.unwrap();
        let (header, body) = frame(&mut wire).await;
        assert_eq!(header, *b"\0\0\0\x02\0\0\0\x01\0\0\0\x04", "data with ACK");
        assert_eq!(body, [0; 4]);
    }

    #[tokio::test]
    async fn pings_are_answered() {
        let (near, mut wire) = duplex(1 << 16);
        let (_session, _streams) = MuxSession::start(near, Mode::Server);
        wire.write_all(b"\0\x02\0\x01\0\0\0\0\0\0\0\x2a").await.unwrap();
        assert_eq!(frame(&mut wire).await.0, *b"\0\x02\0\x02\0\0\0\0\0\0\0\x2a");
    }

    /// The window that we grant stays at 256 KiB, whatever is read; else Packer's frames would outgrow the crate's limit.
    #[tokio::test]
    async fn the_window_never_grows() {
        let (near, mut wire) = duplex(1 << 20);
        let (_session, mut streams) = MuxSession::start(near, Mode::Server);
        wire.write_all(b"\0\x01\0\x01\0\0\0\x01\0\0\0\0").await.unwrap();
        let mut stream = streams.recv().await.unwrap();
        tokio::spawn(async move { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await });
        let (mut window, mut granted) = (256 << 10, 0);
        for _ in 0..64 {
            let header = [&b"\0\0\0\0\0\0\0\x01"[..], &u32::to_be_bytes(64 << 10)].concat();
            wire.write_all(&header).await.unwrap();
            wire.write_all(&vec![0; 64 << 10]).await.unwrap();
            window -= 64 << 10;
            while window < 64 << 10 {
                let (header, _) = frame(&mut wire).await;
                assert_eq!(header[1], 1, "a window update");
                window += u32::from_be_bytes(header[8..].try_into().unwrap());
                granted += 1;
                assert!(window <= 256 << 10, "window {window} after {granted} updates");
            }
        }
    }

    #[tokio::test]
    async fn large_data_passes_both_ways_at_once() {
        let (plugin, _keep, _packer, mut from_plugin) = pair().await;
        let payload: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
        let stream = plugin.open().await.unwrap();
        let (mut read, mut write) = tokio::io::split(stream);
        let sent = payload.clone();
        let writer = tokio::spawn(async move {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        });
        let mut far = from_plugin.recv().await.unwrap();
        let echo = tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(&mut far);
            tokio::io::copy(&mut read, &mut write).await.unwrap();
            write.shutdown().await.unwrap();
        });
        let mut back = Vec::new();
        read.read_to_end(&mut back).await.unwrap();
        assert!(back == payload);
        writer.await.unwrap();
        echo.await.unwrap();
    }

    #[tokio::test]
    async fn the_end_of_the_socket_ends_everything() {
        let (plugin, _a, packer, mut from_plugin) = pair().await;
        let mut stream = plugin.open().await.unwrap();
        stream.write_all(b"x").await.unwrap();
        let far = from_plugin.recv().await.unwrap();
        drop((packer, from_plugin, far));
        plugin.closed().cancelled().await;
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
        assert!(plugin.open().await.is_err());
    }

    #[tokio::test]
    async fn too_many_streams_are_refused() {
        let (near, mut wire) = duplex(1 << 20);
        let (_session, mut streams) = MuxSession::start(near, Mode::Server);
        for id in 0..=MAX_STREAMS as u32 {
            let header = [&b"\0\x01\0\x01"[..], &(2 * id + 1).to_be_bytes(), &[0; 4]].concat();
            wire.write_all(&header).await.unwrap();
        }
        let (header, _) = frame(&mut wire).await;
        assert_eq!(header[1], 3, "go away");
        let mut held = Vec::new();
        while let Ok(stream) = streams.try_recv() {
            held.push(stream);
        }
        assert_eq!(held.len(), MAX_STREAMS);
    }

    async fn survives(input: Vec<u8>) {
        let (near, mut wire) = duplex(1 << 20);
        let (session, mut streams) = MuxSession::start(near, Mode::Server);
        wire.write_all(&input).await.unwrap();
        wire.shutdown().await.unwrap();
        // Ours ends because the peer's end came, whatever came before; a panic in it would fail the next line only.
        let mut rest = Vec::new();
        wire.read_to_end(&mut rest).await.unwrap();
        session.closed().cancelled().await;
        while let Some(mut stream) = streams.recv().await {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes).await;
            assert!(bytes.len() <= yamux::DEFAULT_CREDIT as usize);
        }
    }

    /// Mostly well-formed headers, with everything in them arbitrary.
    fn any_frame() -> impl Strategy<Value = Vec<u8>> {
        let length = prop_oneof![4 => 0..64_u32, 1 => any::<u32>()];
        let id = prop_oneof![4 => 0..6_u32, 1 => any::<u32>()];
        (0..5_u8, 0..16_u16, id, length, any::<bool>()).prop_map(|(kind, flags, id, length, honest)| {
            let mut bytes = vec![0, kind];
            bytes.extend(flags.to_be_bytes());
            bytes.extend(id.to_be_bytes());
            bytes.extend(length.to_be_bytes());
            if honest && kind == 0 {
                bytes.extend(vec![7; length.min(64) as usize]);
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn any_frames_end_in_an_end(frames in proptest::collection::vec(any_frame(), 0..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(survives(frames.concat()));
        }
    }
}
