//! *builder*: Packer with its amazon-ebs and amazon-ebssurrogate builders (the calls of packer-plugin-amazon 1.8.2) and assay's post-processor in the same job. What it
//! says of an AMI is no more than a candidate: a pull request decides what runs here.
//!
//! Not in it, since no build needs it before the tests: sharing AMIs or snapshots with other accounts, fast launch, IAM roles of Packer's own making, spot fleets,
//! Session Manager.

use super::{
    document::{Policy, Statement},
    grounds::PolicyInputs,
    instances::{self, InstanceLauncher, request, resource},
    tester,
};
use assay_model::{ImageState, tags};

/// What a build may say of an AMI.
const SAID: [ImageState; 4] = [ImageState::Building, ImageState::Candidate, ImageState::Rejected, ImageState::Untested];
/// What a build may still say something about.
const OPEN: [ImageState; 2] = [ImageState::Building, ImageState::Untested];
/// What only the protected branch says.
pub(super) const DECIDED: [ImageState; 4] =
    [ImageState::Vetted, ImageState::Gold, ImageState::Retired, ImageState::Revoked];

/// Calls of Packer's that a validation does not make.
const PACKERS_LOOK: [&str; 2] = ["ec2:DescribeImageAttribute", "ec2:DescribeInstanceTypes"];

/// The policy.
pub(super) fn policy(grounds: &PolicyInputs) -> Policy {
    let look = Statement::allow("Look").calls(&tester::LOOK).calls(&tester::QUOTA).calls(&PACKERS_LOOK).on(["*"]);
    let mut statements = vec![grounds.here(look)];
    statements.extend(instances::launching(grounds, InstanceLauncher::Builder));
    statements.extend(sources(grounds));
    statements.push(instances::own(grounds, InstanceLauncher::Builder));
    statements.push(take_from(grounds));
    statements.push(instances::clean_up_probe(grounds));
    statements.push(make(grounds));
    statements.extend(register(grounds));
    statements.push(tag_new(grounds));
    statements.push(stamp(grounds));
    statements.push(attributes(grounds));
    statements.push(withdraw(grounds));
    statements.extend(instances::encryption(grounds));
    statements.push(keep_decided(grounds));
    statements.push(decide_nothing(grounds));
    Policy { statements }
}

fn words(states: &[ImageState]) -> impl Iterator<Item = &'static str> {
    states.iter().map(|state| state.as_str())
}

/// The AMIs that a build starts from.
fn sources(grounds: &PolicyInputs) -> Option<Statement> {
    if grounds.source_owners.is_empty() {
        return None;
    }
    let statement = Statement::allow("RunSource").calls(&["ec2:RunInstances"]).on(grounds.images_and_snapshots()).when(
        "StringEquals",
        "ec2:Owner",
        grounds.source_owners.iter().map(String::as_str),
    );
    Some(grounds.here(statement))
}

/// What changes or copies an instance: of those alone that are being built on. A test's carries a run and no state, so no branch's job can change or read what
/// the tester boots; assay's own tests, in this job too, need none of these calls.
fn take_from(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("OwnBuild")
        .calls(&["ec2:CreateImage", "ec2:CreateSnapshot", "ec2:DetachVolume", "ec2:ModifyInstanceAttribute"])
        .on(["instance", "volume"].map(|kind| grounds.own(kind, "*")))
        .when("StringEquals", resource(tags::MANAGED), ["true"])
        .when("StringEquals", resource(tags::STATE), [ImageState::Building.as_str()])
        .when("StringLike", resource(tags::EXPIRES_AT), ["?*"]);
    grounds.here(statement)
}

/// The new AMI and its snapshots, from our instance or volume (`OwnBuild`), or as a copy. Packer's copies carry no tags of their own in the request. `ec2:Owner` is
/// the source's; where the key is not there, it is the new AMI that is asked about.
fn make(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("MakeImage")
        .calls(&["ec2:CopyImage", "ec2:CreateImage", "ec2:CreateSnapshot"])
        .on(grounds.images_and_snapshots())
        .when("StringEqualsIfExists", "ec2:Owner", [grounds.account.as_str()]);
    grounds.here(statement)
}

