//! The resource `reboot`: the same instance in another boot. It owns what counts as having come back, the time that each stage may take, and what two boots of one
//! instance must have in common; it refuses to stretch the life of an instance: where too little of it is left, a stage is undecided.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    answers::{self, KnownProperty},
    health,
    probing::{
        self, CHECKS_AT_MOST, ExtraQuestions, FirstLogin, MARGIN, ProbeContext, ProbeRound, ask, is_key_mismatch,
    },
    reach::DialPlace,
};
use assay_aws::launch::{LaunchedTarget, RunningInstance};
use assay_model::{CheckEvidence, PhaseTime, RunEvent, UndecidedKind, evidence::UndecidedReason};
use assay_prober::{HostFacts, TargetProbe};
use assay_suite::Suite;

/// The pause before a host that still is in its old boot, or broke the session off, is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one address is dialled before EC2 is asked again where the instance is, and from where it sees us.
const SLICE: Duration = Duration::from_secs(30);
/// With less than this a stage is not begun.
const LEAST: Duration = Duration::from_secs(60);

/// How an instance is made to boot again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BootStage {
    /// EC2's RebootInstances.
    Soft,
    /// EC2's StopInstances and StartInstances: another host, and often another address.
    StopStart,
}

impl BootStage {
    /// Both, in the order in which they are gone through.
    pub(super) const ALL: [Self; 2] = [Self::Soft, Self::StopStart];

    /// The id in suites.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::StopStart => "stop-start",
        }
    }

    /// Behind a suite's name where it was asked again.
    pub(super) fn when(self) -> &'static str {
        match self {
            Self::Soft => "after soft reboot",
            Self::StopStart => "after stop-start",
        }
    }

    /// The phase's name, and the words for messages.
    fn name(self) -> &'static str {
        match self {
            Self::Soft => "soft reboot",
            Self::StopStart => "stop-start",
        }
    }
}

/// What one stage brought.
pub(super) struct StageOutcome {
    returned: KnownProperty,
    seconds: KnownProperty,
    host_key: KnownProperty,
    machine_id: KnownProperty,
    timer: KnownProperty,
    suite: KnownProperty,
    /// The checks that were asked again.
    pub checks: Vec<CheckEvidence>,
    /// Its time, where it came back.
    pub phase: Option<PhaseTime>,
}

impl StageOutcome {
    /// A stage that has no answers, for `reason`.
    fn unknown(reason: &str) -> Self {
        let why = || KnownProperty::unknown(reason);
        Self {
            returned: why(),
            seconds: why(),
            host_key: why(),
            machine_id: why(),
            timer: why(),
            suite: why(),
            checks: Vec::new(),
            phase: None,
        }
    }

    /// The answer for a property of `reboot`.
    pub(super) fn known(&self, property: &str) -> KnownProperty {
        match property {
            "returned" => self.returned.clone(),
            "seconds" => self.seconds.clone(),
            "host-key-unchanged" => self.host_key.clone(),
            "machine-id-unchanged" => self.machine_id.clone(),
            "timer-armed" => self.timer.clone(),
            "suite" => self.suite.clone(),
            _ => KnownProperty::unknown("no boot says anything of this name"),
        }
    }
}

/// A stage's subject: the instance, where it was last seen, and what it said then.
pub(super) struct RebootSubject<'a> {
    /// The instance's launch.
    pub launched: &'a LaunchedTarget,
    /// The instance; its address may be an old one.
    pub instance: RunningInstance,
    /// What it said in its last boot.
    pub met: &'a mut FirstLogin,
}

