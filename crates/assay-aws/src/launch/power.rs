//! An instance made to boot again: reboot, stop, start. It owns the waiting for EC2's states and where the instance is to be dialled afterwards; it refuses to
//! judge what comes back. Nothing is created, so nothing goes into the journal: whatever state an instance is left in, undo ends it.

use std::{future::Future, net::IpAddr, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Fleet, LaunchedTarget,
    patience::{RetryPolicy, jittered},
    target::{of_cloud, undecided},
    wait::address,
};
use crate::cloud::{Cloud, CloudErrorKind, CloudInstance, CloudResult, is_over_the_internet, plain};
use assay_model::{TargetId, UndecidedKind, evidence::UndecidedReason};

impl Fleet {
    /// How long the instance has until it powers itself off, or may be swept.
    pub fn life_left(&self, launched: &LaunchedTarget) -> Duration {
        self.order.launch.ttl.saturating_sub(launched.started.elapsed())
    }

    /// Where the target's instance is to be dialled now, by an address of the same kind as `before`; `None` where EC2 does not say it.
    pub async fn address(&self, target: &TargetId, before: &str) -> Option<String> {
        let id = self.instance_of(target)?;
        let seen = self.clouds.region(target.region()).describe_instances(std::slice::from_ref(&id)).await.ok()?;
        let instance = seen.into_iter().find(|instance| instance.id == id && instance.state == "running")?;
        self.address_like(before, &instance)
    }

    /// What is dialled of `instance`, of the same kind as `before`: without `ssh_interface` a public address that is not shown yet is waited for where one was dialled.
    fn address_like(&self, before: &str, instance: &CloudInstance) -> Option<String> {
        let private = before.parse::<IpAddr>().is_ok_and(|address| !is_over_the_internet(address));
        let chosen = self.order.ssh.interface.is_some() || private;
        if chosen { address(&self.order, instance) } else { instance.public_ip.clone() }
    }

    /// Asks EC2 to reboot the target's instance. It goes on for some seconds before it goes down.
    pub async fn reboot(&self, target: &TargetId, deadline: Instant) -> Result<(), UndecidedReason> {
        let (cloud, id) = self.powered(target)?;
        self.persist(deadline, &[], || cloud.reboot_instance(&id)).await
    }

    /// Stops the target's instance, which was dialled at `before`, and starts it again. Returns the name or address to dial from now on: a public address that is no
    /// Elastic IP is another one.
    pub async fn stop_and_start(
        &self,
        target: &TargetId,
        before: &str,
        deadline: Instant,
    ) -> Result<String, UndecidedReason> {
        let (cloud, id) = self.powered(target)?;
        self.persist(deadline, &[], || cloud.stop_instance(&id)).await?;
        self.await_state(cloud.as_ref(), &id, deadline, |i| (i.state == "stopped").then_some(())).await?;
        // An instance that has only just stopped may refuse for a moment; a host with room may be found a little later.
        let again = [CloudErrorKind::InUse, CloudErrorKind::NoCapacity];
        self.persist(deadline, &again, || cloud.start_instance(&id)).await?;
        let dialable = |i: &CloudInstance| if i.state == "running" { self.address_like(before, i) } else { None };
        self.await_state(cloud.as_ref(), &id, deadline, dialable).await
    }

    fn powered(&self, target: &TargetId) -> Result<(std::sync::Arc<dyn Cloud>, String), UndecidedReason> {
        let gone = || undecided(UndecidedKind::Lost, format!("{target} has no instance"));
        Ok((self.clouds.region(target.region()), self.instance_of(target).ok_or_else(gone)?))
    }

    /// Makes a call until it is answered by something else than silence, throttling, or an error of the kinds in `again`.
    async fn persist<F>(
        &self,
        deadline: Instant,
        again: &[CloudErrorKind],
        call: impl FnMut() -> F,
    ) -> Result<(), UndecidedReason>
    where
        F: Future<Output = CloudResult<()>>,
    {
        let patience = RetryPolicy { deadline, ..self.patience() };
        patience.insist(again, call).await.answer.map_err(|error| of_cloud(&error))
    }

