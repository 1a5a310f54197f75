//! External suites in a run: each one that the suites ask for is run against the host, its report is read by the prober, and both its own answer and every test of it
//! go into the evidence. It owns the order (one after the other: they share the host) and retries; it refuses to read a report itself.

use std::{path::Path, time::Duration};

use futures::future::BoxFuture;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    answers::{self, KnownProperty},
    event::EventSender,
};
use crate::external_suites::{ExternalSuite, HostAccess, SuiteResult, amount};
use assay_model::{CheckEvidence, CheckOutcome};
use assay_prober::{Prober, ReportedTest};
use assay_suite::{Check, ResourceKind, Suite, SuiteBounds};

/// With less time than this left of an instance's life nothing is begun.
const LEAST: Duration = Duration::from_secs(30);
/// Why no external suite is run behind a bastion.
pub(super) const NO_WAY_THROUGH_A_BASTION: &str =
    "external suites do not go through a bastion, whose key they may not have; use ssh_proxy_command";

/// What an external suite came to, and its tests.
struct FoundTests<'a> {
    check: &'a Check,
    amount: SuiteResult,
    attempts: u32,
    duration_ms: u64,
    tests: Vec<ReportedTest>,
}

/// Where external suites are found.
#[derive(Clone, Copy)]
pub(super) struct ExternalPlace<'a> {
    /// Where the suites' own paths start from.
    pub base_dir: &'a Path,
    /// What they may take from this machine.
    pub bounds: &'a SuiteBounds,
}

/// Whether the suites ask for any.
pub(super) fn asked(suites: &[Suite]) -> bool {
    answers::asks(suites, ResourceKind::External, None)
}

/// What keeps external suites from being run at all: paths that are not there, parameters that cannot be, folders that their users cannot enter.
pub(super) fn problems(suites: &[Suite], place: ExternalPlace<'_>) -> Vec<String> {
    let declared = declared(suites, place);
    let told = declared.filter_map(|(suite, check, external)| {
        let (place, id) = (suite.path.display(), &check.id);
        let why = match external {
            Ok(external) => external.try_out().err(),
            Err(why) => Some(why.join("; ")),
        };
        why.map(|why| format!("{place}:{}: external {id:?}: {why}", check.line))
    });
    told.collect()
}

/// Every external suite that is not skipped.
fn declared<'a>(
    suites: &'a [Suite],
    place: ExternalPlace<'a>,
) -> impl Iterator<Item = (&'a Suite, &'a Check, Result<ExternalSuite, Vec<String>>)> {
    suites.iter().flat_map(move |suite| {
        let asked = suite.checks.iter().filter(|check| check.resource == ResourceKind::External && !check.skip);
        asked.map(move |check| {
            (suite, check, ExternalSuite::of(check, &suite.folder_of(check, place.base_dir), place.bounds))
        })
    })
}

/// The host that external suites are run against, and what they need to know of its life.
pub(super) struct SuiteHost<'a> {
    /// How it is reached, or why nothing can be run against it.
    pub host: Result<&'a HostAccess, &'a str>,
    /// When it will be gone; absent where it stays.
    pub until: Option<Instant>,
    /// Why what failed may be no fault of the image: a host that goes away in the middle makes tests fail that say nothing about it.
    pub doubt: &'a (dyn Fn() -> BoxFuture<'a, Option<String>> + Sync),
}

/// Runs every external suite against `subject`, answers their checks in `checks`, and returns their tests as further checks. A cancel ends them.
pub(super) async fn answer(
    prober: &Prober,
    suites: &[Suite],
    place: ExternalPlace<'_>,
    subject: SuiteHost<'_>,
    checks: &mut [CheckEvidence],
    events: &EventSender,
    cancel: &CancellationToken,
) -> Vec<CheckEvidence> {
    let mut all = Vec::new();
    for (_, check, external) in declared(suites, place) {
        all.push(match (external, subject.host) {
            (Ok(external), Ok(host)) => {
                events.note(format!("{}: external suite {:?}", host.target, external.name));
                let mut found = repeated(prober, check, &external, host, subject.until, cancel).await;
                if found.amount.outcome == CheckOutcome::Failed
                    && let Some(why) = (subject.doubt)().await
                {
                    found.doubt(&format!("{why}, so what failed may be no fault of the image"));
                }
                found
            }
            (Err(why), _) => FoundTests::undecided(check, why.join("; ")),
            (_, Err(why)) => FoundTests::undecided(check, why.to_owned()),
        });
    }
    let of = |check: &Check| all.iter().find(|found| std::ptr::eq(found.check, check));
    answers::answer(suites, ResourceKind::External, None, checks, |check, _| {
        of(check).map_or_else(|| KnownProperty::unknown("it was not run"), FoundTests::known)
    });
    answers::note_attempts(suites, checks, |check| of(check).map(|found| (found.attempts, found.duration_ms)));
    all.iter().flat_map(FoundTests::evidence).collect()
}

