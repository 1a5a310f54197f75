//! The host's own formats, read; and outcomes from them.

use std::{path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::*;
use crate::{
    model::Outcome::{self, Failed, Passed, Skipped, Undecided},
    probe::{evaluate::evaluate, frames::Frames},
    suite::{Suite, load},
};

/// The one check of an HCL resource.
pub(super) fn check(resource: &str) -> Check {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.hcl");
    std::fs::write(&path, format!("suite \"x\" {{\n{resource}\n}}\n")).expect("written");
    let suites: Vec<Suite> = load(&[path], Path::new("/")).unwrap_or_else(|e| panic!("{}", e[0]));
    suites[0].checks[0].clone()
}

/// An answer with these fields: a letter, its word, and the bytes under it.
pub(super) fn frame(fields: &[(&str, &str)]) -> Frame {
    let body: String = fields.iter().map(|(head, bytes)| format!(".{head}\n{}\n", STANDARD.encode(bytes))).collect();
    let mut frames = Frames::new("n");
    frames.feed(format!("n 0 1.00 1.50 b\n{body}n .\n").as_bytes());
    frames.answers.remove(&0).expect("it is well formed")
}

fn outcomes(resource: &str, fields: &[(&str, &str)]) -> Vec<Outcome> {
    evaluate(&check(resource), &frame(fields)).iter().map(|j| j.outcome).collect()
}

#[test]
fn the_deciding_property_decides() {
    let file = "file \"/x\" {\n mode = \"0644\"\n exists = true\n size = { gt = 0 }\n}";
    let stat = ("t", "81a4 12 0 0 root root");
    assert_eq!(outcomes(file, &[("x 1", ""), stat, ("l", "")]), [Passed, Passed, Passed]);
    assert_eq!(outcomes(file, &[("x 0", "")]), [Failed, Skipped, Skipped]);
    assert_eq!(outcomes(file, &[("x ?", "")]), [Undecided, Skipped, Skipped]);
    let absent = "file \"/x\" {\n exists = false\n mode = \"0644\"\n}";
    assert_eq!(outcomes(absent, &[("x 0", "")]), [Passed, Skipped]);
    assert_eq!(outcomes(absent, &[("x 1", ""), stat]), [Failed, Skipped]);
    assert_eq!(outcomes("file \"/x\" { mode = { not = \"0777\" } }", &[("x 0", "")]), [Failed]);
    let command = "command \"x\" {\n exit-status = 0\n stdout = [\"a\"]\n}";
    assert_eq!(
        outcomes(command, &[("s 1", ""), ("e", ""), ("o", "a\n")]),
        [Failed, Passed],
        "stdout is judged all the same"
    );
}

#[test]
fn files() {
    let file = |property: &str, stat: &str| {
        observe(&check("file \"/x\" { exists = true }"), property, &frame(&[("x 1", ""), ("t", stat), ("l", "")]))
    };
    assert_eq!(file("mode", "89ed 7 1 2 a b"), Seen::Value(json!("4755")));
    assert_eq!(file("size", "81a4 7 1 2 a b"), Seen::Value(json!(7)));
    assert_eq!(file("owner", "81a4 7 1 2 a b"), Seen::Value(json!("a")));
    assert_eq!(file("gid", "81a4 7 1 2 a b"), Seen::Value(json!(2)));
    for (mode, name) in [
        ("81a4", "file"),
        ("41ed", "directory"),
        ("a1ff", "symlink"),
        ("c1ed", "socket"),
        ("11a4", "pipe"),
        ("61b0", "block-device"),
        ("21b6", "character-device"),
    ] {
        assert_eq!(file("filetype", &format!("{mode} 0 0 0 r r")), Seen::Value(json!(name)));
    }
    assert!(matches!(file("mode", ""), Seen::Unknown(_)));
    assert!(matches!(file("mode", "zz 0 0 0 r r"), Seen::Unknown(_)));
    assert!(matches!(file("linked-to", ""), Seen::Nothing(_)));
    let link = frame(&[("x 1", ""), ("l", "/etc/a b\n")]);
    assert_eq!(observe(&check("file \"/x\" { exists = true }"), "linked-to", &link), Seen::Value(json!("/etc/a b")));
    let sha = "a".repeat(64);
    assert_eq!(
        outcomes(&format!("file \"/x\" {{ sha256 = \"{sha}\" }}"), &[("x 1", ""), (&format!("h {sha}"), "")]),
        [Passed]
    );
    assert_eq!(outcomes(&format!("file \"/x\" {{ sha256 = \"{sha}\" }}"), &[("x 1", ""), ("h ", "")]), [Undecided]);
    assert_eq!(outcomes("file \"/x\" { contents = [\"a\"] }", &[("x 1", ""), ("c ?", "")]), [Undecided]);
    assert_eq!(outcomes("file \"/x\" { contents = [\"a\"] }", &[("x 1", ""), ("c -", "")]), [Failed]);
}

#[test]
fn what_was_cut_off_is_not_judged_by_its_absence() {
    let long = "x".repeat(OUTPUT_KEPT + 1);
    let ask = |stdout: &str| {
        outcomes(&format!("command \"x\" {{ stdout = {stdout} }}"), &[("s 0", ""), ("e", ""), ("o", &long)])
    };
    assert_eq!(ask("[\"xxx\"]"), [Passed]);
    assert_eq!(ask("[\"y\"]"), [Undecided]);
    assert_eq!(ask("[\"xxx\", \"!y\"]"), [Undecided]);
    assert_eq!(ask("\"x\""), [Undecided]);
}

#[test]
fn a_command_that_took_its_whole_time_is_undecided() {
    let check = check("command \"x\" {\n exit-status = 124\n timeout = \"500ms\"\n}");
    let judged = evaluate(&check, &frame(&[("s 124", ""), ("e", ""), ("o", "")]));
    assert_eq!(judged[0].outcome, Undecided);
    assert!(judged[0].message.contains("0.5 s"), "{}", judged[0].message);
    let mut longer = check;
    longer.timeout = Duration::from_secs(5);
    assert_eq!(evaluate(&longer, &frame(&[("s 124", ""), ("e", ""), ("o", "")]))[0].outcome, Passed);
}

#[test]
fn packages() {
    let package = "package \"p\" {\n installed = true\n versions = [\"1:2\"]\n}";
    assert_eq!(
        outcomes(package, &[("s 0", ""), ("m dpkg", ""), ("o", "install ok installed 1:2\n")]),
        [Passed, Passed]
    );
    assert_eq!(
        outcomes(package, &[("s 0", ""), ("m dpkg", ""), ("o", "deinstall ok config-files 1:2\n")]),
        [Failed, Skipped]
    );
    assert_eq!(
        outcomes(package, &[("s 1", ""), ("m dpkg", ""), ("o", "dpkg-query: no packages found matching p\n")]),
        [Failed, Skipped]
    );
    assert_eq!(
        outcomes(package, &[("s 2", ""), ("m dpkg", ""), ("o", "dpkg-query: error: parsing file\n")]),
        [Undecided, Skipped]
    );
    assert_eq!(outcomes(package, &[("s 0", ""), ("m rpm", ""), ("o", "1:2\n")]), [Passed, Passed]);
    assert_eq!(outcomes(package, &[("s 0", ""), ("m apk", ""), ("o", "p-1:2\n")]), [Passed, Passed]);
    assert_eq!(outcomes(package, &[("s 0", ""), ("m none", ""), ("o", "")]), [Undecided, Skipped]);
}

#[test]
fn services_and_units() {
    let service = "service \"ssh\" {\n enabled = true\n running = true\n}";
    let show = |text: &str| outcomes(service, &[("s 0", ""), ("o", text)]);
    assert_eq!(show("LoadState=loaded\nActiveState=active\nUnitFileState=enabled"), [Passed, Passed]);
    assert_eq!(show("LoadState=loaded\nActiveState=failed\nUnitFileState=disabled"), [Failed, Failed]);
    assert_eq!(show("LoadState=not-found\nActiveState=inactive\nUnitFileState="), [Failed, Failed]);
    assert_eq!(show("LoadState=masked\nActiveState=inactive\nUnitFileState=masked"), [Failed, Failed]);
    assert_eq!(show("Failed to connect to bus"), [Undecided, Undecided]);
    assert_eq!(
        outcomes(service, &[("s 1", ""), ("o", "System has not been booted with systemd")]),
        [Undecided, Undecided]
    );
    assert_eq!(outcomes(service, &[("s none", "")]), [Undecided, Undecided]);
    let units = "systemd \"units\" { failed = [] }";
    assert_eq!(outcomes(units, &[("s 0", ""), ("o", "")]), [Passed]);
    assert_eq!(outcomes(units, &[("s 0", ""), ("o", "● x.service loaded failed failed X\n")]), [Failed]);
    assert_eq!(outcomes(units, &[("s 1", ""), ("o", "")]), [Undecided]);
}

#[test]
fn ports_users_processes_cloud_init() {
    let port = "port \"tcp:22\" {\n listening = true\n ip = [\"0.0.0.0\"]\n}";
    assert_eq!(outcomes(port, &[("x 1", ""), ("o", " 0: 00000000:0016 00000000:0000 0A 0\n")]), [Passed, Passed]);
    assert_eq!(outcomes(port, &[("x 1", ""), ("o", "")]), [Failed, Skipped]);
    assert_eq!(outcomes(port, &[("x 0", "")]), [Failed, Skipped]);
    assert_eq!(outcomes(port, &[("x ?", "")]), [Undecided, Skipped]);
    let user = "user \"a\" {\n exists = true\n uid = 7\n groups = [\"wheel\"]\n home = \"/h\"\n shell = \"/bin/sh\"\n}";
    let line = ("p", "a:x:7:8:A,,:/h:/bin/sh");
    assert_eq!(outcomes(user, &[("x 1", ""), line, ("s 0", ""), ("g", "a wheel\n")]), [Passed; 5]);
    assert_eq!(outcomes(user, &[("x 1", ""), line, ("s 1", ""), ("g", "id: no such user")])[2], Undecided);
    assert_eq!(outcomes(user, &[("x 1", ""), ("p", "a:x:7"), ("s 0", ""), ("g", "wheel")])[1], Undecided);
    assert_eq!(outcomes("process \"sshd\" { running = true }", &[("x 0", "")]), [Failed]);
    assert_eq!(outcomes("process \"sshd\" { running = true }", &[("x ?", "")]), [Undecided]);
    let cloud_init = "cloud-init \"finished\" {\n finished = true\n errors = []\n}";
    assert_eq!(
        outcomes(cloud_init, &[("x 1", ""), ("o", r#"{"v1": {"datasource": "x", "errors": []}}"#)]),
        [Passed, Passed]
    );
    assert_eq!(outcomes(cloud_init, &[("x 1", ""), ("o", r#"{"v1": {"errors": ["boom"]}}"#)]), [Passed, Failed]);
    assert_eq!(outcomes(cloud_init, &[("x 1", ""), ("o", "{}")]), [Passed, Undecided]);
    assert_eq!(outcomes(cloud_init, &[("x 0", "")]), [Failed, Skipped]);
    assert_eq!(outcomes(cloud_init, &[("x absent", "")]), [Failed, Skipped]);
}

mod any_bytes {
    use proptest::prelude::*;

    use super::*;

    const ALL: [&str; 9] = [
        "command \"x\" {\n exit-status = 0\n stdout = [\"x\"]\n stderr = \"\"\n}",
        "file \"/x\" {\n exists = true\n mode = \"0644\"\n size = 1\n linked-to = \"x\"\n contents = [\"!x\"]\n md5 = \"x\"\n}",
        "package \"x\" {\n installed = true\n versions = [\"1\"]\n}",
        "service \"x\" {\n enabled = true\n running = true\n}",
        "port \"tcp6:22\" {\n listening = true\n ip = [\"::\"]\n}",
        "user \"x\" {\n exists = true\n uid = 1\n groups = [\"x\"]\n}",
        "process \"x\" { running = true }",
        "cloud-init \"x\" {\n finished = true\n errors = []\n}",
        "systemd \"x\" { failed = [] }",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever a host answers, there is one outcome per property, escaped and bounded.
        #[test]
        fn are_survived(fields in proptest::collection::vec(("[a-zA-Z]( [01?-]| none| dpkg| [ -~]{0,8})?", "\\PC{0,40}|[\\x00-\\xff]{0,40}|[0-9A-F: \n]{0,60}"), 0..6)) {
            let mut seen = std::collections::BTreeSet::new();
            let fields: Vec<(&str, &str)> =
                fields.iter().filter(|(head, _)| seen.insert(head.as_bytes()[0])).map(|(h, b)| (h.as_str(), b.as_str())).collect();
            let frame = frame(&fields);
            for resource in ALL {
                let check = check(resource);
                let judged = evaluate(&check, &frame);
                prop_assert_eq!(judged.len(), check.properties.len());
                for one in judged {
                    prop_assert!(!one.message.chars().any(char::is_control));
                    prop_assert!(one.actual.to_string().len() <= 4096);
                }
            }
        }
    }
}
