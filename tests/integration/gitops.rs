//! The whole flow: pull request, merge, schedule. This repository's own `.circleci/config.yml` is executed step by step, with the real Packer, the real git and
//! a cloud whose instances boot; every arrow of the flow is looked at from outside: tags in the cloud, commits, annotated tags, files in git.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

use crate::support::{circleci::Project, cloud::Cloud};

/// What a gold image must answer beyond the smoke suite.
const GOLD_SUITE: &str = r#"suite "motd" {
  command "dpkg-query -W -f '$${Status}' minicloud-motd" {
    exit-status = 0
    stdout      = ["install ok installed"]
  }
  file "/etc/machine-id" {
    exists = true
  }
}
"#;

/// Somebody's variables, with a comment that must stay.
const TFVARS: &str =
    "# Read by Terraform; assay writes the id.\nbase_ami = \"ami-none\" # the gold image\nsize     = 3\n";

/// The image of this repository, as a user would declare it for the image manager.
const ASSAY_HCL: &str = r#"owner = "github.com/acme/images"

image "base" {
  inputs  = ["packer/base.pkr.hcl", "packer/policy/**", "packer/suites/**"]
  max_age = "7d"

  suites {
    candidate = ["packer/suites/smoke.hcl"]
    gold      = ["packer/suites/gold.hcl", "packer/suites/motd.hcl"]
  }
  ssh {
    username = "admin"
  }
  launch {
    ttl = "1h"
  }
  build {
    template = "packer/base.pkr.hcl"
  }
  distribution {
    ssm_parameter = "/images/base/{architecture}"
  }
  projection "infra/base.auto.tfvars" {
    variable     = "base_ami"
    region       = "us-east-1"
    architecture = "x86_64"
  }
}
"#;

fn images(work: &Path) {
    // One image: the chained one has tests of its own, and each boot costs seconds.
    let config = work.join(".circleci/config.yml");
    let text = std::fs::read_to_string(&config).expect("readable");
    let one = text.replace("image: [base, app]", "image: [base]").replace("images: base app", "images: base");
    assert_ne!(one, text, "the images of .circleci/workflows.yml");
    std::fs::write(config, one).expect("written");
    for other in ["app.pkr.hcl", "minimal.pkr.hcl"] {
        std::fs::remove_file(work.join("packer").join(other)).expect("removed");
    }
    std::fs::write(work.join("assay.hcl"), ASSAY_HCL).expect("written");
    std::fs::write(work.join("packer/suites/motd.hcl"), GOLD_SUITE).expect("written");
    std::fs::create_dir_all(work.join("infra")).expect("a folder");
    std::fs::write(work.join("infra/base.auto.tfvars"), TFVARS).expect("written");
}

/// A change of the policy that the image shows and no suite minds.
fn harden(project: &Project<'_>, line: &str) {
    let wish = format!("kernel.dmesg_restrict = 1\n{line}");
    project.edit("packer/policy/30-kernel-parameters.sh", "kernel.dmesg_restrict = 1", &wish);
}

/// The runs that have a candidate file on a branch.
fn candidates(project: &Project<'_>, branch: &str) -> Vec<String> {
    let files = project.files(branch, "images/base/candidates/");
    files.iter().map(|f| f.rsplit('/').next().expect("a name").trim_end_matches(".hcl").to_owned()).collect()
}

/// The one AMI of a candidate block; provenance names others.
fn ami_of(text: &str) -> String {
    let line =
        text.lines().find(|line| line.trim_start().starts_with("id ")).unwrap_or_else(|| panic!("no AMI in:\n{text}"));
    line.split('"').nth(1).expect("an id").to_owned()
}

/// The gold run that main's lock names.
fn gold(project: &Project<'_>) -> String {
    let lock = project.file("main", "images/base.lock.hcl");
    let line = lock
        .lines()
        .find(|line| line.trim_start().starts_with("gold "))
        .unwrap_or_else(|| panic!("no gold in:\n{lock}"));
    line.split('"').nth(1).expect("a run").to_owned()
}

/// `state` of the tags of an image and of all its snapshots.
fn states(cloud: &Cloud, ami: &str) -> BTreeSet<String> {
    let image = cloud.image(ami);
    let inventory = cloud.inventory();
    let snapshots = inventory["snapshots"].as_array().expect("snapshots");
    let wanted: Vec<&Value> = image["snapshots"].as_array().expect("snapshots").iter().collect();
    let mut found = BTreeSet::from([image["tags"]["assay:state"].as_str().unwrap_or("none").to_owned()]);
    for snapshot in snapshots.iter().filter(|s| wanted.contains(&&s["id"])) {
        found.insert(snapshot["tags"]["assay:state"].as_str().unwrap_or("none").to_owned());
    }
    found
}

