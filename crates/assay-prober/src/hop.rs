//! The way through a bastion, in a prober process of its own that sees no target's bytes but encrypted ones, and holds the bastion's key and nothing else. It
//! owns the order connect, host key, login, onward connection; the bytes are `session_hop`'s.

use std::{
    net::{IpAddr, SocketAddr},
    os::unix::net::UnixStream as StdUnixStream,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use zeroize::Zeroizing;

use super::{
    carry,
    host_key::HostKey,
    proto::{self, hop_down::Down, hop_up::Up},
    serve::port,
    session::{SessionError, SshSession},
    session_hop::ForwardedChannel,
};
use assay_model::escape::{bounded, escape_line};

/// The longest that a stream may take to say where to.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// Bytes in one message.
const PIECE: usize = 32 << 10;
/// Messages on their way to the conductor.
const AHEAD: usize = 8;
/// The longest that the bastion's side may take, whatever is asked.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) type HopStream = ReceiverStream<Result<proto::HopDown, Status>>;
type HopSender = mpsc::Sender<Result<proto::HopDown, Status>>;

/// Where to, and as whom.
struct HopOrder {
    bastion: SocketAddr,
    user: String,
    private_key: Zeroizing<String>,
    host_keys: Vec<HostKey>,
    target: (String, u16),
    deadline: Instant,
}

/// Why there is no way.
struct HopFailure {
    reason: String,
    hopeless: bool,
    /// The bastion refused the login.
    refused: bool,
    /// The login worked.
    onward: bool,
}

/// Serves one Hop call.
pub(super) async fn serve(mut up: Streaming<proto::HopUp>) -> Result<HopStream, Status> {
    let first = timeout(INTRODUCTION, up.message())
        .await
        .map_err(|_| Status::deadline_exceeded("the stream did not say where to"))??;
    let Some(Up::Start(start)) = first.and_then(|message| message.up) else {
        return Err(Status::invalid_argument("the first message must be `start`"));
    };
    let order = order(start).map_err(Status::invalid_argument)?;
    let (down, stream) = mpsc::channel(AHEAD);
    let (ours, theirs) = carry::pair().map_err(|error| Status::resource_exhausted(error.to_string()))?;
    let teller = down.clone();
    let worked = tokio::task::spawn_blocking(move || through(&order, &teller, &theirs));
    tokio::spawn(async move {
        let (mut read, mut write) = ours.into_split();
        let upward = async {
            while let Ok(Some(proto::HopUp { up: Some(Up::Data(data)) })) = up.message().await {
                if write.write_all(&data).await.is_err() {
                    return;
                }
            }
        };
        let downward = async {
            let mut buffer = vec![0; PIECE];
            while let Ok(count @ 1..) = read.read(&mut buffer).await {
                if !tell(&down, Down::Data(buffer[..count].to_vec())).await {
                    return;
                }
            }
        };
        tokio::select! { () = upward => {}, () = downward => {} }
        drop((read, write));
        if let Ok(Err(failure)) = worked.await {
            let reason = bounded(&escape_line(&failure.reason), 1 << 10);
            let HopFailure { hopeless, refused, onward, .. } = failure;
            tell(&down, Down::Failed(proto::HopFailed { reason, hopeless, refused, onward })).await;
        }
    });
    Ok(ReceiverStream::new(stream))
}

async fn tell(to: &HopSender, down: Down) -> bool {
    to.send(Ok(proto::HopDown { down: Some(down) })).await.is_ok()
}

fn order(start: proto::HopStart) -> Result<HopOrder, String> {
    let ip: IpAddr = start.address.parse().map_err(|_| format!("{:?} is no IP address", start.address))?;
    let read = |line: &String| HostKey::from_line(line).ok_or_else(|| format!("{line:?} is no host key"));
    Ok(HopOrder {
        bastion: SocketAddr::new(ip, port(start.port)?),
        user: start.user,
        private_key: start.private_key.into(),
        host_keys: start.host_keys.iter().map(read).collect::<Result<_, _>>()?,
        target: (start.target_host, port(start.target_port)?),
        deadline: Instant::now() + Duration::from_millis(start.within_ms).min(PATIENCE),
    })
}

/// The whole connection, on a thread that may block. `socket` ends with it.
fn through(order: &HopOrder, down: &HopSender, socket: &StdUnixStream) -> Result<(), HopFailure> {
    let done = connect(order, down).and_then(|forwarded| {
        let opened = proto::HopDown { down: Some(Down::Opened(proto::HopOpened {})) };
        // Where nobody listens any more the socket has ended too.
        let _ = down.blocking_send(Ok(opened));
        forwarded.pump(socket).map_err(|error| HopFailure { onward: true, ..failure(order, &error) })
    });
    // The conductor's end must see the end before it hears why.
    let _ = socket.shutdown(std::net::Shutdown::Both);
    done
}

fn connect(order: &HopOrder, down: &HopSender) -> Result<ForwardedChannel, HopFailure> {
    let prefer: Vec<String> = order.host_keys.iter().map(|key| key.algorithm.clone()).collect();
    let stream = SshSession::connect(order.bastion, order.deadline).map_err(|e| failure(order, &e))?;
    let mut session = SshSession::over(stream, order.deadline, &prefer).map_err(|e| failure(order, &e))?;
    let key = session.host_key().map_err(|e| failure(order, &e))?;
    let expected = order.host_keys.contains(&key);
    let seen = proto::HostKeySeen { line: key.to_string(), expected };
    // Nobody listens any more when this fails, and the pump will end.
    let _ = down.blocking_send(Ok(proto::HopDown { down: Some(Down::HostKey(seen)) }));
    if !expected && !order.host_keys.is_empty() {
        let wanted: Vec<String> = order.host_keys.iter().map(ToString::to_string).collect();
        let reason = format!("the bastion {} showed {key}, which is not {}", order.bastion, wanted.join(" nor "));
        return Err(HopFailure { reason, hopeless: true, refused: false, onward: false });
    }
    session.login(&order.user, &order.private_key).map_err(|e| failure(order, &e))?;
    let onward = session.forward(&order.target.0, order.target.1, order.deadline);
    onward.map_err(|e| HopFailure { onward: true, ..failure(order, &e) })
}

fn failure(order: &HopOrder, error: &SessionError) -> HopFailure {
    let at = format!("{}@{}", order.user, order.bastion);
    let reason = match error {
        SessionError::Connect(why) if why.starts_with("the bastion") => why.clone(),
        other => format!("the bastion {at}: {other}"),
    };
    let hopeless = matches!(error, SessionError::Key(_));
    HopFailure { reason, hopeless, refused: matches!(error, SessionError::Login(_)), onward: false }
}
