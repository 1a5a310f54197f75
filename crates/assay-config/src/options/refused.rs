//! Options that other plugins have and assay does not honour, with the sentence that says so. They are declared because Packer would
//! refuse their names in words that do not say what to do; a test instance that silently ignored one would be worse.

use super::{BlockField, FieldKind, OptionDecl, OptionKind, OptionOrigin, OptionSection, field, option};

const LATER: &str = "comes in a later release";
const SSH_ONLY: &str = "assay logs in by SSH only; Windows images over WinRM cannot be tested";
const OWN_KEY: &str = "assay makes its own throw-away ed25519 key for each run; leave it out";
const OWN_DISCIPLINE: &str = "assay sets this itself on its test instances; leave it out";
const ONLY_BUILD: &str = "a test instance does without it; leave it in the source block";
const USE_MAP: &str = "blocks of key and value are not read; write a map, like tags = { Team = \"platform\" }";
const BASTION_KEY: &str = "assay logs in to a bastion with ssh_bastion_private_key_file, unattended";
const PROXY: &str =
    "name the program that speaks to the proxy in ssh_proxy_command, like \"nc -X 5 -x proxy:1080 {host} {port}\"";
const SESSION_MANAGER: &str = "assay opens no Session Manager session itself; use ssh_proxy_command = \"aws ssm start-session --target {instance_id} --document-name AWS-StartSSHSession --parameters portNumber={port}\"";

const KEY_VALUE: &[BlockField] =
    &[field("key", FieldKind::String, ""), field("value", FieldKind::String, ""), field("name", FieldKind::String, "")];
const POLLING: &[BlockField] =
    &[field("delay_seconds", FieldKind::Number, ""), field("max_attempts", FieldKind::Number, "")];
const VAULT: &[BlockField] = &[
    field("name", FieldKind::String, ""),
    field("engine_name", FieldKind::String, ""),
    field("role_arn", FieldKind::String, ""),
    field("ttl", FieldKind::String, ""),
];
const METADATA: &[BlockField] = &[
    field("http_endpoint", FieldKind::String, ""),
    field("http_tokens", FieldKind::String, ""),
    field("http_put_response_hop_limit", FieldKind::Number, ""),
    field("instance_metadata_tags", FieldKind::String, ""),
];
const PLACEMENT: &[BlockField] = &[
    field("host_id", FieldKind::String, ""),
    field("host_resource_group_arn", FieldKind::String, ""),
    field("tenancy", FieldKind::String, ""),
];
const DEVICE: &[BlockField] = &[
    field("delete_on_termination", FieldKind::Bool, ""),
    field("device_name", FieldKind::String, ""),
    field("encrypted", FieldKind::Bool, ""),
    field("iops", FieldKind::Number, ""),
    field("no_device", FieldKind::Bool, ""),
    field("snapshot_id", FieldKind::String, ""),
    field("throughput", FieldKind::Number, ""),
    field("virtual_name", FieldKind::String, ""),
    field("volume_type", FieldKind::String, ""),
    field("volume_size", FieldKind::Number, ""),
    field("kms_key_id", FieldKind::String, ""),
    field("omit", FieldKind::Bool, ""),
];
const LICENCE: &[BlockField] = &[field("license_configuration_request", FieldKind::Map, "")];
const POLICY: &[BlockField] = &[field("Version", FieldKind::String, "")];