/// Goes through one stage. `again`: the checks to be asked after it; empty where nobody wants to know.
pub(super) async fn stage(
    with: &ProbeContext<'_>,
    subject: &mut RebootSubject<'_>,
    stage: BootStage,
    again: Vec<Suite>,
) -> StageOutcome {
    let (Some(before), Some(key)) = (subject.met.facts.clone(), subject.met.host_key.clone()) else {
        let why = subject.met.stopped.as_ref().map_or("it said nothing of itself", |stopped| stopped.reason.as_str());
        return StageOutcome::unknown(&format!("the host did not say which boot it is in: {why}"));
    };
    if before.boot_id.is_empty() {
        return StageOutcome::unknown(
            "the host shows no boot id, so that a new boot could not be told from the old one",
        );
    }
    let life = with.fleet.life_left(subject.launched);
    let budget = budget(stage, with.request.settings.ssh.timeout, life);
    if budget < LEAST {
        let left = life.as_secs();
        return StageOutcome::unknown(&format!(
            "the instance powers itself off in {left} s, too soon for this: set a longer ttl"
        ));
    }
    let target = &subject.launched.target;
    with.events.note(format!("{target}: {} (up to {} s)", stage.name(), budget.as_secs()));
    let began = Instant::now();
    let deadline = began + budget;
    let place = match power(with, subject, stage, deadline).await {
        Ok(place) => place,
        Err(reason) => {
            return StageOutcome::unknown(&format!("{} did not come about: {}", stage.name(), reason.reason));
        }
    };
    match returned(with, subject, place, &key, &before, deadline).await {
        InstanceReturn::Back { facts, at, place } => {
            let seconds = at.saturating_duration_since(began);
            let mut outcome = compared(&before, &facts, stage, seconds);
            with.events.tell(RunEvent::Phase {
                target: target.to_string(),
                phase: format!("back after {}", stage.name()),
                duration_ms: milliseconds(seconds),
            });
            subject.met.facts = Some(*facts);
            if !again.is_empty() {
                outcome.checks = asked_after(with, subject, &place, key, again).await;
                outcome.suite = passed_again(&outcome.checks);
            }
            outcome
        }
        InstanceReturn::OtherKey(reason) => {
            let mut outcome =
                StageOutcome::unknown(&format!("the host shows another key, so nobody logged in: {reason}"));
            outcome.host_key = match with.fleet.trouble(target).await {
                None => KnownProperty::Because(false.into(), reason),
                Some(trouble) => KnownProperty::Unknown(format!("{reason}; {trouble}")),
            };
            outcome
        }
        InstanceReturn::Away(reason) => away(with, subject, stage, budget, &reason).await,
    }
}

/// The checks again, in the new boot. Somebody logged in a moment ago, so a login needs no patience.
async fn asked_after(
    with: &ProbeContext<'_>,
    subject: &RebootSubject<'_>,
    place: &DialPlace,
    key: String,
    again: Vec<Suite>,
) -> Vec<CheckEvidence> {
    let total = CHECKS_AT_MOST.min(with.fleet.life_left(subject.launched).saturating_sub(MARGIN));
    let host_keys = vec![key.clone()];
    let round = ProbeRound {
        suites: Arc::from(again),
        host_keys,
        connect_within: LEAST,
        total,
        beside: ExtraQuestions::NOTHING,
    };
    let mut checks = ask(with, &subject.launched.target, place, round).await.checks;
    if health::any_failed(&checks)
        && let Some(why) = health::doubt(with, subject.launched, &subject.instance, Some(&key)).await
    {
        health::take_back(&mut checks, &why);
    }
    checks
}

/// How long a stage may take until the login: `ssh_timeout`, and as much again for EC2's stop and start; never more than what is left of the instance's life.
fn budget(stage: BootStage, patience: Duration, life: Duration) -> Duration {
    let wanted = match stage {
        BootStage::Soft => patience,
        BootStage::StopStart => patience * 2,
    };
    wanted.max(LEAST).min(life.saturating_sub(MARGIN))
}

/// Has EC2 do it; where the instance is to be dialled from then on.
async fn power(
    with: &ProbeContext<'_>,
    subject: &mut RebootSubject<'_>,
    stage: BootStage,
    deadline: Instant,
) -> Result<DialPlace, UndecidedReason> {
    let target = &subject.launched.target;
    match stage {
        BootStage::Soft => with.fleet.reboot(target, deadline).await?,
        BootStage::StopStart => {
            let before = subject.instance.address.clone();
            subject.instance.address = with.fleet.stop_and_start(target, &before, deadline).await?;
        }
    }
    let patience = deadline.saturating_duration_since(Instant::now());
    let instance = &subject.instance;
    let place = with.reach.to_within(&instance.address, instance.port, Some(&instance.id), patience).await?;
    probing::admit(with, target, &place, false).await;
    Ok(place)
}

/// Where to dial next: EC2 may have shown an address of before the stop, and what stands before our network may have given us another address. Returns whether anything
/// is different now.
async fn look_again(with: &ProbeContext<'_>, subject: &mut RebootSubject<'_>, place: &mut DialPlace) -> bool {
    let target = &subject.launched.target;
    let mut changed = false;
    if let Some(address) = with.fleet.address(target, &subject.instance.address).await
        && address != subject.instance.address
    {
        let instance = &subject.instance;
        if let Ok(found) = with.reach.to(&address, instance.port, Some(&instance.id)).await {
            (*place, changed) = (found, true);
            subject.instance.address = address;
        }
    }
    probing::admit(with, target, place, true).await || changed
}

/// What became of an instance that was to boot again.
enum InstanceReturn {
    /// It is in another boot, and somebody could log in at that moment.
    Back { facts: Box<HostFacts>, at: Instant, place: DialPlace },
    /// A host key other than before was shown.
    OtherKey(String),
    /// It did not answer from another boot in time.
    Away(InstanceAbsence),
}

