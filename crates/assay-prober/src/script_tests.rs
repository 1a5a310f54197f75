//! The script itself: its text, and what each shell makes of it, without SSH.

use std::{
    collections::BTreeMap,
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::*;
use crate::questions::quote;
use crate::{evaluate::evaluate, frames::AnswerFrames};
use assay_model::CheckOutcome::{self, Failed, Passed, Skipped, Undecided};
use assay_suite::{Suite, load};

pub(super) fn suite(text: &str) -> Suite {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.hcl");
    std::fs::write(&path, text).expect("written");
    load(&[path], Path::new("/")).unwrap_or_else(|e| panic!("{}", e[0])).remove(0)
}

pub(super) fn questions(suite: &Suite) -> Vec<ScriptQuestion<'_>> {
    (0..).zip(&suite.checks).map(|(index, check)| ScriptQuestion { index, check, sudo: suite.sudo }).collect()
}

/// One way to run sh.
pub(super) struct Shell {
    pub(super) name: &'static str,
    pub(super) command: Command,
    /// Holds the tools, where they are the shell's own.
    _tools: Option<tempfile::TempDir>,
}

/// dash, bash in POSIX mode, two Korn shells, and busybox with busybox's own tools before all others.
pub(super) fn shells() -> Vec<Shell> {
    let found = |paths: &[&str], package: &str| {
        let path = paths.iter().map(PathBuf::from).find(|p| p.exists());
        path.unwrap_or_else(|| panic!("this test needs {package}: apt-get install {package}"))
    };
    let dash = Command::new(found(&["/bin/dash", "/usr/bin/dash"], "dash"));
    let mut bash = Command::new(found(&["/bin/bash", "/usr/bin/bash"], "bash"));
    bash.arg("--posix");
    let busybox = found(&["/bin/busybox", "/usr/bin/busybox"], "busybox");
    let tools = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(tools.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
    for tool in [
        "sh",
        "base64",
        "od",
        "head",
        "cat",
        "stat",
        "readlink",
        "timeout",
        "grep",
        "id",
        "md5sum",
        "sha256sum",
        "sha512sum",
        "test",
        "sleep",
        "dd",
        "sed",
        "ip",
        "nc",
        "tee",
        "wget",
    ] {
        std::os::unix::fs::symlink(&busybox, tools.path().join(tool)).expect("linked");
    }
    let mut ash = Command::new(busybox);
    ash.arg("sh").env("PATH", tools.path());
    let korn = |name: &'static str, package: &str| {
        Command::new(found(&[&format!("/bin/{name}"), &format!("/usr/bin/{name}")], package))
    };
    vec![
        Shell { name: "dash", command: dash, _tools: None },
        Shell { name: "bash --posix", command: bash, _tools: None },
        Shell { name: "mksh", command: korn("mksh", "mksh"), _tools: None },
        Shell { name: "ksh", command: korn("ksh", "ksh93u+m"), _tools: None },
        Shell { name: "busybox sh", command: ash, _tools: Some(tools) },
    ]
}

/// What `shell` answers to `script`, and that it ended as it should.
pub(super) fn answers(shell: &mut Command, script: &str) -> AnswerFrames {
    let mut child = shell
        .arg("-s")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the shell starts");
    child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(DONE), "{}", String::from_utf8_lossy(&output.stderr));
    let mut frames = AnswerFrames::new("nonce");
    frames.feed(&output.stdout);
    assert!(frames.broken.is_empty() && frames.noise.is_empty(), "{frames:?}");
    frames
}

#[test]
fn a_host_tells_its_facts_in_every_shell() {
    for mut shell in shells() {
        let frames = answers(&mut shell.command, &facts("nonce"));
        assert_eq!(frames.end, Some(2), "{}", shell.name);
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("Linux");
        assert_eq!(frames.answers[&0].text('b').as_deref(), Some(boot.trim()), "{}", shell.name);
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        assert_eq!(frames.answers[&0].text('m').as_deref(), Some(machine.trim()), "{}", shell.name);
        assert!(frames.answers[&0].word('t').is_some_and(|t| t == "0" || t == "1"), "{}", shell.name);
        assert!(frames.answers[&1].word('x').is_some(), "{}", shell.name);
    }
}

