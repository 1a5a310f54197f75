//! What clients may ask of a remote prober. It owns who they are, which targets, how many and how long; the work itself is done by a confined process of each
//! connection, to which a request goes on only after all of that was found right. No byte of a target is parsed here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming, codegen::http, transport::server::TlsConnectInfo};

use super::{
    allow::AllowedTargets,
    line::ConnectionPeer,
    names::AllowedClients,
    quota::{ClientLimits, ClientQuotas},
};
use crate::{proto, reports::MAX_REPORT, serve::VERSION};
use assay_model::escape::{bounded, escape_line};
use assay_suite::Suite;

/// Events of one target that its client has not taken yet.
const EVENTS_AHEAD: usize = 64;

/// Who asks, as its certificate says.
#[derive(Debug, Clone)]
struct CertifiedCaller(String);

/// Lets only clients on the list in, and notes for the services who it is.
pub(super) fn admit(
    clients: &AllowedClients,
    lines: &ClientQuotas,
    extensions: &mut http::Extensions,
) -> Result<(), Status> {
    let nobody = || Status::unauthenticated("there is no client certificate");
    let info = extensions.get::<TlsConnectInfo<Arc<ConnectionPeer>>>().ok_or_else(nobody)?;
    let peer = Arc::clone(info.get_ref());
    let certificates = info.peer_certs().ok_or_else(nobody)?;
    match clients.admit(certificates.first().ok_or_else(nobody)?) {
        Ok(name) if peer.is_one_of(lines, &name) => {
            extensions.insert(CertifiedCaller(name));
            extensions.insert(peer);
            Ok(())
        }
        Ok(name) => {
            peer.dismiss();
            tracing::warn!("{}: {name} has too many connections", peer.address);
            Err(Status::resource_exhausted(format!("{name} has too many connections to this prober")))
        }
        Err(why) => {
            // Nobody who may not ask keeps a connection: there are not many.
            peer.dismiss();
            tracing::warn!("{}: {why}", peer.address);
            Err(Status::permission_denied(why))
        }
    }
}

/// The service.
pub(super) struct RemoteFront {
    pub(super) targets: AllowedTargets,
    pub(super) limits: ClientLimits,
    pub(super) quotas: ClientQuotas,
    /// What could not be confined in this very process.
    pub(super) unconfined: Vec<String>,
    pub(super) running: TaskTracker,
    pub(super) draining: Arc<AtomicBool>,
}

fn who<T>(request: &Request<T>) -> Result<(String, Arc<ConnectionPeer>), Status> {
    let extensions = request.extensions();
    match (extensions.get::<CertifiedCaller>(), extensions.get::<Arc<ConnectionPeer>>()) {
        (Some(caller), Some(peer)) => Ok((caller.0.clone(), Arc::clone(peer))),
        _ => Err(Status::unauthenticated("nobody was admitted on this connection")),
    }
}

impl RemoteFront {
    fn takes_targets(&self) -> Result<(), Status> {
        if self.draining.load(Ordering::SeqCst) {
            return Err(Status::unavailable("this prober is about to end and takes no new targets"));
        }
        Ok(())
    }

    /// Checks a request, and cuts its times to what is allowed.
    fn check(&self, request: &mut proto::ProbeRequest) -> Result<(), Status> {
        self.takes_targets()?;
        // A carried connection is made by the client; nothing is dialled from here.
        if !request.proxied {
            self.targets.check(&request.address, request.port).map_err(Status::permission_denied)?;
        }
        let suites: Vec<Suite> = serde_json::from_slice(&request.suites_json)
            .map_err(|error| Status::invalid_argument(format!("suites: {error}")))?;
        let checks: usize = suites.iter().map(Suite::planned).sum();
        if checks > self.limits.checks {
            let limit = self.limits.checks;
            return Err(Status::resource_exhausted(format!(
                "{checks} checks in one request; the limit is {limit} (--max-checks)"
            )));
        }
        let most = u64::try_from(self.limits.time.as_millis()).unwrap_or(u64::MAX);
        request.total_ms = request.total_ms.min(most);
        request.connect_within_ms = request.connect_within_ms.min(most);
        Ok(())
    }
}

#[tonic::async_trait]
impl proto::prober_server::Prober for RemoteFront {
    type ProbeStream = ReceiverStream<Result<proto::ProbeEvent, Status>>;
    type CarryStream = ReceiverStream<Result<proto::CarryDown, Status>>;
    type HopStream = ReceiverStream<Result<proto::HopDown, Status>>;

    async fn get_info(
        &self,
        request: Request<proto::GetInfoRequest>,
    ) -> Result<Response<proto::GetInfoResponse>, Status> {
        let (_, peer) = who(&request)?;
        let mut unconfined = self.unconfined.clone();
        unconfined.extend(peer.prober().await?.confinement());
        let targets = u32::try_from(self.limits.targets).unwrap_or(u32::MAX);
        Ok(Response::new(proto::GetInfoResponse { version: VERSION.to_owned(), unconfined, targets }))
    }

