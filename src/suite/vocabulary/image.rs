//! assay's own resources, for images. goss has none of these names.

use super::{Entry, Kind};
use crate::suite::Resource;

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
];
