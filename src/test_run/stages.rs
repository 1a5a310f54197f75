//! What comes after the first probe of an instance: the AMI's attributes, the same instance in other boots, the comparison with an undisturbed one. It owns their order
//! and what the whole amounts to then; it refuses to know how any of them is done.

use futures::FutureExt;
use tokio::{sync::oneshot, time::Instant};

use super::{
    RunRequest, ami_checks, answers, external, health,
    probing::{FirstLogin, MARGIN, ProbeContext, cancelled},
    reboot::{self, BootStage, RebootSubject},
    second_boot::{self, SecondBoot},
};
use crate::external_suites::HostAccess;
use assay_aws::{
    cloud::CloudImage,
    launch::{LaunchedTarget, RunningInstance},
};
use assay_model::{CheckEvidence, CheckOutcome, TargetEvidence, evidence::UndecidedReason};
use assay_prober::{HostFacts, amounts_to};
use assay_suite::{ResourceKind, Suite};

/// Whether the first probe is to ask the host about itself: what other boots are compared with.
pub(super) fn needs_facts(request: &RunRequest) -> bool {
    let suites = &request.settings.suites;
    answers::asks(suites, ResourceKind::Reboot, None) || answers::asks(suites, ResourceKind::SecondBoot, None)
}

/// Whether the suites ask for anything that only the conductor can tell.
fn any(suites: &[Suite]) -> bool {
    [ResourceKind::Ami, ResourceKind::External, ResourceKind::Reboot, ResourceKind::SecondBoot]
        .iter()
        .any(|it| answers::asks(suites, *it, None))
}

/// What is left to say of a target when its own instance is no longer needed.
pub(super) struct SeenTarget {
    /// What its first boot said.
    first: Option<HostFacts>,
    /// What kept its testing from its end.
    stopped: Option<UndecidedReason>,
    /// The checks that were asked again.
    more: Vec<CheckEvidence>,
}

/// Answers in `evidence` what EC2 and further boots of the instance tell. A cancel ends it at once; what was learned until then stays.
pub(super) async fn own(
    with: &ProbeContext<'_>,
    launched: &LaunchedTarget,
    instance: &RunningInstance,
    image: Option<&CloudImage>,
    mut met: FirstLogin,
    evidence: &mut TargetEvidence,
) -> SeenTarget {
    let suites = &with.request.settings.suites;
    let mut seen = SeenTarget { first: met.facts.clone(), stopped: met.stopped.clone(), more: Vec::new() };
    if !any(suites) || evidence.checks.is_empty() {
        return seen;
    }
    if let Some(image) = image {
        answers::answer(suites, ResourceKind::Ami, None, &mut evidence.checks, |_, property| {
            ami_checks::known(image, property)
        });
    }
    // They end by themselves when the run is cancelled, with all that they started.
    externals(with, launched, instance, &met, evidence, &mut seen.more).await;
    let cut_short = tokio::select! {
        () = reboots(with, launched, instance, &mut met, evidence, &mut seen.more) => None,
        () = with.cancel.cancelled() => Some(cancelled()),
    };
    seen.stopped = seen.stopped.or(cut_short);
    amount(suites, &seen, evidence);
    seen
}

/// Answers what only an undisturbed instance tells, once it is there: by then the target's own instance is gone, so that two never wait for each other's place.
pub(super) async fn compared(
    with: &ProbeContext<'_>,
    mut seen: SeenTarget,
    second: Option<oneshot::Receiver<SecondBoot>>,
    evidence: &mut TargetEvidence,
) {
    let suites = &with.request.settings.suites;
    if !answers::asks(suites, ResourceKind::SecondBoot, None) || evidence.checks.is_empty() {
        evidence.checks.append(&mut seen.more);
        return;
    }
    if seen.stopped.is_some() {
        // It may say by now what became of the instance.
        seen.stopped = evidence.undecided.clone().or(seen.stopped);
    }
    let missing = || SecondBoot::unknown("there is no undisturbed instance");
    let arrived = async {
        match second {
            Some(receiver) => receiver.await.unwrap_or_else(|_| missing()),
            None => missing(),
        }
    };
    let mut second = tokio::select! {
        second = arrived => second,
        () = with.cancel.cancelled() => {
            seen.stopped.get_or_insert_with(cancelled);
            SecondBoot::unknown("the run was cancelled")
        }
    };
    answers::answer(suites, ResourceKind::SecondBoot, None, &mut evidence.checks, |_, property| {
        second.known(seen.first.as_ref(), property)
    });
    seen.more.append(&mut second.checks);
    amount(suites, &seen, evidence);
    evidence.checks.append(&mut seen.more);
}

