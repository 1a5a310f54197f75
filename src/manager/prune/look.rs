//! Looking: every AMI of every region, and what must be known of those that retention no longer keeps. It owns the order of the calls and that an answer which
//! did not come is kept as such; it refuses to change anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, stream};
use jiff::Timestamp;

use super::{
    decide::{self, RegionFacts, SharedWithOthers},
    latest::LatestRecord,
    record::RecordedImages,
    subject::{OwnIdentity, PruneAction, PruneSubject, TagsOf, settle_doubles, snapshots},
};
use assay_aws::cloud::{Cloud, CloudError, CloudErrorKind, CloudFactory, CloudImage};
use assay_config::prune::PruneRequest;
use assay_model::{AccountId, AmiId, AmiRef, ImageName, Region, tags};

/// How many calls about single AMIs are under way at a time in one region: EC2 limits an account's DescribeImageAttribute.
const AT_A_TIME: usize = 4;
/// How often those are asked that EC2 throttled, and the time that it has in between.
const THROTTLED_ROUNDS: usize = 8;
const THROTTLED_PAUSE: Duration = Duration::from_secs(3);

/// What was found and decided.
#[derive(Debug)]
pub(crate) struct PrunePlan {
    /// Every AMI that says it is assay's, by region and id.
    pub subjects: Vec<PruneSubject>,
    /// Snapshots whose AMI an earlier prune deregistered, by region.
    pub orphans: Vec<(Region, String)>,
    /// What could not be learned.
    pub errors: Vec<String>,
}

/// On whose behalf, when, and with what.
pub(super) struct PruneContext<'a> {
    /// The cloud.
    pub factory: &'a dyn CloudFactory,
    /// What is asked.
    pub request: &'a PruneRequest,
    /// What git says.
    pub record: &'a RecordedImages,
    /// Who says what git says by now.
    pub branch: &'a dyn LatestRecord,
    /// The account.
    pub account: &'a AccountId,
    /// The repository.
    pub owner: &'a str,
    /// Where.
    pub regions: &'a [Region],
    /// The time that counts as now.
    pub now: Timestamp,
}

/// Looks at everything and decides; changes nothing.
pub(super) async fn plan(ground: &PruneContext<'_>) -> PrunePlan {
    let mut errors: Vec<String> = ground.record.unreadable().collect();
    let mut subjects = Vec::new();
    let mut orphans = Vec::new();
    let mut unseen: Vec<&str> = Vec::new();
    for region in ground.regions {
        let cloud = ground.factory.region(region);
        match cloud.own_images().await {
            Ok(images) => subjects.extend(claims(ground, &*cloud, images, &mut errors).await),
            Err(error) => {
                errors.push(error.to_string());
                unseen.push(region.as_str());
                continue;
            }
        }
        match orphans_in(ground, &*cloud).await {
            Ok(found) => orphans.extend(found.into_iter().map(|id| (region.clone(), id))),
            Err(error) => errors.push(error.to_string()),
        }
    }
    settle_doubles(&mut subjects);
    decide::agree_on_states(&mut subjects);
    decide::retain(&mut subjects, ground.record, ground.request, ground.now);
    let mut facts = BTreeMap::new();
    for region in ground.regions {
        let due = decide::due_in(&subjects, region);
        if !due.is_empty() {
            facts.insert(region.clone(), learn(&*ground.factory.region(region), &due, &mut errors).await);
        }
    }
    for subject in &mut subjects {
        let told = facts.get(&subject.ami.region);
        decide::in_use(subject, told);
        decide::choose_action(subject, told, ground.request, ground.now);
    }
    decide::keep_parents(&mut subjects, ground.record);
    if !unseen.is_empty() {
        let why = format!("what was built on it in {} is not known: EC2 did not answer there", unseen.join(", "));
        subjects.iter_mut().filter(|subject| subject.is_due()).for_each(|subject| subject.keep(why.clone()));
    }
    subjects.sort_by(|a, b| a.ami.cmp(&b.ami));
    PrunePlan { subjects, orphans, errors }
}

