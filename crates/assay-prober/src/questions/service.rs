//! A service: systemd's, or that of the older ways to start services (goss, system/service_*.go).

use serde_json::json;

use super::{QuestionKind, SeenProperty, complaints, first_line, package::DISTRIBUTION, quote, wants};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[DISTRIBUTION, include_str!("service.sh")], ask, observe: service, slow: false };

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

fn service(_: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    let levels = || frame.word('v').filter(|v| *v != "?").map(|v| v.split_whitespace().collect::<Vec<_>>());
    match (frame.word('i'), property) {
        (Some("path"), "runlevels") => SeenProperty::Value(json!([])),
        (Some("path"), _) => SeenProperty::Value(false.into()),
        // systemd has targets in the place of run levels.
        (Some("systemd"), "runlevels") => SeenProperty::Value(json!([])),
        (Some("systemd"), "enabled") => with_sysv(enabled(frame), || levels().map(|l| !l.is_empty())),
        (Some("systemd"), _) => with_sysv(active(frame), || frame.word('q').map(|q| q == "0")),
        (Some("upstart" | "openrc" | "sysv"), "runlevels") => match levels() {
            Some(levels) => SeenProperty::Value(levels.into()),
            None => SeenProperty::unknown("the host did not tell the run levels"),
        },
        (Some("upstart"), "enabled") if frame.word('p') == Some("1") => SeenProperty::Value(true.into()),
        (Some("upstart" | "openrc" | "sysv"), "enabled") => match levels() {
            Some(levels) => SeenProperty::Value((!levels.is_empty()).into()),
            None => SeenProperty::unknown("the host did not tell whether it is enabled"),
        },
        (Some(kind @ ("upstart" | "openrc" | "sysv")), _) => running(frame, kind),
        (Some(other), _) if !other.is_empty() => {
            SeenProperty::unknown(format!("the host starts its services by {other}, which assay does not ask"))
        }
        _ => SeenProperty::unknown("the host did not tell how its services are started"),
    }
}

/// Beside a systemd that does not know sysv's services, those count too.
fn with_sysv(seen: SeenProperty, sysv: impl FnOnce() -> Option<bool>) -> SeenProperty {
    match seen {
        SeenProperty::Value(value) if value == json!(false) && sysv() == Some(true) => SeenProperty::Value(true.into()),
        seen => seen,
    }
}

/// `systemctl is-enabled`: status 0 is what goss goes by; any other status with a state that systemctl(1) lists means
/// that it is not enabled.
fn enabled(frame: &AnswerFrame) -> SeenProperty {
    let output = frame.text('E').unwrap_or_default();
    let said = complaints(&frame.text('f').unwrap_or_default());
    let states = ["linked", "linked-runtime", "masked", "masked-runtime", "disabled", "not-found", "bad", "transient"];
    // Older ones say so of a unit that is not there on stderr, and all of them speak alike of systemd itself.
    let absent = said.lines().any(|line| line.contains("No such file or directory") || line.contains("does not exist"));
    let known = output.lines().any(|line| states.contains(&line.trim())) || absent;
    let known = known && !is_unanswered(&said);
    match frame.word('e') {
        Some("0") => SeenProperty::Value(true.into()),
        Some(_) if known => SeenProperty::Value(false.into()),
        Some(status) => SeenProperty::unknown(format!(
            "systemctl is-enabled ended with status {status}: {}",
            first_line(&(said + &output))
        )),
        None => SeenProperty::unknown("systemctl's answer is missing"),
    }
}

/// `systemctl is-active`. Where systemd does not run, it runs no service.
fn active(frame: &AnswerFrame) -> SeenProperty {
    let output = frame.text('R').unwrap_or_default();
    let said = complaints(&frame.text('g').unwrap_or_default());
    let known = ["inactive", "failed", "activating", "deactivating", "maintenance", "unknown"];
    match frame.word('r') {
        Some("0") => SeenProperty::Value(true.into()),
        Some("absent") => SeenProperty::Value(false.into()),
        Some("3" | "4") if known.contains(&output.trim()) && !is_unanswered(&said) => SeenProperty::Value(false.into()),
        Some(status) => SeenProperty::unknown(format!(
            "systemctl is-active ended with status {status}: {}",
            first_line(&(said + &output))
        )),
        None => SeenProperty::unknown("systemctl's answer is missing"),
    }
}

/// Whether systemd itself did not answer: there is no D-Bus, or a policy of it or of SELinux forbids the question.
fn is_unanswered(said: &str) -> bool {
    said.lines().any(|line| {
        line.contains("connect to bus")
            || line.contains("denied")
            || line.contains("authenti")
            || line.contains("D-Bus")
    })
}

/// `service NAME status`.
fn running(frame: &AnswerFrame, kind: &str) -> SeenProperty {
    let output = frame.text('u').unwrap_or_default();
    match frame.word('q') {
        Some("none") => SeenProperty::unknown("the host has neither systemctl nor service"),
        Some("0") if kind == "upstart" => {
            SeenProperty::Value((output.contains("running") || output.contains("online")).into())
        }
        Some("0") => SeenProperty::Value(true.into()),
        Some("124" | "137" | "143") => SeenProperty::unknown("the service's script did not end in time"),
        Some("126" | "127") => {
            SeenProperty::unknown(format!("the service's script could not be run: {}", first_line(&output)))
        }
        Some("user") => SeenProperty::unknown(
            "its script does not tell this user that it runs, and sudo -n does not work (or the suite says sudo = false)",
        ),
        // The Linux Standard Base's word for "unknown"; OpenRC's for a service that stops.
        Some("4") if kind == "sysv" => SeenProperty::unknown("the service's script says that it cannot tell"),
        Some(status) if status.parse::<u8>().is_ok() => SeenProperty::Value(false.into()),
        _ => SeenProperty::unknown("the service's status is missing"),
    }
}
