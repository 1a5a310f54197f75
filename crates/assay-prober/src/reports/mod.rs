//! Reports of external suites, read in the prober process: they hold what hosts said. It owns the formats and what each calls passed, failed
//! and skipped; it refuses to decide what a whole suite amounts to.

mod goss;
mod inspec;
mod junit;
mod rspec;

use serde::Deserialize;

use super::{client::told, proto};
use assay_model::{
    CheckOutcome,
    escape::{bounded, escape_line},
};

/// A report larger than this is not read.
pub(crate) const MAX_REPORT: usize = 16 << 20;
/// A report of more tests than this is not read.
const MAX_TESTS: usize = 20_000;
/// The longest name of a test and the longest message that leave the prober, in bytes.
const NAME: usize = 300;
const MESSAGE: usize = 1 << 10;

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// JUnit XML.
    Junit,
    /// RSpec's JSON.
    Rspec,
    /// InSpec's and CINC Auditor's JSON.
    Inspec,
    /// goss's JSON.
    Goss,
}

/// One test of a report. Its texts are escaped and bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedTest {
    /// What it is called, with the class or file that it belongs to.
    pub name: String,
    /// How it came out. A test that broke, rather than found something wrong, is undecided.
    pub outcome: CheckOutcome,
    /// For people; empty when passed.
    pub message: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

impl ReportedTest {
    fn new(name: &str, outcome: CheckOutcome, message: &str, seconds: f64) -> Self {
        let message = if outcome == CheckOutcome::Passed { "" } else { message };
        Self {
            name: bounded(&escape_line(name.trim()), NAME),
            outcome,
            message: bounded(&escape_line(message.trim()), MESSAGE),
            // A time below zero, or none at all, is no time.
            duration_ms: (seconds.clamp(0.0, 1e9) * 1000.0) as u64,
        }
    }
}

/// Reads a report. Fails with a sentence that says why it is none; the sentence may quote it, escaped.
pub(super) fn read(format: ReportFormat, report: &[u8]) -> Result<Vec<ReportedTest>, String> {
    if report.len() > MAX_REPORT {
        return Err(format!("the report is larger than {} MiB", MAX_REPORT >> 20));
    }
    let tests = match format {
        ReportFormat::Junit => junit::read(report)?,
        ReportFormat::Rspec => rspec::read(report)?,
        ReportFormat::Inspec => inspec::read(report)?,
        ReportFormat::Goss => goss::read(report)?,
    };
    if tests.len() > MAX_TESTS {
        return Err(format!("the report holds more than {MAX_TESTS} tests"));
    }
    Ok(tests)
}

/// A JSON report. What a tool printed before it (a deprecation warning) is passed over.
fn json<'a, T: Deserialize<'a>>(report: &'a [u8], what: &str) -> Result<T, String> {
    let start = report.iter().position(|b| *b == b'{').unwrap_or(0);
    let mut stream = serde_json::Deserializer::from_slice(&report[start..]).into_iter::<T>();
    match stream.next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(format!("it is not {what}: {}", escape_line(&error.to_string()))),
        None => Err(format!("it is not {what}: it is empty")),
    }
}

impl From<ReportFormat> for proto::ReportFormat {
    fn from(format: ReportFormat) -> Self {
        match format {
            ReportFormat::Junit => Self::Junit,
            ReportFormat::Rspec => Self::Rspec,
            ReportFormat::Inspec => Self::Inspec,
            ReportFormat::Goss => Self::Goss,
        }
    }
}

/// The prober's answer to a request for reading.
pub(super) fn answer(request: &proto::ReadReportRequest) -> proto::ReadReportResponse {
    let format = match request.format() {
        proto::ReportFormat::Junit => ReportFormat::Junit,
        proto::ReportFormat::Rspec => ReportFormat::Rspec,
        proto::ReportFormat::Inspec => ReportFormat::Inspec,
        proto::ReportFormat::Goss => ReportFormat::Goss,
        proto::ReportFormat::Unspecified => {
            return proto::ReadReportResponse { tests: Vec::new(), error: "no format was named".to_owned() };
        }
    };
    match read(format, &request.report) {
        Ok(tests) => {
            proto::ReadReportResponse { tests: tests.into_iter().map(message).collect(), error: String::new() }
        }
        Err(error) => proto::ReadReportResponse { tests: Vec::new(), error },
    }
}

fn message(test: ReportedTest) -> proto::ReportedTest {
    let outcome = match test.outcome {
        CheckOutcome::Passed => proto::Outcome::Passed,
        CheckOutcome::Failed => proto::Outcome::Failed,
        CheckOutcome::Skipped => proto::Outcome::Skipped,
        CheckOutcome::Undecided => proto::Outcome::Undecided,
    };
    proto::ReportedTest {
        name: test.name,
        outcome: outcome.into(),
        message: test.message,
        duration_ms: test.duration_ms,
    }
}

/// The prober's answer, nothing of which is taken on trust.
pub(super) fn taken(response: proto::ReadReportResponse) -> Result<Vec<ReportedTest>, String> {
    if !response.error.is_empty() {
        return Err(told(&response.error));
    }
    if response.tests.len() > MAX_TESTS {
        return Err(format!("the report holds more than {MAX_TESTS} tests"));
    }
    let test = |test: proto::ReportedTest| {
        let outcome = match test.outcome() {
            proto::Outcome::Passed => CheckOutcome::Passed,
            proto::Outcome::Failed => CheckOutcome::Failed,
            proto::Outcome::Skipped => CheckOutcome::Skipped,
            proto::Outcome::Undecided | proto::Outcome::Unspecified => CheckOutcome::Undecided,
        };
        ReportedTest {
            name: bounded(&escape_line(&test.name), NAME),
            outcome,
            message: bounded(&escape_line(&test.message), MESSAGE),
            duration_ms: test.duration_ms,
        }
    };
    Ok(response.tests.into_iter().map(test).collect())
}

#[cfg(test)]
mod tests;
