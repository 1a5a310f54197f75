//! The prober's events, collected into one target's result in the conductor. It owns the checks on what the prober
//! says: each property once, no index that was not asked, texts bounded and escaped again, and an end.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    client::{is_key_line, told},
    evaluate::{ACTUAL_KEPT, shown},
    facts::HostFacts,
    inventory::{FoundInventory, GatheredInventory},
    proto::{self, probe_event::Event as Wire},
};
use assay_model::{
    CheckEvidence, CheckOutcome, PhaseTime, TargetEvidence, UndecidedKind, Verdict, evidence::UndecidedReason,
};
use assay_suite::Suite;

/// What happens on the way, for progress.
#[derive(Debug, Clone, PartialEq)]
pub enum ProbeEvent {
    /// A phase was reached so long after the request.
    Reached(ProbePhase, Duration),
    /// The host showed this key (`algorithm base64`).
    HostKey(SeenHostKey),
    /// A property is decided, or will not be.
    Check(Box<CheckEvidence>),
}

/// The steps of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbePhase {
    /// The port answered with SSH.
    Connected,
    /// The login worked.
    Authenticated,
    /// cloud-init has finished, or is not there.
    CloudInit,
    /// The first check was asked.
    Checks,
    /// The last answer is in.
    Answered,
}

/// A host key that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenHostKey {
    /// `algorithm base64`
    pub line: String,
    /// Whether it is one that the request named. False when it named none.
    pub expected: bool,
}

/// One target's result.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetProbe {
    /// Passed only when every property was answered and nothing kept the probe from its end.
    pub verdict: Verdict,
    /// Why undecided; absent otherwise.
    pub undecided: Option<UndecidedReason>,
    /// What kept the probe from its end; absent where every question was put.
    pub stopped: Option<UndecidedReason>,
    /// The last thing that the host did was to refuse the login.
    pub login_refused: bool,
    /// Every property of every suite, in the suites' order; those without an answer are undecided.
    pub checks: Vec<CheckEvidence>,
    /// `ssh`, `cloud-init`, `checks`, as far as they were reached.
    pub phases: Vec<PhaseTime>,
    /// The last key that the host showed.
    pub host_key: Option<SeenHostKey>,
    /// What the host said of itself; absent where it was not asked or did not say.
    pub facts: Option<HostFacts>,
    /// What is in the image; absent where that was not asked or the host did not say.
    pub inventory: Option<FoundInventory>,
}

impl TargetProbe {
    /// Whether the host showed a key that was expected of it.
    pub fn is_met(&self) -> bool {
        self.host_key.as_ref().is_some_and(|key| key.expected)
    }
}

type CheckPosition = (usize, usize, usize);

/// What one target said so far.
pub(super) struct CollectedAnswers {
    suites: Arc<[Suite]>,
    checks: BTreeMap<CheckPosition, CheckEvidence>,
    reached: BTreeMap<ProbePhase, Duration>,
    host_key: Option<SeenHostKey>,
    facts: Option<HostFacts>,
    inventory: GatheredInventory,
    undecided: Option<UndecidedReason>,
    login_refused: bool,
    ended: bool,
}

