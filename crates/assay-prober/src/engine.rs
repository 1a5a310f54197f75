//! One target from first packet to last answer, in the prober process. It owns the order of things: connect, check the
//! host key, log in, wait for cloud-init, ask, ask again. It blocks; it runs on a thread of its own.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use super::{
    evaluate::JudgedProperty,
    facts,
    host_key::HostKey,
    inventory, proto,
    reach::{ConductorWord, TargetReach},
    rounds::{self, ScriptAnswers},
    script,
    session::{SessionError, SshSession},
};
use assay_model::{
    UndecidedKind,
    escape::{bounded, escape_bytes, escape_line},
};
use assay_suite::Suite;

/// What is to be done.
pub(super) struct EngineOrder {
    pub address: TargetReach,
    pub user: String,
    pub private_key: Zeroizing<String>,
    /// Empty: any.
    pub host_keys: Vec<HostKey>,
    pub suites: Arc<[Suite]>,
    /// From the start until a login must have worked.
    pub connect_within: Duration,
    /// From the start until the end.
    pub total: Duration,
    pub wait_cloud_init: bool,
    /// Ask the host about itself before the first check.
    pub facts: bool,
    /// Ask what is in the image after the last check.
    pub inventory: bool,
}

/// A step on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EngineStep {
    Connected,
    Authenticated,
    CloudInit,
    Checks,
    Answered,
}

/// What is told while it happens.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum EngineEvent {
    Reached(EngineStep, Duration),
    /// The conductor is to make this connection.
    Dial(u32),
    HostKey {
        line: String,
        expected: bool,
    },
    Facts(Box<proto::Facts>),
    Inventory(Box<proto::InventoryPiece>),
    Check {
        suite: usize,
        check: usize,
        property: usize,
        judged: JudgedProperty,
        attempts: u32,
        flaky: bool,
        duration: Duration,
    },
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EngineStop {
    pub kind: UndecidedKind,
    /// Escaped and bounded.
    pub reason: String,
    /// The last thing that the host did was to refuse the login.
    pub login_refused: bool,
}

impl EngineStop {
    pub(crate) fn new(kind: UndecidedKind, reason: &str) -> Self {
        Self { kind, reason: bounded(&escape_line(reason), 2 << 10), login_refused: false }
    }
}

/// Where events go and whether anybody still listens.
pub(super) trait EventListener {
    /// Tells an event.
    fn tell(&self, event: EngineEvent);
    /// Whether nobody wants to know any more.
    fn is_gone(&self) -> bool;
}

/// Runs `order`. Every property of every suite has been told as an [`EngineEvent::Check`] exactly once when this returns,
/// unless nobody could log in at all. Ends with [`EngineStop`] when something other than the image's own fault kept it from
/// a verdict.
pub(super) fn run(order: &EngineOrder, listener: &dyn EventListener) -> Result<(), EngineStop> {
    let began = Instant::now();
    let deadline = began + order.total;
    let (mut session, word) = log_in(order, listener, began)?;
    listener.tell(EngineEvent::Reached(EngineStep::Authenticated, began.elapsed()));
    if order.wait_cloud_init {
        wait_for_cloud_init(&mut session, deadline, listener).map_err(|stop| with_last_word(stop, &word))?;
        listener.tell(EngineEvent::Reached(EngineStep::CloudInit, began.elapsed()));
    }
    if order.facts
        && let Some(told) = facts::ask(&mut session, deadline, listener)
    {
        listener.tell(EngineEvent::Facts(Box::new(told)));
    }
    listener.tell(EngineEvent::Reached(EngineStep::Checks, began.elapsed()));
    let asked = rounds::ask_all(&mut session, &order.suites, deadline, listener);
    listener.tell(EngineEvent::Reached(EngineStep::Answered, began.elapsed()));
    // Last of all: whatever becomes of it, the checks are answered.
    if order.inventory && asked.is_ok() {
        inventory::ask(&mut session, deadline, listener);
    }
    asked.map_err(|stop| with_last_word(stop, &word))
}

