//! How the engine gets a connection to its target: by dialling it, or from the conductor. It owns that one question; what is said on the connection is the
//! session's.

use std::{
    fmt,
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use super::{
    carry::{Arrivals, LastWord, NoLink},
    engine::{Event, Listener},
    session::{Session, SessionError},
};

/// The way to one target. Shown as people would write its address.
#[derive(Debug)]
pub(super) enum Reach {
    /// From here.
    Dial(SocketAddr),
    /// The conductor connects.
    Carried {
        /// What is connected to, for messages.
        at: String,
        /// Where connections come from.
        arrivals: Arrivals,
    },
}

/// What the conductor says of a carried connection when it ends before its time.
pub(super) type Word = Option<Arc<OnceLock<LastWord>>>;

impl Reach {
    /// A connection, not later than `deadline`, and where to look for the reason when it ends.
    pub fn connect(
        &self,
        deadline: Instant,
        listener: &dyn Listener,
        word: &mut Word,
    ) -> Result<Connection, SessionError> {
        match self {
            Self::Dial(address) => Session::connect(*address, deadline).map(Connection::Dialled),
            Self::Carried { arrivals, .. } => {
                let ask = |number| listener.tell(Event::Dial(number));
                let link = arrivals.next(&ask, deadline, &|| listener.is_gone()).map_err(|none| match none {
                    NoLink::Late => SessionError::Connect("the conductor made none in time".into()),
                    NoLink::Cancelled => SessionError::Cancelled,
                })?;
                *word = Some(link.last_word);
                Ok(Connection::Carried(link.socket))
            }
        }
    }

    /// How long to wait after a connection that did not come about: programs that make one are not started five times a second.
    pub fn pause(&self) -> Duration {
        match self {
            Self::Dial(_) => Duration::from_millis(200),
            Self::Carried { .. } => Duration::from_secs(2),
        }
    }
}

/// A connection on which nothing was said yet.
pub(super) enum Connection {
    /// Made here.
    Dialled(TcpStream),
    /// Made by the conductor.
    Carried(UnixStream),
}

impl Connection {
    /// A session on it whose keys are exchanged, not later than `deadline`; see [`Session::over`].
    pub fn session(self, deadline: Instant, prefer: &[String]) -> Result<Session, SessionError> {
        match self {
            Self::Dialled(stream) => Session::over(stream, deadline, prefer),
            Self::Carried(stream) => Session::over(stream, deadline, prefer),
        }
    }
}

impl From<SocketAddr> for Reach {
    fn from(address: SocketAddr) -> Self {
        Self::Dial(address)
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(address) => address.fmt(f),
            Self::Carried { at, .. } => at.fmt(f),
        }
    }
}
