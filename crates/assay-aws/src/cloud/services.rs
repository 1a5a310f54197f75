//! What assay asks of AWS beside instances and AMIs: SSM parameters, KMS signatures, quotas, and EC2's answer to "might I?". It owns the values and the
//! trait [`RegionServices`], a part of [`super::Cloud`]. It refuses to hold a private key: a signature is made where the key lives.

use std::collections::BTreeMap;

use futures::future::BoxFuture;

use super::{CloudResult, RunInstances};
use assay_model::{AmiId, AmiRef};

/// A call that EC2 shall check and not do (`DryRun`): each that assay makes and that changes something. Where the policies speak of tags or of single
/// resources, the answer holds for exactly the tags and ids that are named here.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "variants and fields are named as in the EC2 API reference")]
pub enum DryRun {
    RunInstances(Box<RunInstances>),
    ImportKeyPair { name: String, public_key: String, tags: BTreeMap<String, String> },
    DeleteKeyPair { name: String },
    CreateSecurityGroup { name: String, vpc: Option<String>, tags: BTreeMap<String, String> },
    AuthorizeSecurityGroupIngress { group: String },
    DeleteSecurityGroup { group: String },
    GetConsoleOutput { instance: String },
    RebootInstances { instance: String },
    StopInstances { instance: String },
    StartInstances { instance: String },
    TerminateInstances { instance: String },
    DeleteVolume { volume: String },
    CreateTags { resource: String, tags: BTreeMap<String, String> },
    CopyImage { source: AmiRef, name: String, tags: BTreeMap<String, String> },
    ModifyImageAttribute { image: AmiId },
    ModifySnapshotAttribute { snapshot: String },
    EnableImageDeprecation { image: AmiId },
    DisableImageDeprecation { image: AmiId },
    DisableImage { image: AmiId },
    EnableImage { image: AmiId },
    DeregisterImage { image: AmiId },
    DeleteSnapshot { snapshot: String },
    EnableImageDeregistrationProtection { image: AmiId },
    DisableImageDeregistrationProtection { image: AmiId },
}

impl DryRun {
    /// EC2's name of the call.
    pub fn action(&self) -> &'static str {
        match self {
            Self::RunInstances(_) => "RunInstances",
            Self::ImportKeyPair { .. } => "ImportKeyPair",
            Self::DeleteKeyPair { .. } => "DeleteKeyPair",
            Self::CreateSecurityGroup { .. } => "CreateSecurityGroup",
            Self::AuthorizeSecurityGroupIngress { .. } => "AuthorizeSecurityGroupIngress",
            Self::DeleteSecurityGroup { .. } => "DeleteSecurityGroup",
            Self::GetConsoleOutput { .. } => "GetConsoleOutput",
            Self::RebootInstances { .. } => "RebootInstances",
            Self::StopInstances { .. } => "StopInstances",
            Self::StartInstances { .. } => "StartInstances",
            Self::TerminateInstances { .. } => "TerminateInstances",
            Self::DeleteVolume { .. } => "DeleteVolume",
            Self::CreateTags { .. } => "CreateTags",
            Self::CopyImage { .. } => "CopyImage",
            Self::ModifyImageAttribute { .. } => "ModifyImageAttribute",
            Self::ModifySnapshotAttribute { .. } => "ModifySnapshotAttribute",
            Self::EnableImageDeprecation { .. } => "EnableImageDeprecation",
            Self::DisableImageDeprecation { .. } => "DisableImageDeprecation",
            Self::DisableImage { .. } => "DisableImage",
            Self::EnableImage { .. } => "EnableImage",
            Self::DeregisterImage { .. } => "DeregisterImage",
            Self::DeleteSnapshot { .. } => "DeleteSnapshot",
            Self::EnableImageDeregistrationProtection { .. } => "EnableImageDeregistrationProtection",
            Self::DisableImageDeregistrationProtection { .. } => "DisableImageDeregistrationProtection",
        }
    }
}

/// What EC2 said to a [`DryRun`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DryRunAnswer {
    /// `DryRunOperation`: it would have been done.
    Allowed,
    /// `UnauthorizedOperation` and its like, in EC2's words.
    Denied(String),
    /// EC2 refused it for another reason, mostly that the thing named does not exist: nothing is known of the permission.
    NotSaid(String),
}

/// Services of one region beside EC2's own verbs.
pub trait RegionServices: Send + Sync {
    /// SSM GetParameter: its value; `None` where no such parameter (or version) exists. `name` may carry a selector (`name:3`, `name:label`) or be the ARN
    /// of a shared one. Encrypted values are not decrypted.
    fn get_parameter<'a>(&'a self, name: &'a str) -> BoxFuture<'a, CloudResult<Option<String>>>;
    /// SSM PutParameter, type String. An AMI id is stored with data type `aws:ec2:image`, so that a launch template can use it ("Native parameter support
    /// for Amazon Machine Image IDs" in the Systems Manager guide; the value shows a moment later then); where SSM refuses that, as text.
    /// Without `overwrite` an existing parameter is `Duplicate`.
    fn put_parameter<'a>(&'a self, name: &'a str, value: &'a str, overwrite: bool) -> BoxFuture<'a, CloudResult<()>>;
    /// KMS Sign of a SHA-256 digest by ECDSA_SHA_256: the signature in DER (`Ecdsa-Sig-Value`). `key`: id, ARN, `alias/NAME` or an alias's ARN; an ARN's
    /// region is asked, whatever region this is.
    fn kms_sign<'a>(&'a self, key: &'a str, digest: &'a [u8; 32]) -> BoxFuture<'a, CloudResult<Vec<u8>>>;
    /// KMS GetPublicKey: SubjectPublicKeyInfo in DER. `key` as in [`RegionServices::kms_sign`].
    fn kms_public_key<'a>(&'a self, key: &'a str) -> BoxFuture<'a, CloudResult<Vec<u8>>>;
    /// Service Quotas: how many vCPUs of standard on-demand instances may run (`L-1216C47A`): the account's value, else AWS's default; `None` where neither
    /// is known.
    fn vcpu_quota(&self) -> BoxFuture<'_, CloudResult<Option<f64>>>;
    /// DescribeInstanceTypeOfferings: which of these types this region has at all.
    fn offered_types<'a>(&'a self, types: &'a [String]) -> BoxFuture<'a, CloudResult<Vec<String>>>;
    /// Asks EC2 whether a call would be allowed, without doing it ("DryRun" among the common query parameters of the EC2 API reference).
    fn dry_run<'a>(&'a self, call: &'a DryRun) -> BoxFuture<'a, CloudResult<DryRunAnswer>>;
}
