//! A service: systemd's, or that of the older ways to start services (goss, system/service_*.go).

use serde_json::json;

use super::{Kind, Seen, first_line, package::DISTRIBUTION, quote, wants};
use crate::{probe::frames::Frame, suite::Check};

/// See the file.
pub(super) const KIND: Kind =
    Kind { shell: &[DISTRIBUTION, include_str!("service.sh")], ask, observe: service, slow: false };

fn ask(check: &Check) -> String {
    // A path is no service, there and here.
    if check.subject().contains('/') {
        return "begin; a='.i path'; answer".to_owned();
    }
    let wanted: String = [("enabled", 'e'), ("running", 'r'), ("runlevels", 'l')]
        .iter()
        .filter(|(name, _)| wants(check, name))
        .map(|(_, letter)| letter)
        .collect();
    format!("ask_service {} '{wanted}'", quote(check.subject()))
}

fn service(_: &Check, property: &str, frame: &Frame) -> Seen {
    let levels = || frame.word('v').map(|v| v.split_whitespace().collect::<Vec<_>>());
    match (frame.word('i'), property) {
        (Some("path"), "runlevels") => Seen::Value(json!([])),
        (Some("path"), _) => Seen::Value(false.into()),
        // systemd has targets in the place of run levels.
        (Some("systemd"), "runlevels") => Seen::Value(json!([])),
        (Some("systemd"), "enabled") => with_sysv(enabled(frame), || levels().map(|l| !l.is_empty())),
        (Some("systemd"), _) => with_sysv(active(frame), || frame.word('q').map(|q| q == "0")),
        (Some("upstart" | "openrc" | "sysv"), "runlevels") => match levels() {
            Some(levels) => Seen::Value(levels.into()),
            None => Seen::unknown("the host did not tell the run levels"),
        },
        (Some("upstart"), "enabled") if frame.word('p') == Some("1") => Seen::Value(true.into()),
        (Some("upstart" | "openrc" | "sysv"), "enabled") => match levels() {
            Some(levels) => Seen::Value((!levels.is_empty()).into()),
            None => Seen::unknown("the host did not tell whether it is enabled"),
        },
        (Some(kind @ ("upstart" | "openrc" | "sysv")), _) => running(frame, kind),
        _ => Seen::unknown("the host did not tell how its services are started"),
    }
}

/// Beside a systemd that does not know sysv's services, those count too.
fn with_sysv(seen: Seen, sysv: impl FnOnce() -> Option<bool>) -> Seen {
    match seen {
        Seen::Value(value) if value == json!(false) && sysv() == Some(true) => Seen::Value(true.into()),
        seen => seen,
    }
}

/// `systemctl is-enabled`: status 0 is what goss goes by; any other status with a state that systemctl(1) lists means
/// that it is not enabled.
fn enabled(frame: &Frame) -> Seen {
    let output = frame.text('E').unwrap_or_default();
    let known = output.lines().any(|line| {
        let line = line.trim();
        matches!(line, "linked" | "linked-runtime" | "masked" | "masked-runtime" | "disabled" | "not-found" | "bad")
            || line.contains("No such file or directory")
            || line.contains("does not exist")
    });
    match frame.word('e') {
        Some("0") => Seen::Value(true.into()),
        Some(_) if known => Seen::Value(false.into()),
        Some(status) => {
            Seen::unknown(format!("systemctl is-enabled ended with status {status}: {}", first_line(&output)))
        }
        None => Seen::unknown("systemctl's answer is missing"),
    }
}

/// `systemctl is-active`. Where systemd does not run, it runs no service.
fn active(frame: &Frame) -> Seen {
    let output = frame.text('R').unwrap_or_default();
    let known = ["inactive", "failed", "activating", "deactivating", "maintenance", "unknown"];
    match frame.word('r') {
        Some("0") => Seen::Value(true.into()),
        Some("absent") => Seen::Value(false.into()),
        Some("3" | "4") if known.contains(&output.trim()) => Seen::Value(false.into()),
        Some(status) => {
            Seen::unknown(format!("systemctl is-active ended with status {status}: {}", first_line(&output)))
        }
        None => Seen::unknown("systemctl's answer is missing"),
    }
}

/// `service NAME status`.
fn running(frame: &Frame, kind: &str) -> Seen {
    let output = frame.text('u').unwrap_or_default();
    match frame.word('q') {
        Some("none") => Seen::unknown("the host has neither systemctl nor service"),
        Some("0") if kind == "upstart" => Seen::Value((output.contains("running") || output.contains("online")).into()),
        Some("0") => Seen::Value(true.into()),
        Some("124" | "137" | "143") => Seen::unknown("the service's script did not end in time"),
        Some(status) if status.parse::<u8>().is_ok() => Seen::Value(false.into()),
        _ => Seen::unknown("the service's status is missing"),
    }
}