/// As often as the suite says, as long as the host lives.
async fn repeated<'a>(
    prober: &Prober,
    check: &'a Check,
    external: &ExternalSuite,
    host: &HostAccess,
    until: Option<Instant>,
    cancel: &CancellationToken,
) -> FoundTests<'a> {
    let mut attempts = 0;
    let mut last: Option<FoundTests<'a>> = None;
    loop {
        attempts += 1;
        if cancel.is_cancelled() {
            return last.unwrap_or_else(|| FoundTests::undecided(check, "the run was cancelled".to_owned()));
        }
        let life = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = life.unwrap_or(external.timeout);
        if life.is_some_and(|life| life < LEAST) {
            let why = "the instance powers itself off too soon for it: set a longer ttl";
            // What an attempt found is not undone by there being no time for another.
            return last.unwrap_or_else(|| FoundTests::undecided(check, why.to_owned()));
        }
        let external = ExternalSuite { timeout: external.timeout.min(left), ..external.clone() };
        let mut found = once(prober, check, &external, host, cancel).await;
        found.attempts = attempts;
        if found.amount.outcome == CheckOutcome::Passed || attempts > check.retry {
            return found;
        }
        tokio::select! {
            () = tokio::time::sleep(check.retry_delay) => last = Some(found),
            () = cancel.cancelled() => return found,
        }
    }
}

async fn once<'a>(
    prober: &Prober,
    check: &'a Check,
    external: &ExternalSuite,
    host: &HostAccess,
    cancel: &CancellationToken,
) -> FoundTests<'a> {
    let began = Instant::now();
    let run = match external.run(host, cancel).await {
        Ok(run) => run,
        Err(why) => return FoundTests::undecided(check, why),
    };
    let report = match (external.report, run.report) {
        (None, _) => Ok(Vec::new()),
        (Some(_), None) => Err("it wrote no report".to_owned()),
        (Some(format), Some(bytes)) => match prober.read_report(format, bytes).await {
            Ok(Ok(tests)) => Ok(tests),
            Ok(Err(why)) => Err(format!("its report cannot be read: {why}")),
            Err(error) => Err(format!("its report was not read: {error}")),
        },
    };
    let amount = amount(external, &run.ended, report.as_deref().map_err(String::as_str));
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    FoundTests { check, amount, attempts: 1, duration_ms, tests: report.unwrap_or_default() }
}

impl<'a> FoundTests<'a> {
    fn undecided(check: &'a Check, message: String) -> Self {
        let amount = SuiteResult { outcome: CheckOutcome::Undecided, message };
        Self { check, amount, attempts: 1, duration_ms: 0, tests: Vec::new() }
    }

    /// Takes back every failure.
    fn doubt(&mut self, why: &str) {
        self.amount =
            SuiteResult { outcome: CheckOutcome::Undecided, message: format!("{why} ({})", self.amount.message) };
        for test in self.tests.iter_mut().filter(|test| test.outcome == CheckOutcome::Failed) {
            test.outcome = CheckOutcome::Undecided;
        }
    }

    fn known(&self) -> KnownProperty {
        match self.amount.outcome {
            CheckOutcome::Passed => KnownProperty::Value(true.into()),
            CheckOutcome::Failed => KnownProperty::Because(false.into(), self.amount.message.clone()),
            CheckOutcome::Undecided | CheckOutcome::Skipped => KnownProperty::unknown(self.amount.message.clone()),
        }
    }

    /// Its tests as checks of their own: the suite is the external one's id, the resource its preset.
    fn evidence(&self) -> Vec<CheckEvidence> {
        let preset = self.check.parameters.get("preset").and_then(Value::as_str).unwrap_or("command");
        let test = |test: &ReportedTest| CheckEvidence {
            suite: self.check.id.clone(),
            file: None,
            resource: preset.to_owned(),
            id: test.name.clone(),
            property: "passed".to_owned(),
            outcome: test.outcome,
            expected: true.into(),
            actual: match test.outcome {
                CheckOutcome::Passed => true.into(),
                CheckOutcome::Failed => false.into(),
                CheckOutcome::Skipped | CheckOutcome::Undecided => Value::Null,
            },
            message: test.message.clone(),
            attempts: if test.outcome == CheckOutcome::Skipped { 0 } else { self.attempts },
            flaky: test.outcome == CheckOutcome::Passed && self.attempts > 1,
            duration_ms: test.duration_ms,
        };
        self.tests.iter().map(test).collect()
    }
}
