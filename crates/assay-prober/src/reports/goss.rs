//! goss's JSON (goss, `outputs/json.go`): `results` with a number each: 0 passed, 1 failed, 2 skipped, 3 unknown (`resource/validate.go`).

use serde::Deserialize;

use super::ReportedTest;
use assay_model::CheckOutcome;

#[derive(Deserialize)]
struct GossReport {
    results: Vec<GossOutcomes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct GossOutcomes {
    #[serde(default)]
    resource_type: String,
    #[serde(default)]
    resource_id: String,
    #[serde(default)]
    property: String,
    result: i64,
    /// Nanoseconds.
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    summary_line: String,
    #[serde(default)]
    err: Option<serde_json::Value>,
}

pub(super) fn read(report: &[u8]) -> Result<Vec<ReportedTest>, String> {
    let report: GossReport = super::json(report, "goss's JSON")?;
    Ok(report.results.iter().map(test).collect())
}

fn test(result: &GossOutcomes) -> ReportedTest {
    let name = format!("{} {} {}", result.resource_type.to_lowercase(), result.resource_id, result.property);
    let outcome = match result.result {
        0 => CheckOutcome::Passed,
        // goss fails what it could not find out; here that is no verdict on the image.
        1 if result.err.as_ref().is_some_and(|e| !e.is_null()) => CheckOutcome::Undecided,
        1 => CheckOutcome::Failed,
        2 => CheckOutcome::Skipped,
        _ => CheckOutcome::Undecided,
    };
    ReportedTest::new(&name, outcome, &result.summary_line, result.duration / 1e9)
}
