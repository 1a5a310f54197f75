//! A package of dpkg, rpm, apk or pacman, with versions as goss words them (goss, system/package_*.go).

use super::{QuestionKind, SeenProperty, complaints, first_line, quote};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// Tells the distribution; services ask for it too.
pub(super) const DISTRIBUTION: &str = include_str!("distribution.sh");
/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[DISTRIBUTION, include_str!("package.sh")], ask, observe: package, slow: false };

fn ask(check: &Check) -> String {
    format!("ask_package {}", quote(check.subject()))
}

fn package(check: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    let name = check.subject();
    let output = frame.text('o').unwrap_or_default();
    let said = complaints(&frame.text('e').unwrap_or_default());
    let status = frame.word('s').unwrap_or_default();
    let versions = match (frame.word('m').unwrap_or_default(), status) {
        ("dpkg", "0") => dpkg_versions(&output),
        ("rpm", "0") => output.lines().map(str::to_owned).collect(),
        ("apk", "0") => apk_versions(&output, name),
        // `pacman -Q`: the name, a space, the version.
        ("pacman", "0") => output.lines().filter_map(|l| l.split_whitespace().nth(1)).map(str::to_owned).collect(),
        ("none", _) => return SeenProperty::unknown("the host has neither dpkg, rpm, apk nor pacman"),
        (manager, "1") if is_absence(manager, &output, &said) => {
            if frame.word('n') != Some("some") {
                return SeenProperty::unknown(format!(
                    "{manager}'s database holds no package at all, so it is gone or not there yet"
                ));
            }
            Vec::new()
        }
        (manager, status) => {
            let said = if said.trim().is_empty() { &output } else { &said };
            return SeenProperty::unknown(format!("{manager} ended with status {status}: {}", first_line(said)));
        }
    };
    match (property, versions.is_empty()) {
        ("installed", empty) => SeenProperty::Value((!empty).into()),
        (_, true) => SeenProperty::Nothing("it is not installed".into()),
        (_, false) => SeenProperty::Value(versions.into()),
    }
}

/// Whether a tool that found nothing says that there is nothing, and no more: rpm says so of a database that it cannot open as well, after its errors.
fn is_absence(manager: &str, output: &str, said: &str) -> bool {
    match manager {
        "dpkg" => said.contains("no packages found"),
        "rpm" => output.contains("is not installed") && !said.lines().any(|line| line.starts_with("error:")),
        "apk" => !said.contains("ERROR"),
        "pacman" => said.contains("was not found"),
        _ => false,
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
