//! External suites: what a suite file says of one. What a preset runs is the external room's.

use super::{Entry, Kind, Parameter};
use crate::suite::Resource;

/// The one resource.
pub(super) const RESOURCES: &[Entry] = &[Entry {
    resource: Resource::External,
    subject: "",
    properties: &[("passed", Kind::Bool)],
    parameters: &[
        ("preset", Parameter::Word(PRESETS)),
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

const PRESETS: &[&str] = &["testinfra", "inspec", "cinc-auditor", "serverspec", "goss", "command"];
const FORMATS: &[&str] = &["junit", "rspec", "inspec", "goss", "exit-status"];

#[cfg(test)]
mod tests {
    #[test]
    fn the_presets_are_those_of_the_external_room() {
        assert_eq!(super::PRESETS, crate::external::Preset::NAMES);
    }
}
