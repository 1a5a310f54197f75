//! One AMI that says it is assay's, and what speaks for keeping it. It owns the proof that an AMI is ours to delete; it makes no call.
//!
//! An AMI is provably ours when all of these hold:
//! 1. The account owns it, and its tags say `assay:managed=true`, `assay:owner` = this repository, `assay:image` = an image of assay.hcl, `assay:run`.
//! 2. Something that nobody puts there by copying a tag agrees: the lock or a candidate file of the protected branch names it with the same name, owner,
//!    creation date and snapshots; or, for what never got there (rejected, untested, a branch that was not merged), every snapshot of it carries the
//!    same image and run, which assay writes in the same call and CopyImage with CopyImageTags does not carry over.
//! 3. It is the only one of its image, run, architecture and region: of two that claim the same place, the one that is not recorded is somebody's copy, also
//!    when the recorded one is long gone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::record::RecordedImages;
use assay_aws::cloud::CloudImage;
use assay_model::{AccountId, AmiId, AmiRecord, AmiRef, ImageName, ImageState, RunId, tags};

/// Tags by resource.
pub(super) type TagsOf = BTreeMap<String, BTreeMap<String, String>>;

/// What an AMI is, once it is proven to be ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnershipClaim {
    /// The image line.
    pub image: ImageName,
    /// The run.
    pub run: RunId,
    /// What the lock or the candidate file says; else the tag. `None`: neither says a state.
    pub state: Option<ImageState>,
    /// What the tag says.
    pub tagged: Option<ImageState>,
    /// Whether git names it.
    pub recorded: bool,
    /// When EC2 made it.
    pub made_at: Timestamp,
}

/// What to do with an AMI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PruneAction {
    /// Nothing.
    Keep,
    /// Deprecate it, and no more: others may use it, and see it coming this way.
    Deprecate,
    /// Deprecate and disable it: nobody can launch it, and it can be brought back.
    Disable,
    /// Nothing before this time: it is disabled, and may yet be missed.
    Wait(Timestamp),
    /// Deregister it and delete its snapshots.
    Delete,
}

/// One AMI with what is found out about it.
#[derive(Debug, Clone)]
pub(crate) struct PruneSubject {
    /// Where it is.
    pub ami: AmiRef,
    /// What EC2 says of it.
    pub image: CloudImage,
    /// Ours, or why that is not proven.
    pub claim: Result<OwnershipClaim, String>,
    /// What speaks for keeping it; empty: nothing.
    pub keep: Vec<String>,
    /// What is to be done with it, while nothing speaks for keeping it.
    pub action: PruneAction,
}

impl PruneSubject {
    /// Adds a reason for keeping it.
    pub(crate) fn keep(&mut self, reason: impl Into<String>) {
        self.keep.push(reason.into());
    }

    /// Whether it is ours, and nothing speaks for keeping it so far.
    pub(crate) fn is_due(&self) -> bool {
        self.claim.is_ok() && self.keep.is_empty()
    }

    /// Whether it will be there, and usable, for long: kept, or only deprecated.
    pub(crate) fn stays(&self) -> bool {
        !self.is_due() || self.action == PruneAction::Deprecate
    }

    /// What is to be done with it after all.
    pub(crate) fn decided(&self) -> PruneAction {
        if self.is_due() { self.action.clone() } else { PruneAction::Keep }
    }

    /// Whether a protection from deregistration is assay's own: that of a build which was not promoted, or one that a promotion claimed and could not lift.
    pub(crate) fn is_protected_by_assay(&self) -> bool {
        let tagged = self.claim.as_ref().ok().and_then(|claim| claim.tagged);
        let claimed = self.image.tags.get(tags::PROTECTED_BY).is_some_and(|whose| whose == "assay");
        claimed || matches!(tagged, Some(ImageState::Rejected | ImageState::Untested))
    }

    /// The AMI that it was built from, by git or by its tag.
    pub(crate) fn parents(&self, record: &RecordedImages) -> BTreeSet<AmiId> {
        let tagged = self.image.tags.get(tags::PARENT).and_then(|id| id.parse().ok());
        let run = self.image.tags.get(tags::RUN).and_then(|run| run.parse().ok());
        let image = self.image.tags.get(tags::IMAGE).and_then(|image| image.parse().ok());
        let recorded = image.zip(run).and_then(|(image, run): (ImageName, RunId)| record.parent(&image, run));
        tagged.into_iter().chain(recorded).collect()
    }
}

/// The snapshots in an AMI's mapping, each once.
pub(super) fn snapshots(image: &CloudImage) -> BTreeSet<String> {
    image.block_devices.iter().filter_map(|device| device.snapshot.clone()).collect()
}

/// On whose behalf it is asked.
pub(super) struct OwnIdentity<'a> {
    /// The account whose credentials are used.
    pub account: &'a AccountId,
    /// The repository.
    pub owner: &'a str,
    /// The images of assay.hcl.
    pub images: &'a BTreeSet<ImageName>,
    /// The protected branch.
    pub record: &'a RecordedImages,
}