/// Every property's outcome by `id property`.
pub(super) fn outcomes(suite: &Suite, frames: &AnswerFrames) -> BTreeMap<String, (CheckOutcome, String)> {
    assert_eq!(frames.end, Some(suite.checks.len()));
    let mut all = BTreeMap::new();
    for (index, check) in (0..).zip(&suite.checks) {
        let frame = frames.answers.get(&index).unwrap_or_else(|| panic!("{} {}", check.resource, check.id));
        for (property, judged) in check.properties.iter().zip(evaluate(check, frame)) {
            let what = format!("{} {} {}", check.resource, check.id, property.name);
            all.insert(what, (judged.outcome, format!("{} {}", judged.actual, judged.message)));
        }
    }
    all
}

/// Asks the suite of thirty checks through `prepare` in every shell, and compares.
fn thirty_everywhere(prepare: impl Fn(String) -> String) {
    for mut shell in shells() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("it's a file"), "one\ntwo\n").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).expect("linked");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let text = include_str!("fixtures/thirty.hcl")
            .replace("@DIR@", &folder.path().display().to_string())
            .replace("@PORT@", &port.to_string());
        let suite = suite(&text);
        let frames = answers(&mut shell.command, &prepare(checks("nonce", &questions(&suite))));
        for (what, (outcome, told)) in outcomes(&suite, &frames) {
            let wanted = match what.as_str() {
                w if w.starts_with("file /nowhere") && !w.ends_with("exists") => Skipped,
                w if w.starts_with("service ") || w.starts_with("systemd ") || w.starts_with("cloud-init ") => continue,
                // No sshd here: it is what the other test of these checks is about.
                "process sshd running" => continue,
                w if w.contains("WRONG") => Failed,
                _ => Passed,
            };
            assert_eq!(outcome, wanted, "{}: {what}: {told}", shell.name);
        }
    }
}

#[test]
fn every_shell_gives_the_same_answers() {
    thirty_everywhere(|script| script);
}

#[test]
fn a_path_below_somebodys_home() {
    let suite = suite(
        r#"suite "x" {
          file "~root" {
            exists   = true
            filetype = "directory"
          }
          file "~root/no such file" { exists = false }
          file "~daemon/../../etc/passwd" { exists = true }
          file "~no-such-user-'$(id)'/x" { exists = false }
        }"#,
    );
    for mut shell in shells() {
        for (what, (outcome, told)) in
            outcomes(&suite, &answers(&mut shell.command, &checks("nonce", &questions(&suite))))
        {
            assert_eq!(outcome, Passed, "{}: {what}: {told}", shell.name);
        }
    }
}

#[test]
fn without_base64_and_timeout_it_works_too() {
    thirty_everywhere(|script| {
        let poorer = script
            .replace("command -v base64", "command -v no-base64-here")
            .replace("if timeout -k 1 9 true", "if false")
            .replace("elif timeout 9 true", "elif false");
        assert_ne!(poorer, script);
        poorer
    });
}

#[test]
fn without_timeout_time_ends_too() {
    let text = r#"suite "x" {
      timeout = "1s"
      command "sleep 30" { exit-status = 0 }
      command "yes" { stdout = ["y"] }
      command "true" { exit-status = 0 }
    }"#;
    let suite = suite(text);
    for mut shell in shells() {
        let script = checks("nonce", &questions(&suite))
            .replace("if timeout -k 1 9 true", "if false")
            .replace("elif timeout 9 true", "elif false");
        let found: Vec<CheckOutcome> =
            outcomes(&suite, &answers(&mut shell.command, &script)).into_values().map(|(o, _)| o).collect();
        // In the order of the names: sleep, true, yes.
        assert_eq!(found, [Undecided, Passed, Undecided], "{}", shell.name);
    }
}

