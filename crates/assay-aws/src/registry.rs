//! The registry: the tags on AMIs and their snapshots, and the protection from deregistration. It owns writing a state (legal moves only), reading
//! it back, and turning protection on and off; it refuses to choose a state: that comes from a verdict, or from the lock (`follow`).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

mod follow;

pub use follow::{RepairedImage, TagDifference, WantedTags, differences, promoted_by, repair, repair_run, wanted_tags};

use crate::cloud::{Cloud, CloudError, CloudErrorKind, CloudImage, CloudResult, EbsSnapshot};
use assay_model::{Digest, IllegalMove, ImageName, ImageState, Provenance, RunId, Verdict, tags};

/// How long tags may take to be seen again after CreateTags answered, before the stamp counts as not made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadBack {
    patience: Duration,
    pause: Duration,
}

const READ_BACK: ReadBack = ReadBack { patience: Duration::from_secs(45), pause: Duration::from_millis(400) };

/// Why an AMI does not carry its state tags.
#[derive(Debug, thiserror::Error)]
pub enum StampError {
    /// The table of states forbids it.
    #[error("{ami}")]
    Illegal {
        /// The AMI.
        ami: String,
        /// The move.
        source: IllegalMove,
    },
    /// The state tag holds a word that is not one of ours.
    #[error("{ami} carries {}={value:?}, which is no state; correct the tag by hand first", tags::STATE)]
    UnknownState {
        /// The AMI.
        ami: String,
        /// The tag's value.
        value: String,
    },
    /// EC2 said no.
    #[error("tags of {ami} were not written")]
    Cloud {
        /// The AMI.
        ami: String,
        /// EC2's answer.
        source: CloudError,
    },
    /// CreateTags answered, but the tags are not there.
    #[error("EC2 accepted the tags of {resource}, yet reading them back shows {key}={found} instead of {wanted:?}")]
    ReadBack {
        /// AMI or snapshot.
        resource: String,
        /// The first tag that differs.
        key: String,
        /// What stands there: a quoted value, or "nothing".
        found: String,
        /// What was written.
        wanted: String,
    },
}

/// What a stamp says: everything but the AMI itself.
#[derive(Debug, Clone)]
pub struct StateTags {
    /// The image line.
    pub image: ImageName,
    /// The run.
    pub run: RunId,
    /// The state to give.
    pub state: ImageState,
    /// The verdict that led to it.
    pub verdict: Verdict,
    /// Digest of the evidence, once it is written.
    pub evidence: Option<Digest>,
    /// Where the run came from.
    pub provenance: Provenance,
    /// The user's own tags.
    pub user_tags: BTreeMap<String, String>,
}

impl StateTags {
    /// Every tag to write, assay's and the user's.
    pub fn tags(&self) -> BTreeMap<String, String> {
        let mut all = self.user_tags.clone();
        all.extend(self.provenance.tags());
        for (key, value) in [
            (tags::MANAGED, "true".to_owned()),
            (tags::IMAGE, self.image.to_string()),
            (tags::RUN, self.run.to_string()),
            (tags::STATE, self.state.to_string()),
            (tags::VERDICT, self.verdict.to_string()),
        ] {
            all.insert(key.to_owned(), value);
        }
        if let Some(digest) = &self.evidence {
            all.insert(tags::EVIDENCE.to_owned(), digest.to_string());
        }
        all
    }
}

/// The state that an image's tags say; `None` without the tag. Fails on a word that is no state.
pub fn state_of(image: &CloudImage) -> Result<Option<ImageState>, StampError> {
    image
        .tags
        .get(tags::STATE)
        .map(|text| {
            text.parse().map_err(|_| StampError::UnknownState { ami: image.id.to_string(), value: text.clone() })
        })
        .transpose()
}

/// Whether `image` may be given `state` now.
pub fn may_become(image: &CloudImage, state: ImageState) -> Result<(), StampError> {
    let from = state_of(image)?;
    ImageState::may_move(from, state).map_err(|source| StampError::Illegal { ami: image.id.to_string(), source })
}

/// Writes the state tags on the AMI and its snapshots in one call, then reads back until all of it is seen or time is up. `image` must be
/// freshly described: its present state decides whether the move is legal. Fails with the first difference.
pub async fn stamp(cloud: &dyn Cloud, image: &CloudImage, state_tags: &StateTags) -> Result<(), StampError> {
    stamp_within(READ_BACK, cloud, image, state_tags).await
}

async fn stamp_within(
    pace: ReadBack,
    cloud: &dyn Cloud,
    image: &CloudImage,
    state_tags: &StateTags,
) -> Result<(), StampError> {
    may_become(image, state_tags.state)?;
    let wanted = state_tags.tags();
    write(pace, cloud, image, &wanted).await
}

