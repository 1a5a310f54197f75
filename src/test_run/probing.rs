//! One target's probe: address, host key, checks, and what to do where the key is another than expected. It owns the order "injected, else console, else
//! none" in which a host key comes to be known; it refuses to parse what the instance sent (the prober does, the console's bytes too).

use std::{path::Path, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    RunRequest,
    event::EventSender,
    health,
    inventories::InventoriesByDigest,
    reach::{DialPlace, RunReach},
};
use crate::report;
use assay_aws::launch::{Fleet, LaunchedTarget, RunningInstance};
use assay_model::{
    HostKeyPin, RunEvent, TargetEvidence, TargetId, UndecidedKind, Verdict, escape::escape_bytes,
    evidence::UndecidedReason,
};
use assay_prober::{ConnectionWay, HostFacts, ProbeEvent, ProbePhase, ProbeRequest, Prober, TargetProbe};
use assay_suite::{Check, QuestionAsker, Suite};

/// The longest that cloud-init and a target's checks may take after the login, beyond what the longest check may take by what its suite says; see
/// [`checks_within`].
pub(super) const CHECKS_AT_MOST: Duration = Duration::from_secs(1800);
/// What a round of questions leaves of an instance's life: a deadline leaves what was found, an instance that powers itself off leaves a lost connection.
pub(super) const MARGIN: Duration = Duration::from_secs(60);
/// The pause between two looks at the console.
const CONSOLE_PAUSE: Duration = Duration::from_secs(3);

/// How long cloud-init and the checks of `suites` may take after the login: a check with many attempts gets the time for all of them.
pub(super) fn checks_within(suites: &[Suite]) -> Duration {
    let checks = suites.iter().flat_map(|suite| &suite.checks);
    let asked = checks.filter(|check| !check.skip && check.resource.asker() == QuestionAsker::Host);
    CHECKS_AT_MOST + asked.map(Check::longest).max().unwrap_or_default()
}

/// What a probe works with.
pub(super) struct ProbeContext<'a> {
    /// What is asked.
    pub request: &'a RunRequest,
    /// The instances.
    pub fleet: &'a Fleet,
    /// The process that speaks SSH.
    pub prober: &'a Prober,
    /// By which way.
    pub reach: &'a RunReach,
    /// Who listens.
    pub events: &'a EventSender,
    /// Ends it.
    pub cancel: &'a CancellationToken,
    /// Where what is found in images goes.
    pub inventories: &'a InventoriesByDigest,
}

/// What the first probe of an instance leaves for what comes after it.
#[derive(Debug, Default)]
pub(super) struct FirstLogin {
    /// The host key that it showed and that was accepted, as `algorithm base64`.
    pub host_key: Option<String>,
    /// What the host said of itself, where that was asked and it was reached.
    pub facts: Option<HostFacts>,
    /// What kept the probe from its end; absent where every question was put.
    pub stopped: Option<UndecidedReason>,
}

/// Probes one instance and writes what was found into `evidence`. `beside`: what the host is asked beside the checks. [`explain`] is due when the verdict stands.
pub(super) async fn probe(
    with: &ProbeContext<'_>,
    launched: &LaunchedTarget,
    instance: &RunningInstance,
    beside: ExtraQuestions,
    evidence: &mut TargetEvidence,
) -> FirstLogin {
    let attempt = tokio::select! {
        found = probe_with_known_key(with, launched, instance, beside) => found,
        () = with.cancel.cancelled() => Err(cancelled()),
    };
    evidence.bastion_host_key = with.reach.bastion_host_key();
    match attempt {
        Ok((mut found, pin)) => {
            name_short_life(with, launched, &mut found);
            evidence.host_key = if found.is_met() { pin } else { HostKeyPin::None };
            if beside.inventory {
                with.inventories.note(found.inventory.as_ref(), found.stopped.as_ref(), evidence);
            }
            let mut met = take_over(found, evidence);
            if evidence.verdict == Verdict::Failed {
                let doubted = health::doubt(with, launched, instance, met.host_key.as_deref());
                if let Some(Some(why)) = with.cancel.run_until_cancelled(doubted).await {
                    let planned = with.request.settings.suites.iter().map(Suite::planned).sum();
                    health::take_back_all(evidence, planned, &why);
                    met.stopped = Some(why);
                }
            }
            met
        }
        Err(reason) => {
            if beside.inventory {
                with.inventories.note(None, Some(&reason), evidence);
            }
            evidence.undecided = Some(reason.clone());
            FirstLogin { stopped: Some(reason), ..FirstLogin::default() }
        }
    }
}

/// The reason of everything that a cancel cut short.
pub(super) fn cancelled() -> UndecidedReason {
    UndecidedReason { kind: UndecidedKind::Cancelled, reason: "the run was cancelled".to_owned() }
}

fn take_over(found: TargetProbe, evidence: &mut TargetEvidence) -> FirstLogin {
    evidence.verdict = found.verdict;
    evidence.undecided = found.undecided;
    evidence.checks = found.checks;
    evidence.phases.extend(found.phases);
    FirstLogin { host_key: found.host_key.map(|key| key.line), facts: found.facts, stopped: found.stopped }
}

