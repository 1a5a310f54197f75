//! assay's own resources, for images. goss has none of these names.

use std::time::Duration;

use super::{Entry, Kind, Parameter, sshd};
use crate::Resource;

/// assay's own resources.
pub(super) const RESOURCES: &[Entry] = &[
    Entry {
        resource: Resource::Ami,
        subject: "",
        properties: &[
            ("name", Kind::Text),
            ("description", Kind::Text),
            ("owner", Kind::Text),
            ("public", Kind::Bool),
            ("architecture", Kind::Text),
            ("boot-mode", Kind::Text),
            ("ena-support", Kind::Bool),
            ("sriov-net-support", Kind::Text),
            ("tpm-support", Kind::Text),
            ("imds-support", Kind::Text),
            ("encrypted", Kind::Bool),
            ("root-device-name", Kind::Text),
            ("root-device-type", Kind::Text),
            ("root-volume-size", Kind::Number),
            ("virtualization-type", Kind::Text),
            ("platform-details", Kind::Text),
            ("source-image-id", Kind::Text),
            ("deprecated", Kind::Bool),
            ("deprecation-time", Kind::Text),
            ("product-codes", Kind::ExactList),
            ("tags", Kind::List),
        ],
        parameters: &[],
        later: &[],
        example: "image",
    },
    Entry {
        resource: Resource::Reboot,
        subject: "",
        properties: &[
            ("returned", Kind::Bool),
            ("seconds", Kind::Number),
            ("host-key-unchanged", Kind::Bool),
            ("machine-id-unchanged", Kind::Bool),
            ("timer-armed", Kind::Bool),
            ("suite", Kind::Bool),
        ],
        parameters: &[],
        later: &[],
        example: "soft",
    },
    Entry {
        resource: Resource::SecondBoot,
        subject: "",
        properties: &[
            ("boots-undisturbed", Kind::Bool),
            ("host-keys-differ", Kind::Bool),
            ("machine-id-differs", Kind::Bool),
            ("suite", Kind::Bool),
        ],
        parameters: &[],
        later: &[],
        example: "image",
    },
    Entry {
        resource: Resource::CloudInit,
        subject: "",
        properties: &[("finished", Kind::Bool), ("errors", Kind::ExactList)],
        parameters: &[],
        later: &[],
        example: "finished",
    },
    Entry {
        resource: Resource::Systemd,
        subject: "",
        properties: &[("failed", Kind::ExactList)],
        parameters: &[],
        later: &[],
        example: "units",
    },
    Entry {
        resource: Resource::Hygiene,
        subject: "",
        properties: HYGIENE,
        parameters: &[("allow", Parameter::Texts)],
        later: &[],
        example: "image",
    },
    Entry {
        resource: Resource::Sshd,
        subject: "",
        properties: sshd::KEYWORDS,
        parameters: &[("match", Parameter::Text)],
        later: &[],
        example: "effective",
    },
    Entry {
        resource: Resource::Boot,
        subject: "",
        properties: &[
            ("seconds", Kind::Number),
            ("failed-units", Kind::ExactList),
            ("cloud-init", Kind::Word(&["done", "error", "running", "disabled", "absent"])),
            ("kernel-taint", Kind::Number),
            ("reboot-required", Kind::Bool),
            ("oom-kills", Kind::Number),
        ],
        parameters: &[],
        later: &[],
        example: "first",
    },
    Entry {
        resource: Resource::Listening,
        subject: "",
        properties: &[("unexpected", Kind::ExactList), ("ports", Kind::ExactList)],
        parameters: &[("allow", Parameter::Texts)],
        later: &[],
        example: "ports",
    },
    Entry {
        resource: Resource::RootFilesystem,
        subject: "",
        properties: &[
            ("grown", Kind::Bool),
            ("usage", Kind::Number),
            ("inodes", Kind::Number),
            ("free", Kind::Number),
            ("size", Kind::Number),
            ("filesystem", Kind::Text),
            ("read-only", Kind::Bool),
        ],
        parameters: &[],
        later: &[],
        example: "root",
    },
];

/// What an image must not carry into its instances. Each is a list of findings.
const HYGIENE: &[(&str, Kind)] = &[
    ("authorized-keys", Kind::ExactList),
    ("host-keys", Kind::ExactList),
    ("machine-id", Kind::ExactList),
    ("cloud-init", Kind::ExactList),
    ("random-seed", Kind::ExactList),
    ("histories", Kind::ExactList),
    ("known-hosts", Kind::ExactList),
    ("private-keys", Kind::ExactList),
    ("cloud-credentials", Kind::ExactList),
    ("git-directories", Kind::ExactList),
    ("empty-passwords", Kind::ExactList),
    ("password-logins", Kind::ExactList),
    ("uid0", Kind::ExactList),
    ("sudoers", Kind::ExactList),
    ("suid", Kind::ExactList),
    ("world-writable", Kind::ExactList),
    ("unowned", Kind::ExactList),
    ("core-dumps", Kind::ExactList),
    ("tmp-residue", Kind::ExactList),
    ("logs", Kind::ExactList),
    (SUID_FILES, Kind::ExactList),
];

/// Not a finding but a list to compare: every program with set-uid or set-gid.
const SUID_FILES: &str = "suid-files";

/// The properties that a block of this resource demands to be `[]` when it names none itself.
pub(crate) fn implied(resource: Resource) -> Vec<&'static str> {
    match resource {
        Resource::Hygiene => HYGIENE.iter().map(|(name, _)| *name).filter(|name| *name != SUID_FILES).collect(),
        Resource::Listening => vec!["unexpected"],
        _ => Vec::new(),
    }
}

/// The least time that one attempt of a check of this resource gets, unless its own block says otherwise: reading a
/// whole disk that is still being fetched takes longer than a file.
pub(crate) fn patience(resource: Resource) -> Duration {
    match resource {
        Resource::Hygiene => Duration::from_secs(120),
        _ => Duration::ZERO,
    }
}

/// The name that a property of `resource` has here, where it may be spelled in other ways.
pub(crate) fn canonical(resource: Resource, name: &str) -> Option<&'static str> {
    let keywords = Some(sshd::KEYWORDS).filter(|_| resource == Resource::Sshd)?;
    keywords.iter().map(|(keyword, _)| *keyword).find(|keyword| sshd::same(keyword, name))
}
