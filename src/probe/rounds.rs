//! Asking: the first round for every check, further rounds for those that failed and may be asked again. It owns
//! attempts, flakiness, and what an unfinished script is worth: what was answered stands, what was not is undecided,
//! and a script that did not end as it should proves no pass.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use rand_core::{OsRng, RngCore};

use super::{
    engine::{Event, Listener, Stop, pause_for, stop_of},
    evaluate::{Judged, evaluate, skipped, unanswered, written},
    frames::Frames,
    questions::not_asked,
    script::{self, DONE, Question},
    session::{Ended, Limits, Session, SessionError},
};
use crate::{
    model::{Outcome, UndecidedKind, escape::escape_bytes},
    suite::{Asker, Check, Sudo, Suite},
};

/// The command that reads the script, as the login user.
pub(super) const AS_LOGIN: &str = "exec sh -s";
/// The same as root. The login shell may be any: it only has to start sh.
const AS_ROOT: &str = r#"exec sh -c 'if [ "$(id -u)" = 0 ]; then exec sh -s; else exec sudo -n sh -s; fi'"#;

/// What a script gave.
pub(super) struct Answered {
    pub frames: Frames,
    /// The session's error, where it had one: nothing more can be asked.
    pub error: Option<SessionError>,
    /// Why the script's end proves nothing; `None` when it ended as it should.
    improper: Option<String>,
}

/// One check on its way.
struct Pending<'a> {
    suite: usize,
    index: usize,
    check: &'a Check,
    sudo: Sudo,
    attempts: u32,
    /// For each property, whether an earlier attempt did not pass.
    stumbled: Vec<bool>,
}

/// Letters and digits that nobody can guess.
pub(super) fn nonce() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    bytes.iter().fold(String::from("a"), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// Asks every check of `suites` and tells every property once.
pub(super) fn ask_all(
    session: &mut Session,
    suites: &[Suite],
    deadline: Instant,
    listener: &dyn Listener,
) -> Result<(), Stop> {
    let mut pending = Vec::new();
    for (suite, it) in suites.iter().enumerate() {
        for (index, check) in it.checks.iter().enumerate() {
            let stumbled = vec![false; check.properties.len()];
            let one = Pending { suite, index, check, sudo: it.sudo, attempts: 0, stumbled };
            match check.resource.asker() {
                _ if check.skip => tell(listener, &one, skipped(check), Duration::ZERO),
                Asker::Host => pending.push(one),
                Asker::Suite => tell(listener, &one, written(check), Duration::ZERO),
                Asker::Conductor => tell(listener, &one, unanswered(check, not_asked(check)), Duration::ZERO),
            }
        }
    }
    let mut problem: Option<Stop> = None;
    while !pending.is_empty() {
        let mut again = Vec::new();
        let mut ended: Option<SessionError> = None;
        for as_root in [false, true] {
            let (now, later) = pending.into_iter().partition::<Vec<_>, _>(|p| (p.sudo == Sudo::Always) == as_root);
            pending = later;
            if now.is_empty() {
                continue;
            }
            match &ended {
                Some(error) => give_up(listener, now, error),
                None => {
                    let round = round(session, now, as_root, deadline, listener, &mut again);
                    problem = problem.or(round.problem);
                    ended = round.error;
                }
            }
        }
        let delay = again.iter().map(|p| p.check.retry_delay).max().unwrap_or_default();
        if ended.is_none() && !again.is_empty() && Instant::now() + delay < deadline {
            ended = pause_for(delay, listener).err();
        } else if ended.is_none() && !again.is_empty() {
            ended = Some(SessionError::Late("the deadline for the whole test left no time to ask again".into()));
        }
        pending = again;
        if let Some(error) = ended {
            give_up(listener, pending, &error);
            return Err(stop_of(&error));
        }
    }
    problem.map_or(Ok(()), Err)
}

struct Round {
    problem: Option<Stop>,
    error: Option<SessionError>,
}

/// One script for `asked`. What is decided is told; what may be asked again goes to `again`.
fn round<'a>(
    session: &mut Session,
    asked: Vec<Pending<'a>>,
    as_root: bool,
    deadline: Instant,
    listener: &dyn Listener,
    again: &mut Vec<Pending<'a>>,
) -> Round {
    let questions: Vec<Question<'_>> =
        (0..).zip(&asked).map(|(index, p)| Question { index, check: p.check, sudo: p.sudo }).collect();
    let nonce = nonce();
    let script = script::checks(&nonce, &questions);
    let limits = Limits { idle: script::longest_silence(&questions), deadline };
    let command = if as_root { AS_ROOT } else { AS_LOGIN };
    let mut answered = run_script(session, command, &script, &nonce, limits, listener);
    if answered.improper.is_none() && answered.frames.end != Some(asked.len()) {
        answered.improper = Some("the script's last word is missing".into());
    }
    let complete = asked.len() == answered.frames.answers.len();
    let improper = answered.improper.as_deref();
    for (index, mut pending) in (0..).zip(asked) {
        let frame = answered.frames.answers.get(&index);
        let mut judged = match (frame, improper) {
            (Some(frame), _) => evaluate(pending.check, frame),
            (None, _) if answered.frames.broken.contains(&index) => {
                unanswered(pending.check, "its answer came garbled or more than once")
            }
            (None, why) => unanswered(pending.check, why.unwrap_or("it was not answered")),
        };
        if let Some(why) = improper.filter(|_| complete) {
            distrust(&mut judged, why);
        }
        pending.attempts += 1;
        let elapsed = frame.and_then(|f| f.elapsed).unwrap_or_default();
        let passed = |j: &Judged| matches!(j.outcome, Outcome::Passed | Outcome::Skipped);
        let retry = pending.attempts <= pending.check.retry && !judged.iter().all(passed);
        if retry && answered.error.is_none() && improper.is_none() {
            for (stumbled, judged) in pending.stumbled.iter_mut().zip(&judged) {
                *stumbled |= judged.outcome != Outcome::Passed;
            }
            again.push(pending);
        } else {
            tell(listener, &pending, judged, elapsed);
        }
    }
    let problem =
        improper.map(|why| Stop::new(UndecidedKind::Lost, &format!("the checks did not run to their end: {why}")));
    Round { problem, error: answered.error }
}

