//! How a plugin and Packer meet: a cookie in the environment, one line on stdout, one connection.
//!
//! It owns stdout (this one line is all that may ever appear there), the socket's place and life, and the two signals
//! that a plugin must survive: Packer's own Ctrl-C reaches the whole process group, but a plugin is told by an RPC. Only
//! Unix sockets are built; Packer on Windows would want a TCP port.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};

/// The variable by which Packer says that it is Packer, and its value (`plugin/server.go` in the SDK). No secret: it
/// only keeps people from starting plugins by hand.
pub const COOKIE: (&str, &str) =
    ("PACKER_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");

/// Plugin API 5.0, as the line says it. Packer compares the minor version as text.
const API: &str = "5|0";

/// The longest socket path that works everywhere: macOS has 104 bytes for it with the final zero, Linux 108.
pub const MAX_PATH: usize = 103;

/// How long a plugin waits for Packer's connection. Packer waits 60 s for the line, then connects at once.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Why Packer and the plugin did not meet.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The cookie is missing or wrong.
    #[error(
        "this is a Packer plugin's command line, and Packer did not start it ({cookie} is not set as Packer sets it); \
         Packer starts plugins itself, when a template names them",
        cookie = COOKIE.0
    )]
    NotPacker,
    /// No folder would take a socket.
    #[error("no place for a socket: {0}")]
    NoPlace(String),
    /// The line could not be written: Packer is gone.
    #[error("telling Packer the socket's address")]
    Line(#[source] io::Error),
    /// Waiting for a connection failed.
    #[error("accepting Packer's connection")]
    Accept(#[source] io::Error),
    /// Nobody came.
    #[error("Packer did not connect in time")]
    Late,
    /// The signals could not be taken over.
    #[error("ignoring interrupts")]
    Signals(#[source] io::Error),
}

/// What the handshake reads from the process's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeEnvironment {
    /// The cookie's value.
    pub cookie: Option<String>,
    /// Where temporary files belong.
    pub temporary: PathBuf,
}

impl HandshakeEnvironment {
    /// This process's own.
    pub fn of_process() -> Self {
        Self { cookie: std::env::var(COOKIE.0).ok(), temporary: std::env::temp_dir() }
    }

    /// Fails unless Packer started this process.
    pub fn check(&self) -> Result<(), HandshakeError> {
        if self.cookie.as_deref() == Some(COOKIE.1) { Ok(()) } else { Err(HandshakeError::NotPacker) }
    }
}

/// Ignores SIGINT and SIGTERM from now on, for good. Must be called within a tokio runtime.
///
/// They are received and dropped, not set to "ignored": that would be inherited by every program started from here.
pub fn ignore_interrupts() -> Result<(), HandshakeError> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind).map_err(HandshakeError::Signals)?;
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                tracing::info!(signal = kind.as_raw_value(), "ignored: Packer tells a plugin to stop by a call");
            }
        });
    }
    Ok(())
}

/// A socket that waits for Packer, in a folder that only this user may enter.
#[derive(Debug)]
pub struct PluginListener {
    socket: UnixListener,
    path: PathBuf,
    /// Removed, socket included, with this value.
    _folder: TempDir,
}

impl PluginListener {
    /// Makes the socket in the environment's temporary folder, or, where that is too long for a socket's path or cannot
    /// be used, in the system's. Must be called within a tokio runtime.
    pub fn bind(environment: &HandshakeEnvironment) -> Result<Self, HandshakeError> {
        let places = [environment.temporary.as_path(), Path::new("/tmp"), Path::new("/var/tmp")];
        let mut refusals = Vec::new();
        for place in places {
            match Self::bind_in(place) {
                Ok(listener) => return Ok(listener),
                Err(error) => refusals.push(format!("{}: {error}", place.display())),
            }
        }
        Err(HandshakeError::NoPlace(refusals.join("; ")))
    }

