//! `probe`: suites on machines that already run, without a cloud. It owns where their host keys are known from; nothing is created, nothing tagged.

use std::{path::Path, sync::Arc};

use futures::{FutureExt, future::join_all};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{
    FinishedRun,
    event::EventSender,
    examine::ExaminationResult,
    external, health,
    inventories::InventoriesByDigest,
    known_hosts, probing,
    reach::{self, RunReach},
    report_folder,
    validate::evidence_of,
};
use crate::{external_suites::HostAccess, report};
use assay_aws::journal::reaper::own_program;
use assay_config::request::{HostKeyTrust, ProbeHost, ProbeRequest as Wanted};
use assay_model::{
    HostKeyPin, Provenance, RunEvent, RunId, TargetEvidence, UndecidedKind, Verdict, evidence::UndecidedReason,
};
use assay_prober::{ProbeRequest, Prober, amounts_to};
use assay_suite::Suite;

/// Runs the suites on every host at once. Fails where the key cannot be read. Where there is no prober, every host is undecided.
pub(crate) async fn probe(
    request: Wanted,
    events: EventSender,
    cancel: CancellationToken,
) -> Result<FinishedRun, String> {
    let started_at = jiff::Timestamp::now().to_string();
    let key =
        std::fs::read_to_string(&request.key).map_err(|e| format!("cannot read {}: {e}", request.key.display()))?;
    let key = SecretString::from(key);
    let place = external::ExternalPlace { base_dir: Path::new(""), bounds: &request.bounds };
    let mut problems = external::problems(&request.suites, place);
    problems.extend(report_folder::problem(request.report_dir.as_deref()).await);
    if !problems.is_empty() {
        return Err(problems.join("\nerror: "));
    }
    let program = own_program().map_err(|e| format!("cannot find this program: {e}"))?;
    let run = RunId::generate();
    let targets = request.hosts.iter().map(ToString::to_string).collect();
    events.tell(RunEvent::Started { run: run.to_string(), targets });
    let ready = async {
        let prober = reach::prober(&request.ways.prober, &program).await?;
        let ways = &request.ways;
        let reach = RunReach::prepare(ways.bastion.as_ref(), ways.proxy_command.as_deref(), &program).await?;
        Ok((prober, reach))
    };
    let ready = tokio::select! {
        ready = ready => ready,
        () = cancel.cancelled() => Err(cancelled()),
    };
    let inventories = InventoriesByDigest::default();
    let examined = match ready {
        Ok((prober, reach)) => {
            let suites: Arc<[Suite]> = Arc::from(request.suites.clone());
            let asking = HostRequest {
                request: &request,
                key,
                suites,
                prober: &prober,
                reach: &reach,
                inventories: &inventories,
            };
            let targets = join_all(request.hosts.iter().map(|host| one(&asking, host, &events, &cancel))).await;
            ExaminationResult { targets, confinement: prober.confinement(), ..ExaminationResult::default() }
        }
        Err(reason) => untested(&request, &reason, &events),
    };
    let mut evidence = evidence_of(run, None, Provenance::default(), &request.suites, started_at, examined);
    evidence.inventories = inventories.all();
    evidence.shard = request.shard.clone();
    let mut finished = FinishedRun::unrecorded(evidence);
    if let Some(folder) = &request.report_dir {
        match report::write_all(folder, &finished.evidence) {
            Ok(paths) => finished.reports = Some(paths),
            Err(error) => finished.problems.push(error.to_string()),
        }
    }
    Ok(finished)
}

/// What every host is asked with.
struct HostRequest<'a> {
    request: &'a Wanted,
    key: SecretString,
    suites: Arc<[Suite]>,
    prober: &'a Prober,
    reach: &'a RunReach,
    inventories: &'a InventoriesByDigest,
}

fn cancelled() -> UndecidedReason {
    UndecidedReason { kind: UndecidedKind::Cancelled, reason: "cancelled".to_owned() }
}

/// No host was asked anything, for one reason.
fn untested(request: &Wanted, reason: &UndecidedReason, events: &EventSender) -> ExaminationResult {
    let targets: Vec<TargetEvidence> =
        request.hosts.iter().map(|host| TargetEvidence::untested(host.to_string(), None, reason.clone())).collect();
    targets.iter().for_each(|target| events.judged(target));
    ExaminationResult { targets, ..ExaminationResult::default() }
}

