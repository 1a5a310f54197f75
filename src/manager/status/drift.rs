//! What lock and assay.hcl ask for, held against what the cloud showed. Pure functions of plain facts; they own which difference counts for which state.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan as _};

use super::finding::{StatusDrift, StatusFinding};
use assay_aws::{
    cloud::{CloudImage, ImageSharing, SharedWith},
    registry::WantedTags,
};
use assay_config::file::{DistributionDecl, ImageDecl};
use assay_model::{AmiId, AmiRecord, AmiRef, ImageName, ImageState, Region, RunId, lock::Lock, tags};

type ImageTags = BTreeMap<String, String>;

/// One AMI that the lock names, and what is asked of it.
#[derive(Debug, Clone)]
pub(crate) struct ExpectedImage {
    /// Its run.
    pub run: RunId,
    /// As it was recorded.
    pub record: AmiRecord,
    /// What the lock asks of its tags, and when it was revoked.
    pub wanted: WantedTags,
    /// Whether it is missed when it is gone.
    pub needed: bool,
    /// Whether promotion made it, and can make it again.
    pub is_copy: bool,
}

/// What the cloud showed of one AMI.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeenImage {
    /// `None`: there is none.
    pub image: Option<CloudImage>,
    /// Tags of its snapshots, by id.
    pub snapshots: BTreeMap<String, ImageTags>,
    /// Those of its snapshots that the build did not make: their tags are none of the lock's business.
    pub mapped: BTreeSet<String>,
    /// Who may launch it; `None`: was not asked or could not be learned.
    pub shared: Option<SharedWith>,
}

/// Every AMI that the lock names, but those of rejected runs; each run's as its last entry asks.
pub(super) fn expected(lock: &Lock, now: Timestamp) -> Vec<ExpectedImage> {
    // Older ones may have been pruned: that they are gone is no difference.
    let kept = lock.rollback_target();
    let mut expected = Vec::new();
    for run in lock.runs() {
        let Some(wanted) = WantedTags::of(lock, run, now).filter(|wanted| wanted.state != ImageState::Rejected) else {
            continue;
        };
        let needed = match wanted.state {
            ImageState::Gold | ImageState::Vetted => true,
            ImageState::Retired => kept == Some(run),
            _ => false,
        };
        expected.extend(lock.amis(run).into_iter().map(|record| {
            let wanted = wanted.clone();
            let is_copy = lock.copies(run).any(|copy| copy.record.ami == record.ami);
            ExpectedImage { run, record, wanted, needed, is_copy }
        }));
    }
    expected
}

/// What differs with one AMI.
pub(crate) fn of_ami(
    expected: &ExpectedImage,
    seen: &SeenImage,
    distribution: &DistributionDecl,
    now: Timestamp,
) -> Vec<StatusFinding> {
    let state = expected.wanted.state;
    let Some(image) = &seen.image else {
        let region = &expected.record.ami.region;
        let is_copy = expected.is_copy && distribution.ami_regions.contains(region);
        return expected.needed.then_some(StatusFinding::Gone { state, is_copy }).into_iter().collect();
    };
    let mut findings = identity(&expected.record, image);
    if !findings.is_empty() {
        // Another AMI's tags are none of our business.
        return findings;
    }
    match image.state.as_str() {
        "available" => {}
        "disabled" if matches!(state, ImageState::Gold | ImageState::Vetted) => findings.push(StatusFinding::Disabled),
        "disabled" => {}
        found => findings.push(StatusFinding::NotAvailable { found: found.to_owned() }),
    }
    findings.extend(tag_differences(expected, image, seen));
    if state == ImageState::Gold && !image.deregistration_protected {
        findings.push(StatusFinding::Unprotected);
    }
    findings.extend(deprecation(expected, image, now));
    if let Some(shared) = &seen.shared {
        findings.extend(sharing(expected, shared, distribution));
    }
    findings
}

