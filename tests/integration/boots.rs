//! What only EC2, another boot, or a second instance can tell: the resources `ami`, `reboot` and `second-boot`, on instances that really boot.

use std::{
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{cloud::Cloud, packer::Workshop, tools};

/// Everything that a clean image must pass.
const WHOLE: &str = r#"suite "smoke" {
  ami "image" {
    architecture        = "x86_64"
    boot-mode           = "uefi"
    ena-support         = true
    public              = false
    encrypted           = false
    deprecated          = false
    virtualization-type = "hvm"
    name                = { have-prefix = "base-" }
  }
  service "ssh" {
    enabled = true
    running = true
  }
  reboot "soft" {
    returned             = true
    seconds              = { lt = 300 }
    host-key-unchanged   = true
    machine-id-unchanged = true
    timer-armed          = true
    suite                = true
  }
  reboot "stop-start" {
    returned             = true
    host-key-unchanged   = true
    machine-id-unchanged = true
    timer-armed          = true
    suite                = true
  }
  second-boot "image" {
    boots-undisturbed  = true
    host-keys-differ   = true
    machine-id-differs = true
    suite              = true
  }
}
"#;

struct Scene {
    cloud: Cloud,
    workshop: Workshop,
}

impl Scene {
    fn new(suite: &str) -> Self {
        let cloud = Cloud::start();
        let workshop = Workshop::new(&cloud);
        workshop.write("boots.hcl", suite);
        Self { cloud, workshop }
    }

    fn arguments(ami: &str, extra: &[&str]) -> Vec<String> {
        let ami = format!("us-east-1:{ami}");
        let fixed = ["validate", "--ami", &ami, "--image", "base", "--suite", "boots.hcl", "--ssh-username", "debian"];
        let all = fixed.iter().chain(&["--report-dir", "reports"]).chain(extra);
        all.map(ToString::to_string).collect()
    }

