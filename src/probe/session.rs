//! One SSH session, and the only file that knows ssh2. It owns deadlines on everything the other side can delay, and
//! the bound on everything it can send. No compression, no agent, no terminal, no forwarding, no file transfer.
//!
//! libssh2's own timeouts only count while it waits: a peer that never stops sending keeps it busy for ever. So a
//! watchdog thread shuts the socket down when the deadline passes, whatever libssh2 is doing.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, poll};
use ssh2::MethodType;

use super::host_key::HostKey;

/// The longest wait for one TCP connection: a packet lost while the instance boots is sent again by the next attempt.
const CONNECT: Duration = Duration::from_secs(2);
/// The longest that banner, key exchange and one login may take.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// How often an otherwise silent connection is used, so that gateways keep it.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How often cancellation is looked at.
const TICK: Duration = Duration::from_millis(100);
/// The most that one script may send, stdout and stderr together.
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

/// How a script ended on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    /// The exit status; 0 also when none came, which libssh2 cannot tell apart.
    pub status: i32,
    /// The signal that ended it, by name without SIG.
    pub signal: Option<String>,
}

/// When a running script is given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The longest silence.
    pub idle: Duration,
    /// The end of everything.
    pub deadline: Instant,
}

/// An open connection. Dropping it closes the socket.
pub(super) struct Session {
    ssh: ssh2::Session,
    socket: TcpStream,
    watchdog: Watchdog,
}