    /// Looks at an instance until `wanted` finds what it wants in EC2's description of it.
    async fn await_state<T>(
        &self,
        cloud: &dyn Cloud,
        id: &str,
        deadline: Instant,
        wanted: impl Fn(&CloudInstance) -> Option<T>,
    ) -> Result<T, UndecidedReason> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{cloud::fake::FakeFault, launch::tests::Bench};

    async fn launched(bench: &Bench) -> (Arc<Fleet>, TargetId, String) {
        let fleet = bench.fleet().await;
        let target = bench.launch(&fleet, &["us-east-1"]).await.remove(0);
        let address = target.instance.expect("running").address;
        (fleet, target.target, address)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn a_start_after_a_stop_is_dialled_at_the_new_address_and_the_end_still_ends_it() {
        let bench = Bench::new();
        bench.cloud.takes(2, 1);
        let (fleet, target, old) = launched(&bench).await;
        // What EC2 throttles, does not answer, or refuses while it is still stopping, is asked again.
        bench.cloud.fault("StopInstances", FakeFault::Refuse(CloudErrorKind::Throttled));
        bench.cloud.fault("StartInstances", FakeFault::Refuse(CloudErrorKind::InUse));
        bench.cloud.fault("StartInstances", FakeFault::Drop);
        let new = fleet.stop_and_start(&target, &old, soon()).await.expect("started");
        assert!(new != old && new.starts_with("203.0.113."), "{old} {new}");
        assert_eq!((bench.cloud.count("StopInstances"), bench.cloud.count("StartInstances")), (2, 3));
        assert_eq!(fleet.address(&target, &old).await.as_ref(), Some(&new));
        // A public address that is not shown yet is waited for where one was dialled before; a private one never becomes public.
        bench.cloud.edit(&crate::launch::tests::region("us-east-1"), |stock| {
            stock.instances.values_mut().for_each(|instance| instance.told.public_ip = None);
        });
        assert_eq!(fleet.address(&target, &old).await, None);
        assert!(fleet.address(&target, "10.0.0.1").await.is_some_and(|address| address.starts_with("10.0.0.")));
        assert!(bench.release(&fleet).await.is_empty());
        assert_eq!(bench.cloud.left(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_ec2_refuses_is_told_once_and_nothing_else_is_called() {
        let bench = Bench::new();
        let (fleet, target, old) = launched(&bench).await;
        bench.cloud.fault("StopInstances", FakeFault::Refuse(CloudErrorKind::Other));
        let reason = fleet.stop_and_start(&target, &old, soon()).await.expect_err("refused");
        assert!(reason.reason.contains("StopInstances"), "{}", reason.reason);
        assert_eq!((bench.cloud.count("StopInstances"), bench.cloud.count("StartInstances")), (1, 0));
        bench.cloud.fault("RebootInstances", FakeFault::Refuse(CloudErrorKind::Denied));
        assert_eq!(fleet.reboot(&target, soon()).await.expect_err("denied").kind, UndecidedKind::Credentials);
        fleet.reboot(&target, soon()).await.expect("rebooted");
        bench.release(&fleet).await;
    }

    #[tokio::test]
    async fn an_instance_that_ends_or_takes_too_long_is_undecided() {
        let bench = Bench::new();
        let (fleet, target, old) = launched(&bench).await;
        bench.cloud.takes(1_000_000, 0);
        let late = fleet.stop_and_start(&target, &old, Instant::now() + Duration::from_millis(50)).await;
        assert_eq!(late.expect_err("late").kind, UndecidedKind::Timeout);
        bench.release(&fleet).await;
        let gone = fleet.reboot(&TargetId { instance_type: Some("t3.large".to_owned()), ..target }, soon()).await;
        assert_eq!(gone.expect_err("no instance").kind, UndecidedKind::Lost);
    }
}
