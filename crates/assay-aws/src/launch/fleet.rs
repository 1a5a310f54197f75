//! All instances of a run: launched in all regions at once, handed over one by one, ended together, never more alive than `max_parallel`. It owns the order of
//! things inside a region and that a creating call, once begun, is waited for even when the run is cancelled.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant as Clock,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    FleetOrder, KeyPairText, LaunchError, LaunchedTarget,
    admission::{GroupAdmission, block, has_own_groups},
    condition,
    ground::{RegionContext, RegionResources},
    patience::{PollPace, RetryPolicy},
    places::{InstanceSlot, InstanceSlots, NoneLeft},
    start::{self, LateRefusal, NotStarted, StartedLaunch},
    tags,
    target::{cancelled, undecided},
    user_data::{self, InstanceExpiry},
    wait::AddressWait,
};
use crate::{
    cloud::{CloudErrorKind, CloudFactory, CloudImage, CloudResult},
    journal::{Journal, UndoPolicy, undo},
};
use assay_config::{SshInterface, settings::CidrBlock};
use assay_model::{
    Region, TargetId, UndecidedKind,
    evidence::{Leftover, UndecidedReason},
};

/// The instances of one run.
pub struct Fleet {
    pub(super) clouds: Arc<dyn CloudFactory>,
    journal: Arc<Journal>,
    pub(super) order: FleetOrder,
    identity: KeyPairText,
    cidrs: Vec<String>,
    pub(super) pace: PollPace,
    cancel: CancellationToken,
    tasks: TaskTracker,
    places: InstanceSlots,
    instances: Mutex<BTreeMap<TargetId, LiveInstance>>,
    pub(super) admissions: Mutex<BTreeMap<Region, GroupAdmission>>,
    /// By the private address that is dialled, or none for those of the internet, the addresses that an instance sees us from.
    pub(super) sources: tokio::sync::Mutex<BTreeMap<Option<IpAddr>, Vec<IpAddr>>>,
}

/// An instance, and its place until its end was accepted.
struct LiveInstance {
    id: String,
    place: Option<InstanceSlot>,
}

/// One target with the AMI that it is launched from.
type WantedTarget = (TargetId, CloudImage);

impl Fleet {
    /// Prepares a fleet: makes the run's key, learns our address, checks the user data. Creates nothing in the cloud.
    ///
    /// When `cancel` fires, nothing more is launched and every AMI not handed over yet comes out as cancelled; [`Fleet::release`] is due
    /// all the same.
    pub async fn prepare(
        clouds: Arc<dyn CloudFactory>,
        journal: Arc<Journal>,
        order: FleetOrder,
        cancel: CancellationToken,
    ) -> Result<Arc<Self>, LaunchError> {
        Self::prepare_at(PollPace::default(), clouds, journal, order, cancel).await
    }

    pub(super) async fn prepare_at(
        pace: PollPace,
        clouds: Arc<dyn CloudFactory>,
        journal: Arc<Journal>,
        order: FleetOrder,
        cancel: CancellationToken,
    ) -> Result<Arc<Self>, LaunchError> {
        user_data::check(order.launch.user_data.as_deref())?;
        let cidrs = source_cidrs(clouds.as_ref(), &order).await?;
        let identity = KeyPairText::generate(&order.run.resource_prefix()).map_err(LaunchError::Key)?;
        Ok(Arc::new(Self {
            places: InstanceSlots::new(order.launch.max_parallel),
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
            admissions: Mutex::default(),
            sources: tokio::sync::Mutex::default(),
        }))
    }

    /// The key that every instance of this fleet admits.
    pub fn identity(&self) -> &KeyPairText {
        &self.identity
    }

    /// The address blocks that the temporary groups admit from the beginning; empty where the user's own groups are used. See [`Fleet::admit`].
    pub fn cidrs(&self) -> &[String] {
        &self.cidrs
    }

