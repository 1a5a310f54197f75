//! assay's own questions about a booted image, asked in each shell on this machine, and what hostile answers become.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::{
    SeenProperty, observe,
    tests::{check, every_answer_is_judged, frame},
};
use crate::{
    evaluate::evaluate,
    frames::{AnswerFrame, AnswerFrames},
    script,
};
use assay_model::CheckOutcome;
use assay_suite::{Check, SudoChoice};

const ALL: [&str; 4] = [
    "boot \"first\" {\n seconds = { gt = 0 }\n failed-units = []\n cloud-init = \"absent\"\n kernel-taint = { ge = 0 }\n reboot-required = false\n oom-kills = { ge = 0 }\n}",
    "sshd \"effective\" {\n max-auth-tries = { gt = 0 }\n ciphers = { contain-element = \"aes256-gcm@openssh.com\" }\n}",
    "listening \"ports\" {\n ports = { not = { have-len = 0 } }\n unexpected = { not = { have-len = 0 } }\n}",
    "root-filesystem \"root\" {\n usage = { lt = 101 }\n filesystem = { match-regexp = \".\" }\n read-only = false\n size = { gt = 0 }\n free = { ge = 0 }\n grown = true\n}",
];

/// What this machine answers in one shell.
fn asked(shell: &[&str], check: &Check) -> AnswerFrame {
    let text = script::checks("nonce", &[script::ScriptQuestion { index: 0, check, sudo: SudoChoice::Auto }]);
    let mut child = Command::new(shell[0])
        .args(&shell[1..])
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs {}: {error}", shell[0]));
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let mut frames = AnswerFrames::new("nonce");
    frames.feed(&output.stdout);
    frames.answers.remove(&0).expect("an answer")
}

#[test]
fn every_shell_asks_the_same() {
    let _listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a port beyond loopback");
    let stable = ["kernel-taint", "max-auth-tries", "ciphers", "filesystem", "read-only", "size", "grown"];
    for text in ALL {
        let mut check = check(text);
        check.timeout = std::time::Duration::from_secs(5);
        let frames: Vec<AnswerFrame> =
            [&["dash"][..], &["bash", "--posix"], &["busybox", "sh"]].map(|s| asked(s, &check)).into();
        for (at, property) in check.properties.iter().enumerate() {
            let seen: Vec<SeenProperty> = frames.iter().map(|frame| observe(&check, &property.name, frame)).collect();
            if stable.contains(&property.name.as_str()) {
                assert_eq!((&seen[0], &seen[0]), (&seen[1], &seen[2]), "{} {}", check.resource, property.name);
            }
            // What depends on how this machine was booted, and on what it stands on, may be unknown or otherwise here.
            let elsewhere = ["seconds", "failed-units", "cloud-init", "reboot-required", "grown"];
            if !elsewhere.contains(&property.name.as_str()) {
                let judged = &evaluate(&check, &frames[0])[at];
                assert_eq!(judged.outcome, CheckOutcome::Passed, "{} {}: {judged:?}", check.resource, property.name);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a host answers, there is one outcome per property, escaped and bounded.
    #[test]
    fn any_bytes_are_survived(fields in proptest::collection::vec(("[a-zA-Z]( [01?-]| none| vm| container| [ -~]{0,8})?", "\\PC{0,40}|[\\x00-\\xff]{0,40}|[0-9A-F: \n]{0,60}|(device|disk|part|layers) [a-z]{1,3} [0-9]{0,20} [0-9]{0,20}\n"), 0..8)) {
        every_answer_is_judged(&ALL, &fields)?;
    }
}

#[test]
fn a_hundred_thousand_findings_are_shown_as_a_few_and_a_count() {
    let check = check("hygiene \"image\" { suid = [] }");
    let files: String = (0..100_000).map(|n| format!("files\t89ed\t0\t0\troot\troot\t/opt/{n}\u{1b}[31m\n")).collect();
    let output = format!("first\t1\t2\n{files}files .\nend .\n");
    let mut frames = AnswerFrames::new("n");
    let encoded = STANDARD.encode(output);
    let lines: Vec<&str> = encoded.as_bytes().chunks(76).map(|c| std::str::from_utf8(c).expect("ASCII")).collect();
    frames.feed(format!("n 0 1.00 1.50 b\n.x 1\n.o\n{}\nn .\n", lines.join("\n")).as_bytes());
    // As much as this no host's program sends: the answer is refused, and the check is undecided.
    assert!(frames.answers.is_empty() && frames.broken == [0]);
    let some: String = files.lines().take(300).map(|line| format!("{line}\n")).collect();
    let judged =
        &evaluate(&check, &frame(&[("x 1", ""), ("o", &format!("first\t1\t2\n{some}files +99700 suid\nfiles .\n"))]))
            [0];
    assert_eq!(judged.outcome, CheckOutcome::Failed);
    let shown = judged.actual.as_array().expect("a list");
    let last = shown.last().and_then(|v| v.as_str()).expect("a text");
    assert!(last.starts_with("… and ") && last.ends_with(" more") && shown.len() > 20, "{shown:?}");
    assert!(judged.actual.to_string().len() <= 4096 && !judged.actual.to_string().contains('\u{1b}'));
}
