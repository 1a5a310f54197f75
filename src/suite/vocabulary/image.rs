//! assay's own resources, for images. goss has none of these names.

use super::{Entry, Kind};
use crate::suite::Resource;

/// assay's own resources.
pub(super) const RESOURCES: &[Entry] = &[
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
