//! *sweeper*: `assay sweep` and `assay prune`. It ends and deletes what carries our tags, and never an AMI that is or may become gold.

use super::{
    document::{Policy, Statement},
    grounds::Grounds,
    instances::resource,
};
use crate::model::{State, tags};

const LOOK: [&str; 16] = [
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeLaunchConfigurations",
    "ec2:DescribeImageAttribute",
    "ec2:DescribeImages",
    "ec2:DescribeInstances",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeRegions",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshotAttribute",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcs",
];

/// What is or may become gold.
const KEPT: [State; 2] = [State::Gold, State::Vetted];

/// What ends an AMI, and what leads there.
const PRUNE: [&str; 5] = [
    "ec2:DeleteSnapshot",
    "ec2:DeregisterImage",
    "ec2:DisableImage",
    "ec2:DisableImageDeregistrationProtection",
    "ec2:EnableImageDeprecation",
];

/// The policy.
pub(super) fn policy(grounds: &Grounds) -> Policy {
    // Sweep looks into every region that the account may use: what was left behind may lie in one that the configuration no longer names.
    let look = Statement::allow("Look").calls(&LOOK).on(["*"]);
    Policy { statements: vec![look, sweep(grounds), prune(grounds), keep(grounds)] }
}

/// What is temporary says so itself.
fn sweep(grounds: &Grounds) -> Statement {
    let kinds = ["instance", "key-pair", "security-group", "volume"];
    Statement::allow("Sweep")
        .calls(&["ec2:DeleteKeyPair", "ec2:DeleteSecurityGroup", "ec2:DeleteVolume", "ec2:TerminateInstances"])
        .on(kinds.map(|kind| grounds.own(kind, "*")))
        .when("StringEquals", resource(tags::MANAGED), ["true"])
        .when("StringLike", resource(tags::EXPIRES_AT), ["?*"])
}

fn prune(grounds: &Grounds) -> Statement {
    let others = State::ALL.into_iter().filter(|state| !KEPT.contains(state)).map(State::as_str);
    let statement = Statement::allow("Prune")
        .calls(&PRUNE)
        .on(grounds.images_and_snapshots())
        .when("StringEquals", resource(tags::MANAGED), ["true"])
        .when("StringEquals", resource(tags::STATE), others);
    grounds.here(statement)
}

/// Whatever else is attached to the role.
fn keep(grounds: &Grounds) -> Statement {
    Statement::deny("KeepGold").calls(&PRUNE).on(grounds.images_and_snapshots()).when(
        "StringEquals",
        resource(tags::STATE),
        KEPT.map(State::as_str),
    )
}
