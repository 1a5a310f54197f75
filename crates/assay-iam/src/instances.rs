//! What it takes to boot a test instance and to end it: the statements that *builder* and *tester* share. It owns what may be launched, with which tags, and
//! that only what carries them may be touched again.
//!
//! Which keys EC2 offers for which call and resource is in the Service Authorization Reference ("Actions, resources, and condition keys for Amazon EC2"):
//! `aws:RequestTag` on what is created, per kind of resource as in TagSpecifications; `aws:ResourceTag` on what exists.

use super::{
    document::Statement,
    grounds::{NO_GROUP, NO_INSTANCE, NO_KEY_PAIR, PolicyInputs},
};
use assay_model::tags::{EXPIRES_AT, MANAGED, RUN};

/// The condition key of a tag in the request.
pub(super) fn request(tag: &str) -> String {
    format!("aws:RequestTag/{tag}")
}

/// The condition key of a tag on the resource.
pub(super) fn resource(tag: &str) -> String {
    format!("aws:ResourceTag/{tag}")
}

/// Who launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InstanceLauncher {
    /// Packer, and assay beside it.
    Builder,
    /// assay alone: everything carries a run.
    Tester,
}

/// Ending and looking after what the launcher made: instances, groups, keys, volumes. What carries a run is a test's; what Packer builds with carries none, but always a time.
pub(super) fn own(grounds: &PolicyInputs, who: InstanceLauncher) -> Statement {
    let kinds = ["instance", "key-pair", "security-group", "volume"];
    let mark = match who {
        InstanceLauncher::Builder => EXPIRES_AT,
        InstanceLauncher::Tester => RUN,
    };
    let statement = Statement::allow("Own")
        .calls(&[
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:DeleteKeyPair",
            "ec2:DeleteSecurityGroup",
            "ec2:DeleteVolume",
            "ec2:GetConsoleOutput",
            "ec2:RebootInstances",
            "ec2:StartInstances",
            "ec2:StopInstances",
            "ec2:TerminateInstances",
        ])
        .on(kinds.map(|kind| grounds.own(kind, "*")))
        .when("StringEquals", resource(MANAGED), ["true"])
        .when("StringLike", resource(mark), ["?*"]);
    grounds.here(statement)
}

/// Launching, and all that is made for it.
pub(super) fn launching(grounds: &PolicyInputs, who: InstanceLauncher) -> Vec<Statement> {
    let mut all = vec![instance(grounds, who), parts(grounds), inputs(grounds)];
    all.extend(place(grounds));
    all.push(tags_on_creation(grounds, who));
    all.extend(key_pairs(grounds, who));
    all.extend(groups(grounds));
    all.extend(pass_role(grounds));
    all
}

fn instance(grounds: &PolicyInputs, who: InstanceLauncher) -> Statement {
    let statement = Statement::allow("RunInstance")
        .calls(&["ec2:RunInstances"])
        .on([grounds.own("instance", "*")])
        .when("StringEquals", request(MANAGED), ["true"])
        .when("StringEquals", "ec2:MetadataHttpTokens", ["required"])
        .when("StringEquals", "ec2:InstanceType", grounds.instance_types.iter().map(String::as_str))
        .when("StringLike", request(EXPIRES_AT), ["?*"]);
    let statement = match who {
        InstanceLauncher::Tester => statement.when("StringLike", request(RUN), ["?*"]),
        InstanceLauncher::Builder => statement,
    };
    let statement = match &grounds.instance_profile {
        None => statement.when("Null", "ec2:InstanceProfile", ["true"]),
        Some((profile, _)) => {
            let arn =
                format!("arn:{}:iam::{}:instance-profile/{profile}", grounds.partition(), grounds.account.as_str());
            statement.when("ArnLikeIfExists", "ec2:InstanceProfile", [arn])
        }
    };
    grounds.here(statement)
}

/// What is born with an instance. Both carry our tags, so that what an instance leaves can be told from the account's own.
fn parts(grounds: &PolicyInputs) -> Statement {
    let statement = Statement::allow("RunParts")
        .calls(&["ec2:RunInstances"])
        .on([grounds.own("volume", "*"), grounds.own("network-interface", "*")])
        .when("StringEquals", request(MANAGED), ["true"]);
    grounds.here(statement)
}

/// What a launch uses that carries our tags: AMIs, their snapshots, temporary groups and key pairs.
fn inputs(grounds: &PolicyInputs) -> Statement {
    let [images, snapshots] = grounds.images_and_snapshots();
    let statement = Statement::allow("RunInputs")
        .calls(&["ec2:RunInstances"])
        .on([images, snapshots, grounds.own("security-group", "*"), grounds.own("key-pair", "*")])
        .when("StringEquals", resource(MANAGED), ["true"]);
    grounds.here(statement)
}

/// Where it may be launched: the subnets and groups of the configuration by id, else every subnet of the VPCs.
fn place(grounds: &PolicyInputs) -> Vec<Statement> {
    let mut all = Vec::new();
    let by_id: Vec<String> = grounds.subnets.iter().map(|id| grounds.own("subnet", id)).collect();
    let groups = grounds.security_groups.iter().map(|id| grounds.own("security-group", id));
    let named: Vec<String> = by_id.iter().cloned().chain(groups).collect();
    if !named.is_empty() {
        all.push(grounds.here(Statement::allow("RunPlace").calls(&["ec2:RunInstances"]).on(named)));
    }
    if by_id.is_empty() {
        let vpcs = grounds.vpcs.iter().map(|id| grounds.own("vpc", id));
        let statement = Statement::allow("RunSubnet")
            .calls(&["ec2:RunInstances"])
            .on([grounds.own("subnet", "*")])
            .when("ArnLike", "ec2:Vpc", vpcs);
        all.push(grounds.here(statement));
    }
    all
}

