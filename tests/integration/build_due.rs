//! `assay build` from outside: with a stand-in for Packer that writes down how it was called, and once with the real one and the mini cloud.

use std::{
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use assay_model::ImageState;
use serde_json::Value;

use crate::{
    build::{LIGHT, LIGHT_SUITE},
    support::{
        cloud::Cloud,
        desk::{Build, Desk},
        packer::{SURROGATE, Workshop},
        repository::{Repository, git_environment},
        tools,
    },
};

const TWO: &str = r#"image "base" {
  inputs = ["packer/**"]
  build {
    template  = "packer/base.pkr.hcl"
    only      = ["amazon-ebs.*"]
    var_files = ["packer/ci.pkrvars.hcl"]
    variables = { region = "us-east-1" }
  }
}
image "tools" {
  inputs = ["tools/**"]
  build {
    template = "tools/tools.pkr.hcl"
  }
}
"#;

/// Answers `version`, writes down every other call, and tells as the post-processor would what `$TELL` says, then ends with `$END`.
const STAND_IN: &str = r#"#!/bin/sh
if [ "$1" = version ]; then echo "Packer v${PACKER_VERSION:-1.11.2}"; exit 0; fi
echo "$PWD: $*" >> "$CALLS"
echo "packer says $1"
if [ "$1" = init ]; then exit 0; fi
if [ -n "$HANG" ]; then
  trap 'echo interrupted >> "$CALLS"; exit 1' INT
  echo hanging >> "$CALLS"
  while :; do sleep 0.1; done
fi
if [ -n "$TELL" ]; then
  echo "{\"image\":null,\"run\":\"01KAQ3B6G0R8ZJ5Q2X7V9N4M01\",\"verdict\":\"$TELL\",\"amis\":[\"us-east-1:ami-0abcdef1234567890\"]}" >> "$ASSAY_OUTCOMES"
fi
case "$*" in *"${BREAK:-nothing}"*) exit 1;; esac
exit "${END:-0}"
"#;

struct Scene {
    desk: Desk,
}

fn scene(assay_hcl: &str) -> Scene {
    let files = [
        ("packer/base.pkr.hcl", "# base\n"),
        ("packer/ci.pkrvars.hcl", "# vars\n"),
        ("tools/tools.pkr.hcl", "# tools\n"),
        ("bin/packer", STAND_IN),
        (".keep", ""),
    ];
    let desk = Desk::new(assay_hcl, &files);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(desk.path("bin/packer"), mode).expect("executable");
    Scene { desk }
}

impl Scene {
    fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> std::process::Command {
        let mut command = self.desk.command(arguments);
        let path = format!("{}:{}", self.desk.path("bin").display(), std::env::var("PATH").expect("PATH"));
        command.env("PATH", path).env("CALLS", self.desk.path("../calls")).envs(variables.iter().copied());
        command
    }

    fn build(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        self.command(&[&["build"], arguments].concat(), variables).output().expect("assay runs")
    }

    /// Every call of Packer since the last time.
    fn calls(&self) -> Vec<String> {
        let path = self.desk.path("../calls");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(&path);
        let folder = format!("{}: ", self.desk.path("").display().to_string().trim_end_matches('/'));
        text.lines().map(|line| line.replace(&folder, "")).collect()
    }