/// How many AMIs were built so far.
fn built(cloud: &Cloud) -> usize {
    cloud.calls().iter().filter(|call| call["action"] == "CreateImage").count()
}

/// Whether an annotated tag `base/STATE/…-RUN` is there.
#[track_caller]
fn assert_tag(project: &Project<'_>, state: &str, run: &str) {
    let tags = project.tags();
    let wanted = tags.iter().any(|tag| tag.starts_with(&format!("tag base/{state}/")) && tag.ends_with(run));
    assert!(wanted, "no annotated tag base/{state}/…-{run} among {tags:#?}");
}

/// `run` is gold everywhere: in the lock, in the file that Terraform reads, in the cloud's tags, in SSM, as an annotated tag.
#[track_caller]
fn assert_gold(project: &Project<'_>, cloud: &Cloud, run: &str, ami: &str) {
    assert_eq!(gold(project), run);
    assert_eq!(project.file("main", "infra/base.auto.tfvars") + "\n", TFVARS.replace("ami-none", ami));
    assert_eq!(states(cloud, ami), BTreeSet::from(["gold".to_owned()]), "the AMI and its snapshots");
    assert_tag(project, "gold", run);
    let parameters = cloud.parameters("us-east-1");
    assert_eq!(parameters["/images/base/x86_64"], ami, "{parameters}");
    assert!(candidates(project, "main").iter().all(|c| c != run), "the candidate file has moved into the lock");
}

#[test]
fn from_a_pull_request_to_gold_and_on_by_schedule() {
    let cloud = Cloud::start();
    let project = Project::new(&cloud, images);

    let first = pull_request_makes_a_candidate(&project, &cloud);
    merge_makes_it_gold(&project, &cloud, &first);
    quiet_schedule(&project, &cloud);
    let second = patched_by_schedule(&project, &cloud, &first);
    failing_image_changes_nothing(&project, &cloud, &second);
    let third = changed_policy(&project, &cloud);
    roll_back(&project, &cloud, &third, &second);
    roles_kept_apart(&cloud);
    cloud.wait_until_clean(10);
}

/// A run and its AMI.
struct Made {
    run: String,
    ami: String,
}

fn pull_request_makes_a_candidate(project: &Project<'_>, cloud: &Cloud) -> Made {
    let main = project.repository.remote(&["rev-parse", "main"]);
    project.branch("policy", |p| harden(p, "kernel.yama.ptrace_scope = 1"));
    let ran = project.push("policy");
    // The second pipeline is that of the candidate's own commit; it found nothing due.
    ran.green(&["pull-request", "pull-request"]);
    assert_eq!(built(cloud), 1);

    let runs = candidates(project, "policy");
    assert_eq!(runs.len(), 1, "{runs:?}");
    let run = runs[0].clone();
    let text = project.file("policy", &format!("images/base/candidates/{run}.hcl"));
    let ami = ami_of(&text);
    assert_eq!(states(cloud, &ami), BTreeSet::from(["candidate".to_owned()]));
    assert_eq!(cloud.image(&ami)["tags"]["assay:run"], run.as_str());
    assert!(
        !project.file("policy", &format!("images/evidence/base/{run}.json")).is_empty(),
        "the smoke tests' evidence"
    );
    assert_tag(project, "candidate", &run);
    let message = project.repository.remote(&["log", "-1", "--format=%B", "policy"]);
    assert!(message.contains(&ami) && !message.contains("[skip ci]"), "{message}");
    assert_eq!(project.repository.remote(&["rev-parse", "main"]), main, "a pull request does not touch main");

    assert!(ran.stored(0, "build", "test-results/base/junit.xml").contains("/etc/passwd"));
    let evidence: Value =
        serde_json::from_str(&ran.stored(0, "build", "artifacts/reports/base/evidence.json")).expect("JSON");
    assert_eq!(evidence["run"], run.as_str());
    Made { run, ami }
}

