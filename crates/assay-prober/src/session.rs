//! One SSH session up to its login. Only this file and `session_lanes`, which runs scripts on it, know ssh2. It owns
//! deadlines on everything the other side can delay. No compression, no agent, no terminal, no forwarding, no file
//! transfer.

use std::{
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::net::{Shutdown, shutdown};
use ssh2::MethodType;

use super::{host_key::HostKey, watchdog::SocketWatchdog};

/// The longest wait for one TCP connection: a packet lost while the instance boots is sent again by the next attempt.
const CONNECT: Duration = Duration::from_secs(2);
/// The longest that banner, key exchange and one login may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(15);
/// The most that the scripts of one round may send, stdout and stderr together.
pub(super) const TOTAL_OUTPUT: usize = 16 << 20;

/// Why a session could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SessionError {
    /// Nothing answers at the port (yet).
    #[error("no TCP connection: {0}")]
    Connect(String),
    /// Something answers, but not as an SSH server should.
    #[error("no SSH session: {0}")]
    Handshake(String),
    /// The server refused the login.
    #[error("login refused: {0}")]
    Login(String),
    /// The private key is none that can log in anywhere.
    #[error("the private key cannot be used: {0}")]
    Key(String),
    /// The connection broke, or the server broke the protocol.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// A deadline passed.
    #[error("{0}")]
    Late(String),
    /// More output than is accepted.
    #[error("more than {} MiB of output", TOTAL_OUTPUT >> 20)]
    Flood,
    /// Nobody wants the answer any more.
    #[error("cancelled")]
    Cancelled,
}

/// The most scripts that run side by side on one session. sshd allows ten (MaxSessions), and what they cost the host
/// grows with them.
pub(super) const LANES: usize = 5;

/// An open connection. Dropping it closes the socket.
pub(super) struct SshSession {
    pub(super) ssh: ssh2::Session,
    pub(super) socket: Arc<OwnedFd>,
    pub(super) watchdog: SocketWatchdog,
    /// How many scripts the server lets run side by side, as far as that is known.
    pub(super) lanes: usize,
    /// Whether a channel was open before.
    pub(super) has_run: bool,
    round_trip: Duration,
}

impl SshSession {
    /// A TCP connection for [`SshSession::over`], not later than `deadline`.
    pub(crate) fn connect(address: SocketAddr, deadline: Instant) -> Result<TcpStream, SessionError> {
        let left = left_until(deadline)?;
        let socket =
            TcpStream::connect_timeout(&address, left.min(CONNECT)).map_err(|e| SessionError::Connect(plain(&e)))?;
        // Latency matters more than packets here; a socket without it works too.
        let _ = socket.set_nodelay(true);
        Ok(socket)
    }

    /// Exchanges keys over a stream that is connected, a TCP or a Unix socket at whose other end an SSH server is, not
    /// later than `deadline`. The host key is not checked here: see [`SshSession::host_key`]. `prefer` are key algorithms
    /// to ask for first.
    pub(crate) fn over(stream: impl Into<OwnedFd>, deadline: Instant, prefer: &[String]) -> Result<Self, SessionError> {
        let socket = Arc::new(stream.into());
        let left = left_until(deadline)?;
        let began = Instant::now();
        let watchdog = watch(&socket, deadline.min(began + HANDSHAKE))?;
        let mut ssh = ssh2::Session::new().map_err(|e| SessionError::Handshake(plain(&e)))?;
        prefer_modern(&ssh, prefer);
        ssh.set_tcp_stream(Arc::clone(&socket));
        ssh.set_timeout(milliseconds(left.min(HANDSHAKE)));
        ssh.handshake().map_err(|e| {
            if watchdog.has_fired() {
                SessionError::Handshake("it accepts the connection but does not speak SSH in time".into())
            } else {
                SessionError::Handshake(plain(&e))
            }
        })?;
        // Algorithms, keys, the request for the service: three round trips, and the banner.
        let round_trip = began.elapsed() / 3;
        Ok(Self { ssh, socket, watchdog, lanes: LANES, has_run: false, round_trip })
    }

