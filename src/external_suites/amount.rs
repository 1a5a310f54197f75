//! What an external suite comes to: pure, from how it ended and what its report says. It owns the rule that nothing but a whole report with at least one
//! test passed, and an end that agrees with it, is a pass.

use super::{ExternalSuite, ProcessEnd, process::StopReason};
use assay_model::CheckOutcome;
use assay_prober::ReportedTest;

/// What it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SuiteResult {
    /// Passed, failed or undecided.
    pub outcome: CheckOutcome,
    /// Why; for people. Told also where it passed: how many tests did.
    pub message: String,
}

/// The whole. `report`: its tests, or why there is no report that can be read.
pub(crate) fn amount(
    external: &ExternalSuite,
    ended: &ProcessEnd,
    report: Result<&[ReportedTest], &str>,
) -> SuiteResult {
    let undecided =
        |message: String| SuiteResult { outcome: CheckOutcome::Undecided, message: with_output(message, ended) };
    match ended.stopped {
        Some(StopReason::Timeout) => {
            return undecided(format!("it took longer than its timeout of {} s", external.timeout.as_secs_f64()));
        }
        Some(StopReason::Cancelled) => return undecided("the run was cancelled".to_owned()),
        None => {}
    }
    let Some(status) = ended.status else {
        return undecided(format!("it was ended by signal {}", ended.signal.unwrap_or_default()));
    };
    if external.report.is_none() {
        return by_status(status, ended);
    }
    let tests = match report {
        Ok(tests) => tests,
        Err(why) => return undecided(format!("{why}; it ended with exit status {status}")),
    };
    let count = |outcome: CheckOutcome| tests.iter().filter(|t| t.outcome == outcome).count();
    let (passed, failed, broken) =
        (count(CheckOutcome::Passed), count(CheckOutcome::Failed), count(CheckOutcome::Undecided));
    let told = format!(
        "{passed} passed, {failed} failed, {broken} without a result, {} skipped",
        count(CheckOutcome::Skipped)
    );
    if failed > 0 {
        return SuiteResult { outcome: CheckOutcome::Failed, message: told };
    }
    if broken > 0 {
        return undecided(told);
    }
    if passed == 0 {
        return undecided(format!("its report holds no test that passed or failed ({told})"));
    }
    if !external.preset.is_success(status) {
        return undecided(format!("its report says {told}, but it ended with exit status {status}"));
    }
    SuiteResult { outcome: CheckOutcome::Passed, message: told }
}

/// A command without a report: its exit status is its one result. 126 and 127 are the shell's words for a program that cannot be run (POSIX sh, 2.8.2), and what is
/// above 128 is its word for a signal.
fn by_status(status: i32, ended: &ProcessEnd) -> SuiteResult {
    let message = with_output(format!("exit status {status}"), ended);
    match status {
        0 => SuiteResult { outcome: CheckOutcome::Passed, message: "exit status 0".to_owned() },
        126 | 127 | 129.. => SuiteResult { outcome: CheckOutcome::Undecided, message },
        _ => SuiteResult { outcome: CheckOutcome::Failed, message },
    }
}

fn with_output(message: String, ended: &ProcessEnd) -> String {
    if ended.said.is_empty() { message } else { format!("{message}; it said: {}", ended.said) }
}