/// CreateTags on the AMI and its snapshots, and the read back.
async fn write(
    pace: ReadBack,
    cloud: &dyn Cloud,
    image: &CloudImage,
    wanted: &BTreeMap<String, String>,
) -> Result<(), StampError> {
    let ids =
        resources(cloud, image).await.map_err(|source| StampError::Cloud { ami: image.id.to_string(), source })?;
    let written = cloud.create_tags(&ids, wanted).await;
    let lost = match written {
        Ok(()) => None,
        // A lost answer may be a done call: only the tags themselves can say.
        Err(source) if source.kind == CloudErrorKind::Unknown => Some(source),
        Err(source) => return Err(StampError::Cloud { ami: image.id.to_string(), source }),
    };
    let seen = read_back(pace, cloud, image, &ids, wanted).await;
    match (seen, lost) {
        (Err(_), Some(source)) => Err(StampError::Cloud { ami: image.id.to_string(), source }),
        (seen, _) => seen,
    }
}

/// The AMI's id and those of its snapshots that its build made.
async fn resources(cloud: &dyn Cloud, image: &CloudImage) -> CloudResult<Vec<String>> {
    let mut ids: BTreeSet<String> = image.block_devices.iter().filter_map(|device| device.snapshot.clone()).collect();
    if !ids.is_empty() {
        let all: Vec<String> = ids.iter().cloned().collect();
        let snapshots = cloud.describe_snapshots(&all).await?;
        let foreign =
            |id: &String| snapshots.iter().any(|one| one.id == *id && is_of_another_build(one, &image.created_at));
        ids.retain(|id| !foreign(id));
    }
    Ok(std::iter::once(image.id.to_string()).chain(ids).collect())
}

/// A snapshot that began longer than this before its AMI was made is no part of the build.
const BUILD_TIME: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Whether a snapshot was there before the build of an AMI made at `made_at` (RFC 3339): the template mapped it (`ami_block_device_mappings { snapshot_id }`), and others may hold it as well.
/// Then it is neither tagged nor shared with the AMI. One whose time is not known counts as the build's.
pub fn is_of_another_build(snapshot: &EbsSnapshot, made_at: &str) -> bool {
    let oldest = made_at.parse::<jiff::Timestamp>().ok().and_then(|made| made.checked_sub(BUILD_TIME).ok());
    snapshot.started_at.zip(oldest).is_some_and(|(began, oldest)| began < oldest.as_second())
}

async fn read_back(
    pace: ReadBack,
    cloud: &dyn Cloud,
    image: &CloudImage,
    ids: &[String],
    wanted: &BTreeMap<String, String>,
) -> Result<(), StampError> {
    let deadline = tokio::time::Instant::now() + pace.patience;
    loop {
        let late = tokio::time::Instant::now() >= deadline;
        match cloud.describe_tags(ids).await {
            Ok(seen) => match first_difference(ids, wanted, &seen) {
                None => return Ok(()),
                Some(difference) if late => return Err(difference),
                Some(_) => {}
            },
            Err(error) if late || !worth_waiting(error.kind) => {
                return Err(StampError::Cloud { ami: image.id.to_string(), source: error });
            }
            Err(_) => {}
        }
        tokio::time::sleep(pace.pause).await;
    }
}

fn worth_waiting(kind: CloudErrorKind) -> bool {
    matches!(kind, CloudErrorKind::Throttled | CloudErrorKind::Unknown | CloudErrorKind::NotFound)
}

fn first_difference(
    ids: &[String],
    wanted: &BTreeMap<String, String>,
    seen: &BTreeMap<String, BTreeMap<String, String>>,
) -> Option<StampError> {
    ids.iter().find_map(|id| {
        let there = seen.get(id);
        wanted.iter().find_map(|(key, value)| {
            let found = there.and_then(|tags| tags.get(key));
            (found != Some(value)).then(|| StampError::ReadBack {
                resource: id.clone(),
                key: key.clone(),
                found: found.map_or("nothing".to_owned(), |v| format!("{v:?}")),
                wanted: value.clone(),
            })
        })
    })
}

/// How an AMI came to be protected from deregistration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectionOrigin {
    /// It was on before: the user's own, never lifted by assay.
    Before,
    /// assay turned it on.
    Ours,
}

/// Turns protection on where it is not. Fails with EC2's answer; the AMI is then only kept by another post-processor chain.
pub async fn protect(cloud: &dyn Cloud, image: &CloudImage) -> Result<ProtectionOrigin, CloudError> {
    if image.deregistration_protected {
        return Ok(ProtectionOrigin::Before);
    }
    cloud.enable_deregistration_protection(&image.id).await?;
    Ok(ProtectionOrigin::Ours)
}

