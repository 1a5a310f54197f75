//! The cloud as assay needs it: the trait [`Cloud`] with its few verbs in EC2's words, plain values in and out. Only files in this
//! folder name the AWS SDK: `ec2` (the verbs), `access` (credentials, clients, endpoints) and `ec2`'s helpers. It owns the mapping of
//! EC2's errors to [`CloudErrorKind`]; it refuses to retry for longer than a call, to journal, or to decide.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use futures::future::BoxFuture;
use tokio::sync::watch;

use assay_model::{AccountId, AmiId, Architecture, Region};

pub mod access;
mod caller;
mod checkip;
mod credentials;
mod ec2;
mod error;
mod estate;
#[cfg(any(test, feature = "test-support"))]
pub mod fake;
mod services;

pub use access::{Ec2Factory, is_over_the_internet, with_region};
pub use caller::{CallerIdentity, CredentialsInUse};
pub use credentials::ResolvedCredentials;
pub use error::{CapacityShortfall, CloudError, CloudErrorKind, CloudResult, plain};
pub use estate::{CopyImage, EbsSnapshot, ImageEstate, ImageSharing, ImageUse, ImageUses, SharedWith, UseKind};
pub use services::{DryRun, DryRunAnswer, RegionServices};

/// Filters of a Describe call in EC2's names (`tag:Class`, `vpc-id`): all must match, each by any one of its values.
pub type DescribeFilters = BTreeMap<String, Vec<String>>;

/// What DescribeImages says of an AMI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudImage {
    /// Its id.
    pub id: AmiId,
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: AccountId,
    /// CreationDate, RFC 3339.
    pub created_at: String,
    /// `available`, `pending`, `disabled`, ….
    pub state: String,
    /// EC2's word; `None` for one that assay does not know.
    pub architecture: Option<Architecture>,
    /// e.g. `/dev/xvda`.
    pub root_device_name: Option<String>,
    /// Every EBS device mapping: device name, snapshot, delete-on-termination.
    pub block_devices: Vec<BlockDevice>,
    /// Every tag.
    pub tags: BTreeMap<String, String>,
    /// Deregistration protection: `enabled-with-cooldown` and `enabled-without-cooldown` are true.
    pub deregistration_protected: bool,
    /// `Windows` where EC2 says so.
    pub platform: Option<String>,
    /// `v2.0` where the AMI demands IMDSv2.
    pub imds_support: Option<String>,
    /// `uefi`, `legacy-bios`, `uefi-preferred`.
    pub boot_mode: Option<String>,
    /// What nothing of ours depends on, but suites may demand.
    pub attributes: ImageAttributes,
}

/// The rest of what DescribeImages says of an AMI, in EC2's words; a text that EC2 leaves out is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageAttributes {
    /// Architecture, also where assay does not know it.
    pub architecture: String,
    /// Description.
    pub description: String,
    /// Whether enhanced networking with ENA is enabled.
    pub ena_support: bool,
    /// `simple` where enhanced networking with the Intel 82599 VF is enabled.
    pub sriov_net_support: String,
    /// `v2.0` where NitroTPM is enabled.
    pub tpm_support: String,
    /// Whether everybody may launch it.
    pub public: bool,
    /// Whether every EBS device of the mapping is encrypted; `None` where the mapping names no EBS device.
    pub encrypted: Option<bool>,
    /// `ebs` or `instance-store`.
    pub root_device_type: String,
    /// Size of the root volume in GiB, where EC2 says it.
    pub root_volume_size: Option<i32>,
    /// `hvm` or `paravirtual`.
    pub virtualization_type: String,
    /// PlatformDetails, like `Linux/UNIX`.
    pub platform_details: String,
    /// The AMI that it was made from.
    pub source_image_id: String,
    /// The region of that AMI.
    pub source_image_region: String,
    /// DeprecationTime, RFC 3339.
    pub deprecation_time: String,
    /// Ids of the product codes.
    pub product_codes: Vec<String>,
    /// StateReason's message: why it failed.
    pub state_reason: String,
}

