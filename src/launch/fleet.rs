//! All instances of a run: launched in all regions at once, handed over one by one, ended together. It owns the order of things inside a region
//! and that a creating call, once begun, is waited for even when the run is cancelled.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant as Clock,
};

use futures::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Identity, LaunchError, LaunchedTarget, Order,
    ground::{Ground, Pace, Site},
    start, tags,
    target::cancelled,
    user_data::{self, Expiry},
    wait::Waiting,
};
use crate::{
    cloud::{CloudFactory, CloudResult, Image, plain},
    config::{SshInterface, settings::Cidr},
    journal::{Journal, UndoPolicy, undo},
    model::{
        Region, TargetId,
        evidence::{Leftover, Undecided},
    },
};

/// The instances of one run.
pub struct Fleet {
    pub(super) clouds: Arc<dyn CloudFactory>,
    journal: Arc<Journal>,
    pub(super) order: Order,
    identity: Identity,
    cidrs: Vec<String>,
    tags: BTreeMap<String, String>,
    pub(super) expiry: Expiry,
    pub(super) pace: Pace,
    cancel: CancellationToken,
    tasks: TaskTracker,
    instances: Mutex<BTreeMap<TargetId, String>>,
}

impl Fleet {
    /// Prepares a fleet: makes the run's key, learns our address, checks the user data. Creates nothing in the cloud.
    ///
    /// When `cancel` fires, nothing more is launched and every AMI not handed over yet comes out as cancelled; [`Fleet::release`] is due
    /// all the same.
    pub async fn prepare(
        clouds: Arc<dyn CloudFactory>,
        journal: Arc<Journal>,
        order: Order,
        cancel: CancellationToken,
    ) -> Result<Arc<Self>, LaunchError> {
        Self::prepare_at(Pace::default(), clouds, journal, order, cancel).await
    }

    pub(super) async fn prepare_at(
        pace: Pace,
        clouds: Arc<dyn CloudFactory>,
        journal: Arc<Journal>,
        order: Order,
        cancel: CancellationToken,
    ) -> Result<Arc<Self>, LaunchError> {
        user_data::check(order.launch.user_data.as_deref())?;
        let cidrs = source_cidrs(clouds.as_ref(), &order).await?;
        let identity = Identity::generate(&order.run.resource_prefix()).map_err(LaunchError::Key)?;
        let ttl = order.launch.ttl;
        let now = Timestamp::now().as_second();
        let at = now.saturating_add(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX));
        let expires_at = Timestamp::from_second(at).unwrap_or(Timestamp::MAX);
        Ok(Arc::new(Self {
            tags: tags::of_order(&order, expires_at),
            expiry: Expiry { at: expires_at.as_second(), ttl: ttl.as_secs() },
            clouds,
            journal,
            order,
            identity,
            cidrs,
            pace,
            // Our own end must not look like the caller's cancellation.
            cancel: cancel.child_token(),
            tasks: TaskTracker::new(),
            instances: Mutex::default(),
        }))
    }

    /// The key that every instance of this fleet admits.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The address blocks that the temporary groups admit; empty where the user's own groups are used.
    pub fn cidrs(&self) -> &[String] {
        &self.cidrs
    }

    /// Launches all `targets`, each from its AMI as EC2 described it, all regions at once. Every one of them comes out of the channel exactly once, in the
    /// order in which they are decided; one that is missing when the channel closes was lost to a defect of ours, and is undecided.
    pub fn launch(self: &Arc<Self>, targets: Vec<(TargetId, Image)>) -> mpsc::Receiver<LaunchedTarget> {
        let (sender, receiver) = mpsc::channel(targets.len().max(1));
        let mut regions: BTreeMap<Region, Vec<(TargetId, Image)>> = BTreeMap::new();
        for (target, image) in targets {
            regions.entry(target.region().clone()).or_default().push((target, image));
        }
        for (region, targets) in regions {
            let (fleet, sender) = (self.clone(), sender.clone());
            self.tasks.spawn(async move { fleet.launch_region(region, targets, sender).await });
        }
        receiver
    }

    /// The console output of the target's instance; at most 64 KiB, raw.
    pub async fn console(&self, target: &TargetId) -> CloudResult<Vec<u8>> {
        match self.instance_of(target) {
            Some(id) => self.clouds.region(target.region()).console_output(&id).await,
            None => Ok(Vec::new()),
        }
    }

    /// What EC2 says of an instance that stopped answering: `None` while it still runs or nothing is known, else its state and why.
    pub async fn fate(&self, target: &TargetId) -> Option<String> {
        let id = self.instance_of(target)?;
        let seen = self.clouds.region(target.region()).describe_instances(&[id]).await.ok()?;
        let instance = seen.into_iter().next().filter(|i| !matches!(i.state.as_str(), "running" | "pending"))?;
        let why = instance.state_reason.unwrap_or_else(|| "EC2 gives no reason".to_owned());
        Some(format!("{} is {}: {}", instance.id, plain(&instance.state), plain(&why)))
    }

    /// Begins to end the target's instance as soon as it is no longer needed. Nothing is waited for: [`Fleet::release`] confirms it.
    pub async fn end(&self, target: &TargetId) {
        let Some(id) = self.instance_of(target) else { return };
        if let Err(error) = self.clouds.region(target.region()).terminate_instance(&id).await {
            tracing::info!(%error, id, "ending an instance early failed; it is tried again at the end");
        }
    }

    /// Removes everything that the journal holds, whatever state the launches are in. Calls that are under way are waited for first, so that
    /// their answers are known. May be called again. Returns what could not be confirmed gone.
    pub async fn release(&self, policy: UndoPolicy) -> Vec<Leftover> {
        self.cancel.cancel();
        self.tasks.close();
        if tokio::time::timeout_at(policy.deadline, self.tasks.wait()).await.is_err() {
            tracing::warn!("launch calls were still unanswered at the deadline");
        }
        undo(self.clouds.as_ref(), &self.journal, policy).await
    }

    pub(super) fn instance_of(&self, target: &TargetId) -> Option<String> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).get(target).cloned()
    }

    async fn launch_region(
        &self,
        region: Region,
        targets: Vec<(TargetId, Image)>,
        sender: mpsc::Sender<LaunchedTarget>,
    ) {
        let cloud = self.clouds.region(&region);
        let began = Clock::now();
        let site = Site {
            cloud: cloud.as_ref(),
            journal: &self.journal,
            order: &self.order,
            tags: &self.tags,
            cancel: &self.cancel,
            pace: self.pace,
            deadline: Instant::now() + self.order.ssh.timeout,
        };
        match site.prepare(&self.identity.public_key, &self.cidrs).await {
            Ok(ground) => self.launch_targets(&site, &ground, targets, began, &sender).await,
            Err(reason) => {
                for (target, _) in targets {
                    deliver(&sender, vec![not_launched(target, reason.clone(), began)]).await;
                }
            }
        }
    }

    /// Launches are begun together, and each is waited for from the moment it is accepted.
    async fn launch_targets(
        &self,
        site: &Site<'_>,
        ground: &Ground,
        targets: Vec<(TargetId, Image)>,
        began: Clock,
        sender: &mpsc::Sender<LaunchedTarget>,
    ) {
        let mut starting: FuturesUnordered<_> = targets
            .iter()
            .map(|(target, image)| async move {
                (target, start::start(site, ground, target, image, self.expiry, began).await)
            })
            .collect();
        let mut waiting = Waiting::new(site.pace);
        let mut next_look = Instant::now();
        while !(starting.is_empty() && waiting.is_empty()) {
            tokio::select! {
                Some((target, outcome)) = starting.next() => match outcome {
                    Ok(started) => {
                        self.remember(&started.target, &started.id);
                        waiting.add(started);
                        next_look = Instant::now() + waiting.interval();
                    }
                    Err(reason) => {
                        deliver(sender, vec![not_launched(target.clone(), reason, began)]).await;
                    }
                },
                () = self.cancel.cancelled(), if !waiting.is_empty() => {
                    deliver(sender, waiting.give_up(&cancelled())).await;
                }
                () = tokio::time::sleep_until(next_look), if !waiting.is_empty() => {
                    // A look creates nothing: unlike a launch it may be dropped.
                    let decided = tokio::select! {
                        decided = waiting.look(site) => decided,
                        () = self.cancel.cancelled() => Vec::new(),
                    };
                    deliver(sender, decided).await;
                    next_look = Instant::now() + waiting.interval();
                }
            }
        }
    }

    fn remember(&self, target: &TargetId, id: &str) {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).insert(target.clone(), id.to_owned());
    }
}

