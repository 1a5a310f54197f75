//! What EC2 says of the AMIs of a run, held against what git records. It owns that comparison; it refuses to decide what follows from evidence.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::outcome::MoveRefusal;
use assay_aws::cloud::{CloudError, CloudErrorKind, CloudFactory, CloudImage};
use assay_model::{
    AccountId, AmiId, AmiRecord, AmiRef, Candidate, Digest, ImageName, ImageState, RunId, lock::LockCopy, tags,
};

/// The AMIs as EC2 shows them: `None` where there is none of that id; not in it at all where EC2 did not answer.
pub(super) type SeenImages = BTreeMap<AmiRef, Option<CloudImage>>;

/// Describes every AMI, all at once; beside what was seen the AMIs that EC2 did not answer for.
pub(super) async fn look(
    factory: &dyn CloudFactory,
    amis: impl IntoIterator<Item = AmiRef>,
) -> (SeenImages, Vec<(AmiRef, CloudError)>) {
    let looks = amis.into_iter().map(|ami| async move {
        let cloud = factory.region(&ami.region);
        let described = cloud.describe_images(std::slice::from_ref(&ami.id)).await;
        (ami, described)
    });
    let (mut seen, mut unanswered) = (SeenImages::new(), Vec::new());
    for (ami, described) in join_all(looks).await {
        match described {
            Ok(images) => drop(seen.insert(ami, images.into_iter().next())),
            Err(error) if error.kind == CloudErrorKind::NotFound => drop(seen.insert(ami, None)),
            Err(error) => unanswered.push((ami, error)),
        }
    }
    (seen, unanswered)
}

/// What EC2 says of an AMI, as a record; `None` for an architecture that assay does not know.
pub(super) fn record(ami: AmiRef, image: &CloudImage) -> Option<AmiRecord> {
    Some(AmiRecord {
        ami,
        architecture: image.architecture?,
        name: image.name.clone(),
        owner: image.owner.clone(),
        created_at: image.created_at.clone(),
        snapshots: image.block_devices.iter().filter_map(|device| device.snapshot.clone()).collect(),
    })
}

/// Every reason why an AMI is not the one that was recorded. `in_lock`: the lock says its state, so that its tag `assay:state` does not count.
pub(super) fn compare(
    seen: &SeenImages,
    wanted: &AmiRecord,
    image: &ImageName,
    run: RunId,
    in_lock: bool,
) -> Vec<MoveRefusal> {
    let ami = &wanted.ami;
    let refuse = |reason: String| MoveRefusal::new(ami, reason);
    let there = match seen.get(ami) {
        Some(Some(there)) => there,
        Some(None) => return vec![refuse("does not exist any more".to_owned())],
        // Nobody answered: whoever asks decided that it may be asked later.
        None => return Vec::new(),
    };
    let mut refusals = Vec::new();
    if there.state != "available" {
        refusals.push(refuse(format!("is {}, not available", there.state)));
    }
    let Some(found) = record(ami.clone(), there) else {
        refusals.push(refuse(format!(
            "is of architecture {:?}, not {}",
            there.attributes.architecture, wanted.architecture
        )));
        return refusals;
    };
    let pairs = [
        ("architecture", found.architecture.to_string(), wanted.architecture.to_string()),
        ("name", found.name, wanted.name.clone()),
        ("owner", found.owner.to_string(), wanted.owner.to_string()),
        ("creation date", found.created_at, wanted.created_at.clone()),
        ("snapshots", found.snapshots.join(", "), wanted.snapshots.join(", ")),
    ];
    for (what, found, wanted) in pairs.into_iter().filter(|(_, found, wanted)| found != wanted) {
        refusals.push(refuse(format!("its {what} is {found:?}; {wanted:?} is recorded")));
    }
    refusals.extend(tagged(there, image, run, in_lock).into_iter().map(refuse));
    refusals
}

fn tagged(image: &CloudImage, line: &ImageName, run: RunId, in_lock: bool) -> Vec<String> {
    let run = run.to_string();
    let mut reasons = Vec::new();
    for (key, wanted) in [(tags::MANAGED, "true"), (tags::IMAGE, line.as_str()), (tags::RUN, run.as_str())] {
        let found = image.tags.get(key).map(String::as_str);
        if found != Some(wanted) {
            let found = found.map_or("is missing".to_owned(), |found| format!("is {found:?}"));
            reasons.push(format!("its tag {key} {found}; expected {wanted:?}"));
        }
    }
    if in_lock {
        return reasons;
    }
    match image.tags.get(tags::STATE).map(|text| (text, text.parse::<ImageState>())) {
        Some((_, Ok(ImageState::Candidate))) => {}
        Some((_, Ok(state @ (ImageState::Vetted | ImageState::Gold)))) => reasons.push(format!(
            "its tag {} says {state}, which only the lock can: the template or the builder wrote it; build it again without",
            tags::STATE
        )),
        Some((text, _)) => reasons.push(format!("its tag {} is {text:?}; expected \"candidate\"", tags::STATE)),
        None => reasons.push(format!("its tag {} is missing; expected \"candidate\"", tags::STATE)),
    }
    reasons
}