impl OwnIdentity<'_> {
    /// The claim of one AMI. `snapshot_tags`: tags of its snapshots, or why they are not known.
    pub(super) fn claim(
        &self,
        ami: &AmiRef,
        image: &CloudImage,
        snapshot_tags: Result<&TagsOf, &str>,
    ) -> Result<OwnershipClaim, String> {
        let tag = |key: &str| image.tags.get(key).map(String::as_str);
        if tag(tags::MANAGED) != Some("true") {
            return Err("carries no tag assay:managed=true".to_owned());
        }
        if image.owner != *self.account {
            return Err(format!("belongs to account {}", image.owner));
        }
        match tag(tags::OWNER) {
            Some(owner) if owner == self.owner => {}
            Some(owner) => return Err(format!("belongs to {owner}")),
            None => return Err("carries no tag assay:owner".to_owned()),
        }
        let line = tag(tags::IMAGE).and_then(|name| name.parse::<ImageName>().ok());
        let line = line.ok_or_else(|| "carries no tag assay:image that names an image".to_owned())?;
        if !self.images.contains(&line) {
            return Err(format!("is of image {line}, which assay.hcl does not declare"));
        }
        let run = tag(tags::RUN).and_then(|run| run.parse::<RunId>().ok());
        let run = run.ok_or_else(|| "carries no tag assay:run with a run in it".to_owned())?;
        let made_at = image.created_at.parse::<Timestamp>();
        let made_at = made_at.map_err(|_| format!("was made at {:?}, which is no time", image.created_at))?;
        let recorded = match self.record.ami(ami) {
            Some((named, of_run, record)) => {
                same(&record, image)?;
                if (named, of_run) != (&line, run) {
                    return Err(format!(
                        "is recorded in git under image {named} and run {of_run}, its tags say otherwise"
                    ));
                }
                true
            }
            None => {
                self.not_displaced(ami, image, &line, run)?;
                witnessed(image, &line, run, snapshot_tags)?;
                false
            }
        };
        let tagged = match tag(tags::STATE) {
            None => None,
            Some(word) => {
                Some(word.parse::<ImageState>().map_err(|_| format!("carries assay:state={word:?}, no state"))?)
            }
        };
        let state = self.record.state(&line, run).or(tagged);
        Ok(OwnershipClaim { image: line, run, state, tagged, recorded, made_at })
    }

    /// Git names no other AMI in the place that this one claims; whether that one still exists does not matter.
    fn not_displaced(&self, ami: &AmiRef, image: &CloudImage, line: &ImageName, run: RunId) -> Result<(), String> {
        let architecture = image.architecture.ok_or("has an architecture that assay does not know")?;
        match self.record.at_place(line, run, architecture, &ami.region) {
            Some(other) => Err(format!("claims the place of {other}, which git records for this run: it is a copy")),
            None => Ok(()),
        }
    }
}

/// Name, owner, creation date and snapshots are as git says.
fn same(record: &AmiRecord, image: &CloudImage) -> Result<(), String> {
    let differs = |what: &str, git: &str, cloud: &str| {
        Err(format!("git records {what} {git:?} of it and EC2 says {cloud:?}: it is not the AMI that was tested"))
    };
    if record.name != image.name {
        return differs("the name", &record.name, &image.name);
    }
    if record.owner != image.owner {
        return differs("the owner", record.owner.as_str(), image.owner.as_str());
    }
    let time = |text: &str| text.parse::<Timestamp>().ok();
    if record.created_at != image.created_at && time(&record.created_at) != time(&image.created_at) {
        return differs("the creation date", &record.created_at, &image.created_at);
    }
    let recorded: BTreeSet<String> = record.snapshots.iter().cloned().collect();
    let there = snapshots(image);
    let list = |ids: &BTreeSet<String>| ids.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    if recorded == there { Ok(()) } else { differs("the snapshots", &list(&recorded), &list(&there)) }
}

/// Every snapshot carries the same image and run.
fn witnessed(image: &CloudImage, line: &ImageName, run: RunId, tags_of: Result<&TagsOf, &str>) -> Result<(), String> {
    let known =
        tags_of.map_err(|why| format!("is not recorded in git, and its snapshots' tags are not known: {why}"))?;
    let ids = snapshots(image);
    if ids.is_empty() {
        return Err("is not recorded in git and has no snapshot that could bear witness".to_owned());
    }
    for id in ids {
        let has = |key: &str| known.get(&id).and_then(|tags| tags.get(key)).map(String::as_str);
        let run_is = has(tags::RUN).and_then(|text| text.parse::<RunId>().ok()) == Some(run);
        if !run_is || has(tags::IMAGE) != Some(line.as_str()) || has(tags::MANAGED) != Some("true") {
            return Err(format!("is not recorded in git, and its snapshot {id} does not carry the same image and run"));
        }
    }
    Ok(())
}

/// Takes the claim from AMIs that stand where another one of ours stands: image, run, architecture and region.
pub(super) fn settle_doubles(subjects: &mut [PruneSubject]) {
    let mut places: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, subject) in subjects.iter().enumerate() {
        if let Ok(claim) = &subject.claim {
            let key = (claim.image.clone(), claim.run, subject.image.attributes.architecture.clone());
            places.entry((key, subject.image.architecture, subject.ami.region.clone())).or_default().push(index);
        }
    }
    for indexes in places.into_values().filter(|indexes| indexes.len() > 1) {
        for index in &indexes {
            let other = indexes.iter().find(|other| *other != index).copied().unwrap_or(*index);
            let other = subjects[other].ami.id.clone();
            let subject = &mut subjects[*index];
            if subject.claim.as_ref().is_ok_and(|claim| !claim.recorded) {
                subject.claim =
                    Err(format!("claims the place of {other} (same image, run, architecture, region): one is a copy"));
            }
        }
    }
}
