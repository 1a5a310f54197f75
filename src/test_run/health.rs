//! Whether cloud and host were well while a host's answers were taken. A verdict of "failed" blames the image, and may cost it: so where a check failed, EC2 is asked how
//! the instance is, and the host whether it is going down; what a host says that is being taken away is no answer. It owns that question and the taking back; it
//! refuses to make a pass of anything.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use super::probing::{ExtraQuestions, ProbeContext, ProbeRound, ask};
use assay_aws::launch::{LaunchedTarget, RunningInstance};
use assay_model::{
    CheckEvidence, CheckOutcome, Digest, TargetEvidence, UndecidedKind, escape::bounded, evidence::UndecidedReason,
};
use assay_prober::{TargetProbe, amounts_to};
use assay_suite::{Check, CheckProperty, Matcher, ResourceKind, SudoChoice, Suite};

/// The longest that a host may take to show that it is still there.
const STILL_THERE: Duration = Duration::from_secs(30);
/// A message in evidence is no longer.
const MESSAGE: usize = 2 << 10;
/// Fails on a host that is going down: by systemd's own word, by OpenRC's, or by the runlevel.
const NOT_GOING_DOWN: &str = "\
case $(systemctl is-system-running 2>/dev/null) in stopping) exit 1;; esac
case $(rc-status -r 2>/dev/null) in shutdown|reboot) exit 1;; esac
case $(runlevel 2>/dev/null) in *' 0'|*' 6') exit 1;; esac
exit 0";

/// Why what failed on the target's host may be no fault of the image; `None`: EC2 says that the instance runs and is well, and the host answers and stays.
pub(super) async fn doubt(
    with: &ProbeContext<'_>,
    launched: &LaunchedTarget,
    instance: &RunningInstance,
    host_key: Option<&str>,
) -> Option<UndecidedReason> {
    let lost = |reason: String| UndecidedReason { kind: UndecidedKind::Lost, reason };
    if let Some(trouble) = with.fleet.trouble(&launched.target).await {
        return Some(lost(trouble));
    }
    let place = match with.reach.to(&instance.address, instance.port, Some(&instance.id)).await {
        Ok(place) => place,
        Err(reason) => return Some(reason),
    };
    let round = ProbeRound {
        suites: Arc::from([question()]),
        host_keys: host_key.map(str::to_owned).into_iter().collect(),
        connect_within: STILL_THERE,
        total: STILL_THERE * 2,
        beside: ExtraQuestions::NOTHING,
    };
    going_down(&ask(with, &launched.target, &place, round).await).map(lost)
}

/// What a host is asked to learn whether it is going down.
pub(super) fn question() -> Suite {
    command_suite("not going down", NOT_GOING_DOWN.to_owned(), SudoChoice::Never)
}

/// What a host's answer to [`question`] means; `None`: it is there and stays.
pub(super) fn going_down(found: &TargetProbe) -> Option<String> {
    if let Some(stopped) = &found.stopped {
        return Some(format!("the host does not answer any more: {}", stopped.reason));
    }
    match found.checks.first().map(|check| check.outcome) {
        Some(CheckOutcome::Passed) => None,
        Some(CheckOutcome::Failed) => Some("the host is shutting down".to_owned()),
        _ => Some("the host does not say whether it is shutting down".to_owned()),
    }
}

/// Takes back what failed of `checks`, which a host answered that was not well.
pub(super) fn take_back(checks: &mut [CheckEvidence], why: &UndecidedReason) {
    for check in checks.iter_mut().filter(|check| check.outcome == CheckOutcome::Failed) {
        check.outcome = CheckOutcome::Undecided;
        let said = std::mem::take(&mut check.message);
        check.message =
            bounded(&format!("{}, so what failed may be no fault of the image ({said})", why.reason), MESSAGE);
    }
}

/// [`take_back`] for all that a target's first round brought, with what that amounts to.
pub(super) fn take_back_all(evidence: &mut TargetEvidence, planned: usize, why: &UndecidedReason) {
    take_back(&mut evidence.checks, why);
    (evidence.verdict, evidence.undecided) = amounts_to(&evidence.checks, planned, Some(why));
}

/// Whether anything failed.
pub(super) fn any_failed(checks: &[CheckEvidence]) -> bool {
    checks.iter().any(|check| check.outcome == CheckOutcome::Failed)
}

