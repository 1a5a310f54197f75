//! Images that are built on another image's gold: the data source in a real Packer, and what becomes of the parent.

use assay_ledger::lock_file;
use assay_model::{
    AmiRecord, Candidate, CandidateAmi, Digest, ImageState, Provenance, RunId, Verdict,
    lock::{Lock, LockEntry},
};
use serde_json::Value;

use crate::{
    build::{LIGHT_SUITE, last_ami},
    support::{cloud::Cloud, packer::Workshop, tools},
};

/// A child of whatever is gold for `base`, as small as it can be.
const CHILD: &str = r#"
packer {
  required_plugins {
    assay = {
      source  = "github.com/assay/assay"
      version = ">= 0.1.0"
    }
  }
}

variable "region" {
  type    = string
  default = "us-east-1"
}

data "assay-image" "parent" {
  image  = "base"
  region = var.region
}

source "amazon-ebs" "child" {
  region                                = var.region
  source_ami                            = data.assay-image.parent.id
  instance_type                         = "t3.small"
  ami_name                              = "child-of-${data.assay-image.parent.name}"
  ssh_username                          = "debian"
  temporary_security_group_source_cidrs = ["127.0.0.1/32"]
  tags = {
    "assay:managed" = "true"
    "assay:image"   = "child"
    "assay:state"   = "building"
    Parents         = jsonencode(data.assay-image.parent.amis)
  }
}

build {
  sources = ["source.amazon-ebs.child"]

  post-processor "assay" {
    image      = "child"
    suites     = ["light.hcl"]
    manifest   = "build/manifest.json"
    report_dir = "build/reports"
  }

  post-processor "manifest" {
    output = "packer-manifest.json"
  }
}
"#;

const ASSAY_HCL: &str = r#"image "base" {}
image "child" {
  parent = "base"
}
"#;

fn entry(run: RunId, state: ImageState) -> LockEntry {
    LockEntry {
        run,
        state,
        by: "https://ci.example/7".to_owned(),
        at: "2026-11-22T12:00:00Z".to_owned(),
        reason: "chained".to_owned(),
        evidence: None,
        effective_at: None,
        previous: None,
        candidate: None,
        copies: Vec::new(),
    }
}

/// A lock of `base` in which this AMI of the cloud's is gold.
fn gold(cloud: &Cloud, ami: &str) -> Lock {
    let image = cloud.image(ami);
    let record = AmiRecord {
        ami: format!("us-east-1:{ami}").parse().expect("an AMI"),
        architecture: "x86_64".parse().expect("an architecture"),
        name: image["name"].as_str().expect("a name").to_owned(),
        owner: "123456789012".parse().expect("an account"),
        created_at: "2026-11-22T10:00:00.000Z".to_owned(),
        snapshots: vec![image["snapshots"][0].as_str().expect("a snapshot").to_owned()],
    };
    let tested_at = "2026-11-22T10:05:00Z".to_owned();
    let run = RunId::generate();
    let candidate = Candidate {
        image: "base".parse().expect("a name"),
        run,
        state: ImageState::Candidate,
        verdict: Verdict::Passed,
        tested_at: tested_at.clone(),
        provenance: Provenance::default(),
        evidence: Digest::of(b"evidence"),
        amis: vec![CandidateAmi { record, state: ImageState::Candidate, evidence: Digest::of(b"evidence"), tested_at }],
    };
    let mut lock = Lock::new("base".parse().expect("a name"));
    lock_file::append(&mut lock, LockEntry { candidate: Some(candidate), ..entry(run, ImageState::Vetted) });
    lock_file::append(&mut lock, entry(run, ImageState::Gold));
    lock.gold = Some(run);
    lock
}

fn revoke(lock: &mut Lock, effective_at: Option<String>) {
    let run = lock.gold.take().expect("a gold run");
    lock_file::append(lock, LockEntry { effective_at, ..entry(run, ImageState::Revoked) });
}

fn keep(workshop: &Workshop, lock: &Lock) {
    workshop.write("images/base.lock.hcl", &lock_file::write(lock));
}

fn tag<'a>(image: &'a Value, key: &str) -> &'a str {
    image["tags"][key].as_str().unwrap_or_else(|| panic!("no {key} in {image}"))
}

/// A cloud with a small AMI of base that is gold, and a child of it to build.
fn scene() -> (Cloud, Workshop, String, Lock) {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("assay.hcl", ASSAY_HCL);
    workshop.write("light.hcl", LIGHT_SUITE);
    workshop.write("child.pkr.hcl", CHILD);
    let parent = cloud.own_image("light", "us-east-1", "base-gold");
    let lock = gold(&cloud, &parent);
    keep(&workshop, &lock);
    (cloud, workshop, parent, lock)
}

