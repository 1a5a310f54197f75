//! What is found in the images of a run, each content once. It owns why there is none where one was asked for; it never touches a verdict.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    model::{Digest, Inventory, TargetEvidence, evidence::Undecided},
    probe::FoundInventory,
};

/// Inventories by their digests, while targets are probed side by side.
#[derive(Debug, Default)]
pub struct Inventories(Mutex<BTreeMap<Digest, Inventory>>);

impl Inventories {
    /// Notes what was found in a target's image, or why nothing was. `stopped`: what kept the probe from its end.
    pub fn note(&self, found: Option<&FoundInventory>, stopped: Option<&Undecided>, evidence: &mut TargetEvidence) {
        let Some(found) = found else {
            let why = stopped.map_or("the host did not say what is in it", |stopped| stopped.reason.as_str());
            evidence.inventory_missing = Some(why.to_owned());
            return;
        };
        let digest = found.inventory.digest();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(digest.clone()).or_insert_with(|| found.inventory.clone());
        evidence.inventory = Some(digest);
        evidence.boot = Some(found.boot);
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<Digest, Inventory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