impl CollectedAnswers {
    pub(crate) fn new(suites: Arc<[Suite]>) -> Self {
        let checks = BTreeMap::new();
        Self {
            suites,
            checks,
            reached: BTreeMap::new(),
            host_key: None,
            facts: None,
            inventory: GatheredInventory::default(),
            undecided: None,
            login_refused: false,
            ended: false,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Notes why there is no verdict; the first reason stays.
    pub(crate) fn undecided(&mut self, kind: UndecidedKind, reason: &str) {
        self.undecided.get_or_insert(UndecidedReason { kind, reason: told(reason) });
    }

    /// Takes one event; returns what a person may be shown. An event that cannot be is an error: the prober is broken
    /// or not ours any more.
    pub(crate) fn take(&mut self, event: proto::ProbeEvent) -> Result<Option<ProbeEvent>, String> {
        if self.ended {
            return Err("the prober spoke on after its end".into());
        }
        match event.event {
            Some(Wire::Phase(phase)) => {
                let after = Duration::from_millis(phase.after_ms);
                let phase = phase_of(phase.phase()).ok_or("the prober named an unknown phase")?;
                self.reached.insert(phase, after);
                Ok(Some(ProbeEvent::Reached(phase, after)))
            }
            Some(Wire::HostKey(seen)) if is_key_line(&seen.line) => {
                let seen = SeenHostKey { line: seen.line, expected: seen.expected };
                self.host_key = Some(seen.clone());
                Ok(Some(ProbeEvent::HostKey(seen)))
            }
            Some(Wire::Facts(facts)) => {
                self.facts = Some(HostFacts::taken(facts).ok_or("the prober sent facts that cannot be read")?);
                Ok(None)
            }
            Some(Wire::Inventory(piece)) => {
                self.inventory.take(piece).ok_or("the prober sent an inventory that cannot be read")?;
                Ok(None)
            }
            Some(Wire::Check(result)) => self.check(&result).map(|it| Some(ProbeEvent::Check(Box::new(it)))),
            Some(Wire::Finished(finished)) => {
                self.ended = true;
                if finished.results as usize == self.checks.len() {
                    return Ok(None);
                }
                Err(format!("the prober counts {} results, {} came", finished.results, self.checks.len()))
            }
            Some(Wire::Undecided(undecided)) => {
                self.ended = true;
                let kind = serde_json::from_value(undecided.kind.into()).unwrap_or(UndecidedKind::Prober);
                self.undecided(kind, &undecided.reason);
                self.login_refused = undecided.login_refused && kind == UndecidedKind::Unreachable;
                Ok(None)
            }
            Some(Wire::HostKey(_) | Wire::Dial(_)) | None => Err("the prober sent what cannot be read".into()),
        }
    }

    fn check(&mut self, result: &proto::CheckResult) -> Result<CheckEvidence, String> {
        let at = (result.suite as usize, result.check as usize, result.property as usize);
        let mut evidence = self.planned(at).ok_or("the prober answered what was not asked")?;
        if result.actual_json.len() > ACTUAL_KEPT {
            return Err("the prober sent a value that is too long".into());
        }
        let actual =
            serde_json::from_str(&result.actual_json).map_err(|_| "the prober sent a value that cannot be read")?;
        evidence.outcome = outcome(result.outcome()).ok_or("the prober named an unknown outcome")?;
        evidence.actual = shown(&actual);
        evidence.message = told(&result.message);
        evidence.attempts = result.attempts;
        evidence.flaky = result.flaky && evidence.outcome == CheckOutcome::Passed;
        evidence.duration_ms = result.duration_ms;
        if self.checks.insert(at, evidence.clone()).is_some() {
            return Err("the prober answered the same property twice".into());
        }
        Ok(evidence)
    }

    /// A property as it was asked, without an answer. What it is called and what it demands is ours, never the
    /// prober's word.
    fn planned(&self, (suite, check, property): CheckPosition) -> Option<CheckEvidence> {
        let suite = self.suites.get(suite)?;
        let check = suite.checks.get(check)?;
        let property = check.properties.get(property)?;
        Some(CheckEvidence {
            suite: suite.name.clone(),
            file: Some(check.path.as_ref().unwrap_or(&suite.path).display().to_string()),
            resource: check.resource.to_string(),
            id: check.id.clone(),
            property: property.name.clone(),
            outcome: CheckOutcome::Undecided,
            expected: property.matcher.to_json(),
            actual: serde_json::Value::Null,
            message: "not answered".into(),
            attempts: 0,
            flaky: false,
            duration_ms: 0,
        })
    }

    /// The result: every property, those without an answer undecided.
    pub(crate) fn finish(self) -> TargetProbe {
        let mut checks = Vec::new();
        for (s, suite) in self.suites.iter().enumerate() {
            for (c, check) in suite.checks.iter().enumerate() {
                for p in 0..check.properties.len() {
                    checks.extend(self.checks.get(&(s, c, p)).cloned().or_else(|| self.planned((s, c, p))));
                }
            }
        }
        let planned = self.suites.iter().map(Suite::planned).sum();
        let (verdict, undecided) = amounts_to(&checks, planned, self.undecided.as_ref());
        let phases = phases(&self.reached);
        TargetProbe {
            verdict,
            undecided,
            stopped: self.undecided,
            login_refused: self.login_refused,
            checks,
            phases,
            host_key: self.host_key,
            facts: self.facts,
            inventory: self.inventory.finish(),
        }
    }
}

/// The verdict of `checks`, where `planned` answers were due, and why there is none. `stopped`: what kept the probe from its end.
pub fn amounts_to(
    checks: &[CheckEvidence],
    planned: usize,
    stopped: Option<&UndecidedReason>,
) -> (Verdict, Option<UndecidedReason>) {
    let mut verdict = TargetEvidence::verdict_of(checks, planned);
    if stopped.is_some() && verdict == Verdict::Passed {
        verdict = Verdict::Undecided;
    }
    if verdict != Verdict::Undecided {
        return (verdict, None);
    }
    (verdict, Some(stopped.cloned().unwrap_or_else(|| why_undecided(checks))))
}

/// The first property without a trustworthy answer, in words.
fn why_undecided(checks: &[CheckEvidence]) -> UndecidedReason {
    let count = checks.iter().filter(|c| c.outcome == CheckOutcome::Undecided).count();
    let reason = match checks.iter().find(|c| c.outcome == CheckOutcome::Undecided) {
        Some(c) => {
            let first = format!("{} {:?} {}: {}", c.resource, c.id, c.property, c.message);
            format!("{count} of {} properties without a trustworthy answer; first: {first}", checks.len())
        }
        None => "every check was skipped: nothing was tested".to_owned(),
    };
    let late = checks.iter().any(|c| c.outcome == CheckOutcome::Undecided && c.message.contains("timeout"));
    let kind = if late { UndecidedKind::Timeout } else { UndecidedKind::Lost };
    UndecidedReason { kind, reason: told(&reason) }
}

fn phases(reached: &BTreeMap<ProbePhase, Duration>) -> Vec<PhaseTime> {
    let at = |phase| reached.get(&phase).copied();
    let phase = |name: &str, from: Option<Duration>, to: Option<Duration>| {
        let length = to?.checked_sub(from?)?;
        Some(PhaseTime { name: name.to_owned(), duration_ms: u64::try_from(length.as_millis()).unwrap_or(u64::MAX) })
    };
    [
        phase("ssh", Some(Duration::ZERO), at(ProbePhase::Authenticated)),
        phase("cloud-init", at(ProbePhase::Authenticated), at(ProbePhase::CloudInit)),
        phase("checks", at(ProbePhase::Checks), at(ProbePhase::Answered)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn phase_of(phase: proto::Phase) -> Option<ProbePhase> {
    Some(match phase {
        proto::Phase::Unspecified => return None,
        proto::Phase::Connected => ProbePhase::Connected,
        proto::Phase::Authenticated => ProbePhase::Authenticated,
        proto::Phase::CloudInit => ProbePhase::CloudInit,
        proto::Phase::Checks => ProbePhase::Checks,
        proto::Phase::Answered => ProbePhase::Answered,
    })
}

fn outcome(outcome: proto::Outcome) -> Option<CheckOutcome> {
    Some(match outcome {
        proto::Outcome::Unspecified => return None,
        proto::Outcome::Passed => CheckOutcome::Passed,
        proto::Outcome::Failed => CheckOutcome::Failed,
        proto::Outcome::Skipped => CheckOutcome::Skipped,
        proto::Outcome::Undecided => CheckOutcome::Undecided,
    })
}
