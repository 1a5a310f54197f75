//! Where in a region is launched: VPC, subnets and groups, by id or by filter. Names, meaning and precedence are packer-plugin-amazon's
//! (`builder/common/step_network_info.go`, `step_security_group.go`). It owns that choice and looks only; it creates nothing.

use rand_core::RngCore;

use super::{
    ground::RegionContext,
    offers::LaunchSubnet,
    target::{of_cloud, undecided},
};
use crate::cloud::{CloudSubnet, DescribeFilters};
use assay_config::settings::{SubnetFilter, SubnetPick};
use assay_model::{UndecidedKind, evidence::UndecidedReason};

/// Where to launch.
#[derive(Debug, Clone, Default)]
pub(super) struct LaunchNetwork {
    /// The VPC, where it had to be learned.
    pub(super) vpc: Option<String>,
    /// In the order in which they are tried; empty: EC2 chooses one of the default VPC.
    pub(super) spots: Vec<LaunchSubnet>,
}

impl RegionContext<'_> {
    /// The network of this region. Fails where a filter matches nothing, or several things where one is meant.
    pub(super) async fn network(&self) -> Result<LaunchNetwork, UndecidedReason> {
        let launch = &self.order.launch;
        let vpc = match (&launch.vpc_id, &launch.vpc_filter) {
            (Some(id), _) => Some(id.clone()),
            (None, Some(filters)) => Some(self.vpc_by_filter(filters).await?),
            (None, None) => None,
        };
        let named = launch.subnets.get(self.cloud.region()).cloned();
        let named = named.or_else(|| launch.subnet_id.clone().map(|id| vec![id])).unwrap_or_default();
        match (named.as_slice(), &launch.subnet_filter) {
            ([], Some(filter)) => self.subnets_by_filter(filter, vpc).await,
            // A VPC alone says where to launch too: EC2 would choose the default one, where the groups of this VPC are unknown.
            ([], None) => match vpc {
                Some(vpc) => self.subnets_of(vpc).await,
                None => Ok(LaunchNetwork::default()),
            },
            ([only], _) => Ok(LaunchNetwork { vpc, spots: vec![LaunchSubnet { subnet: only.clone(), zone: None }] }),
            (several, _) => self.subnets_by_id(several, vpc).await,
        }
    }

    /// The VPC that a temporary group must be in.
    pub(super) async fn vpc_for_group(&self, network: &LaunchNetwork) -> Result<String, UndecidedReason> {
        if let Some(vpc) = &network.vpc {
            return Ok(vpc.clone());
        }
        if let Some(spot) = network.spots.first() {
            return Ok(self.subnet(&spot.subnet).await?.vpc);
        }
        let default = one_filter("is-default", ["true".to_owned()]);
        let found = self.vpcs(&default).await?;
        found.into_iter().next().ok_or_else(|| {
            let reason =
                format!("{} has no default VPC: set subnet_id (or subnet_ids, subnet_filter)", self.cloud.region());
            undecided(UndecidedKind::Configuration, reason)
        })
    }

    /// Every group that `security_group_filter` matches in the VPC, at least one.
    pub(super) async fn groups_by_filter(
        &self,
        filters: &DescribeFilters,
        network: &LaunchNetwork,
    ) -> Result<Vec<String>, UndecidedReason> {
        let mut wanted = filters.clone();
        let vpc = match (&network.vpc, network.spots.first()) {
            (Some(vpc), _) => Some(vpc.clone()),
            (None, Some(spot)) => Some(self.subnet(&spot.subnet).await?.vpc),
            (None, None) => None,
        };
        if let Some(vpc) = vpc {
            wanted.insert("vpc-id".to_owned(), vec![vpc]);
        }
        let found = self.patience.insist(&[], || self.cloud.filter_security_groups(&wanted)).await.answer;
        let found = found.map_err(|error| of_cloud(&error))?;
        if found.is_empty() {
            return Err(self.unmatched("security_group_filter", "security group", &wanted));
        }
        Ok(found.into_iter().map(|group| group.id).collect())
    }

    /// The subnets in which EC2 would have chosen by itself, those with most room first. Fails where they cannot be listed.
    pub(super) async fn default_spots(&self) -> Result<Vec<LaunchSubnet>, UndecidedReason> {
        let mut subnets = self.subnets(&available(one_filter("default-for-az", ["true".to_owned()]))).await?;
        most_free_first(&mut subnets);
        Ok(subnets.into_iter().map(spot).collect())
    }

    async fn vpc_by_filter(&self, filters: &DescribeFilters) -> Result<String, UndecidedReason> {
        let wanted = available(filters.clone());
        let mut found = self.vpcs(&wanted).await?;
        match (found.pop(), found.as_slice()) {
            (Some(vpc), []) => Ok(vpc),
            (None, _) => Err(self.unmatched("vpc_filter", "VPC", &wanted)),
            (Some(last), others) => {
                let list = others.iter().chain([&last]).cloned().collect::<Vec<_>>().join(", ");
                let reason = format!(
                    "vpc_filter matches {} VPCs in {}, and exactly one is meant: {list}",
                    others.len() + 1,
                    self.cloud.region()
                );
                Err(undecided(UndecidedKind::Configuration, reason))
            }
        }
    }

    async fn subnets_by_filter(
        &self,
        filter: &SubnetFilter,
        vpc: Option<String>,
    ) -> Result<LaunchNetwork, UndecidedReason> {
        let mut wanted = available(filter.filters.clone());
        if let Some(vpc) = vpc {
            wanted.insert("vpc-id".to_owned(), vec![vpc]);
        }
        let mut found = self.subnets(&wanted).await?;
        match filter.pick {
            SubnetPick::Only if found.len() > 1 => {
                let list = found.iter().map(|subnet| subnet.id.as_str()).collect::<Vec<_>>().join(", ");
                let reason = format!(
                    "subnet_filter matches {} subnets in {} ({list}): make it narrower, or set most_free or random to true",
                    found.len(),
                    self.cloud.region()
                );
                return Err(undecided(UndecidedKind::Configuration, reason));
            }
            SubnetPick::Only => {}
            SubnetPick::MostFree => most_free_first(&mut found),
            SubnetPick::Random => shuffle(&mut found),
        }
        in_one_vpc(found).ok_or_else(|| self.unmatched("subnet_filter", "subnet", &wanted))
    }

    async fn subnets_of(&self, vpc: String) -> Result<LaunchNetwork, UndecidedReason> {
        let wanted = available(one_filter("vpc-id", [vpc]));
        let mut found = self.subnets(&wanted).await?;
        most_free_first(&mut found);
        in_one_vpc(found).ok_or_else(|| self.unmatched("the VPC", "subnet", &wanted))
    }

    /// Several subnets by id, in the order in which they were named.
    async fn subnets_by_id(&self, ids: &[String], vpc: Option<String>) -> Result<LaunchNetwork, UndecidedReason> {
        let found = self.subnets(&one_filter("subnet-id", ids.iter().cloned())).await?;
        let mut spots = Vec::new();
        let mut common = vpc;
        for id in ids {
            let subnet = found.iter().find(|subnet| subnet.id == *id).ok_or_else(|| self.no_subnet(id))?.clone();
            if common.as_ref().is_some_and(|vpc| *vpc != subnet.vpc) {
                let reason =
                    format!("subnet_ids: {id} is in {}, and the others are not; they must share one VPC", subnet.vpc);
                return Err(undecided(UndecidedKind::Configuration, reason));
            }
            common = Some(subnet.vpc.clone());
            spots.push(spot(subnet));
        }
        Ok(LaunchNetwork { vpc: common, spots })
    }

    async fn subnet(&self, id: &str) -> Result<CloudSubnet, UndecidedReason> {
        let found = self.subnets(&one_filter("subnet-id", [id.to_owned()])).await?;
        found.into_iter().next().ok_or_else(|| self.no_subnet(id))
    }

    fn no_subnet(&self, id: &str) -> UndecidedReason {
        undecided(UndecidedKind::Configuration, format!("there is no subnet {id} in {}", self.cloud.region()))
    }

    async fn vpcs(&self, filters: &DescribeFilters) -> Result<Vec<String>, UndecidedReason> {
        let found = self.patience.insist(&[], || self.cloud.find_vpcs(filters)).await.answer;
        found.map_err(|error| of_cloud(&error))
    }

    async fn subnets(&self, filters: &DescribeFilters) -> Result<Vec<CloudSubnet>, UndecidedReason> {
        let found = self.patience.insist(&[], || self.cloud.find_subnets(filters)).await.answer;
        found.map_err(|error| of_cloud(&error))
    }

    fn unmatched(&self, option: &str, thing: &str, filters: &DescribeFilters) -> UndecidedReason {
        let asked: Vec<String> =
            filters.iter().map(|(name, values)| format!("{name} = {:?}", values.join(","))).collect();
        let reason = format!("{option} matches no {thing} in {}: {}", self.cloud.region(), asked.join(", "));
        undecided(UndecidedKind::Configuration, reason)
    }
}

