//! Asking: the first round for every check, further rounds for those that failed and may be asked again. It owns
//! attempts, flakiness, and what an unfinished script is worth: what was answered stands, what was not is undecided,
//! a script that did not end as it should proves no pass, and a check that has attempts left has not failed.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use rand_core::{OsRng, RngCore};

use super::{
    engine::{EngineEvent, EngineStop, EventListener, stop_of},
    evaluate::{JudgedProperty, cut_short, evaluate, skipped, unanswered, written},
    frames::AnswerFrames,
    lanes,
    questions::not_asked,
    script::{self, DONE, ScriptQuestion},
    session::{SessionError, SshSession},
    session_lanes::{LaneEnd, ScriptEnd, ScriptJob, ScriptLimits},
};
use assay_model::{CheckOutcome, UndecidedKind, escape::escape_bytes};
use assay_suite::{Check, QuestionAsker, SudoChoice, Suite};

/// The command that reads the script, as the login user.
pub(super) const AS_LOGIN: &str = "exec sh -s";
/// The same as root, by sudo or by doas. The login shell may be any: it only has to start sh.
const AS_ROOT: &str = r#"exec sh -c 'if [ "$(id -u)" = 0 ]; then exec sh -s; fi; if ! sudo -n true 2>/dev/null </dev/null && doas -n true 2>/dev/null </dev/null; then exec doas -n sh -s; fi; exec sudo -n sh -s'"#;

/// A script, ready to run.
pub(super) struct ReadyScript {
    /// What its answers begin with.
    pub nonce: String,
    pub text: String,
    /// The longest that it can be silent.
    pub idle: Duration,
}

/// What a script gave.
pub(super) struct ScriptAnswers {
    pub frames: AnswerFrames,
    /// The session's error, where it had one: nothing more can be asked.
    pub error: Option<SessionError>,
    /// Nothing of it ran: the server does not run it beside others.
    refused: bool,
    /// Why the script's end proves nothing; `None` when it ended as it should.
    improper: Option<String>,
}

/// One check on its way.
struct PendingCheck<'a> {
    suite: usize,
    index: usize,
    check: &'a Check,
    sudo: SudoChoice,
    attempts: u32,
    /// For each property, whether an earlier attempt did not pass.
    stumbled: Vec<bool>,
    /// What the last attempt found; empty before the first.
    found: Vec<JudgedProperty>,
    /// When it may be asked (again).
    due: Instant,
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
    session: &mut SshSession,
    suites: &[Suite],
    deadline: Instant,
    listener: &dyn EventListener,
) -> Result<(), EngineStop> {
    let mut pending = Vec::new();
    let due = Instant::now();
    for (suite, it) in suites.iter().enumerate() {
        for (index, check) in it.checks.iter().enumerate() {
            let stumbled = vec![false; check.properties.len()];
            let one =
                PendingCheck { suite, index, check, sudo: it.sudo, attempts: 0, stumbled, found: Vec::new(), due };
            match check.resource.asker() {
                _ if check.skip => tell(listener, &one, skipped(check), Duration::ZERO),
                QuestionAsker::Host => pending.push(one),
                QuestionAsker::Suite => tell(listener, &one, written(check), Duration::ZERO),
                QuestionAsker::Conductor => tell(listener, &one, unanswered(check, not_asked(check)), Duration::ZERO),
            }
        }
    }
    let mut problem: Option<EngineStop> = None;
    while let Some(due) = pending.iter().map(|p| p.due).min() {
        let mut ended = wait_until(session, due, deadline, listener).err();
        let due = due.max(Instant::now());
        let (mut now, mut again) = pending.into_iter().partition::<Vec<_>, _>(|p| p.due <= due && ended.is_none());
        for as_root in [false, true] {
            let (asked, later) = now.into_iter().partition::<Vec<_>, _>(|p| (p.sudo == SudoChoice::Always) == as_root);
            now = later;
            match &ended {
                _ if asked.is_empty() => {}
                Some(error) => give_up(listener, asked, error),
                None => {
                    let round = round(session, asked, as_root, deadline, listener, &mut again);
                    problem = problem.or(round.problem);
                    ended = round.error;
                }
            }
        }
        if let Some(error) = ended {
            give_up(listener, again, &error);
            return Err(stop_of(&error));
        }
        pending = again;
    }
    problem.map_or(Ok(()), Err)
}