/// One EBS device of an AMI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDevice {
    /// e.g. `/dev/xvda`.
    pub device_name: String,
    /// The snapshot behind it.
    pub snapshot: Option<String>,
    /// Whether a launched volume goes with its instance.
    pub delete_on_termination: bool,
}

/// What DescribeInstances says of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudInstance {
    /// `i-…`.
    pub id: String,
    /// The AMI it was launched from.
    pub image: String,
    /// pending, running, shutting-down, terminated, stopping, stopped.
    pub state: String,
    /// StateReason's message, where there is one.
    pub state_reason: Option<String>,
    /// Its code, such as `Server.InsufficientInstanceCapacity`.
    pub state_reason_code: Option<String>,
    /// Addresses.
    pub public_ip: Option<String>,
    /// See `public_ip`.
    pub private_ip: Option<String>,
    /// See `public_ip`.
    pub public_dns: Option<String>,
    /// See `public_ip`.
    pub private_dns: Option<String>,
    /// First IPv6 address.
    pub ipv6: Option<String>,
    /// The availability zone that it is in.
    pub availability_zone: Option<String>,
    /// The ClientToken of its launch.
    pub client_token: Option<String>,
    /// The key pair's name.
    pub key_name: Option<String>,
    /// LaunchTime, seconds since the epoch.
    pub launch_time: Option<i64>,
    /// Every tag.
    pub tags: BTreeMap<String, String>,
    /// EBS volume ids.
    pub volumes: Vec<String>,
}

/// What DescribeInstanceStatus says of the machine below an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceStatus {
    /// The system status check: `ok`, `impaired`, `initializing`, `insufficient-data`, `not-applicable`; empty where EC2 does not say.
    pub system: String,
    /// What AWS has planned for it and not done yet: `instance-retirement`, `system-reboot`, …, with its earliest time in seconds since the epoch.
    pub planned: Vec<(String, Option<i64>)>,
}

/// What DescribeSubnets says of a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudSubnet {
    /// `subnet-…`.
    pub id: String,
    /// The VPC that it is in.
    pub vpc: String,
    /// Its availability zone.
    pub zone: Option<String>,
    /// How many private IPv4 addresses it has left.
    pub free_addresses: i32,
}

/// A named thing with tags: key pair or security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedResource {
    /// Its id (`key-…`, `sg-…`).
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, seconds since the epoch; EC2 says it of key pairs only.
    pub created_at: Option<i64>,
    /// Every tag.
    pub tags: BTreeMap<String, String>,
}

/// A launch. Everything that RunInstances is told.
#[derive(Debug, Clone)]
pub struct RunInstances {
    /// The AMI.
    pub image: AmiId,
    /// e.g. `t3.small`.
    pub instance_type: String,
    /// Idempotency token, at most 64 ASCII characters; derived from the run.
    pub client_token: String,
    /// The key pair's name.
    pub key_name: String,
    /// Security group ids.
    pub security_group_ids: Vec<String>,
    /// Subnet.
    pub subnet_id: Option<String>,
    /// Public address on the interface.
    pub associate_public_ip_address: Option<bool>,
    /// Instance profile name.
    pub iam_instance_profile: Option<String>,
    /// Raw bytes, at most 16 KiB; base64 is the implementation's business. Empty: none is given.
    pub user_data: Vec<u8>,
    /// Devices whose delete-on-termination must be forced to true.
    pub delete_on_termination: Vec<String>,
    /// Maximum spot price; `auto`: the on-demand price.
    pub spot_price: Option<String>,
    /// On instance, volumes and network interfaces.
    pub tags: BTreeMap<String, String>,
}