/// Connects again and again until a login works. A refused login may only mean that cloud-init has not put the key
/// there yet.
fn log_in(
    order: &EngineOrder,
    listener: &dyn EventListener,
    began: Instant,
) -> Result<(SshSession, ConductorWord), EngineStop> {
    let deadline = began + order.connect_within.min(order.total);
    let (mut refused, mut failed) = (0, 0);
    let (mut told, mut before) = (None, None);
    loop {
        let mut word = None;
        let tried = attempt(order, listener, began, deadline, &mut told, &mut word);
        let error = match explained(tried, order, &word) {
            Ok(session) => return Ok((session, word)),
            Err(CheckAttempt::Wrong(stop)) => return Err(stop),
            Err(CheckAttempt::Again(error)) => error,
        };
        let pause = match error {
            SessionError::Login(_) => {
                refused += 1;
                after_refusal(refused)
            }
            // Neither gets better by asking the host again.
            SessionError::Cancelled | SessionError::Key(_) => return Err(stop_of(&error)),
            _ => {
                failed += 1;
                order.address.pause(failed)
            }
        };
        // An attempt that only ran out of time says less than the one before it.
        let last = match (error, before.take()) {
            (SessionError::Late(_), Some(before)) => before,
            (error, _) => error,
        };
        if Instant::now() + pause >= deadline {
            return Err(unreachable(order, &last));
        }
        before = Some(last);
        pause_for(pause, listener).map_err(|e| stop_of(&e))?;
    }
}

enum CheckAttempt {
    /// Worth another attempt.
    Again(SessionError),
    /// Not.
    Wrong(EngineStop),
}

impl From<SessionError> for CheckAttempt {
    fn from(error: SessionError) -> Self {
        Self::Again(error)
    }
}

fn attempt(
    order: &EngineOrder,
    listener: &dyn EventListener,
    began: Instant,
    deadline: Instant,
    told: &mut Option<HostKey>,
    word: &mut ConductorWord,
) -> Result<SshSession, CheckAttempt> {
    if listener.is_gone() {
        return Err(SessionError::Cancelled.into());
    }
    let prefer: Vec<String> = order.host_keys.iter().map(|k| k.algorithm.clone()).collect();
    let stream = order.address.connect(deadline, listener, word)?;
    let _turn = SshTurn::take();
    let mut session = stream.session(deadline, &prefer)?;
    let key = session.host_key()?;
    let expected = order.host_keys.contains(&key);
    if told.is_none() {
        listener.tell(EngineEvent::Reached(EngineStep::Connected, began.elapsed()));
    }
    if told.as_ref() != Some(&key) {
        listener.tell(EngineEvent::HostKey { line: key.to_string(), expected });
        *told = Some(key.clone());
    }
    if !expected && !order.host_keys.is_empty() {
        let wanted: Vec<String> = order.host_keys.iter().map(ToString::to_string).collect();
        let reason = format!("the host at {} showed {key}, which is not {}", order.address, wanted.join(" nor "));
        return Err(CheckAttempt::Wrong(EngineStop::new(UndecidedKind::HostKey, &reason)));
    }
    session.login(&order.user, &order.private_key)?;
    Ok(session)
}

/// How many targets exchange keys at once. The work is this machine's processors'; more at once only makes each of them
/// late, and a server that waits too long hangs up.
const TURNS: usize = 32;
/// How long a target waits for its turn at most: servers that never answer must not hold up the others.
const TURN_WITHIN: Duration = Duration::from_secs(3);

/// One target's turn to exchange keys and to log in, until it is dropped.
struct SshTurn;

static TURNS_TAKEN: Mutex<usize> = Mutex::new(0);
static TURN_OVER: Condvar = Condvar::new();

impl SshTurn {
    fn take() -> Self {
        // The number stays right whatever panics: it is changed in one step.
        let taken = TURNS_TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = TURN_OVER.wait_timeout_while(taken, TURN_WITHIN, |taken| *taken >= TURNS);
        *waited.unwrap_or_else(PoisonError::into_inner).0 += 1;
        Self
    }
}

impl Drop for SshTurn {
    fn drop(&mut self) {
        *TURNS_TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        TURN_OVER.notify_one();
    }
}