    fn bind_in(place: &Path) -> io::Result<Self> {
        let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()));
        let private = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("packer-plugin").permissions(private).tempdir_in(place)?;
        let path = folder.path().join("s");
        let Some(text) = path.to_str() else {
            return refuse("not UTF-8");
        };
        if !path.is_absolute() || text.contains(['|', '\n', '\r']) {
            return refuse("not an absolute path that fits on the line");
        }
        if text.len() > MAX_PATH {
            return refuse("too long for a socket");
        }
        Ok(Self { socket: UnixListener::bind(&path)?, path, _folder: folder })
    }

    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells Packer where: `5|0|unix|PATH`.
    pub fn announce(&self, stdout: &mut impl Write) -> Result<(), HandshakeError> {
        let line = format!("{API}|unix|{}\n", self.path.display());
        stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).map_err(HandshakeError::Line)
    }

    /// Waits for Packer, takes one connection, and removes the socket. A connection of another user is turned away.
    pub async fn accept(self) -> Result<UnixStream, HandshakeError> {
        self.accept_within(PATIENCE).await
    }

    async fn accept_within(self, patience: Duration) -> Result<UnixStream, HandshakeError> {
        let user = rustix::process::geteuid().as_raw();
        tokio::time::timeout(patience, self.accept_from(user)).await.unwrap_or(Err(HandshakeError::Late))
    }

    async fn accept_from(self, user: u32) -> Result<UnixStream, HandshakeError> {
        loop {
            let (stream, _) = self.socket.accept().await.map_err(HandshakeError::Accept)?;
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == user => return Ok(stream),
                Ok(peer) => tracing::warn!(user = peer.uid(), "turned away a connection of another user"),
                Err(error) => tracing::warn!(%error, "turned away a connection of an unknown user"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn environment(temporary: &Path) -> HandshakeEnvironment {
        HandshakeEnvironment { cookie: Some(COOKIE.1.to_owned()), temporary: temporary.to_owned() }
    }

    #[test]
    fn only_packers_cookie_opens() {
        let folder = tempfile::tempdir().unwrap();
        assert!(environment(folder.path()).check().is_ok());
        for cookie in [None, Some(String::new()), Some("d602".to_owned())] {
            let refused = HandshakeEnvironment { cookie, ..environment(folder.path()) }.check().unwrap_err();
            assert!(refused.to_string().contains("PACKER_PLUGIN_MAGIC_COOKIE"), "{refused}");
        }
    }

    #[tokio::test]
    async fn one_connection_then_the_socket_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let listener = PluginListener::bind(&environment(folder.path())).unwrap();
        let path = listener.path().to_owned();
        assert!(path.starts_with(folder.path()));
        let mode = path.parent().unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "nobody else may enter");
        let mut line = Vec::new();
        listener.announce(&mut line).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), format!("5|0|unix|{}\n", path.display()));
        let (accepted, packer) = tokio::join!(listener.accept(), UnixStream::connect(&path));
        accepted.unwrap();
        assert_eq!(packer.unwrap().read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn a_connection_of_another_user_is_turned_away() {
        let folder = tempfile::tempdir().unwrap();
        let listener = PluginListener::bind(&environment(folder.path())).unwrap();
        let path = listener.path().to_owned();
        let stranger = rustix::process::geteuid().as_raw() + 1;
        let waiting = tokio::spawn(listener.accept_from(stranger));
        let mut packer = UnixStream::connect(&path).await.unwrap();
        assert_eq!(packer.read(&mut [0; 1]).await.unwrap(), 0, "closed without a word");
        assert!(!waiting.is_finished(), "still waiting for the right one");
        waiting.abort();
    }

    #[tokio::test]
    async fn a_temporary_folder_that_cannot_be_used_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("x".repeat(120));
        let odd = folder.path().join("a|b");
        for place in [&long, &odd] {
            std::fs::create_dir(place).unwrap();
            let listener = PluginListener::bind(&environment(place)).unwrap();
            assert!(!listener.path().starts_with(place), "{}", listener.path().display());
            assert!(listener.path().as_os_str().len() <= MAX_PATH);
            assert_eq!(place.read_dir().unwrap().count(), 0, "the attempt is cleaned up");
        }
        let missing = PluginListener::bind(&environment(&folder.path().join("missing"))).unwrap();
        assert!(missing.path().starts_with("/tmp"));
    }

    #[tokio::test]
    async fn nobody_is_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let listener = PluginListener::bind(&environment(folder.path())).unwrap();
        assert!(matches!(listener.accept_within(Duration::ZERO).await, Err(HandshakeError::Late)));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    /// Without it, either signal would end this test's process.
    #[tokio::test]
    async fn interrupts_are_ignored() {
        ignore_interrupts().unwrap();
        let mut seen = signal(SignalKind::terminate()).unwrap();
        for kind in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
            rustix::process::kill_process(rustix::process::getpid(), kind).unwrap();
        }
        seen.recv().await.unwrap();
    }
}