    fn validate(&self, ami: &str, extra: &[&str]) -> Output {
        let arguments = Self::arguments(ami, extra);
        self.workshop.assay(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// `assay validate` left running, what it says in `assay.log`.
    fn in_background(&self, ami: &str, extra: &[&str]) -> Child {
        let log = std::fs::File::create(self.workshop.path().join("assay.log")).expect("a log");
        self.workshop
            .command(&tools::assay())
            .args(Self::arguments(ami, extra))
            .stdout(Stdio::from(log.try_clone().expect("a second handle")))
            .stderr(Stdio::from(log))
            .spawn()
            .expect("assay starts")
    }

    /// Waits until the running assay has said `words`.
    fn wait_for(&self, words: &str) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !self.workshop.read("assay.log").contains(words) {
            assert!(Instant::now() < deadline, "it never said {words:?}:\n{}", self.workshop.read("assay.log"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn target(&self) -> Value {
        let evidence: Value = serde_json::from_str(&self.workshop.read("reports/evidence.json")).expect("JSON");
        evidence["targets"][0].clone()
    }

    fn calls(&self, action: &str) -> usize {
        self.cloud.calls().iter().filter(|call| call["action"] == action).count()
    }
}

/// `suite resource id property: outcome` of every check that did not pass.
fn not_passed(target: &Value) -> Vec<String> {
    let checks = target["checks"].as_array().expect("checks");
    let text = |check: &Value, key: &str| check[key].as_str().expect("text").to_owned();
    checks
        .iter()
        .filter(|check| check["outcome"] != "passed")
        .map(|c| ["suite", "resource", "id", "property", "outcome"].map(|key| text(c, key)).join(" "))
        .collect()
}

/// The message of a check.
fn message(target: &Value, resource: &str, id: &str, property: &str) -> String {
    let checks = target["checks"].as_array().expect("checks");
    let found = checks.iter().find(|c| c["resource"] == resource && c["id"] == id && c["property"] == property);
    found.unwrap_or_else(|| panic!("{resource} {id} {property} in {target:#}"))["message"]
        .as_str()
        .expect("text")
        .to_owned()
}

fn code(output: &Output) -> Option<i32> {
    eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output.status.code()
}

#[test]
fn a_clean_image_is_the_same_machine_in_every_boot_and_another_one_as_a_second_instance() {
    let scene = Scene::new(WHOLE);
    let ami = scene.cloud.own_image("booted", "us-east-1", "base-clean");
    assert_eq!(code(&scene.validate(&ami, &[])), Some(0));
    let target = scene.target();
    let suites: Vec<&str> =
        target["checks"].as_array().expect("checks").iter().filter_map(|c| c["suite"].as_str()).collect();
    for name in ["smoke", "smoke after soft reboot", "smoke after stop-start", "smoke on the undisturbed boot"] {
        assert!(suites.contains(&name), "{name} in {suites:?}");
    }
    assert_eq!(target["host_key"], "injected");
    for (action, times) in [("RebootInstances", 1), ("StopInstances", 1), ("StartInstances", 1), ("RunInstances", 2)] {
        assert_eq!(scene.calls(action), times, "{action}");
    }
    assert_eq!(scene.cloud.image(&ami)["tags"]["assay:state"], "candidate");
    scene.cloud.wait_until_clean(10);
}

/// Made by plain Packer: the builder's host keys and machine-id stay in it, and a unit that spoils the second boot.
const MARKED: &str = r#"
packer {
  required_plugins {
    amazon = {
      version = ">= 1.2.8"
      source  = "github.com/hashicorp/amazon"
    }
  }
}
variable "source" { type = string }
source "amazon-ebs" "marked" {
  region                                = "us-east-1"
  source_ami                            = var.source
  instance_type                         = "t3.small"
  ami_name                              = "base-marked"
  ssh_username                          = "debian"
  temporary_security_group_source_cidrs = ["127.0.0.1/32"]
}
build {
  sources = ["source.amazon-ebs.marked"]
  provisioner "shell" {
    inline = [
      "echo 'ssh_deletekeys: false' | sudo tee /etc/cloud/cloud.cfg.d/99-keys.cfg",
      "sudo touch /etc/there-at-first",
      "printf '%s\\n' '[Unit]' 'Before=ssh.service' '[Service]' 'Type=oneshot' \"ExecStart=/bin/sh -c 'if [ -e /var/lib/booted-before ]; then rm -f /etc/there-at-first; fi; touch /var/lib/booted-before'\" '[Install]' 'WantedBy=multi-user.target' | sudo tee /etc/systemd/system/spoil.service",
      "sudo systemctl enable spoil.service",
      "sync",
    ]
  }
}
"#;

#[test]
fn keys_and_machine_id_that_the_image_brings_and_what_a_reboot_spoils_are_found_by_name() {
    let scene = Scene::new(
        r#"suite "smoke" {
  file "/etc/there-at-first" { exists = true }
  reboot "soft" {
    returned             = true
    machine-id-unchanged = true
    suite                = true
  }
  second-boot "image" {
    boots-undisturbed  = true
    host-keys-differ   = true
    machine-id-differs = true
  }
}
"#,
    );
    let source = scene.cloud.own_image("booted", "us-east-1", "source");
    scene.workshop.write("marked.pkr.hcl", MARKED);
    let source = format!("source={source}");
    scene.workshop.packer(&["build", "-color=false", "-var", &source, "marked.pkr.hcl"]).expect(0);
    let inventory = scene.cloud.inventory();
    let images = inventory["images"].as_array().expect("images");
    let ami =
        images.iter().find(|i| i["name"] == "base-marked").expect("built")["id"].as_str().expect("an id").to_owned();
    // One at a time: the second instance must not be waited for while the first holds its place.
    assert_eq!(code(&scene.validate(&ami, &["--max-parallel", "1"])), Some(2));
    let target = scene.target();
    assert_eq!(
        not_passed(&target),
        [
            "smoke reboot soft suite failed",
            "smoke second-boot image host-keys-differ failed",
            "smoke second-boot image machine-id-differs failed",
            "smoke after soft reboot file /etc/there-at-first exists failed",
        ]
    );
    assert!(message(&target, "reboot", "soft", "suite").contains("/etc/there-at-first"), "{target:#}");
    let keys = message(&target, "second-boot", "image", "host-keys-differ");
    assert!(keys.contains("ssh-ed25519 SHA256:"), "{keys}");
    assert_eq!(scene.cloud.image(&ami)["tags"]["assay:state"], "rejected");
    scene.cloud.wait_until_clean(10);
}

/// For light instances: they have no timer, no cloud-init, and boot in a moment.
const LIGHT_REBOOTS: &str = r#"suite "smoke" {
  command "sleep 3" { exit-status = 0 }
  reboot "soft" { returned = true }
  reboot "stop-start" {
    returned           = true
    host-key-unchanged = true
    timer-armed        = false
  }
}
"#;

#[test]
fn a_one_time_spot_instance_that_cannot_be_stopped_is_undecided_with_ec2s_reason() {
    let scene = Scene::new(LIGHT_REBOOTS);
    let ami = scene.cloud.own_image("light", "us-east-1", "spot");
    assert_eq!(code(&scene.validate(&ami, &["--spot-price", "auto"])), Some(3));
    let target = scene.target();
    assert_eq!(
        not_passed(&target),
        [
            "smoke reboot stop-start returned undecided",
            "smoke reboot stop-start host-key-unchanged skipped",
            "smoke reboot stop-start timer-armed skipped"
        ]
    );
    let why = message(&target, "reboot", "stop-start", "returned");
    assert!(why.contains("UnsupportedOperation") && why.contains("one-time Spot"), "{why}");
    scene.cloud.wait_until_clean(10);
}

#[test]
fn an_instance_that_does_not_come_back_failed_where_ec2_says_that_it_runs() {
    let scene = Scene::new(LIGHT_REBOOTS);
    let ami = scene.cloud.own_image("light", "us-east-1", "away");
    let mut assay = scene.in_background(&ami, &["--ssh-timeout", "20s"]);
    scene.wait_for("ssh login");
    // The image's port is open by now; from its next boot on it stays shut.
    let inventory = scene.cloud.inventory();
    let instance = inventory["instances"][0]["id"].as_str().expect("an instance").to_owned();
    scene.cloud.control("unreachable", &json!({ "instance": instance }));
    assert_eq!(assay.wait().expect("a status").code(), Some(2), "{}", scene.workshop.read("assay.log"));
    let target = scene.target();
    let why = message(&target, "reboot", "soft", "returned");
    assert!(why.contains("no login within 60 s") && why.contains("EC2 says that it runs"), "{why}");
    scene.cloud.wait_until_clean(10);
}

#[test]
fn a_run_that_is_cancelled_in_the_middle_of_a_reboot_ends_at_once_and_leaves_nothing() {
    let scene = Scene::new(LIGHT_REBOOTS);
    let ami = scene.cloud.own_image("light", "us-east-1", "cancelled");
    let mut assay = scene.in_background(&ami, &[]);
    scene.wait_for("stop-start (up to");
    let pid = assay.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    assert_eq!(assay.wait().expect("a status").code(), Some(3), "{}", scene.workshop.read("assay.log"));
    let target = scene.target();
    assert_eq!(target["undecided"]["kind"], "cancelled", "{target:#}");
    assert!(not_passed(&target).contains(&"smoke reboot stop-start returned undecided".to_owned()), "{target:#}");
    scene.cloud.wait_until_clean(30);
}
