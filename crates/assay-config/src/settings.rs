//! The checked settings: what the rest of assay works from. It owns the types after every name, value and combination was found
//! right; it refuses raw text, files and the environment (see the readers beside it).

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use secrecy::SecretString;

use assay_model::{ImageName, Region};
use assay_suite::{Suite, SuiteBounds};

/// Everything one validation needs to know, whichever entry point it came through.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The image line; `None` only on the command line, where neither a flag nor assay.hcl names one: the AMI's own tag must say.
    pub image: Option<ImageName>,
    /// Read and checked suites, at least one.
    pub suites: Vec<Suite>,
    /// What external suites may take from this machine.
    pub bounds: SuiteBounds,
    /// How to log in.
    pub ssh: SshSettings,
    /// How to boot.
    pub launch: LaunchSettings,
    /// How to reach AWS.
    pub access: AccessSettings,
    /// The user's own tags for AMI and snapshots; none begins with `assay:`.
    pub tags: BTreeMap<String, String>,
    /// Where the manifest goes.
    pub manifest: Option<PathBuf>,
    /// `custom_data` of the manifest entry, Packer's meaning.
    pub custom_data: BTreeMap<String, String>,
    /// Where junit.xml, evidence.json, report.txt and console output go.
    pub report_dir: Option<PathBuf>,
    /// What becomes of an AMI whose verdict is failed.
    pub on_failure: OnFailure,
    /// Where the prober runs.
    pub prober: ProberSettings,
    /// `assay:owner`; default: the git remote's host/owner/name.
    pub owner: Option<String>,
    /// Paths or globs whose bytes make the source digest, relative to `base_dir`.
    pub inputs: Vec<String>,
    /// Files that promotion writes the gold AMI's ids into, relative to `base_dir`: no part of the source digest.
    pub projections: Vec<String>,
    /// What assay.hcl says of the image's build, see [`crate::file::BuildDecl::canonical_text`]; empty: nothing. It is part of the source digest.
    pub build: String,
    /// The folder that relative paths start from: that of assay.hcl, else the working folder.
    pub base_dir: PathBuf,
}

/// What becomes of an AMI whose verdict is failed. An undecided one is always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// Kept, tagged `rejected`, protected from deregistration.
    #[default]
    Quarantine,
    /// Left to Packer, which deregisters it and deletes its snapshots.
    Destroy,
}

/// Login settings; names and defaults as packer-plugin-sdk's `communicator.SSH` unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSettings {
    /// `ssh_username`; where absent, the builder's own user (post-processor) or an error (CLI).
    pub username: Option<String>,
    /// `ssh_port`, default 22.
    pub port: u16,
    /// `ssh_timeout`: from launch until a login must have worked. Default 5 minutes.
    pub timeout: Duration,
    /// `ssh_interface`; absent: public address if there is one, else private.
    pub interface: Option<SshInterface>,
    /// `ssh_bastion_*`.
    pub bastion: Option<BastionSettings>,
    /// `ssh_proxy_command` with {host} {port} {instance_id}.
    pub proxy_command: Option<String>,
}

impl Default for SshSettings {
    fn default() -> Self {
        Self {
            username: None,
            port: 22,
            timeout: Duration::from_secs(300),
            interface: None,
            bastion: None,
            proxy_command: None,
        }
    }
}

/// Which address of an instance is dialled (packer-plugin-amazon `ssh_interface`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SshInterface {
    /// `public_ip`
    PublicIp,
    /// `private_ip`
    PrivateIp,
    /// `public_dns`
    PublicDns,
    /// `private_dns`
    PrivateDns,
    /// `ipv6`
    Ipv6,
}

/// A jump host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BastionSettings {
    /// `ssh_bastion_host`
    pub host: String,
    /// `ssh_bastion_port`, default 22.
    pub port: u16,
    /// `ssh_bastion_username`
    pub username: String,
    /// `ssh_bastion_private_key_file`
    pub private_key_file: PathBuf,
    /// `ssh_bastion_known_hosts_file`; absent: any host key.
    pub known_hosts_file: Option<PathBuf>,
}

/// How many test instances are alive at once where `max_parallel` does not say.
pub const MAX_PARALLEL: usize = 20;

