//! What EC2 says of an instance that did not answer, or not as it should. It owns the question whether that may be something else's fault than its image's; it refuses to
//! judge the image.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Fleet, patience::RetryPolicy};
use crate::cloud::{Cloud, CloudErrorKind, CloudInstance, InstanceStatus, plain};
use assay_model::TargetId;

/// How long EC2 may take to say it.
const PATIENCE: Duration = Duration::from_secs(30);

impl Fleet {
    /// What may be wrong with the target's instance beside its image, in words: it does not run, AWS says that the machine below it is ill or to be taken away, or EC2
    /// does not say how it is. `None`: EC2 says that all is well.
    pub async fn trouble(&self, target: &TargetId) -> Option<String> {
        let Some(id) = self.instance_of(target) else { return Some("it has no instance".to_owned()) };
        let cloud = self.clouds.region(target.region());
        let patience = RetryPolicy { deadline: Instant::now() + PATIENCE, ..self.patience() };
        let ids = [id.clone()];
        let seen = match patience.insist(&[], || cloud.describe_instances(&ids)).await.answer {
            Ok(seen) => seen.into_iter().find(|instance| instance.id == id),
            Err(error) => return Some(format!("EC2 does not say how {id} is: {error}")),
        };
        match seen {
            Some(instance) if instance.state == "running" => below(cloud.as_ref(), &id, patience).await,
            Some(instance) => Some(fate(&instance)),
            None => Some(format!("EC2 does not list {id}")),
        }
    }
}

/// What became of an instance that does not run.
pub(super) fn fate(instance: &CloudInstance) -> String {
    let why = instance.state_reason.as_deref().unwrap_or("EC2 gives no reason");
    format!("{} is {}: {}", instance.id, plain(&instance.state), plain(why))
}

/// What is wrong with the machine below the instance.
async fn below(cloud: &dyn Cloud, id: &str, patience: RetryPolicy<'_>) -> Option<String> {
    match patience.insist(&[], || cloud.instance_status(id)).await.answer {
        Ok(status) => status.and_then(|status| ill(id, &status, Timestamp::now().as_second())),
        // A role of before may not ask this, and an endpoint that stands in for EC2 may not know it.
        Err(error)
            if matches!(error.kind, CloudErrorKind::Denied | CloudErrorKind::Invalid | CloudErrorKind::Other) =>
        {
            tracing::info!(%error, "the status of the machine below an instance could not be asked");
            None
        }
        Err(error) => Some(format!("EC2 does not say how the machine below {id} is: {error}")),
    }
}

fn ill(id: &str, status: &InstanceStatus, now: i64) -> Option<String> {
    if status.system == "impaired" {
        return Some(format!("EC2 says that the machine below {id} is impaired"));
    }
    let due = status.planned.iter().find(|(_, at)| at.is_none_or(|at| at <= now));
    due.map(|(what, _)| format!("AWS has planned {} for {id}, and it is due", plain(what)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cloud::fake::FakeFault, launch::tests::Bench};

    #[test]
    fn only_what_is_due_or_ill_counts() {
        let status = |system: &str, planned: &[(&str, Option<i64>)]| InstanceStatus {
            system: system.to_owned(),
            planned: planned.iter().map(|(what, at)| ((*what).to_owned(), *at)).collect(),
        };
        for (status, wrong) in [
            (status("ok", &[]), false),
            (status("initializing", &[]), false),
            (status("", &[]), false),
            (status("impaired", &[]), true),
            (status("ok", &[("instance-retirement", Some(1001))]), false),
            (status("ok", &[("instance-retirement", Some(1000))]), true),
            (status("ok", &[("system-reboot", None)]), true),
        ] {
            assert_eq!(ill("i-1", &status, 1000).is_some(), wrong, "{status:?}");
        }
    }

    #[tokio::test]
    async fn an_instance_that_runs_on_a_machine_that_is_well_gives_no_doubt() {
        let bench = Bench::new();
        let fleet = bench.fleet().await;
        let target = bench.launch(&fleet, &["us-east-1"]).await.remove(0).target;
        assert_eq!(fleet.trouble(&target).await, None);
        bench.cloud.fault("DescribeInstanceStatus", FakeFault::Refuse(CloudErrorKind::Denied));
        assert_eq!(fleet.trouble(&target).await, None, "a role of before");
        bench.cloud.fault("DescribeInstances", FakeFault::Drop);
        assert_eq!(fleet.trouble(&target).await, None, "silence is asked again");
        bench.cloud.set_status(InstanceStatus { system: "impaired".to_owned(), planned: Vec::new() });
        assert!(fleet.trouble(&target).await.expect("ill").contains("impaired"));
        bench.cloud.fault("DescribeInstances", FakeFault::Refuse(CloudErrorKind::Credentials));
        assert!(fleet.trouble(&target).await.expect("unknown").contains("does not say"));
        fleet.end(&target).await;
        assert!(fleet.trouble(&target).await.expect("it ends").contains("is terminated"));
        bench.release(&fleet).await;
    }
}
