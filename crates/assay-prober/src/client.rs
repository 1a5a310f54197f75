//! The conductor's side: starts the prober process and asks it. It owns the child's life (no environment, no inherited
//! output, killed when dropped), and takes nothing from its answers on trust: indexes, counts and texts are checked
//! again.

use std::{
    net::SocketAddr,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::UnixStream,
    process::{Child, ChildStderr, Command},
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::timeout,
};
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

use super::{
    collect::{CollectedAnswers, ProbeEvent, TargetProbe},
    proto::{self, probe_event::Event as Wire, prober_client::ProberClient},
    remote_client,
    reports::{self, MAX_REPORT, ReportFormat, ReportedTest},
    rounds::nonce,
    serve::{CONNECTION_WINDOW, MAX_TARGETS, STREAM_WINDOW, VERSION},
    ways::{self, ConnectionWay},
};
use assay_config::RemoteProber;
use assay_model::{
    UndecidedKind,
    escape::{bounded, escape_line},
};
use assay_suite::Suite;

/// The longest that the prober may take to start or to answer a question without a target.
const PROMPT: Duration = Duration::from_secs(20);
/// How much later than its own deadline the prober may be.
const GRACE: Duration = Duration::from_secs(20);
/// How long proxy commands may take to end after a probe.
const LINES_END: Duration = Duration::from_secs(6);
/// Events are small.
const MAX_EVENT: usize = 64 << 10;
/// Connections for one target that live at once.
const MAX_LINES: usize = 8;
/// Lines of the prober's standard error that go to the log.
const MAX_COMPLAINTS: usize = 200;

/// Why the prober could not be started or asked.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The process did not start.
    #[error("the prober process did not start")]
    Start(#[source] std::io::Error),
    /// The process started, but does not speak.
    #[error("the prober does not answer: {0}")]
    Silent(String),
    /// The prober elsewhere cannot be used.
    #[error("the prober at {address} {why}")]
    Remote {
        /// `host:port`
        address: String,
        /// Why, as the rest of the sentence; escaped and bounded.
        why: String,
    },
}

/// One target and what to ask it.
#[derive(Debug, Clone)]
pub struct ProbeRequest {
    /// For messages: `us-east-1:ami-…` or `user@host:port`.
    pub target: String,
    /// Where its SSH server is. Names are resolved before: the prober has no resolver.
    pub address: SocketAddr,
    /// The user to log in as.
    pub user: String,
    /// The private key, as OpenSSH text.
    pub private_key: SecretString,
    /// The host keys that may be shown, each `algorithm base64`; empty: any.
    pub host_keys: Vec<String>,
    /// The suites, at least one.
    pub suites: Arc<[Suite]>,
    /// From the target's turn until a login must have worked.
    pub connect_within: Duration,
    /// From the target's turn until everything must be done.
    pub total: Duration,
    /// Wait until cloud-init has finished (or is not there) before the first check.
    pub wait_cloud_init: bool,
    /// Ask the host about itself: [`TargetProbe::facts`].
    pub facts: bool,
    /// Ask what is in the image: [`TargetProbe::inventory`].
    pub inventory: bool,
    /// How it is reached. `address` counts for [`ConnectionWay::Direct`] only.
    pub way: ConnectionWay,
}

/// A running prober. Dropping it kills its process, where that is ours.
#[derive(Debug)]
pub struct Prober {
    client: ProberClient<Channel>,
    place: ProberPlace,
    unconfined: Vec<String>,
    /// As many targets at once as the prober takes.
    places: Semaphore,
}

#[derive(Debug)]
enum ProberPlace {
    Child(Mutex<Child>),
    /// `host:port`
    Elsewhere(String),
}