impl Session {
    /// Connects and exchanges keys, not later than `deadline`. The host key is not checked here: see
    /// [`Session::host_key`]. `prefer` are key algorithms to ask for first.
    pub fn open(address: SocketAddr, deadline: Instant, prefer: &[String]) -> Result<Self, SessionError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(SessionError::Late("the deadline for connecting has passed".into()));
        }
        let socket =
            TcpStream::connect_timeout(&address, left.min(CONNECT)).map_err(|e| SessionError::Connect(plain(&e)))?;
        // Latency matters more than packets here; a socket without it works too.
        let _ = socket.set_nodelay(true);
        let mine = socket.try_clone().map_err(|e| SessionError::Connect(plain(&e)))?;
        let watchdog = Watchdog::start(&socket, deadline.min(Instant::now() + HANDSHAKE))?;
        let mut ssh = ssh2::Session::new().map_err(|e| SessionError::Handshake(plain(&e)))?;
        prefer_modern(&ssh, prefer);
        ssh.set_tcp_stream(socket);
        ssh.set_timeout(milliseconds(left.min(HANDSHAKE)));
        ssh.handshake().map_err(|e| {
            if watchdog.has_fired() {
                SessionError::Handshake("it accepts the connection but does not speak SSH in time".into())
            } else {
                SessionError::Handshake(plain(&e))
            }
        })?;
        Ok(Self { ssh, socket: mine, watchdog })
    }

    /// The key that the server proved to hold.
    pub fn host_key(&self) -> Result<HostKey, SessionError> {
        let (blob, _) = self.ssh.host_key().ok_or_else(|| SessionError::Handshake("it showed no host key".into()))?;
        HostKey::from_blob(blob).ok_or_else(|| SessionError::Handshake("its host key cannot be read".into()))
    }

    /// Logs in with a private key in OpenSSH's text form.
    pub fn login(&mut self, user: &str, private_key: &str) -> Result<(), SessionError> {
        self.ssh.userauth_pubkey_memory(user, None, private_key, None).map_err(|e| match e.code() {
            _ if self.watchdog.has_fired() => SessionError::Handshake("it does not answer the login in time".into()),
            ssh2::ErrorCode::Session(LIBSSH2_ERROR_AUTHENTICATION_FAILED | LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED) => {
                SessionError::Login(plain(&e))
            }
            _ => SessionError::Handshake(plain(&e)),
        })
    }

    /// Runs `command` with `stdin`, giving its stdout to `output` as it comes; the beginning of its stderr is added to
    /// `complaints`. Ends with an error when a limit is passed or `cancelled` says so.
    pub fn run(
        &mut self,
        command: &str,
        stdin: &[u8],
        limits: Limits,
        output: &mut dyn FnMut(&[u8]),
        complaints: &mut Vec<u8>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Ended, SessionError> {
        self.watchdog = Watchdog::start(&self.socket, limits.deadline)?;
        let left = limits.deadline.saturating_duration_since(Instant::now());
        self.ssh.set_blocking(true);
        self.ssh.set_timeout(milliseconds(left.min(HANDSHAKE)));
        let mut channel = self.ssh.channel_session().map_err(|e| self.lost(&e))?;
        channel.exec(command).map_err(|e| self.lost(&e))?;
        self.ssh.set_blocking(false);
        let streamed = self.stream(&mut channel, stdin, limits, output, complaints, cancelled);
        if let Err(error) = streamed {
            // Freeing a channel waits for the other side's goodbye: not on a socket that is shut.
            let _ = self.socket.shutdown(Shutdown::Both);
            return Err(error);
        }
        self.ssh.set_blocking(true);
        self.ssh.set_timeout(5_000);
        channel.close().and_then(|()| channel.wait_close()).map_err(|e| self.lost(&e))?;
        let status = channel.exit_status().map_err(|e| self.lost(&e))?;
        let signal = channel.exit_signal().map_err(|e| self.lost(&e))?.exit_signal;
        Ok(Ended { status, signal })
    }

    fn stream(
        &self,
        channel: &mut ssh2::Channel,
        mut stdin: &[u8],
        limits: Limits,
        output: &mut dyn FnMut(&[u8]),
        complaints: &mut Vec<u8>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), SessionError> {
        let mut buffer = vec![0; 32 << 10];
        let mut total = 0;
        let mut closed_stdin = false;
        let mut heard = Instant::now();
        let mut kept_alive = Instant::now();
        loop {
            let before = (total, stdin.len());
            self.write(channel, &mut stdin, &mut closed_stdin)?;
            while let Some(count) = self.read(&mut channel.stream(0), &mut buffer)? {
                total += count;
                output(&buffer[..count]);
                if total > TOTAL_OUTPUT {
                    return Err(SessionError::Flood);
                }
            }
            while let Some(count) = self.read(&mut channel.stderr(), &mut buffer)? {
                total += count;
                let room = (4_usize << 10).saturating_sub(complaints.len());
                complaints.extend_from_slice(&buffer[..count.min(room)]);
                if total > TOTAL_OUTPUT {
                    return Err(SessionError::Flood);
                }
            }
            if channel.eof() {
                return Ok(());
            }
            let now = Instant::now();
            if (total, stdin.len()) != before {
                heard = now;
            }
            self.check(limits, now, heard, cancelled)?;
            if now.duration_since(kept_alive) > KEEPALIVE {
                kept_alive = now;
                self.ssh.set_keepalive(true, 1);
                match self.ssh.keepalive_send() {
                    Err(e) if !would_block(&e) => return Err(self.lost(&e)),
                    _ => {}
                }
            }
            self.wait(!stdin.is_empty());
        }
    }

    fn check(
        &self,
        limits: Limits,
        now: Instant,
        heard: Instant,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), SessionError> {
        if now >= limits.deadline || self.watchdog.has_fired() {
            return Err(SessionError::Late("the deadline for the whole test has passed".into()));
        }
        if now.duration_since(heard) > limits.idle {
            let seconds = limits.idle.as_secs();
            return Err(SessionError::Late(format!(
                "the host said nothing for {seconds} s in the middle of the checks"
            )));
        }
        if cancelled() {
            return Err(SessionError::Cancelled);
        }
        Ok(())
    }

    fn write(&self, channel: &mut ssh2::Channel, stdin: &mut &[u8], closed: &mut bool) -> Result<(), SessionError> {
        while !stdin.is_empty() {
            match channel.write(&stdin[..stdin.len().min(32 << 10)]) {
                Ok(0) => return Ok(()),
                Ok(count) => *stdin = &stdin[count..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                // A shell that ended early takes no more; how it ended is read below.
                Err(_) if channel.eof() => return Ok(()),
                Err(e) => return Err(self.lost(&e)),
            }
        }
        if !*closed {
            match channel.send_eof() {
                Ok(()) => *closed = true,
                Err(e) if would_block(&e) => {}
                Err(_) if channel.eof() => *closed = true,
                Err(e) => return Err(self.lost(&e)),
            }
        }
        Ok(())
    }

    /// The bytes that are there; `None` when there are none now.
    fn read(&self, stream: &mut ssh2::Stream, buffer: &mut [u8]) -> Result<Option<usize>, SessionError> {
        match stream.read(buffer) {
            Ok(0) => Ok(None),
            Ok(count) => Ok(Some(count)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(self.lost(&e)),
        }
    }

    /// Until something comes, or for a tick.
    fn wait(&self, writing: bool) {
        let mut flags = PollFlags::IN;
        if writing {
            flags |= PollFlags::OUT;
        }
        let tick = rustix::event::Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
        // An interrupted or failed poll only means that we look sooner.
        let _ = poll(&mut [PollFd::new(&self.socket, flags)], Some(&tick));
    }

    fn lost(&self, error: &dyn std::fmt::Display) -> SessionError {
        if self.watchdog.has_fired() {
            return SessionError::Late("the deadline for the whole test has passed".into());
        }
        SessionError::Lost(plain(error))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // libssh2 says goodbye when it is freed, and waits for it: not on a socket that is shut.
        let _ = self.socket.shutdown(Shutdown::Both);
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
/// libssh2.h
const LIBSSH2_ERROR_EAGAIN: i32 = -37;

fn would_block(error: &ssh2::Error) -> bool {
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

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1)
}

fn plain(error: &dyn std::fmt::Display) -> String {
    crate::model::escape::escape_line(&error.to_string())
}

/// Shuts a socket down at a deadline, unless it is dropped before.
struct Watchdog {
    fired: Arc<AtomicBool>,
    /// Its end wakes the thread.
    _alive: mpsc::Sender<()>,
}

impl Watchdog {
    fn start(socket: &TcpStream, deadline: Instant) -> Result<Self, SessionError> {
        let socket = socket.try_clone().map_err(|e| SessionError::Lost(plain(&e)))?;
        let (alive, gone) = mpsc::channel::<()>();
        let fired = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&fired);
        std::thread::Builder::new()
            .name("watchdog".into())
            .stack_size(64 << 10)
            .spawn(move || {
                let left = deadline.saturating_duration_since(Instant::now());
                if gone.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout) {
                    flag.store(true, Ordering::SeqCst);
                    let _ = socket.shutdown(Shutdown::Both);
                }
            })
            .map_err(|e| SessionError::Lost(plain(&e)))?;
        Ok(Self { fired, _alive: alive })
    }

    fn has_fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }
}
