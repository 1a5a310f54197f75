//! Ready suites that come with assay, named where a file is named: `profile:smoke`. It owns which there are; they are
//! read like any other suite file in HCL.

use std::path::Path;

use super::{diagnostic::SourceDiagnostic, nearest};

/// What a profile's name begins with where a path is expected.
const PREFIX: &str = "profile:";

/// One profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltinProfile {
    /// The name behind `profile:`.
    pub name: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
    pub(super) text: &'static str,
}

/// All profiles.
pub const PROFILES: &[BuiltinProfile] = &[
    BuiltinProfile {
        name: "smoke",
        about: "the instance booted well and can be worked with; stock Debian, Ubuntu, Amazon Linux and the RHEL family pass",
        text: include_str!("profiles/smoke.hcl"),
    },
    BuiltinProfile {
        name: "hygiene",
        about: "the image carries nothing into its instances that it should not; the same stock images pass",
        text: include_str!("profiles/hygiene.hcl"),
    },
    BuiltinProfile {
        name: "cis-lite",
        about: "a short choice of what hardening guides ask for; stock images do not pass all of it",
        text: include_str!("profiles/cis-lite.hcl"),
    },
];

/// The text of the profile that `path` names. `None`: it is a path. Fails where there is no such profile.
pub(super) fn find(path: &Path) -> Option<Result<&'static str, SourceDiagnostic>> {
    let name = path.to_str()?.strip_prefix(PREFIX)?;
    if let Some(profile) = PROFILES.iter().find(|p| p.name == name) {
        return Some(Ok(profile.text));
    }
    let help = match nearest(name, PROFILES.iter().map(|p| p.name)) {
        Some(near) => format!("did you mean {PREFIX}{near}?"),
        None => format!("there are {}", listed()),
    };
    Some(Err(SourceDiagnostic::file(path, "no such profile", Some(&help))))
}

fn listed() -> String {
    PROFILES.iter().map(|p| format!("{PREFIX}{}", p.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{Suite, load};

    #[test]
    fn every_profile_is_a_suite_whose_checks_have_titles() {
        for profile in PROFILES {
            let path = PathBuf::from(format!("{PREFIX}{}", profile.name));
            let suites: Vec<Suite> =
                load(std::slice::from_ref(&path), Path::new("/nowhere")).unwrap_or_else(|e| panic!("{}", e[0]));
            assert_eq!(suites.len(), 1, "{}", profile.name);
            assert_eq!((suites[0].name.as_str(), &suites[0].path), (profile.name, &path));
            for check in &suites[0].checks {
                assert!(check.title.is_some(), "{}: {} {}", profile.name, check.resource, check.id);
            }
        }
    }

    #[test]
    fn an_unknown_profile_is_a_mistake_with_a_hint() {
        let wrong = |name: &str| load(&[PathBuf::from(name)], Path::new("/")).expect_err(name)[0].to_string();
        assert!(wrong("profile:smok").contains("did you mean profile:smoke?"));
        assert!(wrong("profile:banana").contains("profile:smoke, profile:hygiene, profile:cis-lite"));
        assert!(find(Path::new("suites/profile.hcl")).is_none());
    }
}
