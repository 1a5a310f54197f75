//! `assay validate` and `assay probe` without Packer.

use serde_json::Value;

use crate::{
    build::{LIGHT, LIGHT_SUITE},
    support::{cloud::Cloud, packer::Workshop},
};

#[test]
fn validate_decides_what_a_build_left_undecided() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", LIGHT_SUITE);
    let ami = cloud.own_image("light", "us-east-1", "twice");
    cloud.unreachable(&ami);
    workshop.build_surrogate(&format!("us-east-1:{ami}"), &format!("{LIGHT}    ssh_timeout = \"5s\"\n")).expect(1);
    assert_eq!(cloud.image(&ami)["tags"]["assay:state"], "untested");

    cloud.reachable(&ami);
    let named = format!("us-east-1:{ami}");
    let output = workshop.assay(&[
        "validate",
        "--ami",
        &named,
        "--suite",
        "light.hcl",
        "--ssh-username",
        "debian",
        "--format",
        "json",
    ]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let result: Value = serde_json::from_str(&text).expect("one JSON document on stdout");
    assert_eq!(result["verdict"], "passed");
    assert_eq!(result["targets"][0]["target"], named.as_str());
    assert_eq!(cloud.image(&ami)["tags"]["assay:state"], "candidate");
    cloud.wait_until_clean(10);
}

#[test]
fn validate_ends_with_2_for_a_failed_check_and_3_for_no_verdict() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("bad.hcl", "suite \"bad\" {\n  file \"/nonexistent\" {\n    exists = true\n  }\n}\n");
    let ami = cloud.own_image("light", "us-east-1", "codes");
    let named = format!("us-east-1:{ami}");
    let arguments = ["validate", "--image", "base", "--ami", &named, "--suite", "bad.hcl", "--ssh-username", "debian"];
    let failed = workshop.assay(&arguments);
    assert_eq!(failed.status.code(), Some(2), "{}", String::from_utf8_lossy(&failed.stderr));
    let nowhere = workshop.assay(&[
        "validate",
        "--image",
        "base",
        "--ami",
        "us-east-1:ami-00000000000000000",
        "--suite",
        "bad.hcl",
        "--ssh-username",
        "debian",
    ]);
    assert_eq!(nowhere.status.code(), Some(3), "{}", String::from_utf8_lossy(&nowhere.stderr));
    let usage = workshop.assay(&["validate", "--ami", "nonsense"]);
    assert_eq!(usage.status.code(), Some(1));
    cloud.wait_until_clean(10);
}
