//! A role that may launch and may not end launches nothing.

use serde_json::json;

use crate::{
    build::{LIGHT, LIGHT_SUITE},
    support::{cloud::Cloud, packer::Workshop},
};

#[test]
fn nothing_is_created_where_ec2_says_beforehand_that_it_could_not_be_ended() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", LIGHT_SUITE);
    let ami = cloud.own_image("light", "us-east-1", "rights");
    cloud.faults(json!([{ "action": "TerminateInstances", "code": "UnauthorizedOperation", "times": 100 }]));
    let said = workshop.assay(&[
        "validate",
        "--ami",
        &format!("us-east-1:{ami}"),
        "--suite",
        "light.hcl",
        "--image",
        "base",
        "--no-stamp",
        "--format",
        "json",
    ]);
    assert_eq!(said.status.code(), Some(3), "undecided: {}", String::from_utf8_lossy(&said.stderr));
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let undecided = &said["targets"][0]["undecided"];
    assert_eq!(undecided["kind"], "credentials", "{said:#}");
    let reason = undecided["reason"].as_str().expect("a reason");
    assert!(reason.contains("ec2:TerminateInstances is not allowed") && reason.contains("CleanUpProbe"), "{reason}");
    let creating = ["RunInstances", "ImportKeyPair", "CreateSecurityGroup", "CreateTags"];
    let made: Vec<_> =
        cloud.calls().into_iter().filter(|c| creating.contains(&c["action"].as_str().unwrap_or(""))).collect();
    assert!(made.is_empty(), "{made:#?}");
    cloud.wait_until_clean(1);
}

/// In a build the same: the AMI is kept, and says that nobody tested it.
#[test]
fn a_build_whose_role_may_not_clean_up_keeps_an_untested_ami() {
    let cloud = Cloud::start();
    let workshop = Workshop::new(&cloud);
    workshop.write("light.hcl", LIGHT_SUITE);
    let ami = cloud.own_image("light", "us-east-1", "rights");
    cloud.faults(json!([{ "action": "DeleteKeyPair", "code": "UnauthorizedOperation", "times": 100 }]));
    let built = workshop.build_surrogate(&format!("us-east-1:{ami}"), LIGHT).expect(1);
    built.says("ec2:DeleteKeyPair is not allowed");
    assert_eq!(cloud.image(&ami)["tags"]["assay:state"], "untested");
    cloud.wait_until_clean(1);
}