fn merge_makes_it_gold(project: &Project<'_>, cloud: &Cloud, made: &Made) {
    project.merge("policy", "merge");
    let ran = project.push("main");
    ran.green(&["release", "release"]);
    assert_eq!(built(cloud), 1, "what the branch has built is promoted; nothing is built again");
    assert_gold(project, cloud, &made.run, &made.ami);
    assert_tag(project, "vetted", &made.run);
    let evidence: Value =
        serde_json::from_str(&ran.stored(0, "promote-base", "artifacts/evidence/base/evidence.json")).expect("JSON");
    let suites = evidence["targets"][0]["checks"].as_array().expect("checks");
    for suite in ["smoke", "gold", "motd"] {
        assert!(suites.iter().any(|check| check["suite"] == suite), "the full suite includes {suite}");
    }
    let kept = project.files("main", &format!("images/evidence/base/{}-", made.run));
    assert_eq!(kept.len(), 1, "the validation's evidence lies beside the lock: {kept:?}");
    let lock = project.file("main", "images/base.lock.hcl");
    for state in ["vetted", "gold"] {
        assert!(lock.contains(&format!("\"{state}\"")), "{state} is an entry of its own in\n{lock}");
    }
    assert!(lock.contains("https://circleci.com/gh/acme/images/"), "who did it: {lock}");
}

fn quiet_schedule(project: &Project<'_>, cloud: &Cloud) {
    let (main, images) = (project.repository.remote(&["rev-parse", "main"]), built(cloud));
    project.schedule(&[("task", "patch")]).green(&["patch"]);
    assert_eq!((project.repository.remote(&["rev-parse", "main"]), built(cloud)), (main, images));
}

fn patched_by_schedule(project: &Project<'_>, cloud: &Cloud, before: &Made) -> Made {
    cloud.control("publish", &json!({ "version": "1.2" }));
    project.patch_what_is_older_than("1s");
    let ran = project.schedule(&[("task", "patch")]);
    ran.green(&["patch", "release", "release"]);
    let run = gold(project);
    assert_ne!(run, before.run);
    let diff = ran.stored(0, "build", "artifacts/diff/base.md");
    let bumped =
        diff.lines().find(|line| line.contains("minicloud-motd")).unwrap_or_else(|| panic!("no motd in:\n{diff}"));
    assert!(bumped.contains("1.1") && bumped.contains("1.2"), "{bumped}");
    let lock = project.file("main", "images/base.lock.hcl");
    let ami = ami_of(
        lock.rsplit("entry ")
            .find(|entry| entry.starts_with(&format!("\"{run}\"")) && entry.contains("ami-"))
            .expect("its entry"),
    );
    assert_gold(project, cloud, &run, &ami);
    assert_eq!(states(cloud, &before.ami), BTreeSet::from(["retired".to_owned()]));
    Made { run, ami }
}

fn failing_image_changes_nothing(project: &Project<'_>, cloud: &Cloud, gold_now: &Made) {
    project.branch("broken", |p| {
        p.edit(
            "packer/policy/30-kernel-parameters.sh",
            "cat > /etc/sysctl.d/60-policy.conf",
            "cat > /etc/sysctl.d/61-policy.conf",
        );
        p.edit(
            "packer/policy/30-kernel-parameters.sh",
            "chmod 0644 /etc/sysctl.d/60-policy.conf",
            "chmod 0644 /etc/sysctl.d/61-policy.conf",
        );
    });
    let images = built(cloud);
    let ran = project.push("broken");
    assert!(ran.red().iter().any(|step| step.contains("Build what is due, and commit each")), "{:#?}", ran.red());
    assert!(ran.stored(0, "build", "test-results/base/junit.xml").contains("<failure"));
    assert_eq!(built(cloud), images + 1, "an image that was rejected is not built again from the same inputs");
    let mine: Vec<_> = candidates(project, "broken").into_iter().filter(|r| *r != gold_now.run).collect();
    let text = project.file("broken", &format!("images/base/candidates/{}.hcl", mine[0]));
    assert!(text.contains("rejected"), "{text}");
    assert_tag(project, "rejected", &mine[0]);
    assert_eq!(states(cloud, &ami_of(&text)), BTreeSet::from(["rejected".to_owned()]));
    // Merged all the same: nothing is promoted.
    project.merge("broken", "merge");
    let ran = project.push("main");
    assert!(!ran.red().is_empty(), "main says that its image was rejected");
    assert_gold(project, cloud, &gold_now.run, &gold_now.ami);
}