    fn digest(&self, image: &str) -> String {
        let (plan, _) = self.desk.json(&["plan", "--image", image]);
        plan["images"][0]["source_digest"].as_str().expect("a digest").to_owned()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ends(output: &Output) -> Vec<String> {
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
    let images = document["images"].as_array().expect("a list").clone();
    images.iter().map(|image| format!("{}: {}", image["image"], image["end"]).replace('"', "")).collect()
}

#[test]
fn what_is_due_is_built_as_assay_hcl_says_and_nothing_due_is_green_at_once() {
    let scene = scene(TWO);
    let output = scene.build(&["--dry-run"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("  packer init packer/base.pkr.hcl\n"), "{}", text(&output.stdout));
    assert_eq!(scene.calls(), Vec::<String>::new(), "a dry run runs nothing");

    let output = scene.build(&["--", "-on-error=abort", "-timestamp-ui"], &[("TELL", "passed")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(
        scene.calls(),
        [
            "init packer/base.pkr.hcl",
            "build -color=false -only=amazon-ebs.* -var-file packer/ci.pkrvars.hcl -var region=us-east-1 \
             -on-error=abort -timestamp-ui packer/base.pkr.hcl",
            "init tools/tools.pkr.hcl",
            "build -color=false -on-error=abort -timestamp-ui tools/tools.pkr.hcl",
        ]
    );
    let said = text(&output.stdout);
    assert!(said.contains("packer says build"), "Packer's output passes through: {said}");
    assert!(
        said.contains("base   built, passed 01KAQ3B6G0R8ZJ5Q2X7V9N4M01: us-east-1:ami-0abcdef1234567890"),
        "{said}"
    );

    for (image, number) in [("base", 1), ("tools", 2)] {
        scene.desk.candidate(&Build::new(image, number, &scene.digest(image), 0), ImageState::Candidate);
    }
    scene.desk.push("Candidates");
    let output = scene.build(&[], &[("PATH", "/usr/bin:/bin")]);
    assert_eq!(output.status.code(), Some(0), "no Packer is needed: {}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("nothing is due\n"), "{}", text(&output.stdout));
    let output = scene.build(&["--image", "tools", "--force", "tools", "--format", "json"], &[("TELL", "passed")]);
    assert_eq!(ends(&output), ["tools: passed"], "stdout holds the document only");
    assert_eq!(scene.calls().len(), 2);
}

#[test]
fn exit_codes_tell_a_failed_test_from_no_verdict_and_from_a_broken_packer() {
    let scene = scene(TWO);
    let json = ["--format", "json"];
    for (variables, ended, code) in [
        (vec![("TELL", "failed"), ("BREAK", "packer/base")], ["base: failed", "tools: failed"], 2),
        (vec![("TELL", "undecided"), ("END", "1")], ["base: undecided", "tools: undecided"], 3),
        (vec![("BREAK", "packer/base")], ["base: broken", "tools: untested"], 1),
        (vec![], ["base: untested", "tools: untested"], 3),
        (vec![("TELL", "passed"), ("BREAK", "tools/tools")], ["base: passed", "tools: broken"], 1),
    ] {
        let output = scene.build(&json, &variables);
        assert_eq!((ends(&output), output.status.code()), (ended.map(str::to_owned).to_vec(), Some(code)));
        assert_eq!(scene.calls().len(), 4, "one image's failure does not keep the other");
    }
    let output = scene.build(&[], &[("PACKER_VERSION", "1.6.6")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("is Packer 1.6; at least 1.7 is needed"), "{}", text(&output.stderr));
    assert_eq!(scene.calls().len(), 0);
    let output = scene.build(&["--packer", "no-such-packer"], &[]);
    assert!(text(&output.stderr).contains("install Packer"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn mistakes_are_told_before_anything_is_built() {
    let scene = scene(
        "image \"base\" {\n  build {\n    template  = \"packer/none.pkr.hcl\"\n    var_files = [\"none.pkrvars.hcl\"]\n  }\n}\nimage \"tools\" {\n}\n",
    );
    let output = scene.build(&[], &[]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("assay.hcl:1: image \"base\": build.template: packer/none.pkr.hcl: No such file"), "{said}");
    assert!(said.contains("build.var_files: none.pkrvars.hcl: No such file"), "{said}");
    let output = scene.build(&["--image", "tools"], &[]);
    assert!(
        text(&output.stderr).contains("assay.hcl:7: image \"tools\": build: is missing"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(scene.calls(), Vec::<String>::new());
}

#[test]
fn an_interrupt_is_handed_on_to_packer_and_its_end_is_waited_for() {
    let scene = scene(TWO);
    for signal in ["INT", "TERM"] {
        let mut command = scene.command(&["build", "--format", "json"], &[("HANG", "1")]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("assay runs");
        let started = Instant::now();
        while !std::fs::read_to_string(scene.desk.path("../calls")).unwrap_or_default().contains("hanging") {
            assert!(started.elapsed() < Duration::from_secs(60), "Packer was never started");
            std::thread::sleep(Duration::from_millis(20));
        }
        let pid = rustix::process::Pid::from_child(&child);
        let number = if signal == "INT" { rustix::process::Signal::INT } else { rustix::process::Signal::TERM };
        rustix::process::kill_process(pid, number).expect("it is there");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!((output.status.code(), output.status.signal()), (Some(3), None), "{}", text(&output.stderr));
        assert_eq!(ends(&output), ["base: undecided", "tools: cancelled"]);
        let calls = scene.calls();
        assert_eq!(calls.iter().filter(|call| *call == "interrupted").count(), 1, "{calls:?}");
    }
}

/// Waits until a file holds a whole line; the numbers in it.
fn numbers(path: &std::path::Path) -> Vec<i32> {
    let started = Instant::now();
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.ends_with('\n') {
            return text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        }
        assert!(started.elapsed() < Duration::from_secs(120), "{} was never written", path.display());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_running(process: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().is_empty() && !rest.trim_start().starts_with('Z'))
}

/// What is started as Packer is a wrapper that ignores SIGINT, with Packer itself below it: a stand-in cannot show what becomes of that. Nor does Packer go on alone where
/// assay is killed.
#[test]
fn a_real_packer_ends_when_assay_is_interrupted_or_killed() {
    use rustix::process::{Pid, Signal, kill_process};
    let packer = tools::packer("recent").display().to_string();
    let marks = tempfile::tempdir().expect("a folder");
    for (signal, code) in
        [(Signal::INT, Some(3)), (Signal::TERM, Some(3)), (Signal::HUP, Some(3)), (Signal::KILL, None)]
    {
        let mark = marks.path().join(format!("mark-{}", signal.as_raw()));
        let template = format!(
            "source \"null\" \"base\" {{\n  communicator = \"none\"\n}}\nbuild {{\n  sources = [\"source.null.base\"]\n  provisioner \"shell-local\" {{\n    \
             inline = [\"echo $$ $PPID > {}\", \"sleep 120\"]\n  }}\n}}\n",
            mark.display()
        );
        let assay_hcl =
            "image \"base\" {\n  inputs = [\"packer/**\"]\n  build {\n    template = \"packer/base.pkr.hcl\"\n  }\n}\n";
        let desk = Desk::new(assay_hcl, &[("packer/base.pkr.hcl", &template)]);
        let mut command = desk.command(&["build", "--packer", &packer]);
        command.env("CHECKPOINT_DISABLE", "1").env("PACKER_CONFIG_DIR", marks.path()).env("HOME", marks.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("assay runs");
        let started = numbers(&mark);
        kill_process(Pid::from_child(&child), signal).expect("it is there");
        let asked = Instant::now();
        assert_eq!(child.wait().expect("it ends").code(), code, "{signal:?}");
        while started.iter().any(|process| is_running(*process)) {
            assert!(asked.elapsed() < Duration::from_secs(60), "{signal:?}: {started:?} go on");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(asked.elapsed() < Duration::from_secs(60), "{signal:?}: Packer went on to its end");
    }
}

/// An image whose template only hands over `ami`.
fn declared(image: &str, folder: &str, ami: &str) -> String {
    format!(
        "image \"{image}\" {{\n  inputs = [\"{folder}/**\", \"light.hcl\"]\n  build {{\n    template  = \"{folder}/{folder}.pkr.hcl\"\n    variables = {{ ami = \"us-east-1:{ami}\" }}\n  }}\n}}\n"
    )
}

/// Two images that do not know each other are due at once: built in one go, committed in one go.
#[test]
fn a_real_packer_builds_and_after_the_commit_nothing_is_due() {
    let cloud = Cloud::start();
    let mut workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", LIGHT_SUITE);
    let mut amis = Vec::new();
    let mut assay_hcl = String::new();
    for image in ["one", "two"] {
        let template = SURROGATE.replace("@SETTINGS@", LIGHT).replace("\"base\"", &format!("\"{image}\""));
        let template = template.replace("minisurrogate.base", &format!("minisurrogate.{image}"));
        workshop.write(
            &format!("{image}/{image}.pkr.hcl"),
            &template.replace("build/reports", &format!("build/reports/{image}")),
        );
        let ami = cloud.own_image("light", "us-east-1", image);
        assay_hcl.push_str(&declared(image, image, &ami));
        amis.push(ami);
    }
    workshop.write("assay.hcl", &assay_hcl);
    let _repository = Repository::publish(workshop.path(), &cloud.path("remote.git"));
    for (key, value) in git_environment(workshop.path()) {
        workshop.set(&key, &value);
    }
    let packer = tools::packer("recent");
    let build = ["build", "--packer", packer.to_str().expect("UTF-8"), "--format", "json"];
    let output = workshop.assay(&build);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(ends(&output), ["one: passed", "two: passed"]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (built, ami) in document["images"].as_array().expect("images").iter().zip(&amis) {
        assert_eq!(built["amis"][0], format!("us-east-1:{ami}").as_str());
        assert_eq!(cloud.image(ami)["tags"]["assay:run"], built["run"]);
    }

    let committed = workshop.assay(&["commit", "--manifest", "build/manifest.json", "--all-runs"]);
    assert!(committed.status.success(), "{}", text(&committed.stderr));
    assert_eq!(text(&committed.stdout).matches("made annotated tag").count(), 2, "{}", text(&committed.stdout));
    let again = workshop.assay(&build);
    assert_eq!(
        (ends(&again), again.status.code()),
        (vec!["one: not-due".to_owned(), "two: not-due".to_owned()], Some(0))
    );

    // An image that cannot be reached: no verdict, and not a broken build.
    let away = cloud.own_image("light", "us-east-1", "away");
    cloud.unreachable(&away);
    let variable = format!("ami=us-east-1:{away}");
    let template = workshop.read("one/one.pkr.hcl");
    let quick = template.replace("post-processor \"assay\" {", "post-processor \"assay\" {\n    ssh_timeout = \"5s\"");
    assert_ne!(quick, template);
    workshop.write("one/one.pkr.hcl", &quick);
    let output = workshop.assay(&[&build[..], &["--", "-var", &variable]].concat());
    let wanted = vec!["one: undecided".to_owned(), "two: not-due".to_owned()];
    assert_eq!((ends(&output), output.status.code()), (wanted, Some(3)), "{}", text(&output.stderr));
    cloud.wait_until_clean(10);
}
