//! The tags of everything a fleet creates. It owns the set; the names are the model's.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::FleetOrder;
use assay_model::tags;

/// The tags of `order`'s things, which may be swept from `expires_at` on. The user's `run_tags` come first and cannot displace ours.
pub(super) fn of_order(order: &FleetOrder, expires_at: Timestamp) -> BTreeMap<String, String> {
    let mut all = order.launch.run_tags.clone();
    all.extend(order.provenance.tags());
    all.insert(tags::MANAGED.to_owned(), "true".to_owned());
    all.insert(tags::RUN.to_owned(), order.run.to_string());
    if let Some(image) = &order.image {
        all.insert(tags::IMAGE.to_owned(), image.to_string());
    }
    all.insert(tags::EXPIRES_AT.to_owned(), expires_at.to_string());
    all
}

/// The same with the thing's own name, unless the user names things.
pub(super) fn named(all: &BTreeMap<String, String>, name: &str) -> BTreeMap<String, String> {
    let mut all = all.clone();
    all.entry("Name".to_owned()).or_insert_with(|| name.to_owned());
    all
}