fn changed_policy(project: &Project<'_>, cloud: &Cloud) -> Made {
    project.branch("repaired", |p| {
        p.edit(
            "packer/policy/30-kernel-parameters.sh",
            "cat > /etc/sysctl.d/61-policy.conf",
            "cat > /etc/sysctl.d/60-policy.conf",
        );
        p.edit(
            "packer/policy/30-kernel-parameters.sh",
            "chmod 0644 /etc/sysctl.d/61-policy.conf",
            "chmod 0644 /etc/sysctl.d/60-policy.conf",
        );
        harden(p, "kernel.sysrq = 0");
    });
    project.push("repaired").green(&["pull-request", "pull-request"]);
    project.merge("repaired", "merge");
    project.push("main").green(&["release", "release"]);
    let run = gold(project);
    let lock = project.file("main", "images/base.lock.hcl");
    let ami = ami_of(
        lock.rsplit("entry ")
            .find(|entry| entry.starts_with(&format!("\"{run}\"")) && entry.contains("ami-"))
            .expect("its entry"),
    );
    assert_gold(project, cloud, &run, &ami);
    Made { run, ami }
}

fn roll_back(project: &Project<'_>, cloud: &Cloud, from: &Made, to: &Made) {
    let output = project.assay("main", &["rollback", "--image", "base"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_gold(project, cloud, &to.run, &to.ami);
    assert_eq!(states(cloud, &from.ami), BTreeSet::from(["retired".to_owned()]));
    let verified = project.assay("main", &["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// Who called what: every call of the jobs was made by an assumed role, and none did another's work.
fn roles_kept_apart(cloud: &Cloud) {
    let mut roles = BTreeSet::new();
    for call in cloud.calls() {
        let role = call["role"].as_str().unwrap_or_default().rsplit('/').next().expect("a name").to_owned();
        let action = call["action"].as_str().expect("an action");
        let allowed: &[&str] = match action {
            "RunInstances" => &["builder", "tester"],
            "CreateImage" => &["builder"],
            // By hand: the rollback, with the account's own key.
            "PutParameter" | "CopyImage" => &["promoter", ""],
            _ => continue,
        };
        assert!(allowed.contains(&role.as_str()), "{action} by {role:?}");
        roles.insert(role);
    }
    assert!(roles.is_superset(&["builder", "tester", "promoter"].map(str::to_owned).into()), "{roles:?}");
}

#[test]
fn three_ways_to_merge_and_a_rebuild_between_do_not_conflict() {
    let cloud = Cloud::start();
    let project = Project::new(&cloud, images);
    // Two pull requests from one base, both built.
    project.branch("one", |p| harden(p, "kernel.yama.ptrace_scope = 1"));
    project.push("one").green(&["pull-request", "pull-request"]);
    project.branch("two", |p| p.edit("packer/policy/20-sshd.sh", "MaxAuthTries 4", "MaxAuthTries 3"));
    project.push("two").green(&["pull-request", "pull-request"]);
    let stale = candidates(&project, "two");
    assert_eq!((built(&cloud), stale.len()), (2, 1));

    // The first one is gold as its branch built it.
    project.merge("one", "squash");
    project.push("main").green(&["release", "release"]);
    assert_eq!(built(&cloud), 2);
    // Both together are a tree that nobody has tested: the second one's candidate is not promoted, main builds it anew.
    project.merge("two", "rebase");
    project.push("main").green(&["release", "release", "release"]);
    assert_eq!(built(&cloud), 3);
    let both = gold(&project);
    assert!(!stale.contains(&both), "a candidate from a stale base is gold");

    // A third one is open while the schedule rebuilds main.
    project.branch("three", |p| {
        p.edit("packer/policy/20-sshd.sh", "X11Forwarding no", "X11Forwarding no\nAllowAgentForwarding no")
    });
    project.push("three").green(&["pull-request", "pull-request"]);
    project.patch_what_is_older_than("1s");
    project.schedule(&[("task", "patch")]).green(&["patch", "release", "release"]);
    let rebuilt = gold(&project);
    assert_ne!(rebuilt, both);
    // Its candidate is older than what the schedule built, and would take the patches back: main builds it anew.
    project.merge("three", "merge");
    project.push("main").green(&["release", "release", "release"]);
    assert_ne!(gold(&project), rebuilt);
    assert_eq!(built(&cloud), 6);

    let verified = project.assay("main", &["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    cloud.wait_until_clean(10);
}
