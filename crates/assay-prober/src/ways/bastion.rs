//! A jump host: connections through it are made in a prober process of its own. It owns that process and what it is told. The process that reads what images
//! say never holds the bastion's key, and neither does a prober elsewhere.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{
    AHEAD, ToProber, WayClosed, give,
    logins::{BastionLogins, LoginTurn},
    quiet,
};
use crate::{
    client::{ProbeError, Prober, is_key_line, told},
    proto::{self, hop_down, hop_up::Up},
};

/// How long one connection through it may take to stand.
const WITHIN: Duration = Duration::from_secs(20);

/// What must be known of a jump host.
#[derive(Debug)]
pub struct BastionOrder {
    /// Where its SSH server is.
    pub address: SocketAddr,
    /// The account.
    pub user: String,
    /// The private key, as OpenSSH text.
    pub private_key: SecretString,
    /// The host keys that it may show, each `algorithm base64`; empty: any.
    pub host_keys: Vec<String>,
}

/// A jump host and the process that speaks to it.
#[derive(Debug)]
pub struct BastionProcess {
    order: BastionOrder,
    prober: Prober,
    logins: BastionLogins,
    told: AtomicBool,
    seen: Mutex<Option<String>>,
}

impl BastionProcess {
    /// Starts the process; nothing is connected yet.
    pub async fn start(program: &Path, order: BastionOrder) -> Result<Self, ProbeError> {
        let prober = Prober::start(program).await?;
        Ok(Self { order, prober, logins: BastionLogins::new(), told: AtomicBool::new(false), seen: Mutex::new(None) })
    }

    /// The host key that it showed last and that was accepted, `algorithm base64`.
    pub fn seen(&self) -> Option<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether its key is verified.
    pub fn is_pinned(&self) -> bool {
        !self.order.host_keys.is_empty()
    }

    /// Connects to `host` at `port` through it and carries the bytes until either side ends.
    pub(super) async fn connect(&self, host: &str, port: u16, down: &mut WayClosed, to: &ToProber) -> proto::CarryEnd {
        let turn = match self.logins.turn().await {
            Ok(turn) => turn,
            Err(end) => return end,
        };
        let (hop, up) = mpsc::channel(AHEAD);
        let start = Up::Start(self.start_message(host, port));
        // The channel is new and its other end is held: there is room.
        let _ = hop.send(proto::HopUp { up: Some(start) }).await;
        let mut from = match self.prober.client().hop(ReceiverStream::new(up)).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                return proto::CarryEnd { reason: format!("the bastion: {}", told(status.message())), hopeless: true };
            }
        };
        let upward = async {
            while let Ok(Some(message)) = down.message().await {
                if hop.send(proto::HopUp { up: Some(Up::Data(message.data)) }).await.is_err() {
                    break;
                }
            }
            quiet()
        };
        tokio::select! {
            end = self.relay_down(&mut from, to, turn) => end,
            end = upward => end,
        }
    }

    fn start_message(&self, host: &str, port: u16) -> proto::HopStart {
        proto::HopStart {
            address: self.order.address.ip().to_string(),
            port: self.order.address.port().into(),
            user: self.order.user.clone(),
            private_key: self.order.private_key.expose_secret().to_owned(),
            host_keys: self.order.host_keys.clone(),
            target_host: host.to_owned(),
            target_port: port.into(),
            within_ms: u64::try_from(WITHIN.as_millis()).unwrap_or(u64::MAX),
        }
    }

    async fn relay_down(
        &self,
        from: &mut Streaming<proto::HopDown>,
        to: &ToProber,
        turn: LoginTurn<'_>,
    ) -> proto::CarryEnd {
        let mut turn = Some(turn);
        loop {
            let message = match from.message().await {
                Ok(Some(message)) => message.down,
                Ok(None) => return ended("the connection through the bastion has ended"),
                Err(status) => return ended(&format!("the process that speaks to the bastion: {}", status.message())),
            };
            match message {
                Some(hop_down::Down::HostKey(key)) if is_key_line(&key.line) => self.note(key),
                Some(hop_down::Down::Opened(_)) => turn.take().into_iter().for_each(LoginTurn::worked),
                Some(hop_down::Down::Data(data)) => {
                    if !give(to, &data).await {
                        return quiet();
                    }
                }
                Some(hop_down::Down::Failed(failed)) => {
                    let reason = told(&failed.reason);
                    return match turn.take() {
                        Some(turn) => turn.failed(&failed, reason),
                        None => proto::CarryEnd { reason, hopeless: failed.hopeless },
                    };
                }
                Some(hop_down::Down::HostKey(_)) | None => return ended("the bastion's process cannot be understood"),
            }
        }
    }

    /// Says once what an unverified bastion showed. A key that is not the expected one verifies nothing.
    fn note(&self, proto::HostKeySeen { line, expected }: proto::HostKeySeen) {
        if self.is_pinned() && !expected {
            return;
        }
        if !self.is_pinned() && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the bastion {} showed {line}, which nothing verifies: set ssh_bastion_known_hosts_file",
                self.order.address
            );
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
    }
}

fn ended(why: &str) -> proto::CarryEnd {
    proto::CarryEnd { reason: told(why), hopeless: false }
}