/// How it stayed away.
enum InstanceAbsence {
    /// The old boot answered to the end.
    OldBoot,
    /// Nobody could log in any more; the last reason.
    Silent(String),
    /// Nothing can be said of it.
    Unknown(String),
}

/// Asks until the host answers from another boot than `before`'s, or the time is over.
async fn returned(
    with: &ProbeContext<'_>,
    subject: &mut RebootSubject<'_>,
    mut place: DialPlace,
    key: &str,
    before: &HostFacts,
    mut deadline: Instant,
) -> InstanceReturn {
    let mut last = InstanceAbsence::Unknown("it was not asked".to_owned());
    let mut extended = false;
    loop {
        let asked = Instant::now();
        let mut left = deadline.saturating_duration_since(asked);
        if left < PAUSE {
            // What was learned only now must be tried once.
            let life = with.fleet.life_left(subject.launched).saturating_sub(MARGIN);
            if extended || life < SLICE || !look_again(with, subject, &mut place).await {
                return InstanceReturn::Away(last);
            }
            (extended, left) = (true, SLICE);
            deadline = asked + SLICE;
        }
        // cloud-init may take as long again as the boot.
        let total = (left * 2).min(with.fleet.life_left(subject.launched).saturating_sub(MARGIN));
        let host_keys = vec![key.to_owned()];
        let connect_within = left.min(SLICE);
        let round =
            ProbeRound { suites: Arc::from([]), host_keys, connect_within, total, beside: ExtraQuestions::FACTS };
        let found = ask(with, &subject.launched.target, &place, round).await;
        if is_key_mismatch(&found) {
            // An address of before the stop is somebody else's by now.
            if look_again(with, subject, &mut place).await {
                continue;
            }
            return InstanceReturn::OtherKey(reason_of(&found));
        }
        last = match &found.facts {
            Some(facts) if !facts.boot_id.is_empty() && facts.boot_id != before.boot_id => {
                return InstanceReturn::Back { facts: Box::new(facts.clone()), at: asked + login(&found), place };
            }
            Some(_) => InstanceAbsence::OldBoot,
            None if found.stopped.as_ref().is_some_and(|s| s.kind == UndecidedKind::Prober) => {
                return InstanceReturn::Away(InstanceAbsence::Unknown(reason_of(&found)));
            }
            None => {
                look_again(with, subject, &mut place).await;
                InstanceAbsence::Silent(reason_of(&found))
            }
        };
        sleep(PAUSE).await;
    }
}

fn reason_of(found: &TargetProbe) -> String {
    found.stopped.as_ref().map_or_else(|| "the host said nothing of itself".to_owned(), |s| s.reason.clone())
}

/// From the question to the login.
fn login(found: &TargetProbe) -> Duration {
    let ssh = found.phases.iter().find(|phase| phase.name == "ssh");
    Duration::from_millis(ssh.map_or(0, |phase| phase.duration_ms))
}

/// It did not come back. That is an answer about the image only where EC2 says that the instance runs on a machine that is well: login had worked on this very instance
/// before, by the same way. Everything else is undecided.
async fn away(
    with: &ProbeContext<'_>,
    subject: &RebootSubject<'_>,
    stage: BootStage,
    budget: Duration,
    away: &InstanceAbsence,
) -> StageOutcome {
    let (name, seconds) = (stage.name(), budget.as_secs());
    let silent = match away {
        InstanceAbsence::OldBoot => {
            return StageOutcome::unknown(&format!(
                "the same boot still answered {seconds} s after EC2 took the request for {name}"
            ));
        }
        InstanceAbsence::Unknown(why) => return StageOutcome::unknown(why),
        InstanceAbsence::Silent(why) => why,
    };
    let target = &subject.launched.target;
    let trouble = with.fleet.trouble(target).await;
    if let Some(console) = probing::save_console(with, target).await {
        with.events.note(format!("{target}: its console output is in {console}"));
    }
    if let Some(trouble) = trouble {
        return StageOutcome::unknown(&format!("not back {seconds} s after {name}: {trouble}; {silent}"));
    }
    let why = format!(
        "no login within {seconds} s after {name}, though EC2 says that it runs, and login worked before; {silent}"
    );
    let mut outcome = StageOutcome::unknown(&format!("it did not come back after {name}"));
    outcome.returned = KnownProperty::Because(false.into(), why);
    outcome
}

/// What two boots of one instance must have in common.
fn compared(before: &HostFacts, after: &HostFacts, stage: BootStage, seconds: Duration) -> StageOutcome {
    let timer = match after.poweroff_timer {
        Some(armed) => KnownProperty::holds((!armed).then(|| "no power-off timer is armed in the new boot".to_owned())),
        None => KnownProperty::unknown("systemd did not say whether a power-off timer is armed"),
    };
    StageOutcome {
        returned: KnownProperty::Value(true.into()),
        seconds: KnownProperty::Value(tenths(seconds)),
        host_key: host_keys(before, after),
        machine_id: machine_ids(before, after),
        timer,
        suite: KnownProperty::unknown("no suite holds a check that a host can answer"),
        checks: Vec::new(),
        phase: Some(PhaseTime { name: stage.name().to_owned(), duration_ms: milliseconds(seconds) }),
    }
}