async fn one(
    with: &HostRequest<'_>,
    host: &ProbeHost,
    events: &EventSender,
    cancel: &CancellationToken,
) -> TargetEvidence {
    let mut evidence = TargetEvidence::new(host.to_string(), None);
    let asked = async {
        let host_keys = known(with.request, host)?;
        let (address, way) = with.reach.to(&host.host, host.port, None).await?;
        let pin = if host_keys.is_empty() { HostKeyPin::None } else { HostKeyPin::Given };
        let asked = ProbeRequest {
            target: host.to_string(),
            address,
            user: host.user.clone(),
            private_key: with.key.clone(),
            host_keys,
            suites: Arc::clone(&with.suites),
            connect_within: with.request.timeout,
            total: with.request.timeout + probing::checks_within(&with.suites),
            wait_cloud_init: false,
            facts: false,
            inventory: with.request.inventory,
            way,
        };
        Ok((probing::watched(with.prober, asked, events).await, pin))
    };
    let outcome = tokio::select! {
        outcome = asked => outcome,
        () = cancel.cancelled() => Err(cancelled()),
    };
    evidence.bastion_host_key = with.reach.bastion_host_key();
    match outcome {
        Ok((found, pin)) => {
            evidence.host_key = if found.is_met() { pin } else { HostKeyPin::None };
            if with.request.inventory {
                with.inventories.note(found.inventory.as_ref(), found.stopped.as_ref(), &mut evidence);
            }
            evidence.verdict = found.verdict;
            evidence.undecided = found.undecided;
            evidence.checks = found.checks;
            evidence.phases = found.phases;
            let host_key = found.host_key.map(|key| key.line);
            let mut stopped = found.stopped;
            if evidence.verdict == Verdict::Failed
                && let Some(Some(reason)) = cancel.run_until_cancelled(doubt(with, host, host_key.clone())).await
            {
                let why = UndecidedReason { kind: UndecidedKind::Lost, reason };
                health::take_back_all(&mut evidence, with.suites.iter().map(Suite::planned).sum(), &why);
                stopped = Some(why);
            }
            externals(with, host, host_key, stopped, &mut evidence, events, cancel).await;
        }
        Err(reason) => {
            if with.request.inventory {
                with.inventories.note(None, Some(&reason), &mut evidence);
            }
            evidence.undecided = Some(reason);
        }
    }
    events.judged(&evidence);
    evidence
}

/// External suites, and what all of it amounts to with them. `host_key`: the one that the host showed and that was accepted.
async fn externals(
    with: &HostRequest<'_>,
    host: &ProbeHost,
    host_key: Option<String>,
    stopped: Option<UndecidedReason>,
    evidence: &mut TargetEvidence,
    events: &EventSender,
    cancel: &CancellationToken,
) {
    if !external::asked(&with.suites) || evidence.checks.is_empty() {
        return;
    }
    let reached = HostAccess {
        target: host.to_string(),
        address: host.host.clone(),
        port: host.port,
        user: host.user.clone(),
        private_key: with.key.clone(),
        host_key: host_key.clone(),
        proxy_command: with.reach.proxy_command(&host.host, host.port, None),
    };
    let doubt = || doubt(with, host, host_key.clone()).boxed();
    let subject = external::SuiteHost {
        host: match &stopped {
            Some(stopped) => Err(stopped.reason.as_str()),
            None if with.reach.has_bastion() => Err(external::NO_WAY_THROUGH_A_BASTION),
            None => Ok(&reached),
        },
        until: None,
        doubt: &doubt,
    };
    let (suites, checks) = (&with.suites, &mut evidence.checks);
    let place = external::ExternalPlace { base_dir: Path::new(""), bounds: &with.request.bounds };
    let mut more = external::answer(with.prober, suites, place, subject, checks, events, cancel).await;
    let planned = suites.iter().map(Suite::planned).sum::<usize>() + more.len();
    evidence.checks.append(&mut more);
    (evidence.verdict, evidence.undecided) = amounts_to(&evidence.checks, planned, stopped.as_ref());
}

/// Why what failed on the host may be no fault of it: it does not answer any more, or is going down.
async fn doubt(with: &HostRequest<'_>, host: &ProbeHost, host_key: Option<String>) -> Option<String> {
    let (address, way) = match with.reach.to(&host.host, host.port, None).await {
        Ok(place) => place,
        Err(reason) => return Some(reason.reason),
    };
    let question = ProbeRequest {
        target: host.to_string(),
        address,
        user: host.user.clone(),
        private_key: with.key.clone(),
        host_keys: host_key.into_iter().collect(),
        suites: Arc::from([health::question()]),
        connect_within: with.request.timeout,
        total: with.request.timeout * 2,
        wait_cloud_init: false,
        facts: false,
        inventory: false,
        way,
    };
    let (nobody, _) = tokio::sync::mpsc::channel(1);
    health::going_down(&with.prober.probe(question, nobody).await)
}

/// The host keys that may be shown. A known_hosts file that does not know the host is a reason not to go there at all.
fn known(request: &Wanted, host: &ProbeHost) -> Result<Vec<String>, UndecidedReason> {
    let not_known = |reason: String| UndecidedReason { kind: UndecidedKind::HostKey, reason };
    match &request.host_key {
        HostKeyTrust::None => Ok(Vec::new()),
        HostKeyTrust::Line(line) => Ok(vec![line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")]),
        HostKeyTrust::KnownHosts(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|e| not_known(format!("cannot read {}: {e}", path.display())))?;
            let known = known_hosts::keys(&text, &host.host, host.port);
            if known.keys.is_empty() {
                return Err(not_known(format!(
                    "{} has no key of {host}; add it with ssh-keyscan once you trust it{}",
                    path.display(),
                    known.hint()
                )));
            }
            Ok(known.keys)
        }
    }
}
