//! One session on a bastion used as a way on: a single `direct-tcpip` channel (RFC 4254, 7.2), pumped to a socket. It owns that pump; it refuses to look at
//! what goes through.

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ssh2::{BlockDirections, Channel};

use super::session::{SessionError, SshSession, milliseconds, would_block};

/// How often an otherwise silent connection is used, so that gateways keep it and a dead one is noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// The longest sleep.
const TICK: Duration = Duration::from_millis(500);
/// Bytes on their way in each direction.
const PIECE: usize = 32 << 10;

/// A channel to the target.
pub(super) struct ForwardedChannel {
    session: SshSession,
    channel: Channel,
}

/// Bytes that were read on one side and not yet written on the other.
struct PendingBytes {
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    /// The side that is read from has ended.
    ended: bool,
}

impl SshSession {
    /// Asks the bastion for a connection to `host` at `port`, which is the bastion's to resolve. The session is used up.
    pub(crate) fn forward(self, host: &str, port: u16, deadline: Instant) -> Result<ForwardedChannel, SessionError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.ssh.set_blocking(true);
        self.ssh.set_timeout(milliseconds(left));
        let channel = self.ssh.channel_direct_tcpip(host, port, None).map_err(|error| {
            let why = super::session::plain(&error);
            SessionError::Connect(format!("the bastion does not connect to {host}:{port}: {why}"))
        })?;
        Ok(ForwardedChannel { session: self, channel })
    }
}

impl ForwardedChannel {
    /// Moves bytes both ways until one side ends or breaks. `socket` becomes non-blocking.
    pub(crate) fn pump(mut self, socket: &UnixStream) -> Result<(), SessionError> {
        // From here on there is no deadline but the other sides' own.
        self.session.watchdog = super::session::watch(&self.session.socket, Instant::now() + FOREVER)?;
        self.session.ssh.set_blocking(false);
        socket.set_nonblocking(true).map_err(|e| self.session.lost(&e))?;
        let (mut up, mut down) = (PendingBytes::new(), PendingBytes::new());
        let mut kept_alive = Instant::now();
        loop {
            let moved = self.up(socket, &mut up)? | self.down(socket, &mut down)?;
            if down.ended && down.is_empty() || up.ended && up.is_empty() {
                return Ok(());
            }
            if kept_alive.elapsed() > KEEPALIVE {
                kept_alive = Instant::now();
                self.session.ssh.set_keepalive(true, 1);
                match self.session.ssh.keepalive_send() {
                    Err(e) if !would_block(&e) => return Err(self.session.lost(&e)),
                    _ => {}
                }
            }
            if !moved && self.wait(socket, &up, &down) {
                return Ok(());
            }
        }
    }

    /// From the socket to the bastion; whether anything moved.
    fn up(&mut self, mut socket: &UnixStream, way: &mut PendingBytes) -> Result<bool, SessionError> {
        let mut moved = false;
        if way.is_empty() && !way.ended {
            match socket.read(&mut way.buffer) {
                Ok(count) => {
                    moved = true;
                    way.filled(count);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(_) => way.ended = true,
            }
        }
        while !way.is_empty() {
            match self.channel.write(&way.buffer[way.from..way.to]) {
                Ok(0) => break,
                Ok(count) => {
                    moved = true;
                    way.from += count;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(self.session.lost(&e)),
            }
        }
        Ok(moved)
    }

    /// From the bastion to the socket; whether anything moved.
    fn down(&mut self, mut socket: &UnixStream, way: &mut PendingBytes) -> Result<bool, SessionError> {
        let mut moved = false;
        if way.is_empty() && !way.ended {
            match self.channel.read(&mut way.buffer) {
                // Nothing now, or nothing any more.
                Ok(0) => way.ended = self.channel.eof(),
                Ok(count) => {
                    moved = true;
                    way.filled(count);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => way.ended = self.channel.eof(),
                Err(e) => return Err(self.session.lost(&e)),
            }
        }
        while !way.is_empty() {
            match socket.write(&way.buffer[way.from..way.to]) {
                Ok(count) => {
                    moved = true;
                    way.from += count;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                // Nobody wants the rest.
                Err(_) => {
                    way.ended = true;
                    way.from = way.to;
                }
            }
        }
        Ok(moved)
    }

    /// Until something can move, or for a tick. Whether the socket's other end is gone while bytes for or from it wait: then nobody wants them.
    fn wait(&self, socket: &UnixStream, up: &PendingBytes, down: &PendingBytes) -> bool {
        let mut bastion = PollFlags::empty();
        if down.is_empty()
            || matches!(self.session.ssh.block_directions(), BlockDirections::Inbound | BlockDirections::Both)
        {
            bastion |= PollFlags::IN;
        }
        if matches!(self.session.ssh.block_directions(), BlockDirections::Outbound | BlockDirections::Both) {
            bastion |= PollFlags::OUT;
        }
        let mut ours = PollFlags::empty();
        if up.is_empty() {
            ours |= PollFlags::IN;
        } else {
            // The bastion's window is full: its next packet opens it.
            bastion |= PollFlags::IN;
        }
        if !down.is_empty() {
            ours |= PollFlags::OUT;
        }
        let tick = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
        // An interrupted or failed poll only means that we look sooner.
        let mut polled = [PollFd::new(&self.session.socket, bastion), PollFd::new(socket, ours)];
        let _ = poll(&mut polled, Some(&tick));
        !up.is_empty() && polled[1].revents().contains(PollFlags::HUP)
    }
}

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

impl PendingBytes {
    fn new() -> Self {
        Self { buffer: vec![0; PIECE], from: 0, to: 0, ended: false }
    }

    fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// So many bytes were read; none is the end.
    fn filled(&mut self, count: usize) {
        (self.from, self.to) = (0, count);
        self.ended = count == 0;
    }
}
