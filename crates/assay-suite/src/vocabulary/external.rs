//! External suites: what a suite file says of one. What a preset runs is the business of the crate that runs it.

use super::{ParameterKind, ValueKind, VocabularyEntry};
use crate::ResourceKind;

/// The one resource.
pub(super) const RESOURCES: &[VocabularyEntry] = &[VocabularyEntry {
    resource: ResourceKind::External,
    subject: "",
    properties: &[("passed", ValueKind::Bool)],
    parameters: &[
        ("preset", ParameterKind::Word(EXTERNAL_PRESETS)),
        ("path", ParameterKind::Text),
        ("arguments", ParameterKind::Texts),
        ("command", ParameterKind::Texts),
        ("environment", ParameterKind::Any),
        ("format", ParameterKind::Word(FORMATS)),
        ("run-as", ParameterKind::Text),
    ],
    later: &[],
    example: "testinfra",
}];

/// The programs that external suites are run with, by their names in suite files.
pub const EXTERNAL_PRESETS: &[&str] = &["testinfra", "inspec", "cinc-auditor", "serverspec", "goss", "command"];
const FORMATS: &[&str] = &["junit", "rspec", "inspec", "goss", "exit-status"];
