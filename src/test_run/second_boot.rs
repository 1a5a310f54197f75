//! The resource `second-boot`: an instance of the same AMI that boots without user data. It owns how that instance is proven (by the host keys on its console, never
//! unproven), that it powers itself off, and what two instances of one AMI must not have in common; it refuses to judge the first instance.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{
    answers::{self, KnownProperty},
    health,
    probing::{self, CHECKS_AT_MOST, ExtraQuestions, ProbeContext, ProbeRound, ask, left},
    reboot::passed_again,
};
use assay_aws::launch::{LaunchedTarget, RunningInstance};
use assay_model::{BootOptions, CheckEvidence, CheckOutcome, TargetId};
use assay_prober::{CloudInitState, HostFacts, TargetProbe};
use assay_suite::{ResourceKind, SudoChoice, Suite};

/// Behind a suite's name where it was asked on the undisturbed boot.
pub(super) const WHEN: &str = "on the undisturbed boot";

/// What the undisturbed instance said.
pub(super) struct SecondBoot {
    /// Its host, or why nothing is known of it.
    host: Result<SecondHost, ComparisonRefusal>,
    /// The checks that were asked on it.
    pub checks: Vec<CheckEvidence>,
}

struct SecondHost {
    facts: HostFacts,
}

/// Why there is nothing to compare with.
struct ComparisonRefusal {
    reason: String,
    /// The host was proven, and refused the key pair: an answer about the image.
    login_refused: bool,
}

impl SecondBoot {
    /// Nothing is known of it, for `reason`.
    pub(super) fn unknown(reason: impl Into<String>) -> Self {
        Self { host: Err(ComparisonRefusal { reason: reason.into(), login_refused: false }), checks: Vec::new() }
    }

    /// The answer for a property of `second-boot`. `first`: what the prepared instance of the same AMI said.
    pub(super) fn known(&self, first: Option<&HostFacts>, property: &str) -> KnownProperty {
        let host = match &self.host {
            Ok(host) => host,
            Err(refusal) if refusal.login_refused && property == "boots-undisturbed" => {
                return KnownProperty::Because(false.into(), refusal.reason.clone());
            }
            Err(refusal) => return KnownProperty::unknown(&refusal.reason),
        };
        match (property, first) {
            ("boots-undisturbed", _) => undisturbed(&host.facts),
            ("suite", _) => passed_again(&self.checks),
            (_, None) => {
                KnownProperty::unknown("the first instance did not say what the second is to be compared with")
            }
            ("host-keys-differ", Some(first)) => host_keys(first, &host.facts),
            ("machine-id-differs", Some(first)) => machine_ids(first, &host.facts),
            _ => KnownProperty::unknown("no boot says anything of this name"),
        }
    }
}

/// The login worked; did cloud-init end well? An image without it is on its own, and shows by the login that it manages.
fn undisturbed(facts: &HostFacts) -> KnownProperty {
    let errors = &facts.cloud_init_errors;
    match facts.cloud_init {
        CloudInitState::Running => KnownProperty::unknown("cloud-init has not finished"),
        _ => KnownProperty::holds((!errors.is_empty()).then(|| format!("cloud-init's errors: {}", errors.join("; ")))),
    }
}

/// The keys that the image brought to the first instance count as well as those that are there now: assay's user data made cloud-init replace them.
fn host_keys(first: &HostFacts, second: &HostFacts) -> KnownProperty {
    let brought = first.host_keys.iter().chain(first.baked_host_keys.iter().flatten());
    let nothing_known = first.baked_host_keys.is_none() && first.host_keys.is_empty();
    if nothing_known || second.host_keys.is_empty() {
        return KnownProperty::unknown("there are no public host keys in /etc/ssh to compare");
    }
    let same: Vec<&String> = second.host_keys.iter().filter(|key| brought.clone().any(|k| k == *key)).collect();
    KnownProperty::holds((!same.is_empty()).then(|| {
        let keys = same.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ");
        format!("two instances have the same host keys, so the image brings them: {keys}")
    }))
}

fn machine_ids(first: &HostFacts, second: &HostFacts) -> KnownProperty {
    if first.machine_id.is_empty() || second.machine_id.is_empty() {
        return KnownProperty::unknown("/etc/machine-id is empty or not readable");
    }
    let same = first.machine_id == second.machine_id;
    KnownProperty::holds(
        same.then(|| format!("two instances have the same machine-id, so the image brings it: {}", first.machine_id)),
    )
}

/// The undisturbed targets that go with `targets`, where a suite asks for them.
pub(super) fn companions(suites: &[Suite], targets: &[TargetId]) -> Vec<TargetId> {
    if !answers::asks(suites, ResourceKind::SecondBoot, None) {
        return Vec::new();
    }
    targets.iter().map(|target| TargetId { boot: BootOptions::Undisturbed, ..target.clone() }).collect()
}

/// Hands what was learned from an undisturbed instance to the examination of the prepared one.
pub(super) struct InstancePairs {
    senders: BTreeMap<TargetId, oneshot::Sender<SecondBoot>>,
    receivers: BTreeMap<TargetId, oneshot::Receiver<SecondBoot>>,
}