fn one_filter(name: &str, values: impl IntoIterator<Item = String>) -> DescribeFilters {
    DescribeFilters::from([(name.to_owned(), values.into_iter().collect())])
}

/// The filters, and that EC2 says `available` (VPCs and subnets know `pending` too).
fn available(mut filters: DescribeFilters) -> DescribeFilters {
    filters.insert("state".to_owned(), vec!["available".to_owned()]);
    filters
}

fn spot(subnet: CloudSubnet) -> LaunchSubnet {
    LaunchSubnet { subnet: subnet.id, zone: subnet.zone }
}

/// By the number of free addresses; then by id, so that the order is always the same.
fn most_free_first(subnets: &mut [CloudSubnet]) {
    subnets.sort_by(|a, b| b.free_addresses.cmp(&a.free_addresses).then_with(|| a.id.cmp(&b.id)));
}

/// Fisher and Yates.
fn shuffle(subnets: &mut [CloudSubnet]) {
    for last in (1..subnets.len()).rev() {
        let bound = u64::try_from(last + 1).unwrap_or(u64::MAX);
        let at = usize::try_from(rand_core::OsRng.next_u64() % bound).unwrap_or(last);
        subnets.swap(last, at);
    }
}

/// The subnets that share the first one's VPC, which the groups must be in too. `None`: there is none.
fn in_one_vpc(subnets: Vec<CloudSubnet>) -> Option<LaunchNetwork> {
    let vpc = subnets.first()?.vpc.clone();
    let spots = subnets.into_iter().filter(|subnet| subnet.vpc == vpc).map(spot).collect();
    Some(LaunchNetwork { vpc: Some(vpc), spots })
}
