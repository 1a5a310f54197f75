//! How the boot went: how long it took, what failed, what cloud-init and the kernel say of it.

use serde_json::{Value, json};

use super::{CLOUD_INIT, KERNELS, Kind, Seen, first_line, systemd, wants};
use crate::frames::Frame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: Kind = Kind { shell: &[CLOUD_INIT, KERNELS, include_str!("boot.sh")], ask, observe, slow: true };

fn ask(check: &Check) -> String {
    if wants(check, "reboot-required") { "ask_boot r".to_owned() } else { "ask_boot".to_owned() }
}

fn observe(_: &Check, property: &str, frame: &Frame) -> Seen {
    match property {
        "seconds" => seconds(frame),
        "failed-units" => failed_units(frame),
        "cloud-init" => cloud_init(frame),
        "kernel-taint" => number(frame, 'k', "the host does not show /proc/sys/kernel/tainted"),
        "oom-kills" => oom_kills(frame),
        "reboot-required" => match frame.word('q') {
            Some("1") => Seen::Value(true.into()),
            Some("0") => Seen::Value(false.into()),
            Some("kernels") => newer_kernel(frame),
            _ => Seen::unknown("the host did not tell"),
        },
        _ => Seen::unknown("no such property"),
    }
}

/// From the kernel's first moment (in a container from its init's) to systemd's last job; without systemd to the end
/// of cloud-init.
fn seconds(frame: &Frame) -> Seen {
    let Some(kind) = frame.word('t') else { return until_cloud_init(frame) };
    let text = frame.text('t').unwrap_or_default();
    let micros = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.and_then(|value| value.trim().parse::<u64>().ok())
    };
    let began = if kind == "container" { micros("UserspaceTimestampMonotonic") } else { Some(0) };
    match (micros("FinishTimestampMonotonic"), began) {
        (Some(0), _) => Seen::unknown("the boot is not finished: systemd still has jobs (systemctl list-jobs)"),
        (Some(end), Some(began)) if end >= began => tenths((end - began) as f64 / 1e6),
        _ => Seen::unknown(format!("systemctl show said: {}", first_line(&text))),
    }
}

fn tenths(seconds: f64) -> Seen {
    Seen::Value(json!((seconds * 10.0).round() / 10.0))
}

/// cloud-init's status.json: `{"v1": {"modules-final": {"finished": 1795396878.1}}}`, in Unix seconds.
fn until_cloud_init(frame: &Frame) -> Seen {
    let status: Option<Value> = frame.bytes('j').and_then(|bytes| serde_json::from_slice(bytes).ok());
    let finished = status.as_ref().and_then(|s| s.pointer("/v1/modules-final/finished")).and_then(Value::as_f64);
    let text = frame.text('b').unwrap_or_default();
    let booted = text.trim().strip_prefix("btime ").and_then(|t| t.parse::<f64>().ok());
    match (finished, booted) {
        (Some(finished), Some(booted)) if finished >= booted => tenths(finished - booted),
        _ => Seen::unknown("there is neither systemd nor a finished cloud-init to tell how long the boot took"),
    }
}

fn failed_units(frame: &Frame) -> Seen {
    match frame.word('s') {
        None => Seen::unknown("the host does not run systemd"),
        Some(_) => systemd::failed(frame),
    }
}

fn cloud_init(frame: &Frame) -> Seen {
    let state = match frame.word('c') {
        Some("0") => "running",
        Some("disabled") => "disabled",
        Some("absent") => "absent",
        Some("1") => {
            let result: Option<Value> = frame.bytes('r').and_then(|bytes| serde_json::from_slice(bytes).ok());
            match result.as_ref().and_then(|r| r.pointer("/v1/errors")).and_then(Value::as_array) {
                Some(errors) if errors.is_empty() => "done",
                Some(_) => "error",
                None => return Seen::unknown("/run/cloud-init/result.json cannot be read"),
            }
        }
        _ => return Seen::unknown("the state of cloud-init is missing"),
    };
    Seen::Value(state.into())
}

/// The kernel's own count, or that of its messages.
fn oom_kills(frame: &Frame) -> Seen {
    match frame.word('M').and_then(|count| count.parse::<u64>().ok()) {
        Some(count) => Seen::Value(count.into()),
        None => number(
            frame,
            'm',
            "this kernel does not count them in /proc/vmstat (Linux 4.13 does), and its messages do not go back to the boot, or are root's to read",
        ),
    }
}

