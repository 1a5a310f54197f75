//! Looking at the cloud: every AMI that a lock names, its snapshots' tags and who may launch it, what else claims to be gold, the parameters. It owns which
//! call answers which question, and that a region that does not answer is named and never taken for one without differences.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;

use super::{
    drift::{self, ExpectedImage, SeenImage},
    finding::StatusDrift,
};
use assay_aws::{
    cloud::{Cloud, CloudError, CloudErrorKind, CloudFactory, CloudImage, EbsSnapshot},
    registry::is_of_another_build,
};
use assay_config::file::ImageDecl;
use assay_model::{ImageState, Region, lock::Lock, tags};

/// How many calls are under way at a time.
const AT_ONCE: usize = 16;

/// One image as it is looked at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StatusSubject {
    /// As the protected branch declares it.
    pub declared: ImageDecl,
    /// The protected branch's lock.
    pub lock: Lock,
}

/// What could not be learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownFact {
    /// Where.
    pub region: Region,
    /// Why.
    pub message: String,
}

/// What a look found.
#[derive(Debug, Clone, Default)]
pub(crate) struct LookedAt {
    /// Every difference.
    pub drift: Vec<StatusDrift>,
    /// Every region, AMI or parameter that did not answer.
    pub unknown: Vec<UnknownFact>,
    /// The same in regions that nothing is asked of any more: assay.hcl does not name them.
    pub left: Vec<UnknownFact>,
}

/// Looks at every subject. `regions`: only there; empty: wherever a lock or a declaration names. `owner`: see [`drift::planted`].
pub(super) async fn look(
    factory: &dyn CloudFactory,
    subjects: &[StatusSubject],
    regions: &[Region],
    owner: Option<&str>,
    now: Timestamp,
) -> LookedAt {
    let places = places(subjects, regions);
    let looks = places.iter().map(|region| async move {
        let cloud = factory.region(region);
        StatusLook { cloud: cloud.as_ref(), subjects, owner, now, found: LookedAt::default() }.region().await
    });
    let mut all = LookedAt::default();
    for found in futures::future::join_all(looks).await {
        all.drift.extend(found.drift);
        all.unknown.extend(found.unknown);
    }
    let left = |unknown: &UnknownFact| !regions.contains(&unknown.region) && is_left(subjects, &unknown.region, now);
    (all.left, all.unknown) = all.unknown.drain(..).partition(left);
    for subject in subjects {
        all.drift.extend(drift::missing_copies(&subject.lock, &subject.declared, regions));
    }
    let order = |drift: &StatusDrift| {
        let place = subjects.iter().position(|subject| subject.lock.image == drift.image);
        (place, drift.run, drift.region.clone(), drift.ami.clone())
    };
    all.drift.sort_by_key(order);
    all
}

/// The regions to look at.
fn places(subjects: &[StatusSubject], regions: &[Region]) -> BTreeSet<Region> {
    let named = |subject: &StatusSubject| {
        let lock = &subject.lock;
        let mut named: Vec<Region> =
            lock.runs().into_iter().flat_map(|run| lock.amis(run)).map(|record| record.ami.region).collect();
        named.extend(subject.declared.regions.iter().chain(&subject.declared.distribution.ami_regions).cloned());
        named
    };
    let all = subjects.iter().flat_map(named);
    all.filter(|region| regions.is_empty() || regions.contains(region)).chain(regions.iter().cloned()).collect()
}

/// Whether a region was given up: assay.hcl does not name it, and nothing that is missed when it is gone must be there.
fn is_left(subjects: &[StatusSubject], region: &Region, now: Timestamp) -> bool {
    subjects.iter().all(|subject| {
        let must_be_there = |one: &ExpectedImage| one.record.ami.region == *region && is_missed(subject, one);
        !subject.declared.names(region) && !drift::expected(&subject.lock, now).iter().any(must_be_there)
    })
}

/// Whether an AMI is missed when it is gone: not in a region that was given up.
fn is_missed(subject: &StatusSubject, one: &ExpectedImage) -> bool {
    let candidate = subject.lock.candidate(one.run);
    one.needed && candidate.is_some_and(|candidate| subject.declared.covers(&one.record.ami.region, candidate))
}

struct StatusLook<'a> {
    cloud: &'a dyn Cloud,
    subjects: &'a [StatusSubject],
    owner: Option<&'a str>,
    now: Timestamp,
    found: LookedAt,
}

