//! The registry follows the lock: what a run's AMIs should carry, where they differ, and putting that right. It owns tags, protection, deprecation and the end
//! of sharing as the lock's state asks for them; it refuses to believe a tag over the lock, and to touch AMIs that the lock does not name.

use std::collections::BTreeMap;

use futures::future::join_all;
use jiff::{Timestamp, ToSpan as _};

use super::{READ_BACK, ReadBack, StampError, first_difference, resources};
use crate::cloud::{Cloud, CloudError, CloudErrorKind, CloudFactory, CloudImage};
use assay_model::{
    AmiRecord, AmiRef, ImageState, RunId,
    lock::{Lock, LockEntry},
    tags,
};

/// The word in [`tags::PROTECTED_BY`] for a protection of ours.
const OURS: &str = "assay";
/// The word after ours was lifted: tags are overwritten, never deleted.
const LIFTED: &str = "nobody";

/// What the lock asks of every AMI of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedTags {
    /// The run's state.
    pub state: ImageState,
    /// See [`wanted_tags`].
    pub tags: BTreeMap<String, String>,
    /// For a revoked run: from when on it must not be used.
    pub revoked_at: Option<Timestamp>,
    /// For a revoked run: whether that time has come.
    pub revoked: bool,
    /// Times that revocations of this run named before, to the minute: a deprecation at one of them is ours.
    pub announced: Vec<Timestamp>,
}

impl WantedTags {
    /// What `lock` asks at `now`; `None`: the run is not in the lock.
    pub fn of(lock: &Lock, run: RunId, now: Timestamp) -> Option<Self> {
        let last = lock.last(run)?;
        let due = last.effective_at.as_deref().unwrap_or(&last.at).parse().ok();
        Some(Self {
            state: last.state,
            tags: wanted_tags(lock, run)?,
            revoked_at: due.filter(|_| last.state == ImageState::Revoked),
            revoked: lock.is_revoked(run, now),
            announced: lock
                .entries
                .iter()
                .filter(|entry| entry.run == run)
                .filter_map(|entry| entry.effective_at.as_deref()?.parse().ok())
                .map(minute)
                .collect(),
        })
    }

    /// Whether the deprecation of an AMI is another one than the revocation at `due` asks for. One that is too early is assay's to change only where an earlier
    /// announcement made it: somebody else's own stays.
    pub fn misses(&self, deprecated: Option<Timestamp>, due: Timestamp) -> bool {
        deprecated.is_none_or(|there| there > due || (there < minute(due) && self.announced.contains(&minute(there))))
    }
}

/// A time as EC2 keeps it for a deprecation.
fn minute(time: Timestamp) -> Timestamp {
    let second = time.as_second();
    Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(time)
}