/// Turns off the protection that assay turned on; does nothing where it was on before.
pub async fn release(cloud: &dyn Cloud, image: &CloudImage, protection: ProtectionOrigin) -> Result<(), CloudError> {
    match protection {
        ProtectionOrigin::Before => Ok(()),
        ProtectionOrigin::Ours => cloud.disable_deregistration_protection(&image.id).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{
        CloudFactory,
        fake::{FakeCloud, FakeFault, sample_image},
    };
    use assay_model::Region;

    const SOON: ReadBack = ReadBack { patience: Duration::from_millis(20), pause: Duration::from_millis(2) };

    const AMI: &str = "ami-0abcdef1234567890";

    /// Stamps an AMI without snapshots, which the cloud knows only when `known`; `fault` meets CreateTags.
    async fn stamped(known: bool, fault: Option<FakeFault>) -> (Result<(), StampError>, FakeCloud) {
        let cloud = FakeCloud::new();
        let region: Region = "us-east-1".parse().expect("a region");
        let image = sample_image(AMI, &[]);
        if known {
            cloud.add_image(&region, image.clone());
        }
        if let Some(fault) = fault {
            cloud.fault("CreateTags", fault);
        }
        let done = stamp_within(SOON, cloud.region(&region).as_ref(), &image, &state_tags()).await;
        (done, cloud)
    }

    #[tokio::test]
    async fn tags_that_ec2_accepted_and_does_not_show_are_no_stamp() {
        let (done, cloud) = stamped(false, None).await;
        assert!(matches!(done, Err(StampError::ReadBack { ref found, .. }) if found == "nothing"), "{done:?}");
        assert_eq!(cloud.count("CreateTags"), 1);
        assert!(cloud.count("DescribeTags") > 1, "tags may take their time to be seen");
        let (done, _) = stamped(true, None).await;
        done.expect("all tags are seen");
    }

    #[tokio::test]
    async fn a_lost_answer_is_decided_by_the_tags_themselves() {
        stamped(true, Some(FakeFault::LoseAnswer)).await.0.expect("written, though the answer was lost");
        let (done, _) = stamped(true, Some(FakeFault::Drop)).await;
        assert!(matches!(done, Err(StampError::Cloud { .. })), "{done:?}");
        let (done, cloud) = stamped(true, Some(FakeFault::Refuse(CloudErrorKind::Denied))).await;
        assert!(matches!(done, Err(StampError::Cloud { .. })), "{done:?}");
        assert_eq!(cloud.count("DescribeTags"), 0, "a refusal is an answer");
    }

    #[tokio::test]
    async fn a_snapshot_that_the_template_mapped_into_the_ami_is_not_tagged() {
        let cloud = FakeCloud::new();
        let region: Region = "us-east-1".parse().expect("a region");
        let image = sample_image(AMI, &["snap-own", "snap-mapped"]);
        cloud.add_image(&region, image.clone());
        let made: jiff::Timestamp = image.created_at.parse().expect("a time");
        for (id, hours) in [("snap-own", 1), ("snap-mapped", 30 * 24)] {
            let started_at = Some(made.as_second() - hours * 3600);
            let snapshot = EbsSnapshot { id: id.to_owned(), started_at, ..EbsSnapshot::default() };
            cloud.holdings(&region, |held| held.snapshots.insert(id.to_owned(), snapshot));
        }
        stamp_within(SOON, cloud.region(&region).as_ref(), &image, &state_tags()).await.expect("stamped");
        let tagged = |id: &str| cloud.holdings(&region, |held| !held.snapshots[id].tags.is_empty());
        assert!(tagged("snap-own") && !tagged("snap-mapped"));
    }

    #[tokio::test]
    async fn snapshots_without_their_tags_are_no_stamp() {
        let cloud = FakeCloud::new();
        let region: Region = "us-east-1".parse().expect("a region");
        let image = sample_image(AMI, &["snap-1"]);
        cloud.add_image(&region, image.clone());
        let done = stamp_within(SOON, cloud.region(&region).as_ref(), &image, &state_tags()).await;
        assert!(matches!(done, Err(StampError::ReadBack { ref resource, .. }) if resource == "snap-1"), "{done:?}");
    }

    fn state_tags() -> StateTags {
        StateTags {
            image: "base".parse().expect("name"),
            run: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("run"),
            state: ImageState::Candidate,
            verdict: Verdict::Passed,
            evidence: None,
            provenance: Provenance::default(),
            user_tags: BTreeMap::from([("Team".to_owned(), "platform".to_owned())]),
        }
    }

    #[test]
    fn the_users_tags_stand_beside_ours() {
        let tags = state_tags().tags();
        assert_eq!(tags["Team"], "platform");
        assert_eq!(tags[tags::STATE], "candidate");
        assert!(!tags.contains_key(tags::EVIDENCE));
    }

    #[test]
    fn a_tag_that_is_not_seen_again_is_a_difference() {
        let ids = ["ami-0abcdef1234567890".to_owned(), "snap-1".to_owned()];
        let wanted = state_tags().tags();
        let mut seen: BTreeMap<_, _> = ids.iter().map(|id| (id.clone(), wanted.clone())).collect();
        assert!(first_difference(&ids, &wanted, &seen).is_none());
        seen.get_mut("snap-1").expect("there").remove(tags::STATE);
        let text = first_difference(&ids, &wanted, &seen).expect("a difference").to_string();
        assert_eq!(
            text,
            "EC2 accepted the tags of snap-1, yet reading them back shows assay:state=nothing instead of \"candidate\""
        );
    }
}