/// A target of which no instance came up.
fn not_launched(target: TargetId, reason: Undecided, began: Clock) -> LaunchedTarget {
    LaunchedTarget { target, instance: Err(reason), phases: Vec::new(), started: began }
}

/// Hands targets over. Nobody listening any more is no reason to stop: the loop must still see its calls through.
async fn deliver(sender: &mpsc::Sender<LaunchedTarget>, targets: Vec<LaunchedTarget>) {
    for target in targets {
        if sender.send(target).await.is_err() {
            tracing::debug!("a launched target was not waited for");
        }
    }
}

/// Whom the temporary group admits: what the user says, else the address that the instance will see us from.
async fn source_cidrs(clouds: &dyn CloudFactory, order: &Order) -> Result<Vec<String>, LaunchError> {
    let launch = &order.launch;
    if !launch.security_group_ids.is_empty() {
        return Ok(Vec::new());
    }
    if !launch.source_cidrs.is_empty() {
        return Ok(launch.source_cidrs.iter().map(|Cidr { address, prefix }| format!("{address}/{prefix}")).collect());
    }
    if order.ssh.bastion.is_some() {
        return Err(LaunchError::SourceNotOurs { option: "ssh_bastion_host" });
    }
    if order.ssh.proxy_command.is_some() {
        return Err(LaunchError::SourceNotOurs { option: "ssh_proxy_command" });
    }
    if order.ssh.interface == Some(SshInterface::Ipv6) {
        // What we can ask for our address answers over IPv4.
        return Err(LaunchError::SourceNotOurs { option: "ssh_interface = \"ipv6\"" });
    }
    let private = matches!(order.ssh.interface, Some(SshInterface::PrivateIp | SshInterface::PrivateDns));
    let address = clouds.source_address(private).await.map_err(LaunchError::SourceUnknown)?;
    let prefix = if address.is_ipv4() { 32 } else { 128 };
    Ok(vec![format!("{address}/{prefix}")])
}