/// For a target that could not be reached or was lost: what EC2 says became of the instance, and its console output saved beside the reports.
pub(super) async fn explain(with: &ProbeContext<'_>, target: &TargetId, evidence: &mut TargetEvidence) {
    use UndecidedKind::{HostKey, Lost, Timeout, Unreachable};
    let Some(undecided) =
        evidence.undecided.as_mut().filter(|u| matches!(u.kind, Unreachable | Lost | Timeout | HostKey))
    else {
        return;
    };
    if let Some(fate) = with.fleet.fate(target).await.filter(|fate| !undecided.reason.contains(fate.as_str())) {
        undecided.reason.push_str(&format!("; {fate}"));
    } else if let Some(admitted) = with.fleet.admitted(target).filter(|_| undecided.kind == Unreachable) {
        undecided.reason.push_str(&format!("; the temporary security group admits {admitted}"));
    }
    evidence.console = save_console(with, target).await.or_else(|| evidence.console.take());
}

/// Saves an instance's console output beside the reports. Returns the file's name; `None` where there is no folder for reports, or it could not be had.
pub(super) async fn save_console(with: &ProbeContext<'_>, target: &TargetId) -> Option<String> {
    let folder = with.request.settings.report_dir.as_ref()?;
    let bytes = match with.fleet.console(target).await {
        Ok(bytes) => bytes,
        Err(error) => {
            with.events.warn(format!("the console output of {target} could not be had: {error}"));
            return None;
        }
    };
    let name = format!("console-{}.txt", target.file_stem());
    match save(folder, &name, &bytes) {
        Ok(()) => Some(name),
        Err(error) => {
            with.events.warn(format!("the console output of {target} could not be saved: {error}"));
            None
        }
    }
}

fn save(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    report::write_aside(&folder.join(name), escape_bytes(bytes).as_bytes())
}

/// With the injected key; where there is none (it booted undisturbed) or the host shows another, with the console's; where the console names none, with none, and the record says so.
async fn probe_with_known_key(
    with: &ProbeContext<'_>,
    launched: &LaunchedTarget,
    instance: &RunningInstance,
    beside: ExtraQuestions,
) -> Result<(TargetProbe, HostKeyPin), UndecidedReason> {
    let place = place(with, launched, instance).await?;
    let suites: Arc<[Suite]> = Arc::from(with.request.settings.suites.clone());
    let round = |host_keys| {
        let connect_within = left(with, launched);
        let total = within_life(with, launched, connect_within + checks_within(&suites));
        ProbeRound { suites: suites.clone(), host_keys, connect_within, total, beside }
    };
    if let Some(key) = &instance.host_key {
        let injected = ask(with, &launched.target, &place, round(vec![key.clone()])).await;
        if !is_key_mismatch(&injected) {
            return Ok((injected, HostKeyPin::Injected));
        }
        with.events.note(format!(
            "{}: the image made host keys of its own; reading them from the console output",
            launched.target
        ));
    }
    let keys = console_keys(with, launched).await;
    if keys.is_empty() {
        with.events.warn(format!(
            "{}: no host key is known from any side; testing goes on, and the record says \"none\"",
            launched.target
        ));
        return Ok((ask(with, &launched.target, &place, round(Vec::new())).await, HostKeyPin::None));
    }
    let pinned = ask(with, &launched.target, &place, round(keys)).await;
    Ok((pinned, HostKeyPin::Console))
}

/// Where an instance of ours is dialled; the address that it sees us from is admitted.
pub(super) async fn place(
    with: &ProbeContext<'_>,
    launched: &LaunchedTarget,
    instance: &RunningInstance,
) -> Result<DialPlace, UndecidedReason> {
    let patience = left(with, launched);
    let place = with.reach.to_within(&instance.address, instance.port, Some(&instance.id), patience).await?;
    admit(with, &launched.target, &place, false).await;
    Ok(place)
}

/// Has the temporary group admit the address that the instance sees us from, where connections are made directly. Returns whether that changed anything.
pub(super) async fn admit(
    with: &ProbeContext<'_>,
    target: &TargetId,
    (address, way): &DialPlace,
    ask_anew: bool,
) -> bool {
    if !matches!(way, ConnectionWay::Direct) {
        return false;
    }
    with.fleet.admit(target, address.ip(), ask_anew).await.unwrap_or_else(|why| {
        with.events.warn(format!("{target}: the address that it sees this machine from: {why}"));
        false
    })
}

/// `wanted`, or less where the instance powers itself off before: what a host says while it goes down is no answer.
pub(super) fn within_life(with: &ProbeContext<'_>, launched: &LaunchedTarget, wanted: Duration) -> Duration {
    let life = with.fleet.life_left(launched).saturating_sub(MARGIN).max(Duration::from_millis(500));
    if life < wanted {
        tracing::info!(target = %launched.target, "the instance's life bounds its test; ttl makes it longer");
    }
    wanted.min(life)
}