impl Prober {
    /// Starts `program prober` (assay's own executable) with nothing but a socket, and waits until it is confined.
    /// Fails when it cannot be started, or does not answer within 20 s.
    pub async fn start(program: &Path) -> Result<Self, ProbeError> {
        let (ours, theirs) = StdUnixStream::pair().map_err(ProbeError::Start)?;
        ours.set_nonblocking(true).map_err(ProbeError::Start)?;
        let mut child = Command::new(program)
            .arg("prober")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C reaches the conductor, which then ends its targets in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(ProbeError::Start)?;
        let complaints: Arc<Mutex<String>> = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(log(stderr, Arc::clone(&complaints)));
        }
        let mut client = connect(ours).await?;
        let asked = timeout(PROMPT, client.get_info(proto::GetInfoRequest {})).await;
        let unconfined = match asked {
            Ok(Ok(info)) => info.into_inner().unconfined.iter().map(|line| told(line)).collect(),
            Ok(Err(_)) | Err(_) => {
                // The process may have said why just before it ended.
                let ended = timeout(Duration::from_secs(2), child.wait()).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
                let said = complaints.lock().map(|c| c.clone()).unwrap_or_default();
                let ended = ended.ok().and_then(Result::ok).map_or("it still runs".to_owned(), |s| s.to_string());
                return Err(ProbeError::Silent(format!("{ended}; {said}")));
            }
        };
        Ok(Self {
            client,
            place: ProberPlace::Child(Mutex::new(child)),
            unconfined,
            places: Semaphore::new(MAX_TARGETS),
        })
    }

    pub(super) fn client(&self) -> ProberClient<Channel> {
        self.client.clone()
    }

    /// Uses the prober of `assay serve` elsewhere. Fails, without having asked it anything that costs, where it cannot be reached, does not prove to be
    /// that host, does not take this client, is draining or is another version.
    pub async fn connect(remote: &RemoteProber) -> Result<Self, ProbeError> {
        let remote_client::RemoteService { channel, unconfined, targets } = remote_client::connect(remote).await?;
        let client = ProberClient::new(channel).max_decoding_message_size(MAX_EVENT);
        let place = ProberPlace::Elsewhere(remote_client::shown(remote));
        let targets = targets.map_or(MAX_TARGETS, |targets| targets.min(MAX_TARGETS));
        Ok(Self { client, place, unconfined, places: Semaphore::new(targets) })
    }

    /// The process id, while it runs here.
    pub fn pid(&self) -> Option<u32> {
        match &self.place {
            ProberPlace::Child(child) => child.lock().ok().and_then(|child| child.id()),
            ProberPlace::Elsewhere(_) => None,
        }
    }

    /// What could not be confined in the prober, in words; empty when all was.
    pub fn confinement(&self) -> Vec<String> {
        self.unconfined.clone()
    }

    /// Probes one target; any number of calls may run at once. Where more run than the prober takes on, they wait for
    /// their turn, and the request's times begin with it. What happens on the way goes to `events`; nobody has to
    /// listen. Never fails: what keeps it from a verdict is in the result. Dropping the future ends the session with
    /// the target.
    pub async fn probe(&self, request: ProbeRequest, events: mpsc::Sender<ProbeEvent>) -> TargetProbe {
        let mut collected = CollectedAnswers::new(Arc::clone(&request.suites));
        // It is never closed, so an error cannot come; without a place the prober itself would queue.
        let _place = self.places.acquire().await;
        if let Err(why) = self.ask(&request, &mut collected, &events).await {
            collected.undecided(UndecidedKind::Prober, &format!("{why}{}", self.ended()));
        }
        collected.finish()
    }

    async fn ask(
        &self,
        request: &ProbeRequest,
        collected: &mut CollectedAnswers,
        events: &mpsc::Sender<ProbeEvent>,
    ) -> Result<(), String> {
        let ticket = nonce();
        let message = message(request, &ticket).map_err(|e| format!("the suites cannot be sent: {e}"))?;
        // A prober that others use too answers when it has a place for this target; the request's times begin then.
        let mut client = self.client.clone();
        let stream = match timeout(request.total + GRACE, client.probe(message)).await {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => return Err(format!("the prober refused: {}", told(status.message()))),
            Err(_) => return Err(format!("the prober had no place within {} s", request.total.as_secs())),
        };
        let answers = self.answers(request, &ticket, stream, collected, events);
        let late = || "the prober did not keep its own deadline".to_owned();
        timeout(request.total + GRACE, answers).await.unwrap_or_else(|_| Err(late()))
    }

    /// Takes what the prober says of a target until its last word, and makes the connections that it asks for.
    async fn answers(
        &self,
        request: &ProbeRequest,
        ticket: &str,
        mut stream: Streaming<proto::ProbeEvent>,
        collected: &mut CollectedAnswers,
        events: &mpsc::Sender<ProbeEvent>,
    ) -> Result<(), String> {
        let mut lines = JoinSet::new();
        let mut dialled = 0;
        loop {
            match stream.message().await {
                Ok(Some(proto::ProbeEvent { event: Some(Wire::Dial(dial)) })) => {
                    let ConnectionWay::Carried(carrier) = &request.way else {
                        return Err("the prober wants a connection that nobody offered".into());
                    };
                    while lines.try_join_next().is_some() {}
                    dialled += 1;
                    // Each starts a program that has our credentials: a prober gone bad gets no endless supply.
                    if lines.len() >= MAX_LINES || dialled > most_dials(request) {
                        return Err("the prober asks for more connections than one target needs".into());
                    }
                    lines.spawn(ways::carry(self.client(), ticket.to_owned(), dial.number, Arc::clone(carrier)));
                }
                Ok(Some(event)) => {
                    if let Some(event) = collected.take(event)? {
                        // Nobody has to listen.
                        let _ = events.send(event).await;
                    }
                }
                Ok(None) if collected.has_ended() => {
                    // What made the connections ends in order; what does not in time is killed.
                    let _ = timeout(LINES_END, async { while lines.join_next().await.is_some() {} }).await;
                    return Ok(());
                }
                Ok(None) => return Err("the prober's answer has no end".into()),
                Err(status) => return Err(format!("the prober's answer broke off: {}", told(status.message()))),
            }
        }
    }

    /// The host keys that cloud-init printed in `console` (raw bytes of GetConsoleOutput), each `algorithm base64`;
    /// read in the prober, because the image wrote them.
    pub async fn parse_console(&self, console: Vec<u8>) -> Result<Vec<String>, ProbeError> {
        let asked = timeout(PROMPT, self.client.clone().parse_console(proto::ParseConsoleRequest { console })).await;
        match asked {
            Ok(Ok(answer)) => Ok(answer.into_inner().host_keys.into_iter().filter(|line| is_key_line(line)).collect()),
            Ok(Err(status)) => Err(ProbeError::Silent(format!("{}{}", told(status.message()), self.ended()))),
            Err(_) => Err(ProbeError::Silent("no answer about the console".into())),
        }
    }

    /// The tests of an external suite's report, read in the prober, because it holds what hosts said. The inner error says why it is no
    /// report; the outer one that the prober does not answer.
    pub async fn read_report(
        &self,
        format: ReportFormat,
        report: Vec<u8>,
    ) -> Result<Result<Vec<ReportedTest>, String>, ProbeError> {
        let request = proto::ReadReportRequest { format: proto::ReportFormat::from(format).into(), report };
        let mut client = self.client.clone().max_decoding_message_size(MAX_REPORT);
        match timeout(PROMPT, client.read_report(request)).await {
            Ok(Ok(answer)) => Ok(reports::taken(answer.into_inner())),
            Ok(Err(status)) => Err(ProbeError::Silent(format!("{}{}", told(status.message()), self.ended()))),
            Err(_) => Err(ProbeError::Silent("no answer about the report".into())),
        }
    }

    /// Whether its process has ended.
    pub(super) fn has_ended(&self) -> bool {
        match &self.place {
            ProberPlace::Child(child) => child.lock().is_ok_and(|mut child| !matches!(child.try_wait(), Ok(None))),
            ProberPlace::Elsewhere(_) => false,
        }
    }

    /// How the process ended, for messages; empty while it runs.
    fn ended(&self) -> String {
        let child = match &self.place {
            ProberPlace::Child(child) => child,
            ProberPlace::Elsewhere(address) => return format!(" (the prober is at {address})"),
        };
        match child.lock().map(|mut child| child.try_wait()) {
            Ok(Ok(Some(status))) => format!("; the prober process ended: {status}"),
            _ => String::new(),
        }
    }
}

