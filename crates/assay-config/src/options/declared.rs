//! The options that say what is tested, how to log in, and where results go.

use super::{OptionDecl, OptionKind, OptionOrigin, OptionSection, option};

/// See the module.
pub(super) const OPTIONS: &[OptionDecl] = &[
    option(
        "image",
        OptionKind::String,
        OptionOrigin::Assay,
        "The line of AMIs that this build belongs to: 1 to 63 of a-z, 0-9, `.`, `_`, `-`. Where assay.hcl declares images, it must be one of them.",
    )
    .needed()
    .flag("image"),
    option(
        "suites",
        OptionKind::List,
        OptionOrigin::Assay,
        "Suite files to run, HCL or goss YAML/JSON, or `profile:NAME` for one that comes with assay (smoke, hygiene, cis-lite). Paths in a template start from the folder in which Packer runs, those in assay.hcl from its folder.",
    )
    .needed()
    .file(OptionSection::Suites, "candidate")
    .flag("suite"),
    option(
        "vars",
        OptionKind::List,
        OptionOrigin::Assay,
        "Files of variables for suites, YAML or JSON. A later file outweighs an earlier one, by whole top-level keys; paths start as those of `suites` do.",
    )
    .file(OptionSection::Suites, "vars")
    .flag("vars"),
    option(
        "vars_inline",
        OptionKind::String,
        OptionOrigin::Assay,
        "Variables for suites, as a text of YAML or JSON; they outweigh those of files. No place for secrets: reports may show them.",
    )
    .file(OptionSection::Suites, "vars_inline")
    .flag("vars-inline"),
    option(
        "suite_env",
        OptionKind::List,
        OptionOrigin::Assay,
        "Names of environment variables that the templates of suites may see, beside those by which CI systems name what they build and AWS_REGION. What looks like a secret is withheld all the same.",
    )
    .file(OptionSection::Suites, "env")
    .flag("env"),
    option(
        "on_failure",
        OptionKind::String,
        OptionOrigin::Assay,
        "What becomes of an AMI whose verdict is failed: `quarantine` keeps it, tagged `rejected` and protected from deregistration; `destroy` leaves it to Packer, which deletes it unless another post-processor chain keeps it. An undecided AMI is always kept.",
    )
    .default("quarantine")
    .file(OptionSection::Image, "on_failure")
    .flag("on-failure"),
    option(
        "tags",
        OptionKind::Map,
        OptionOrigin::Assay,
        "Your own tags for AMI and snapshots, at most 40. Keys that begin with `assay:` or `aws:` are refused.",
    )
    .file(OptionSection::Image, "tags")
    .flag("tag"),
    option(
        "manifest",
        OptionKind::String,
        OptionOrigin::Assay,
        "The manifest file to write: all fields of Packer's own manifest and, in each build, an `assay` object.",
    )
    .file(OptionSection::Image, "manifest")
    .flag("write-manifest"),
    option("custom_data", OptionKind::Map, OptionOrigin::Packer, "Texts for `custom_data` of the manifest's entry.")
        .file(OptionSection::Image, "custom_data"),
    option(
        "report_dir",
        OptionKind::String,
        OptionOrigin::Assay,
        "The folder for junit.xml, evidence.json, report.txt and the console output of instances that could not be reached.",
    )
    .file(OptionSection::Image, "report_dir")
    .flag("report-dir"),
    option(
        "keep_input_artifact",
        OptionKind::Bool,
        OptionOrigin::Packer,
        "Accepted for the sake of habit and forced to true: assay hands the AMI on, and never asks Packer to delete one that is not failed.",
    )
    .default("true"),
    option(
        "config",
        OptionKind::String,
        OptionOrigin::Assay,
        "The assay.hcl to use.",
    )
    .default("the first assay.hcl in the working folder or above it"),
    option(
        "owner",
        OptionKind::String,
        OptionOrigin::Assay,
        "The repository on whose behalf things are made, for the tag `assay:owner`.",
    )
    .default("host/owner/name of the git remote")
    .file(OptionSection::Top, "owner"),
    option(
        "inputs",
        OptionKind::List,
        OptionOrigin::Assay,
        "Paths and globs of everything that goes into the image; their bytes make the source digest.",
    )
    .file(OptionSection::Image, "inputs"),
    option(
        "ssh_username",
        OptionKind::String,
        OptionOrigin::Communicator,
        "The account to log in to.",
    )
    .default("the builder's own; `assay validate` must be told")
    .file(OptionSection::Ssh, "username")
    .flag("ssh-username"),
    option("ssh_port", OptionKind::Number, OptionOrigin::Communicator, "The port of the SSH server.")
        .default("22")
        .file(OptionSection::Ssh, "port")
        .flag("ssh-port"),
    option(
        "ssh_timeout",
        OptionKind::String,
        OptionOrigin::Communicator,
        "How long after the launch a login must have worked, as a duration like `90s` or `5m`. What is unreachable then is undecided.",
    )
    .default("5m")
    .file(OptionSection::Ssh, "timeout")
    .flag("ssh-timeout"),
    option(
        "ssh_interface",
        OptionKind::String,
        OptionOrigin::Amazon,
        "Which address to dial: `public_ip`, `private_ip`, `public_dns`, `private_dns` or `ipv6`.",
    )
    .default("the public address if there is one, else the private one")
    .file(OptionSection::Ssh, "interface")
    .flag("ssh-interface"),
];