/// A test that ended because the instance's life does says so.
fn name_short_life(with: &ProbeContext<'_>, launched: &LaunchedTarget, found: &mut TargetProbe) {
    if with.fleet.life_left(launched) > MARGIN + Duration::from_secs(5) {
        return;
    }
    let ttl = with.request.settings.launch.ttl.as_secs();
    let late = [&mut found.stopped, &mut found.undecided].into_iter().flatten();
    for reason in late.filter(|reason| reason.kind == UndecidedKind::Timeout) {
        reason.reason.push_str(&format!("; the instance powers itself off {ttl} s after its launch: set a longer ttl"));
    }
}

/// Whether the host showed another key than the ones that were named.
pub(super) fn is_key_mismatch(found: &TargetProbe) -> bool {
    found.stopped.as_ref().is_some_and(|u| u.kind == UndecidedKind::HostKey)
}

/// Reads the console until it names host keys or half of what is left of `ssh_timeout` has passed: EC2 shows it late.
pub(super) async fn console_keys(with: &ProbeContext<'_>, launched: &LaunchedTarget) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + left(with, launched) / 2;
    loop {
        match with.fleet.console(&launched.target).await {
            Ok(bytes) => match with.prober.parse_console(bytes).await {
                Ok(keys) if !keys.is_empty() => return keys,
                Ok(_) => {}
                Err(error) => tracing::info!(%error, "the console could not be read by the prober"),
            },
            Err(error) => tracing::info!(%error, "the console output could not be had"),
        }
        if tokio::time::Instant::now() + CONSOLE_PAUSE > deadline {
            return Vec::new();
        }
        tokio::time::sleep(CONSOLE_PAUSE).await;
    }
}

/// What is left of `ssh_timeout`, which counts from the launch; never less than a moment, so that the prober can say why.
pub(super) fn left(with: &ProbeContext<'_>, launched: &LaunchedTarget) -> Duration {
    with.request.settings.ssh.timeout.saturating_sub(launched.started.elapsed()).max(Duration::from_millis(500))
}

/// What one session with an instance is to bring.
pub(super) struct ProbeRound {
    /// What is asked; may be nothing.
    pub suites: Arc<[Suite]>,
    /// The host keys that may be shown, as `algorithm base64`; empty: any.
    pub host_keys: Vec<String>,
    /// From now until a login must have worked.
    pub connect_within: Duration,
    /// From now until everything must be done.
    pub total: Duration,
    /// What the host is asked beside.
    pub beside: ExtraQuestions,
}

/// What a host is asked that is no check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ExtraQuestions {
    /// About itself, to compare boots.
    pub facts: bool,
    /// What is in the image.
    pub inventory: bool,
}

impl ExtraQuestions {
    /// Nothing.
    pub(super) const NOTHING: Self = Self { facts: false, inventory: false };
    /// Only about itself.
    pub(super) const FACTS: Self = Self { facts: true, inventory: false };
}

/// One session with an instance of ours, with the run's key, after cloud-init.
pub(super) async fn ask(
    with: &ProbeContext<'_>,
    target: &TargetId,
    (address, way): &DialPlace,
    round: ProbeRound,
) -> TargetProbe {
    let request = ProbeRequest {
        target: target.to_string(),
        address: *address,
        user: with.request.settings.ssh.username.clone().unwrap_or_default(),
        private_key: with.fleet.identity().private_key.clone(),
        host_keys: round.host_keys,
        suites: round.suites,
        connect_within: round.connect_within,
        total: round.total,
        wait_cloud_init: true,
        facts: round.beside.facts,
        inventory: round.beside.inventory,
        way: way.clone(),
    };
    watched(with.prober, request, with.events).await
}

/// Probes, and tells the phases as they are reached.
pub(super) async fn watched(prober: &Prober, request: ProbeRequest, events: &EventSender) -> TargetProbe {
    let (sender, mut seen) = mpsc::channel(64);
    let target = request.target.clone();
    let telling = async {
        while let Some(event) = seen.recv().await {
            if let ProbeEvent::Reached(phase, after) = event {
                let duration_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                events.tell(RunEvent::Phase { target: target.clone(), phase: words(phase).to_owned(), duration_ms });
            }
        }
    };
    let (found, ()) = futures::join!(prober.probe(request, sender), telling);
    found
}

fn words(phase: ProbePhase) -> &'static str {
    match phase {
        ProbePhase::Connected => "ssh answers",
        ProbePhase::Authenticated => "ssh login",
        ProbePhase::CloudInit => "cloud-init finished",
        ProbePhase::Checks => "checks begun",
        ProbePhase::Answered => "checks answered",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_gets_the_time_for_all_its_attempts() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.hcl");
        let text = "suite \"x\" {\n file \"/a\" {\n exists = true\n retry = 100\n retry_delay = \"20s\"\n timeout = \"10s\"\n }\n file \"/b\" { exists = true }\n}\n";
        std::fs::write(&path, text).expect("written");
        let suites = assay_suite::load(&[path], Path::new("/")).unwrap_or_else(|_| panic!("a suite"));
        let longest = Duration::from_secs(10 + 100 * 30);
        assert_eq!(checks_within(&suites), CHECKS_AT_MOST + longest);
    }
}
