//! Suites read from text: what they mean, and what is said about mistakes.

use serde_json::json;

use super::*;
use crate::{Check, Matcher, ResourceKind, SudoChoice};

const SMOKE: &str = r#"
suite "smoke" {
  retry   = 2
  timeout = "20s"

  service "ssh" {
    enabled = true
    running = true
  }
  file "/etc/passwd" {
    mode     = "0644"
    exists   = true
    size     = { and = [{ gt = 0 }, { lt = 1000000 }] }
    contents = ["root:x:0:0", "!nosuchuser"]
  }
  command "uname -m" {
    stdout      = ["x86_64"]
    exit-status = 0
    timeout     = 5000
    retry       = 0
  }
  port "tcp:22" { listening = true }
  cloud-init "finished" {
    finished = true
    errors   = []
  }
  systemd "units" { failed = [] }
}
"#;

fn hcl(text: &str) -> Vec<Suite> {
    read(Path::new("suites/smoke.hcl"), text.as_bytes()).unwrap_or_else(|e| panic!("{}", all(&e)))
}

fn goss(text: &str) -> Vec<Suite> {
    read(Path::new("goss.yaml"), text.as_bytes()).unwrap_or_else(|e| panic!("{}", all(&e)))
}

fn all(mistakes: &[SourceDiagnostic]) -> String {
    mistakes.iter().map(|m| format!("{m}\n")).collect()
}

fn mistakes(name: &str, text: &str) -> String {
    all(&read(Path::new(name), text.as_bytes()).expect_err("the file is full of mistakes"))
}

fn names(check: &Check) -> Vec<&str> {
    check.properties.iter().map(|p| p.name.as_str()).collect()
}

#[test]
fn a_whole_hcl_suite() {
    let suites = hcl(SMOKE);
    let [suite] = suites.as_slice() else { panic!("one suite") };
    assert_eq!((suite.name.as_str(), suite.checks.len(), suite.planned()), ("smoke", 6, 12));
    assert_eq!(suite.digest, Digest::of(SMOKE.as_bytes()));
    let [service, file, command, port, cloud_init, systemd] = suite.checks.as_slice() else { panic!("six") };
    assert_eq!((service.resource, service.id.as_str(), service.line), (ResourceKind::Service, "ssh", 6));
    assert_eq!((service.retry, service.timeout.as_secs()), (2, 20));
    assert_eq!(names(file), ["exists", "mode", "size", "contents"]);
    assert_eq!(file.properties[1].matcher, Matcher::Equal(json!("0644")));
    assert_eq!(file.properties[2].matcher, Matcher::And(vec![Matcher::Gt(0.0), Matcher::Lt(1e6)]));
    assert_eq!(names(command), ["exit-status", "stdout"]);
    assert_eq!((command.retry, command.timeout.as_secs()), (0, 5));
    assert_eq!(port.id, "tcp:22");
    assert_eq!(cloud_init.properties[1].matcher, Matcher::Equal(json!([])));
    assert_eq!(systemd.properties[0].matcher, Matcher::Equal(json!([])));
}

