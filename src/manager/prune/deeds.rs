//! Doing it: one AMI at a time, its tags read again right before each deed. It owns the order deprecate → disable → mark the snapshots → lift our protection →
//! deregister → delete the snapshots, and that a deed which cannot be proven any more is left undone: of an AMI's snapshots only those go that the build made.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{
    latest::LatestRecord,
    look::{PruneContext, PrunePlan},
    record::RecordedImages,
    subject::{PruneAction, PruneSubject, snapshots},
};
use assay_aws::cloud::{Cloud, CloudError, CloudErrorKind, CloudImage, CloudResult, ImageUses, SharedWith};
use assay_model::{AmiId, AmiRef, ImageState, Region, tags};

/// EC2 takes no deprecation in the past and rounds to the minute.
const AHEAD: SignedDuration = SignedDuration::from_mins(2);
/// A snapshot that began longer than this before its AMI was made is no part of the build: the template mapped one that was there.
const BUILD_TIME: SignedDuration = SignedDuration::from_hours(24);

/// What became of one AMI or orphaned snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeletionOutcome {
    /// Done, in words.
    Done(String),
    /// Left as it is for a reason that was not there when it was looked at first.
    Kept(String),
    /// Left as it is, since something about it could not be learned any more.
    Unknown(String),
    /// It could not be done.
    Failed(String),
}

/// Does what the plan says, as far as it still holds. The outcomes by AMI and by orphaned snapshot (`REGION:ID`).
pub(super) async fn execute(
    ground: &PruneContext<'_>,
    plan: &PrunePlan,
    cancel: &CancellationToken,
) -> BTreeMap<String, DeletionOutcome> {
    let mut outcomes = BTreeMap::new();
    let regions: BTreeSet<&Region> = ground.regions.iter().collect();
    for region in regions {
        let cloud = ground.factory.region(region);
        let hands = RegionDeleter {
            cloud: &*cloud,
            branch: ground.branch,
            now: ground.now,
            record: ground.record,
            shared: Mutex::default(),
        };
        let here: Vec<&PruneSubject> = plan.subjects.iter().filter(|subject| subject.ami.region == *region).collect();
        hands.retire(&here, cancel, &mut outcomes).await;
        hands.delete(&here, cancel, &mut outcomes).await;
        for (_, snapshot) in plan.orphans.iter().filter(|(at, _)| at == region) {
            if !cancel.is_cancelled() {
                outcomes.insert(format!("{region}:{snapshot}"), hands.delete_snapshot(snapshot, None).await.into());
            }
        }
    }
    outcomes
}

/// One region.
struct RegionDeleter<'a> {
    cloud: &'a dyn Cloud,
    branch: &'a dyn LatestRecord,
    now: Timestamp,
    record: &'a RecordedImages,
    /// Whom the AMIs were shared with that were disabled here: EC2 takes that away with the disabling, and does not give it back ("Disable an AMI" in the EC2 user guide).
    shared: Mutex<BTreeMap<AmiId, CloudResult<SharedWith>>>,
}

/// Why a deed was not done.
enum DeletionStop {
    Kept(String),
    Unknown(String),
    Denied(String),
    Failed(String),
}