/// Until the next check is due. Fails at once where that is not before `deadline`.
fn wait_until(
    session: &mut SshSession,
    due: Instant,
    deadline: Instant,
    listener: &dyn EventListener,
) -> Result<(), SessionError> {
    if Instant::now() >= due {
        return Ok(());
    }
    if due >= deadline {
        return Err(SessionError::Late("the deadline for the whole test left no time to ask again".into()));
    }
    session.rest(due, &|| listener.is_gone())
}

struct QuestionRound {
    problem: Option<EngineStop>,
    error: Option<SessionError>,
}

/// Asks `asked` once, in as many scripts side by side as are worth it and the server allows. What is decided is told;
/// what may be asked again goes to `again`.
fn round<'a>(
    session: &mut SshSession,
    mut asked: Vec<PendingCheck<'a>>,
    as_root: bool,
    deadline: Instant,
    listener: &dyn EventListener,
    again: &mut Vec<PendingCheck<'a>>,
) -> QuestionRound {
    let mut round = QuestionRound { problem: None, error: None };
    let command = if as_root { AS_ROOT } else { AS_LOGIN };
    while !asked.is_empty() {
        let lanes = in_lanes(asked, session);
        let scripts: Vec<ReadyScript> = lanes.iter().map(|lane| script_of(lane)).collect();
        let answers = run_scripts(session, command, &scripts, deadline, listener);
        let now = Instant::now();
        asked = Vec::new();
        for (lane, answered) in lanes.into_iter().zip(answers) {
            if answered.refused {
                asked.extend(lane);
                continue;
            }
            round.problem = round.problem.or(conclude(lane, &answered, now, listener, again));
            round.error = round.error.or(answered.error);
        }
        if let Some(error) = &round.error {
            give_up(listener, std::mem::take(&mut asked), error);
        }
    }
    round
}

/// What is asked, dealt out over lanes.
fn in_lanes<'a>(asked: Vec<PendingCheck<'a>>, session: &SshSession) -> Vec<Vec<PendingCheck<'a>>> {
    let checks: Vec<&Check> = asked.iter().map(|p| p.check).collect();
    let dealt = lanes::deal(&checks, session.round_trip(), session.lanes());
    let mut asked: Vec<Option<PendingCheck<'a>>> = asked.into_iter().map(Some).collect();
    dealt.iter().map(|lane| lane.iter().filter_map(|index| asked[*index].take()).collect()).collect()
}

fn script_of(asked: &[PendingCheck<'_>]) -> ReadyScript {
    let questions: Vec<ScriptQuestion<'_>> =
        (0..).zip(asked).map(|(index, p)| ScriptQuestion { index, check: p.check, sudo: p.sudo }).collect();
    let nonce = nonce();
    let text = script::checks(&nonce, &questions);
    ReadyScript { nonce, text, idle: script::longest_silence(&questions) }
}

/// What one lane's answers say of what it was asked. Returns why they are not to be trusted, where they are not.
fn conclude<'a>(
    asked: Vec<PendingCheck<'a>>,
    answered: &ScriptAnswers,
    now: Instant,
    listener: &dyn EventListener,
    again: &mut Vec<PendingCheck<'a>>,
) -> Option<EngineStop> {
    let missing = (answered.frames.end != Some(asked.len())).then_some("the script's last word is missing");
    let improper = answered.improper.as_deref().or(missing);
    let complete = asked.len() == answered.frames.answers.len();
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
        let passed = |j: &JudgedProperty| matches!(j.outcome, CheckOutcome::Passed | CheckOutcome::Skipped);
        let retry = pending.attempts <= pending.check.retry && !judged.iter().all(passed);
        match improper.filter(|_| retry) {
            Some(why) => tell(listener, &pending, cut_short(pending.check, judged, pending.attempts, why), elapsed),
            None if retry => {
                for (stumbled, judged) in pending.stumbled.iter_mut().zip(&judged) {
                    *stumbled |= judged.outcome != CheckOutcome::Passed;
                }
                // All of a round that have the same delay are asked again in one round, side by side.
                pending.due = now + pending.check.retry_delay;
                pending.found = judged;
                again.push(pending);
            }
            None => tell(listener, &pending, judged, elapsed),
        }
    }
    improper.map(|why| EngineStop::new(UndecidedKind::Lost, &format!("the checks did not run to their end: {why}")))
}

