//! External suites through `assay probe`: real testinfra and real goss against a real OpenSSH server; InSpec and RSpec as programs of ours that take the same flags
//! and write the same reports, since neither can be installed here.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::sshd::Sshd;

const ASSAY: &str = env!("CARGO_BIN_EXE_assay");

/// Runs `assay probe` on `sshd` with a suite file in `folder`; programs are looked for in `programs` first. Returns the exit code and what it printed as JSON.
fn probe(sshd: &Sshd, folder: &Path, suite: &str, programs: &Path) -> (i32, Value) {
    fs::write(folder.join("suite.hcl"), suite).expect("written");
    fs::write(folder.join("key"), &sshd.client_key).expect("written");
    fs::set_permissions(folder.join("key"), fs::Permissions::from_mode(0o600)).expect("private");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("PATH"));
    let output = Command::new(ASSAY)
        .current_dir(folder)
        .env("PATH", path)
        .args(["probe", "--host", &format!("{}@{}", sshd.user, sshd.address), "--host-key", &sshd.host_key])
        .args(["--key", "key", "--suite", "suite.hcl", "--format", "json"])
        .output()
        .expect("assay");
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let json = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{complaint}"));
    (output.status.code().expect("an exit code"), json)
}

/// The checks of a suite, as `resource id: outcome`.
fn checks(result: &Value, suite: &str) -> Vec<String> {
    let all = result["targets"][0]["checks"].as_array().expect("checks");
    let mine = all.iter().filter(|c| c["suite"] == suite);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    mine.map(|c| format!("{} {}: {}", text(&c["resource"]), text(&c["id"]), text(&c["outcome"]))).collect()
}

/// A folder with the program where the user that suites run as may read it: as root that is nobody, and the tools stand in a home that is closed to it.
fn readable(tool: &str, cure: &str, into: &Path) -> PathBuf {
    assert!(
        crate::support::tools::folder().join(tool).exists(),
        "this test needs {}: {cure}",
        crate::support::tools::folder().join(tool).display()
    );
    fs::set_permissions(into, fs::Permissions::from_mode(0o755)).expect("readable");
    let (from, name) = (crate::support::tools::folder().join(tool), Path::new(tool).file_name().expect("a name"));
    let copied = |from: &Path, to: &Path| {
        let status = Command::new("cp").arg("-rL").args([from, to]).status().expect("cp");
        assert!(status.success(), "cp {}", from.display());
        let status = Command::new("chmod").args(["-R", "a+rX"]).arg(to).status().expect("chmod");
        assert!(status.success(), "chmod {}", to.display());
    };
    if tool.starts_with("python/") {
        // A virtual environment's programs name its interpreter by an absolute path.
        let lib = crate::support::tools::folder().join("python/lib");
        let version = fs::read_dir(&lib).expect("a folder").next().expect("a Python").expect("an entry").path();
        copied(&version.join("site-packages"), &into.join("packages"));
        let script = format!("PYTHONPATH={} exec python3 -m pytest \"$@\"\n", into.join("packages").display());
        stand_in(into, &name.to_string_lossy(), &script);
    } else {
        copied(&from, &into.join(name));
    }
    into.to_owned()
}

const TESTINFRA: &str = "
def test_passwd(host):
    assert host.file('/etc/passwd').exists

def test_not_there(host):
    assert host.file('/nosuch').exists

def test_no_credentials(host):
    import os
    assert not [n for n in os.environ if n.startswith('AWS_') or 'TOKEN' in n]
";

#[test]
fn testinfra_is_merged_into_the_report() {
    let place = tempfile::tempdir().expect("a folder");
    let programs = readable("python/bin/pytest", "scripts/tools python", place.path());
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    fs::create_dir(folder.path().join("tests")).expect("made");
    fs::write(folder.path().join("tests/test_base.py"), TESTINFRA).expect("written");
    let suite = "external \"ui\" {\n preset = \"testinfra\"\n path = \"tests\"\n}\nsuite \"own\" {\n file \"/etc/passwd\" { exists = true }\n}\n";
    let (exit, result) = probe(&sshd, folder.path(), suite, &programs);
    assert_eq!(exit, 2, "{result:#}");
    let seen = checks(&result, "ui");
    assert_eq!(seen[0], "external ui: failed", "{result:#}");
    assert_eq!(seen.iter().filter(|c| c.ends_with(": passed")).count(), 2, "{seen:?}");
    let failed: Vec<_> = seen.iter().filter(|c| c.contains("test_not_there") && c.ends_with(": failed")).collect();
    assert_eq!(failed.len(), 1, "{seen:?}");
    assert_eq!(checks(&result, "own"), ["file /etc/passwd: passed"]);
}