impl From<CloudError> for DeletionStop {
    fn from(error: CloudError) -> Self {
        match error.kind {
            CloudErrorKind::Denied => Self::Denied(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl DeletionStop {
    /// The sweeper's policy lets no vetted AMI go, since only the lock knows whether it may still become gold: that EC2 refuses one is as it should be.
    fn about(self, subject: &PruneSubject) -> Self {
        let vetted = subject.image.tags.get(tags::STATE).is_some_and(|state| state == ImageState::Vetted.as_str());
        match self {
            Self::Denied(words) if vetted => {
                Self::Kept(format!("vetted, and this role may not touch it; assay retire lets it go: {words}"))
            }
            other => other,
        }
    }
}

impl From<Result<String, DeletionStop>> for DeletionOutcome {
    fn from(result: Result<String, DeletionStop>) -> Self {
        match result {
            Ok(words) => Self::Done(words),
            Err(DeletionStop::Kept(words)) => Self::Kept(words),
            Err(DeletionStop::Unknown(words)) => Self::Unknown(words),
            Err(DeletionStop::Denied(words) | DeletionStop::Failed(words)) => Self::Failed(words),
        }
    }
}

fn name(ami: &AmiRef) -> String {
    ami.to_string()
}

/// Why an AMI is not deleted after all: somebody uses it, or may.
fn in_use(uses: &CloudResult<ImageUses>, id: &AmiId) -> Option<DeletionStop> {
    let uses = match uses {
        Ok(uses) => uses,
        Err(error) => return Some(DeletionStop::Unknown(format!("who uses it is not known any more: {error}"))),
    };
    let used = uses.found.get(id).and_then(|found| found.first());
    let used = used.map(|one| DeletionStop::Kept(format!("in use meanwhile by {one}")));
    used.or_else(|| {
        uses.unknown.first().map(|one| DeletionStop::Unknown(format!("in use meanwhile, or possibly so, by {one}")))
    })
}

impl RegionDeleter<'_> {
    /// Deprecates and disables what is past retention: also what is to be deleted at once, so that nobody launches it in between.
    async fn retire(
        &self,
        here: &[&PruneSubject],
        cancel: &CancellationToken,
        outcomes: &mut BTreeMap<String, DeletionOutcome>,
    ) {
        for subject in here {
            let action = subject.decided();
            let first = action == PruneAction::Delete && subject.image.state == "available";
            if cancel.is_cancelled() || !(first || matches!(action, PruneAction::Deprecate | PruneAction::Disable)) {
                continue;
            }
            let outcome = self.retire_one(subject, &action).await.map_err(|stop| stop.about(subject)).into();
            if !first || !matches!(outcome, DeletionOutcome::Done(_)) {
                outcomes.insert(name(&subject.ami), outcome);
            }
        }
    }

    async fn retire_one(&self, subject: &PruneSubject, action: &PruneAction) -> Result<String, DeletionStop> {
        self.unchanged(subject).await?;
        let at = self.now.checked_add(AHEAD).unwrap_or(self.now);
        let id = &subject.ami.id;
        self.cloud.deprecate_image(id, &at.to_string()).await?;
        if *action == PruneAction::Deprecate {
            return Ok("deprecated".to_owned());
        }
        if subject.image.state != "disabled" {
            if *action == PruneAction::Delete {
                let shared = self.cloud.image_sharing(id).await;
                self.shared.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), shared);
            }
            self.cloud.disable_image(id).await?;
        }
        Ok("deprecated and disabled".to_owned())
    }

    /// Deletes what has waited long enough, unless somebody uses it after all.
    async fn delete(
        &self,
        here: &[&PruneSubject],
        cancel: &CancellationToken,
        outcomes: &mut BTreeMap<String, DeletionOutcome>,
    ) {
        let due: Vec<&&PruneSubject> = here
            .iter()
            .filter(|subject| subject.decided() == PruneAction::Delete && !outcomes.contains_key(&name(&subject.ami)))
            .collect();
        let ids: Vec<AmiId> = due.iter().map(|subject| subject.ami.id.clone()).collect();
        if ids.is_empty() || cancel.is_cancelled() {
            return;
        }
        let uses = self.cloud.uses_of_images(&ids).await;
        for subject in due {
            if cancel.is_cancelled() {
                return;
            }
            let outcome = match in_use(&uses, &subject.ami.id) {
                None => self.delete_one(subject).await.map_err(|stop| stop.about(subject)).into(),
                Some(why) => self.bring_back(subject, why).await.into(),
            };
            outcomes.insert(name(&subject.ami), outcome);
        }
    }

    /// Undoes the disabling that this very prune did, and what EC2 did with it.
    async fn bring_back(&self, subject: &PruneSubject, why: DeletionStop) -> Result<String, DeletionStop> {
        if subject.image.state == "available" {
            let id = &subject.ami.id;
            self.cloud.enable_image(id).await?;
            self.cloud.cancel_deprecation(id).await?;
            let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
            self.share_again(id, shared).await?;
        }
        Err(why)
    }

    async fn share_again(&self, id: &AmiId, shared: Option<CloudResult<SharedWith>>) -> Result<(), DeletionStop> {
        let lost = |error: CloudError| {
            DeletionStop::Failed(format!(
                "it is in use, and enabled again, but whom it was shared with before is lost: {error}"
            ))
        };
        let shared = match shared {
            None => return Ok(()),
            Some(shared) => shared.map_err(lost)?,
        };
        if !shared.sharing.is_empty() {
            self.cloud.share_image(id, &shared.sharing).await.map_err(|error| {
                let with = [&shared.sharing.org_arns[..], &shared.sharing.ou_arns[..]].concat();
                let users = shared.sharing.users.iter().map(ToString::to_string);
                let with = users.chain(with).collect::<Vec<_>>().join(", ");
                DeletionStop::Failed(format!("it is in use, and enabled again; share it again with {with}: {error}"))
            })?;
        }
        if shared.public {
            return Err(DeletionStop::Failed(
                "it is in use, and enabled again; it was public, and is not any more".to_owned(),
            ));
        }
        Ok(())
    }

    async fn delete_one(&self, subject: &PruneSubject) -> Result<String, DeletionStop> {
        let id = &subject.ami.id;
        let image = self.unchanged(subject).await?;
        if image.state != "disabled" {
            return Err(DeletionStop::Kept(format!("not disabled any more: EC2 says that it is {}", image.state)));
        }
        let ids: Vec<String> = snapshots(&image).into_iter().collect();
        let spared = self.spared_snapshots(subject, &ids).await?;
        let ours: Vec<String> = ids.iter().filter(|id| !spared.contains_key(*id)).cloned().collect();
        if !ours.is_empty() {
            // Should this end in between, the next prune finds by this mark what is left to be deleted.
            let mark = BTreeMap::from([(tags::PRUNED.to_owned(), id.to_string())]);
            self.cloud.create_tags(&ours, &mark).await?;
        }
        if image.deregistration_protected {
            if !subject.is_protected_by_assay() {
                return Err(DeletionStop::Kept(
                    "protected from deregistration, and not by assay as far as can be told".to_owned(),
                ));
            }
            self.cloud.disable_deregistration_protection(id).await?;
        }
        self.deregister(id).await?;
        let mut words = vec!["deregistered".to_owned()];
        for snapshot in &ids {
            if let Some(why) = spared.get(snapshot) {
                words.push(format!("snapshot {snapshot} kept: {why}"));
                continue;
            }
            words.push(self.delete_snapshot(snapshot, Some(id)).await?);
        }
        Ok(words.join(", "))
    }

    async fn deregister(&self, id: &AmiId) -> Result<(), DeletionStop> {
        match self.cloud.deregister_image(id).await {
            // A lost answer may be a done call: only the list can say.
            Err(error) if error.kind == CloudErrorKind::Unknown => match self.described(id).await? {
                None => Ok(()),
                Some(_) => Err(error.into()),
            },
            other => Ok(other?),
        }
    }

    /// Deletes a snapshot that no AMI holds. An AMI that was deregistered goes on being listed for a while: `gone`, whose deregistration EC2 has answered, holds
    /// nothing. EC2 itself refuses to delete what an AMI holds.
    async fn delete_snapshot(&self, id: &str, gone: Option<&AmiId>) -> Result<String, DeletionStop> {
        let holders = self.cloud.images_of_snapshot(id).await?;
        if let Some(holder) = holders.iter().find(|holder| Some(&holder.id) != gone) {
            return Ok(format!("snapshot {id} left: {} holds it", holder.id));
        }
        match self.cloud.delete_snapshot(id).await {
            Ok(()) => Ok(format!("{id} deleted")),
            Err(error) if error.kind == CloudErrorKind::NotFound => Ok(format!("{id} deleted")),
            Err(error) => Err(DeletionStop::Failed(format!("snapshot {id} is still there: {error}"))),
        }
    }

    /// The AMI's snapshots that stay, and why. Those go that git records of it, or that carry its run, where their age says that the build made them: a
    /// template may map a snapshot that was there long before, and stamping has tagged that one like the others.
    async fn spared_snapshots(
        &self,
        subject: &PruneSubject,
        ids: &[String],
    ) -> CloudResult<BTreeMap<String, &'static str>> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let known = self.cloud.describe_tags(ids).await?;
        let described = self.cloud.describe_snapshots(ids).await?;
        let began: BTreeMap<&str, i64> =
            described.iter().filter_map(|one| Some((one.id.as_str(), one.started_at?))).collect();
        let claim = subject.claim.as_ref().ok();
        let oldest = claim.and_then(|claim| claim.made_at.checked_sub(BUILD_TIME).ok()).map(Timestamp::as_second);
        let recorded = claim.is_some_and(|claim| claim.recorded);
        let run = subject.image.tags.get(tags::RUN);
        let why = |id: &String| {
            let ours = recorded || known.get(id).and_then(|tags| tags.get(tags::RUN)) == run;
            match began.get(id.as_str()).zip(oldest) {
                _ if !ours => Some("it does not carry this run's tags"),
                None => Some("it is not known when it was made, so it may be older than the build"),
                Some((began, oldest)) if *began < oldest => Some("older than the AMI, so the build did not make it"),
                Some(_) => None,
            }
        };
        Ok(ids.iter().filter_map(|id| Some((id.clone(), why(id)?))).collect())
    }