/// A suite of assay's own: one command that must end with 0.
pub(super) fn command_suite(id: &str, command: String, sudo: SudoChoice) -> Suite {
    let digest = Digest::of(command.as_bytes());
    let check = Check {
        resource: ResourceKind::Command,
        id: id.to_owned(),
        path: None,
        subject: Some(command),
        title: None,
        skip: false,
        retry: 0,
        retry_delay: Duration::from_secs(1),
        timeout: Duration::from_secs(20),
        parameters: BTreeMap::new(),
        properties: vec![CheckProperty { name: "exit-status".to_owned(), matcher: Matcher::Equal(0.into()), line: 0 }],
        line: 0,
    };
    Suite { name: "assay".to_owned(), path: PathBuf::new(), digest, sudo, checks: vec![check] }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use assay_model::Verdict;

    fn check(outcome: CheckOutcome) -> CheckEvidence {
        CheckEvidence {
            suite: "smoke".to_owned(),
            file: None,
            resource: "service".to_owned(),
            id: "cron".to_owned(),
            property: "running".to_owned(),
            outcome,
            expected: true.into(),
            actual: false.into(),
            message: "it is false".to_owned(),
            attempts: 1,
            flaky: false,
            duration_ms: 1,
        }
    }

    fn probe(checks: Vec<CheckEvidence>, stopped: Option<UndecidedReason>) -> TargetProbe {
        TargetProbe {
            verdict: Verdict::Undecided,
            undecided: None,
            stopped,
            login_refused: false,
            checks,
            phases: Vec::new(),
            host_key: None,
            facts: None,
            inventory: None,
        }
    }

    #[test]
    fn what_failed_on_a_host_that_was_taken_away_is_undecided_and_says_what_it_was() {
        let mut evidence = TargetEvidence::new("t".to_owned(), None);
        evidence.checks = vec![check(CheckOutcome::Passed), check(CheckOutcome::Failed)];
        evidence.verdict = Verdict::Failed;
        let why = UndecidedReason { kind: UndecidedKind::Lost, reason: "i-1 is shutting-down: spot".to_owned() };
        take_back_all(&mut evidence, 2, &why);
        assert_eq!((evidence.verdict, evidence.undecided), (Verdict::Undecided, Some(why)));
        assert_eq!(evidence.checks[0].outcome, CheckOutcome::Passed);
        let taken = &evidence.checks[1];
        assert_eq!(taken.outcome, CheckOutcome::Undecided);
        assert!(
            taken.message.starts_with("i-1 is shutting-down: spot, so") && taken.message.ends_with("(it is false)")
        );
    }

    #[test]
    fn only_a_host_that_answers_and_stays_gives_no_doubt() {
        let stopped = UndecidedReason { kind: UndecidedKind::Unreachable, reason: "no route".to_owned() };
        assert_eq!(going_down(&probe(vec![check(CheckOutcome::Passed)], None)), None);
        for (checks, stopped, words) in [
            (vec![check(CheckOutcome::Failed)], None, "is shutting down"),
            (vec![check(CheckOutcome::Undecided)], None, "does not say"),
            (Vec::new(), None, "does not say"),
            (vec![check(CheckOutcome::Undecided)], Some(stopped), "no route"),
        ] {
            let why = going_down(&probe(checks, stopped)).expect("a doubt");
            assert!(why.contains(words), "{why}");
        }
    }

    /// The question as a shell answers it, with stand-ins for the programs that it asks.
    #[test]
    fn a_host_that_is_shutting_down_says_so_whatever_started_it() {
        let answers = |program: &str, says: &str| {
            let folder = tempfile::tempdir().expect("a folder");
            if !program.is_empty() {
                let path = folder.path().join(program);
                std::fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).expect("written");
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(&path, mode).expect("executable");
            }
            let asked = Command::new("/bin/sh").args(["-c", NOT_GOING_DOWN]).env("PATH", folder.path()).status();
            asked.expect("sh").success()
        };
        for (program, says, stays) in [
            ("", "", true),
            ("systemctl", "running", true),
            ("systemctl", "degraded", true),
            ("systemctl", "stopping", false),
            ("rc-status", "default", true),
            ("rc-status", "shutdown", false),
            ("runlevel", "N 5", true),
            ("runlevel", "5 6", false),
        ] {
            assert_eq!(answers(program, says), stays, "{program} says {says}");
        }
    }
}