/// The tags that the lock asks of a run's AMIs and their snapshots: those that say state, run, image, evidence and who. Others (provenance, the user's) are none
/// of its business. `None`: the run is not in the lock.
pub fn wanted_tags(lock: &Lock, run: RunId) -> Option<BTreeMap<String, String>> {
    let last = lock.last(run)?;
    let evidence = lock.evidence_of(run).or_else(|| lock.candidate(run).map(|candidate| &candidate.evidence));
    let mut wanted: BTreeMap<String, String> = [
        (tags::MANAGED, "true".to_owned()),
        (tags::IMAGE, lock.image.to_string()),
        (tags::RUN, run.to_string()),
        (tags::STATE, last.state.to_string()),
        (tags::PROMOTED_BY, promoted_by(last)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    wanted.extend(evidence.map(|digest| (tags::EVIDENCE.to_owned(), digest.to_string())));
    Some(wanted)
}

/// What [`tags::PROMOTED_BY`] says of a move: EC2 takes at most 256 characters.
pub fn promoted_by(entry: &LockEntry) -> String {
    entry.by.chars().take(256).collect()
}

/// A tag that is not what the lock asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagDifference {
    /// The AMI or one of its snapshots.
    pub resource: String,
    /// The tag's key.
    pub key: String,
    /// Its value; `None` without the tag.
    pub found: Option<String>,
    /// What the lock asks for.
    pub wanted: String,
}

/// Every tag of the AMI and its snapshots that differs from `wanted`. `image`: freshly described. Fails with EC2's answer to DescribeTags.
pub async fn differences(
    cloud: &dyn Cloud,
    image: &CloudImage,
    wanted: &BTreeMap<String, String>,
) -> Result<Vec<TagDifference>, CloudError> {
    let ids = resources(cloud, image).await?;
    let seen = cloud.describe_tags(&ids).await?;
    let mut found = Vec::new();
    for id in ids {
        for (key, value) in wanted {
            let there = seen.get(&id).and_then(|tags| tags.get(key));
            if there != Some(value) {
                let (resource, key, wanted) = (id.clone(), key.clone(), value.clone());
                found.push(TagDifference { resource, key, found: there.cloned(), wanted });
            }
        }
    }
    Ok(found)
}

/// What became of one AMI.
#[derive(Debug)]
pub struct RepairedImage {
    /// Which.
    pub ami: AmiRef,
    /// Its state by the lock.
    pub state: ImageState,
    /// What was changed, in words; empty: all was as it should be.
    pub changed: Vec<String>,
    /// The AMI does not exist any more.
    pub gone: bool,
    /// What could not be done, in words.
    pub problem: Option<String>,
}

/// Puts every AMI of a run into the state that the lock gives it, copies included, all at once. Running it again changes nothing more. Empty where the lock does not
/// know the run.
pub async fn repair_run(factory: &dyn CloudFactory, lock: &Lock, run: RunId, now: Timestamp) -> Vec<RepairedImage> {
    let Some(wanted) = WantedTags::of(lock, run, now) else { return Vec::new() };
    let amis = lock.amis(run);
    join_all(amis.iter().map(|record| repair_within(READ_BACK, factory, record, &wanted, now))).await
}

/// [`repair_run`] for one AMI.
pub async fn repair(
    factory: &dyn CloudFactory,
    record: &AmiRecord,
    wanted: &WantedTags,
    now: Timestamp,
) -> RepairedImage {
    repair_within(READ_BACK, factory, record, wanted, now).await
}

async fn repair_within(
    pace: ReadBack,
    factory: &dyn CloudFactory,
    record: &AmiRecord,
    wanted: &WantedTags,
    now: Timestamp,
) -> RepairedImage {
    let cloud = factory.region(&record.ami.region);
    let mut repaired =
        RepairedImage { ami: record.ami.clone(), state: wanted.state, changed: Vec::new(), gone: false, problem: None };
    let image = match cloud.describe_images(std::slice::from_ref(&record.ami.id)).await {
        Ok(images) => images.into_iter().next(),
        Err(error) if error.kind == CloudErrorKind::NotFound => None,
        Err(error) => {
            repaired.problem = Some(error.to_string());
            return repaired;
        }
    };
    let Some(image) = image else {
        repaired.gone = true;
        return repaired;
    };
    let mut work = FollowWork { pace, cloud: cloud.as_ref(), image, changed: Vec::new() };
    // Each step is tried whatever became of the one before: one denied call must not hide what else is due.
    let steps = [
        work.tags(wanted).await,
        work.protection(wanted).await,
        work.deprecation(wanted, now).await,
        work.sharing(wanted).await,
    ];
    repaired.changed = work.changed;
    let problems: Vec<String> = steps.into_iter().filter_map(Result::err).collect();
    repaired.problem = (!problems.is_empty()).then(|| problems.join("; "));
    repaired
}

struct FollowWork<'a> {
    pace: ReadBack,
    cloud: &'a dyn Cloud,
    image: CloudImage,
    changed: Vec<String>,
}

