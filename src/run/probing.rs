//! One target's probe: address, host key, checks, and what to do where the key is another than expected. It owns the order "injected, else console, else
//! none" in which a host key comes to be known; it refuses to parse what the instance sent (the prober does, the console's bytes too).

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Request, event::Events, hurry, reach::Reach};
use crate::{
    launch::{Fleet, LaunchedTarget, RunningInstance},
    model::{
        AmiRef, Event, HostKeyPin, TargetEvidence, UndecidedKind, Verdict, escape::escape_bytes, evidence::Undecided,
    },
    probe::{ProbeEvent, ProbePhase, ProbeRequest, Prober, TargetProbe, Way},
};

/// The longest that a target's checks may take after the login, beyond what the suites' own timeouts add up to.
pub const CHECKS_AT_MOST: Duration = Duration::from_secs(1800);
/// The pause between two looks at the console.
const CONSOLE_PAUSE: Duration = Duration::from_secs(3);

/// What a probe works with.
pub struct Probing<'a> {
    /// What is asked.
    pub request: &'a Request,
    /// The instances.
    pub fleet: &'a Fleet,
    /// The process that speaks SSH.
    pub prober: &'a Prober,
    /// By which way.
    pub reach: &'a Reach,
    /// Who listens.
    pub events: &'a Events,
    /// Ends it.
    pub cancel: &'a CancellationToken,
}

/// Probes one instance and writes what was found into `evidence`.
pub async fn probe(
    with: &Probing<'_>,
    launched: &LaunchedTarget,
    instance: &RunningInstance,
    evidence: &mut TargetEvidence,
) {
    let attempt = tokio::select! {
        found = probe_with_known_key(with, launched, instance) => found,
        () = with.cancel.cancelled() => Err(Undecided { kind: UndecidedKind::Cancelled, reason: "the run was cancelled".to_owned() }),
    };
    evidence.bastion_host_key = with.reach.bastion_host_key();
    match attempt {
        Ok((found, pin)) => {
            evidence.host_key = pin;
            take_over(found, evidence);
        }
        Err(reason) => evidence.undecided = Some(reason),
    }
    let _explained = hurry::bounded(with.cancel, explain(with, &launched.ami, evidence)).await;
}

fn take_over(found: TargetProbe, evidence: &mut TargetEvidence) {
    evidence.verdict = found.verdict;
    evidence.undecided = found.undecided;
    evidence.checks = found.checks;
    evidence.phases.extend(found.phases);
}

/// For a target that could not be reached or was lost: what EC2 says became of the instance, and its console output saved beside the reports.
async fn explain(with: &Probing<'_>, ami: &AmiRef, evidence: &mut TargetEvidence) {
    use UndecidedKind::{HostKey, Lost, Timeout, Unreachable};
    let Some(undecided) =
        evidence.undecided.as_mut().filter(|u| matches!(u.kind, Unreachable | Lost | Timeout | HostKey))
    else {
        return;
    };
    if let Some(fate) = with.fleet.fate(ami).await {
        undecided.reason.push_str(&format!("; {fate}"));
    }
    let Some(folder) = &with.request.settings.report_dir else { return };
    match with.fleet.console(ami).await {
        Ok(bytes) => {
            let name = format!("console-{}-{}.txt", ami.region, ami.id);
            match save(folder, &name, &bytes) {
                Ok(()) => evidence.console = Some(name),
                Err(error) => with.events.warn(format!("the console output of {ami} could not be saved: {error}")),
            }
        }
        Err(error) => with.events.warn(format!("the console output of {ami} could not be had: {error}")),
    }
}

fn save(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(name), escape_bytes(bytes))
}

/// With the injected key; where the host shows another, with the console's; where the console names none, with none, and the record says so.
async fn probe_with_known_key(
    with: &Probing<'_>,
    launched: &LaunchedTarget,
    instance: &RunningInstance,
) -> Result<(TargetProbe, HostKeyPin), Undecided> {
    let target = with.reach.to(&instance.address, instance.port, Some(&instance.id)).await?;
    let injected = ask(with, launched, &target, vec![instance.host_key.clone()]).await;
    if !is_key_mismatch(&injected) {
        return Ok((injected, HostKeyPin::Injected));
    }
    with.events
        .note(format!("{}: the image made host keys of its own; reading them from the console output", launched.ami));
    let keys = console_keys(with, launched).await;
    if keys.is_empty() {
        with.events.warn(format!(
            "{}: no host key is known from any side; testing goes on, and the record says \"none\"",
            launched.ami
        ));
        return Ok((ask(with, launched, &target, Vec::new()).await, HostKeyPin::None));
    }
    let pinned = ask(with, launched, &target, keys).await;
    Ok((pinned, HostKeyPin::Console))
}

fn is_key_mismatch(found: &TargetProbe) -> bool {
    found.verdict == Verdict::Undecided && found.undecided.as_ref().is_some_and(|u| u.kind == UndecidedKind::HostKey)
}

/// Reads the console until it names host keys or half of what is left of `ssh_timeout` has passed: EC2 shows it late.
async fn console_keys(with: &Probing<'_>, launched: &LaunchedTarget) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + left(with, launched) / 2;
    loop {
        match with.fleet.console(&launched.ami).await {
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
fn left(with: &Probing<'_>, launched: &LaunchedTarget) -> Duration {
    with.request.settings.ssh.timeout.saturating_sub(launched.started.elapsed()).max(Duration::from_millis(500))
}

async fn ask(
    with: &Probing<'_>,
    launched: &LaunchedTarget,
    (address, way): &(SocketAddr, Way),
    host_keys: Vec<String>,
) -> TargetProbe {
    let settings = &with.request.settings;
    let connect_within = left(with, launched);
    let request = ProbeRequest {
        target: launched.ami.to_string(),
        address: *address,
        user: settings.ssh.username.clone().unwrap_or_default(),
        private_key: with.fleet.identity().private_key.clone(),
        host_keys,
        suites: Arc::from(settings.suites.clone()),
        connect_within,
        total: connect_within + CHECKS_AT_MOST,
        wait_cloud_init: true,
        way: way.clone(),
    };
    watched(with.prober, request, with.events).await
}

/// Probes, and tells the phases as they are reached.
pub async fn watched(prober: &Prober, request: ProbeRequest, events: &Events) -> TargetProbe {
    let (sender, mut seen) = mpsc::channel(64);
    let target = request.target.clone();
    let telling = async {
        while let Some(event) = seen.recv().await {
            if let ProbeEvent::Reached(phase, after) = event {
                let duration_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                events.tell(Event::Phase { target: target.clone(), phase: words(phase).to_owned(), duration_ms });
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
