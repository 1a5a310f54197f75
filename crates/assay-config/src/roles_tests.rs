//! What assay.hcl and flags make of a policy's grounds.

use std::path::Path;

use super::*;
use crate::file;

const FILE: &str = r#"
image "base" {
  inputs        = ["packer/**"]
  regions       = ["us-east-1"]
  architectures = ["x86_64"]
  distribution {
    ami_regions   = ["eu-west-1"]
    ami_users     = ["111122223333"]
    ssm_parameter = "/images/base/{architecture}"
    kms_key_id    = "alias/images"
  }
  launch {
    subnet_ids           = { us-east-1 = "subnet-0aaaaaaaaaaaaaaa1, subnet-0aaaaaaaaaaaaaaa2" }
    run_tags             = { Team = "platform" }
    iam_instance_profile = "assay-test"
  }
}
"#;

fn config(text: &str) -> ConfigFile {
    let mut problems = Vec::new();
    let file = file::parse(Path::new("assay.hcl"), Path::new("assay.hcl"), text, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    file.expect("a file")
}

fn flags() -> RoleFlags {
    RoleFlags {
        account: Some("123456789012".parse().unwrap()),
        vpcs: vec!["vpc-0aaaaaaaaaaaaaaa1".to_owned()],
        source_owners: vec!["136693071363".to_owned()],
        pass_role: Some("arn:aws:iam::123456789012:role/test".to_owned()),
        kms_keys: vec!["arn:aws:kms:us-east-1:123456789012:key/1".to_owned()],
        ..RoleFlags::default()
    }
}

#[test]
fn the_configuration_says_regions_places_parameters_and_keys() {
    let grounds = grounds(IamRole::Builder, Some(&config(FILE)), &flags()).expect("grounds");
    assert_eq!(grounds.regions.iter().map(Region::as_str).collect::<Vec<_>>(), ["eu-west-1", "us-east-1"]);
    assert_eq!(grounds.subnets, ["subnet-0aaaaaaaaaaaaaaa1", "subnet-0aaaaaaaaaaaaaaa2"]);
    assert_eq!(grounds.ssm_parameters, ["/images/base/*"]);
    assert_eq!(grounds.instance_types, ["t3.small"]);
    assert_eq!(grounds.run_tag_keys, ["Team"]);
    assert_eq!(grounds.encryption_keys, ["arn:aws:kms:us-east-1:123456789012:key/1"]);
    assert_eq!(grounds.instance_profile.expect("one").0, "assay-test");
    assert_eq!(grounds.share_with[0].as_str(), "111122223333");
}

#[test]
fn everything_that_is_missing_is_asked_for_at_once() {
    let problems = grounds(IamRole::Builder, Some(&config(FILE)), &RoleFlags::default()).expect_err("nothing is known");
    let flags: Vec<&str> = problems.iter().map(|problem| problem.option.as_str()).collect();
    assert_eq!(flags, ["--account", "--vpc", "--source-owner", "--pass-role", "--kms-key"]);
    let problems = grounds(IamRole::Promoter, None, &RoleFlags::default()).expect_err("nothing is known");
    let flags: Vec<&str> = problems.iter().map(|problem| problem.option.as_str()).collect();
    assert_eq!(flags, ["--account", "--region"], "a promoter launches nothing");
}

#[test]
fn regions_of_two_partitions_are_two_roles() {
    let flags =
        RoleFlags { regions: ["us-east-1", "cn-north-1"].map(|name| name.parse().unwrap()).to_vec(), ..flags() };
    let problems = grounds(IamRole::Sweeper, None, &flags).expect_err("two partitions");
    assert!(problems[0].message.contains("aws and aws-cn"), "{problems:?}");
}
