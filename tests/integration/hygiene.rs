//! What an image carries into its instances, on machines that boot: a stock image has no finding, and one that plain Packer made has each, by name.

use std::process::Output;

use serde_json::Value;

use crate::support::{cloud::Cloud, packer::Workshop};

fn validate(workshop: &Workshop, ami: &str, suites: &[&str]) -> Output {
    let ami = format!("us-east-1:{ami}");
    let mut arguments = vec!["validate", "--no-stamp", "--image", "base", "--ami", &ami, "--ssh-username", "debian"];
    suites.iter().for_each(|suite| arguments.extend(["--suite", suite]));
    arguments.extend(["--report-dir", "reports"]);
    workshop.assay(&arguments)
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The checks of the only target.
fn checks(workshop: &Workshop) -> Vec<Value> {
    let evidence: Value = serde_json::from_str(&workshop.read("reports/evidence.json")).expect("JSON");
    evidence["targets"][0]["checks"].as_array().expect("checks").clone()
}

#[test]
fn a_stock_image_has_no_finding_and_passes_the_smoke_profile() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    let stock = cloud.own_image("booted", "us-east-1", "stock");
    let output = validate(&workshop, &stock, &["profile:hygiene", "profile:smoke"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let checks = checks(&workshop);
    let hygiene: Vec<&Value> = checks.iter().filter(|check| check["suite"] == "hygiene").collect();
    assert!(hygiene.len() >= 20, "{}", hygiene.len());
    assert!(hygiene.iter().all(|check| check["actual"] == serde_json::json!([])), "{hygiene:#?}");
}

#[test]
fn whatever_plain_packer_leaves_behind_is_found_by_name() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("unclean.pkr.hcl", include_str!("templates/unclean.pkr.hcl"));
    workshop.packer(&["build", "-color=false", "unclean.pkr.hcl"]).expect(0);
    let manifest: Value = serde_json::from_str(&workshop.read("unclean.json")).expect("JSON");
    let artifact = manifest["builds"][0]["artifact_id"].as_str().expect("an artifact");
    let ami = artifact.split_once(':').expect("region:ami").1;

    let output = validate(&workshop, ami, &["profile:hygiene"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    let checks = checks(&workshop);
    for (property, words) in [
        ("authorized-keys", "left behind by Packer"),
        ("host-keys", "/etc/ssh/ssh_host_ed25519_key was in the image"),
        ("machine-id", "/etc/machine-id is older than the first boot"),
        ("cloud-init", "is of another instance"),
        ("histories", "root: /root/.bash_history"),
        ("cloud-credentials", "/home/debian/.aws/credentials line 3"),
        ("password-logins", "deploy has a password"),
        ("sudoers", "/etc/sudoers.d/deploy line 1"),
        ("suid", "/usr/local/bin/id-as-root (set-uid root"),
    ] {
        let check = checks.iter().find(|check| check["property"] == property).expect(property);
        assert_eq!(check["outcome"], "failed", "{check}");
        assert!(check["actual"].to_string().contains(words), "{check}");
    }
    assert!(!told(&output).contains("wJalr"), "{}", told(&output));
}
