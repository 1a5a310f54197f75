//! Scripts on one session, side by side: each on a channel of its own (RFC 4254). It owns the deadlines and the bounds
//! on everything that scripts send while they run, and the order of what is sent: a command is asked for and its script
//! written in one breath, without waiting for the server's word in between.
//!
//! Nothing blocks here. libssh2 keeps one half-opened channel per session, so channels are opened one after the other,
//! while those that are open already work. A packet that the socket took only in part is finished by whoever began it:
//! every step is repeated until it is done, which is what libssh2 asks for.

use std::{
    io::{ErrorKind, Read, Write},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ssh2::{BlockDirections, Channel};

use super::session::{HANDSHAKE, SessionError, SshSession, TOTAL_OUTPUT, watch, would_block};

/// How often an otherwise silent connection is used, so that gateways keep it.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// The same between scripts. sshd counts the questions that it asked in vain (ClientAliveInterval) and forgets them with whatever comes, so nothing has to
/// be read meanwhile.
const KEEPALIVE_AT_REST: Duration = Duration::from_secs(2);
/// How often cancellation is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long after its last output a script's exit status may come.
const GOODBYE: Duration = Duration::from_secs(5);
/// How much of a script's stderr is kept.
const COMPLAINTS_KEPT: usize = 4 << 10;

/// How a script ended on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScriptEnd {
    /// The exit status; 0 also when none came, which libssh2 cannot tell apart.
    pub status: i32,
    /// The signal that ended it, by name without SIG.
    pub signal: Option<String>,
}

/// What became of one script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LaneEnd {
    /// It ran and ended.
    Ended(ScriptEnd),
    /// The server gave it no channel beside the others: nothing of it ran.
    Refused,
    /// It was given up, or the connection was. Nothing more can be asked on this session.
    Broken(SessionError),
}

/// One script.
pub(super) struct ScriptJob<'a> {
    /// What reads it on the host.
    pub command: &'a str,
    /// The script.
    pub stdin: &'a [u8],
    /// The longest silence.
    pub idle: Duration,
    /// Gets its stdout as it comes.
    pub output: &'a mut dyn FnMut(&[u8]),
}

/// When all scripts are given up.
pub(super) struct ScriptLimits<'a> {
    /// The end of everything.
    pub deadline: Instant,
    /// Whether nobody wants the answers any more.
    pub cancelled: &'a dyn Fn() -> bool,
}

struct SessionLane<'a> {
    job: ScriptJob<'a>,
    channel: Option<Channel>,
    accepted: bool,
    closed_stdin: bool,
    /// Its output has ended.
    heard_all: bool,
    /// When something came or went last.
    heard: Instant,
    complaints: Vec<u8>,
    end: Option<LaneEnd>,
}

impl SshSession {
    /// Runs `jobs` side by side; the first is begun first, and the others only where the server gives them a channel.
    /// Returns in their order how each ended, and the beginning of its stderr.
    pub(crate) fn run(&mut self, jobs: Vec<ScriptJob<'_>>, limits: &ScriptLimits<'_>) -> Vec<(LaneEnd, Vec<u8>)> {
        let mut lanes: Vec<SessionLane<'_>> = jobs.into_iter().map(SessionLane::new).collect();
        let ran = self.attend(&mut lanes, limits);
        if let Err(error) = &ran {
            for lane in lanes.iter_mut().filter(|lane| lane.end.is_none()) {
                lane.end = Some(LaneEnd::Broken(error.clone()));
            }
        }
        if lanes.iter().any(|lane| matches!(lane.end, Some(LaneEnd::Broken(_)))) {
            // Freeing a channel waits for the other side's goodbye: not on a socket that is shut.
            self.shut();
        }
        let refused = || LaneEnd::Refused;
        lanes.into_iter().map(|lane| (lane.end.unwrap_or_else(refused), lane.complaints)).collect()
    }

