//! The main job: the shipped template, the real Packer, the real amazon plugin; then the GitOps step.

use serde_json::Value;

use crate::support::{
    cloud::Cloud,
    packer::Workshop,
    repository::{Repository, git_environment},
};

fn manifest(workshop: &Workshop) -> Value {
    serde_json::from_str(&workshop.read("build/manifest.json")).expect("JSON")
}

/// The AMI of a manifest's last build.
pub(crate) fn last_ami(workshop: &Workshop) -> String {
    let manifest = manifest(workshop);
    let artifact = manifest["builds"].as_array().expect("builds").last().expect("a build")["artifact_id"]
        .as_str()
        .expect("text")
        .to_owned();
    artifact.split_once(':').expect("region:ami").1.to_owned()
}

#[test]
fn a_green_build_leaves_a_candidate_with_evidence_and_nothing_else() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    let built = workshop.build_base(&["-var", "ssh_username=debian"]).expect(0);
    let ami = last_ami(&workshop);

    let image = cloud.image(&ami);
    for (key, value) in
        [("assay:state", "candidate"), ("assay:verdict", "passed"), ("assay:image", "base"), ("assay:managed", "true")]
    {
        assert_eq!(image["tags"][key], value, "{key} in {image}");
    }
    assert_eq!(image["protected"], false, "a pass turns our protection off again");
    let snapshot = image["snapshots"][0].as_str().expect("a snapshot");
    let inventory = cloud.inventory();
    let snapshots = inventory["snapshots"].as_array().expect("snapshots");
    let tags = &snapshots.iter().find(|s| s["id"] == snapshot).expect("there")["tags"];
    assert_eq!(tags["assay:state"], "candidate", "snapshots carry the hallmark too");

    let manifest = manifest(&workshop);
    let entry = &manifest["builds"][0];
    assert_eq!(entry["name"], "base");
    assert_eq!(entry["builder_type"], "amazon-ebs");
    assert_eq!(manifest["last_run_uuid"], entry["packer_run_uuid"]);
    assert_eq!(entry["assay"]["verdict"], "passed");
    assert_eq!(entry["assay"]["amis"]["us-east-1"], ami.as_str());
    assert_eq!(image["tags"]["assay:run"], entry["assay"]["run"]);
    assert_eq!(image["tags"]["assay:evidence"], entry["assay"]["evidence_digest"]);

    let evidence: Value = serde_json::from_str(&workshop.read("build/reports/base/evidence.json")).expect("JSON");
    assert_eq!(evidence["targets"][0]["host_key"], "injected");
    assert!(evidence["targets"][0]["checks"].as_array().expect("checks").len() > 20);
    let junit = workshop.read("build/reports/base/junit.xml");
    assert!(junit.contains("<testsuite") && junit.contains("/etc/passwd"), "{junit}");

    let packers: Value = serde_json::from_str(&workshop.read("packer-manifest.json")).expect("Packer's own manifest");
    assert_eq!(
        packers["builds"][0]["artifact_id"], entry["artifact_id"],
        "a manifest after ours sees the same artifact"
    );
    built.says("passed");
    cloud.wait_until_clean(5);
}

#[test]
fn the_line_that_people_grep_is_packers_own() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    let light = cloud.own_image("light", "us-east-1", "greppable");
    workshop.write("surrogate.pkr.hcl", &crate::support::packer::SURROGATE.replace("@SETTINGS@", LIGHT));
    let ami = format!("ami=us-east-1:{light}");
    workshop.write("light.hcl", LIGHT_SUITE);
    let built = workshop.packer(&["-machine-readable", "build", "-var", &ami, "surrogate.pkr.hcl"]).expect(0);
    let mut found: Vec<&str> = built
        .text
        .lines()
        .filter(|line| line.contains("artifact,0,id"))
        .map(|line| line.split(',').nth(5).expect("six fields").split(':').nth(1).expect("region:ami"))
        .collect();
    found.dedup();
    assert_eq!(found, [light.as_str()]);
    assert!(built.text.lines().any(|l| l.contains(",assay,verdict,")), "{}", built.text);
}

#[test]
fn the_gitops_step_pushes_the_candidate_and_running_it_again_changes_nothing() {
    let cloud = Cloud::start();
    let mut workshop = Workshop::new(&cloud);
    let repository = Repository::publish(workshop.path(), &cloud.path("remote.git"));
    for (key, value) in git_environment(workshop.path()) {
        workshop.set(&key, &value);
    }
    workshop.write("light.hcl", LIGHT_SUITE);
    let light = cloud.own_image("light", "us-east-1", "committed");
    workshop.build_surrogate(&format!("us-east-1:{light}"), LIGHT).expect(0);

    let first = workshop.assay(&["commit", "--manifest", "build/manifest.json"]);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let files = repository.remote(&["ls-tree", "-r", "--name-only", "topic"]);
    let run = manifest(&workshop)["builds"][0]["assay"]["run"].as_str().expect("a run").to_owned();
    for file in [format!("images/base/candidates/{run}.hcl"), format!("images/evidence/base/{run}.json")] {
        assert!(files.lines().any(|l| l == file), "{file} in\n{files}");
    }
    let candidate = repository.remote(&["show", &format!("topic:images/base/candidates/{run}.hcl")]);
    assert!(candidate.contains(&light) && candidate.contains("candidate"), "{candidate}");
    let tags = repository.remote(&["for-each-ref", "--format=%(objecttype) %(refname:short)", "refs/tags"]);
    assert!(tags.starts_with("tag base/candidate/") && tags.ends_with(&run), "an annotated tag: {tags}");
    let message = repository.remote(&["log", "-1", "--format=%B", "topic"]);
    assert!(message.contains(&light) && message.contains("passed"), "{message}");
    assert_eq!(repository.git(&["status", "--short"]).lines().filter(|l| !l.starts_with("??")).count(), 0);

    let tip = repository.remote(&["rev-parse", "topic"]);
    let again = workshop.assay(&["commit", "--manifest", "build/manifest.json"]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(repository.remote(&["rev-parse", "topic"]), tip);
}

/// Settings for a light instance: it has sshd and nothing that systemd would start.
pub(crate) const LIGHT: &str = "    suites = [\"light.hcl\"]\n";

/// A suite that a light instance passes.
pub(crate) const LIGHT_SUITE: &str = r#"suite "light" {
  file "/etc/passwd" {
    exists = true
    mode   = "0644"
  }
  command "id -un" {
    exit-status = 0
    stdout      = ["debian"]
  }
}
"#;
