//! From launched to dialable: one DescribeInstances per region and look for all that are waited for. It owns which address is dialled and
//! when waiting ends; it never waits for status checks, and a failed look is only a failed look.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant as Clock},
};

use super::{
    FleetOrder, LaunchedTarget, RunningInstance,
    ground::RegionContext,
    patience::{PollPace, jittered},
    start::{LateRefusal, StartedLaunch, phase},
    target::{of_cloud, undecided},
};
use crate::cloud::{CapacityShortfall, CloudError, CloudErrorKind, CloudInstance, plain};
use assay_config::SshInterface;
use assay_model::{UndecidedKind, evidence::UndecidedReason};

/// The instances of one region that have no address yet.
pub(super) struct AddressWait {
    started: Vec<StartedLaunch>,
    pace: PollPace,
    interval: Duration,
    last_error: Option<CloudError>,
}

impl AddressWait {
    pub(super) fn new(pace: PollPace) -> Self {
        Self { started: Vec::new(), pace, interval: pace.first_look, last_error: None }
    }

    pub(super) fn add(&mut self, started: StartedLaunch) {
        self.started.push(started);
        self.interval = self.pace.first_look;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.started.is_empty()
    }

    /// The pause before the next look: short at first, growing, longer while EC2 throttles.
    pub(super) fn interval(&self) -> Duration {
        jittered(self.interval)
    }

    /// Gives up on all of them, for one reason.
    pub(super) fn give_up(&mut self, reason: &UndecidedReason) -> Vec<LaunchedTarget> {
        self.started.drain(..).map(|started| ended(started, reason.clone())).collect()
    }

    /// Looks once. Returns those that are decided: dialable, ended, or out of time; and those that EC2 had no room for after all.
    pub(super) async fn look(&mut self, site: &RegionContext<'_>) -> (Vec<LaunchedTarget>, Vec<LateRefusal>) {
        let ids: Vec<String> = self.started.iter().map(|started| started.id.clone()).collect();
        let seen = match site.cloud.describe_instances(&ids).await {
            Ok(seen) => {
                self.interval = self.interval.mul_f64(1.4).min(self.pace.longest_look);
                self.last_error = None;
                seen
            }
            Err(error) => {
                let throttled = error.kind == CloudErrorKind::Throttled;
                let longest = if throttled { self.pace.longest_throttled } else { self.pace.longest_look };
                self.interval = (self.interval * 2).min(longest);
                self.last_error = Some(error);
                Vec::new()
            }
        };
        let seen: BTreeMap<String, CloudInstance> = seen.into_iter().map(|i| (i.id.clone(), i)).collect();
        let (mut decided, mut again) = (Vec::new(), Vec::new());
        for started in std::mem::take(&mut self.started) {
            let seen = seen.get(&started.id);
            if let Some((lack, reason)) = seen.and_then(no_room_after_all) {
                again.push(LateRefusal { started, lack, reason });
                continue;
            }
            match self.judge(site, &started, seen) {
                Some(Ok(running)) => decided.push(handed_over(started, running)),
                Some(Err(reason)) => decided.push(ended(started, reason)),
                None => self.started.push(started),
            }
        }
        (decided, again)
    }

    /// `None`: not yet.
    fn judge(
        &self,
        site: &RegionContext<'_>,
        started: &StartedLaunch,
        seen: Option<&CloudInstance>,
    ) -> Option<Result<RunningInstance, UndecidedReason>> {
        if let Some(instance) = seen {
            note_volumes(site, instance);
            match instance.state.as_str() {
                "running" => {
                    if let Some(address) = address(site.order, instance) {
                        return Some(Ok(RunningInstance {
                            id: started.id.clone(),
                            instance_type: started.instance_type.clone(),
                            availability_zone: instance.availability_zone.clone(),
                            address,
                            port: site.order.ssh.port,
                            host_key: started.host_key.clone(),
                        }));
                    }
                }
                "pending" => {}
                state => return Some(Err(lost(&started.id, state, instance))),
            }
        }
        (Clock::now() >= started.began + site.order.ssh.timeout).then(|| Err(self.too_late(site, started, seen)))
    }