    /// Launches all `targets`, each from its AMI as EC2 described it, all regions at once. Every one of them comes out of the channel exactly once, in the
    /// order in which they are decided; one that is missing when the channel closes was lost to a defect of ours, and is undecided.
    ///
    /// At most `max_parallel` instances are alive: the others are launched, each region's in the order given here, as [`Fleet::end`] makes room. So a target's
    /// instance must be ended without waiting for another target, but for one of its region that stands before it here and waits for nobody itself.
    pub fn launch(self: &Arc<Self>, targets: Vec<(TargetId, CloudImage)>) -> mpsc::Receiver<LaunchedTarget> {
        let (sender, receiver) = mpsc::channel(targets.len().max(1));
        let turns = u32::try_from(targets.len().div_ceil(self.order.launch.max_parallel.max(1))).unwrap_or(u32::MAX);
        let mut regions: BTreeMap<Region, Vec<WantedTarget>> = BTreeMap::new();
        for (target, image) in targets {
            regions.entry(target.region().clone()).or_default().push((target, image));
        }
        for (region, targets) in regions {
            let (fleet, sender) = (self.clone(), sender.clone());
            self.tasks.spawn(async move { fleet.launch_region(region, targets, turns, sender).await });
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
        Some(condition::fate(&instance))
    }

    /// Begins to end the target's instance as soon as it is no longer needed, and gives its place to the next. Where EC2 does not answer, it is tried again in
    /// the background. Nothing else is waited for: [`Fleet::release`] confirms it.
    pub async fn end(self: &Arc<Self>, target: &TargetId) {
        let Some((id, place)) = self.leave(target) else { return };
        let region = target.region().clone();
        let Err(error) = self.clouds.region(&region).terminate_instance(&id).await else { return };
        tracing::info!(%error, id, "ending an instance early failed; it is tried again");
        let Some(place) = place else { return };
        let fleet = self.clone();
        self.tasks.spawn(async move { fleet.end_later(&region, &id, place).await });
    }

    async fn end_later(&self, region: &Region, id: &str, place: InstanceSlot) {
        let cloud = self.clouds.region(region);
        // NotFound: it was launched a moment ago.
        let outcome = self.patience().insist(&[CloudErrorKind::NotFound], || cloud.terminate_instance(id)).await;
        if let Err(error) = outcome.answer {
            tracing::warn!(%error, id, "an instance could not be ended early; fewer are launched at once from here on");
            self.places.lose(place);
        }
    }

    /// Removes everything that the journal holds, whatever state the launches are in. Calls that are under way are waited for first, so that
    /// their answers are known. May be called again. Returns what could not be confirmed gone.
    pub async fn release(&self, policy: UndoPolicy) -> Vec<Leftover> {
        self.cancel.cancel();
        self.tasks.close();
        // What stands already must be ended in any case.
        let half = policy.deadline.saturating_duration_since(Instant::now()) / 2;
        if tokio::time::timeout(half, self.tasks.wait()).await.is_err() {
            tracing::warn!("launch calls were still unanswered when there was only half of the time left");
        }
        undo(self.clouds.as_ref(), &self.journal, policy).await
    }

    pub(super) fn instance_of(&self, target: &TargetId) -> Option<String> {
        self.alive().get(target).map(|alive| alive.id.clone())
    }

    /// The target's instance, and its place where it still holds one.
    fn leave(&self, target: &TargetId) -> Option<(String, Option<InstanceSlot>)> {
        self.alive().get_mut(target).map(|alive| (alive.id.clone(), alive.place.take()))
    }

    fn remember(&self, target: &TargetId, id: &str, place: InstanceSlot) {
        self.alive().insert(target.clone(), LiveInstance { id: id.to_owned(), place: Some(place) });
    }

    fn alive(&self) -> MutexGuard<'_, BTreeMap<TargetId, LiveInstance>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn patience(&self) -> RetryPolicy<'_> {
        RetryPolicy { pace: self.pace, cancel: &self.cancel, deadline: Instant::now() + self.order.ssh.timeout }
    }

    /// The end of what is launched now, and the tags that say so. What `turns` launches after each other need must live as long as the last of them.
    fn expiry(&self, turns: u32) -> (InstanceExpiry, BTreeMap<String, String>) {
        let ttl = self.order.launch.ttl;
        let length = i64::try_from(ttl.saturating_mul(turns).as_secs()).unwrap_or(i64::MAX);
        let at = Timestamp::now().as_second().saturating_add(length);
        let expires_at = Timestamp::from_second(at).unwrap_or(Timestamp::MAX);
        (InstanceExpiry { at: expires_at.as_second(), ttl: ttl.as_secs() }, tags::of_order(&self.order, expires_at))
    }

    async fn launch_region(
        self: Arc<Self>,
        region: Region,
        targets: Vec<WantedTarget>,
        turns: u32,
        sender: mpsc::Sender<LaunchedTarget>,
    ) {
        let cloud = self.clouds.region(&region);
        let (_, tags) = self.expiry(turns);
        let site = RegionContext {
            cloud: cloud.as_ref(),
            journal: &self.journal,
            order: &self.order,
            tags: &tags,
            patience: self.patience(),
        };
        match site.prepare(&self.identity.public_key, &self.cidrs).await {
            Ok(ground) => {
                if let Some(group) = ground.security_group_ids.first().filter(|_| !has_own_groups(&self.order)) {
                    self.note_admission(&region, GroupAdmission::new(group, &self.cidrs));
                }
                self.launch_targets(&site, &ground, &targets, &sender).await;
            }
            Err(reason) => {
                for (target, _) in targets {
                    deliver(&sender, vec![not_launched(target, reason.clone().into())]).await;
                }
            }
        }
    }

    /// Launches are begun together, as far as there are places, and each is waited for from the moment it is accepted.
    async fn launch_targets(
        self: &Arc<Self>,
        site: &RegionContext<'_>,
        ground: &RegionResources,
        targets: &[WantedTarget],
        sender: &mpsc::Sender<LaunchedTarget>,
    ) {
        let start = |wanted, before| async move { (wanted, self.start(site, ground, wanted, before).await) }.boxed();
        let mut starting: FuturesUnordered<BoxFuture<'_, (&WantedTarget, Result<StartedLaunch, NotStarted>)>> =
            targets.iter().map(|wanted| start(wanted, None)).collect();
        let mut waiting = AddressWait::new(self.pace);
        let mut next_look = Instant::now();
        while !(starting.is_empty() && waiting.is_empty()) {
            tokio::select! {
                Some(((target, _), outcome)) = starting.next() => match outcome {
                    Ok(started) => {
                        waiting.add(started);
                        next_look = Instant::now() + waiting.interval();
                    }
                    Err(reason) => deliver(sender, vec![not_launched(target.clone(), reason)]).await,
                },
                () = self.cancel.cancelled(), if !waiting.is_empty() => {
                    deliver(sender, waiting.give_up(&cancelled())).await;
                }
                () = tokio::time::sleep_until(next_look), if !waiting.is_empty() => {
                    // A look creates nothing: unlike a launch it may be dropped.
                    let (decided, again) = tokio::select! {
                        looked = waiting.look(site) => looked,
                        () = self.cancel.cancelled() => Default::default(),
                    };
                    for before in again {
                        if let Some(wanted) = targets.iter().find(|(target, _)| *target == before.started.target) {
                            starting.push(start(wanted, Some(before)));
                        }
                    }
                    self.end_lost(&decided);
                    deliver(sender, decided).await;
                    next_look = Instant::now() + waiting.interval();
                }
            }
        }
    }

    /// Waits for a place, and launches one target in it. `ssh_timeout` and `ttl` count from there. `before`: a launch that EC2 had no room for after it was accepted, whose
    /// place is taken over.
    async fn start(
        &self,
        site: &RegionContext<'_>,
        ground: &RegionResources,
        (target, image): &WantedTarget,
        before: Option<LateRefusal>,
    ) -> Result<StartedLaunch, NotStarted> {
        let kept = before.as_ref().and_then(|_| self.leave(target)).and_then(|(_, place)| place);
        let place = match kept {
            Some(place) => place,
            None => tokio::select! {
                place = self.places.take() => place.map_err(|NoneLeft| nothing_ended())?,
                () = self.cancel.cancelled() => return Err(cancelled().into()),
            },
        };
        let (expiry, tags) = self.expiry(1);
        let site = RegionContext { tags: &tags, patience: self.patience(), ..*site };
        let outcome = match before {
            None => start::start(&site, ground, target, image, expiry).await,
            Some(before) => start::start_again(&site, ground, image, expiry, before).await,
        };
        match &outcome {
            Ok(started) => self.remember(target, &started.id, place),
            Err(NotStarted { unclear: true, .. }) => self.places.lose(place),
            Err(_) => {}
        }
        outcome
    }

    /// What was launched and never came up is not tested by anybody, and makes room.
    fn end_lost(self: &Arc<Self>, decided: &[LaunchedTarget]) {
        for lost in decided.iter().filter(|launched| launched.instance.is_err()) {
            let (fleet, target) = (self.clone(), lost.target.clone());
            self.tasks.spawn(async move { fleet.end(&target).await });
        }
    }
}

/// Every place is held by an instance that could not be ended.
fn nothing_ended() -> UndecidedReason {
    let reason = "as many instances as max_parallel allows are there, and EC2 did not end them";
    undecided(UndecidedKind::Cloud, reason)
}

/// A target of which no instance came up.
fn not_launched(target: TargetId, NotStarted { reason, refused, .. }: NotStarted) -> LaunchedTarget {
    LaunchedTarget { target, instance: Err(reason), phases: Vec::new(), refused, started: Clock::now() }
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
async fn source_cidrs(clouds: &dyn CloudFactory, order: &FleetOrder) -> Result<Vec<String>, LaunchError> {
    let launch = &order.launch;
    if has_own_groups(order) {
        return Ok(Vec::new());
    }
    if !launch.source_cidrs.is_empty() {
        return Ok(launch
            .source_cidrs
            .iter()
            .map(|CidrBlock { address, prefix }| format!("{address}/{prefix}"))
            .collect());
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
    match clouds.source_address(private).await {
        Ok(address) => Ok(vec![block(address)]),
        // Where the instance turns out to have a private address only, the one that the internet sees is not needed.
        Err(error) if order.ssh.interface.is_none() => {
            tracing::info!(%error, "the address that the internet sees us from could not be learned");
            Ok(Vec::new())
        }
        Err(error) => Err(LaunchError::SourceUnknown(error)),
    }
}