    /// Until every lane has ended. An error is the session's.
    fn attend(&mut self, lanes: &mut [SessionLane<'_>], limits: &ScriptLimits<'_>) -> Result<(), SessionError> {
        self.watchdog = watch(&self.socket, limits.deadline)?;
        self.ssh.set_blocking(false);
        let mut buffer = vec![0; 32 << 10];
        let mut total = 0;
        let mut kept_alive = Instant::now();
        let mut opening = Instant::now();
        while lanes.iter().any(|lane| lane.end.is_none()) {
            for lane in lanes.iter_mut().filter(|lane| lane.end.is_none()) {
                total += self.step(lane, &mut buffer)?;
                if total > TOTAL_OUTPUT {
                    return Err(SessionError::Flood);
                }
            }
            let now = Instant::now();
            self.check(limits, now)?;
            if now.duration_since(kept_alive) > KEEPALIVE {
                kept_alive = now;
                self.keep_alive()?;
            }
            // Last, since every look at a lane may have read the answer about a channel, and this look what lanes wait
            // for.
            if self.open_next(lanes, opening)? {
                opening = Instant::now();
            } else if lanes.iter().any(|lane| lane.end.is_none()) && !lanes.iter().any(SessionLane::is_ready) {
                self.wait();
            }
        }
        Ok(())
    }

    /// Keeps the session until `until`, while nothing runs on it: servers and gateways hang up on one that is silent for long.
    pub(crate) fn rest(&mut self, until: Instant, cancelled: &dyn Fn() -> bool) -> Result<(), SessionError> {
        self.ssh.set_blocking(false);
        let mut kept_alive = Instant::now();
        loop {
            if cancelled() {
                return Err(SessionError::Cancelled);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if kept_alive.elapsed() > KEEPALIVE_AT_REST {
                kept_alive = Instant::now();
                self.keep_alive()?;
            }
            std::thread::sleep(left.min(TICK));
        }
    }

    fn keep_alive(&self) -> Result<(), SessionError> {
        self.ssh.set_keepalive(true, 1);
        match self.ssh.keepalive_send() {
            Err(e) if !would_block(&e) => Err(self.lost(&e)),
            _ => Ok(()),
        }
    }

    /// Opens the next lane's channel, or goes on opening it; whether it is open now. A server that refuses a further
    /// one gets no more requests.
    fn open_next(&mut self, lanes: &mut [SessionLane<'_>], since: Instant) -> Result<bool, SessionError> {
        let Some(at) = lanes.iter().position(|lane| lane.channel.is_none() && lane.end.is_none()) else {
            return Ok(false);
        };
        let refusal = match self.ssh.channel_session() {
            Ok(channel) => {
                lanes[at].channel = Some(channel);
                lanes[at].heard = Instant::now();
                self.has_run = true;
                return Ok(true);
            }
            Err(e) if would_block(&e) && since.elapsed() <= HANDSHAKE => return Ok(false),
            Err(e) if would_block(&e) => SessionError::Lost("it opens no channel in time".into()),
            // sshd counts a channel of the round before until it has dealt with everything that came with its goodbye.
            Err(e) if at == 0 && self.has_run && is_refusal(&e) && since.elapsed() <= GOODBYE => return Ok(false),
            Err(e) if at > 0 && is_refusal(&e) => self.lost(&e),
            Err(e) => return Err(self.lost(&e)),
        };
        if at == 0 {
            return Err(refusal);
        }
        self.lanes = at;
        for lane in &mut lanes[at..] {
            lane.end = Some(LaneEnd::Refused);
        }
        Ok(false)
    }

    /// Whatever can be done for one lane now. Returns how many bytes came.
    fn step(&self, lane: &mut SessionLane<'_>, buffer: &mut [u8]) -> Result<usize, SessionError> {
        let Some(mut channel) = lane.channel.clone() else { return Ok(0) };
        if !lane.accepted {
            // The first call sends the request; the script follows it at once, and a later call finds the answer.
            match channel.exec(lane.job.command) {
                Ok(()) => lane.accepted = true,
                Err(e) if would_block(&e) => {}
                Err(e) => return Err(self.lost(&e)),
            }
        }
        let left = lane.job.stdin.len();
        self.write(lane, &mut channel)?;
        let mut came = 0;
        while let Some(count) = self.read(&mut channel.stream(0), buffer)? {
            came += count;
            (lane.job.output)(&buffer[..count]);
            if came > TOTAL_OUTPUT {
                return Err(SessionError::Flood);
            }
        }
        while let Some(count) = self.read(&mut channel.stderr(), buffer)? {
            came += count;
            let room = COMPLAINTS_KEPT.saturating_sub(lane.complaints.len());
            lane.complaints.extend_from_slice(&buffer[..count.min(room)]);
            if came > TOTAL_OUTPUT {
                return Err(SessionError::Flood);
            }
        }
        let now = Instant::now();
        if came > 0 || lane.job.stdin.len() != left {
            lane.heard = now;
        }
        if channel.eof() {
            lane.heard_all = true;
            lane.end = self.farewell(lane, &mut channel, now)?;
        } else if now.duration_since(lane.heard) > lane.job.idle {
            let seconds = lane.job.idle.as_secs();
            let why = format!("the host said nothing for {seconds} s in the middle of the checks");
            lane.end = Some(LaneEnd::Broken(SessionError::Late(why)));
        }
        Ok(came)
    }

    fn write(&self, lane: &mut SessionLane<'_>, channel: &mut Channel) -> Result<(), SessionError> {
        while !lane.job.stdin.is_empty() {
            match channel.write(&lane.job.stdin[..lane.job.stdin.len().min(32 << 10)]) {
                Ok(0) => return Ok(()),
                Ok(count) => lane.job.stdin = &lane.job.stdin[count..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                // A shell that ended early takes no more; how it ended is read below.
                Err(_) if channel.eof() => return Ok(()),
                Err(e) => return Err(self.lost(&e)),
            }
        }
        if !lane.closed_stdin {
            match channel.send_eof() {
                Ok(()) => lane.closed_stdin = true,
                Err(e) if would_block(&e) => {}
                Err(_) if channel.eof() => lane.closed_stdin = true,
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

    /// How a script ended whose output has ended: as soon as its status is there. Only where there is none yet, the
    /// server's own goodbye is waited for.
    fn farewell(
        &self,
        lane: &SessionLane<'_>,
        channel: &mut Channel,
        now: Instant,
    ) -> Result<Option<LaneEnd>, SessionError> {
        let status = channel.exit_status().map_err(|e| self.lost(&e))?;
        let signal = channel.exit_signal().map_err(|e| self.lost(&e))?.exit_signal;
        if status == 0 && signal.is_none() {
            match channel.wait_close() {
                Ok(()) => {}
                Err(e) if would_block(&e) && now.duration_since(lane.heard) <= GOODBYE => return Ok(None),
                Err(e) if would_block(&e) => return Err(SessionError::Lost("the script's end is missing".into())),
                Err(e) => return Err(self.lost(&e)),
            }
            let status = channel.exit_status().map_err(|e| self.lost(&e))?;
            let signal = channel.exit_signal().map_err(|e| self.lost(&e))?.exit_signal;
            // What does not go out at once goes with the session.
            let _ = channel.close();
            return Ok(Some(LaneEnd::Ended(ScriptEnd { status, signal })));
        }
        let _ = channel.close();
        Ok(Some(LaneEnd::Ended(ScriptEnd { status, signal })))
    }

    fn check(&self, limits: &ScriptLimits<'_>, now: Instant) -> Result<(), SessionError> {
        if now >= limits.deadline || self.watchdog.has_fired() {
            return Err(SessionError::Late("the deadline for the whole test has passed".into()));
        }
        if (limits.cancelled)() {
            return Err(SessionError::Cancelled);
        }
        Ok(())
    }

    /// Until something comes, or can go where something waits to go, or for a tick.
    fn wait(&self) {
        let mut flags = PollFlags::IN;
        if matches!(self.ssh.block_directions(), BlockDirections::Outbound | BlockDirections::Both) {
            flags |= PollFlags::OUT;
        }
        let tick = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
        // An interrupted or failed poll only means that we look sooner.
        let _ = poll(&mut [PollFd::new(&self.socket, flags)], Some(&tick));
    }
}

impl<'a> SessionLane<'a> {
    fn new(job: ScriptJob<'a>) -> Self {
        Self {
            job,
            channel: None,
            accepted: false,
            closed_stdin: false,
            heard_all: false,
            heard: Instant::now(),
            complaints: Vec::new(),
            end: None,
        }
    }

    /// Whether what it waits for was read already, while another lane was looked at.
    fn is_ready(&self) -> bool {
        let Some(channel) = self.channel.as_ref().filter(|_| self.end.is_none()) else { return false };
        channel.read_window().available > 0
            || (channel.eof() && (!self.heard_all || channel.exit_status().is_ok_and(|status| status != 0)))
    }
}

/// Whether the server said that it opens no channel.
fn is_refusal(error: &ssh2::Error) -> bool {
    error.code() == ssh2::ErrorCode::Session(LIBSSH2_ERROR_CHANNEL_FAILURE)
}

/// libssh2.h
const LIBSSH2_ERROR_CHANNEL_FAILURE: i32 = -21;
