//! The host's own formats, read; and outcomes from them.

use std::{path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::*;
use crate::{evaluate::evaluate, frames::AnswerFrames};
use assay_model::CheckOutcome::{self, Failed, Passed, Skipped, Undecided};
use assay_suite::{Suite, load};

/// The one check of an HCL resource.
pub(super) fn check(resource: &str) -> Check {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.hcl");
    std::fs::write(&path, format!("suite \"x\" {{\n{resource}\n}}\n")).expect("written");
    let suites: Vec<Suite> = load(&[path], Path::new("/")).unwrap_or_else(|e| panic!("{}", e[0]));
    suites[0].checks[0].clone()
}

/// An answer with these fields: a letter, its word, and the bytes under it.
pub(super) fn frame(fields: &[(&str, &str)]) -> AnswerFrame {
    let body: String = fields.iter().map(|(head, bytes)| format!(".{head}\n{}\n", STANDARD.encode(bytes))).collect();
    let mut frames = AnswerFrames::new("n");
    frames.feed(format!("n 0 1.00 1.50 b\n{body}n .\n").as_bytes());
    frames.answers.remove(&0).expect("it is well formed")
}

/// Whatever `fields` hold (of fields with the same letter only the first), there is one outcome per property of each resource, escaped and bounded.
pub(super) fn every_answer_is_judged(
    resources: &[&str],
    fields: &[(String, String)],
) -> Result<(), proptest::test_runner::TestCaseError> {
    let mut seen = std::collections::BTreeSet::new();
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .filter(|(head, _)| seen.insert(head.as_bytes()[0]))
        .map(|(h, b)| (h.as_str(), b.as_str()))
        .collect();
    let frame = frame(&fields);
    for resource in resources {
        let check = check(resource);
        let judged = evaluate(&check, &frame);
        proptest::prop_assert_eq!(judged.len(), check.properties.len());
        for one in judged {
            proptest::prop_assert!(!one.message.chars().any(char::is_control));
            proptest::prop_assert!(one.actual.to_string().len() <= 4096);
        }
    }
    Ok(())
}

fn outcomes(resource: &str, fields: &[(&str, &str)]) -> Vec<CheckOutcome> {
    evaluate(&check(resource), &frame(fields)).iter().map(|j| j.outcome).collect()
}

#[test]
fn the_deciding_property_decides() {
    let file = "file \"/x\" {\n mode = \"0644\"\n exists = true\n size = { gt = 0 }\n}";
    let stat = ("t", "81a4 12 0 0\nroot\nroot\n");
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
        observe(&check("file \"/x\" { exists = true }"), property, &frame(&[("x 1", ""), ("t", stat), ("l", "end 0")]))
    };
    assert_eq!(file("mode", "89ed 7 1 2\na\nb\n"), SeenProperty::Value(json!("4755")));
    assert_eq!(file("size", "81a4 7 1 2\na\nb\n"), SeenProperty::Value(json!(7)));
    assert_eq!(file("owner", "81a4 7 1 2\na\nb\n"), SeenProperty::Value(json!("a")));
    assert_eq!(file("gid", "81a4 7 1 2\na\nb\n"), SeenProperty::Value(json!(2)));
    for (mode, name) in [
        ("81a4", "file"),
        ("41ed", "directory"),
        ("a1ff", "symlink"),
        ("c1ed", "socket"),
        ("11a4", "pipe"),
        ("61b0", "block-device"),
        ("21b6", "character-device"),
    ] {
        assert_eq!(file("filetype", &format!("{mode} 0 0 0\nr\nr\n")), SeenProperty::Value(json!(name)));
    }
    assert!(matches!(file("mode", ""), SeenProperty::Unknown(_)));
    assert!(matches!(file("mode", "zz 0 0 0\nr\nr\n"), SeenProperty::Unknown(_)));
    assert!(matches!(file("linked-to", ""), SeenProperty::Nothing(_)));
    for broken in ["", "/etc/a", "end 1", "/etc/aend 137"] {
        let link = frame(&[("x 1", ""), ("l", broken)]);
        assert!(matches!(
            observe(&check("file \"/x\" { exists = true }"), "linked-to", &link),
            SeenProperty::Unknown(_)
        ));
    }
    let link = frame(&[("x 1", ""), ("l", "/etc/a b\nend 0")]);
    assert_eq!(
        observe(&check("file \"/x\" { exists = true }"), "linked-to", &link),
        SeenProperty::Value(json!("/etc/a b"))
    );
    let sha = "a".repeat(64);
    assert_eq!(
        outcomes(&format!("file \"/x\" {{ sha256 = \"{sha}\" }}"), &[("x 1", ""), (&format!("h {sha}"), "")]),
        [Passed]
    );
    assert_eq!(outcomes(&format!("file \"/x\" {{ sha256 = \"{sha}\" }}"), &[("x 1", ""), ("h ", "")]), [Undecided]);
    assert_eq!(outcomes("file \"/x\" { contents = [\"a\"] }", &[("x 1", ""), ("c ?", "")]), [Undecided]);
    assert_eq!(outcomes("file \"/x\" { contents = [\"a\"] }", &[("x 1", ""), ("c -", "")]), [Failed]);
    assert_eq!(outcomes("file \"/x\" { exists = false }", &[("x late", "")]), [Undecided]);
}

