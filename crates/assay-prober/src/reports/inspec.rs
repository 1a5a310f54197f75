//! InSpec's and CINC Auditor's JSON (inspec, `lib/inspec/reporters/json.rb`): `profiles` of `controls` of `results`.

use serde::Deserialize;

use super::ReportedTest;
use assay_model::CheckOutcome;

#[derive(Deserialize)]
struct InspecReport {
    profiles: Vec<InspecProfile>,
}

#[derive(Deserialize)]
struct InspecProfile {
    #[serde(default)]
    controls: Vec<InspecControl>,
    /// `loaded`, `skipped`, `failed`.
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    status_message: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct InspecControl {
    id: String,
    #[serde(default)]
    results: Vec<InspecOutcomes>,
}

#[derive(Deserialize)]
struct InspecOutcomes {
    status: String,
    #[serde(default)]
    code_desc: String,
    #[serde(default)]
    run_time: f64,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    skip_message: Option<String>,
    /// Set where the control's own code broke.
    #[serde(default)]
    exception: Option<String>,
}

pub(super) fn read(report: &[u8]) -> Result<Vec<ReportedTest>, String> {
    let report: InspecReport = super::json(report, "InSpec's JSON")?;
    let mut tests = Vec::new();
    for profile in &report.profiles {
        let name = profile.name.as_deref().unwrap_or("profile");
        match profile.status.as_deref() {
            Some("failed") => {
                let why = profile.status_message.as_deref().unwrap_or("the profile could not be loaded");
                tests.push(ReportedTest::new(name, CheckOutcome::Undecided, why, 0.0));
            }
            Some("skipped") => {
                let why = profile.status_message.as_deref().unwrap_or("the profile does not support this platform");
                tests.push(ReportedTest::new(name, CheckOutcome::Skipped, why, 0.0));
            }
            _ => {}
        }
        for control in &profile.controls {
            tests.extend(control.results.iter().map(|result| test(control, result)));
        }
    }
    Ok(tests)
}

fn test(control: &InspecControl, result: &InspecOutcomes) -> ReportedTest {
    let name = format!("{}: {}", control.id, result.code_desc);
    let message = result.message.as_deref().unwrap_or_default();
    let (outcome, message) = match (result.status.as_str(), &result.exception) {
        ("passed", _) => (CheckOutcome::Passed, ""),
        ("skipped", _) => (CheckOutcome::Skipped, result.skip_message.as_deref().unwrap_or(message)),
        ("failed", None) => (CheckOutcome::Failed, message),
        ("failed", Some(exception)) => {
            (CheckOutcome::Undecided, if message.is_empty() { exception.as_str() } else { message })
        }
        (other, _) => (CheckOutcome::Undecided, other),
    };
    ReportedTest::new(&name, outcome, message, result.run_time)
}
