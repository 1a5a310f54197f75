//! `assay serve`: a prober that others ask over TCP with mutual TLS, from where its targets can be reached. It owns the order of its life: read the
//! certificates, listen, confine itself, serve, drain.
//!
//! Two kinds of process. This one holds the server's key, speaks TLS and gRPC with clients, decides what they may ask (`names`, `allow`, `quota`), and parses
//! no byte of a target. Each client's connection gets an ordinary prober process behind it (`line`, `front`), confined as on the conductor's own machine: that
//! one parses what targets say, and holds neither the key nor another client's requests.

mod allow;
mod confine;
mod front;
mod line;
mod names;
mod pending;
mod quota;
mod routes;

use std::{
    io,
    net::{SocketAddr, TcpListener as StdTcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use zeroize::Zeroizing;

pub use allow::AllowedTargets;
pub use names::AllowedClients;
pub use quota::ClientLimits;

use super::{
    proto::{self, prober_server::ProberServer},
    remote_client::SERVICE,
    serve::windows,
};
use front::RemoteFront;
use quota::ClientQuotas;
use routes::ServiceRoutes;

/// Requests hold whole suites.
const MAX_REQUEST: usize = 20 << 20;
/// The longest that a client may take for TLS.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Connections of one client at once; a run has one.
const CLIENT_LINES: usize = 64;
/// How often a client is pinged, and how long its answer may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(20));
/// Requests of one connection at once.
const STREAMS: u32 = 2_048;
/// The longest request header.
const HEADERS: u32 = 16 << 10;
/// How long clients have to take their last answers.
const FAREWELL: Duration = Duration::from_secs(2);

/// What to serve, and to whom.
#[derive(Debug, Clone)]
pub struct ServeOrder {
    /// Where to listen; port 0 is any.
    pub listen: SocketAddr,
    /// The server's certificate and chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The certificate of the authority that signs clients', PEM.
    pub ca: PathBuf,
    /// Who may ask.
    pub clients: AllowedClients,
    /// What may be dialled.
    pub targets: AllowedTargets,
    /// How much.
    pub limits: ClientLimits,
}

/// Why a server could not serve.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// A certificate or key.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system gives every address away.
    #[error(
        "this system takes any address for its own (net.ipv4.ip_nonlocal_bind or net.ipv6.ip_nonlocal_bind is 1): what must not be dialled cannot be told"
    )]
    AnyAddress,
    /// The runtime.
    #[error("the server's runtime failed")]
    Runtime(#[source] io::Error),
    /// TLS or gRPC.
    #[error("the server's certificate, key or protocol is not usable")]
    Protocol(#[from] tonic::transport::Error),
    /// Reflection.
    #[error("the protocol's description is not usable")]
    Description(#[from] tonic_reflection::server::Error),
}

/// The whole life of the server: returns when it was asked to end and has. `program` is this very program. `listening` is told the address, and what could not
/// be confined. Must be called before a second thread exists.
pub fn serve(order: &ServeOrder, program: &Path, listening: &dyn Fn(SocketAddr, &[String])) -> Result<(), RemoteError> {
    let read = |path: &Path| std::fs::read(path).map_err(|source| RemoteError::Read { path: path.to_owned(), source });
    let (cert, key, ca) = (read(&order.cert)?, Zeroizing::new(read(&order.key)?), read(&order.ca)?);
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(cert, &*key))
        .client_ca_root(Certificate::from_pem(ca))
        .client_auth_optional(false)
        .timeout(HANDSHAKE);
    let cannot = |source| RemoteError::Listen { address: order.listen, source };
    let listener = StdTcpListener::bind(order.listen).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    if allow::takes_any_address() {
        return Err(RemoteError::AnyAddress);
    }
    let server = server(tls)?;
    let unconfined = confine::confine(program);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .map_err(RemoteError::Runtime)?;
    listening(listener.local_addr().map_err(cannot)?, &unconfined);
    let served = runtime.block_on(run(order, server, listener, program, unconfined));
    runtime.shutdown_background();
    served
}

/// The protocol's bounds. Reads the certificates now, so that what is wrong with them is said before anything listens for long.
fn server(tls: ServerTlsConfig) -> Result<Server, RemoteError> {
    Ok(windows(Server::builder())
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .max_concurrent_streams(STREAMS)
        .http2_max_header_list_size(HEADERS)
        .tls_config(tls)?)
}

async fn run(
    order: &ServeOrder,
    server: Server,
    listener: StdTcpListener,
    program: &Path,
    unconfined: Vec<String>,
) -> Result<(), RemoteError> {
    let listener = TcpListener::from_std(listener).map_err(RemoteError::Runtime)?;
    let running = TaskTracker::new();
    let draining = Arc::new(AtomicBool::new(false));
    let front = RemoteFront {
        targets: order.targets.clone(),
        limits: order.limits,
        quotas: ClientQuotas::new(order.limits.targets),
        unconfined,
        running: running.clone(),
        draining: Arc::clone(&draining),
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status(SERVICE, tonic_health::ServingStatus::Serving).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTOR)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let prober = ProberServer::new(front).max_decoding_message_size(MAX_REQUEST);
    let routes = ServiceRoutes {
        clients: Arc::new(order.clients.clone()),
        lines: Arc::new(ClientQuotas::new(CLIENT_LINES)),
        prober,
        health,
        reflection,
    };
    let (end, ended) = oneshot::channel::<()>();
    let incoming = line::incoming(listener, program.to_owned());
    let serving = server.serve_with_incoming_shutdown(routes, incoming, async {
        // Where the sender is gone the server is to end too.
        let _ = ended.await;
    });
    let drained = async {
        asked_to_end().await.map_err(RemoteError::Runtime)?;
        draining.store(true, Ordering::SeqCst);
        for service in ["", SERVICE] {
            reporter.set_service_status(service, tonic_health::ServingStatus::NotServing).await;
        }
        drain(&running, order.limits.drain).await;
        // Nobody waits for it when this fails.
        let _ = end.send(());
        sleep(FAREWELL).await;
        Ok(())
    };
    tokio::select! {
        served = serving => Ok(served?),
        drained = drained => drained,
    }
}

async fn asked_to_end() -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    Ok(())
}

/// Until what runs has ended, the time for it is over, or somebody asks again.
async fn drain(running: &TaskTracker, time: Duration) {
    running.close();
    tracing::info!("draining: {} at work, {} s at most", running.len(), time.as_secs());
    tokio::select! {
        waited = timeout(time, running.wait()) => if waited.is_err() {
            tracing::warn!("{} were still at work when the time to drain was over", running.len());
        },
        _ = asked_to_end() => tracing::warn!("asked again to end: {} were still at work", running.len()),
    }
}
