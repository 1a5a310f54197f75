//! A package of dpkg, rpm, apk or pacman, with versions as goss words them (goss, system/package_*.go).

use super::{Kind, Seen, first_line, quote};
use crate::{probe::frames::Frame, suite::Check};

/// Tells the distribution; services ask for it too.
pub(super) const DISTRIBUTION: &str = include_str!("distribution.sh");
/// See the file.
pub(super) const KIND: Kind =
    Kind { shell: &[DISTRIBUTION, include_str!("package.sh")], ask, observe: package, slow: false };

fn ask(check: &Check) -> String {
    format!("ask_package {}", quote(check.subject()))
}

fn package(check: &Check, property: &str, frame: &Frame) -> Seen {
    let name = check.subject();
    let output = frame.text('o').unwrap_or_default();
    let status = frame.word('s').unwrap_or_default();
    let versions = match (frame.word('m').unwrap_or_default(), status) {
        ("dpkg", "0") => dpkg_versions(&output),
        ("dpkg", "1") if output.contains("no packages found") => Vec::new(),
        ("rpm", "0") => output.lines().map(str::to_owned).collect(),
        ("rpm", "1") if output.contains("is not installed") => Vec::new(),
        ("apk", "0") => apk_versions(&output, name),
        ("apk", "1") if !output.contains("ERROR") => Vec::new(),
        // `pacman -Q`: the name, a space, the version.
        ("pacman", "0") => output.lines().filter_map(|l| l.split_whitespace().nth(1)).map(str::to_owned).collect(),
        ("pacman", "1") if output.contains("was not found") => Vec::new(),
        ("none", _) => return Seen::unknown("the host has neither dpkg, rpm, apk nor pacman"),
        (manager, status) => {
            return Seen::unknown(format!("{manager} ended with status {status}: {}", first_line(&output)));
        }
    };
    match (property, versions.is_empty()) {
        ("installed", empty) => Seen::Value((!empty).into()),
        (_, true) => Seen::Nothing("it is not installed".into()),
        (_, false) => Seen::Value(versions.into()),
    }
}

/// Lines of `install ok installed 1:9.2p1-2`; any other state (removed but configured, half installed) is not
/// installed.
fn dpkg_versions(output: &str) -> Vec<String> {
    output
        .lines()
        .filter_map(|line| {
            line.strip_prefix("install ok installed ").or_else(|| line.strip_prefix("hold ok installed "))
        })
        .map(str::to_owned)
        .collect()
}

/// `apk info -e -v`: lines of `NAME-1.2.5-r1`.
fn apk_versions(output: &str, name: &str) -> Vec<String> {
    output.lines().filter_map(|l| l.trim().strip_prefix(name)?.strip_prefix('-')).map(str::to_owned).collect()
}