#[test]
fn what_a_user_may_not_see_is_not_said_to_be_absent() {
    if !crate::sshd::is_root() {
        // Only root can become somebody who may see less.
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).expect("made");
    std::fs::write(closed.join("file"), "x").expect("written");
    std::fs::write(folder.path().join("secret"), "x").expect("written");
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    mode(folder.path(), 0o755);
    mode(&closed, 0o700);
    mode(&folder.path().join("secret"), 0o600);
    let at = folder.path().display();
    let suite = suite(&format!(
        r#"suite "x" {{
          sudo = false
          file "{at}/closed/file" {{ exists = true }}
          file "{at}/closed/nothing/at/all" {{ exists = false }}
          file "{at}/nothing/at/all" {{ exists = false }}
          file "{at}/secret" {{
            exists   = true
            mode     = "0600"
            contents = ["x"]
            sha256   = {{ have-len = 64 }}
          }}
        }}"#
    ));
    for mut shell in shells() {
        shell.command.uid(65534).gid(65534);
        let found: Vec<CheckOutcome> =
            outcomes(&suite, &answers(&mut shell.command, &checks("nonce", &questions(&suite))))
                .into_values()
                .map(|(o, _)| o)
                .collect();
        // closed/file, closed/nothing, nothing, secret: contents, exists, mode, sha256.
        assert_eq!(found, [Undecided, Undecided, Passed, Undecided, Passed, Passed, Undecided], "{}", shell.name);
    }
}

#[test]
fn a_link_into_a_folder_that_is_closed_hides_what_is_behind_it() {
    if !crate::sshd::is_root() {
        // Only root can become somebody who may see less.
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let closed = folder.path().join("closed");
    std::fs::create_dir_all(closed.join("www")).expect("made");
    std::fs::write(closed.join("www/file"), "x").expect("written");
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, folder.path().join(at)).expect("linked");
    link("closed/www", "relative");
    link(&closed.join("www").display().to_string(), "absolute");
    link("nowhere/at/all", "dangling");
    link("circle", "circle");
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    mode(folder.path(), 0o755);
    mode(&closed, 0o700);
    let at = folder.path().display();
    let suite = suite(&format!(
        r#"suite "x" {{
          sudo = false
          file "{at}/absolute/file" {{ exists = false }}
          file "{at}/circle/file" {{ exists = false }}
          file "{at}/dangling/file" {{ exists = false }}
          file "{at}/relative/deep/file" {{ exists = false }}
        }}"#
    ));
    for mut shell in shells() {
        shell.command.uid(65534).gid(65534);
        let found: Vec<CheckOutcome> =
            outcomes(&suite, &answers(&mut shell.command, &checks("nonce", &questions(&suite))))
                .into_values()
                .map(|(o, _)| o)
                .collect();
        // absolute, circle, dangling, relative.
        assert_eq!(found, [Undecided, Passed, Passed, Undecided], "{}", shell.name);
    }
}

#[test]
fn a_file_whose_reading_fails_has_no_contents() {
    let text = r#"suite "x" {
      file "/proc/self/mem" {
        contents = ["!x"]
        exists   = true
      }
    }"#;
    let suite = suite(text);
    for mut shell in shells() {
        let found = outcomes(&suite, &answers(&mut shell.command, &checks("nonce", &questions(&suite))));
        let (outcome, told) = &found["file /proc/self/mem contents"];
        assert!(*outcome == Undecided && told.contains("status 1"), "{}: {outcome:?} {told}", shell.name);
    }
}

