//! Looking at the cloud: every AMI that a lock names, its snapshots' tags and who may launch it, what else claims to be gold, the parameters. It owns which
//! call answers which question, and that a region that does not answer is named and never taken for one without differences.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;

use super::{
    drift::{self, Expected, Seen},
    finding::Drift,
};
use assay_aws::{
    cloud::{Cloud, CloudError, CloudErrorKind, CloudFactory, Image, Snapshot},
    registry::is_of_another_build,
};
use assay_config::file::ImageDecl;
use assay_model::{Region, State, lock::Lock, tags};

/// How many calls are under way at a time.
const AT_ONCE: usize = 16;

/// One image as it is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// As the protected branch declares it.
    pub declared: ImageDecl,
    /// The protected branch's lock.
    pub lock: Lock,
}

/// What could not be learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Where.
    pub region: Region,
    /// Why.
    pub message: String,
}

/// What a look found.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// Every difference.
    pub drift: Vec<Drift>,
    /// Every region, AMI or parameter that did not answer.
    pub unknown: Vec<Unknown>,
    /// The same in regions that nothing is asked of any more: assay.hcl does not name them.
    pub left: Vec<Unknown>,
}

/// Looks at every subject. `regions`: only there; empty: wherever a lock or a declaration names. `owner`: see [`drift::planted`].
pub async fn look(
    factory: &dyn CloudFactory,
    subjects: &[Subject],
    regions: &[Region],
    owner: Option<&str>,
    now: Timestamp,
) -> Looked {
    let places = places(subjects, regions);
    let looks = places.iter().map(|region| async move {
        let cloud = factory.region(region);
        Look { cloud: cloud.as_ref(), subjects, owner, now, found: Looked::default() }.region().await
    });
    let mut all = Looked::default();
    for found in futures::future::join_all(looks).await {
        all.drift.extend(found.drift);
        all.unknown.extend(found.unknown);
    }
    let left = |unknown: &Unknown| !regions.contains(&unknown.region) && is_left(subjects, &unknown.region, now);
    (all.left, all.unknown) = all.unknown.drain(..).partition(left);
    for subject in subjects {
        all.drift.extend(drift::missing_copies(&subject.lock, &subject.declared, regions));
    }
    let order = |drift: &Drift| {
        let place = subjects.iter().position(|subject| subject.lock.image == drift.image);
        (place, drift.run, drift.region.clone(), drift.ami.clone())
    };
    all.drift.sort_by_key(order);
    all
}

/// The regions to look at.
fn places(subjects: &[Subject], regions: &[Region]) -> BTreeSet<Region> {
    let named = |subject: &Subject| {
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
fn is_left(subjects: &[Subject], region: &Region, now: Timestamp) -> bool {
    subjects.iter().all(|subject| {
        let must_be_there = |one: &Expected| one.record.ami.region == *region && is_missed(subject, one);
        !subject.declared.names(region) && !drift::expected(&subject.lock, now).iter().any(must_be_there)
    })
}

/// Whether an AMI is missed when it is gone: not in a region that was given up.
fn is_missed(subject: &Subject, one: &Expected) -> bool {
    let candidate = subject.lock.candidate(one.run);
    one.needed && candidate.is_some_and(|candidate| subject.declared.covers(&one.record.ami.region, candidate))
}

struct Look<'a> {
    cloud: &'a dyn Cloud,
    subjects: &'a [Subject],
    owner: Option<&'a str>,
    now: Timestamp,
    found: Looked,
}

impl Look<'_> {
    async fn region(mut self) -> Looked {
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
        let marked: BTreeMap<String, Snapshot> = snapshots.into_iter().map(|one| (one.id.clone(), one)).collect();
        for subject in self.subjects {
            let region = self.cloud.region();
            self.found.drift.extend(drift::planted(&subject.lock, self.owner, region, &images));
            self.amis(subject, &images, &marked).await;
            self.parameters(subject).await;
        }
        self.found
    }

    async fn amis(&mut self, subject: &Subject, images: &[Image], marked: &BTreeMap<String, Snapshot>) {
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
            self.found.drift.extend(findings.into_iter().map(|finding| Drift {
                image: subject.lock.image.clone(),
                run: Some(one.run),
                ami: Some(one.record.ami.clone()),
                region: Some(one.record.ami.region.clone()),
                finding,
            }));
        }
    }

    async fn parameters(&mut self, subject: &Subject) {
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
        let unknown = Unknown { region: self.cloud.region().clone(), message: error.to_string() };
        if !self.found.unknown.contains(&unknown) {
            self.found.unknown.push(unknown);
        }
    }
}

/// One AMI, and what could not be learned of it. No `Seen`: not even whether it is there.
async fn ami(
    cloud: &dyn Cloud,
    expected: &Expected,
    images: &[Image],
    marked: &BTreeMap<String, Snapshot>,
) -> (Option<Seen>, Vec<CloudError>) {
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
        return (Some(Seen::default()), errors);
    }
    let mut seen = Seen { image, ..Seen::default() };
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
    if matches!(expected.wanted.state, State::Gold | State::Vetted | State::Retired | State::Revoked) {
        match cloud.image_sharing(id).await {
            Ok(shared) => seen.shared = Some(shared),
            Err(error) => errors.push(error),
        }
    }
    (Some(seen), errors)
}