#[test]
fn contents_that_could_not_be_read_to_their_end_are_none() {
    let ask = |contents: &str| outcomes("file \"/x\" { contents = [\"!a\"] }", &[("x 1", ""), ("c", contents)]);
    assert_eq!((ask("bend 0"), ask("a\nend 0"), ask("end 0")), (vec![Passed], vec![Failed], vec![Passed]));
    for broken in ["", "end 1", "b\nend 1", "bend 137", "bend", "end 0 or so"] {
        assert_eq!(ask(broken), [Undecided], "{broken:?}");
    }
}

#[test]
fn what_was_cut_off_is_not_judged_by_its_absence() {
    // The last line that is kept may go on: a plain text is found in it, its end is not looked at.
    let long = format!("---\n{}", "x".repeat(OUTPUT_KEPT));
    let ask = |stdout: &str| {
        outcomes(&format!("command \"x\" {{ stdout = {stdout} }}"), &[("s 0", ""), ("e", ""), ("o", &long)])
    };
    assert_eq!(ask("[\"xxx\"]"), [Passed]);
    assert_eq!(ask("[\"/x$/\"]"), [Undecided]);
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
    let asked = |manager: &str, status: &str, output: &str, stderr: &str, others: &str| {
        let (status, manager, others) = (format!("s {status}"), format!("m {manager}"), format!("n {others}"));
        outcomes(package, &[(&status, ""), (&manager, ""), ("o", output), ("e", stderr), (&others, "")])
    };
    let said = |manager: &str, status: &str, output: &str| asked(manager, status, output, "", "some");
    let complained = |manager: &str, status: &str, stderr: &str| asked(manager, status, "", stderr, "some");
    assert_eq!(said("dpkg", "0", "install ok installed 1:2\n"), [Passed, Passed]);
    assert_eq!(said("dpkg", "0", "hold ok installed 1:2\n"), [Passed, Passed]);
    assert_eq!(said("dpkg", "0", "deinstall ok config-files 1:2\n"), [Failed, Skipped]);
    assert_eq!(complained("dpkg", "1", "dpkg-query: no packages found matching p\n"), [Failed, Skipped]);
    assert_eq!(complained("dpkg", "2", "dpkg-query: error: parsing file\n"), [Undecided, Skipped]);
    assert_eq!(said("rpm", "0", "1:2\n"), [Passed, Passed]);
    assert_eq!(said("rpm", "1", "package p is not installed\n"), [Failed, Skipped]);
    assert_eq!(complained("rpm", "1", "error: cannot open Packages database\n"), [Undecided, Skipped]);
    let absent = "package p is not installed\n";
    let loader = "ERROR: ld.so: object '/agent.so' from /etc/ld.so.preload cannot be preloaded: ignored.\n";
    assert_eq!(asked("rpm", "1", absent, loader, "some"), [Failed, Skipped]);
    assert_eq!(asked("rpm", "0", "1:2\n", loader, ""), [Passed, Passed]);
    for recorded in
        [include_str!("../fixtures/recorded/rpm-el7-lost-lock"), include_str!("../fixtures/recorded/rpm-el6-closed")]
    {
        let errors: String =
            recorded.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        assert_eq!(asked("rpm", "1", absent, &errors, "some"), [Undecided, Skipped], "{errors}");
    }
    for (manager, output, stderr) in [
        ("dpkg", "", "dpkg-query: no packages found matching p\n"),
        ("rpm", absent, ""),
        ("apk", "", ""),
        ("pacman", "", "error: package 'p' was not found\n"),
    ] {
        assert_eq!(asked(manager, "1", output, stderr, "some"), [Failed, Skipped], "{manager}");
        assert_eq!(
            asked(manager, "1", output, stderr, "none"),
            [Undecided, Skipped],
            "the database is gone: {manager}"
        );
    }
    assert_eq!(said("apk", "0", "p-1:2\n"), [Passed, Passed]);
    assert_eq!(said("apk", "0", "provider-of-p-1:2\n"), [Failed, Skipped]);
    assert_eq!(said("apk", "1", ""), [Failed, Skipped]);
    assert_eq!(complained("apk", "1", "ERROR: Unable to read database\n"), [Undecided, Skipped]);
    assert_eq!(said("pacman", "0", "p 1:2\n"), [Passed, Passed]);
    assert_eq!(complained("pacman", "1", "error: could not open database\n"), [Undecided, Skipped]);
    assert_eq!(said("none", "0", ""), [Undecided, Skipped]);
}