impl InstancePairs {
    /// For these undisturbed targets.
    pub(super) fn of(companions: &[TargetId]) -> Self {
        let (mut senders, mut receivers) = (BTreeMap::new(), BTreeMap::new());
        for companion in companions {
            let (sender, receiver) = oneshot::channel();
            senders.insert(companion.clone(), sender);
            receivers.insert(companion.clone(), receiver);
        }
        Self { senders, receivers }
    }

    /// Where the result of this undisturbed target goes.
    pub(super) fn sender(&mut self, companion: &TargetId) -> Option<oneshot::Sender<SecondBoot>> {
        self.senders.remove(companion)
    }

    /// Where the companion's result of this prepared target comes from.
    pub(super) fn receiver(&mut self, target: &TargetId) -> Option<oneshot::Receiver<SecondBoot>> {
        self.receivers.remove(&TargetId { boot: BootOptions::Undisturbed, ..target.clone() })
    }

    /// No more instances will come up: whoever still waits for one learns it.
    pub(super) fn close(&mut self) {
        self.senders.clear();
    }
}

/// Logs in to the undisturbed instance, asks it about itself and, where a suite wants it, the suites' checks; then arms a power-off timer, which nothing has done
/// before.
pub(super) async fn visit(with: &ProbeContext<'_>, launched: &LaunchedTarget) -> SecondBoot {
    let instance = match &launched.instance {
        Ok(instance) => instance,
        Err(reason) => {
            return SecondBoot::unknown(format!("the undisturbed instance did not come up: {}", reason.reason));
        }
    };
    tokio::select! {
        second = meet(with, launched, instance) => second,
        () = with.cancel.cancelled() => SecondBoot::unknown("the run was cancelled"),
    }
}

async fn meet(with: &ProbeContext<'_>, launched: &LaunchedTarget, instance: &RunningInstance) -> SecondBoot {
    let place = match probing::place(with, launched, instance).await {
        Ok(place) => place,
        Err(reason) => return SecondBoot::unknown(reason.reason),
    };
    let host_keys = probing::console_keys(with, launched).await;
    if host_keys.is_empty() {
        return SecondBoot::unknown("its console names no host keys, so that nobody can say who answers there");
    }
    let all = &with.request.settings.suites;
    let mut suites = match answers::asks_property(all, ResourceKind::SecondBoot, None, "suite") {
        true => answers::asked_again(all, WHEN),
        false => Vec::new(),
    };
    suites.push(arming(with.fleet.life_left(launched)));
    let connect_within = left(with, launched);
    let total = probing::within_life(with, launched, connect_within + CHECKS_AT_MOST);
    let round =
        ProbeRound { suites: Arc::from(suites), host_keys, connect_within, total, beside: ExtraQuestions::FACTS };
    let mut found = ask(with, &launched.target, &place, round).await;
    if let Some(armed) = found.checks.pop().filter(|c| c.outcome != CheckOutcome::Passed && found.facts.is_some()) {
        with.events.warn(format!(
            "{}: no power-off timer could be armed ({}); only this run, its reaper and a sweep end the instance",
            launched.target, armed.message
        ));
    }
    match found.facts.take() {
        Some(facts) => {
            let key = found.host_key.as_ref().map(|key| key.line.as_str());
            let ill = health::any_failed(&found.checks) || !facts.cloud_init_errors.is_empty();
            let doubt = if ill { health::doubt(with, launched, instance, key).await } else { None };
            match doubt {
                None => SecondBoot { host: Ok(SecondHost { facts }), checks: found.checks },
                Some(why) => {
                    health::take_back(&mut found.checks, &why);
                    let host = Err(ComparisonRefusal { reason: why.reason, login_refused: false });
                    SecondBoot { host, checks: found.checks }
                }
            }
        }
        None => {
            probing::save_console(with, &launched.target).await;
            let trouble = with.fleet.trouble(&launched.target).await;
            SecondBoot { host: Err(refusal(&found, trouble)), checks: Vec::new() }
        }
    }
}

/// Why there was no login. Only a proven host that refused it, on an instance that EC2 says is well, says something about the image.
fn refusal(found: &TargetProbe, trouble: Option<String>) -> ComparisonRefusal {
    let reason = found.stopped.as_ref().map_or("the host said nothing of itself", |s| s.reason.as_str());
    let proven = found.host_key.as_ref().is_some_and(|key| key.expected);
    let login_refused = found.login_refused && proven && trouble.is_none();
    let reason = trouble.map_or_else(|| reason.to_owned(), |trouble| format!("{reason}; {trouble}"));
    ComparisonRefusal { reason, login_refused }
}