    async fn probe(&self, request: Request<proto::ProbeRequest>) -> Result<Response<Self::ProbeStream>, Status> {
        let (client, peer) = who(&request)?;
        let mut request = request.into_inner();
        let target = bounded(&escape_line(&format!("{} at {}", request.target, request.address)), 300);
        if let Err(status) = self.check(&mut request) {
            tracing::warn!("{client} ({}): {target}: refused: {}", peer.address, escape_line(status.message()));
            return Err(status);
        }
        // The client's own runs keep to the limit, which GetInfo says; those that share its name wait here.
        let wait = Duration::from_millis(request.total_ms);
        let place = self.quotas.place(&client, wait).await.map_err(Status::resource_exhausted)?;
        // From here on the end of the server waits for this target; so it must not begin after the end has.
        let running = self.running.token();
        self.takes_targets()?;
        let asked = peer.prober().await?.client().probe(request).await.map_err(passed_on)?.into_inner();
        tracing::info!("{client} ({}): {target}: begun", peer.address);
        let (events, stream) = mpsc::channel(EVENTS_AHEAD + 1);
        let patience = self.limits.patience;
        self.running.spawn(async move {
            let _running = running;
            let how = relay(asked, events, patience, place).await;
            tracing::info!("{client} ({}): {target}: {how}", peer.address);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn parse_console(
        &self,
        request: Request<proto::ParseConsoleRequest>,
    ) -> Result<Response<proto::ParseConsoleResponse>, Status> {
        let (_, peer) = who(&request)?;
        let asked = peer.prober().await?.client().parse_console(request.into_inner()).await;
        Ok(Response::new(asked.map_err(passed_on)?.into_inner()))
    }

    async fn read_report(
        &self,
        request: Request<proto::ReadReportRequest>,
    ) -> Result<Response<proto::ReadReportResponse>, Status> {
        let (_, peer) = who(&request)?;
        let mut prober = peer.prober().await?.client().max_decoding_message_size(MAX_REPORT);
        let asked = prober.read_report(request.into_inner()).await;
        Ok(Response::new(asked.map_err(passed_on)?.into_inner()))
    }

    async fn carry(&self, request: Request<Streaming<proto::CarryUp>>) -> Result<Response<Self::CarryStream>, Status> {
        let (_, peer) = who(&request)?;
        // Where the client breaks off, the stream just ends: the connection does too.
        let up = request
            .into_inner()
            .take_while(|m| std::future::ready(m.is_ok()))
            .filter_map(|m| std::future::ready(m.ok()));
        let mut down = peer.prober().await?.client().carry(up).await.map_err(passed_on)?.into_inner();
        let (to, stream) = mpsc::channel(8);
        self.running.spawn(async move {
            while let Ok(Some(message)) = down.message().await {
                if to.send(Ok(message)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn hop(&self, _: Request<Streaming<proto::HopUp>>) -> Result<Response<Self::HopStream>, Status> {
        // A bastion's key stays on the conductor's machine.
        Err(Status::permission_denied("this prober makes no hops; bastions are the conductor's"))
    }
}

/// Hands events on until the end, until the client is gone, or until it has taken nothing for `patience`. Returns how it ended.
async fn relay(
    mut asked: Streaming<proto::ProbeEvent>,
    events: mpsc::Sender<Result<proto::ProbeEvent, Status>>,
    patience: Duration,
    place: OwnedSemaphorePermit,
) -> &'static str {
    // Kept free, so that there is room for the last word when all else is full.
    let Ok(last) = events.clone().reserve_owned().await else { return "nobody listens" };
    let how = loop {
        let event = tokio::select! {
            event = asked.message() => event,
            () = events.closed() => break Ok("the client went away"),
        };
        match event {
            Ok(Some(event)) => match timeout(patience, events.send(Ok(event))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => break Ok("the client went away"),
                Err(_) => {
                    let seconds = patience.as_secs_f64();
                    let why = format!("this client took no answer for {seconds} s; the test was ended");
                    break Err((Status::deadline_exceeded(why), "the client was too slow"));
                }
            },
            Ok(None) => break Ok("done"),
            Err(status) => break Err((passed_on(status), "broke off")),
        }
    };
    drop(place);
    match how {
        Ok(how) => how,
        Err((status, how)) => {
            last.send(Err(status));
            how
        }
    }
}

/// An answer of the confined process as this server gives it: codes of a broken connection would say that the server is gone.
fn passed_on(status: Status) -> Status {
    let words = bounded(&escape_line(status.message()), 1 << 10);
    match status.code() {
        tonic::Code::InvalidArgument | tonic::Code::NotFound | tonic::Code::OutOfRange => {
            Status::new(status.code(), words)
        }
        _ => Status::internal(format!("the process that asks the target: {words}")),
    }
}
