//! What a policy is made from: the account and what the configuration names in it. It owns the facts and the ARNs that they make; it refuses placeholders:
//! what is not known is not written.

use super::document::Statement;
use assay_model::{AccountId, Region};

/// An instance id that no instance has: EC2's checks of permission (`DryRun`) are asked with it before there is an instance. The policies allow the clean-up
/// calls on these ids by name, since a condition on tags never fits what does not exist.
pub const NO_INSTANCE: &str = "i-00000000000000000";
/// A security group that does not exist, see [`NO_INSTANCE`].
pub const NO_GROUP: &str = "sg-00000000000000000";
/// A key pair that does not exist, see [`NO_INSTANCE`].
pub const NO_KEY_PAIR: &str = "assay-no-key-pair";

/// What every role's policy is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInputs {
    /// Whose resources.
    pub account: AccountId,
    /// Where anything may be done: builds, tests, copies; at least one, all of one partition.
    pub regions: Vec<Region>,
    /// VPCs in which temporary security groups are made.
    pub vpcs: Vec<String>,
    /// Subnets in which instances are launched; empty: every subnet of `vpcs`.
    pub subnets: Vec<String>,
    /// Security groups that are given to test instances in place of a temporary one.
    pub security_groups: Vec<String>,
    /// Types of instances, at least one.
    pub instance_types: Vec<String>,
    /// Owners of the AMIs that builds start from, beside our own managed ones: account ids, or EC2's words `amazon` and `aws-marketplace`.
    pub source_owners: Vec<String>,
    /// Keys of the user's own tags on what is temporary.
    pub run_tag_keys: Vec<String>,
    /// The name of the instance profile that test instances get, and the ARN of the role in it.
    pub instance_profile: Option<(String, String)>,
    /// The accounts that gold is shared with.
    pub share_with: Vec<AccountId>,
    /// SSM parameters that point to gold; where a name depends on architecture or region, with `*`.
    pub ssm_parameters: Vec<String>,
    /// ARNs of KMS keys that encrypt the images.
    pub encryption_keys: Vec<String>,
    /// ARN of the KMS key that signs evidence.
    pub signing_key: Option<String>,
}

impl PolicyInputs {
    /// `aws`, `aws-cn` or `aws-us-gov`, by the first region ("Partitions" in the AWS General Reference).
    pub fn partition(&self) -> &'static str {
        partition_of(self.regions.first())
    }

    /// The ARN of what belongs to the account: `kind/name`, in any region.
    pub(super) fn own(&self, kind: &str, name: &str) -> String {
        format!("arn:{}:ec2:*:{}:{kind}/{name}", self.partition(), self.account.as_str())
    }

    /// The ARNs of images and snapshots, which name no account.
    pub(super) fn images_and_snapshots(&self) -> [String; 2] {
        [self.images(), self.snapshots()]
    }

    pub(super) fn images(&self) -> String {
        format!("arn:{}:ec2:*::image/*", self.partition())
    }

    pub(super) fn snapshots(&self) -> String {
        format!("arn:{}:ec2:*::snapshot/*", self.partition())
    }

    /// The statement, only in these regions.
    pub(super) fn here(&self, statement: Statement) -> Statement {
        statement.when("StringEquals", "aws:RequestedRegion", self.regions.iter().map(Region::as_str))
    }
}

/// The partition of a region.
pub fn partition_of(region: Option<&Region>) -> &'static str {
    match region.map(Region::as_str) {
        Some(region) if region.starts_with("cn-") => "aws-cn",
        Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