/// EC2 in one region. Instances end by `terminate`, IMDSv2 is required and `InstanceInitiatedShutdownBehavior` is `terminate` in every launch: the
/// implementation adds these, callers cannot turn them off.
///
/// Every method makes one API call (listing ones page), bounded by the SDK's timeouts and retries, and fails with [`CloudError`]. The verbs for AMIs that
/// stay are in [`ImageEstate`], those of other services in [`RegionServices`]; a `dyn Cloud` has them all.
pub trait Cloud: ImageEstate + RegionServices + Send + Sync + 'static {
    /// The region that this client speaks to.
    fn region(&self) -> &Region;
    /// DescribeImages for exactly these ids, in no particular order, disabled ones included (`state` says so); an unknown id is `NotFound`, one that was
    /// deregistered a moment ago may be left out.
    fn describe_images<'a>(&'a self, ids: &'a [AmiId]) -> BoxFuture<'a, CloudResult<Vec<CloudImage>>>;
    /// DescribeImages of the caller's own by tag (all pairs must match).
    fn find_images<'a>(&'a self, tags: &'a [(String, String)]) -> BoxFuture<'a, CloudResult<Vec<CloudImage>>>;
    /// CreateTags on images and snapshots.
    fn create_tags<'a>(
        &'a self,
        ids: &'a [String],
        tags: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, CloudResult<()>>;
    /// DescribeTags: resource id → tags, for these ids.
    fn describe_tags<'a>(
        &'a self,
        ids: &'a [String],
    ) -> BoxFuture<'a, CloudResult<BTreeMap<String, BTreeMap<String, String>>>>;
    /// EnableImageDeregistrationProtection, without cooldown.
    fn enable_deregistration_protection<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>>;
    /// DisableImageDeregistrationProtection.
    fn disable_deregistration_protection<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>>;
    /// ImportKeyPair; `public_key` in OpenSSH form. Returns the key pair's id.
    fn import_key_pair<'a>(
        &'a self,
        name: &'a str,
        public_key: &'a str,
        tags: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, CloudResult<String>>;
    /// DeleteKeyPair by name; an unknown name succeeds, as in EC2.
    fn delete_key_pair<'a>(&'a self, name: &'a str) -> BoxFuture<'a, CloudResult<()>>;
    /// DescribeKeyPairs by tag filter (all pairs must match) — empty filter: none.
    fn find_key_pairs<'a>(&'a self, tags: &'a [(String, String)]) -> BoxFuture<'a, CloudResult<Vec<NamedResource>>>;
    /// DescribeVpcs: the ids of the VPCs that match, in no particular order — no filter: none.
    fn find_vpcs<'a>(&'a self, filters: &'a DescribeFilters) -> BoxFuture<'a, CloudResult<Vec<String>>>;
    /// DescribeSubnets: those that match, in no particular order — no filter: none.
    fn find_subnets<'a>(&'a self, filters: &'a DescribeFilters) -> BoxFuture<'a, CloudResult<Vec<CloudSubnet>>>;
    /// CreateSecurityGroup. Returns its id.
    fn create_security_group<'a>(
        &'a self,
        name: &'a str,
        vpc: Option<&'a str>,
        tags: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, CloudResult<String>>;
    /// AuthorizeSecurityGroupIngress: TCP `port` from each block in CIDR text.
    fn authorize_ingress<'a>(
        &'a self,
        group: &'a str,
        port: u16,
        cidrs: &'a [String],
    ) -> BoxFuture<'a, CloudResult<()>>;
    /// DeleteSecurityGroup by id.
    fn delete_security_group<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>>;
    /// DescribeSecurityGroups by tag filter (all pairs must match) — empty filter: none.
    fn find_security_groups<'a>(
        &'a self,
        tags: &'a [(String, String)],
    ) -> BoxFuture<'a, CloudResult<Vec<NamedResource>>>;
    /// DescribeSecurityGroups: those that match, whoever made them — no filter: none.
    fn filter_security_groups<'a>(
        &'a self,
        filters: &'a DescribeFilters,
    ) -> BoxFuture<'a, CloudResult<Vec<NamedResource>>>;
    /// RunInstances, exactly one. A lack of room ([`CapacityShortfall`]) is answered once and not tried again.
    fn run_instance<'a>(&'a self, launch: &'a RunInstances) -> BoxFuture<'a, CloudResult<CloudInstance>>;
    /// DescribeInstances for these ids, in one call; an id that is not visible yet is left out.
    fn describe_instances<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, CloudResult<Vec<CloudInstance>>>;
    /// DescribeInstanceStatus of one, in any state; `None` where EC2 does not list it.
    fn instance_status<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<Option<InstanceStatus>>>;
    /// DescribeInstances by tag filter (all pairs must match), any state — empty filter: none.
    fn find_instances<'a>(&'a self, tags: &'a [(String, String)]) -> BoxFuture<'a, CloudResult<Vec<CloudInstance>>>;
    /// DescribeInstances by ClientToken, any state.
    fn find_by_client_token<'a>(&'a self, token: &'a str) -> BoxFuture<'a, CloudResult<Vec<CloudInstance>>>;
    /// RebootInstances of one: EC2 answers before anything happens, and resets an instance that does not go down by itself.
    fn reboot_instance<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>>;
    /// StopInstances of one. EC2 refuses what cannot be started again: one-time spot requests, instance store.
    fn stop_instance<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>>;
    /// StartInstances of one.
    fn start_instance<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>>;
    /// TerminateInstances of one.
    fn terminate_instance<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>>;
    /// DescribeVolumes by tag filter: volume id → tags — empty filter: none.
    fn find_volumes<'a>(
        &'a self,
        tags: &'a [(String, String)],
    ) -> BoxFuture<'a, CloudResult<BTreeMap<String, BTreeMap<String, String>>>>;
    /// DeleteVolume.
    fn delete_volume<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>>;
    /// GetConsoleOutput with Latest, falling back to without where the instance type refuses; raw bytes, at most 64 KiB.
    fn console_output<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<Vec<u8>>>;
}

