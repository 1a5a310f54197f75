//! A cloud in memory for tests: EC2's rules as far as launching, ending and sweeping meet them, with scripted faults. It owns no truth about
//! EC2: what it imitates is written in the EC2 API reference, and the mini cloud and EC2 itself have the last word.
//!
//! Imitated: one client token is one instance; names are unique; a group in use cannot be deleted; a key pair's deletion always
//! succeeds; what was just made may not be listed yet; instances take several looks to run and to end, and keep their volumes
//! until then.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::{BoxFuture, FutureExt};
use tokio::sync::watch;

use super::{
    Cloud, CloudError, CloudErrorKind, CloudFactory, CloudImage, CloudInstance, CloudResult, CloudSubnet,
    InstanceStatus, ResolvedCredentials, RunInstances,
};
use assay_model::{AccountId, AmiId, Region};

mod estate;
mod region;

pub use estate::{FakeHoldings, sample_image, tag_set};
use region::FakeRegion;

type FakeTags = BTreeMap<String, String>;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FakeFault {
    /// It is not done, and the answer says why.
    Refuse(CloudErrorKind),
    /// It is not done, and this is EC2's error code.
    Code(&'static str),
    /// It is done, and the answer is lost.
    LoseAnswer,
    /// It is not done, and nothing answers.
    Drop,
    /// The client itself panics.
    Panic,
}

/// A call about to be made: its action and the name, token or id it is about.
pub type CallHook = Box<dyn Fn(&str, &str) + Send + Sync>;

/// The whole cloud: every region of one account.
#[derive(Clone, Default)]
pub struct FakeCloud {
    state: Arc<Mutex<FakeState>>,
    hook: Arc<Mutex<Option<CallHook>>>,
}

#[derive(Default)]
struct FakeState {
    regions: BTreeMap<Region, RegionStock>,
    faults: BTreeMap<String, VecDeque<FakeFault>>,
    calls: Vec<String>,
    images: BTreeMap<(Region, AmiId), CloudImage>,
    holdings: BTreeMap<Region, FakeHoldings>,
    account: Option<AccountId>,
    numbers: u32,
    invisible_looks: u32,
    boot_looks: u32,
    end_looks: u32,
    keep_volumes: bool,
    dies_at_boot: Option<String>,
    ended_for: VecDeque<String>,
    shortages: Vec<LaunchShortage>,
    most_alive: usize,
    status: InstanceStatus,
    seen_from: Option<IpAddr>,
    caller_failures: u32,
}

/// Launches that EC2 has no room for.
#[derive(Debug, Clone, Default)]
pub struct LaunchShortage {
    /// Only of this type.
    pub instance_type: Option<String>,
    /// Only in this subnet; `-`: only where none is named.
    pub subnet: Option<String>,
    /// EC2's error code.
    pub code: String,
}

/// What exists in one region.
#[derive(Debug, Clone, Default)]
pub struct RegionStock {
    /// By id.
    pub instances: BTreeMap<String, FakeInstance>,
    /// By name.
    pub keys: BTreeMap<String, FakeTags>,
    /// By id.
    pub groups: BTreeMap<String, FakeGroup>,
    /// By id.
    pub volumes: BTreeMap<String, FakeTags>,
    /// By id; the default VPC, `vpc-1`, is always there.
    pub vpcs: BTreeMap<String, FakeTags>,
    /// Those of `vpc-1` are the defaults of their zones.
    pub subnets: Vec<(CloudSubnet, FakeTags)>,
}

/// Name, tags, and rules as port and block.
pub type FakeGroup = (String, FakeTags, Vec<(u16, String)>);

/// An instance with what EC2 does not tell.
#[derive(Debug, Clone)]
pub struct FakeInstance {
    /// What EC2 tells.
    pub told: CloudInstance,
    /// The request that made it.
    pub request: RunInstances,
    /// Looks until it is listed at all.
    invisible: u32,
    /// Looks until its next state.
    looks: u32,
}

impl fmt::Debug for FakeCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeCloud")
    }
}

impl FakeCloud {
    /// An empty account.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next call of `action` (one per call of this method, in order) meets `fault`.
    pub fn fault(&self, action: &str, fault: FakeFault) -> &Self {
        self.lock().faults.entry(action.to_owned()).or_default().push_back(fault);
        self
    }

    /// Calls `hook` before each call.
    pub fn on_call(&self, hook: impl Fn(&str, &str) + Send + Sync + 'static) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hook));
    }

    /// New instances are not listed for so many looks.
    pub fn invisible_for(&self, looks: u32) {
        self.lock().invisible_looks = looks;
    }

    /// Instances take so many looks to run, and so many to end.
    pub fn takes(&self, boot: u32, end: u32) {
        let mut state = self.lock();
        (state.boot_looks, state.end_looks) = (boot, end);
    }

    /// Volumes outlive their instances.
    pub fn keep_volumes(&self) {
        self.lock().keep_volumes = true;
    }

    /// Instances terminate by themselves instead of running, for this reason.
    pub fn dies_at_boot(&self, reason: &str) {
        self.lock().dies_at_boot = Some(reason.to_owned());
    }