    /// The AMI as it is now, if it is still what was looked at, and git still says what it said.
    async fn unchanged(&self, subject: &PruneSubject) -> Result<CloudImage, DeletionStop> {
        let Some(now) = self.described(&subject.ami.id).await? else {
            return Err(DeletionStop::Kept("gone meanwhile".to_owned()));
        };
        let before = &subject.image;
        let same = now.tags == before.tags
            && now.name == before.name
            && now.owner == before.owner
            && now.created_at == before.created_at
            && snapshots(&now) == snapshots(before)
            && now.deregistration_protected == before.deregistration_protected;
        if !same {
            return Err(DeletionStop::Kept("changed since it was looked at; run prune again".to_owned()));
        }
        self.unmoved(subject).await?;
        Ok(now)
    }

    /// Whether the protected branch still lets it go: tags follow a push, so they may not say yet what it moved.
    async fn unmoved(&self, subject: &PruneSubject) -> Result<(), DeletionStop> {
        let record = self.branch.latest().await.map_err(|why| {
            DeletionStop::Unknown(format!("what the protected branch says is not known any more: {why}"))
        })?;
        let id = &subject.ami.id;
        if record.living_parents().contains_key(id) && !self.record.living_parents().contains_key(id) {
            return Err(DeletionStop::Kept("by now git calls an AMI gold or vetted that was built on it".to_owned()));
        }
        let Ok(claim) = &subject.claim else { return Ok(()) };
        let moved = record.state(&claim.image, claim.run).is_some_and(|state| Some(state) != claim.state);
        let named = record.gold_of(id).is_some() || record.must_stay(&claim.image, claim.run, self.now);
        if moved || named {
            return Err(DeletionStop::Kept(
                "the protected branch moved it since it was looked at; run prune again".to_owned(),
            ));
        }
        match record.unaccounted(&subject.ami, Some(&claim.image), Some(claim.run)) {
            Some(why) => Err(DeletionStop::Kept(why)),
            None => Ok(()),
        }
    }

    async fn described(&self, id: &AmiId) -> CloudResult<Option<CloudImage>> {
        match self.cloud.describe_images(std::slice::from_ref(id)).await {
            Ok(found) => Ok(found.into_iter().find(|image| image.id == *id)),
            Err(error) if error.kind == CloudErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
