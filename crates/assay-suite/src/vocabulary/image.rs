//! assay's own resources, for images. goss has none of these names.

use std::time::Duration;

use super::{ParameterKind, ValueKind, VocabularyEntry, sshd};
use crate::ResourceKind;

/// assay's own resources.
pub(super) const RESOURCES: &[VocabularyEntry] = &[
    VocabularyEntry {
        resource: ResourceKind::Ami,
        subject: "",
        properties: &[
            ("name", ValueKind::Text),
            ("description", ValueKind::Text),
            ("owner", ValueKind::Text),
            ("public", ValueKind::Bool),
            ("architecture", ValueKind::Text),
            ("boot-mode", ValueKind::Text),
            ("ena-support", ValueKind::Bool),
            ("sriov-net-support", ValueKind::Text),
            ("tpm-support", ValueKind::Text),
            ("imds-support", ValueKind::Text),
            ("encrypted", ValueKind::Bool),
            ("root-device-name", ValueKind::Text),
            ("root-device-type", ValueKind::Text),
            ("root-volume-size", ValueKind::Number),
            ("virtualization-type", ValueKind::Text),
            ("platform-details", ValueKind::Text),
            ("source-image-id", ValueKind::Text),
            ("deprecated", ValueKind::Bool),
            ("deprecation-time", ValueKind::Text),
            ("product-codes", ValueKind::ExactList),
            ("tags", ValueKind::List),
        ],
        parameters: &[],
        later: &[],
        example: "image",
    },
    VocabularyEntry {
        resource: ResourceKind::Reboot,
        subject: "",
        properties: &[
            ("returned", ValueKind::Bool),
            ("seconds", ValueKind::Number),
            ("host-key-unchanged", ValueKind::Bool),
            ("machine-id-unchanged", ValueKind::Bool),
            ("timer-armed", ValueKind::Bool),
            ("suite", ValueKind::Bool),
        ],
        parameters: &[],
        later: &[],
        example: "soft",
    },
    VocabularyEntry {
        resource: ResourceKind::SecondBoot,
        subject: "",
        properties: &[
            ("boots-undisturbed", ValueKind::Bool),
            ("host-keys-differ", ValueKind::Bool),
            ("machine-id-differs", ValueKind::Bool),
            ("suite", ValueKind::Bool),
        ],
        parameters: &[],
        later: &[],
        example: "image",
    },
    VocabularyEntry {
        resource: ResourceKind::CloudInit,
        subject: "",
        properties: &[("finished", ValueKind::Bool), ("errors", ValueKind::ExactList)],
        parameters: &[],
        later: &[],
        example: "finished",
    },
    VocabularyEntry {
        resource: ResourceKind::Systemd,
        subject: "",
        properties: &[("failed", ValueKind::ExactList)],
        parameters: &[],
        later: &[],
        example: "units",
    },
    VocabularyEntry {
        resource: ResourceKind::Hygiene,
        subject: "",
        properties: HYGIENE,
        parameters: &[("allow", ParameterKind::Texts)],
        later: &[],
        example: "image",
    },
    VocabularyEntry {
        resource: ResourceKind::Sshd,
        subject: "",
        properties: sshd::KEYWORDS,
        parameters: &[("match", ParameterKind::Text)],
        later: &[],
        example: "effective",
    },
    VocabularyEntry {
        resource: ResourceKind::Boot,
        subject: "",
        properties: &[
            ("seconds", ValueKind::Number),
            ("failed-units", ValueKind::ExactList),
            ("cloud-init", ValueKind::Word(&["done", "error", "running", "disabled", "absent"])),
            ("kernel-taint", ValueKind::Number),
            ("reboot-required", ValueKind::Bool),
            ("oom-kills", ValueKind::Number),
        ],
        parameters: &[],
        later: &[],
        example: "first",
    },
    VocabularyEntry {
        resource: ResourceKind::Listening,
        subject: "",
        properties: &[("unexpected", ValueKind::ExactList), ("ports", ValueKind::ExactList)],
        parameters: &[("allow", ParameterKind::Texts)],
        later: &[],
        example: "ports",
    },
    VocabularyEntry {
        resource: ResourceKind::RootFilesystem,
        subject: "",
        properties: &[
            ("grown", ValueKind::Bool),
            ("usage", ValueKind::Number),
            ("inodes", ValueKind::Number),
            ("free", ValueKind::Number),
            ("size", ValueKind::Number),
            ("filesystem", ValueKind::Text),
            ("read-only", ValueKind::Bool),
        ],
        parameters: &[],
        later: &[],
        example: "root",
    },
];

/// What an image must not carry into its instances. Each is a list of findings.
const HYGIENE: &[(&str, ValueKind)] = &[
    ("authorized-keys", ValueKind::ExactList),
    ("host-keys", ValueKind::ExactList),
    ("machine-id", ValueKind::ExactList),
    ("cloud-init", ValueKind::ExactList),
    ("random-seed", ValueKind::ExactList),
    ("histories", ValueKind::ExactList),
    ("known-hosts", ValueKind::ExactList),
    ("private-keys", ValueKind::ExactList),
    ("cloud-credentials", ValueKind::ExactList),
    ("git-directories", ValueKind::ExactList),
    ("empty-passwords", ValueKind::ExactList),
    ("password-logins", ValueKind::ExactList),
    ("uid0", ValueKind::ExactList),
    ("sudoers", ValueKind::ExactList),
    ("suid", ValueKind::ExactList),
    ("world-writable", ValueKind::ExactList),
    ("unowned", ValueKind::ExactList),
    ("core-dumps", ValueKind::ExactList),
    ("tmp-residue", ValueKind::ExactList),
    ("logs", ValueKind::ExactList),
    (SUID_FILES, ValueKind::ExactList),
];

/// Not a finding but a list to compare: every program with set-uid or set-gid.
const SUID_FILES: &str = "suid-files";

/// The properties that a block of this resource demands to be `[]` when it names none itself.
pub(crate) fn implied(resource: ResourceKind) -> Vec<&'static str> {
    match resource {
        ResourceKind::Hygiene => HYGIENE.iter().map(|(name, _)| *name).filter(|name| *name != SUID_FILES).collect(),
        ResourceKind::Listening => vec!["unexpected"],
        _ => Vec::new(),
    }
}

/// The least time that one attempt of a check of this resource gets, unless its own block says otherwise: reading a
/// whole disk that is still being fetched takes longer than a file.
pub(crate) fn patience(resource: ResourceKind) -> Duration {
    match resource {
        ResourceKind::Hygiene => Duration::from_secs(120),
        _ => Duration::ZERO,
    }
}

/// The name that a property of `resource` has here, where it may be spelled in other ways.
pub(crate) fn canonical(resource: ResourceKind, name: &str) -> Option<&'static str> {
    let keywords = Some(sshd::KEYWORDS).filter(|_| resource == ResourceKind::Sshd)?;
    keywords.iter().map(|(keyword, _)| *keyword).find(|keyword| sshd::same(keyword, name))
}