fn host_keys(before: &HostFacts, after: &HostFacts) -> KnownProperty {
    let set = |facts: &HostFacts| facts.host_keys.iter().cloned().collect::<BTreeSet<_>>();
    let (old, new) = (set(before), set(after));
    if old.is_empty() && new.is_empty() {
        // The session's own key was the pinned one.
        return KnownProperty::Value(true.into());
    }
    let list = |keys: BTreeSet<String>| keys.into_iter().collect::<Vec<_>>().join(", ");
    let (gone, come) = (list(&old - &new), list(&new - &old));
    KnownProperty::holds((old != new).then(|| format!("gone: {}; new: {}", or_none(&gone), or_none(&come))))
}

fn machine_ids(before: &HostFacts, after: &HostFacts) -> KnownProperty {
    if before.machine_id.is_empty() && after.machine_id.is_empty() {
        return KnownProperty::unknown("/etc/machine-id is empty or not readable");
    }
    let (old, new) = (or_none(&before.machine_id), or_none(&after.machine_id));
    KnownProperty::holds((before.machine_id != after.machine_id).then(|| format!("it was {old}, it is {new}")))
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

/// Whether every check that was asked again passed.
pub(super) fn passed_again(checks: &[CheckEvidence]) -> KnownProperty {
    use assay_model::CheckOutcome::{Failed, Passed};
    match answers::complaint(checks) {
        Some(why) if checks.iter().any(|c| c.outcome == Failed) => KnownProperty::Because(false.into(), why),
        Some(why) => KnownProperty::Unknown(why),
        None if checks.iter().any(|c| c.outcome == Passed) => KnownProperty::Value(true.into()),
        None => KnownProperty::unknown("every check was skipped"),
    }
}

/// Seconds with one decimal.
fn tenths(time: Duration) -> Value {
    Value::from((time.as_secs_f64() * 10.0).round() / 10.0)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_prober::CloudInitState;

    fn facts(machine: &str, keys: &[&str]) -> HostFacts {
        HostFacts {
            boot_id: "b".to_owned(),
            machine_id: machine.to_owned(),
            host_keys: keys.iter().map(ToString::to_string).collect(),
            baked_host_keys: None,
            poweroff_timer: Some(true),
            cloud_init: CloudInitState::Finished,
            cloud_init_errors: Vec::new(),
        }
    }

    fn said(known: &KnownProperty) -> String {
        format!("{known:?}")
    }

    #[test]
    fn what_changed_is_named() {
        let before = facts("m1", &["a SHA256:1", "b SHA256:2"]);
        let same = compared(&before, &before, BootStage::Soft, Duration::from_millis(12_345));
        for property in ["returned", "host-key-unchanged", "machine-id-unchanged", "timer-armed"] {
            assert_eq!(same.known(property), KnownProperty::Value(true.into()), "{property}");
        }
        assert_eq!(same.known("seconds"), KnownProperty::Value(12.3.into()));
        let after = HostFacts { poweroff_timer: Some(false), ..facts("m2", &["a SHA256:1", "b SHA256:3"]) };
        let changed = compared(&before, &after, BootStage::Soft, Duration::ZERO);
        assert!(said(&changed.known("host-key-unchanged")).contains("gone: b SHA256:2; new: b SHA256:3"));
        assert!(said(&changed.known("machine-id-unchanged")).contains("it was m1, it is m2"));
        assert!(matches!(changed.known("timer-armed"), KnownProperty::Because(Value::Bool(false), _)));
        assert!(said(&machine_ids(&before, &facts("", &[]))).contains("it is none"));
        assert!(matches!(machine_ids(&facts("", &[]), &facts("", &[])), KnownProperty::Unknown(_)));
    }

    #[test]
    fn a_stage_never_outlives_the_instance() {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        assert_eq!(budget(BootStage::Soft, minutes(5), minutes(60)), minutes(5));
        assert_eq!(budget(BootStage::StopStart, minutes(5), minutes(60)), minutes(10));
        assert_eq!(budget(BootStage::StopStart, minutes(5), minutes(4)), minutes(3));
        assert!(budget(BootStage::Soft, minutes(5), Duration::from_secs(100)) < LEAST);
        assert_eq!(budget(BootStage::Soft, Duration::from_secs(8), minutes(60)), LEAST, "a boot takes its time");
    }
}