fn identity(record: &AmiRecord, image: &CloudImage) -> Vec<StatusFinding> {
    let snapshots = |list: &mut Vec<String>| {
        list.sort();
        list.join(" ")
    };
    let mut there: Vec<String> = image.block_devices.iter().filter_map(|device| device.snapshot.clone()).collect();
    let pairs = [
        ("name", image.name.clone(), record.name.clone()),
        ("owner", image.owner.to_string(), record.owner.to_string()),
        ("creation date", instant(&image.created_at), instant(&record.created_at)),
        ("snapshots", snapshots(&mut there), snapshots(&mut record.snapshots.clone())),
    ];
    let different = pairs.into_iter().filter(|(_, found, wanted)| found != wanted);
    different.map(|(what, found, wanted)| StatusFinding::NotTheRecorded { what, found, wanted }).collect()
}

/// One form of a time: EC2 and its imitations differ in fractions of a second.
fn instant(text: &str) -> String {
    text.parse::<Timestamp>().map_or_else(|_| text.to_owned(), |time| time.to_string())
}

fn tag_differences(expected: &ExpectedImage, image: &CloudImage, seen: &SeenImage) -> Vec<StatusFinding> {
    let wanted = &expected.wanted.tags;
    let mut findings = differences(image.id.as_str(), wanted, &image.tags);
    for snapshot in expected.record.snapshots.iter().filter(|id| !seen.mapped.contains(*id)) {
        let none = ImageTags::new();
        let there = seen.snapshots.get(snapshot).unwrap_or(&none);
        if wanted.keys().any(|key| there.contains_key(key)) {
            findings.extend(differences(snapshot, wanted, there));
        } else {
            findings.push(StatusFinding::SnapshotUnmarked { snapshot: snapshot.clone() });
        }
    }
    findings
}

fn differences(resource: &str, wanted: &ImageTags, there: &ImageTags) -> Vec<StatusFinding> {
    let different = wanted.iter().filter(|(key, value)| there.get(*key) != Some(*value));
    different
        .map(|(key, value)| StatusFinding::Retagged {
            resource: resource.to_owned(),
            key: key.clone(),
            found: there.get(key).cloned(),
            wanted: value.clone(),
        })
        .collect()
}

fn deprecation(expected: &ExpectedImage, image: &CloudImage, now: Timestamp) -> Option<StatusFinding> {
    let text = &image.attributes.deprecation_time;
    let there = text.parse::<Timestamp>().ok();
    if expected.wanted.state == ImageState::Gold {
        let since = there.filter(|there| *there <= now)?;
        return Some(StatusFinding::Deprecated { since: since.to_string() });
    }
    // EC2 takes times in the future only: one that came with the repair may still be a moment away.
    let due = expected.wanted.revoked_at?.max(now.checked_add(3.minutes()).unwrap_or(now));
    expected.wanted.misses(there, due).then_some(StatusFinding::NotDeprecated)
}

fn sharing(expected: &ExpectedImage, shared: &SharedWith, distribution: &DistributionDecl) -> Vec<StatusFinding> {
    let declared = declared_sharing(distribution);
    let allowed = if expected.wanted.revoked { ImageSharing::default() } else { declared.clone() };
    let mut findings = Vec::new();
    if shared.public {
        findings.push(StatusFinding::Public);
    }
    let beyond = minus(&shared.sharing, &allowed);
    if !beyond.is_empty() {
        findings.push(StatusFinding::SharedBeyond { whom: beyond });
    }
    let lacking = minus(&declared, &shared.sharing);
    if expected.wanted.state == ImageState::Gold && !lacking.is_empty() {
        findings.push(StatusFinding::NotShared { whom: lacking });
    }
    findings
}

fn declared_sharing(distribution: &DistributionDecl) -> ImageSharing {
    ImageSharing {
        users: distribution.ami_users.clone(),
        org_arns: distribution.ami_org_arns.clone(),
        ou_arns: distribution.ami_ou_arns.clone(),
    }
}

fn minus(all: &ImageSharing, known: &ImageSharing) -> ImageSharing {
    fn without<T: Clone + PartialEq>(all: &[T], known: &[T]) -> Vec<T> {
        all.iter().filter(|one| !known.contains(one)).cloned().collect()
    }
    ImageSharing {
        users: without(&all.users, &known.users),
        org_arns: without(&all.org_arns, &known.org_arns),
        ou_arns: without(&all.ou_arns, &known.ou_arns),
    }
}

