//! The program as a shell sees it: exit codes, what stands on stdout, readers that go away.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

fn assay() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
    command.env_remove("ASSAY_LOG").env_remove("NO_COLOR").env_remove("PACKER_PLUGIN_PATH");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    assay().current_dir(folder).args(arguments).output().expect("assay runs")
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

const SUITE: &str = "suite \"smoke\" {\n  file \"/etc/passwd\" {\n    exists = true\n  }\n}\n";
const ASSAY_HCL: &str = "image \"base\" {\n  suites {\n    candidate = [\"smoke.hcl\"]\n  }\n}\n";

#[test]
fn the_version_is_one_line_on_stdout() {
    let output = assay().arg("--version").output().expect("assay runs");
    assert_eq!(output.status.code(), Some(0));
    // Which target it was built for, and in a release of which commit.
    let said = String::from_utf8_lossy(&output.stdout);
    let rest = said.strip_prefix(&format!("assay {} (", env!("CARGO_PKG_VERSION"))).expect("the version");
    assert!(
        rest.ends_with(&format!("{}-unknown-linux-gnu)\n", std::env::consts::ARCH)) && rest.lines().count() == 1,
        "{said}"
    );
    assert!(output.stderr.is_empty());
    let short = assay().arg("-V").output().expect("assay runs");
    assert_eq!(String::from_utf8_lossy(&short.stdout), format!("assay {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_exit_1_and_says_nothing_on_stdout() {
    for arguments in [&["validate", "--ami", "nonsense"][..], &["--nosuch"], &["promote"], &[]] {
        let output = assay().args(arguments).output().expect("assay runs");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in [&["completions", "bash"][..], &["man"], &["--help"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = assay()
            .args(arguments)
            .stdout(Stdio::from(writer))
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .expect("assay runs");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let full = File::options().write(true).open("/dev/full").expect("/dev/full: a Linux device");
    let output = assay().args(["completions", "bash"]).stdout(Stdio::from(full)).output().expect("assay runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: cannot write to stdout"));
}

#[test]
fn lint_ends_with_0_1_or_6() {
    let good = folder(&[("assay.hcl", ASSAY_HCL), ("smoke.hcl", SUITE)]);
    let output = run(good.path(), &["lint"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("assay.hcl: no mistakes\n"));

    let bad = folder(&[("assay.hcl", "ownr = \"a\"\nimage \"base\" {\n  max_age = \"x\"\n}\n")]);
    let output = run(bad.path(), &["lint", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let lines: Vec<&Value> =
        document["errors"].as_array().expect("errors").iter().map(|error| &error["line"]).collect();
    assert_eq!(lines, [1, 3]);
    assert_eq!(document["errors"][0]["file"], "assay.hcl");

    let nothing = folder(&[]);
    assert_eq!(run(nothing.path(), &["lint"]).status.code(), Some(6));
}

#[test]
fn errors_are_coloured_only_when_asked() {
    let nothing = folder(&[]);
    let plain = run(nothing.path(), &["lint"]).stderr;
    assert!(plain.starts_with(b"error: "), "{}", String::from_utf8_lossy(&plain));
    let coloured = run(nothing.path(), &["lint", "--color", "always"]).stderr;
    assert!(coloured.starts_with(b"\x1b["), "{}", String::from_utf8_lossy(&coloured));
}

#[test]
fn packer_install_installs_this_program() {
    let root = folder(&[]);
    let target = root.path().join("plugins");
    let output = assay()
        .args(["packer", "install", "--legacy", "--format", "json"])
        .env("PACKER_PLUGIN_PATH", &target)
        .output()
        .expect("assay runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let written: Vec<&str> = document["written"].as_array().expect("paths").iter().filter_map(Value::as_str).collect();
    let program = fs::read(env!("CARGO_BIN_EXE_assay")).expect("the program");
    assert!(
        written[0].starts_with(target.join("github.com/assay/assay/packer-plugin-assay_v").to_str().expect("plain"))
    );
    assert!(fs::read(written[0]).expect("the plugin") == program, "another program was installed");
    assert_eq!(format!("{}_SHA256SUM", written[0]), written[1]);
    let sum = fs::read_to_string(written[1]).expect("the sum");
    assert_eq!(format!("sha256:{sum}"), assay_model::Digest::of(&program).as_str());
    assert_eq!(Path::new(written[2]), target.join("packer-plugin-assay"));
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let folder = folder(&[]);
    let output = run(folder.path(), &["man", "--dir", "man"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let commands = commands(folder.path(), &[]);
    assert!(commands.len() >= 20, "{commands:?}");
    for command in commands {
        let page = format!("assay-{}.1", command.join("-"));
        assert!(folder.path().join("man").join(&page).is_file(), "{page}");
    }
    assert!(folder.path().join("man/assay.1").is_file());
}

/// Every command that `--help` lists, with those below it.
fn commands(folder: &Path, above: &[String]) -> Vec<Vec<String>> {
    let mut arguments: Vec<&str> = above.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = String::from_utf8(run(folder, &arguments).stdout).expect("text");
    let Some((_, listed)) = help.split_once("Commands:\n") else { return Vec::new() };
    let mut found = Vec::new();
    for line in listed.lines().take_while(|line| line.starts_with("  ")) {
        // A line of a longer description is indented further.
        let Some(name) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) else { continue };
        let name = name.split_whitespace().next().expect("a name");
        if name == "help" {
            continue;
        }
        let command: Vec<String> = above.iter().cloned().chain([name.to_owned()]).collect();
        found.extend(commands(folder, &command));
        found.push(command);
    }
    found
}