#[test]
fn services_and_units() {
    let service = "service \"ssh\" {\n enabled = true\n running = true\n}";
    let show = |enabled: (&str, &'static str), active: (&str, &'static str)| {
        // Its states are words; all else stands on stderr.
        let split = |text: &'static str| if text.contains(' ') { ("", text) } else { (text, "") };
        let ((state, failure), (active_state, other)) = (split(enabled.1), split(active.1));
        let fields = [("i systemd".to_owned(), ""), (format!("e {}", enabled.0), ""), ("E".to_owned(), state)];
        let more = [
            (format!("r {}", active.0), ""),
            ("R".to_owned(), active_state),
            ("f".to_owned(), failure),
            ("g".to_owned(), other),
        ];
        let all: Vec<(&str, &str)> = fields.iter().chain(&more).map(|(head, bytes)| (head.as_str(), *bytes)).collect();
        outcomes(service, &all)
    };
    for state in ["enabled", "static", "indirect", "generated", "alias", "enabled-runtime"] {
        assert_eq!(show(("0", state), ("0", "active\n")), [Passed, Passed]);
    }
    for state in [
        "disabled",
        "masked",
        "linked",
        "not-found",
        "Failed to get unit file state for x.service: No such file or directory",
    ] {
        assert_eq!(show(("1", state), ("3", "inactive\n")), [Failed, Failed]);
    }
    assert_eq!(show(("1", "disabled"), ("3", "activating\n")), [Failed, Failed]);
    assert_eq!(show(("1", "disabled"), ("absent", "")), [Failed, Failed], "systemd does not run");
    let unheard = "Failed to connect to bus: No such file or directory";
    assert_eq!(show(("1", unheard), ("1", unheard)), [Undecided, Undecided]);
    let denied = "Failed to get unit file state for x.service: Access denied";
    assert_eq!(show(("1", denied), ("4", denied)), [Undecided, Undecided]);
    assert_eq!(show(("1", "transient"), ("3", "inactive\n")), [Failed, Failed]);
    assert_eq!(show(("124", ""), ("124", "")), [Undecided, Undecided]);
    assert_eq!(outcomes(service, &[("i other", "")]), [Undecided, Undecided]);
    let older = "service \"x\" {\n enabled = true\n running = true\n runlevels = [\"2\"]\n}";
    let said = |fields: &[(&str, &str)]| outcomes(older, fields);
    assert_eq!(said(&[("i sysv", ""), ("v 2 3 ", ""), ("q 0", ""), ("u", "")]), [Passed, Passed, Passed]);
    assert_eq!(said(&[("i sysv", ""), ("v ?", ""), ("q 4", ""), ("u", "")]), [Undecided, Undecided, Undecided]);
    assert_eq!(said(&[("i sysv", ""), ("v ", ""), ("q user", ""), ("u", "")])[1], Undecided);
    assert_eq!(said(&[("i sysv", ""), ("v ", ""), ("q 127", ""), ("u", "")])[1], Undecided);
    assert_eq!(said(&[("i runit", "")]), [Undecided, Undecided, Undecided]);
    assert_eq!(said(&[("i openrc", ""), ("v ", ""), ("q 3", ""), ("u", "stopped")]), [Failed, Failed, Failed]);
    assert_eq!(said(&[("i sysv", ""), ("v ", ""), ("q none", "")]), [Failed, Undecided, Failed]);
    assert_eq!(
        said(&[("i upstart", ""), ("p 1", ""), ("v ", ""), ("q 0", ""), ("u", "x stop/waiting")])[..2],
        [Passed, Failed]
    );
    assert_eq!(said(&[("i upstart", ""), ("v ", ""), ("q 0", ""), ("u", "x start/running")])[..2], [Failed, Passed]);
    assert_eq!(said(&[("i systemd", ""), ("e 0", ""), ("r 0", "")])[2], Failed, "systemd has no run levels");
    let units = "systemd \"units\" { failed = [] }";
    assert_eq!(outcomes(units, &[("s 0", ""), ("o", "")]), [Passed]);
    assert_eq!(outcomes(units, &[("s 0", ""), ("o", "● x.service loaded failed failed X\n")]), [Failed]);
    assert_eq!(outcomes(units, &[("s 1", ""), ("o", ""), ("e", unheard)]), [Undecided]);
}

