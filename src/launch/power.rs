//! An instance made to boot again: reboot, stop, start. It owns the waiting for EC2's states and where the instance is to be dialled afterwards; it refuses to
//! judge what comes back. Nothing is created, so nothing goes into the journal: whatever state an instance is left in, undo ends it.

use std::{future::Future, time::Duration};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::{
    Fleet,
    patience::jittered,
    target::{of_cloud, undecided},
    wait::address,
};
use crate::{
    cloud::{Cloud, CloudErrorKind, CloudResult, Instance, plain},
    model::{TargetId, UndecidedKind, evidence::Undecided},
};

impl Fleet {
    /// How long the target's instance has until it powers itself off; none where there is no instance.
    pub fn life_left(&self, target: &TargetId) -> Duration {
        let left = self.expires_at(target).unwrap_or(0).saturating_sub(Timestamp::now().as_second());
        Duration::from_secs(u64::try_from(left).unwrap_or(0))
    }

    /// EC2's word for the state of the target's instance; `None` where it cannot be had.
    pub async fn state(&self, target: &TargetId) -> Option<String> {
        let id = self.instance_of(target)?;
        let seen = self.clouds.region(target.region()).describe_instances(std::slice::from_ref(&id)).await.ok()?;
        seen.into_iter().find(|instance| instance.id == id).map(|instance| instance.state)
    }

    /// Asks EC2 to reboot the target's instance. It goes on for some seconds before it goes down.
    pub async fn reboot(&self, target: &TargetId, deadline: Instant) -> Result<(), Undecided> {
        let (cloud, id) = self.powered(target)?;
        let again = [CloudErrorKind::Throttled, CloudErrorKind::Unknown];
        self.persist(deadline, &again, || cloud.reboot_instance(&id)).await
    }

    /// Stops the target's instance and starts it again. Returns the name or address to dial from now on: a public address that is no Elastic IP is another one.
    pub async fn stop_and_start(&self, target: &TargetId, deadline: Instant) -> Result<String, Undecided> {
        let (cloud, id) = self.powered(target)?;
        let again = [CloudErrorKind::Throttled, CloudErrorKind::Unknown];
        self.persist(deadline, &again, || cloud.stop_instance(&id)).await?;
        self.await_state(cloud.as_ref(), &id, deadline, |i| (i.state == "stopped").then_some(())).await?;
        // An instance that has only just stopped may refuse for a moment; a host with room may be found a little later.
        let again =
            [CloudErrorKind::Throttled, CloudErrorKind::Unknown, CloudErrorKind::InUse, CloudErrorKind::NoCapacity];
        self.persist(deadline, &again, || cloud.start_instance(&id)).await?;
        let dialable = |i: &Instance| if i.state == "running" { address(&self.order, i) } else { None };
        self.await_state(cloud.as_ref(), &id, deadline, dialable).await
    }

    fn powered(&self, target: &TargetId) -> Result<(std::sync::Arc<dyn Cloud>, String), Undecided> {
        let gone = || undecided(UndecidedKind::Lost, format!("{target} has no instance"));
        Ok((self.clouds.region(target.region()), self.instance_of(target).ok_or_else(gone)?))
    }

    /// Makes a call until it is answered by something else than an error of the kinds in `again`, with growing pauses, until the deadline.
    async fn persist<F>(
        &self,
        deadline: Instant,
        again: &[CloudErrorKind],
        mut call: impl FnMut() -> F,
    ) -> Result<(), Undecided>
    where
        F: Future<Output = CloudResult<()>>,
    {
        let mut pause = self.pace.first_pause;
        loop {
            let Err(error) = call().await else { return Ok(()) };
            if !again.contains(&error.kind) || Instant::now() + pause >= deadline {
                return Err(of_cloud(&error));
            }
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(self.pace.longest_pause);
        }
    }

    /// Looks at an instance until `wanted` finds what it wants in EC2's description of it.
    async fn await_state<T>(
        &self,
        cloud: &dyn Cloud,
        id: &str,
        deadline: Instant,
        wanted: impl Fn(&Instance) -> Option<T>,
    ) -> Result<T, Undecided> {
        let ids = [id.to_owned()];
        let (mut pause, mut last) = (self.pace.first_look, "not listed".to_owned());
        loop {
            match cloud.describe_instances(&ids).await {
                Ok(seen) => {
                    if let Some(instance) = seen.iter().find(|i| i.id == id) {
                        if let Some(found) = wanted(instance) {
                            return Ok(found);
                        }
                        last = plain(&instance.state);
                        if matches!(instance.state.as_str(), "terminated" | "shutting-down") {
                            let why = instance.state_reason.as_deref().unwrap_or("EC2 gives no reason");
                            return Err(undecided(UndecidedKind::Lost, format!("{id} is {last}: {}", plain(why))));
                        }
                    }
                }
                Err(error) if error.kind.may_pass() => last = error.to_string(),
                Err(error) => return Err(of_cloud(&error)),
            }
            if Instant::now() + pause >= deadline {
                return Err(undecided(UndecidedKind::Timeout, format!("{id} did not get there in time; last: {last}")));
            }
            sleep(jittered(pause)).await;
            pause = pause.mul_f64(1.4).min(self.pace.longest_look);
        }
    }
}
