//! `assay diff` on images that boot: exactly what was changed between two of them is named, and the evidence that says so is signed.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{cloud::Cloud, packer::Workshop};

const SUITE: &str = "suite \"smoke\" {\n  service \"ssh\" { running = true }\n}\n";

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn validate(workshop: &Workshop, ami: &str, reports: &str, extra: &[&str]) {
    let ami = format!("us-east-1:{ami}");
    let mut arguments = vec!["validate", "--no-stamp", "--image", "base", "--ami", &ami, "--ssh-username", "debian"];
    arguments.extend(["--suite", "smoke.hcl", "--report-dir", reports]);
    arguments.extend(extra);
    let output = workshop.assay(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

/// `name: old → new` of one list of changes.
fn changes(diff: &Value, list: &str) -> Vec<String> {
    let side = |change: &Value, side: &str| change[side].as_str().unwrap_or("-").to_owned();
    let changes = diff["architectures"][0]["changes"][list].as_array().unwrap_or_else(|| panic!("{list}: {diff:#}"));
    changes.iter().map(|it| format!("{}: {} → {}", side(it, "name"), side(it, "old"), side(it, "new"))).collect()
}

#[test]
fn exactly_what_was_changed_between_two_images_is_named() {
    let cloud = Cloud::start();
    let mut workshop = Workshop::new(&cloud);
    workshop.write("smoke.hcl", SUITE);
    workshop.write("changed.pkr.hcl", include_str!("templates/changed.pkr.hcl"));
    workshop.packer(&["build", "-color=false", "changed.pkr.hcl"]).expect(0);
    let manifest: Value = serde_json::from_str(&workshop.read("changed.json")).expect("JSON");
    let artifact = manifest["builds"][0]["artifact_id"].as_str().expect("an artifact");
    let changed = artifact.split_once(':').expect("region:ami").1;

    let key = workshop.path().join("signing-key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.expect("ssh-keygen (package openssh-client)").success());
    workshop.set("CIRCLE_WORKFLOW_ID", "5e4bb2a1-21c2-4a5e-9d0f-0f4ee32a1d55");
    let stock = cloud.own_image("booted", "us-east-1", "stock");
    validate(&workshop, &stock, "old", &[]);
    validate(&workshop, changed, "new", &["--sign-with", "signing-key"]);

    let output = workshop.assay(&["diff", "old/evidence.json", "new/evidence.json", "--format", "json", "--exit-code"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    let diff: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(changes(&diff, "packages"), ["minicloud-motd: 1.0 → 1.1"]);
    assert_eq!(changes(&diff, "users"), ["courier: - → uid 970, gid 970, /usr/sbin/nologin"]);
    assert_eq!(changes(&diff, "groups"), ["courier: - → gid 970"]);
    assert_eq!(changes(&diff, "set_id"), ["/usr/local/bin/id-as-root: - → 4755 root:root"]);
    assert_eq!(changes(&diff, "ports"), ["tcp 0.0.0.0:8099: - → python3"]);
    assert_eq!(changes(&diff, "units"), ["courier.service: - → enabled, active"]);
    for list in ["system", "kernels", "incomparable"] {
        assert_eq!(diff["architectures"][0]["changes"][list], serde_json::json!([]), "{list}");
    }
    let one = &diff["architectures"][0];
    assert!(one["new_boot"]["userspace_ms"].as_u64().is_some_and(|ms| ms > 0), "{one}");
    assert!(one["new_boot"]["disk_used_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{one}");

    let same = workshop.assay(&["diff", "new/evidence.json", "new/evidence.json", "--exit-code"]);
    assert_eq!(same.status.code(), Some(0), "{}", told(&same));
    let file = ["diff", "old/evidence.json", "new/evidence.json", "--format", "markdown", "--output", "diff.md"];
    assert_eq!(workshop.assay(&file).status.code(), Some(0));
    assert!(workshop.read("diff.md").contains("<code>minicloud-motd</code>"), "{}", workshop.read("diff.md"));

    signed(&workshop);
}

/// The evidence names its workflow and is signed with the key, as ssh-keygen says.
fn signed(workshop: &Workshop) {
    let evidence: Value = serde_json::from_str(&workshop.read("new/evidence.json")).expect("JSON");
    assert_eq!(evidence["workflow"], "5e4bb2a1-21c2-4a5e-9d0f-0f4ee32a1d55");
    assert!(!workshop.path().join("old/evidence.json.sig").exists(), "nobody asked for that");
    workshop.write("allowed_signers", &format!("ci@example.com {}", workshop.read("signing-key.pub")));
    let verified = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-n", "assay-evidence", "-I", "ci@example.com", "-f", "allowed_signers"])
        .args(["-s", "new/evidence.json.sig"])
        .current_dir(workshop.path())
        .stdin(std::fs::File::open(workshop.path().join("new/evidence.json")).expect("the evidence"))
        .output()
        .expect("ssh-keygen (package openssh-client)");
    assert!(verified.status.success(), "{}", told(&verified));
}