/// Boot settings; names as packer-plugin-amazon's run configuration.
#[derive(Debug, Clone)]
pub struct LaunchSettings {
    /// `instance_type`, or `instance_types` with every AMI tested on each of them; empty: one, by the AMI's architecture.
    pub instance_types: Vec<String>,
    /// Types to try where EC2 has no room for the wanted one: `instance_type_fallbacks`, or what follows the first of `spot_instance_types`.
    pub fallback_types: Vec<String>,
    /// `subnet_ids = { region = "id, id" }`: per region, in the order in which they are tried; absent: the default VPC.
    pub subnets: BTreeMap<Region, Vec<String>>,
    /// A `subnet_id` given without a region: only legal when one region is tested.
    pub subnet_id: Option<String>,
    /// `subnet_filter`; a subnet by id outweighs it.
    pub subnet_filter: Option<SubnetFilter>,
    /// `vpc_id`: where the temporary security group is made, and where subnets are looked for.
    pub vpc_id: Option<String>,
    /// `vpc_filter`; a `vpc_id` outweighs it.
    pub vpc_filter: Option<ResourceFilters>,
    /// `security_group_ids`; empty: those of the filter, else a temporary group is made.
    pub security_group_ids: Vec<String>,
    /// `security_group_filter`; groups by id outweigh it.
    pub security_group_filter: Option<ResourceFilters>,
    /// `temporary_security_group_source_cidrs`; empty: the caller's own address (see `launch`).
    pub source_cidrs: Vec<assay_model::CidrBlock>,
    /// `iam_instance_profile`; default none.
    pub iam_instance_profile: Option<String>,
    /// `associate_public_ip_address`
    pub associate_public_ip_address: Option<bool>,
    /// The user's `user_data` or the bytes of `user_data_file`; merged with ours as MIME parts.
    pub user_data: Option<Vec<u8>>,
    /// `run_tags`: on instance, volumes, interface, key pair, group. None begins with `assay:`.
    pub run_tags: BTreeMap<String, String>,
    /// `spot_price`: a maximum in dollars, or `auto`.
    pub spot_price: Option<String>,
    /// `max_parallel`: how many test instances are alive at once, over all regions; default [`MAX_PARALLEL`].
    pub max_parallel: usize,
    /// `clean_up_check`: launch nothing where EC2 says beforehand that it could not be ended. Default true.
    pub clean_up_check: bool,
    /// `ttl`: the latest end of a test instance, counted from its launch; it powers itself off then and may be swept. Default 1 hour.
    pub ttl: Duration,
}

impl Default for LaunchSettings {
    fn default() -> Self {
        Self {
            instance_types: Vec::new(),
            fallback_types: Vec::new(),
            subnets: BTreeMap::new(),
            subnet_id: None,
            subnet_filter: None,
            vpc_id: None,
            vpc_filter: None,
            security_group_ids: Vec::new(),
            security_group_filter: None,
            source_cidrs: Vec::new(),
            iam_instance_profile: None,
            associate_public_ip_address: None,
            user_data: None,
            run_tags: BTreeMap::new(),
            spot_price: None,
            max_parallel: MAX_PARALLEL,
            clean_up_check: true,
            ttl: Duration::from_secs(3600),
        }
    }
}

/// EC2's filters by name; all must match, each by any one of its values.
pub type ResourceFilters = BTreeMap<String, Vec<String>>;

/// `subnet_filter { … }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetFilter {
    /// What the subnets must match; at least one filter.
    pub filters: ResourceFilters,
    /// What becomes of several matches.
    pub pick: SubnetPick,
}

/// Which of several subnets is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubnetPick {
    /// Several are a mistake.
    Only,
    /// `most_free`: the one with most free addresses, then the next.
    MostFree,
    /// `random`
    Random,
}

/// Access to AWS; names as packer-plugin-amazon's access configuration. What is absent comes from the SDK's default chain.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// `access_key`
    pub access_key: Option<String>,
    /// `secret_key`
    pub secret_key: Option<SecretString>,
    /// `token`
    pub token: Option<SecretString>,
    /// `profile`
    pub profile: Option<String>,
    /// `shared_credentials_file`
    pub shared_credentials_file: Option<PathBuf>,
    /// `region`: only for STS; each AMI names its own.
    pub region: Option<Region>,
    /// `assume_role`
    pub assume_role: Option<AssumeRole>,
    /// `custom_endpoint_ec2`
    pub custom_endpoint_ec2: Option<String>,
    /// `max_retries`: attempts per call; default the SDK's.
    pub max_retries: Option<u32>,
}

/// `assume_role { … }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    /// `role_arn`
    pub role_arn: String,
    /// `session_name`, default `assay`.
    pub session_name: Option<String>,
    /// `external_id`
    pub external_id: Option<String>,
    /// `duration_seconds`
    pub duration_seconds: Option<u32>,
}

/// Where the prober runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProberSettings {
    /// A child process on this machine.
    #[default]
    Local,
    /// `assay serve` elsewhere, over TCP with mutual TLS.
    Remote(assay_model::RemoteProber),
}