/// Where nobody keeps an account of reboots: whether a newer kernel of the running one's kind is installed.
fn newer_kernel(frame: &Frame) -> Seen {
    let (Ok(running), Ok(installed)) = (frame.whole('u', &[0]), frame.whole('l', &[0])) else {
        return Seen::unknown("the host does not tell which kernels it has");
    };
    let running = running.trim();
    if !installed.lines().any(|kernel| kernel == running) {
        return Seen::unknown(
            "nobody on this host keeps account of it (no needs-restarting, no marker in /run), and the running kernel is none of those that are installed",
        );
    }
    let newer = |kernel: &&str| kernel_words(kernel) == kernel_words(running) && version(kernel) > version(running);
    Seen::Value(installed.lines().any(|kernel| newer(&kernel)).into())
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
fn number(frame: &Frame, letter: char, why: &str) -> Seen {
    let text = frame.text(letter).unwrap_or_default();
    match text.split_whitespace().last().and_then(|n| n.parse::<u64>().ok()) {
        Some(number) => Seen::Value(number.into()),
        None => Seen::unknown(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::tests::{check, frame};

    fn see(property: &str, fields: &[(&str, &str)]) -> Seen {
        observe(&check("boot \"first\" { kernel-taint = 0 }"), property, &frame(fields))
    }

    #[test]
    fn how_long_it_took() {
        let show =
            "UserspaceTimestampMonotonic=2000000\nFinishTimestampMonotonic=12345678\nFirmwareTimestampMonotonic=0\n";
        assert_eq!(see("seconds", &[("t vm", show)]), Seen::Value(json!(12.3)));
        assert_eq!(see("seconds", &[("t container", show)]), Seen::Value(json!(10.3)));
        assert!(matches!(see("seconds", &[("t vm", "FinishTimestampMonotonic=0")]), Seen::Unknown(_)));
        assert!(matches!(see("seconds", &[("t vm", "Failed to connect to bus")]), Seen::Unknown(_)));
        let status = r#"{"v1": {"modules-final": {"finished": 1012.5}}}"#;
        assert_eq!(see("seconds", &[("b", "btime 1000\n"), ("j", status)]), Seen::Value(json!(12.5)));
        assert!(matches!(see("seconds", &[("b", "btime 2000\n"), ("j", status)]), Seen::Unknown(_)));
    }

    #[test]
    fn what_the_host_says_of_it() {
        let result = r#"{"v1": {"errors": []}}"#;
        assert_eq!(see("cloud-init", &[("c 1", ""), ("r", result)]), Seen::Value(json!("done")));
        assert_eq!(
            see("cloud-init", &[("c 1", ""), ("r", r#"{"v1": {"errors": ["x"]}}"#)]),
            Seen::Value(json!("error"))
        );
        assert_eq!(see("cloud-init", &[("c 0", "")]), Seen::Value(json!("running")));
        assert!(matches!(see("cloud-init", &[("c 1", ""), ("r", "")]), Seen::Unknown(_)));
        assert_eq!(see("kernel-taint", &[("k", "512\n")]), Seen::Value(json!(512)));
        assert_eq!(see("oom-kills", &[("m", "oom_kill 3\n")]), Seen::Value(json!(3)));
        assert!(matches!(see("oom-kills", &[("m", "")]), Seen::Unknown(_)));
        assert_eq!(see("reboot-required", &[("q 1", "")]), Seen::Value(json!(true)));
        assert!(matches!(see("reboot-required", &[("q ?", "")]), Seen::Unknown(_)));
        let kernels = |running: &str, installed: &str| {
            let (running, installed) = (format!("{running}\nend 0"), format!("{installed}\nend 0"));
            see("reboot-required", &[("q kernels", ""), ("u", &running), ("l", &installed)])
        };
        let (old, new) = ("6.1.0-25-cloud-amd64", "6.1.0-26-cloud-amd64");
        assert_eq!(kernels(old, &format!("{old}\n{new}")), Seen::Value(json!(true)));
        assert_eq!(kernels(new, &format!("{old}\n{new}\n6.12.1-rt-amd64")), Seen::Value(json!(false)));
        assert!(matches!(kernels(old, new), Seen::Unknown(_)));
        assert!(matches!(kernels(old, ""), Seen::Unknown(_)), "a container");
        let rhel = "5.14.0-427.el9.x86_64\n5.14.0-427.13.1.el9_4.x86_64";
        assert_eq!(kernels("5.14.0-427.el9.x86_64", rhel), Seen::Value(json!(true)));
        assert_eq!(see("oom-kills", &[("m", ""), ("M 2", "")]), Seen::Value(json!(2)));
        assert_eq!(
            see("failed-units", &[("s 0", ""), ("o", "x.service loaded failed failed X\n")]),
            Seen::Value(json!(["x.service"]))
        );
        assert!(matches!(see("failed-units", &[]), Seen::Unknown(_)));
    }
}