#[test]
fn a_port_at_the_end_of_a_long_list_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = |n: usize| {
        format!(
            "{n:4}: 00000000:{:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 {n} 1 0 100 0 0 10 0\n",
            n + 1000
        )
    };
    let table: String = (0..3000).map(line).collect();
    assert!(table.len() > 200_000);
    std::fs::write(folder.path().join("tcp"), table).expect("written");
    let suite = suite(
        r#"suite "x" {
          port "tcp:3999" { listening = true }
          port "tcp:4000" { listening = false }
          port "tcp:1000" {
            listening = true
            ip        = ["0.0.0.0"]
          }
        }"#,
    );
    for mut shell in shells() {
        let script =
            checks("nonce", &questions(&suite)).replace("/proc/net/", &format!("{}/", folder.path().display()));
        for (what, (outcome, told)) in outcomes(&suite, &answers(&mut shell.command, &script)) {
            assert_eq!(outcome, Passed, "{}: {what}: {told}", shell.name);
        }
    }
}

#[test]
fn a_script_that_is_cut_off_runs_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite =
        suite(&format!("suite \"x\" {{\ncommand \"touch {}/ran\" {{ exit-status = 0 }}\n}}", folder.path().display()));
    let script = checks("nonce", &questions(&suite));
    for mut shell in shells() {
        let mut child = shell
            .command
            .arg("-s")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the shell starts");
        let cut = script.len() - "}\n".len();
        child.stdin.take().expect("piped").write_all(&script.as_bytes()[..cut]).expect("it reads");
        assert!(!child.wait().expect("it ends").success(), "{}", shell.name);
        assert!(!folder.path().join("ran").exists(), "{}", shell.name);
    }
}

/// A busybox may have an od that knows neither -A nor -N.
#[test]
fn an_od_without_options_costs_no_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let od = folder.path().join("od");
    std::fs::write(&od, "#!/bin/sh\necho 'usage: od [-aBbcDdeFfHhIiLlOosvXx] [FILE]' >&2\nexit 1\n").expect("written");
    std::fs::set_permissions(&od, std::fs::Permissions::from_mode(0o755)).expect("set");
    let suite = suite(
        r#"suite "x" {
          command "echo error; echo wrong >&2; exit 3" {
            exit-status = 3
            stdout      = ["error"]
            stderr      = ["wrong"]
          }
        }"#,
    );
    for mut shell in shells().into_iter().filter(|shell| !shell.name.starts_with("busybox")) {
        let path = std::env::var("PATH").expect("PATH");
        shell.command.env("PATH", format!("{}:{path}", folder.path().display()));
        for (what, (outcome, told)) in
            outcomes(&suite, &answers(&mut shell.command, &checks("nonce", &questions(&suite))))
        {
            assert_eq!(outcome, Passed, "{}: {what}: {told}", shell.name);
        }
    }
}

#[test]
fn quoting_keeps_every_character() {
    for text in ["it's", "''", "$HOME `id` \"x\" \\ * ~ ! #", "a\nb", "-n", "\u{1b}[31m"] {
        let output = Command::new("sh").arg("-c").arg(format!("printf '%s' {}", quote(text))).output().expect("sh");
        assert_eq!(String::from_utf8(output.stdout).expect("text"), text);
    }
}

#[test]
fn the_questions_of_a_small_suite() {
    let suite = suite(
        r#"suite "small" {
          timeout = "2500ms"
          command "echo 'a' && exit 3" { exit-status = 3 }
          file "/etc/it's" {
            exists   = true
            contents = ["x"]
            sha256   = "00"
          }
          package "bash" { installed = true }
          service "ssh" { running = true }
          port "udp6:53" { listening = true }
          port "22" { listening = true }
          user "root" { groups = ["root"] }
          user "daemon" { uid = 1 }
          process "a-very-long-process-name" { running = true }
          cloud-init "x" { finished = true }
          systemd "x" { failed = [] }
        }"#,
    );
    let script = checks("nonce", &questions(&suite));
    assert!(script.starts_with("{\nN=nonce\n") && script.contains(PRELUDE));
    insta::assert_snapshot!(script.replace(PRELUDE, "(prelude.sh)"));
}