#[test]
fn goss_yaml_says_the_same() {
    let suites = goss(
        r#"
service:
  ssh: {enabled: true, running: true}
file:
  /etc/passwd:
    exists: true
    mode: "0644"
    size: {and: [{gt: 0}, {lt: 1000000}]}
    contents:
      - root:x:0:0
      - "!nosuchuser"
  host keys:
    path: /etc/ssh/ssh_host_ed25519_key
    exists: true
command:
  machine:
    exec: uname -m
    exit-status: 0
    stdout: [x86_64]
    stderr: []
    timeout: 5000
port:
  22:
    listening: true
    ip: []
user:
  root: {exists: true, uid: 0, groups: [root], shell: /bin/bash}
package:
  openssh-server:
    installed: true
    versions: ["1:9.2p1-2+deb12u3"]
    title: the door
    meta: {owner: [a, {b: c}]}
    skip: true
"#,
    );
    let hcl = hcl(SMOKE);
    let checks = &suites[0].checks;
    assert_eq!(suites[0].name, "goss");
    for (mine, theirs) in checks.iter().zip(&hcl[0].checks).take(2) {
        let plain = |c: &Check| c.properties.iter().map(|p| (p.name.clone(), p.matcher.clone())).collect::<Vec<_>>();
        assert_eq!(plain(mine), plain(theirs));
    }
    assert_eq!((checks[2].id.as_str(), checks[2].subject()), ("host keys", "/etc/ssh/ssh_host_ed25519_key"));
    assert_eq!((checks[3].id.as_str(), checks[3].subject()), ("machine", "uname -m"));
    assert_eq!(names(&checks[3]), ["exit-status", "stdout"], "an empty list asserts nothing");
    assert_eq!((checks[4].id.as_str(), checks[4].line), ("22", 23));
    assert_eq!(checks[5].properties[2].matcher, Matcher::Elements(vec![Matcher::Equal(json!("root"))]));
    assert!(checks[6].skip);
    assert_eq!(checks[6].title.as_deref(), Some("the door"));
}