impl FollowWork<'_> {
    async fn tags(&mut self, wanted: &WantedTags) -> Result<(), String> {
        let mut tags = wanted.tags.clone();
        // Said before it is done: a protection that nobody claims would never be lifted.
        if wanted.state == ImageState::Gold && !self.image.deregistration_protected {
            tags.insert(tags::PROTECTED_BY.to_owned(), OURS.to_owned());
        }
        let ids = resources(self.cloud, &self.image).await.map_err(|error| error.to_string())?;
        let seen = self.cloud.describe_tags(&ids).await.map_err(|error| error.to_string())?;
        if first_difference(&ids, &tags, &seen).is_none() {
            return Ok(());
        }
        // Only what differs is written: a role that may not say of which run an AMI is can still move it.
        tags.retain(|key, value| ids.iter().any(|id| seen.get(id).and_then(|tags| tags.get(key)) != Some(value)));
        let words = |error: StampError| assay_model::cause::chain(&error);
        super::write(self.pace, self.cloud, &self.image, &tags).await.map_err(words)?;
        self.changed.push(format!("tagged {}", wanted.state));
        Ok(())
    }

    /// Gold is protected from deregistration; what is no longer gold loses that protection, if it was ours.
    async fn protection(&mut self, wanted: &WantedTags) -> Result<(), String> {
        let said = |error: CloudError| error.to_string();
        if wanted.state == ImageState::Gold {
            if !self.image.deregistration_protected {
                self.cloud.enable_deregistration_protection(&self.image.id).await.map_err(said)?;
                self.changed.push("protected from deregistration".to_owned());
            }
            return Ok(());
        }
        let ours = self.image.tags.get(tags::PROTECTED_BY).is_some_and(|whose| whose == OURS);
        if !ours || wanted.state == ImageState::Vetted {
            return Ok(());
        }
        if self.image.deregistration_protected {
            self.cloud.disable_deregistration_protection(&self.image.id).await.map_err(said)?;
            self.changed.push("protection lifted".to_owned());
        }
        let lifted = BTreeMap::from([(tags::PROTECTED_BY.to_owned(), LIFTED.to_owned())]);
        self.cloud.create_tags(&[self.image.id.to_string()], &lifted).await.map_err(said)
    }

    /// What is revoked is deprecated from then on, so that lists do not offer it; gold is offered.
    async fn deprecation(&mut self, wanted: &WantedTags, now: Timestamp) -> Result<(), String> {
        let said = |error: CloudError| error.to_string();
        let there: Option<Timestamp> = self.image.attributes.deprecation_time.parse().ok();
        if wanted.state == ImageState::Gold && there.is_some_and(|there| there <= now) {
            self.cloud.cancel_deprecation(&self.image.id).await.map_err(said)?;
            self.changed.push("deprecation taken back".to_owned());
        }
        let Some(due) = wanted.revoked_at else { return Ok(()) };
        // EC2 wants a time in the future and rounds to the minute.
        let soonest = now.checked_add(2.minutes()).unwrap_or(now);
        let due = due.max(soonest);
        if wanted.misses(there, due) {
            let at = due.strftime("%Y-%m-%dT%H:%M:00Z").to_string();
            self.cloud.deprecate_image(&self.image.id, &at).await.map_err(said)?;
            self.changed.push(format!("deprecated at {at}"));
        }
        Ok(())
    }

    /// Nobody else may launch what is revoked.
    async fn sharing(&mut self, wanted: &WantedTags) -> Result<(), String> {
        if !wanted.revoked {
            return Ok(());
        }
        let said = |error: CloudError| error.to_string();
        let shared = self.cloud.image_sharing(&self.image.id).await.map_err(said)?;
        if shared.public {
            return Err(format!("{} is public: assay never made it so and does not undo it", self.image.id));
        }
        if !shared.sharing.is_empty() {
            self.cloud.unshare_image(&self.image.id, &shared.sharing).await.map_err(said)?;
            self.changed.push("no longer shared".to_owned());
        }
        Ok(())
    }
}