    fn too_late(
        &self,
        site: &RegionContext<'_>,
        started: &StartedLaunch,
        seen: Option<&CloudInstance>,
    ) -> UndecidedReason {
        if let Some(error) = &self.last_error {
            return of_cloud(error);
        }
        let id = &started.id;
        match seen.map(|instance| instance.state.as_str()) {
            Some("running") => {
                let wanted = site.order.ssh.interface.map_or("address", interface_name);
                let reason = format!(
                    "{id} runs but has no {wanted}: set associate_public_ip_address, or ssh_interface to one that it has"
                );
                undecided(UndecidedKind::Unreachable, reason)
            }
            Some(state) => {
                undecided(UndecidedKind::Timeout, format!("{id} was still {} after ssh_timeout", plain(state)))
            }
            None => undecided(UndecidedKind::Timeout, format!("{id} was never listed within ssh_timeout")),
        }
    }
}

fn note_volumes(site: &RegionContext<'_>, instance: &CloudInstance) {
    for volume in &instance.volumes {
        if let Err(error) = site.journal.observe_volume(site.cloud.region(), volume) {
            tracing::warn!(%error, volume, "the journal could not be written");
        }
    }
}

/// EC2 accepted it, and ended it before it ran, for lack of room.
fn no_room_after_all(instance: &CloudInstance) -> Option<(CapacityShortfall, String)> {
    let ending = matches!(instance.state.as_str(), "terminated" | "shutting-down");
    let code = instance.state_reason_code.as_deref().filter(|_| ending)?;
    let words = instance.state_reason.as_deref().unwrap_or(code);
    Some((CapacityShortfall::of_state_reason(code)?, plain(words)))
}

/// It ended before it was ever reached; EC2 says why.
fn lost(id: &str, state: &str, instance: &CloudInstance) -> UndecidedReason {
    let why = instance.state_reason.as_deref().unwrap_or("EC2 gives no reason");
    let hint = match instance.state_reason_code.as_deref() {
        // EC2 says no more than this of a key that it may not use ("Troubleshoot instance launch issues" in the EC2 user guide).
        Some("Client.InternalError") => "; where the AMI is encrypted, may this role use the key of its snapshots?",
        Some("Client.VolumeLimitExceeded") => "; the account has no room for more volumes in this region",
        _ => "",
    };
    undecided(UndecidedKind::Lost, format!("{id} is {} instead of running: {}{hint}", plain(state), plain(why)))
}

/// What is dialled. Without `ssh_interface`: the public address, else the private one, as packer-plugin-amazon does; where a public
/// address was asked for, it is waited for.
pub(super) fn address(order: &FleetOrder, instance: &CloudInstance) -> Option<String> {
    match order.ssh.interface {
        Some(SshInterface::PublicIp) => instance.public_ip.clone(),
        Some(SshInterface::PrivateIp) => instance.private_ip.clone(),
        Some(SshInterface::PublicDns) => instance.public_dns.clone(),
        Some(SshInterface::PrivateDns) => instance.private_dns.clone(),
        Some(SshInterface::Ipv6) => instance.ipv6.clone(),
        None if order.launch.associate_public_ip_address == Some(true) => instance.public_ip.clone(),
        None => instance.public_ip.clone().or_else(|| instance.private_ip.clone()),
    }
}

fn interface_name(interface: SshInterface) -> &'static str {
    match interface {
        SshInterface::PublicIp => "public_ip",
        SshInterface::PrivateIp => "private_ip",
        SshInterface::PublicDns => "public_dns",
        SshInterface::PrivateDns => "private_dns",
        SshInterface::Ipv6 => "ipv6",
    }
}

fn handed_over(mut started: StartedLaunch, running: RunningInstance) -> LaunchedTarget {
    started.phases.push(phase("running", started.launched, Clock::now()));
    decided(started, Ok(running))
}

fn ended(started: StartedLaunch, reason: UndecidedReason) -> LaunchedTarget {
    decided(started, Err(reason))
}

fn decided(started: StartedLaunch, instance: Result<RunningInstance, UndecidedReason>) -> LaunchedTarget {
    let StartedLaunch { target, phases, refused, began, .. } = started;
    LaunchedTarget { target, instance, phases, refused, started: began }
}