/// Whether the instance's console should be looked at while it is still there: something was not answered, beside what a second instance answers.
pub(super) fn is_unclear(evidence: &TargetEvidence) -> bool {
    let second = ResourceKind::SecondBoot.as_str();
    let open = |c: &CheckEvidence| c.outcome == CheckOutcome::Undecided && c.resource != second;
    evidence.undecided.is_some() && (evidence.checks.is_empty() || evidence.checks.iter().any(open))
}

/// Writes what all answers amount to.
fn amount(suites: &[Suite], seen: &SeenTarget, evidence: &mut TargetEvidence) {
    let planned = suites.iter().map(Suite::planned).sum::<usize>() + seen.more.len();
    let all: Vec<CheckEvidence> = evidence.checks.iter().chain(&seen.more).cloned().collect();
    (evidence.verdict, evidence.undecided) = amounts_to(&all, planned, seen.stopped.as_ref());
}

/// The external suites, on the host as it first booted.
async fn externals(
    with: &ProbeContext<'_>,
    launched: &LaunchedTarget,
    instance: &RunningInstance,
    met: &FirstLogin,
    evidence: &mut TargetEvidence,
    more: &mut Vec<CheckEvidence>,
) {
    let settings = &with.request.settings;
    if !external::asked(&settings.suites) {
        return;
    }
    let host = HostAccess {
        target: launched.target.to_string(),
        address: instance.address.clone(),
        port: instance.port,
        user: settings.ssh.username.clone().unwrap_or_default(),
        private_key: with.fleet.identity().private_key.clone(),
        host_key: met.host_key.clone(),
        proxy_command: with.reach.proxy_command(&instance.address, instance.port, Some(&instance.id)),
    };
    let host = match &met.stopped {
        Some(stopped) => Err(stopped.reason.as_str()),
        None if with.reach.has_bastion() => Err(external::NO_WAY_THROUGH_A_BASTION),
        None => Ok(&host),
    };
    let doubted =
        || async { health::doubt(with, launched, instance, met.host_key.as_deref()).await.map(|why| why.reason) };
    let doubt = || doubted().boxed();
    let until = Instant::now() + with.fleet.life_left(launched).saturating_sub(MARGIN);
    let subject = external::SuiteHost { host, until: Some(until), doubt: &doubt };
    let checks = &mut evidence.checks;
    let (events, cancel) = (with.events, with.cancel);
    let place = external::ExternalPlace { base_dir: &settings.base_dir, bounds: &settings.bounds };
    more.extend(external::answer(with.prober, &settings.suites, place, subject, checks, events, cancel).await);
}

/// The stages that a suite asks for, one after the other.
async fn reboots(
    with: &ProbeContext<'_>,
    launched: &LaunchedTarget,
    instance: &RunningInstance,
    met: &mut FirstLogin,
    evidence: &mut TargetEvidence,
    more: &mut Vec<CheckEvidence>,
) {
    let suites = &with.request.settings.suites;
    let mut subject = RebootSubject { launched, instance: instance.clone(), met };
    for stage in BootStage::ALL {
        if !answers::asks(suites, ResourceKind::Reboot, Some(stage.id())) {
            continue;
        }
        let again = match answers::asks_property(suites, ResourceKind::Reboot, Some(stage.id()), "suite") {
            true => answers::asked_again(suites, stage.when()),
            false => Vec::new(),
        };
        let mut outcome = reboot::stage(with, &mut subject, stage, again).await;
        answers::answer(suites, ResourceKind::Reboot, Some(stage.id()), &mut evidence.checks, |_, property| {
            outcome.known(property)
        });
        evidence.phases.extend(outcome.phase.take());
        more.append(&mut outcome.checks);
    }
}

/// What a suite that asks for a second instance launches beside `targets`.
pub(super) use second_boot::{InstancePairs, companions, visit};