/// An AMI from snapshots (amazon-ebssurrogate): from ours alone. A snapshot of somebody's database would else be an AMI, and could be read.
fn register(grounds: &PolicyInputs) -> [Statement; 2] {
    let new = Statement::allow("RegisterImage").calls(&["ec2:RegisterImage"]).on([grounds.images()]);
    let from = Statement::allow("RegisterFromOurs").calls(&["ec2:RegisterImage"]).on([grounds.snapshots()]).when(
        "StringEquals",
        resource(tags::MANAGED),
        ["true"],
    );
    [grounds.here(new), grounds.here(from)]
}

/// Tags in the call that makes an AMI: it is being built, nothing else.
fn tag_new(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("TagNewImage")
        .calls(&["ec2:CreateTags"])
        .on(grounds.images_and_snapshots())
        .when("StringEquals", "ec2:CreateAction", ["CopyImage", "CreateImage", "CreateSnapshot", "RegisterImage"])
        .when("StringEqualsIfExists", request(tags::STATE), [ImageState::Building.as_str()]);
    grounds.here(statement)
}

/// Tags afterwards: Packer's on what it made, then the hallmark. What has a verdict is not open any more.
fn stamp(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("TagOpenImage")
        .calls(&["ec2:CreateTags"])
        .on(grounds.images_and_snapshots())
        .when("StringEquals", request(tags::MANAGED), ["true"])
        .when("StringEquals", request(tags::STATE), words(&SAID))
        .when("Null", "ec2:CreateAction", ["true"])
        .when("StringEqualsIfExists", resource(tags::STATE), words(&OPEN))
        .when("StringEqualsIfExists", "ec2:Owner", [grounds.account.as_str()]);
    grounds.here(statement)
}

/// What Packer sets on an AMI, and protection, which comes before the AMI can be told to be ours.
fn attributes(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("ImageAttributes")
        .calls(&["ec2:EnableImageDeprecation", "ec2:EnableImageDeregistrationProtection", "ec2:ModifyImageAttribute"])
        .on([grounds.images()])
        .when("StringEquals", "ec2:Owner", [grounds.account.as_str()])
        .when("StringEqualsIfExists", resource(tags::STATE), words(&SAID));
    grounds.here(statement)
}

/// Lifting our protection after a pass; what Packer deletes where a build or its test failed.
fn withdraw(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("Withdraw")
        .calls(&["ec2:DeleteSnapshot", "ec2:DeregisterImage", "ec2:DisableImageDeregistrationProtection"])
        .on(grounds.images_and_snapshots())
        .when("StringEquals", resource(tags::MANAGED), ["true"])
        .when("StringEquals", resource(tags::STATE), words(&SAID));
    grounds.here(statement)
}

/// Whatever else is attached to the role: what the protected branch decided stays as it is.
fn keep_decided(grounds: &PolicyInputs) -> Statement {
    Statement::deny("KeepDecided")
        .calls(&[
            "ec2:CreateTags",
            "ec2:DeleteSnapshot",
            "ec2:DeleteTags",
            "ec2:DeregisterImage",
            "ec2:DisableImage",
            "ec2:DisableImageDeregistrationProtection",
            "ec2:EnableImageDeprecation",
            "ec2:ModifyImageAttribute",
            "ec2:ModifySnapshotAttribute",
        ])
        .on(grounds.images_and_snapshots())
        .when("StringEquals", resource(tags::STATE), words(&DECIDED))
}

/// Whatever else is attached to the role: it decides nothing itself.
fn decide_nothing(grounds: &PolicyInputs) -> Statement {
    Statement::deny("DecideNothing").calls(&["ec2:CreateTags"]).on(grounds.images_and_snapshots()).when(
        "StringEquals",
        request(tags::STATE),
        words(&DECIDED),
    )
}
