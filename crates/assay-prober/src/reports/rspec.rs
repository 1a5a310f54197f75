//! RSpec's JSON (rspec-core, `lib/rspec/core/formatters/json_formatter.rb`): `examples` with `full_description`, `status` and `exception`.

use serde::Deserialize;

use super::ReportedTest;
use assay_model::CheckOutcome;

#[derive(Deserialize)]
struct RspecReport {
    examples: Vec<RspecExample>,
    #[serde(default)]
    summary: RspecSummary,
}

#[derive(Deserialize, Default)]
struct RspecSummary {
    /// Files that could not even be loaded; none of their examples are listed.
    #[serde(default)]
    errors_outside_of_examples_count: u64,
}

#[derive(Deserialize)]
struct RspecExample {
    full_description: String,
    status: String,
    #[serde(default)]
    run_time: f64,
    #[serde(default)]
    exception: Option<RspecException>,
    #[serde(default)]
    pending_message: Option<String>,
}

#[derive(Deserialize)]
struct RspecException {
    #[serde(default)]
    message: String,
}

pub(super) fn read(report: &[u8]) -> Result<Vec<ReportedTest>, String> {
    let report: RspecReport = super::json(report, "RSpec's JSON")?;
    let mut tests: Vec<ReportedTest> = report.examples.iter().map(test).collect();
    let broken = report.summary.errors_outside_of_examples_count;
    if broken > 0 {
        let message = format!("{broken} errors outside of examples: files could not be loaded");
        tests.push(ReportedTest::new("loading", CheckOutcome::Undecided, &message, 0.0));
    }
    Ok(tests)
}

fn test(example: &RspecExample) -> ReportedTest {
    let exception = example.exception.as_ref().map_or("", |e| e.message.as_str());
    let (outcome, message) = match example.status.as_str() {
        "passed" => (CheckOutcome::Passed, ""),
        "failed" => (CheckOutcome::Failed, exception),
        "pending" => (CheckOutcome::Skipped, example.pending_message.as_deref().unwrap_or("pending")),
        other => (CheckOutcome::Undecided, other),
    };
    ReportedTest::new(&example.full_description, outcome, message, example.run_time)
}
