//! The prober process: confined, one connection, gRPC on it, gone when the connection ends. It owns the translation
//! between protocol and engine; each target gets a thread that may block.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
    sync::{mpsc, oneshot},
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::Connected},
};

use super::{
    carry::{CarryStream, LinkTickets},
    confine::{ConfineError, confine},
    engine::{self, EngineEvent, EngineOrder, EngineStep, EngineStop, EventListener},
    hop::{self, HopStream},
    host_key::{self, HostKey},
    proto::{self, prober_server::ProberServer},
    questions,
    reach::TargetReach,
    reports, session,
};
use assay_model::{
    CheckOutcome, Digest, UndecidedKind,
    escape::{bounded, escape_line},
};
use assay_suite::Suite;

/// What conductor and prober must agree on.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Bytes of one stream that are taken before its reader reads them.
pub(super) const STREAM_WINDOW: u32 = 256 << 10;
/// The same of a whole connection: more than all of its streams together may hold, so that one target whose bytes nobody reads for a while does not hold up
/// the others. It is a bound; what is not sent takes no memory.
pub(super) const CONNECTION_WINDOW: u32 = STREAM_WINDOW * 2048;
/// Requests hold whole suites.
const MAX_REQUEST: usize = 64 << 20;
/// Targets at once, each with a thread that mostly waits; one more waits for one of them to end, and its time has not
/// begun. The conductor keeps to it too.
pub(super) const MAX_TARGETS: usize = 256;
/// What a target's thread may need: libssh2, OpenSSL, and the reading of one answer.
const STACK: usize = 512 << 10;
/// How many different lists of suites are remembered while they are in use.
const SUITES_KEPT: usize = 8;
/// Room for the answers of one target that the conductor has not taken yet.
const EVENTS_AHEAD: usize = 256;

