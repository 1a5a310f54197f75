//! `--repair`: the cloud follows the lock again, one finding at a time. It owns what is mended: tags, protection, deprecation, sharing, parameters. It never
//! launches, never deletes, and never touches the lock.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    finding::{StatusDrift, StatusFinding},
    look::StatusSubject,
    verified::UnverifiedRuns,
};
use assay_aws::{
    cloud::{CloudError, CloudFactory, ImageSharing},
    registry::{self, WantedTags, is_of_another_build},
};
use assay_model::{AmiRef, RunId, lock::Lock};

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RepairReport {
    /// What was changed, in words, with its place.
    pub done: Vec<String>,
    /// What could not be, and why.
    pub failed: Vec<String>,
}

impl RepairReport {
    fn note(&mut self, place: &str, result: Result<String, CloudError>) {
        match result {
            Ok(done) => self.done.push(format!("{place}: {done}")),
            Err(error) => self.failed.push(format!("{place}: {error}")),
        }
    }
}

/// Mends what can be mended of `drift`. What is not mendable is passed over; what is of an unverified run is told, and left.
pub(super) async fn mend(
    factory: &dyn CloudFactory,
    subjects: &[StatusSubject],
    drift: &[StatusDrift],
    unverified: &UnverifiedRuns,
    now: Timestamp,
) -> RepairReport {
    let mut mended = RepairReport::default();
    let mut followed = BTreeSet::new();
    for one in drift.iter().filter(|one| one.finding.is_mendable()) {
        if let Some(why) = unverified.why(one) {
            let run = one.run.map_or(String::new(), |run| format!(", run {run}"));
            let words = format!("image {}{run}: {why}", one.image);
            if !mended.failed.contains(&words) {
                mended.failed.push(words);
            }
            continue;
        }
        let Some(subject) = subjects.iter().find(|subject| subject.lock.image == one.image) else { continue };
        match (&one.finding, &one.ami, &one.region) {
            (StatusFinding::Parameter { name, wanted, .. }, _, Some(region)) => {
                let put = factory.region(region).put_parameter(name, wanted, true).await;
                mended.note(region.as_str(), put.map(|()| format!("parameter {name} is {wanted}")));
            }
            (StatusFinding::SharedBeyond { whom }, Some(ami), _) => {
                let done = factory.region(&ami.region).unshare_image(&ami.id, whom).await;
                mended.note(&ami.to_string(), done.map(|()| "no longer shared beyond distribution".to_owned()));
            }
            (StatusFinding::NotShared { whom }, Some(ami), _) => {
                let done = share(factory, &subject.lock, ami, whom).await;
                mended.note(&ami.to_string(), done.map(|()| "shared as distribution says".to_owned()));
            }
            // The rest is one walk over the AMI.
            (_, Some(ami), _) if followed.insert(ami.clone()) => {
                let Some(run) = one.run else { continue };
                follow(factory, &subject.lock, run, ami, now, &mut mended).await;
            }
            _ => {}
        }
    }
    mended
}

async fn share(factory: &dyn CloudFactory, lock: &Lock, ami: &AmiRef, whom: &ImageSharing) -> Result<(), CloudError> {
    let cloud = factory.region(&ami.region);
    let snapshots = lock.gold.map(|gold| lock.amis(gold)).unwrap_or_default();
    let Some(record) = snapshots.into_iter().find(|record| record.ami == *ami) else {
        return cloud.share_image(&ami.id, whom).await;
    };
    // As promotion does: whoever may launch the AMI can then copy it too.
    let described = cloud.describe_snapshots(&record.snapshots).await?;
    let foreign =
        |id: &String| described.iter().any(|one| one.id == *id && is_of_another_build(one, &record.created_at));
    for snapshot in record.snapshots.iter().filter(|id| !foreign(id)) {
        cloud.share_snapshot(snapshot, &whom.users).await?;
    }
    cloud.share_image(&ami.id, whom).await
}

async fn follow(
    factory: &dyn CloudFactory,
    lock: &Lock,
    run: RunId,
    ami: &AmiRef,
    now: Timestamp,
    mended: &mut RepairReport,
) {
    let record = lock.amis(run).into_iter().find(|record| record.ami == *ami);
    let (Some(record), Some(wanted)) = (record, WantedTags::of(lock, run, now)) else { return };
    let repaired = registry::repair(factory, &record, &wanted, now).await;
    mended.done.extend(repaired.changed.iter().map(|done| format!("{ami}: {done}")));
    mended.failed.extend(repaired.problem.iter().map(|problem| format!("{ami}: {problem}")));
}
