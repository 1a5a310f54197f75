//! How the boot went: how long it took, what failed, what cloud-init and the kernel say of it.

use serde_json::{Value, json};

use super::{CLOUD_INIT, KERNELS, QuestionKind, SeenProperty, first_line, systemd, wants};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[CLOUD_INIT, KERNELS, include_str!("boot.sh")], ask, observe, slow: true };

fn ask(check: &Check) -> String {
    if wants(check, "reboot-required") { "ask_boot r".to_owned() } else { "ask_boot".to_owned() }
}

fn observe(_: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    match property {
        "seconds" => seconds(frame),
        "failed-units" => failed_units(frame),
        "cloud-init" => cloud_init(frame),
        "kernel-taint" => number(frame, 'k', "the host does not show /proc/sys/kernel/tainted"),
        "oom-kills" => oom_kills(frame),
        "reboot-required" => match frame.word('q') {
            Some("1") => SeenProperty::Value(true.into()),
            Some("0") => SeenProperty::Value(false.into()),
            Some("kernels") => newer_kernel(frame),
            _ => SeenProperty::unknown("the host did not tell"),
        },
        _ => SeenProperty::unknown("no such property"),
    }
}

/// From the kernel's first moment (in a container from its init's) to systemd's last job; without systemd to the end
/// of cloud-init.
fn seconds(frame: &AnswerFrame) -> SeenProperty {
    let Some(kind) = frame.word('t') else { return until_cloud_init(frame) };
    let text = frame.text('t').unwrap_or_default();
    let micros = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.and_then(|value| value.trim().parse::<u64>().ok())
    };
    let began = if kind == "container" { micros("UserspaceTimestampMonotonic") } else { Some(0) };
    match (micros("FinishTimestampMonotonic"), began) {
        (Some(0), _) => SeenProperty::unknown("the boot is not finished: systemd still has jobs (systemctl list-jobs)"),
        (Some(end), Some(began)) if end >= began => tenths((end - began) as f64 / 1e6),
        _ => SeenProperty::unknown(format!("systemctl show said: {}", first_line(&text))),
    }
}

fn tenths(seconds: f64) -> SeenProperty {
    SeenProperty::Value(json!((seconds * 10.0).round() / 10.0))
}

/// cloud-init's status.json: `{"v1": {"modules-final": {"finished": 1795396878.1}}}`, in Unix seconds.
fn until_cloud_init(frame: &AnswerFrame) -> SeenProperty {
    let status: Option<Value> = frame.bytes('j').and_then(|bytes| serde_json::from_slice(bytes).ok());
    let finished = status.as_ref().and_then(|s| s.pointer("/v1/modules-final/finished")).and_then(Value::as_f64);
    let text = frame.text('b').unwrap_or_default();
    let booted = text.trim().strip_prefix("btime ").and_then(|t| t.parse::<f64>().ok());
    match (finished, booted) {
        (Some(finished), Some(booted)) if finished >= booted => tenths(finished - booted),
        _ => SeenProperty::unknown("there is neither systemd nor a finished cloud-init to tell how long the boot took"),
    }
}

fn failed_units(frame: &AnswerFrame) -> SeenProperty {
    match frame.word('s') {
        None => SeenProperty::unknown("the host does not run systemd"),
        Some(_) => systemd::failed(frame),
    }
}

fn cloud_init(frame: &AnswerFrame) -> SeenProperty {
    let state = match frame.word('c') {
        Some("0") => "running",
        Some("disabled") => "disabled",
        Some("absent") => "absent",
        Some("1") => {
            let result: Option<Value> = frame.bytes('r').and_then(|bytes| serde_json::from_slice(bytes).ok());
            match result.as_ref().and_then(|r| r.pointer("/v1/errors")).and_then(Value::as_array) {
                Some(errors) if errors.is_empty() => "done",
                Some(_) => "error",
                None => return SeenProperty::unknown("/run/cloud-init/result.json cannot be read"),
            }
        }
        _ => return SeenProperty::unknown("the state of cloud-init is missing"),
    };
    SeenProperty::Value(state.into())
}

/// The kernel's own count, or that of its messages.
fn oom_kills(frame: &AnswerFrame) -> SeenProperty {
    match frame.word('M').and_then(|count| count.parse::<u64>().ok()) {
        Some(count) => SeenProperty::Value(count.into()),
        None => number(
            frame,
            'm',
            "this kernel does not count them in /proc/vmstat (Linux 4.13 does), and its messages do not go back to the boot, or are root's to read",
        ),
    }
}

/// Where nobody keeps an account of reboots: whether a newer kernel of the running one's kind is installed.
fn newer_kernel(frame: &AnswerFrame) -> SeenProperty {
    let (Ok(running), Ok(installed)) = (frame.whole('u', &[0]), frame.whole('l', &[0])) else {
        return SeenProperty::unknown("the host does not tell which kernels it has");
    };
    let running = running.trim();
    if !installed.lines().any(|kernel| kernel == running) {
        return SeenProperty::unknown(
            "nobody on this host keeps account of it (no needs-restarting, no marker in /run), and the running kernel is none of those that are installed",
        );
    }
    let newer = |kernel: &&str| kernel_words(kernel) == kernel_words(running) && version(kernel) > version(running);
    SeenProperty::Value(installed.lines().any(|kernel| newer(&kernel)).into())
}