/// Makes one [`Cloud`] per region and answers who we are.
pub trait CloudFactory: Send + Sync + 'static {
    /// The client of a region (made once, then shared).
    fn region(&self, region: &Region) -> Arc<dyn Cloud>;
    /// STS GetCallerIdentity: the account.
    fn caller_account(&self) -> BoxFuture<'_, CloudResult<AccountId>>;
    /// The credentials that calls are signed with, as they were got last, and again whenever others are got; none before the first call.
    fn resolved(&self) -> watch::Receiver<Option<ResolvedCredentials>>;
    /// DescribeRegions: every region that the account may use.
    fn regions(&self) -> BoxFuture<'_, CloudResult<Vec<Region>>>;
    /// The address that our connections to an instance come from, as its security group sees it.
    ///
    /// `private`: the instance is dialled at a private address, so it sees this machine's own address on the route to EC2 (a
    /// UDP socket is connected there to learn it; nothing is sent). Else it sees what the internet sees, which AWS's own
    /// `checkip.amazonaws.com` tells. Where EC2 is not AWS's public endpoint (`custom_endpoint_ec2`, `AWS_ENDPOINT_URL`),
    /// the internet does not lie between us and the instances, and the address on the route to that endpoint is taken as well.
    /// Through an HTTP proxy (`HTTPS_PROXY`) `checkip` sees the proxy: where SSH goes out another way, the blocks must be configured.
    fn source_address(&self, private: bool) -> BoxFuture<'_, CloudResult<IpAddr>>;
    /// The addresses that an instance may see us from when it is dialled at `address`, which it has: this machine's own on the route there where that does not lead
    /// over the internet, else what the internet sees. Where EC2 is not AWS's public endpoint, both may be.
    fn source_towards(&self, address: IpAddr) -> BoxFuture<'_, CloudResult<Vec<IpAddr>>>;
}