    /// The next instance that would run is ended instead, and this is the code of its reason.
    pub fn ends_for(&self, code: &str) {
        self.lock().ended_for.push_back(code.to_owned());
    }

    /// From now on EC2 has no room for such launches.
    pub fn lacks(&self, shortage: LaunchShortage) {
        self.lock().shortages.push(shortage);
    }

    /// The most instances that were pending or running at one time, in all regions.
    pub fn most_alive(&self) -> usize {
        self.lock().most_alive
    }

    /// From now on this is so of the machine below every instance.
    pub fn set_status(&self, status: InstanceStatus) {
        self.lock().status = status;
    }

    /// STS does not answer the next `times`.
    pub fn fail_caller(&self, times: u32) {
        self.lock().caller_failures = times;
    }

    /// From now on the internet sees us from this address.
    pub fn seen_from(&self, address: IpAddr) {
        self.lock().seen_from = Some(address);
    }

    /// The account whose credentials are used.
    pub fn set_account(&self, account: AccountId) {
        self.lock().account = Some(account);
    }

    /// Registers an AMI.
    pub fn add_image(&self, region: &Region, image: CloudImage) {
        self.lock().images.insert((region.clone(), image.id.clone()), image);
    }

    /// Adds or changes what exists in `region`.
    pub fn edit<T>(&self, region: &Region, edit: impl FnOnce(&mut RegionStock) -> T) -> T {
        edit(self.lock().regions.entry(region.clone()).or_default())
    }

    /// `region action subject` of every call so far.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// How often `action` was called.
    pub fn count(&self, action: &str) -> usize {
        self.calls().iter().filter(|call| call.split(' ').nth(1) == Some(action)).count()
    }

    /// Everything that still costs money or lies about, as `region kind id`.
    pub fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (region, stock) in &self.lock().regions {
            let ending = |i: &&FakeInstance| matches!(i.told.state.as_str(), "terminated" | "shutting-down");
            let running = stock.instances.values().filter(|i| !ending(i));
            left.extend(running.map(|i| format!("{region} instance {}", i.told.id)));
            left.extend(stock.keys.keys().map(|name| format!("{region} key-pair {name}")));
            left.extend(stock.groups.keys().map(|id| format!("{region} security-group {id}")));
            left.extend(stock.volumes.keys().map(|id| format!("{region} volume {id}")));
        }
        left
    }
}

impl CloudFactory for FakeCloud {
    fn region(&self, region: &Region) -> Arc<dyn Cloud> {
        Arc::new(FakeRegion { cloud: self.clone(), region: region.clone() })
    }

    fn caller_account(&self) -> BoxFuture<'_, CloudResult<AccountId>> {
        let mut state = self.lock();
        if state.caller_failures > 0 {
            state.caller_failures -= 1;
            let (action, region, code) = ("GetCallerIdentity", "-".to_owned(), "<no answer>".to_owned());
            let message = "scripted".to_owned();
            return async move { Err(CloudError { action, region, kind: CloudErrorKind::Unknown, code, message }) }
                .boxed();
        }
        let account = state.account.clone();
        drop(state);
        let account = account.unwrap_or_else(|| "123456789012".parse().expect("twelve digits"));
        async move { Ok(account) }.boxed()
    }

    fn resolved(&self) -> watch::Receiver<Option<ResolvedCredentials>> {
        watch::channel(None).1
    }

    fn regions(&self) -> BoxFuture<'_, CloudResult<Vec<Region>>> {
        let regions = self.lock().regions.keys().cloned().collect();
        async move { Ok(regions) }.boxed()
    }

    fn source_address(&self, private: bool) -> BoxFuture<'_, CloudResult<IpAddr>> {
        async move { Ok(if private { [10, 0, 0, 9].into() } else { [203, 0, 113, 9].into() }) }.boxed()
    }

    fn source_towards(&self, address: IpAddr) -> BoxFuture<'_, CloudResult<Vec<IpAddr>>> {
        let seen_from = self.lock().seen_from.unwrap_or(IpAddr::from([203, 0, 113, 9]));
        let private = matches!(address, IpAddr::V4(v4) if v4.is_private());
        async move { Ok(vec![if private { [10, 0, 0, 9].into() } else { seen_from }]) }.boxed()
    }
}

impl FakeState {
    fn stock(&mut self, region: &Region) -> &mut RegionStock {
        self.regions.entry(region.clone()).or_default()
    }

    fn number(&mut self, prefix: &str) -> String {
        self.numbers += 1;
        format!("{prefix}-{:017x}", self.numbers)
    }

