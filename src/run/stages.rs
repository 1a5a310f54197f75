//! What comes after the first probe of an instance: the AMI's attributes, the same instance in other boots, the comparison with an undisturbed one. It owns their order
//! and what the whole amounts to then; it refuses to know how any of them is done.

use tokio::sync::oneshot;

use super::{
    Request, ami_checks, answers, external,
    probing::{Met, Probing, cancelled},
    reboot::{self, Stage, Subject},
    second_boot::{self, Second},
};
use crate::{
    cloud::Image,
    external::Host,
    launch::{LaunchedTarget, RunningInstance},
    model::{CheckEvidence, TargetEvidence},
    probe::amounts_to,
    suite::{Resource, Suite},
};

/// Whether the first probe is to ask the host about itself: what other boots are compared with.
pub fn needs_facts(request: &Request) -> bool {
    let suites = &request.settings.suites;
    answers::asks(suites, Resource::Reboot, None) || answers::asks(suites, Resource::SecondBoot, None)
}

/// Whether the suites ask for anything that only the conductor can tell.
fn any(suites: &[Suite]) -> bool {
    [Resource::Ami, Resource::External, Resource::Reboot, Resource::SecondBoot]
        .iter()
        .any(|it| answers::asks(suites, *it, None))
}

/// Answers in `evidence` what only EC2 and other boots can tell, and writes what all of it amounts to. `second`: where the undisturbed instance's result comes from.
/// A cancel ends it at once; what was learned until then stays.
pub async fn go_through(
    with: &Probing<'_>,
    launched: &LaunchedTarget,
    instance: &RunningInstance,
    image: Option<&Image>,
    mut met: Met,
    second: Option<oneshot::Receiver<Second>>,
    evidence: &mut TargetEvidence,
) {
    let suites = &with.request.settings.suites;
    if !any(suites) || evidence.checks.is_empty() {
        return;
    }
    if let Some(image) = image {
        answers::answer(suites, Resource::Ami, None, &mut evidence.checks, |_, property| {
            ami_checks::known(image, property)
        });
    }
    let mut more = Vec::new();
    let first = met.facts.clone();
    let rest = async {
        externals(with, launched, instance, &met, evidence, &mut more).await;
        reboots(with, launched, instance, &mut met, evidence, &mut more).await;
        compare(with, first.as_ref(), second, evidence, &mut more).await;
    };
    let cut_short = tokio::select! {
        () = rest => None,
        () = with.cancel.cancelled() => Some(cancelled()),
    };
    let planned = suites.iter().map(Suite::planned).sum::<usize>() + more.len();
    evidence.checks.append(&mut more);
    let stopped = met.stopped.or(cut_short);
    (evidence.verdict, evidence.undecided) = amounts_to(&evidence.checks, planned, stopped.as_ref());
}

/// The external suites, on the host as it first booted.
async fn externals(
    with: &Probing<'_>,
    launched: &LaunchedTarget,
    instance: &RunningInstance,
    met: &Met,
    evidence: &mut TargetEvidence,
    more: &mut Vec<CheckEvidence>,
) {
    let settings = &with.request.settings;
    if !external::asked(&settings.suites) {
        return;
    }
    let host = Host {
        target: launched.target.to_string(),
        address: instance.address.clone(),
        port: instance.port,
        user: settings.ssh.username.clone().unwrap_or_default(),
        private_key: with.fleet.identity().private_key.clone(),
        host_key: met.host_key.clone(),
        proxy_command: None,
    };
    let host = match &met.stopped {
        Some(stopped) => Err(stopped.reason.as_str()),
        None => Ok(&host),
    };
    let checks = &mut evidence.checks;
    let (events, cancel) = (with.events, with.cancel);
    more.extend(
        external::answer(with.prober, &settings.suites, &settings.base_dir, host, checks, events, cancel).await,
    );
}

/// The stages that a suite asks for, one after the other.
async fn reboots(
    with: &Probing<'_>,
    launched: &LaunchedTarget,
    instance: &RunningInstance,
    met: &mut Met,
    evidence: &mut TargetEvidence,
    more: &mut Vec<CheckEvidence>,
) {
    let suites = &with.request.settings.suites;
    let mut subject = Subject { launched, instance: instance.clone(), met };
    for stage in Stage::ALL {
        if !answers::asks(suites, Resource::Reboot, Some(stage.id())) {
            continue;
        }
        let again = match answers::asks_property(suites, Resource::Reboot, Some(stage.id()), "suite") {
            true => answers::asked_again(suites, stage.when()),
            false => Vec::new(),
        };
        let mut outcome = reboot::stage(with, &mut subject, stage, again).await;
        answers::answer(suites, Resource::Reboot, Some(stage.id()), &mut evidence.checks, |_, property| {
            outcome.known(property)
        });
        evidence.phases.extend(outcome.phase.take());
        more.append(&mut outcome.checks);
    }
}

/// The comparison with the undisturbed instance, once it is known what that says.
async fn compare(
    with: &Probing<'_>,
    first: Option<&crate::probe::HostFacts>,
    second: Option<oneshot::Receiver<Second>>,
    evidence: &mut TargetEvidence,
    more: &mut Vec<CheckEvidence>,
) {
    let suites = &with.request.settings.suites;
    if !answers::asks(suites, Resource::SecondBoot, None) {
        return;
    }
    let missing = || Second::unknown("there is no undisturbed instance");
    let mut second = match second {
        Some(receiver) => receiver.await.unwrap_or_else(|_| missing()),
        None => missing(),
    };
    answers::answer(suites, Resource::SecondBoot, None, &mut evidence.checks, |_, property| {
        second.known(first, property)
    });
    more.append(&mut second.checks);
}

/// What a suite that asks for a second instance launches beside `targets`.
pub use second_boot::{Pairs, companions, visit};