/// What the conductor said of a connection that it made outweighs what the end of its bytes looked like here.
fn explained(
    tried: Result<SshSession, CheckAttempt>,
    order: &EngineOrder,
    word: &ConductorWord,
) -> Result<SshSession, CheckAttempt> {
    let last = word.as_ref().and_then(|word| word.get());
    match (tried, last) {
        (
            Err(CheckAttempt::Again(SessionError::Connect(_) | SessionError::Handshake(_) | SessionError::Lost(_))),
            Some(last),
        ) => {
            if last.hopeless {
                let reason = format!("no connection to {}: {}", order.address, last.reason);
                return Err(CheckAttempt::Wrong(EngineStop::new(UndecidedKind::Unreachable, &reason)));
            }
            Err(CheckAttempt::Again(SessionError::Handshake(last.reason.clone())))
        }
        (tried, _) => tried,
    }
}

fn with_last_word(stop: EngineStop, word: &ConductorWord) -> EngineStop {
    match word.as_ref().and_then(|word| word.get()) {
        Some(last) if stop.kind == UndecidedKind::Lost => {
            EngineStop::new(stop.kind, &format!("{}; {}", stop.reason, last.reason))
        }
        _ => stop,
    }
}

/// OpenSSH 9.8 and later shut out an address that was refused too often: 5 s for each refusal, and it acts from 15 s
/// (sshd_config, PerSourcePenalties). One refusal in five seconds stays below that for ever.
fn after_refusal(count: u32) -> Duration {
    match count {
        1 => Duration::from_secs(1),
        2 => Duration::from_secs(3),
        _ => Duration::from_millis(5_200),
    }
}

fn unreachable(order: &EngineOrder, error: &SessionError) -> EngineStop {
    let hint = match error {
        SessionError::Login(_) => "; is it this image's user, and does the image take the launch's key?",
        SessionError::Connect(_) => {
            "; does a route and a security group lead there, and does the image start an SSH server?"
        }
        _ => "",
    };
    let within = order.connect_within.min(order.total).as_secs_f64();
    let reason = format!("no login as {} at {} within {within} s; last: {error}{hint}", order.user, order.address);
    let login_refused = matches!(error, SessionError::Login(_));
    EngineStop { login_refused, ..EngineStop::new(UndecidedKind::Unreachable, &reason) }
}

/// What a session's error means for the verdict.
pub(super) fn stop_of(error: &SessionError) -> EngineStop {
    let kind = match error {
        SessionError::Connect(_) | SessionError::Handshake(_) | SessionError::Login(_) => UndecidedKind::Unreachable,
        SessionError::Key(_) => UndecidedKind::Configuration,
        SessionError::Lost(_) | SessionError::Flood => UndecidedKind::Lost,
        SessionError::Late(_) => UndecidedKind::Timeout,
        SessionError::Cancelled => UndecidedKind::Cancelled,
    };
    EngineStop::new(kind, &error.to_string())
}

/// Sleeps, but not when nobody listens any more.
fn pause_for(time: Duration, listener: &dyn EventListener) -> Result<(), SessionError> {
    let end = Instant::now() + time;
    loop {
        if listener.is_gone() {
            return Err(SessionError::Cancelled);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
}

fn wait_for_cloud_init(
    session: &mut SshSession,
    deadline: Instant,
    listener: &dyn EventListener,
) -> Result<(), EngineStop> {
    let nonce = rounds::nonce();
    let script = script::cloud_init(&nonce);
    let idle = Duration::from_secs(30);
    let asked = vec![rounds::ReadyScript { nonce, text: script, idle }];
    let answered = rounds::run_scripts(session, rounds::AS_LOGIN, &asked, deadline, listener).pop();
    let Some(ScriptAnswers { frames, error, .. }) = answered else { return Ok(()) };
    if let Some(error) = error {
        let stop = stop_of(&error);
        return Err(EngineStop::new(stop.kind, &format!("while cloud-init was waited for: {}", stop.reason)));
    }
    if frames.answers.contains_key(&0) {
        return Ok(());
    }
    let noise = escape_bytes(&frames.noise);
    Err(EngineStop::new(
        UndecidedKind::Lost,
        &format!("the host's shell did not wait for cloud-init; it said: {noise}"),
    ))
}

#[cfg(test)]
#[path = "engine_lanes_tests.rs"]
mod lanes_tests;
#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
