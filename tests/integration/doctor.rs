//! `assay doctor`: every line from a world in which it is so.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{
    cloud::Cloud,
    packer::Workshop,
    repository::{Repository, git_environment},
    tools,
};

struct Surgery {
    cloud: Cloud,
    workshop: Workshop,
    remote: PathBuf,
}

/// A clone with Packer in its PATH, everything as it should be.
fn healthy() -> Surgery {
    let cloud = Cloud::start();
    let mut workshop = Workshop::new(&cloud);
    let remote = cloud.path("remote.git");
    Repository::publish(workshop.path(), &remote);
    for (key, value) in git_environment(workshop.path()) {
        workshop.set(&key, &value);
    }
    let bin = tools::packer("recent").parent().expect("a folder").display().to_string();
    workshop.set("PATH", &format!("{bin}:{}", std::env::var("PATH").expect("PATH")));
    Surgery { cloud, workshop, remote }
}

impl Surgery {
    /// Exit code and findings as `about level found`.
    fn look(&self, more: &[&str]) -> (Option<i32>, Vec<String>) {
        let mut arguments = vec!["doctor", "--format", "json"];
        arguments.extend(more);
        let output = self.workshop.assay(&arguments);
        let said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(said["healthy"], output.status.code().is_some_and(|code| code == 0), "{said:#}");
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        let findings = said["findings"].as_array().expect("findings");
        for finding in findings {
            assert_eq!(finding["level"] == "ok", finding["cure"].is_null(), "what is not well has a cure: {finding}");
        }
        let line = |f: &Value| format!("{} {} {}", text(f, "about"), text(f, "level"), text(f, "found"));
        (output.status.code(), findings.iter().map(line).collect())
    }
}

#[track_caller]
fn has(findings: &[String], start: &str, words: &str) {
    let found = findings.iter().any(|line| line.starts_with(start) && line.contains(words));
    assert!(found, "{start} … {words} in {findings:#?}");
}

/// Another account's credentials in the environment must not be taken for those that were asked for.
#[test]
fn a_profile_that_is_named_outweighs_the_environment() {
    let mut scene = healthy();
    let file = scene.cloud.path("credentials");
    std::fs::write(&file, "[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = s\n").expect("written");
    scene.workshop.set("AWS_SHARED_CREDENTIALS_FILE", &file.display().to_string());
    let (_, findings) = scene.look(&["--profile", "other"]);
    has(&findings, "credentials ok", "AKIAOTHER");
    let (code, findings) = scene.look(&["--profile", "nosuch"]);
    has(&findings, "credentials error", "");
    assert_ne!(code, Some(0), "{findings:#?}");
}

#[test]
fn all_is_well_and_nothing_was_made_or_pushed() {
    let scene = healthy();
    let (code, findings) = scene.look(&[]);
    assert_eq!(code, Some(0), "{findings:#?}");
    has(&findings, "configuration ok", "no mistakes");
    has(&findings, "credentials ok", "AKIAMINICLOUD");
    has(&findings, "account ok", "210987654321");
    has(&findings, "clock ok", "");
    has(&findings, "us-east-1 ok", "TerminateInstances");
    has(&findings, "us-east-1 ok", "t3.small offered");
    has(&findings, "us-east-1 ok", "default VPC");
    has(&findings, "git ok", "Tester <tester@example.com>");
    has(&findings, "git ok", "main is at");
    has(&findings, "git ok", "would take a push");
    has(&findings, "packer ok", "Packer v1.");
    has(&findings, "packer ok", "plugin assay");
    has(&findings, "packer ok", "plugin amazon");
    assert!(findings.iter().any(|line| line.starts_with("prober ")), "{findings:#?}");
    assert_eq!(scene.cloud.left(), [""; 0], "nothing was made");
    let changing = |call: &Value| {
        let action = call["action"].as_str().unwrap_or_default();
        !["Describe", "Get"].iter().any(|verb| action.starts_with(verb)) && call["parameters"]["DryRun"] != "true"
    };
    assert!(!scene.cloud.calls().iter().any(changing), "{:#?}", scene.cloud.calls());
    let references = std::process::Command::new("git")
        .args(["for-each-ref", "--format=%(refname)"])
        .current_dir(&scene.remote)
        .output()
        .expect("git runs");
    assert_eq!(String::from_utf8_lossy(&references.stdout), "refs/heads/main\nrefs/heads/topic\n");
}