/// What sort of kernel a release is of: `6.1.0-25-cloud-amd64` is a `cloud-amd`.
fn kernel_words(release: &str) -> Vec<&str> {
    release.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()).collect()
}

/// A release's numbers, in order.
fn version(release: &str) -> Vec<u64> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// The number at the end of a field's text.
fn number(frame: &AnswerFrame, letter: char, why: &str) -> SeenProperty {
    let text = frame.text(letter).unwrap_or_default();
    match text.split_whitespace().last().and_then(|n| n.parse::<u64>().ok()) {
        Some(number) => SeenProperty::Value(number.into()),
        None => SeenProperty::unknown(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::tests::{check, frame};

    fn see(property: &str, fields: &[(&str, &str)]) -> SeenProperty {
        observe(&check("boot \"first\" { kernel-taint = 0 }"), property, &frame(fields))
    }

    #[test]
    fn how_long_it_took() {
        let show =
            "UserspaceTimestampMonotonic=2000000\nFinishTimestampMonotonic=12345678\nFirmwareTimestampMonotonic=0\n";
        assert_eq!(see("seconds", &[("t vm", show)]), SeenProperty::Value(json!(12.3)));
        assert_eq!(see("seconds", &[("t container", show)]), SeenProperty::Value(json!(10.3)));
        assert!(matches!(see("seconds", &[("t vm", "FinishTimestampMonotonic=0")]), SeenProperty::Unknown(_)));
        assert!(matches!(see("seconds", &[("t vm", "Failed to connect to bus")]), SeenProperty::Unknown(_)));
        let status = r#"{"v1": {"modules-final": {"finished": 1012.5}}}"#;
        assert_eq!(see("seconds", &[("b", "btime 1000\n"), ("j", status)]), SeenProperty::Value(json!(12.5)));
        assert!(matches!(see("seconds", &[("b", "btime 2000\n"), ("j", status)]), SeenProperty::Unknown(_)));
    }

    #[test]
    fn what_the_host_says_of_it() {
        let result = r#"{"v1": {"errors": []}}"#;
        assert_eq!(see("cloud-init", &[("c 1", ""), ("r", result)]), SeenProperty::Value(json!("done")));
        assert_eq!(
            see("cloud-init", &[("c 1", ""), ("r", r#"{"v1": {"errors": ["x"]}}"#)]),
            SeenProperty::Value(json!("error"))
        );
        assert_eq!(see("cloud-init", &[("c 0", "")]), SeenProperty::Value(json!("running")));
        assert!(matches!(see("cloud-init", &[("c 1", ""), ("r", "")]), SeenProperty::Unknown(_)));
        assert_eq!(see("kernel-taint", &[("k", "512\n")]), SeenProperty::Value(json!(512)));
        assert_eq!(see("oom-kills", &[("m", "oom_kill 3\n")]), SeenProperty::Value(json!(3)));
        assert!(matches!(see("oom-kills", &[("m", "")]), SeenProperty::Unknown(_)));
        assert_eq!(see("reboot-required", &[("q 1", "")]), SeenProperty::Value(json!(true)));
        assert!(matches!(see("reboot-required", &[("q ?", "")]), SeenProperty::Unknown(_)));
        let kernels = |running: &str, installed: &str| {
            let (running, installed) = (format!("{running}\nend 0"), format!("{installed}\nend 0"));
            see("reboot-required", &[("q kernels", ""), ("u", &running), ("l", &installed)])
        };
        let (old, new) = ("6.1.0-25-cloud-amd64", "6.1.0-26-cloud-amd64");
        assert_eq!(kernels(old, &format!("{old}\n{new}")), SeenProperty::Value(json!(true)));
        assert_eq!(kernels(new, &format!("{old}\n{new}\n6.12.1-rt-amd64")), SeenProperty::Value(json!(false)));
        assert!(matches!(kernels(old, new), SeenProperty::Unknown(_)));
        assert!(matches!(kernels(old, ""), SeenProperty::Unknown(_)), "a container");
        let rhel = "5.14.0-427.el9.x86_64\n5.14.0-427.13.1.el9_4.x86_64";
        assert_eq!(kernels("5.14.0-427.el9.x86_64", rhel), SeenProperty::Value(json!(true)));
        assert_eq!(see("oom-kills", &[("m", ""), ("M 2", "")]), SeenProperty::Value(json!(2)));
        assert_eq!(
            see("failed-units", &[("s 0", ""), ("o", "x.service loaded failed failed X\n")]),
            SeenProperty::Value(json!(["x.service"]))
        );
        assert!(matches!(see("failed-units", &[]), SeenProperty::Unknown(_)));
    }
}