    /// One look at the instances that `wanted` picks: time passes by being looked at.
    fn look(&mut self, region: &Region, wanted: impl Fn(&CloudInstance) -> bool) -> Vec<CloudInstance> {
        let (end_looks, keep, dies) = (self.end_looks, self.keep_volumes, self.dies_at_boot.clone());
        let mut ended_for = std::mem::take(&mut self.ended_for);
        let stock = self.stock(region);
        let mut told = Vec::new();
        for instance in stock.instances.values_mut().filter(|i| wanted(&i.told)) {
            if instance.invisible > 0 {
                instance.invisible -= 1;
                continue;
            }
            if instance.looks > 0 {
                instance.looks -= 1;
            } else if let Some(code) = ended_for.pop_front_if(|_| instance.told.state == "pending") {
                "terminated".clone_into(&mut instance.told.state);
                instance.told.state_reason = Some(format!("{code}: said later"));
                instance.told.state_reason_code = Some(code);
            } else {
                instance.next_state(end_looks, dies.as_deref());
            }
            if instance.told.state == "terminated" && !keep {
                stock.volumes.retain(|id, _| !instance.told.volumes.contains(id));
            }
            told.push(instance.told.clone());
        }
        self.ended_for = ended_for;
        told
    }

    /// Moves an instance from the state that the call demands to the next one.
    fn turn(&mut self, region: &Region, id: &str, from: &str, to: &str) -> Result<(), CloudErrorKind> {
        let looks = self.boot_looks;
        let next = u8::try_from(self.numbers % 250).unwrap_or(0);
        self.numbers += 1;
        let instance = self.stock(region).instances.get_mut(id).ok_or(CloudErrorKind::NotFound)?;
        if instance.told.state != from {
            return Err(CloudErrorKind::Invalid);
        }
        to.clone_into(&mut instance.told.state);
        instance.looks = looks;
        match to {
            // A public address that is no Elastic IP goes with the stop, and another comes with the start.
            "stopping" => instance.told.public_ip = None,
            "pending" => instance.told.public_ip = Some(format!("203.0.113.{next}")),
            _ => {}
        }
        Ok(())
    }

    fn alive(&self) -> usize {
        let all = self.regions.values().flat_map(|stock| stock.instances.values());
        all.filter(|i| matches!(i.told.state.as_str(), "pending" | "running")).count()
    }

    fn shortage(&self, request: &RunInstances) -> Option<String> {
        let subnet = request.subnet_id.as_deref().unwrap_or("-");
        let met = |s: &&LaunchShortage| {
            s.instance_type.as_ref().is_none_or(|wanted| *wanted == request.instance_type)
                && s.subnet.as_ref().is_none_or(|wanted| wanted == subnet)
        };
        self.shortages.iter().find(met).map(|shortage| shortage.code.clone())
    }

    fn zone_of(&mut self, region: &Region, request: &RunInstances) -> Option<String> {
        let subnets = &self.stock(region).subnets;
        subnets.iter().find(|(s, _)| Some(&s.id) == request.subnet_id.as_ref()).and_then(|(s, _)| s.zone.clone())
    }

    fn launch(&mut self, region: &Region, request: &RunInstances) -> Result<CloudInstance, CloudErrorKind> {
        let same = |i: &&FakeInstance| i.request.client_token == request.client_token;
        if let Some(earlier) = self.stock(region).instances.values().find(same) {
            return Ok(earlier.told.clone());
        }
        let stock = self.stock(region);
        let groups_known = request.security_group_ids.iter().all(|id| stock.groups.contains_key(id));
        if !stock.keys.contains_key(&request.key_name) || !groups_known {
            return Err(CloudErrorKind::NotFound);
        }
        let (id, volume) = (self.number("i"), self.number("vol"));
        let last = u8::try_from(self.numbers % 250).unwrap_or(0);
        let told = CloudInstance {
            id: id.clone(),
            image: request.image.to_string(),
            state: "pending".to_owned(),
            state_reason: None,
            state_reason_code: None,
            public_ip: Some(format!("198.51.100.{last}")),
            private_ip: Some(format!("10.0.0.{last}")),
            public_dns: None,
            private_dns: None,
            ipv6: None,
            availability_zone: self.zone_of(region, request),
            client_token: Some(request.client_token.clone()),
            key_name: Some(request.key_name.clone()),
            launch_time: Some(jiff::Timestamp::now().as_second()),
            tags: request.tags.clone(),
            volumes: vec![volume.clone()],
        };
        let (invisible, looks) = (self.invisible_looks, self.boot_looks);
        let instance = FakeInstance { told: told.clone(), request: request.clone(), invisible, looks };
        let stock = self.stock(region);
        stock.instances.insert(id, instance);
        stock.volumes.insert(volume, request.tags.clone());
        self.most_alive = self.most_alive.max(self.alive());
        Ok(CloudInstance { volumes: Vec::new(), public_ip: None, ..told })
    }
}

impl FakeInstance {
    /// A finished instance for tests that place one by hand.
    pub fn placed(told: CloudInstance, request: RunInstances) -> Self {
        Self { told, request, invisible: 0, looks: 0 }
    }

    fn next_state(&mut self, end_looks: u32, dies: Option<&str>) {
        match (self.told.state.as_str(), dies) {
            ("pending", Some(reason)) => {
                "terminated".clone_into(&mut self.told.state);
                self.told.state_reason = Some(reason.to_owned());
            }
            ("pending", None) => "running".clone_into(&mut self.told.state),
            ("stopping", _) => "stopped".clone_into(&mut self.told.state),
            ("shutting-down", _) => {
                "terminated".clone_into(&mut self.told.state);
                self.looks = end_looks;
            }
            _ => {}
        }
    }
}