#[test]
fn what_is_wrong_is_said_all_at_once_and_is_one() {
    let mut scene = healthy();
    let wrong = "image \"base\" {\n  inputs = [\"packer/**\"]\n  suites {\n    candidate = [\"nosuch.hcl\"]\n  }\n  launch {\n    \
                 instance_type = \"x1.nosuch\"\n    subnet_ids    = { us-east-1 = \"subnet-0aaaaaaaaaaaaaaa1\" }\n  }\n}\n\
                 git {\n  branch = \"trunk\"\n}\n";
    scene.workshop.write("assay.hcl", wrong);
    scene.workshop.set("PACKER_PLUGIN_PATH", scene.cloud.path("empty").to_str().expect("UTF-8"));
    std::fs::create_dir(scene.cloud.path("empty")).expect("a folder");
    std::fs::write(scene.remote.join("hooks/pre-receive"), "#!/bin/sh\nexit 1\n").expect("written");
    scene.cloud.faults(json!([{ "action": "TerminateInstances", "code": "UnauthorizedOperation", "times": 9 }]));
    let (code, findings) = scene.look(&["--role", "builder"]);
    assert_eq!(code, Some(1), "{findings:#?}");
    has(&findings, "configuration error", "nosuch.hcl");
    has(&findings, "us-east-1 error", "no subnet subnet-0aaaaaaaaaaaaaaa1");
    has(&findings, "us-east-1 error", "x1.nosuch not offered");
    has(&findings, "us-east-1 error", "ec2:TerminateInstances is not allowed");
    has(&findings, "git error", "no branch trunk");
    has(&findings, "packer error", "plugin amazon is not installed");
}

#[test]
fn what_cannot_be_found_out_is_three_and_wrong_credentials_are_one() {
    let mut scene = healthy();
    let faults = json!([{ "action": "DescribeInstanceTypeOfferings", "code": "Unavailable", "times": 100 }]);
    scene.cloud.faults(faults);
    let (code, findings) = scene.look(&["--role", "tester"]);
    assert_eq!(code, Some(3), "{findings:#?}");
    has(&findings, "us-east-1 unknown", "DescribeInstanceTypeOfferings");
    assert!(!findings.iter().any(|line| line.starts_with("packer")), "a tester needs no Packer: {findings:#?}");
    has(&findings, "git warning", "which this role never makes");
    scene.workshop.set("AWS_ACCESS_KEY_ID", "AKIAWRONGWRONGWRONG1");
    let (code, findings) = scene.look(&["--role", "tester"]);
    assert_eq!(code, Some(1), "{findings:#?}");
    has(&findings, "account error", "InvalidClientTokenId");
}

#[test]
fn a_remote_that_is_not_there_and_a_signing_key_that_is_missing() {
    let mut scene = healthy();
    scene.workshop.set("GIT_CONFIG_COUNT", "3");
    for (n, (key, value)) in
        [("commit.gpgsign", "true"), ("gpg.format", "ssh"), ("user.signingKey", "/nosuch/key")].iter().enumerate()
    {
        scene.workshop.set(&format!("GIT_CONFIG_KEY_{n}"), key);
        scene.workshop.set(&format!("GIT_CONFIG_VALUE_{n}"), value);
    }
    let (code, findings) = scene.look(&["--role", "promoter"]);
    assert_eq!(code, Some(1), "{findings:#?}");
    has(&findings, "git error", "signing commits by ssh does not work");
    std::fs::remove_dir_all(&scene.remote).expect("gone");
    let (_, findings) = scene.look(&["--role", "promoter"]);
    has(&findings, "git error", "origin cannot be asked");
}