/// The AMIs of one region with their claims.
async fn claims(
    ground: &PruneContext<'_>,
    cloud: &dyn Cloud,
    images: Vec<CloudImage>,
    errors: &mut Vec<String>,
) -> Vec<PruneSubject> {
    let declared: BTreeSet<ImageName> = ground.request.retention.keys().cloned().collect();
    let ours = OwnIdentity { account: ground.account, owner: ground.owner, images: &declared, record: ground.record };
    let reference = |image: &CloudImage| AmiRef { region: cloud.region().clone(), id: image.id.clone() };
    // Only what git does not name needs a witness of its own.
    let unrecorded = images.iter().filter(|image| ground.record.ami(&reference(image)).is_none());
    let wanted: Vec<String> = unrecorded.flat_map(snapshots).collect::<BTreeSet<_>>().into_iter().collect();
    let known: Result<TagsOf, String> = match wanted.is_empty() {
        true => Ok(TagsOf::new()),
        false => cloud.describe_tags(&wanted).await.map_err(|error| {
            errors.push(error.to_string());
            error.to_string()
        }),
    };
    let subject = |image: CloudImage| {
        let ami = reference(&image);
        let claim = ours.claim(&ami, &image, known.as_ref().map_err(String::as_str));
        PruneSubject { ami, image, claim, keep: Vec::new(), action: PruneAction::Keep }
    };
    images.into_iter().map(subject).collect()
}

/// What must be known of the AMIs that are due.
async fn learn(cloud: &dyn Cloud, due: &BTreeSet<AmiId>, errors: &mut Vec<String>) -> RegionFacts {
    let ids: Vec<AmiId> = due.iter().cloned().collect();
    let uses = cloud.uses_of_images(&ids).await.map_err(|error| {
        errors.push(error.to_string());
        error.to_string()
    });
    // Each may be a use of any AMI of the region: none can go while it is there.
    let unknown = uses.iter().flat_map(|uses| &uses.unknown);
    errors.extend(unknown.map(|one| format!("{}: which AMI is used is not known: {one}", cloud.region())));
    let mut sharing = BTreeMap::new();
    for (id, answer) in shared_each(cloud, ids).await {
        let answer = answer.map_err(|error| {
            errors.push(format!("{id}: {error}"));
            error.to_string()
        });
        sharing.insert(id, answer);
    }
    RegionFacts { uses, sharing }
}

/// [`shared`] for each. Hundreds of AMIs are more calls than EC2 takes at once (a hundred, then twenty a second: "Request throttling for the Amazon EC2 API"), and the
/// SDK gives up sooner than the last of them has its turn: those that were throttled are asked again.
async fn shared_each(cloud: &dyn Cloud, ids: Vec<AmiId>) -> Vec<(AmiId, Result<SharedWithOthers, CloudError>)> {
    let mut known = Vec::new();
    let mut open = ids;
    for round in 1..=THROTTLED_ROUNDS {
        let asked = stream::iter(std::mem::take(&mut open)).map(|id| async move {
            let answer = shared(cloud, &id).await;
            (id, answer)
        });
        for (id, answer) in asked.buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await {
            match &answer {
                Err(error) if error.kind == CloudErrorKind::Throttled && round < THROTTLED_ROUNDS => open.push(id),
                _ => known.push((id, answer)),
            }
        }
        if open.is_empty() {
            break;
        }
        tokio::time::sleep(THROTTLED_PAUSE).await;
    }
    known
}

async fn shared(cloud: &dyn Cloud, id: &AmiId) -> Result<SharedWithOthers, CloudError> {
    let with = cloud.image_sharing(id).await?;
    let last_launched = if with.nobody() { None } else { cloud.image_last_launched(id).await? };
    Ok(SharedWithOthers { with, last_launched })
}

/// Snapshots that an earlier prune marked, whose AMI is gone and that no AMI holds.
async fn orphans_in(ground: &PruneContext<'_>, cloud: &dyn Cloud) -> Result<Vec<String>, CloudError> {
    let ours = [(tags::MANAGED.to_owned(), "true".to_owned()), (tags::OWNER.to_owned(), ground.owner.to_owned())];
    let mut found = Vec::new();
    for snapshot in cloud.find_snapshots(&ours).await? {
        let marked = snapshot.tags.contains_key(tags::PRUNED);
        let asked = snapshot.tags.get(tags::IMAGE).and_then(|image| image.parse::<ImageName>().ok());
        let asked =
            asked.is_some_and(|image| ground.request.retention.contains_key(&image) && ground.request.asks_for(&image));
        if marked && asked && cloud.images_of_snapshot(&snapshot.id).await?.is_empty() {
            found.push(snapshot.id);
        }
    }
    Ok(found)
}
