//! How the engine gets a connection to its target: by dialling it, or from the conductor. It owns that one question; what is said on the connection is the
//! session's.

use std::{
    fmt,
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    carry::{LastWord, LinkArrivals, NoLink},
    engine::{EngineEvent, EventListener},
    session::{HANDSHAKE, SessionError, SshSession},
};

/// The way to one target. Shown as people would write its address.
#[derive(Debug)]
pub(super) enum TargetReach {
    /// From here.
    Dial(SocketAddr),
    /// The conductor connects.
    Carried {
        /// What is connected to, for messages.
        at: String,
        /// Where connections come from.
        arrivals: LinkArrivals,
    },
}

/// What the conductor says of a carried connection when it ends before its time.
pub(super) type ConductorWord = Option<Arc<OnceLock<LastWord>>>;

impl TargetReach {
    /// A connection, not later than `deadline`, and where to look for the reason when it ends. One that is carried has stood since its first byte.
    pub(crate) fn connect(
        &self,
        deadline: Instant,
        listener: &dyn EventListener,
        word: &mut ConductorWord,
    ) -> Result<FreshConnection, SessionError> {
        match self {
            Self::Dial(address) => SshSession::connect(*address, deadline).map(FreshConnection::Dialled),
            Self::Carried { arrivals, .. } => {
                let ask = |number| listener.tell(EngineEvent::Dial(number));
                let link = arrivals.next(&ask, deadline, &|| listener.is_gone()).map_err(|none| match none {
                    NoLink::Late => SessionError::Connect("the conductor made none in time".into()),
                    NoLink::Cancelled => SessionError::Cancelled,
                })?;
                *word = Some(link.last_word);
                let stands = has_spoken(&link.socket, deadline.min(Instant::now() + WAY), listener)?;
                Ok(FreshConnection::Carried { socket: link.socket, stands })
            }
        }
    }

    /// How long to wait after so many connections that did not come about: programs that make one are not started five times a second, and a bastion is not
    /// logged in to more often than it helps.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        match self {
            Self::Dial(_) => Duration::from_millis(200),
            Self::Carried { .. } => Duration::from_secs(u64::from(failures.clamp(2, 6))),
        }
    }
}

/// A connection on which nothing was said yet.
pub(super) enum FreshConnection {
    /// Made here.
    Dialled(TcpStream),
    /// Made by the conductor. `stands`: something has come.
    Carried { socket: UnixStream, stands: bool },
}

impl FreshConnection {
    /// A session on it whose keys are exchanged, not later than `deadline`; see [`SshSession::over`].
    pub(crate) fn session(self, deadline: Instant, prefer: &[String]) -> Result<SshSession, SessionError> {
        match self {
            Self::Dialled(stream) => SshSession::over(stream, deadline, prefer),
            Self::Carried { socket, stands: true } => SshSession::over(socket, deadline, prefer),
            // A server may want to hear the client first, against RFC 4253, 4.2.
            Self::Carried { socket, stands: false } => {
                SshSession::over(socket, deadline, prefer).map_err(|error| match error {
                    SessionError::Handshake(_) => SessionError::Connect(format!(
                        "nothing came by the proxy command or bastion within {} s",
                        (WAY + HANDSHAKE).as_secs()
                    )),
                    other => other,
                })
            }
        }
    }
}

/// How long a proxy command or a bastion may take until the first byte of the SSH server comes; only then its own time begins. One that hangs is begun anew.
const WAY: Duration = Duration::from_secs(60);
/// How often that wait looks whether anybody still wants it.
const TICK: Duration = Duration::from_millis(100);

/// Waits until something can be read from `socket`, or it has ended; whether that came before `until`.
fn has_spoken(socket: &UnixStream, until: Instant, listener: &dyn EventListener) -> Result<bool, SessionError> {
    let tick = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
    loop {
        if listener.is_gone() {
            return Err(SessionError::Cancelled);
        }
        let mut polled = [PollFd::new(socket, PollFlags::IN)];
        // An interrupted or failed poll only means that we look again.
        if poll(&mut polled, Some(&tick)).is_ok_and(|ready| ready > 0) {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
    }
}

impl From<SocketAddr> for TargetReach {
    fn from(address: SocketAddr) -> Self {
        Self::Dial(address)
    }
}

impl fmt::Display for TargetReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(address) => address.fmt(f),
            Self::Carried { at, .. } => at.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    struct Here(bool);

    impl EventListener for Here {
        fn tell(&self, _: EngineEvent) {}
        fn is_gone(&self) -> bool {
            !self.0
        }
    }

    #[test]
    fn a_way_stands_when_something_comes() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let soon = || Instant::now() + Duration::from_millis(300);
        assert_eq!(has_spoken(&ours, soon(), &Here(true)), Ok(false), "nothing came");
        assert_eq!(has_spoken(&ours, soon(), &Here(false)), Err(SessionError::Cancelled));
        let later = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            theirs.write_all(b"SSH-2.0-x\r\n").expect("written");
            theirs
        });
        assert_eq!(has_spoken(&ours, Instant::now() + WAY, &Here(true)), Ok(true));
        drop(later.join().expect("the other end"));
        assert_eq!(has_spoken(&ours, soon(), &Here(true)), Ok(true), "also an end is something");
    }
}