/// See the module.
pub(super) const OPTIONS: &[OptionDecl] = &[
    ssh("ssh_bastion_password", OptionKind::String, "bastion_password", BASTION_KEY),
    ssh("ssh_bastion_certificate_file", OptionKind::String, "bastion_certificate_file", BASTION_KEY),
    ssh("ssh_bastion_agent_auth", OptionKind::Bool, "bastion_agent_auth", BASTION_KEY),
    ssh("ssh_bastion_interactive", OptionKind::Bool, "bastion_interactive", BASTION_KEY),
    ssh("ssh_proxy_host", OptionKind::String, "proxy_host", PROXY),
    ssh("ssh_proxy_port", OptionKind::Number, "proxy_port", PROXY),
    ssh("ssh_proxy_username", OptionKind::String, "proxy_username", PROXY),
    ssh("ssh_proxy_password", OptionKind::String, "proxy_password", PROXY),
    amazon(
        "availability_zone",
        OptionKind::String,
        "name a subnet_id in that zone, or filter by it: subnet_filter { filters = { availability-zone = \"…\" } }",
    ),
    amazon("session_manager_port", OptionKind::Number, SESSION_MANAGER),
    amazon("pause_before_ssm", OptionKind::String, SESSION_MANAGER),
    amazon("run_tag", OptionKind::BlockList(KEY_VALUE), USE_MAP),
    amazon("run_volume_tag", OptionKind::BlockList(KEY_VALUE), USE_MAP),
    amazon("run_volume_tags", OptionKind::Map, "run_tags are put on the volumes too"),
    amazon("spot_tags", OptionKind::Map, "run_tags are put on everything that assay creates"),
    amazon("spot_tag", OptionKind::BlockList(KEY_VALUE), USE_MAP),
    amazon("fleet_tags", OptionKind::Map, "run_tags are put on everything that assay creates"),
    amazon("fleet_tag", OptionKind::BlockList(KEY_VALUE), USE_MAP),
    amazon("tag", OptionKind::BlockList(KEY_VALUE), USE_MAP),
    amazon("snapshot_tags", OptionKind::Map, "tags are put on AMI and snapshots"),
    amazon("snapshot_tag", OptionKind::BlockList(KEY_VALUE), USE_MAP),
    amazon(
        "spot_allocation_strategy",
        OptionKind::String,
        "spot_instance_types are tried in the order in which they are named",
    ),
    amazon("spot_price_auto_product", OptionKind::String, "spot_price = \"auto\" needs no product"),
    amazon("block_duration_minutes", OptionKind::Number, "EC2 has given up blocks of spot time; use ttl"),
    amazon("capacity_reservation_preference", OptionKind::String, LATER),
    amazon("capacity_reservation_id", OptionKind::String, LATER),
    amazon("capacity_reservation_group_arn", OptionKind::String, LATER),
    amazon("disable_stop_instance", OptionKind::Bool, ONLY_BUILD),
    amazon("ebs_optimized", OptionKind::Bool, LATER),
    amazon("enable_nitro_enclave", OptionKind::Bool, LATER),
    amazon("enable_t2_unlimited", OptionKind::Bool, LATER),
    amazon("enable_unlimited_credits", OptionKind::Bool, LATER),
    amazon("license_specifications", OptionKind::BlockList(LICENCE), LATER),
    amazon("placement", OptionKind::Block(PLACEMENT), LATER),
    amazon("tenancy", OptionKind::String, LATER),
    amazon(
        "launch_block_device_mappings",
        OptionKind::BlockList(DEVICE),
        "the AMI is tested with the devices that it names itself",
    ),
    amazon("no_ephemeral", OptionKind::Bool, "the AMI is tested with the devices that it names itself"),
    amazon("metadata_options", OptionKind::Block(METADATA), "assay always demands IMDSv2; leave it out"),
    amazon("shutdown_behavior", OptionKind::String, OWN_DISCIPLINE),
    amazon(
        "temporary_iam_instance_profile_policy_document",
        OptionKind::BlockList(POLICY),
        "name an iam_instance_profile; assay makes none",
    ),
    amazon("skip_profile_validation", OptionKind::Bool, OWN_DISCIPLINE),
    amazon("windows_password_timeout", OptionKind::String, SSH_ONLY),
    aws("mfa_code", OptionKind::String, LATER),
    aws("skip_credential_validation", OptionKind::Bool, "assay must know whose AMIs it tests"),
    aws("skip_metadata_api_check", OptionKind::Bool, "set AWS_EC2_METADATA_DISABLED=true in the environment"),
    aws("insecure_skip_tls_verify", OptionKind::Bool, "assay always verifies TLS"),
    aws("decode_authorization_messages", OptionKind::Bool, LATER),
    aws("vault_aws_engine", OptionKind::Block(VAULT), "let Vault's agent write a profile or the environment"),
    aws("aws_polling", OptionKind::Block(POLLING), "ssh_timeout and ttl bound all waiting"),
    communicator("communicator", OptionKind::String, SSH_ONLY),
    communicator(
        "pause_before_connecting",
        OptionKind::String,
        "assay connects as soon as the port answers and tries again until ssh_timeout",
    ),
    communicator(
        "ssh_host",
        OptionKind::String,
        "assay dials the instances that it boots; for a given host use `assay probe`",
    ),
    communicator("ssh_password", OptionKind::String, OWN_KEY),
    communicator("ssh_keypair_name", OptionKind::String, OWN_KEY),
    communicator("ssh_private_key_file", OptionKind::String, OWN_KEY),
    communicator("ssh_certificate_file", OptionKind::String, OWN_KEY),
    communicator("ssh_agent_auth", OptionKind::Bool, OWN_KEY),
    communicator("temporary_key_pair_name", OptionKind::String, OWN_KEY),
    communicator("temporary_key_pair_type", OptionKind::String, OWN_KEY),
    communicator("temporary_key_pair_bits", OptionKind::Number, OWN_KEY),
    communicator(
        "ssh_clear_authorized_keys",
        OptionKind::Bool,
        "the test instance is thrown away; leave it in the source block",
    ),
    communicator("ssh_ciphers", OptionKind::List, LATER),
    communicator("ssh_key_exchange_algorithms", OptionKind::List, LATER),
    communicator("ssh_pty", OptionKind::Bool, "checks run without a terminal"),
    communicator("ssh_wait_timeout", OptionKind::String, "use ssh_timeout"),
    communicator("ssh_handshake_attempts", OptionKind::Number, "logins are tried again until ssh_timeout"),
    communicator("ssh_disable_agent_forwarding", OptionKind::Bool, "assay never forwards an agent"),
    communicator("ssh_file_transfer_method", OptionKind::String, "assay copies no files to the instance"),
    communicator("ssh_keep_alive_interval", OptionKind::String, OWN_DISCIPLINE),
    communicator("ssh_read_write_timeout", OptionKind::String, "each check has its own timeout, in its suite"),
    communicator("ssh_remote_tunnels", OptionKind::List, "assay opens no tunnels"),
    communicator("ssh_local_tunnels", OptionKind::List, "assay opens no tunnels"),
    communicator("winrm_username", OptionKind::String, SSH_ONLY),
    communicator("winrm_password", OptionKind::String, SSH_ONLY),
    communicator("winrm_host", OptionKind::String, SSH_ONLY),
    communicator("winrm_port", OptionKind::Number, SSH_ONLY),
    communicator("winrm_timeout", OptionKind::String, SSH_ONLY),
    communicator("winrm_no_proxy", OptionKind::Bool, SSH_ONLY),
    communicator("winrm_use_ssl", OptionKind::Bool, SSH_ONLY),
    communicator("winrm_insecure", OptionKind::Bool, SSH_ONLY),
    communicator("winrm_use_ntlm", OptionKind::Bool, SSH_ONLY),
];

const fn amazon(name: &'static str, kind: OptionKind, sentence: &'static str) -> OptionDecl {
    option(name, kind, OptionOrigin::Amazon, "").file(OptionSection::Launch, name).refused(sentence)
}

const fn aws(name: &'static str, kind: OptionKind, sentence: &'static str) -> OptionDecl {
    option(name, kind, OptionOrigin::Amazon, "").file(OptionSection::Access, name).refused(sentence)
}

const fn communicator(name: &'static str, kind: OptionKind, sentence: &'static str) -> OptionDecl {
    option(name, kind, OptionOrigin::Communicator, "").refused(sentence)
}

const fn ssh(name: &'static str, kind: OptionKind, in_file: &'static str, sentence: &'static str) -> OptionDecl {
    option(name, kind, OptionOrigin::Communicator, "").file(OptionSection::Ssh, in_file).refused(sentence)
}
