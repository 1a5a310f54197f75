//! The prober's end of connections that the conductor makes: what Carry brings is handed to the engine's thread as one end of a socket pair. It owns the
//! tickets by which a stream finds its probe; it refuses streams that nobody asked for.

use std::{
    collections::HashMap,
    io,
    os::unix::net::UnixStream as StdUnixStream,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc as blocking,
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::proto::{self, carry_up::Up};
use assay_model::escape::{bounded, escape_line};

/// The longest that a stream may take to say which connection it is.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// Bytes in one message.
const PIECE: usize = 32 << 10;
/// Messages on their way to the conductor.
const AHEAD: usize = 8;
/// A shorter ticket could be guessed.
const SHORTEST_TICKET: usize = 16;
/// How often a wait looks whether anybody still wants it.
const TICK: Duration = Duration::from_millis(100);

/// Why a connection was over before its time, in the conductor's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastWord {
    /// Escaped and bounded.
    pub reason: String,
    /// Another attempt would end the same way.
    pub hopeless: bool,
}

/// A connection that the conductor made.
#[derive(Debug)]
pub(super) struct CarriedLink {
    /// Blocking.
    pub socket: StdUnixStream,
    /// Filled in before the socket ends.
    pub last_word: Arc<OnceLock<LastWord>>,
}

type LinkArrival = (u32, CarriedLink);

/// The probes that wait for connections, by their tickets.
#[derive(Debug, Default, Clone)]
pub(super) struct LinkTickets(Arc<Mutex<HashMap<String, blocking::Sender<LinkArrival>>>>);

/// The engine's side of one ticket. The ticket ends with it.
#[derive(Debug)]
pub(super) struct LinkArrivals {
    ticket: String,
    tickets: LinkTickets,
    arrived: Mutex<blocking::Receiver<LinkArrival>>,
    asked: AtomicU32,
}

pub(super) type CarryStream = ReceiverStream<Result<proto::CarryDown, Status>>;

impl LinkTickets {
    /// Takes a probe's ticket. Fails when it could be guessed or is there already.
    pub(crate) fn take(&self, ticket: &str) -> Result<LinkArrivals, String> {
        if ticket.len() < SHORTEST_TICKET {
            return Err("the ticket is too short".into());
        }
        let (sender, arrived) = blocking::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.contains_key(ticket) {
            return Err("the ticket is in use".into());
        }
        waiting.insert(ticket.to_owned(), sender);
        Ok(LinkArrivals {
            ticket: ticket.to_owned(),
            tickets: self.clone(),
            arrived: Mutex::new(arrived),
            asked: AtomicU32::new(0),
        })
    }

    /// Serves one Carry call.
    pub(crate) async fn carry(&self, mut up: Streaming<proto::CarryUp>) -> Result<CarryStream, Status> {
        let first = timeout(INTRODUCTION, up.message())
            .await
            .map_err(|_| Status::deadline_exceeded("the stream did not say which connection it is"))??;
        let Some(Up::Start(start)) = first.and_then(|message| message.up) else {
            return Err(Status::invalid_argument("the first message must be `start`"));
        };
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&start.ticket).cloned();
        let sender = sender.ok_or_else(|| Status::not_found("no probe waits for this connection"))?;
        let (ours, socket) = pair().map_err(|error| Status::resource_exhausted(error.to_string()))?;
        let last_word = Arc::default();
        let link = CarriedLink { socket, last_word: Arc::clone(&last_word) };
        sender.send((start.number, link)).map_err(|_| Status::not_found("the probe has ended"))?;
        let (down, stream) = mpsc::channel(AHEAD);
        let (read, write) = ours.into_split();
        tokio::spawn(async move {
            // Whichever side ends first ends the connection; the last word is there before the socket closes.
            tokio::select! {
                () = to_host(up, write, &last_word) => {}
                () = from_host(read, &down) => {}
            }
        });
        Ok(ReceiverStream::new(stream))
    }
}

/// The runtime's end and the engine's.
pub(super) fn pair() -> io::Result<(UnixStream, StdUnixStream)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, theirs))
}

async fn to_host(mut up: Streaming<proto::CarryUp>, mut socket: OwnedWriteHalf, last_word: &OnceLock<LastWord>) {
    // A stream that breaks is a connection that ends.
    while let Ok(Some(message)) = up.message().await {
        match message.up {
            Some(Up::Data(data)) => {
                if socket.write_all(&data).await.is_err() {
                    return;
                }
            }
            Some(Up::End(end)) => {
                if !end.reason.is_empty() {
                    let reason = bounded(&escape_line(&end.reason), 1 << 10);
                    // The first word stays.
                    let _ = last_word.set(LastWord { reason, hopeless: end.hopeless });
                }
                return;
            }
            Some(Up::Start(_)) | None => return,
        }
    }
}

async fn from_host(mut socket: OwnedReadHalf, down: &mpsc::Sender<Result<proto::CarryDown, Status>>) {
    let mut buffer = vec![0; PIECE];
    while let Ok(count @ 1..) = socket.read(&mut buffer).await {
        if down.send(Ok(proto::CarryDown { data: buffer[..count].to_vec() })).await.is_err() {
            return;
        }
    }
}

/// Why no connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoLink {
    /// Not in time.
    Late,
    /// Nobody wants it any more.
    Cancelled,
}

impl LinkArrivals {
    /// Asks for a connection with `ask`, which is given its number, and blocks until it is there, `deadline` passes, or `is_gone`.
    pub(crate) fn next(
        &self,
        ask: &dyn Fn(u32),
        deadline: Instant,
        is_gone: &dyn Fn() -> bool,
    ) -> Result<CarriedLink, NoLink> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        ask(number);
        let arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if is_gone() {
                return Err(NoLink::Cancelled);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(NoLink::Late);
            }
            match arrived.recv_timeout(left.min(TICK)) {
                Ok((found, link)) if found == number => return Ok(link),
                // One that was given up before it came.
                Ok(_) | Err(blocking::RecvTimeoutError::Timeout) => {}
                Err(blocking::RecvTimeoutError::Disconnected) => return Err(NoLink::Cancelled),
            }
        }
    }
}

impl Drop for LinkArrivals {
    fn drop(&mut self) {
        self.tickets.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.ticket);
    }
}
