//! The options that say how to boot a test instance and how to reach AWS. Names and meaning are packer-plugin-amazon's.

use super::{BlockField, FieldKind, OptionDecl, OptionKind, OptionOrigin, OptionSection, field, option};

const ASSUME_ROLE: &[BlockField] = &[
    field("role_arn", FieldKind::String, "The role to take, `arn:aws:iam::…:role/…`; needed."),
    field("session_name", FieldKind::String, "The session's name; default `assay`."),
    field("external_id", FieldKind::String, "The external id that the role's trust policy demands."),
    field("duration_seconds", FieldKind::Number, "How long the session lives, 900 to 43200."),
];

const FILTERS: BlockField = field(
    "filters",
    FieldKind::Map,
    "EC2's filters by name, each with one value or several with commas between them: `{ \"tag:Class\" = \"test\" }`.",
);
const SUBNET_FILTER: &[BlockField] = &[
    FILTERS,
    field("most_free", FieldKind::Bool, "Of several subnets take the one with most free addresses, then the next."),
    field("random", FieldKind::Bool, "Of several subnets take any, then any other."),
];
const FILTER: &[BlockField] = &[FILTERS];

/// See the module.
pub(super) const OPTIONS: &[OptionDecl] = &[
    launch(
        "instance_type",
        OptionKind::String,
        "The type of the test instance.",
    )
    .default("t3.small for x86_64, t4g.small for arm64"),
    option(
        "instance_types",
        OptionKind::List,
        OptionOrigin::Assay,
        "The types of the test instances: every AMI is tested on each of them, and passed only where it passed on all. Not together with `instance_type`.",
    )
    .file(OptionSection::Launch, "instance_types")
    .flag("instance-type"),
    option(
        "instance_type_fallbacks",
        OptionKind::List,
        OptionOrigin::Assay,
        "Types to try in order where EC2 has no room for the wanted one in any subnet. Not where several `instance_types` are tested.",
    )
    .file(OptionSection::Launch, "instance_type_fallbacks")
    .flag("instance-type-fallback"),
    launch(
        "spot_instance_types",
        OptionKind::List,
        "Types for a spot launch in place of `instance_type`; they are tried in this order. Needs `spot_price`.",
    ),
    launch("subnet_id", OptionKind::String, "The subnet to launch in. Only where all AMIs are in one region.")
        .default("a subnet of the default VPC")
        .flag("subnet-id"),
    option(
        "subnet_ids",
        OptionKind::Map,
        OptionOrigin::Assay,
        "The subnet to launch in, by region: `{ us-east-1 = \"subnet-…\" }`. Several, with commas between them, are tried in that order. Not together with `subnet_id`.",
    )
    .file(OptionSection::Launch, "subnet_ids"),
    launch(
        "subnet_filter",
        OptionKind::Block(SUBNET_FILTER),
        "The subnet to launch in, by EC2's filters; where EC2 has no room in it, the next one that matches. Several matches need `most_free` or `random`. A subnet by id outweighs it.",
    ),
    launch("vpc_id", OptionKind::String, "The VPC to launch in, and in which the temporary security group is made.")
        .default("that of the subnet, else the default VPC")
        .flag("vpc-id"),
    launch("vpc_filter", OptionKind::Block(FILTER), "The VPC, by EC2's filters: exactly one must match. `vpc_id` outweighs it."),
    launch("security_group_id", OptionKind::String, "A security group to use in place of a temporary one."),
    launch(
        "security_group_ids",
        OptionKind::List,
        "Security groups to use in place of a temporary one. Not together with `security_group_id`.",
    )
    .flag("security-group-id"),
    launch(
        "security_group_filter",
        OptionKind::Block(FILTER),
        "Security groups to use in place of a temporary one, by EC2's filters: every one that matches in the VPC. Groups by id outweigh it.",
    ),
    launch(
        "temporary_security_group_source_cidrs",
        OptionKind::List,
        "Address blocks from which the temporary security group lets SSH in. Unlike amazon's builders, assay never opens it to the world unless `0.0.0.0/0` is written here.",
    )
    .default("the caller's own address")
    .flag("temporary-security-group-source-cidr"),
    launch(
        "temporary_security_group_source_public_ip",
        OptionKind::Bool,
        "Let SSH in from the caller's own address. assay does that anyway where no CIDRs are given; `true` together with CIDRs is refused.",
    ),
    launch("iam_instance_profile", OptionKind::String, "The name of an instance profile for the test instance.")
        .default("none")
        .flag("iam-instance-profile"),
    launch("associate_public_ip_address", OptionKind::Bool, "Whether the instance gets a public address.")
        .default("the subnet's own setting")
        .flag("associate-public-ip-address"),
    launch(
        "user_data",
        OptionKind::String,
        "User data for the test instance; joined with assay's own as MIME parts. At most 12 KiB.",
    ),
    launch("user_data_file", OptionKind::String, "A file with user data. Not together with `user_data`.")
        .flag("user-data-file"),
    launch(
        "run_tags",
        OptionKind::Map,
        "Your own tags for what is made for the test: instance, volumes, interface, key pair, security group; at most 40.",
    )
    .flag("run-tag"),
    launch(
        "spot_price",
        OptionKind::String,
        "Launch as a spot instance: the most to pay per hour in dollars, or `auto` for the on-demand price.",
    )
    .flag("spot-price"),
    option(
        "max_parallel",
        OptionKind::Number,
        OptionOrigin::Assay,
        "How many test instances are alive at once, over all AMIs, regions and instance types of a call; the others wait for their turn.",
    )
    .default("20")
    .file(OptionSection::Launch, "max_parallel")
    .flag("max-parallel"),
    option(
        "clean_up_check",
        OptionKind::Bool,
        OptionOrigin::Assay,
        "Ask EC2 before the first launch in a region whether what is launched could be removed again, and launch nothing where it says no. `false` is for policies that allow clean-up by tags alone and lack the statement `CleanUpProbe` of `assay iam`.",
    )
    .default("true")
    .file(OptionSection::Launch, "clean_up_check"),
    option(
        "ttl",
        OptionKind::String,
        OptionOrigin::Assay,
        "The latest end of a test instance, counted from its launch, as a duration like `1h`: it powers itself off then, and `assay sweep` may remove it. Longer than `ssh_timeout`.",
    )
    .default("1h")
    .file(OptionSection::Launch, "ttl")
    .flag("ttl"),
    access("region", OptionKind::String, "The region for STS calls; each AMI names its own region.").flag("region"),
    access("profile", OptionKind::String, "The profile of the shared configuration and credentials files.").flag("profile"),
    access("access_key", OptionKind::String, "The access key. Better left to the environment or a profile.").secret(),
    access("secret_key", OptionKind::String, "The secret key that belongs to `access_key`.").secret(),
    access("token", OptionKind::String, "The session token that belongs to `access_key`.").secret(),
    access("shared_credentials_file", OptionKind::String, "A credentials file in place of ~/.aws/credentials.")
        .flag("shared-credentials-file"),
    access("assume_role", OptionKind::Block(ASSUME_ROLE), "A role to take with these credentials."),
    access("custom_endpoint_ec2", OptionKind::String, "Another EC2 endpoint, `http://…` or `https://…`.")
        .flag("custom-endpoint-ec2"),
    access("max_retries", OptionKind::Number, "How often an AWS call is tried again.").default("the SDK's").flag("max-retries"),
];

const fn launch(name: &'static str, kind: OptionKind, doc: &'static str) -> OptionDecl {
    option(name, kind, OptionOrigin::Amazon, doc).file(OptionSection::Launch, name)
}

const fn access(name: &'static str, kind: OptionKind, doc: &'static str) -> OptionDecl {
    option(name, kind, OptionOrigin::Amazon, doc).file(OptionSection::Access, name)
}
