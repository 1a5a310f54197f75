//! What is found in the images of a run, each content once. It owns why there is none where one was asked for; it never touches a verdict.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use assay_model::{AmiRef, Digest, Inventory, TargetEvidence, evidence::UndecidedReason};
use assay_prober::FoundInventory;

/// Inventories by their digests, while targets are probed side by side.
#[derive(Debug, Default)]
pub(super) struct InventoriesByDigest {
    known: Mutex<BTreeMap<Digest, Inventory>>,
    asked: Mutex<BTreeSet<AmiRef>>,
}

impl InventoriesByDigest {
    /// Whether this AMI was asked of no instance yet. What is in an AMI is asked once, of its first instance that comes up.
    pub(super) fn is_first_of(&self, ami: &AmiRef) -> bool {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(ami.clone())
    }

    /// Notes what was found in a target's image, or why nothing was. `stopped`: what kept the probe from its end, or from its beginning.
    pub(super) fn note(
        &self,
        found: Option<&FoundInventory>,
        stopped: Option<&UndecidedReason>,
        evidence: &mut TargetEvidence,
    ) {
        let Some(found) = found else {
            let why = stopped.map_or("the host did not say what is in it", |stopped| stopped.reason.as_str());
            evidence.inventory_missing = Some(why.to_owned());
            return;
        };
        let digest = found.inventory.digest();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(digest.clone()).or_insert_with(|| found.inventory.clone());
        evidence.inventory = Some(digest);
        evidence.boot = Some(found.boot);
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeMap<Digest, Inventory> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ami_is_asked_of_the_first_instance_that_comes_up() {
        let inventories = InventoriesByDigest::default();
        let ami: AmiRef = "us-east-1:ami-00000001".parse().expect("an AMI");
        assert!(inventories.is_first_of(&ami));
        assert!(!inventories.is_first_of(&ami));
        assert!(inventories.is_first_of(&"eu-west-1:ami-00000001".parse().expect("an AMI")));
    }
}