#[test]
fn ports_users_processes_cloud_init() {
    let port = "port \"tcp:22\" {\n listening = true\n ip = [\"0.0.0.0\"]\n}";
    assert_eq!(outcomes(port, &[("x 1", ""), ("o", " 0: 00000000:0016 00000000:0000 0A 0\nend 0")]), [Passed, Passed]);
    assert_eq!(outcomes(port, &[("x 1", ""), ("o", "end 1")]), [Failed, Skipped]);
    for broken in ["", " 0: 00000000:0016 00000000:0000 0A 0\n", "end 2", "end 137"] {
        assert_eq!(outcomes(port, &[("x 1", ""), ("o", broken)]), [Undecided, Skipped], "{broken:?}");
    }
    assert_eq!(outcomes(port, &[("x 0", "")]), [Failed, Skipped]);
    assert_eq!(outcomes(port, &[("x ?", "")]), [Undecided, Skipped]);
    let user = "user \"a\" {\n exists = true\n uid = 7\n groups = [\"wheel\"]\n home = \"/h\"\n shell = \"/bin/sh\"\n}";
    let line = ("p", "a:x:7:8:A,,:/h:/bin/sh\n");
    assert_eq!(outcomes(user, &[("x 1", ""), line, ("g", "b:x:8:\nwheel:x:10:a\n")]), [Passed; 5]);
    assert_eq!(outcomes(user, &[("x 1", ""), line])[2], Undecided, "/etc/group cannot be read");
    assert_eq!(
        outcomes(user, &[("x 1", ""), ("p", "a:x:7\n"), ("g", "")]),
        [Failed, Skipped, Skipped, Skipped, Skipped]
    );
    assert_eq!(outcomes(user, &[("x ?", "")])[0], Undecided);
    let group = "group \"adm\" {\n exists = true\n gid = 4\n}";
    assert_eq!(outcomes(group, &[("x 1", ""), ("g", "adm:x:4:a\n")]), [Passed, Passed]);
    assert_eq!(outcomes(group, &[("x 1", ""), ("g", "xadm:x:4:a\n")]), [Failed, Skipped]);
    assert_eq!(outcomes(group, &[("x ?", "")]), [Undecided, Skipped]);
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

#[test]
fn mounts_interfaces_kernel_parameters() {
    let mount = "mount \"/\" {\n exists = true\n opts = [\"rw\"]\n vfs-opts = [\"ro\"]\n source = \"/dev/a\"\n filesystem = \"ext4\"\n usage = { lt = 60 }\n}";
    let line = ("o", "/ rw,relatime shared:1 - ext4 /dev/a ro,quota");
    assert_eq!(outcomes(mount, &[("x 1", ""), line, ("u 100 50", "")]), [Passed; 6]);
    assert_eq!(outcomes(mount, &[("x 1", ""), line, ("u ", "")])[5], Undecided);
    assert_eq!(outcomes(mount, &[("x 1", ""), ("o", "/ rw"), ("u 1 1", "")])[0], Undecided);
    assert_eq!(outcomes(mount, &[("x 1", ""), ("o", "")])[..2], [Failed, Skipped]);
    assert_eq!(outcomes(mount, &[("x ?", "")])[..2], [Undecided, Skipped]);
    let interface = "interface \"lo\" {\n exists = true\n mtu = 65536\n addrs = [\"127.0.0.1/8\"]\n}";
    let told = ("o", "1: lo: <UP>\n    inet 127.0.0.1/8 scope host lo\n");
    assert_eq!(outcomes(interface, &[("x 1", ""), ("m 65536", ""), ("s 0", ""), told]), [Passed; 3]);
    assert_eq!(outcomes(interface, &[("x 1", ""), ("m -", ""), ("s none", "")]), [Passed, Undecided, Undecided]);
    assert_eq!(outcomes(interface, &[("x 0", "")]), [Failed, Skipped, Skipped]);
    assert_eq!(outcomes(interface, &[("x ?", "")]), [Undecided, Skipped, Skipped]);
    let kernel = "kernel-param \"a.b\" { value = \"1 2\" }";
    assert_eq!(outcomes(kernel, &[("x 1", ""), ("o", " 1 2\nend 0")]), [Passed]);
    assert_eq!(outcomes(kernel, &[("x 1", ""), ("o", " 1 2\nend 1")]), [Undecided]);
    assert_eq!(outcomes(kernel, &[("x 0", "")]), [Failed]);
    assert_eq!(outcomes(kernel, &[("x -", "")]), [Undecided]);
    assert_eq!(outcomes(kernel, &[("x ?", "")]), [Undecided]);
}

#[test]
fn addresses_and_names() {
    let addr = "addr \"tcp://h:1\" {\n reachable = true\n timeout = \"400ms\"\n}";
    assert_eq!(outcomes(addr, &[("x 1", ""), ("t python3", "")]), [Passed], "it looks after the time itself");
    assert_eq!(outcomes(addr, &[("x 1", ""), ("t bash", "")]), [Failed], "it took 500 ms");
    assert_eq!(outcomes(addr, &[("x 0", ""), ("t bash", "")]), [Failed]);
    assert_eq!(outcomes(addr, &[("x none", ""), ("t curl", "")]), [Undecided]);
    assert_eq!(outcomes("addr \"icmp://h:1\" { reachable = true }", &[("x form", "")]), [Undecided]);
    let dns = "dns \"h\" {\n resolvable = true\n addrs = [\"10.0.0.1\"]\n}";
    assert_eq!(outcomes(dns, &[("s 0", ""), ("o", "10.0.0.1 STREAM h\n::ffff:10.0.0.1 STREAM\n")]), [Passed, Passed]);
    assert_eq!(outcomes(dns, &[("s 2", ""), ("o", "")]), [Failed, Skipped]);
    assert_eq!(outcomes(dns, &[("s 124", ""), ("o", "")]), [Failed, Skipped]);
    assert_eq!(outcomes(dns, &[("s 1", ""), ("o", "")]), [Undecided, Skipped]);
    assert_eq!(outcomes(dns, &[("s none", ""), ("o", "")]), [Undecided, Skipped]);
    let server = "dns \"MX:h\" {\n resolvable = true\n server = \"10.0.0.2\"\n}";
    assert_eq!(outcomes(server, &[("x none", "")]), [Undecided]);
    assert_eq!(outcomes(server, &[("x bash", ""), ("q", "")]), [Failed]);
    assert_eq!(outcomes(server, &[("x bash", ""), ("q", "hostile")]), [Undecided]);
}

#[test]
fn http() {
    let http = "http \"http://h/\" {\n status = 200\n headers = [\"A: b\"]\n body = [\"hello\"]\n}";
    let said = |tool: &str, status: &str, head: &str, body: &str| {
        outcomes(http, &[(&format!("x {tool}"), ""), (&format!("s {status}"), ""), ("h", head), ("b", body)])
    };
    let head = "HTTP/1.1 200 OK\r\na: b\r\n\r\n\n200 0";
    assert_eq!(said("curl", "0", head, "hello"), [Passed, Passed, Passed]);
    assert_eq!(said("python3", "0", head, "bye"), [Passed, Passed, Failed]);
    assert_eq!(said("curl", "28", head, "hello"), [Passed, Passed, Failed], "the body did not end in time");
    assert_eq!(said("curl", "28", "\n000 0", ""), [Failed, Skipped, Skipped]);
    for failure in ["6", "7", "35", "60", "47", "52"] {
        assert_eq!(said("curl", failure, "\n000 0", ""), [Failed, Skipped, Skipped]);
    }
    for broken in ["2", "127", "", "x"] {
        assert_eq!(said("curl", broken, "\n000 0", ""), [Undecided, Skipped, Skipped]);
    }
    assert_eq!(said("curl", "0", "no head", "hello"), [Failed, Skipped, Skipped]);
    assert_eq!(said("none", "", "", ""), [Undecided, Skipped, Skipped]);
    let wget = "--2026--\n  HTTP/1.0 200 OK\n  A: b\nLength: 5\n";
    assert_eq!(said("wget", "0", wget, "hello"), [Passed, Passed, Passed]);
    assert_eq!(said("wget", "4", "failed", ""), [Failed, Skipped, Skipped]);
    assert_eq!(said("wget", "1", "wget: bad", ""), [Undecided, Skipped, Skipped]);
    assert_eq!(said("wget", "97", "", ""), [Undecided, Skipped, Skipped]);
    let missing = "http \"http://h/\" {\n status = 404\n body = \"\"\n}";
    assert_eq!(
        outcomes(missing, &[("x wget", ""), ("s 1", ""), ("h", "  HTTP/1.0 404 No\n"), ("b", "")]),
        [Passed, Undecided]
    );
    let put = "http \"http://h/\" {\n status = 200\n method = \"PUT\"\n}";
    let redirected = "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\n200 1";
    assert_eq!(outcomes(put, &[("x curl", ""), ("s 0", ""), ("h", redirected), ("b", "")]), [Undecided]);
    assert_eq!(outcomes("http \"ftp://h/\" { status = 200 }", &[("x form", "")]), [Failed]);
}

mod any_bytes {
    use proptest::prelude::*;

    use super::*;

    const ALL: [&str; 17] = [
        "command \"x\" {\n exit-status = 0\n stdout = [\"x\"]\n stderr = \"\"\n}",
        "file \"/x\" {\n exists = true\n mode = \"0644\"\n size = 1\n linked-to = \"x\"\n contents = [\"!x\"]\n md5 = \"x\"\n}",
        "package \"x\" {\n installed = true\n versions = [\"1\"]\n}",
        "service \"x\" {\n enabled = true\n running = true\n}",
        "port \"tcp6:22\" {\n listening = true\n ip = [\"::\"]\n}",
        "user \"x\" {\n exists = true\n uid = 1\n groups = [\"x\"]\n}",
        "process \"x\" { running = true }",
        "cloud-init \"x\" {\n finished = true\n errors = []\n}",
        "systemd \"x\" { failed = [] }",
        "addr \"tcp://x:1\" { reachable = true }",
        "dns \"x\" {\n resolvable = true\n addrs = [\"1\"]\n}",
        "dns \"TXT:x\" {\n server = \"y\"\n resolvable = true\n addrs = [\"1\"]\n}",
        "group \"x\" {\n exists = true\n gid = 1\n}",
        "http \"http://x\" {\n status = 200\n headers = [\"x\"]\n body = \"\"\n}",
        "interface \"x\" {\n exists = true\n addrs = [\"x\"]\n mtu = 1\n}",
        "kernel-param \"x\" { value = \"1\" }",
        "mount \"/\" {\n exists = true\n opts = [\"rw\"]\n source = \"x\"\n usage = 1\n}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever a host answers, there is one outcome per property, escaped and bounded.
        #[test]
        fn are_survived(fields in proptest::collection::vec(("[a-zA-Z]( [01?-]| none| dpkg| curl| wget| systemd| [ -~]{0,8})?", "\\PC{0,40}|[\\x00-\\xff]{0,40}|[0-9A-F: \n]{0,60}"), 0..6)) {
            every_answer_is_judged(&ALL, &fields)?;
        }
    }
}