/// The AMIs of a region that say they are vetted or gold of `lock`'s image, and are none of the lock's. `owner`: what another repository's AMIs say
/// differently.
pub(super) fn planted(lock: &Lock, owner: Option<&str>, region: &Region, images: &[CloudImage]) -> Vec<StatusDrift> {
    let known: BTreeSet<AmiRef> =
        lock.runs().into_iter().flat_map(|run| lock.amis(run)).map(|record| record.ami).collect();
    let ours = |image: &&CloudImage| {
        let theirs = image.tags.get(tags::OWNER).map(String::as_str);
        image.tags.get(tags::IMAGE).map(String::as_str) == Some(lock.image.as_str())
            && (owner.is_none() || theirs.is_none() || theirs == owner)
    };
    let mut found = Vec::new();
    for image in images.iter().filter(ours) {
        let ami = AmiRef { region: region.clone(), id: image.id.clone() };
        let claims = image.tags.get(tags::STATE).and_then(|text| text.parse::<ImageState>().ok());
        let claims = claims.filter(|state| matches!(state, ImageState::Gold | ImageState::Vetted));
        if let Some(claims) = claims.filter(|_| !known.contains(&ami)) {
            found.push(StatusDrift {
                image: lock.image.clone(),
                run: image.tags.get(tags::RUN).and_then(|run| run.parse().ok()),
                region: Some(region.clone()),
                ami: Some(ami),
                finding: StatusFinding::Planted { claims },
            });
        }
    }
    found
}

/// Where assay.hcl wants gold and there is none; only in `regions` where these are named.
pub(super) fn missing_copies(lock: &Lock, declared: &ImageDecl, regions: &[Region]) -> Vec<StatusDrift> {
    let Some(gold) = lock.gold else { return Vec::new() };
    let amis = lock.amis(gold);
    let mut architectures = declared.architectures.clone();
    if architectures.is_empty() {
        architectures.extend(amis.iter().map(|record| record.architecture));
        architectures.sort();
        architectures.dedup();
    }
    let wanted: BTreeSet<&Region> = declared.regions.iter().chain(&declared.distribution.ami_regions).collect();
    let mut missing = Vec::new();
    for region in wanted.into_iter().filter(|region| regions.is_empty() || regions.contains(region)) {
        for architecture in &architectures {
            let there = |record: &AmiRecord| record.architecture == *architecture && record.ami.region == *region;
            if !amis.iter().any(there) {
                let copied = declared.distribution.ami_regions.contains(region)
                    && amis.iter().any(|record| record.architecture == *architecture);
                missing.push(StatusDrift {
                    image: lock.image.clone(),
                    run: Some(gold),
                    ami: None,
                    region: Some(region.clone()),
                    finding: StatusFinding::CopyMissing { architecture: *architecture, copied },
                });
            }
        }
    }
    missing
}

/// The parameters that must point to gold: region and name → the AMI.
pub(super) fn parameters(lock: &Lock, distribution: &DistributionDecl) -> BTreeMap<(Region, String), AmiId> {
    let mut wanted = BTreeMap::new();
    let (Some(gold), Some(name)) = (lock.gold, &distribution.ssm_parameter) else { return wanted };
    for record in lock.amis(gold) {
        let name = name.replace("{architecture}", record.architecture.as_str());
        wanted.entry((record.ami.region, name)).or_insert(record.ami.id);
    }
    wanted
}

/// What differs with a parameter.
pub(super) fn of_parameter(
    image: &ImageName,
    run: Option<RunId>,
    (region, name): (&Region, &str),
    wanted: &AmiId,
    found: Option<String>,
) -> Option<StatusDrift> {
    if found.as_deref() == Some(wanted.as_str()) {
        return None;
    }
    let finding = StatusFinding::Parameter { name: name.to_owned(), found, wanted: wanted.to_string() };
    Some(StatusDrift { image: image.clone(), run, ami: None, region: Some(region.clone()), finding })
}