/// Why the prober process could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// See [`ConfineError`].
    #[error("the prober is not confined")]
    Confine(#[from] ConfineError),
    /// Standard input is not the conductor's socket.
    #[error("standard input is no socket; assay starts its prober itself")]
    NoSocket(#[source] io::Error),
    /// The runtime or the connection.
    #[error("the prober's connection failed")]
    Connection(#[source] io::Error),
    /// gRPC.
    #[error("the prober's protocol failed")]
    Protocol(#[from] tonic::transport::Error),
}

/// The whole life of the prober process: confines it, then serves the socket that is its standard input until that
/// ends. Must be called before a second thread exists.
pub fn serve() -> Result<(), ServeError> {
    session::warm_up();
    let unconfined = confine()?;
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(ServeError::NoSocket)?;
    let socket = std::os::unix::net::UnixStream::from(socket);
    socket.peer_addr().map_err(ServeError::NoSocket)?;
    socket.set_nonblocking(true).map_err(ServeError::Connection)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(MAX_TARGETS)
        .thread_stack_size(STACK)
        .enable_all()
        .build()
        .map_err(ServeError::Connection)?;
    let served = runtime.block_on(connection(socket, unconfined));
    // Threads that wait for a host do not hold the end up: there is nobody left to tell.
    runtime.shutdown_background();
    served
}

async fn connection(socket: std::os::unix::net::UnixStream, unconfined: Vec<String>) -> Result<(), ServeError> {
    let socket = UnixStream::from_std(socket).map_err(ServeError::Connection)?;
    let (alive, ended) = oneshot::channel();
    let line = ConductorLine { socket, _alive: alive };
    let incoming = tokio_stream::once(Ok::<_, io::Error>(line)).chain(tokio_stream::pending());
    let service = ProberService { unconfined, tickets: LinkTickets::default(), suites: SuitesInUse::default() };
    let service = ProberServer::new(service).max_decoding_message_size(MAX_REQUEST);
    tokio::select! {
        served = windows(Server::builder()).serve_with_incoming(service, incoming) => Ok(served?),
        _ = ended => Ok(()),
    }
}

/// `server` with our windows; see [`CONNECTION_WINDOW`].
pub(super) fn windows(server: Server) -> Server {
    server.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW)
}

/// The conductor's connection; its end is the prober's.
struct ConductorLine {
    socket: UnixStream,
    _alive: oneshot::Sender<()>,
}

impl Connected for ConductorLine {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl AsyncRead for ConductorLine {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for ConductorLine {
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

struct ProberService {
    unconfined: Vec<String>,
    tickets: LinkTickets,
    suites: SuitesInUse,
}

/// The suites that targets are being asked, by the bytes that they came in. Hundreds of targets are asked the same:
/// they share one list.
#[derive(Default)]
struct SuitesInUse(Mutex<Vec<(Digest, Weak<[Suite]>)>>);

impl SuitesInUse {
    /// The suites in `json` for a login with `private_key`, read only where nobody uses them yet.
    fn read(&self, json: &[u8], private_key: &str) -> Result<Arc<[Suite]>, serde_json::Error> {
        let login = questions::public_half(private_key);
        let digest = Digest::of(&[json, b"\n", login.as_deref().unwrap_or_default().as_bytes()].concat());
        // A panic of another thread leaves at most a list that is too short.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(suites) = known.iter().find(|(of, _)| *of == digest).and_then(|(_, suites)| suites.upgrade()) {
            return Ok(suites);
        }
        let mut suites = serde_json::from_slice::<Vec<Suite>>(json)?;
        questions::introduce(&mut suites, login.as_deref());
        let suites: Arc<[Suite]> = suites.into();
        known.retain(|(of, suites)| *of != digest && suites.strong_count() > 0);
        known.truncate(SUITES_KEPT - 1);
        known.push((digest, Arc::downgrade(&suites)));
        Ok(suites)
    }
}

#[tonic::async_trait]
impl proto::prober_server::Prober for ProberService {
    type ProbeStream = ReceiverStream<Result<proto::ProbeEvent, Status>>;
    type CarryStream = CarryStream;
    type HopStream = HopStream;

    async fn get_info(&self, _: Request<proto::GetInfoRequest>) -> Result<Response<proto::GetInfoResponse>, Status> {
        let version = VERSION.to_owned();
        Ok(Response::new(proto::GetInfoResponse { version, unconfined: self.unconfined.clone(), targets: 0 }))
    }

    async fn probe(&self, request: Request<proto::ProbeRequest>) -> Result<Response<Self::ProbeStream>, Status> {
        let order = order(request.into_inner(), &self.tickets, &self.suites).map_err(Status::invalid_argument)?;
        let (events, stream) = mpsc::channel(EVENTS_AHEAD);
        tokio::spawn(async move {
            let teller = EventTeller { events: events.clone(), told: std::sync::atomic::AtomicU32::new(0) };
            let worked = tokio::task::spawn_blocking(move || {
                let ended = engine::run(&order, &teller);
                (ended, teller.told.into_inner())
            });
            let last = match worked.await {
                Ok((Ok(()), results)) => finished(results),
                Ok((Err(stop), _)) => undecided(&stop),
                Err(_) => undecided(&EngineStop::new(UndecidedKind::Prober, "the prober broke down on this target")),
            };
            // Nobody listens any more when this fails.
            let _ = events.send(Ok(last)).await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn parse_console(
        &self,
        request: Request<proto::ParseConsoleRequest>,
    ) -> Result<Response<proto::ParseConsoleResponse>, Status> {
        let keys = host_key::in_console(&request.into_inner().console);
        Ok(Response::new(proto::ParseConsoleResponse { host_keys: keys.iter().map(ToString::to_string).collect() }))
    }

    async fn read_report(
        &self,
        request: Request<proto::ReadReportRequest>,
    ) -> Result<Response<proto::ReadReportResponse>, Status> {
        Ok(Response::new(reports::answer(&request.into_inner())))
    }

    async fn carry(&self, request: Request<Streaming<proto::CarryUp>>) -> Result<Response<CarryStream>, Status> {
        self.tickets.carry(request.into_inner()).await.map(Response::new)
    }

    async fn hop(&self, request: Request<Streaming<proto::HopUp>>) -> Result<Response<HopStream>, Status> {
        hop::serve(request.into_inner()).await.map(Response::new)
    }
}

/// A port that can be dialled.
pub(super) fn port(number: u32) -> Result<u16, String> {
    u16::try_from(number).ok().filter(|port| *port > 0).ok_or_else(|| format!("{number} is no port"))
}

/// A request, checked. The error says what is wrong with it.
fn order(request: proto::ProbeRequest, tickets: &LinkTickets, known: &SuitesInUse) -> Result<EngineOrder, String> {
    if request.version != VERSION {
        let theirs = bounded(&escape_line(&request.version), 100);
        return Err(format!(
            "the request is of assay {theirs:?}, and this is {VERSION}: both must be the same version"
        ));
    }
    let address = if request.proxied {
        let at = bounded(&escape_line(&format!("{}:{}", request.address, request.port)), 300);
        TargetReach::Carried { at, arrivals: tickets.take(&request.ticket)? }
    } else {
        let ip: IpAddr = request.address.parse().map_err(|_| format!("{:?} is no IP address", request.address))?;
        SocketAddr::new(ip, port(request.port)?).into()
    };
    let suites = known.read(&request.suites_json, &request.private_key).map_err(|e| format!("suites: {e}"))?;
    let read = |line: &String| HostKey::from_line(line).ok_or_else(|| format!("{line:?} is no host key"));
    Ok(EngineOrder {
        address,
        user: request.user,
        private_key: request.private_key.into(),
        host_keys: request.host_keys.iter().map(read).collect::<Result<_, _>>()?,
        suites,
        connect_within: Duration::from_millis(request.connect_within_ms),
        total: Duration::from_millis(request.total_ms),
        wait_cloud_init: request.wait_cloud_init,
        facts: request.facts,
        inventory: request.inventory,
    })
}

/// Sends the engine's events from its thread.
struct EventTeller {
    events: mpsc::Sender<Result<proto::ProbeEvent, Status>>,
    told: std::sync::atomic::AtomicU32,
}

impl EventListener for EventTeller {
    fn tell(&self, event: EngineEvent) {
        if matches!(event, EngineEvent::Check { .. }) {
            self.told.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        // Nobody listens any more when this fails; `is_gone` says so.
        let _ = self.events.blocking_send(Ok(message(event)));
    }

    fn is_gone(&self) -> bool {
        self.events.is_closed()
    }
}

fn message(event: EngineEvent) -> proto::ProbeEvent {
    use proto::probe_event::Event as Wire;
    let event = match event {
        EngineEvent::Reached(step, after) => {
            let phase = match step {
                EngineStep::Connected => proto::Phase::Connected,
                EngineStep::Authenticated => proto::Phase::Authenticated,
                EngineStep::CloudInit => proto::Phase::CloudInit,
                EngineStep::Checks => proto::Phase::Checks,
                EngineStep::Answered => proto::Phase::Answered,
            };
            Wire::Phase(proto::PhaseReached { phase: phase.into(), after_ms: milliseconds(after) })
        }
        EngineEvent::Dial(number) => Wire::Dial(proto::Dial { number }),
        EngineEvent::HostKey { line, expected } => Wire::HostKey(proto::HostKeySeen { line, expected }),
        EngineEvent::Facts(facts) => Wire::Facts(*facts),
        EngineEvent::Inventory(piece) => Wire::Inventory(*piece),
        EngineEvent::Check { suite, check, property, judged, attempts, flaky, duration } => {
            Wire::Check(proto::CheckResult {
                suite: index(suite),
                check: index(check),
                property: index(property),
                outcome: outcome(judged.outcome).into(),
                actual_json: judged.actual.to_string(),
                message: judged.message,
                attempts,
                flaky,
                duration_ms: milliseconds(duration),
            })
        }
    };
    proto::ProbeEvent { event: Some(event) }
}

fn outcome(outcome: CheckOutcome) -> proto::Outcome {
    match outcome {
        CheckOutcome::Passed => proto::Outcome::Passed,
        CheckOutcome::Failed => proto::Outcome::Failed,
        CheckOutcome::Skipped => proto::Outcome::Skipped,
        CheckOutcome::Undecided => proto::Outcome::Undecided,
    }
}

fn finished(results: u32) -> proto::ProbeEvent {
    let finished = proto::Finished { results };
    proto::ProbeEvent { event: Some(proto::probe_event::Event::Finished(finished)) }
}

fn undecided(stop: &EngineStop) -> proto::ProbeEvent {
    // The kind's word is the one that evidence has in JSON.
    let kind = serde_json::to_value(stop.kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    let undecided = proto::Undecided { kind, reason: stop.reason.clone(), login_refused: stop.login_refused };
    proto::ProbeEvent { event: Some(proto::probe_event::Event::Undecided(undecided)) }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
