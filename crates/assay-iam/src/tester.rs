//! *tester*: boots what is managed, tests it, ends it, signs what it found. It tags nothing that exists: else it could mark an AMI gold, or a foreign instance
//! as ours and end it.

use super::{
    document::{Policy, Statement},
    grounds::PolicyInputs,
    instances::{self, InstanceLauncher},
};

/// Everything that a validation asks EC2.
pub(super) const LOOK: [&str; 12] = [
    "ec2:DescribeImages",
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeRegions",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcs",
];

/// What `assay doctor` asks of the account's room for instances.
pub(super) const QUOTA: [&str; 2] = ["servicequotas:GetServiceQuota", "servicequotas:GetAWSDefaultServiceQuota"];

/// The policy.
pub(super) fn policy(grounds: &PolicyInputs) -> Policy {
    let mut statements = vec![grounds.here(Statement::allow("Look").calls(&LOOK).calls(&QUOTA).on(["*"]))];
    statements.extend(instances::launching(grounds, InstanceLauncher::Tester));
    statements.push(instances::own(grounds, InstanceLauncher::Tester));
    statements.push(instances::clean_up_probe(grounds));
    statements.extend(instances::encryption(grounds));
    statements.extend(sign(grounds));
    Policy { statements }
}

fn sign(grounds: &PolicyInputs) -> Option<Statement> {
    let key = grounds.signing_key.as_deref()?;
    let statement = Statement::allow("Sign").calls(&["kms:GetPublicKey", "kms:Sign"]).on([key]);
    Some(statement.when("StringEqualsIfExists", "kms:SigningAlgorithm", ["ECDSA_SHA_256"]))
}