#[test]
fn goss_json_is_read_too() {
    let suites = read(Path::new("x/web.json"), br#"{"port": {"tcp:80": {"listening": true}}}"#).expect("it is right");
    assert_eq!((suites[0].name.as_str(), suites[0].checks[0].id.as_str()), ("web", "tcp:80"));
}

#[test]
fn several_suites_and_sudo() {
    let suites = hcl(
        "suite \"a\" {\n sudo = true\n user \"x\" { exists = false }\n}\nsuite \"b\" {\n process \"sshd\" { running = true }\n}\n",
    );
    assert_eq!(
        suites.iter().map(|s| (s.name.as_str(), s.sudo)).collect::<Vec<_>>(),
        [("a", SudoChoice::Always), ("b", SudoChoice::Auto)]
    );
}

#[test]
fn what_only_the_conductor_can_tell_is_read_from_both_formats() {
    let hcl = hcl(
        "suite \"s\" {\n ami \"image\" {\n arch = \"x86_64\"\n tags = [\"a=b\"]\n }\n reboot \"stop-start\" {\n suite = true\n returned = true\n }\n second-boot \"image\" { host-keys-differ = true }\n}\n",
    );
    let goss = goss(
        "ami:\n  image: {arch: x86_64, tags: [a=b]}\nreboot:\n  stop-start: {suite: true, returned: true}\nsecond-boot:\n  image: {host-keys-differ: true}\n",
    );
    let all = |suites: &[Suite]| {
        let checks = suites.iter().flat_map(|s| &s.checks);
        checks
            .map(|c| {
                (
                    c.resource,
                    c.id.clone(),
                    c.properties.iter().map(|p| (p.name.clone(), p.matcher.clone())).collect::<Vec<_>>(),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(all(&hcl), all(&goss));
    assert_eq!(names(&hcl[0].checks[0]), ["architecture", "tags"]);
    assert_eq!(names(&hcl[0].checks[1]), ["returned", "suite"], "the deciding property comes first");
    let told = mistakes(
        "x.yaml",
        "reboot:\n  sotf: {returned: true}\n  hard: {returned: true}\nami:\n  image: {bootmode: uefi}\n",
    );
    for words in [
        "there is no reboot \"sotf\"",
        "did you mean \"soft\"?",
        "there is no reboot \"hard\"",
        "did you mean \"boot-mode\"?",
    ] {
        assert!(told.contains(words), "{words} in\n{told}");
    }
}

#[test]
fn every_mistake_of_an_hcl_file() {
    insta::assert_snapshot!(mistakes("suites/smoke.hcl", include_str!("fixtures/mistakes.hcl")));
}

#[test]
fn every_mistake_of_a_goss_file() {
    insta::assert_snapshot!(mistakes("goss.yaml", include_str!("fixtures/mistakes.yaml")));
}

#[test]
fn every_mistake_about_matchers() {
    insta::assert_snapshot!(mistakes("goss.yaml", include_str!("fixtures/matchers.yaml")));
}

#[test]
fn every_mistake_about_matchers_that_only_assays_own_language_tells() {
    insta::assert_snapshot!(mistakes("suite.hcl", include_str!("fixtures/matchers.hcl")));
}

#[test]
fn what_goss_runs_is_run_though_it_can_never_be_met() {
    let suites = goss(
        r#"
file:
  /a: {exists: "true", mode: "644", filetype: directroy, size: "12", uid: 0.0}
  /b: {exists: {not: false}, mode: 644, contents: {not: [x]}, size: {equal: "12"}}
command:
  x: {exec: "", exit-status: "0", stdout: 5, timeout: 0, title: null, meta: {a: 1}, skip: yes}
user:
  root: {exists: true, groups: [], home: {gt: 5}}
"#,
    );
    let checks = &suites[0].checks;
    assert_eq!(checks[0].properties[0].matcher, Matcher::Equal(json!("true")));
    assert_eq!(checks[0].properties[1].matcher, Matcher::Equal(json!("644")));
    assert_eq!(checks[1].properties[1].matcher, Matcher::Equal(json!(644)));
    assert_eq!(checks[1].properties[3].matcher, Matcher::SameAs(json!("12")));
    assert_eq!((checks[2].subject(), checks[2].timeout.as_secs(), checks[2].skip), ("x", 10, true));
    assert_eq!(checks[2].properties[0].matcher, Matcher::Equal(json!(0)));
    assert_eq!(checks[3].properties[1].matcher, Matcher::Elements(Vec::new()));
}

#[test]
fn broken_syntax() {
    insta::assert_snapshot!(
        [
            mistakes("a.hcl", "suite \"x\" {\n  file \"/etc\" {\n    exists = \n  }\n}\n"),
            mistakes("b.yaml", "file:\n  /etc/x: {exists: true\nport: 22\n"),
            mistakes("c.yaml", "file: &a\n  /etc/x: {exists: true}\nport: *a\n"),
            mistakes("d.yaml", "file:\n  {{range .Vars.files}}\n"),
            mistakes("e.yaml", "- a\n- b\n"),
            mistakes("f.hcl", ""),
            mistakes("g.yaml", ""),
            mistakes("h.toml", "x = 1"),
            mistakes("i.hcl", "suite \"x\" {}\n"),
            mistakes("k.hcl", "suite \"x\" {\n  user \"a\" {\n    exists = true\n    exists = false\n  }\n}\n"),
            mistakes("j.yaml", "file:\n  /x: {exists: true}\nfile:\n  /y: {exists: true}\n"),
        ]
        .join("\n")
    );
    let latin1 = read(Path::new("k.hcl"), b"suite \"\xe9\" {}").expect_err("not UTF-8");
    insta::assert_snapshot!(all(&latin1), @r"
    error: byte 7 is not UTF-8
     --> k.hcl
      |
      = help: save the file as UTF-8 text
    ");
}

#[test]
fn aliases_and_merges_are_what_they_stand_for() {
    let suites = goss(
        r#"
file:
  /a: &base
    exists: true
    mode: "0644"
    contents: &text [x, y]
  /b: *base
  /c:
    <<: *base
    mode: "0600"
  /d:
    mode: "0700"
    <<: [*base]
user:
  root: {exists: true, groups: *text}
"#,
    );
    let seen: Vec<(&str, Vec<&str>, &Matcher)> =
        suites[0].checks.iter().map(|c| (c.id.as_str(), names(c), &c.properties[1].matcher)).collect();
    let mode = |text: &str| Matcher::Equal(json!(text));
    let elements = Matcher::Elements(vec![Matcher::Equal(json!("x")), Matcher::Equal(json!("y"))]);
    assert_eq!(
        seen,
        [
            ("/a", vec!["exists", "mode", "contents"], &mode("0644")),
            ("/b", vec!["exists", "mode", "contents"], &mode("0644")),
            ("/c", vec!["exists", "mode", "contents"], &mode("0600")),
            ("/d", vec!["exists", "mode", "contents"], &mode("0700")),
            ("root", vec!["exists", "groups"], &elements),
        ]
    );
}

#[test]
fn variables_in_hcl() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("vars.yaml", "port: 8080\nuser: app\nlists: {sizes: [1, 2]}\nopen: true\n");
    write(
        "good.hcl",
        "suite \"x\" {\n  sudo = var.open\n  user \"a\" {\n    home = \"/srv/${var.user}-${var.port}\"\n    uid  = var.lists.sizes[1]\n  }\n}\n",
    );
    write(
        "bad.hcl",
        "suite \"x\" {\n  user \"a\" {\n    home = var.usr\n    uid = var.lists.sizes[7]\n    shell = \"${var.lists}\"\n    exists = upper(\"x\")\n  }\n}\n",
    );
    let vars =
        VarSources { folder: folder.path().to_owned(), files: vec!["vars.yaml".into()], ..VarSources::default() };
    let suites = load_with(&["good.hcl".into()], folder.path(), &vars).unwrap_or_else(|e| panic!("{}", all(&e)));
    assert_eq!(suites[0].sudo, SudoChoice::Always);
    let values: Vec<&Matcher> = suites[0].checks[0].properties.iter().map(|p| &p.matcher).collect();
    let said = format!("{values:?}");
    assert!(said.contains("/srv/app-8080") && said.contains("Number(2)"), "{said}");
    let mistakes = load_with(&["bad.hcl".into()], folder.path(), &vars).expect_err("four");
    let titles: Vec<&str> = mistakes.iter().map(|m| m.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "there is no var.usr",
            "there is no var.lists.sizes.7",
            "only a text, number or boolean can stand in a text",
            "an expression instead of a value"
        ]
    );
}

#[test]
fn bombs_are_errors() {
    let deep_yaml = format!("file:\n  /x:\n    size: {}1{}", "{not: ".repeat(5000), "}".repeat(5000));
    assert!(read(Path::new("a.yaml"), deep_yaml.as_bytes()).is_err());
    let deep_hcl = format!("suite \"x\" {{\n x = {}1{}\n}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(Path::new("a.hcl"), deep_hcl.as_bytes()).is_err());
    let mut laugh = String::from("matching:\n  a: {matches: 1, content: &a0 [x, x]}\n");
    for n in 1..30 {
        let before = n - 1;
        laugh += &format!("  b{n}: {{matches: 1, content: &a{n} [*a{before}, *a{before}]}}\n");
    }
    let told = mistakes("a.yaml", &laugh);
    assert!(told.contains("too many aliases"), "{told}");
}

#[test]
fn files_from_disk_all_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).expect("written");
    write("good.hcl", SMOKE.as_bytes());
    write("bad.hcl", b"suite \"x\" {\n  fiel \"/x\" { exists = true }\n}\n");
    write("huge.yaml", &vec![b'#'; (1 << 20) + 1]);
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(load(&paths(&["good.hcl", "good.hcl"]), folder.path()).expect("both are right").len(), 2);
    let mistakes =
        load(&paths(&["bad.hcl", "none.hcl", "good.hcl", "huge.yaml", "."]), folder.path()).expect_err("four");
    let titles: Vec<&str> = mistakes.iter().map(|m| m.title.as_str()).collect();
    assert_eq!(titles, ["unknown resource \"fiel\"", "no such suite file", "larger than 1 MiB", "not a file"]);
}

mod any_text {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        /// Cut anywhere, a file is right or told to be wrong, and what is told has no control characters.
        #[test]
        fn is_survived(cut in 0..SMOKE.len(), put in "\\PC{0,4}|[\\x00-\\x1f\"{}\\[\\]]{0,4}") {
            let text = format!("{}{put}{}", &SMOKE[..cut], &SMOKE[cut..]);
            for name in ["x.hcl", "x.yaml"] {
                if let Err(mistakes) = read(Path::new(name), text.as_bytes()) {
                    prop_assert!(!mistakes.is_empty());
                    prop_assert!(!all(&mistakes).chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
                }
            }
        }
    }
}
