//! *promoter*: says which AMI is gold, copies and shares it, points to it. It launches nothing and deletes nothing, and it sees none of what a tested image
//! sends.

use super::{
    builder::DECIDED,
    document::{Policy, Statement},
    grounds::PolicyInputs,
    instances::{self, request, resource},
};
use assay_model::{ImageState, tags};

const LOOK: [&str; 6] = [
    "ec2:DescribeImageAttribute",
    "ec2:DescribeImages",
    "ec2:DescribeRegions",
    "ec2:DescribeSnapshotAttribute",
    "ec2:DescribeSnapshots",
    "ec2:DescribeTags",
];

/// The tags that a move may write on what is ours; which image and run an AMI is of, and what it was made from, is not among them.
const MOVED: [&str; 5] = [tags::STATE, tags::VERDICT, tags::EVIDENCE, tags::PROMOTED_BY, tags::PROTECTED_BY];

/// The policy.
pub(super) fn policy(grounds: &PolicyInputs) -> Policy {
    let mut statements = vec![
        grounds.here(Statement::allow("Look").calls(&LOOK).on(["*"])),
        tag(grounds),
        copy_from(grounds),
        copy_to(grounds),
        tag_copy(grounds),
        share(grounds),
        deprecate(grounds),
    ];
    statements.extend(share_snapshots(grounds));
    statements.extend(release(grounds));
    statements.extend(point(grounds));
    statements.extend(instances::encryption(grounds));
    Policy { statements }
}

fn states(of: &[ImageState]) -> impl Iterator<Item = &'static str> {
    of.iter().map(|state| state.as_str())
}

/// Moves of what is managed.
fn tag(grounds: &PolicyInputs) -> Statement {
    let moves = DECIDED.into_iter().chain([ImageState::Rejected]).map(ImageState::as_str);
    let statement = Statement::allow("Tag")
        .calls(&["ec2:CreateTags"])
        .on(grounds.images_and_snapshots())
        .when("StringEquals", resource(tags::MANAGED), ["true"])
        .when("StringEqualsIfExists", request(tags::STATE), moves)
        .when("ForAllValues:StringEquals", "aws:TagKeys", MOVED);
    grounds.here(statement)
}

/// What may be copied: since October 2024 EC2 judges the source as a resource of its own ("Grant permissions to copy Amazon EC2 AMIs" in the EC2 User Guide), to which
/// no tag of the request belongs. It offers no key for the tags that a source has (Service Authorization Reference, CopyImage): that it is a vetted AMI is the
/// conductor's check.
fn copy_from(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("CopyFromOurs").calls(&["ec2:CopyImage"]).on([grounds.images()]).when(
        "StringEquals",
        "ec2:Owner",
        [grounds.account.as_str()],
    );
    grounds.here(statement)
}

/// The copy and its snapshots, tagged in the same call. Where EC2 told the request's tags of the source too, its owner would still be asked for.
fn copy_to(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("Copy")
        .calls(&["ec2:CopyImage"])
        .on(grounds.images_and_snapshots())
        .when("StringEquals", request(tags::MANAGED), ["true"])
        .when("StringEqualsIfExists", "ec2:Owner", [grounds.account.as_str()]);
    grounds.here(statement)
}

fn tag_copy(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("TagCopy")
        .calls(&["ec2:CreateTags"])
        .on(grounds.images_and_snapshots())
        .when("StringEquals", "ec2:CreateAction", ["CopyImage"])
        .when("StringEquals", request(tags::MANAGED), ["true"]);
    grounds.here(statement)
}

/// Launch permission on what passed. To whom, EC2 offers no key for: that it is never everybody is the conductor's check, and the account's "block public access".
fn share(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("Share")
        .calls(&["ec2:ModifyImageAttribute"])
        .on([grounds.images()])
        .when("StringEquals", resource(tags::MANAGED), ["true"])
        .when("StringEquals", resource(tags::STATE), states(&DECIDED));
    grounds.here(statement)
}

/// Permission on snapshots, to the accounts of the configuration and never to everybody.
fn share_snapshots(grounds: &PolicyInputs) -> Option<Statement> {
    if grounds.share_with.is_empty() {
        return None;
    }
    let accounts = grounds.share_with.iter().map(|account| account.as_str());
    let statement = Statement::allow("ShareSnapshots")
        .calls(&["ec2:ModifySnapshotAttribute"])
        .on([grounds.snapshots()])
        .when("StringEquals", resource(tags::MANAGED), ["true"])
        .when("StringEquals", resource(tags::STATE), states(&DECIDED))
        .when("ForAllValues:StringEquals", "ec2:Add/userId", accounts)
        .when("Null", "ec2:Add/group", ["true"]);
    Some(grounds.here(statement))
}

fn deprecate(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("Deprecate")
        .calls(&[
            "ec2:DisableImageDeprecation",
            "ec2:EnableImageDeprecation",
            "ec2:EnableImageDeregistrationProtection",
        ])
        .on([grounds.images()])
        .when("StringEquals", resource(tags::MANAGED), ["true"]);
    grounds.here(statement)
}

/// Our protection of what is gold no longer, and `reject --release`.
fn release(grounds: &PolicyInputs) -> Option<Statement> {
    let statement = Statement::allow("Release")
        .calls(&["ec2:DisableImageDeregistrationProtection"])
        .on([grounds.images()])
        .when("StringEquals", resource(tags::MANAGED), ["true"])
        .when(
            "StringEquals",
            resource(tags::STATE),
            states(&[ImageState::Rejected, ImageState::Retired, ImageState::Revoked]),
        );
    Some(grounds.here(statement))
}

/// The SSM parameters that point to gold. A parameter of data type `aws:ec2:image` is checked with the caller's right to see images, which `Look` holds.
fn point(grounds: &PolicyInputs) -> Option<Statement> {
    if grounds.ssm_parameters.is_empty() {
        return None;
    }
    let arns = grounds.ssm_parameters.iter().map(|name| {
        let (partition, account) = (grounds.partition(), grounds.account.as_str());
        format!("arn:{partition}:ssm:*:{account}:parameter/{}", name.trim_start_matches('/'))
    });
    let statement = Statement::allow("Point").calls(&["ssm:GetParameter", "ssm:GetParameters", "ssm:PutParameter"]);
    Some(grounds.here(statement.on(arns)))
}
