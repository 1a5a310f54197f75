//! Ways to a target that only the conductor can go, since it has the credentials: a proxy command, a bastion. It owns their connections and carries their
//! bytes to the prober, wherever that runs; it refuses to look at them. Each byte is encrypted between prober and target.

mod bastion;
mod command;
mod logins;

use std::{fmt, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

pub use bastion::{BastionOrder, BastionProcess};

use super::proto::{self, carry_up::Up, prober_client::ProberClient};

/// Messages on their way to the prober.
const AHEAD: usize = 8;
/// Bytes in one message.
const PIECE: usize = 32 << 10;
/// How long the last word may take to be heard.
const FAREWELL: Duration = Duration::from_secs(5);

/// How a target is reached.
#[derive(Debug, Clone, Default)]
pub enum ConnectionWay {
    /// The prober dials its address.
    #[default]
    Direct,
    /// The conductor connects, and carries the bytes.
    Carried(Arc<ConnectionMaker>),
}

/// Makes connections to one target's SSH server.
#[derive(Debug)]
pub struct ConnectionMaker {
    /// The server's name or address, as the other end of the way knows it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// By what.
    pub by: ConnectionMeans,
}

/// What makes the connection.
pub enum ConnectionMeans {
    /// A command for `sh`, filled in already: its standard input and output are the connection.
    Command(String),
    /// A jump host.
    Bastion(Arc<BastionProcess>),
}

impl fmt::Debug for ConnectionMeans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A command line may hold a password.
        f.write_str(match self {
            Self::Command(_) => "Command",
            Self::Bastion(_) => "Bastion",
        })
    }
}

type WayClosed = Streaming<proto::CarryDown>;
type ToProber = mpsc::Sender<proto::CarryUp>;

/// Makes the connection that the prober asked for as `number` of `ticket` and carries it to its end.
pub(super) async fn carry(
    mut prober: ProberClient<Channel>,
    ticket: String,
    number: u32,
    carrier: Arc<ConnectionMaker>,
) {
    let (to, up) = mpsc::channel(AHEAD);
    let start = Up::Start(proto::CarryStart { ticket, number });
    // The channel is new and its other end is held: there is room.
    let _ = to.send(proto::CarryUp { up: Some(start) }).await;
    // Where the prober does not take it, its probe has ended.
    let Ok(down) = prober.carry(ReceiverStream::new(up)).await else { return };
    let mut down = down.into_inner();
    let end = match &carrier.by {
        ConnectionMeans::Command(line) => command::connect(line, &mut down, &to).await,
        ConnectionMeans::Bastion(bastion) => bastion.connect(&carrier.host, carrier.port, &mut down, &to).await,
    };
    // Dropping the answer would cancel the call before the last word is out.
    let _ = to.send(proto::CarryUp { up: Some(Up::End(end)) }).await;
    drop(to);
    let _ = timeout(FAREWELL, async { while let Ok(Some(_)) = down.message().await {} }).await;
}

/// An end that the prober wanted.
fn quiet() -> proto::CarryEnd {
    proto::CarryEnd { reason: String::new(), hopeless: false }
}

async fn give(to: &ToProber, bytes: &[u8]) -> bool {
    to.send(proto::CarryUp { up: Some(Up::Data(bytes.to_vec())) }).await.is_ok()
}