#[test]
fn a_child_is_built_on_its_parents_gold_and_says_so() {
    let (cloud, workshop, parent, mut lock) = scene();
    workshop.packer(&["build", "-color=false", "child.pkr.hcl"]).expect(0);
    let child = cloud.image(&last_ami(&workshop));
    assert_eq!(child["name"], "child-of-base-gold");
    assert_eq!(tag(&child, "assay:parent"), parent, "from the builder's own word for what it started from");
    assert_eq!(tag(&child, "assay:state"), "candidate");
    let parents: Value = serde_json::from_str(tag(&child, "Parents")).expect("JSON");
    assert_eq!(parents["x86_64"]["us-east-1"], parent.as_str());
    let manifest: Value = serde_json::from_str(&workshop.read("build/manifest.json")).expect("JSON");
    assert_eq!(manifest["builds"][0]["assay"]["amis"]["us-east-1"], child["id"]);
    cloud.wait_until_clean(5);

    // A revocation that was announced holds from its moment on, not before.
    revoke(&mut lock, Some("2999-01-01T00:00:00Z".to_owned()));
    keep(&workshop, &lock);
    workshop.packer(&["validate", "-evaluate-datasources", "child.pkr.hcl"]).expect(0);
}

#[test]
fn without_a_usable_parent_nothing_is_made() {
    let (cloud, workshop, _, lock) = scene();
    let calls = cloud.calls().len();
    let refused = |arguments: &[&str], words: &[&str]| {
        let built = workshop.packer(&[&["build", "-color=false"], arguments, &["child.pkr.hcl"]].concat()).expect(1);
        for words in words {
            built.says(words);
        }
        assert_eq!(cloud.calls().len(), calls, "a call to the cloud: {:#?}", cloud.calls().last());
    };
    let run = lock.gold.expect("gold").to_string();
    refused(&["-var", "region=eu-west-1"], &["has no AMI for x86_64 in eu-west-1", "x86_64 in us-east-1", &run]);
    refused(&["-var", "region=Oregon"], &["region: \"Oregon\" is not"]);

    let mut revoked = lock.clone();
    revoke(&mut revoked, None);
    keep(&workshop, &revoked);
    refused(&[], &["the gold of base is revoked", &run, "assay rollback --image base"]);

    let edited = lock_file::write(&lock).replacen("chained", "unchained", 1);
    workshop.write("images/base.lock.hcl", &edited);
    refused(&[], &["images/base.lock.hcl:", "the chain is broken"]);

    std::fs::remove_file(workshop.path().join("images/base.lock.hcl")).expect("removed");
    refused(&[], &["base has no gold yet", "assay promote --image base --to gold"]);
    assert!(cloud.left().is_empty(), "{:?}", cloud.left());
}

/// The shipped templates, one on the other: base by its scripts, then app on base's gold by Ansible and scripts.
#[test]
fn app_is_built_on_base_by_ansible_and_shell() {
    let cloud = Cloud::start();
    let mut workshop = Workshop::new(&cloud);
    workshop.build_base(&["-var", "ssh_username=debian"]).expect(0);
    let base = last_ami(&workshop);
    keep(&workshop, &gold(&cloud, &base));
    let path = format!("{}:{}", tools::ansible().display(), std::env::var("PATH").expect("PATH is set"));
    workshop.set("PATH", &path);
    workshop.set("HOME", workshop.path().to_str().expect("UTF-8").to_owned().as_str());
    let cidrs = "ssh_source_cidrs=[\"127.0.0.1/32\"]";
    let built = workshop.packer(&["build", "-color=false", "-var", cidrs, "packer/app.pkr.hcl"]).expect(0);
    built.says("Its unit").says("failed=0");

    let app = cloud.image(&last_ami(&workshop));
    assert_eq!(tag(&app, "assay:parent"), base);
    assert_eq!((tag(&app, "assay:image"), tag(&app, "assay:state")), ("app", "candidate"));
    assert!(app["name"].as_str().is_some_and(|name| name.starts_with("app-x86_64-")), "{app}");
    let evidence: Value = serde_json::from_str(&workshop.read("build/reports/app/evidence.json")).expect("JSON");
    assert_eq!((&evidence["image"], &evidence["verdict"]), (&Value::from("app"), &Value::from("passed")));

    // What promotion will ask of them, the base image's suite of its child too.
    let app = app["id"].as_str().expect("an id").to_owned();
    let (base_gold, app_gold) = ("packer/suites/gold.hcl", "packer/app/suites/gold.hcl");
    for (image, ami, suites) in [("base", &base, vec![base_gold]), ("app", &app, vec![base_gold, app_gold])] {
        let ami = format!("us-east-1:{ami}");
        let mut arguments = vec!["validate", "--no-stamp", "--image", image, "--ami", &ami];
        arguments.extend(["--temporary-security-group-source-cidr", "127.0.0.1/32"]);
        suites.iter().for_each(|suite| arguments.extend(["--suite", suite]));
        let validated = workshop.assay(&arguments);
        let text = String::from_utf8_lossy(&validated.stdout) + String::from_utf8_lossy(&validated.stderr);
        assert_eq!(validated.status.code(), Some(0), "{image}: {text}");
    }
    cloud.wait_until_clean(5);
}
