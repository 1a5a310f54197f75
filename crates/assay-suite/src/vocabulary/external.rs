//! External suites: what a suite file says of one. What a preset runs is the business of the crate that runs it.

use super::{Entry, Kind, Parameter};
use crate::Resource;

/// The one resource.
pub(super) const RESOURCES: &[Entry] = &[Entry {
    resource: Resource::External,
    subject: "",
    properties: &[("passed", Kind::Bool)],
    parameters: &[
        ("preset", Parameter::Word(EXTERNAL_PRESETS)),
        ("path", Parameter::Text),
        ("arguments", Parameter::Texts),
        ("command", Parameter::Texts),
        ("environment", Parameter::Any),
        ("format", Parameter::Word(FORMATS)),
        ("run-as", Parameter::Text),
    ],
    later: &[],
    example: "testinfra",
}];

/// The programs that external suites are run with, by their names in suite files.
pub const EXTERNAL_PRESETS: &[&str] = &["testinfra", "inspec", "cinc-auditor", "serverspec", "goss", "command"];
const FORMATS: &[&str] = &["junit", "rspec", "inspec", "goss", "exit-status"];