/// The most connections that one probe may ask for: one a second as long as a login may take, and some more.
fn most_dials(request: &ProbeRequest) -> u64 {
    request.connect_within.as_secs().saturating_add(16)
}

async fn connect(socket: StdUnixStream) -> Result<ProberClient<Channel>, ProbeError> {
    let socket = UnixStream::from_std(socket).map_err(ProbeError::Start)?;
    let once = Arc::new(Mutex::new(Some(socket)));
    let connector = tower::service_fn(move |_| {
        let socket = once.lock().ok().and_then(|mut socket| socket.take());
        async move {
            socket.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the prober's only connection has ended"))
        }
    });
    // The address is never looked up: the connection is the socket above.
    let channel = Endpoint::from_static("http://prober.invalid")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .connect_with_connector(connector)
        .await
        .map_err(|e| ProbeError::Silent(e.to_string()))?;
    Ok(ProberClient::new(channel).max_decoding_message_size(MAX_EVENT))
}

fn message(request: &ProbeRequest, ticket: &str) -> Result<proto::ProbeRequest, serde_json::Error> {
    let (address, port) = match &request.way {
        ConnectionWay::Direct => (request.address.ip().to_string(), request.address.port()),
        ConnectionWay::Carried(carrier) => (carrier.host.clone(), carrier.port),
    };
    let proxied = matches!(request.way, ConnectionWay::Carried(_));
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(proto::ProbeRequest {
        target: request.target.clone(),
        address,
        port: port.into(),
        user: request.user.clone(),
        private_key: request.private_key.expose_secret().to_owned(),
        host_keys: request.host_keys.clone(),
        suites_json: serde_json::to_vec(&*request.suites)?,
        connect_within_ms: milliseconds(request.connect_within),
        total_ms: milliseconds(request.total),
        wait_cloud_init: request.wait_cloud_init,
        facts: request.facts,
        inventory: request.inventory,
        proxied,
        ticket: if proxied { ticket.to_owned() } else { String::new() },
        version: VERSION.to_owned(),
    })
}

/// The prober's standard error into the log: bounded and escaped, and its beginning kept for an error message.
async fn log(stderr: ChildStderr, kept: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stderr);
    for _ in 0..MAX_COMPLAINTS {
        let mut line = Vec::new();
        match (&mut lines).take(2_000).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = escape_line(String::from_utf8_lossy(&line).trim_end());
        tracing::warn!(target: "assay::prober", "{line}");
        if let Ok(mut kept) = kept.lock()
            && kept.len() < 1_000
        {
            kept.push_str(&line);
            kept.push(' ');
        }
    }
    // What follows is dropped, but must be read, or the prober would stand still.
    let _ = tokio::io::copy(&mut lines, &mut tokio::io::sink()).await;
}

/// A text of the prober's, safe to show.
pub(super) fn told(text: &str) -> String {
    bounded(&escape_line(text), 2 << 10)
}

pub(super) fn is_key_line(line: &str) -> bool {
    line.len() <= 16 << 10 && line.bytes().all(|b| b.is_ascii_alphanumeric() || b" +/=@.-".contains(&b))
}