#[test]
fn goss_runs_on_the_host_and_its_results_come_back() {
    let place = tempfile::tempdir().expect("a folder");
    let programs = readable("bin/goss", "scripts/tools", place.path());
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let goss = "file:\n  /etc/passwd:\n    exists: true\n    mode: \"0644\"\n  /nosuch:\n    exists: false\n";
    fs::write(folder.path().join("goss.yaml"), goss).expect("written");
    let suite = "external \"goss\" {\n preset = \"goss\"\n path = \"goss.yaml\"\n}\n";
    let (exit, result) = probe(&sshd, folder.path(), suite, &programs);
    let mut seen = checks(&result, "goss");
    assert_eq!((exit, seen.remove(0)), (0, "external goss: passed".to_owned()), "{result:#}");
    seen.sort();
    assert_eq!(
        seen,
        [
            "goss file /etc/passwd exists: passed",
            "goss file /etc/passwd mode: passed",
            "goss file /nosuch exists: passed"
        ]
    );
}

/// A program that takes another's flags, logs in by the ssh_config it is given, and writes its report.
fn stand_in(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("readable");
}

const INSPEC: &str = r#"
for a; do case $a in --reporter=json:*) r=${a#*json:} ;; --ssh-config-file=*) c=${a#*=} ;; esac; done
[ "$1" = exec ] && [ -e "$2/inspec.yml" ] || exit 1
who=$(ssh -F "$c" target id -un) || exit 1
printf '{"profiles":[{"name":"p","status":"loaded","controls":[{"id":"c1","results":[{"status":"passed","code_desc":"login as %s","run_time":0.1}]}]}]}' "$who" >"$r"
exit 0
"#;

const RSPEC: &str = r#"
while [ $# -gt 1 ]; do [ "$1" = --out ] && r=$2; shift; done
[ "$TARGET_HOST" = target ] || exit 1
echo '{"examples":[{"full_description":"Port 99","status":"failed","run_time":0.1,"exception":{"message":"expected listening"}}],"summary":{}}' >"$r"
exit 1
"#;

#[test]
fn inspec_and_serverspec_get_their_flags_and_a_login_of_another_user() {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let programs = tempfile::tempdir().expect("a folder");
    stand_in(programs.path(), "inspec", INSPEC);
    stand_in(programs.path(), "rspec", RSPEC);
    fs::create_dir(folder.path().join("profile")).expect("made");
    fs::write(folder.path().join("profile/inspec.yml"), "name: p\n").expect("written");
    let suite = "external \"inspec\" {\n preset = \"inspec\"\n path = \"profile\"\n}\nexternal \"spec\" {\n preset = \"serverspec\"\n path = \"profile\"\n}\n";
    let (exit, result) = probe(&sshd, folder.path(), suite, programs.path());
    assert_eq!(exit, 2, "{result:#}");
    let login = format!("inspec c1: login as {}: passed", sshd.user);
    assert_eq!(checks(&result, "inspec"), ["external inspec: passed".to_owned(), login]);
    assert_eq!(checks(&result, "spec"), ["external spec: failed", "serverspec Port 99: failed"]);
}

#[test]
fn a_signal_no_report_and_no_tests_are_no_pass() {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    for (script, why) in [
        ("kill -9 $$", "signal 9"),
        ("true", "wrote no report"),
        ("echo '<testsuites/>' > $ASSAY_REPORT", "no test that passed or failed"),
        ("echo '<testsuite><testcase name=\\\"a\\\"/>' > $ASSAY_REPORT", "cannot be read"),
        ("echo '<testsuite><testcase name=\\\"a\\\"/></testsuite>' > $ASSAY_REPORT; exit 3", "exit status 3"),
    ] {
        let suite = format!("external \"x\" {{\n command = [\"{script}\"]\n}}\n");
        let (exit, result) = probe(&sshd, folder.path(), &suite, Path::new("/bin"));
        assert_eq!(exit, 3, "{script}: {result:#}");
        assert_eq!(result["verdict"], "undecided");
        let message = result["targets"][0]["checks"][0]["message"].as_str().expect("a message");
        assert!(message.contains(why), "{script}: {message}");
    }
    let suite = "external \"x\" {\n path = \"nosuch\"\n command = [\"true\"]\n}\n";
    fs::write(folder.path().join("suite.hcl"), suite).expect("written");
    let output = Command::new(ASSAY)
        .current_dir(folder.path())
        .args(["probe", "--host", &format!("{}@{}", sshd.user, sshd.address), "--key", "key", "--suite", "suite.hcl"])
        .output()
        .expect("assay");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("suite.hcl:1") && complaint.contains("nosuch"), "{complaint}");
}
