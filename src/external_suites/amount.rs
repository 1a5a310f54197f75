//! What an external suite comes to: pure, from how it ended and what its report says. It owns the rule that nothing but a whole report with at least one
//! test passed, and an end that agrees with it, is a pass.

use super::{Ended, External, process::Stopped};
use assay_model::Outcome;
use assay_prober::ReportedTest;

/// What it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// Passed, failed or undecided.
    pub outcome: Outcome,
    /// Why; for people. Told also where it passed: how many tests did.
    pub message: String,
}

/// The whole. `report`: its tests, or why there is no report that can be read.
pub fn amount(external: &External, ended: &Ended, report: Result<&[ReportedTest], &str>) -> Amount {
    let undecided = |message: String| Amount { outcome: Outcome::Undecided, message: with_output(message, ended) };
    match ended.stopped {
        Some(Stopped::Timeout) => {
            return undecided(format!("it took longer than its timeout of {} s", external.timeout.as_secs_f64()));
        }
        Some(Stopped::Cancelled) => return undecided("the run was cancelled".to_owned()),
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
    let count = |outcome: Outcome| tests.iter().filter(|t| t.outcome == outcome).count();
    let (passed, failed, broken) = (count(Outcome::Passed), count(Outcome::Failed), count(Outcome::Undecided));
    let told =
        format!("{passed} passed, {failed} failed, {broken} without a result, {} skipped", count(Outcome::Skipped));
    if failed > 0 {
        return Amount { outcome: Outcome::Failed, message: told };
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
    Amount { outcome: Outcome::Passed, message: told }
}

/// A command without a report: its exit status is its one result. 126 and 127 are the shell's words for a program that cannot be run (POSIX sh, 2.8.2), and what is
/// above 128 is its word for a signal.
fn by_status(status: i32, ended: &Ended) -> Amount {
    let message = with_output(format!("exit status {status}"), ended);
    match status {
        0 => Amount { outcome: Outcome::Passed, message: "exit status 0".to_owned() },
        126 | 127 | 129.. => Amount { outcome: Outcome::Undecided, message },
        _ => Amount { outcome: Outcome::Failed, message },
    }
}

fn with_output(message: String, ended: &Ended) -> String {
    if ended.said.is_empty() { message } else { format!("{message}; it said: {}", ended.said) }
}