/// Runs `scripts` side by side and reads their answers, each with its own nonce: no script can answer for another.
pub(super) fn run_scripts(
    session: &mut SshSession,
    command: &str,
    scripts: &[ReadyScript],
    deadline: Instant,
    listener: &dyn EventListener,
) -> Vec<ScriptAnswers> {
    let mut frames: Vec<AnswerFrames> = scripts.iter().map(|script| AnswerFrames::new(&script.nonce)).collect();
    let mut outputs: Vec<_> = frames.iter_mut().map(|frames| |bytes: &[u8]| frames.feed(bytes)).collect();
    let jobs = scripts.iter().zip(&mut outputs).map(|(script, output)| ScriptJob {
        command,
        stdin: script.text.as_bytes(),
        idle: script.idle,
        output,
    });
    let ended = session.run(jobs.collect(), &ScriptLimits { deadline, cancelled: &|| listener.is_gone() });
    drop(outputs);
    frames.into_iter().zip(ended).map(|(frames, (end, complaints))| answered(frames, end, &complaints)).collect()
}

fn answered(frames: AnswerFrames, end: LaneEnd, complaints: &[u8]) -> ScriptAnswers {
    let improper = match &end {
        LaneEnd::Refused => None,
        LaneEnd::Broken(error) => Some(error.to_string()),
        LaneEnd::Ended(ended) => unlike_done(ended).map(|why| with_words(why, &frames, complaints)),
    };
    let refused = end == LaneEnd::Refused;
    let error = if let LaneEnd::Broken(error) = end { Some(error) } else { None };
    ScriptAnswers { frames, error, refused, improper }
}

/// What is wrong with how a script ended; `None` when it ended as it should.
fn unlike_done(ended: &ScriptEnd) -> Option<String> {
    match ended {
        ScriptEnd { status: DONE, signal: None } => None,
        ScriptEnd { signal: Some(signal), .. } => Some(format!("the host's shell was ended by signal {signal}")),
        ScriptEnd { status: 0, .. } => {
            Some("the host's shell ended without a word, or its exit status got lost".into())
        }
        ScriptEnd { status, .. } => Some(format!("the host's shell ended with exit status {status}")),
    }
}

/// `why`, and what the host said beside its answers.
fn with_words(mut why: String, frames: &AnswerFrames, complaints: &[u8]) -> String {
    let said = frames.refusal.clone().unwrap_or_else(|| {
        let said = if complaints.is_empty() { &frames.noise } else { complaints };
        escape_bytes(said).trim().to_owned()
    });
    if !said.is_empty() {
        why.push_str("; it said: ");
        why.push_str(&said);
    }
    why
}

/// Takes back what passed: all answers are there, but not the proof that they are the script's.
fn distrust(judged: &mut [JudgedProperty], why: &str) {
    for one in judged.iter_mut().filter(|j| j.outcome == CheckOutcome::Passed) {
        one.outcome = CheckOutcome::Undecided;
        one.message = JudgedProperty::without_value(CheckOutcome::Undecided, why).message;
    }
}

fn give_up(listener: &dyn EventListener, pending: Vec<PendingCheck<'_>>, error: &SessionError) {
    let why = error.to_string();
    for mut one in pending {
        let judged = match std::mem::take(&mut one.found) {
            found if found.is_empty() => unanswered(one.check, &why),
            found => cut_short(one.check, found, one.attempts, &why),
        };
        tell(listener, &one, judged, Duration::ZERO);
    }
}

fn tell(listener: &dyn EventListener, pending: &PendingCheck<'_>, judged: Vec<JudgedProperty>, duration: Duration) {
    for (property, judged) in judged.into_iter().enumerate() {
        let asked = judged.outcome != CheckOutcome::Skipped;
        listener.tell(EngineEvent::Check {
            suite: pending.suite,
            check: pending.index,
            property,
            attempts: if asked { pending.attempts } else { 0 },
            flaky: judged.outcome == CheckOutcome::Passed && pending.stumbled[property],
            duration: if asked { duration } else { Duration::ZERO },
            judged,
        });
    }
}
