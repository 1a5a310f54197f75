//! `probe`: suites on machines that already run, without a cloud. It owns where their host keys are known from; nothing is created, nothing tagged.

use std::sync::Arc;

use futures::future::join_all;
use secrecy::SecretString;
use tokio::net::lookup_host;
use tokio_util::sync::CancellationToken;

use super::{Finished, event::Events, examine::Examined, known_hosts, probing, validate::evidence_of};
use crate::{
    config::request::{HostKeyTrust, ProbeHost, ProbeRequest as Wanted},
    journal::reaper::own_program,
    model::{Event, HostKeyPin, Provenance, RunId, TargetEvidence, UndecidedKind, evidence::Undecided},
    probe::{ProbeRequest, Prober, Way},
    report,
    suite::Suite,
};

/// Runs the suites on every host at once. Fails where key or known hosts cannot be read, or the prober does not start.
pub async fn probe(request: Wanted, events: Events, cancel: CancellationToken) -> Result<Finished, String> {
    let started_at = jiff::Timestamp::now().to_string();
    let key =
        std::fs::read_to_string(&request.key).map_err(|e| format!("cannot read {}: {e}", request.key.display()))?;
    let key = SecretString::from(key);
    let program = own_program().map_err(|e| format!("cannot find this program: {e}"))?;
    let prober = Prober::start(&program).await.map_err(|e| e.to_string())?;
    let run = RunId::generate();
    let targets = request.hosts.iter().map(name).collect();
    events.tell(Event::Started { run: run.to_string(), targets });
    let suites: Arc<[Suite]> = Arc::from(request.suites.clone());
    let found = request.hosts.iter().map(|host| one(&request, host, &key, &suites, &prober, &events, &cancel));
    let targets = join_all(found).await;
    let examined = Examined { targets, confinement: prober.confinement(), leftovers: Vec::new() };
    let evidence = evidence_of(run, None, Provenance::default(), &request.suites, started_at, examined);
    let mut finished = Finished::unrecorded(evidence);
    if let Some(folder) = &request.report_dir {
        match report::write_all(folder, &finished.evidence) {
            Ok(paths) => finished.reports = Some(paths),
            Err(error) => finished.problems.push(error.to_string()),
        }
    }
    Ok(finished)
}

fn name(host: &ProbeHost) -> String {
    if host.host.contains(':') {
        format!("{}@[{}]:{}", host.user, host.host, host.port)
    } else {
        format!("{}@{}:{}", host.user, host.host, host.port)
    }
}

async fn one(
    request: &Wanted,
    host: &ProbeHost,
    key: &SecretString,
    suites: &Arc<[Suite]>,
    prober: &Prober,
    events: &Events,
    cancel: &CancellationToken,
) -> TargetEvidence {
    let mut evidence = TargetEvidence::new(name(host), None);
    let asked = async {
        let host_keys = known(request, host)?;
        let address = lookup_host((host.host.as_str(), host.port)).await.ok().and_then(|mut found| found.next());
        let Some(address) = address else {
            return Err(Undecided {
                kind: UndecidedKind::Unreachable,
                reason: format!("{} has no address", host.host),
            });
        };
        let pin = if host_keys.is_empty() { HostKeyPin::None } else { HostKeyPin::Given };
        let asked = ProbeRequest {
            target: name(host),
            address,
            user: host.user.clone(),
            private_key: key.clone(),
            host_keys,
            suites: Arc::clone(suites),
            connect_within: request.timeout,
            total: request.timeout + probing::CHECKS_AT_MOST,
            wait_cloud_init: false,
            way: Way::Direct,
        };
        Ok((probing::watched(prober, asked, events).await, pin))
    };
    let outcome = tokio::select! {
        outcome = asked => outcome,
        () = cancel.cancelled() => Err(Undecided { kind: UndecidedKind::Cancelled, reason: "cancelled".to_owned() }),
    };
    match outcome {
        Ok((found, pin)) => {
            evidence.host_key = pin;
            evidence.verdict = found.verdict;
            evidence.undecided = found.undecided;
            evidence.checks = found.checks;
            evidence.phases = found.phases;
        }
        Err(reason) => evidence.undecided = Some(reason),
    }
    events.judged(&evidence);
    evidence
}

/// The host keys that may be shown. A known_hosts file that does not know the host is a reason not to go there at all.
fn known(request: &Wanted, host: &ProbeHost) -> Result<Vec<String>, Undecided> {
    let not_known = |reason: String| Undecided { kind: UndecidedKind::HostKey, reason };
    match &request.host_key {
        HostKeyTrust::None => Ok(Vec::new()),
        HostKeyTrust::Line(line) => Ok(vec![line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")]),
        HostKeyTrust::KnownHosts(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|e| not_known(format!("cannot read {}: {e}", path.display())))?;
            let keys = known_hosts::keys(&text, &host.host, host.port);
            if keys.is_empty() {
                return Err(not_known(format!(
                    "{} has no key of {}; add it with ssh-keyscan once you trust it",
                    path.display(),
                    name(host)
                )));
            }
            Ok(keys)
        }
    }
}