/// Runs `script` and reads its answers.
pub(super) fn run_script(
    session: &mut Session,
    command: &str,
    script: &str,
    nonce: &str,
    limits: Limits,
    listener: &dyn Listener,
) -> Answered {
    let mut frames = Frames::new(nonce);
    let mut complaints = Vec::new();
    let ended =
        session.run(command, script.as_bytes(), limits, &mut |bytes| frames.feed(bytes), &mut complaints, &|| {
            listener.is_gone()
        });
    let improper = match &ended {
        Ok(Ended { status: DONE, signal: None }) => None,
        Ok(Ended { signal: Some(signal), .. }) => Some(format!("the host's shell was ended by signal {signal}")),
        Ok(Ended { status: 0, .. }) => {
            Some("the host's shell ended without a word, or its exit status got lost".into())
        }
        Ok(Ended { status, .. }) => Some(format!("the host's shell ended with exit status {status}")),
        Err(error) => Some(error.to_string()),
    };
    let improper = improper.map(|mut why| {
        let said = frames.refusal.clone().unwrap_or_else(|| {
            let said = if complaints.is_empty() { &frames.noise } else { &complaints };
            escape_bytes(said).trim().to_owned()
        });
        if !said.is_empty() && ended.is_ok() {
            why.push_str("; it said: ");
            why.push_str(&said);
        }
        why
    });
    Answered { frames, error: ended.err(), improper }
}

/// Takes back what passed: all answers are there, but not the proof that they are the script's.
fn distrust(judged: &mut [Judged], why: &str) {
    for one in judged.iter_mut().filter(|j| j.outcome == Outcome::Passed) {
        one.outcome = Outcome::Undecided;
        one.message = Judged::without_value(Outcome::Undecided, why).message;
    }
}

fn give_up(listener: &dyn Listener, pending: Vec<Pending<'_>>, error: &SessionError) {
    for one in pending {
        tell(listener, &one, unanswered(one.check, &error.to_string()), Duration::ZERO);
    }
}

fn tell(listener: &dyn Listener, pending: &Pending<'_>, judged: Vec<Judged>, duration: Duration) {
    for (property, judged) in judged.into_iter().enumerate() {
        let asked = judged.outcome != Outcome::Skipped;
        listener.tell(Event::Check {
            suite: pending.suite,
            check: pending.index,
            property,
            attempts: if asked { pending.attempts } else { 0 },
            flaky: judged.outcome == Outcome::Passed && pending.stumbled[property],
            duration: if asked { duration } else { Duration::ZERO },
            judged,
        });
    }
}