    /// About how long a packet and its answer take.
    pub(crate) fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// How many scripts the server lets run side by side, as far as that is known.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes
    }

    /// The key that the server proved to hold.
    pub(crate) fn host_key(&self) -> Result<HostKey, SessionError> {
        let (blob, _) = self.ssh.host_key().ok_or_else(|| SessionError::Handshake("it showed no host key".into()))?;
        HostKey::from_blob(blob).ok_or_else(|| SessionError::Handshake("its host key cannot be read".into()))
    }

    /// Logs in with a private key in OpenSSH's text form.
    pub(crate) fn login(&mut self, user: &str, private_key: &str) -> Result<(), SessionError> {
        let began = Instant::now();
        let answered = self.ssh.userauth_pubkey_memory(user, None, private_key, None);
        // The key is offered, then used: two round trips.
        self.round_trip = self.round_trip.min(began.elapsed() / 2);
        answered.map_err(|e| match e.code() {
            _ if self.watchdog.has_fired() => SessionError::Handshake("it does not answer the login in time".into()),
            ssh2::ErrorCode::Session(LIBSSH2_ERROR_AUTHENTICATION_FAILED | LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED) => {
                SessionError::Login(plain(&e))
            }
            ssh2::ErrorCode::Session(LIBSSH2_ERROR_FILE | LIBSSH2_ERROR_KEYFILE_AUTH_FAILED) => {
                SessionError::Key(plain(&e))
            }
            _ => SessionError::Handshake(plain(&e)),
        })
    }

    pub(super) fn lost(&self, error: &dyn std::fmt::Display) -> SessionError {
        if self.watchdog.has_fired() {
            return SessionError::Late("the deadline for the whole test has passed".into());
        }
        SessionError::Lost(plain(error))
    }

    /// Shuts the socket: nothing waits for the other side any more.
    pub(super) fn shut(&self) {
        // One that is shut already is as it should be.
        let _ = shutdown(&*self.socket, Shutdown::Both);
    }
}

fn left_until(deadline: Instant) -> Result<Duration, SessionError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(SessionError::Late("the deadline for connecting has passed".into()));
    }
    Ok(left)
}

pub(super) fn watch(socket: &Arc<OwnedFd>, deadline: Instant) -> Result<SocketWatchdog, SessionError> {
    SocketWatchdog::start(socket, deadline).map_err(|e| SessionError::Lost(plain(&e)))
}

impl Drop for SshSession {
    fn drop(&mut self) {
        // libssh2 says goodbye when it is freed, and waits for it: not on a socket that is shut.
        self.shut();
    }
}

/// Lets libssh2 and OpenSSL read what they want to read (OpenSSL's configuration file) while that is still possible.
/// Starts no thread.
pub(super) fn warm_up() {
    // A session that cannot be made will be told when one is needed.
    drop(ssh2::Session::new());
}

/// libssh2.h
const LIBSSH2_ERROR_AUTHENTICATION_FAILED: i32 = -18;
/// libssh2.h
const LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED: i32 = -19;
/// libssh2.h; a key that cannot be read, also from memory.
const LIBSSH2_ERROR_FILE: i32 = -16;
/// libssh2.h; a key with a passphrase.
const LIBSSH2_ERROR_KEYFILE_AUTH_FAILED: i32 = -48;
/// libssh2.h
const LIBSSH2_ERROR_EAGAIN: i32 = -37;

/// Whether libssh2 has to wait for the other side.
pub(super) fn would_block(error: &ssh2::Error) -> bool {
    error.code() == ssh2::ErrorCode::Session(LIBSSH2_ERROR_EAGAIN)
}

/// Leaves out what is only there for old servers: SHA-1 and MD5, CBC, 3DES, arcfour, DSA. Strict key exchange is
/// always offered by libssh2. `first` are host key algorithms to put at the head.
fn prefer_modern(ssh: &ssh2::Session, first: &[String]) {
    let weak = |name: &str| {
        name.contains("sha1")
            || name.contains("md5")
            || name.contains("ripemd")
            || name.contains("-cbc")
            || name.contains("arcfour")
            || name.contains("group1-")
            || matches!(name, "ssh-dss" | "ssh-rsa" | "none")
    };
    for method in [
        MethodType::Kex,
        MethodType::HostKey,
        MethodType::CryptCs,
        MethodType::CryptSc,
        MethodType::MacCs,
        MethodType::MacSc,
    ] {
        let Ok(mut names) = ssh.supported_algs(method) else { continue };
        names.retain(|name| !weak(name) && !name.starts_with("kex-strict") && !name.starts_with("ext-info"));
        if matches!(method, MethodType::HostKey) {
            names.sort_by_key(|name| !first.iter().any(|f| signs_with(f, name)));
        }
        // A method that libssh2 does not take leaves its own defaults, which include every name here.
        let _ = ssh.method_pref(method, &names.join(","));
    }
}

/// Whether host keys of type `key` are used with the signature algorithm `name` (RFC 8332 for RSA).
fn signs_with(key: &str, name: &str) -> bool {
    key == name || (key == "ssh-rsa" && name.starts_with("rsa-sha2-"))
}

pub(super) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1)
}

pub(super) fn plain(error: &dyn std::fmt::Display) -> String {
    assay_model::escape::escape_line(&error.to_string())
}
