//! *sweeper*: `assay sweep` and `assay prune`. It ends and deletes what carries our tags, and never an AMI that is or may become gold.

use super::{
    document::{Policy, Statement},
    grounds::PolicyInputs,
    instances::resource,
};
use assay_model::{ImageState, tags};

const LOOK: [&str; 19] = [
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeLaunchConfigurations",
    "ec2:DescribeFleets",
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
    "ec2:DescribeSpotFleetRequests",
    "ec2:DescribeSpotInstanceRequests",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcs",
];

/// What is or may become gold.
const KEPT: [ImageState; 2] = [ImageState::Gold, ImageState::Vetted];

/// What ends an AMI, what leads there, and the way back where it turns out to be in use.
const PRUNE: [&str; 7] = [
    "ec2:DeleteSnapshot",
    "ec2:DeregisterImage",
    "ec2:DisableImage",
    "ec2:DisableImageDeprecation",
    "ec2:DisableImageDeregistrationProtection",
    "ec2:EnableImage",
    "ec2:EnableImageDeprecation",
];

/// The policy.
pub(super) fn policy(grounds: &PolicyInputs) -> Policy {
    // Sweep looks into every region that the account may use: what was left behind may lie in one that the configuration no longer names.
    let look = Statement::allow("Look").calls(&LOOK).on(["*"]);
    Policy { statements: vec![look, read(grounds), sweep(grounds), prune(grounds), mark(grounds), keep(grounds)] }
}

/// A launch template may name its AMI by a parameter, whichever.
fn read(grounds: &PolicyInputs) -> Statement {
    let parameters = format!("arn:{}:ssm:*:{}:parameter/*", grounds.partition(), grounds.account.as_str());
    Statement::allow("Resolve").calls(&["ssm:GetParameter"]).on([parameters])
}

/// The mark by which the next prune finds the snapshots of an AMI that is gone.
fn mark(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("Mark")
        .calls(&["ec2:CreateTags"])
        .on([grounds.snapshots()])
        .when("StringEquals", resource(tags::MANAGED), ["true"])
        .when("ForAllValues:StringEquals", "aws:TagKeys", [tags::PRUNED]);
    grounds.here(statement)
}

/// What is temporary says so itself.
fn sweep(grounds: &PolicyInputs) -> Statement {
    let kinds = ["instance", "key-pair", "security-group", "volume"];
    Statement::allow("Sweep")
        .calls(&["ec2:DeleteKeyPair", "ec2:DeleteSecurityGroup", "ec2:DeleteVolume", "ec2:TerminateInstances"])
        .on(kinds.map(|kind| grounds.own(kind, "*")))
        .when("StringEquals", resource(tags::MANAGED), ["true"])
        .when("StringLike", resource(tags::EXPIRES_AT), ["?*"])
}

fn prune(grounds: &PolicyInputs) -> Statement {
    let others = ImageState::ALL.into_iter().filter(|state| !KEPT.contains(state)).map(ImageState::as_str);
    let statement = Statement::allow("Prune")
        .calls(&PRUNE)
        .on(grounds.images_and_snapshots())
        .when("StringEquals", resource(tags::MANAGED), ["true"])
        .when("StringEquals", resource(tags::STATE), others);
    grounds.here(statement)
}

/// Whatever else is attached to the role.
fn keep(grounds: &PolicyInputs) -> Statement {
    Statement::deny("KeepGold").calls(&PRUNE).on(grounds.images_and_snapshots()).when(
        "StringEquals",
        resource(tags::STATE),
        KEPT.map(ImageState::as_str),
    )
}