impl StatusLook<'_> {
    async fn region(mut self) -> LookedAt {
        let managed = [(tags::MANAGED.to_owned(), "true".to_owned())];
        let (images, snapshots) = futures::join!(self.cloud.own_images(), self.cloud.find_snapshots(&managed));
        let (images, snapshots) = match (images, snapshots) {
            (Ok(images), Ok(snapshots)) => (images, snapshots),
            (images, snapshots) => {
                for error in [images.err(), snapshots.err()].into_iter().flatten() {
                    self.unknown(&error);
                }
                return self.found;
            }
        };
        let marked: BTreeMap<String, EbsSnapshot> = snapshots.into_iter().map(|one| (one.id.clone(), one)).collect();
        for subject in self.subjects {
            let region = self.cloud.region();
            self.found.drift.extend(drift::planted(&subject.lock, self.owner, region, &images));
            self.amis(subject, &images, &marked).await;
            self.parameters(subject).await;
        }
        self.found
    }

    async fn amis(&mut self, subject: &StatusSubject, images: &[CloudImage], marked: &BTreeMap<String, EbsSnapshot>) {
        let here = self.cloud.region();
        let mut expected = drift::expected(&subject.lock, self.now);
        expected.retain(|one| one.record.ami.region == *here);
        expected.iter_mut().for_each(|one| one.needed = is_missed(subject, one));
        let cloud = self.cloud;
        let looks = expected.iter().map(|one| async move { (one, ami(cloud, one, images, marked).await) });
        let mut looks = stream::iter(looks).buffered(AT_ONCE);
        let mut all = Vec::new();
        while let Some(seen) = looks.next().await {
            all.push(seen);
        }
        drop(looks);
        for (one, (seen, errors)) in all {
            errors.iter().for_each(|error| self.unknown(error));
            let Some(seen) = seen else { continue };
            let findings = drift::of_ami(one, &seen, &subject.declared.distribution, self.now);
            self.found.drift.extend(findings.into_iter().map(|finding| StatusDrift {
                image: subject.lock.image.clone(),
                run: Some(one.run),
                ami: Some(one.record.ami.clone()),
                region: Some(one.record.ami.region.clone()),
                finding,
            }));
        }
    }

    async fn parameters(&mut self, subject: &StatusSubject) {
        let here = self.cloud.region().clone();
        let wanted = drift::parameters(&subject.lock, &subject.declared.distribution);
        for ((region, name), id) in wanted.iter().filter(|((region, _), _)| *region == here) {
            match self.cloud.get_parameter(name).await {
                Ok(found) => {
                    let (image, gold) = (&subject.lock.image, subject.lock.gold);
                    self.found.drift.extend(drift::of_parameter(image, gold, (region, name), id, found));
                }
                Err(error) => self.unknown(&error),
            }
        }
    }

    fn unknown(&mut self, error: &CloudError) {
        let unknown = UnknownFact { region: self.cloud.region().clone(), message: error.to_string() };
        if !self.found.unknown.contains(&unknown) {
            self.found.unknown.push(unknown);
        }
    }
}

/// One AMI, and what could not be learned of it. No `Seen`: not even whether it is there.
async fn ami(
    cloud: &dyn Cloud,
    expected: &ExpectedImage,
    images: &[CloudImage],
    marked: &BTreeMap<String, EbsSnapshot>,
) -> (Option<SeenImage>, Vec<CloudError>) {
    let id = &expected.record.ami.id;
    let mut errors = Vec::new();
    let image = match images.iter().find(|image| image.id == *id) {
        Some(image) => Some(image.clone()),
        // It lost its mark, belongs to another account, or is gone.
        None => match cloud.describe_images(std::slice::from_ref(id)).await {
            Ok(found) => found.into_iter().next(),
            Err(error) if error.kind == CloudErrorKind::NotFound => None,
            Err(error) => return (None, vec![error]),
        },
    };
    if image.is_none() {
        return (Some(SeenImage::default()), errors);
    }
    let mut seen = SeenImage { image, ..SeenImage::default() };
    let (mut known, mut lost) = (BTreeMap::new(), Vec::new());
    for snapshot in &expected.record.snapshots {
        match marked.get(snapshot) {
            Some(one) if is_of_another_build(one, &expected.record.created_at) => {
                seen.mapped.insert(snapshot.clone());
            }
            Some(one) => drop(known.insert(snapshot.clone(), one.tags.clone())),
            None => lost.push(snapshot.clone()),
        }
    }
    if !lost.is_empty() {
        match futures::join!(cloud.describe_tags(&lost), cloud.describe_snapshots(&lost)) {
            (Ok(tags), Ok(snapshots)) => {
                known.extend(tags);
                let mapped = snapshots.into_iter().filter(|one| is_of_another_build(one, &expected.record.created_at));
                seen.mapped.extend(mapped.map(|one| one.id));
            }
            (tags, snapshots) => return (None, [tags.err(), snapshots.err()].into_iter().flatten().collect()),
        }
    }
    seen.snapshots = known;
    if matches!(
        expected.wanted.state,
        ImageState::Gold | ImageState::Vetted | ImageState::Retired | ImageState::Revoked
    ) {
        match cloud.image_sharing(id).await {
            Ok(shared) => seen.shared = Some(shared),
            Err(error) => errors.push(error),
        }
    }
    (Some(seen), errors)
}
