//! From where the instances of a run may be reached: the addresses that a region's temporary group admits. It owns that an address of ours which turns out to be
//! another than was expected is admitted as well; it refuses to touch groups that are not the run's own, and what the user says who is to be admitted.
//!
//! The group is made before its instances are, and which of our addresses an instance sees depends on which of its addresses is dialled: that is known only when it
//! runs. And it may change while a run goes on, where several addresses stand before a network.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{MutexGuard, PoisonError},
};

use super::{Fleet, FleetOrder};
use crate::cloud::{CloudErrorKind, is_over_the_internet};
use assay_model::{Region, TargetId};

/// Whom a region's temporary group admits.
#[derive(Debug, Clone)]
pub(super) struct GroupAdmission {
    group: String,
    cidrs: BTreeSet<String>,
}

impl GroupAdmission {
    pub(super) fn new(group: &str, cidrs: &[String]) -> Self {
        Self { group: group.to_owned(), cidrs: cidrs.iter().cloned().collect() }
    }
}

/// Whether the instances of `order` are in groups of the user's, which are left as they are.
pub(super) fn has_own_groups(order: &FleetOrder) -> bool {
    !order.launch.security_group_ids.is_empty() || order.launch.security_group_filter.is_some()
}

/// A block of exactly this address.
pub(super) fn block(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

impl Fleet {
    /// Admits the address that the target's instance sees us from when it is dialled at `address`, unless that is admitted. `ask_anew`: what was learned before may be
    /// out of date. Returns whether anything was changed; fails with a sentence where it could not be learned or admitted.
    pub async fn admit(&self, target: &TargetId, address: IpAddr, ask_anew: bool) -> Result<bool, String> {
        if has_own_groups(&self.order) || !self.order.launch.source_cidrs.is_empty() {
            return Ok(false);
        }
        let Some(GroupAdmission { group, cidrs }) = self.admissions().get(target.region()).cloned() else {
            return Ok(false);
        };
        let sources = self.sources_towards(address, ask_anew).await?;
        let new: Vec<String> = sources.into_iter().map(block).filter(|block| !cidrs.contains(block)).collect();
        if new.is_empty() {
            return Ok(false);
        }
        let cloud = self.clouds.region(target.region());
        let port = self.order.ssh.port;
        let answer = self.patience().insist(&[], || cloud.authorize_ingress(&group, port, &new)).await.answer;
        match answer {
            Err(error) if error.kind != CloudErrorKind::Duplicate => {
                return Err(format!("{} could not be admitted: {error}", new.join(", ")));
            }
            _ => {}
        }
        if let Some(admission) = self.admissions().get_mut(target.region()) {
            admission.cidrs.extend(new);
        }
        Ok(true)
    }

    /// Whom the temporary group of the target's region admits, for messages; `None` where it has none.
    pub fn admitted(&self, target: &TargetId) -> Option<String> {
        let admissions = self.admissions();
        let admission = admissions.get(target.region())?;
        Some(admission.cidrs.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    }

    /// The temporary group of a region was made.
    pub(super) fn note_admission(&self, region: &Region, admission: GroupAdmission) {
        self.admissions().insert(region.clone(), admission);
    }

    async fn sources_towards(&self, address: IpAddr, ask_anew: bool) -> Result<Vec<IpAddr>, String> {
        let mut known = self.sources.lock().await;
        // What the internet sees is the same for all of its addresses, and costs a request.
        let way = (!is_over_the_internet(address)).then_some(address);
        if let Some(sources) = known.get(&way).filter(|_| !ask_anew) {
            return Ok(sources.clone());
        }
        let sources = self.clouds.source_towards(address).await.map_err(|error| error.to_string())?;
        known.insert(way, sources.clone());
        Ok(sources)
    }

    fn admissions(&self) -> MutexGuard<'_, BTreeMap<Region, GroupAdmission>> {
        self.admissions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use crate::launch::tests::{Bench, region};
    use assay_config::settings::CidrBlock;

    fn rules(bench: &Bench) -> Vec<String> {
        let groups = bench.cloud.edit(&region("us-east-1"), |stock| stock.groups.values().cloned().collect::<Vec<_>>());
        groups.into_iter().flat_map(|(_, _, rules)| rules.into_iter().map(|(_, block)| block)).collect()
    }

    #[tokio::test]
    async fn an_instance_that_is_dialled_at_a_private_address_sees_our_private_one() {
        let bench = Bench::new();
        let fleet = bench.fleet().await;
        let target = bench.launch(&fleet, &["us-east-1"]).await.remove(0).target;
        assert_eq!(rules(&bench), ["203.0.113.9/32"]);
        let (public, private) = (IpAddr::from([198, 51, 100, 7]), IpAddr::from([10, 0, 0, 7]));
        assert_eq!(fleet.admit(&target, public, false).await, Ok(false), "it is admitted");
        assert_eq!(fleet.admit(&target, private, false).await, Ok(true));
        assert_eq!(fleet.admit(&target, private, false).await, Ok(false));
        assert_eq!(rules(&bench), ["203.0.113.9/32", "10.0.0.9/32"]);
        // Behind several addresses another one may be next.
        bench.cloud.seen_from([203, 0, 113, 77].into());
        assert_eq!(fleet.admit(&target, public, false).await, Ok(false), "not asked again without need");
        assert_eq!(fleet.admit(&target, public, true).await, Ok(true));
        assert_eq!(fleet.admitted(&target).as_deref(), Some("10.0.0.9/32, 203.0.113.77/32, 203.0.113.9/32"));
        assert!(bench.release(&fleet).await.is_empty());
    }

    #[tokio::test]
    async fn what_the_user_says_who_is_admitted_is_left_as_it_is() {
        let mut bench = Bench::new();
        bench.order.launch.source_cidrs = vec![CidrBlock { address: [192, 0, 2, 0].into(), prefix: 24 }];
        let fleet = bench.fleet().await;
        let target = bench.launch(&fleet, &["us-east-1"]).await.remove(0).target;
        assert_eq!(fleet.admit(&target, [10, 0, 0, 7].into(), true).await, Ok(false));
        assert_eq!(rules(&bench), ["192.0.2.0/24"]);
        bench.release(&fleet).await;
    }
}