/// A suite of one command that arms a power-off timer as root: shutdown(8), or a sleeping process where that cannot be had.
fn arming(life: Duration) -> Suite {
    let (minutes, seconds) = (life.as_secs().div_ceil(60).max(2), life.as_secs().max(60));
    let command = format!(
        "shutdown -P +{minutes} >/dev/null 2>&1 || {{ sleep {seconds} && {{ poweroff || poweroff -f; }}; }} </dev/null >/dev/null 2>&1 &"
    );
    health::command_suite("power-off timer", command, SudoChoice::Always)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn facts(machine: &str, keys: &[&str], baked: Option<&[&str]>) -> HostFacts {
        let texts = |keys: &[&str]| keys.iter().map(ToString::to_string).collect();
        HostFacts {
            boot_id: "b".to_owned(),
            machine_id: machine.to_owned(),
            host_keys: texts(keys),
            baked_host_keys: baked.map(texts),
            poweroff_timer: Some(false),
            cloud_init: CloudInitState::Finished,
            cloud_init_errors: Vec::new(),
        }
    }

    fn second(facts: HostFacts) -> SecondBoot {
        SecondBoot { host: Ok(SecondHost { facts }), checks: Vec::new() }
    }

    fn wrong(known: &KnownProperty, words: &str) -> bool {
        matches!(known, KnownProperty::Because(Value::Bool(false), why) if why.contains(words))
    }

    #[test]
    fn what_two_instances_share_comes_from_the_image() {
        let first = facts("m1", &["ours"], Some(&["baked ed", "baked rsa"]));
        let clean = second(facts("m2", &["fresh"], None));
        for property in ["boots-undisturbed", "host-keys-differ", "machine-id-differs"] {
            assert_eq!(clean.known(Some(&first), property), KnownProperty::Value(true.into()), "{property}");
        }
        let baked = second(facts("m1", &["baked rsa", "fresh"], None));
        assert!(wrong(&baked.known(Some(&first), "host-keys-differ"), "baked rsa"));
        assert!(wrong(&baked.known(Some(&first), "machine-id-differs"), "m1"));
        let keyless = facts("m4", &[], Some(&[]));
        assert_eq!(
            clean.known(Some(&keyless), "host-keys-differ"),
            KnownProperty::Value(true.into()),
            "the image brings none"
        );
        let native = facts("m3", &["same"], None);
        assert!(wrong(&second(native.clone()).known(Some(&native), "host-keys-differ"), "same"));
    }

    #[test]
    fn without_both_sides_nothing_is_compared() {
        let first = facts("m1", &["a"], None);
        let unknown = |known: KnownProperty| matches!(known, KnownProperty::Unknown(_));
        for property in ["host-keys-differ", "machine-id-differs"] {
            assert!(unknown(second(facts("m2", &["b"], None)).known(None, property)), "{property}");
            assert!(unknown(second(facts("", &[], None)).known(Some(&first), property)), "{property}");
            assert!(unknown(SecondBoot::unknown("x").known(Some(&first), property)), "{property}");
        }
        assert!(unknown(SecondBoot::unknown("x").known(Some(&first), "boots-undisturbed")));
    }

    #[test]
    fn a_proven_host_that_refuses_the_key_pair_does_not_boot_undisturbed() {
        let refused = ComparisonRefusal { reason: "no login as x".to_owned(), login_refused: true };
        let second = SecondBoot { host: Err(refused), checks: Vec::new() };
        assert!(wrong(&second.known(None, "boots-undisturbed"), "no login"));
        assert!(matches!(second.known(None, "suite"), KnownProperty::Unknown(_)));
        let mut ill = facts("m", &["k"], None);
        ill.cloud_init_errors = vec!["no such module".to_owned()];
        assert!(wrong(&undisturbed(&ill), "no such module"));
    }

    /// What ends a probe that reached the host is no refusal: slow, cut, or taken away.
    #[test]
    fn only_a_refused_login_of_a_proven_host_that_is_well_speaks_against_the_image() {
        let found = |login_refused, expected| TargetProbe {
            verdict: assay_model::Verdict::Undecided,
            undecided: None,
            stopped: Some(assay_model::evidence::UndecidedReason {
                kind: assay_model::UndecidedKind::Unreachable,
                reason: "no login".to_owned(),
            }),
            login_refused,
            checks: Vec::new(),
            phases: Vec::new(),
            host_key: Some(assay_prober::SeenHostKey { line: "ssh-ed25519 A".to_owned(), expected }),
            facts: None,
            inventory: None,
        };
        let trouble = || Some("i-1 is shutting-down".to_owned());
        assert!(refusal(&found(true, true), None).login_refused);
        for (found, trouble) in [(found(false, true), None), (found(true, false), None), (found(true, true), trouble())]
        {
            assert!(!refusal(&found, trouble).login_refused);
        }
        assert_eq!(refusal(&found(true, true), trouble()).reason, "no login; i-1 is shutting-down");
    }

    #[test]
    fn whoever_waits_for_an_instance_that_never_comes_learns_it() {
        let target = TargetId::plain("us-east-1:ami-0abcdef1234567890".parse().expect("an AMI"));
        let companion = TargetId { boot: BootOptions::Undisturbed, ..target.clone() };
        let mut pairs = InstancePairs::of(std::slice::from_ref(&companion));
        let receiver = pairs.receiver(&target).expect("a receiver");
        pairs.close();
        assert!(receiver.blocking_recv().is_err());
        assert!(pairs.sender(&companion).is_none());
    }
}