/// Tags may be given in the call that creates and in no other: else a foreign instance could be tagged as ours, and ended.
fn tags_on_creation(grounds: &PolicyInputs, who: InstanceLauncher) -> Statement {
    let kinds = ["instance", "volume", "network-interface", "key-pair", "security-group"];
    let keys = ["assay:*", "Name"].into_iter().chain(grounds.run_tag_keys.iter().map(String::as_str));
    let made_by: &[&str] = match who {
        InstanceLauncher::Tester => &["RunInstances", "ImportKeyPair", "CreateSecurityGroup"],
        InstanceLauncher::Builder => &["RunInstances", "ImportKeyPair", "CreateKeyPair", "CreateSecurityGroup"],
    };
    Statement::allow("TagTemporary")
        .calls(&["ec2:CreateTags"])
        .on(kinds.map(|kind| grounds.own(kind, "*")))
        .when("StringEquals", "ec2:CreateAction", made_by.iter().copied())
        .when("ForAllValues:StringLike", "aws:TagKeys", keys)
}

fn key_pairs(grounds: &PolicyInputs, who: InstanceLauncher) -> Vec<Statement> {
    let ours = Statement::allow("KeyPair").calls(&["ec2:ImportKeyPair"]).on([grounds.own("key-pair", "assay-*")]).when(
        "StringEquals",
        request(MANAGED),
        ["true"],
    );
    let mut all = vec![grounds.here(ours)];
    if who == InstanceLauncher::Builder {
        let packers = Statement::allow("PackerKeyPair")
            .calls(&["ec2:CreateKeyPair", "ec2:ImportKeyPair"])
            .on([grounds.own("key-pair", "packer_*")])
            .when("StringEquals", request(MANAGED), ["true"]);
        all.push(grounds.here(packers));
    }
    all
}

fn groups(grounds: &PolicyInputs) -> Vec<Statement> {
    let made = Statement::allow("SecurityGroup")
        .calls(&["ec2:CreateSecurityGroup"])
        .on([grounds.own("security-group", "*")])
        .when("StringEquals", request(MANAGED), ["true"]);
    let mut all = vec![grounds.here(made)];
    if !grounds.vpcs.is_empty() {
        let vpcs = grounds.vpcs.iter().map(|id| grounds.own("vpc", id));
        let within = Statement::allow("SecurityGroupVpc").calls(&["ec2:CreateSecurityGroup"]).on(vpcs);
        all.push(grounds.here(within));
    }
    let rule = Statement::allow("SecurityGroupRule")
        .calls(&["ec2:AuthorizeSecurityGroupIngress"])
        .on([grounds.own("security-group-rule", "*")]);
    all.push(grounds.here(rule));
    all
}

fn pass_role(grounds: &PolicyInputs) -> Option<Statement> {
    let (_, role) = grounds.instance_profile.as_ref()?;
    let service = if grounds.partition() == "aws-cn" { "ec2.amazonaws.com.cn" } else { "ec2.amazonaws.com" };
    let statement = Statement::allow("PassRole").calls(&["iam:PassRole"]).on([role.as_str()]);
    Some(statement.when("StringEquals", "iam:PassedToService", [service]))
}

/// The clean-up calls on ids that nothing has, so that EC2 can be asked beforehand whether they are allowed at all: for what does not exist EC2 sees no
/// tags, and a statement that demands some answers no.
pub(super) fn clean_up_probe(grounds: &PolicyInputs) -> Statement {
    let nothing = [("instance", NO_INSTANCE), ("key-pair", NO_KEY_PAIR), ("security-group", NO_GROUP)];
    let statement = Statement::allow("CleanUpProbe")
        .calls(&["ec2:TerminateInstances", "ec2:DeleteKeyPair", "ec2:DeleteSecurityGroup"])
        .on(nothing.map(|(kind, id)| grounds.own(kind, id)));
    grounds.here(statement)
}

/// Using keys that encrypt the images' volumes, through EC2 alone ("Permissions for IAM users" in the EBS encryption guide).
pub(super) fn encryption(grounds: &PolicyInputs) -> Vec<Statement> {
    if grounds.encryption_keys.is_empty() {
        return Vec::new();
    }
    let domain = if grounds.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let through: Vec<String> =
        grounds.regions.iter().map(|region| format!("ec2.{}.{domain}", region.as_str())).collect();
    let keys = || grounds.encryption_keys.iter().map(String::as_str);
    let use_key = Statement::allow("UseKey")
        .calls(&[
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ])
        .on(keys())
        .when("StringEquals", "kms:ViaService", through.clone());
    let grant = Statement::allow("GrantKey")
        .calls(&["kms:CreateGrant"])
        .on(keys())
        .when("StringEquals", "kms:ViaService", through)
        .when("Bool", "kms:GrantIsForAWSResource", ["true"]);
    vec![use_key, grant]
}