/// Every reason why what a candidate says that it was made from is not what its AMIs' own tags say. Those were written by the builder when it stamped them; the file by whoever wrote the
/// commit.
pub(super) fn origin(seen: &SeenImages, candidate: &Candidate) -> Vec<MoveRefusal> {
    let said = candidate.provenance.source_digest.as_ref().map(Digest::as_str);
    let parent = candidate.provenance.parent.as_ref().map(AmiId::as_str);
    let mut refusals = Vec::new();
    let mut parents = BTreeSet::new();
    for ami in candidate.amis.iter().map(|ami| &ami.record.ami) {
        let Some(Some(there)) = seen.get(ami) else { continue };
        let tag = |key: &str| there.tags.get(key).map(String::as_str);
        if tag(tags::SOURCE_DIGEST) != said {
            let (key, found, said) = (tags::SOURCE_DIGEST, shown(tag(tags::SOURCE_DIGEST)), shown(said));
            refusals.push(MoveRefusal::new(ami, format!("its tag {key} is {found}; its candidate file says {said}")));
        }
        parents.insert(tag(tags::PARENT));
    }
    // Each architecture has a parent of its own, and the candidate records one of them.
    if !parents.is_empty() && !parents.contains(&parent) {
        let found: Vec<String> = parents.into_iter().map(shown).collect();
        let why = format!(
            "its candidate file says that it was built on {}; the tags {} of its AMIs say {}",
            shown(parent),
            tags::PARENT,
            found.join(", ")
        );
        refusals.push(MoveRefusal::new(format!("run {}", candidate.run), why));
    }
    refusals
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(|| "missing".to_owned(), assay_model::escape::escape_line)
}

/// Every AMI that belongs to another account than `ours`: whoever owns it can deregister or unshare it.
pub(super) fn foreign<'a>(records: impl Iterator<Item = &'a AmiRecord>, ours: &AccountId) -> Vec<MoveRefusal> {
    let foreign = records.filter(|record| record.owner != *ours);
    foreign
        .map(|record| {
            let why = format!("belongs to account {}, and these credentials are of account {ours}", record.owner);
            MoveRefusal::new(&record.ami, format!("{why}: only AMIs of one's own become gold"))
        })
        .collect()
}

/// The AMIs of a candidate that no evidence covers: neither tested themselves nor, by EC2's word, copies of one that was.
pub(super) fn uncovered(seen: &SeenImages, candidate: &Candidate, covered: &BTreeSet<AmiRef>) -> Vec<MoveRefusal> {
    let open = candidate.amis.iter().map(|ami| &ami.record.ami).filter(|ami| !covered.contains(ami));
    open.filter_map(|ami| {
        let source = seen.get(ami)?.as_ref().and_then(source_of);
        if source.as_ref().is_some_and(|source| covered.contains(source)) {
            return None;
        }
        let of = source.map_or(String::new(), |source| format!("; EC2 says that it is a copy of {source}"));
        Some(MoveRefusal::new(ami, format!("the evidence does not cover it{of}")))
    })
    .collect()
}

/// Every reason why a copy in the lock is not one of what it should be.
pub(super) fn copied(seen: &SeenImages, copy: &LockCopy, candidate: &Candidate) -> Option<MoveRefusal> {
    let there = seen.get(&copy.record.ami)?.as_ref()?;
    if !candidate.amis.iter().any(|ami| ami.record.ami == copy.of) {
        return Some(MoveRefusal::new(&copy.record.ami, format!("is a copy of {}, no AMI of this run", copy.of)));
    }
    let source = source_of(there);
    (source.as_ref() != Some(&copy.of)).then(|| {
        let says = source.map_or("of nothing".to_owned(), |source| format!("of {source}"));
        MoveRefusal::new(&copy.record.ami, format!("EC2 says that it is a copy {says}; the lock says of {}", copy.of))
    })
}

/// What EC2 says that an AMI was copied from (SourceImageId and SourceImageRegion of DescribeImages).
pub(super) fn source_of(image: &CloudImage) -> Option<AmiRef> {
    let (id, region) = (&image.attributes.source_image_id, &image.attributes.source_image_region);
    Some(AmiRef { region: region.parse().ok()?, id: id.parse().ok()? })
}

/// The AMIs whose tag names a parent that is none of `parents`. Each architecture has a parent of its own, and the candidate records one.
pub(super) fn orphans(
    seen: &SeenImages,
    candidate: &Candidate,
    parents: &[AmiRecord],
    parent: &ImageName,
) -> Vec<MoveRefusal> {
    let of_parent = |id: &str| parents.iter().any(|record| record.ami.id.as_str() == id);
    let strange = |ami: &AmiRef| {
        let id = seen.get(ami)?.as_ref()?.tags.get(tags::PARENT)?;
        (!of_parent(id)).then(|| {
            let id = assay_model::escape::escape_line(id);
            MoveRefusal::new(ami, format!("was built on {id}, which is not gold of image {parent}; build it again"))
        })
    };
    candidate.amis.iter().filter_map(|ami| strange(&ami.record.ami)).collect()
}
