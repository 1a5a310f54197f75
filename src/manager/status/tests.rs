//! Every difference, planted in a cloud in memory that is in order otherwise: it is found, nothing else is, and what can be mended is.

use std::path::Path;

use jiff::{Timestamp, ToSpan as _};

use super::{
    StatusDrift,
    look::{LookedAt, StatusSubject, look},
    repair::mend,
};
use assay_aws::cloud::fake::sample_image;
use assay_aws::{
    cloud::{
        CloudErrorKind, CloudFactory, CloudImage, EbsSnapshot, ImageSharing, SharedWith,
        fake::{FakeCloud, FakeFault},
    },
    registry::WantedTags,
};
use assay_config::file;
use assay_ledger::lock_file;
use assay_model::{
    AmiId, AmiRecord, Candidate, CandidateAmi, Digest, ImageState, Provenance, Region, RunId, Verdict,
    lock::{Lock, LockCopy, LockEntry},
    tags,
};

const HCL: &str = r#"image "base" {
  regions = ["us-east-1"]
  distribution {
    ami_regions   = ["eu-west-1"]
    ami_users     = ["210987654321"]
    ssm_parameter = "/images/base/{architecture}"
  }
  retention {
    keep_releases = 1
  }
}
"#;
const OWNER: &str = "github.com/example/images";

fn run(number: u8) -> RunId {
    format!("01KAQ3B6G0R8ZJ5Q2X7V9N4M{number:02}").parse().expect("a run")
}

fn ami(number: u8) -> AmiId {
    format!("ami-0abcdef12345678{number:02}").parse().expect("an AMI")
}

fn region(name: &str) -> Region {
    name.parse().expect("a region")
}

fn record(region: &str, number: u8) -> AmiRecord {
    let image = sample_image(ami(number).as_str(), &[&format!("snap-{number}")]);
    AmiRecord {
        ami: format!("{region}:{}", ami(number)).parse().expect("an AMI"),
        architecture: image.architecture.expect("x86_64"),
        name: image.name,
        owner: image.owner,
        created_at: image.created_at,
        snapshots: vec![format!("snap-{number}")],
    }
}

fn ago(days: i64) -> String {
    Timestamp::now().checked_sub((24 * days).hours()).expect("a time").to_string()
}

/// Run 3 is gold (AMI 3, copy 13 in eu-west-1), 2 was, 1 was before it; 4 is vetted, 5 is revoked.
fn lock() -> Lock {
    let mut lock = Lock::new("base".parse().expect("a name"));
    for (number, state, days) in [
        (1, ImageState::Vetted, 40),
        (1, ImageState::Gold, 40),
        (2, ImageState::Vetted, 30),
        (1, ImageState::Retired, 30),
        (2, ImageState::Gold, 30),
        (5, ImageState::Vetted, 20),
        (5, ImageState::Revoked, 19),
        (3, ImageState::Vetted, 10),
        (2, ImageState::Retired, 10),
        (3, ImageState::Gold, 10),
        (4, ImageState::Vetted, 1),
    ] {
        let first = lock.candidate(run(number)).is_none();
        let copy = LockCopy { record: record("eu-west-1", number + 10), of: record("us-east-1", number).ami };
        let entry = LockEntry {
            run: run(number),
            state,
            by: "https://ci.example/7".to_owned(),
            at: ago(days),
            reason: "test".to_owned(),
            evidence: None,
            effective_at: None,
            previous: None,
            candidate: first.then(|| candidate(number, days)),
            copies: if state == ImageState::Gold { vec![copy] } else { Vec::new() },
        };
        lock_file::append(&mut lock, entry);
    }
    lock.gold = Some(run(3));
    lock
}

fn candidate(number: u8, days: i64) -> Candidate {
    let (evidence, tested_at) = (Digest::of(&[number]), ago(days));
    let record = record("us-east-1", number);
    let state = ImageState::Candidate;
    Candidate {
        image: "base".parse().expect("a name"),
        run: run(number),
        state,
        verdict: Verdict::Passed,
        tested_at: tested_at.clone(),
        provenance: Provenance::default(),
        evidence: evidence.clone(),
        amis: vec![CandidateAmi { record, state, evidence, tested_at }],
    }
}

struct Scene {
    cloud: FakeCloud,
    subjects: Vec<StatusSubject>,
}

/// A cloud that is as the lock wants it.
fn scene() -> Scene {
    let mut problems = Vec::new();
    let file = file::parse(Path::new("/x/assay.hcl"), Path::new("assay.hcl"), HCL, &mut problems).expect("HCL");
    assert!(problems.is_empty(), "{problems:?}");
    let subject = StatusSubject { declared: file.images[0].clone(), lock: lock() };
    let cloud = FakeCloud::new();
    for one in super::drift::expected(&subject.lock, Timestamp::now()) {
        if one.run == run(1) {
            continue; // Retired, and not held by retention: pruned.
        }
        let (place, wanted) = (&one.record.ami.region, &one.wanted);
        let mut there: CloudImage = sample_image(one.record.ami.id.as_str(), &[one.record.snapshots[0].as_str()]);
        there.tags = wanted.tags.clone();
        there.tags.insert(tags::OWNER.to_owned(), OWNER.to_owned());
        there.deregistration_protected = wanted.state == ImageState::Gold;
        if let Some(at) = wanted.revoked_at {
            there.attributes.deprecation_time = at.to_string();
        }
        cloud.add_image(place, there);
        let id = one.record.snapshots[0].clone();
        let snapshot = EbsSnapshot { id: id.clone(), tags: wanted.tags.clone(), ..EbsSnapshot::default() };
        cloud.holdings(place, |holdings| holdings.snapshots.insert(id, snapshot));
        if matches!(wanted.state, ImageState::Gold | ImageState::Retired) {
            let users = vec!["210987654321".parse().expect("an account")];
            let shared = SharedWith { sharing: ImageSharing { users, ..ImageSharing::default() }, public: false };
            cloud.holdings(place, |holdings| holdings.sharing.insert(one.record.ami.id.clone(), shared));
        }
    }
    for (place, number) in [("us-east-1", 3), ("eu-west-1", 13)] {
        cloud.holdings(&region(place), |holdings| {
            holdings.parameters.insert("/images/base/x86_64".to_owned(), ami(number).to_string())
        });
    }
    Scene { cloud, subjects: vec![subject] }
}

impl Scene {
    async fn look(&self) -> LookedAt {
        look(&self.cloud, &self.subjects, &[], Some(OWNER), Timestamp::now()).await
    }

    fn edit(&self, place: &str, number: u8, edit: impl FnOnce(&mut CloudImage)) {
        let mut image = self.cloud.image(&region(place), &ami(number)).expect("there");
        edit(&mut image);
        self.cloud.add_image(&region(place), image);
    }

    fn share(&self, number: u8, users: &[&str], public: bool) {
        let users = users.iter().map(|user| user.parse().expect("an account")).collect();
        let shared = SharedWith { sharing: ImageSharing { users, ..ImageSharing::default() }, public };
        self.cloud.holdings(&region("us-east-1"), |holdings| holdings.sharing.insert(ami(number), shared));
    }

    fn tag(&self, number: u8, key: &str, value: &str) {
        self.edit("us-east-1", number, |image| drop(image.tags.insert(key.to_owned(), value.to_owned())));
    }

    /// Removes the AMI without EC2's rules.
    async fn remove(&self, number: u8) {
        self.edit("us-east-1", number, |image| image.deregistration_protected = false);
        self.cloud.region(&region("us-east-1")).deregister_image(&ami(number)).await.expect("gone");
    }
}

fn names(drift: &[StatusDrift]) -> Vec<String> {
    let name = |one: &StatusDrift| {
        let id = one.ami.as_ref().map_or(String::new(), |ami| format!(" {}", &ami.id.as_str()[19..]));
        format!("{}{id}", one.finding.name())
    };
    drift.iter().map(name).collect()
}

#[tokio::test]
async fn a_cloud_that_follows_the_lock_has_no_drift() {
    let looked = scene().look().await;
    assert_eq!((names(&looked.drift), looked.unknown), (Vec::<String>::new(), Vec::new()));
}

type Plant = fn(&Scene);

/// What is planted, what is found, and what is left after the repair.
const PLANTED: &[(&str, Plant, &[&str], &[&str])] = &[
    ("retagged", |s| s.tag(3, tags::STATE, "candidate"), &["retagged 03"], &[]),
    ("retagged vetted", |s| s.tag(4, tags::STATE, "gold"), &["retagged 04"], &[]),
    (
        "a copy retagged",
        |s| s.edit("eu-west-1", 13, |image| drop(image.tags.insert(tags::RUN.to_owned(), "x".to_owned()))),
        &["retagged 13"],
        &[],
    ),
    (
        "every tag gone",
        |s| s.edit("us-east-1", 2, |image| image.tags.clear()),
        &["retagged 02", "retagged 02", "retagged 02", "retagged 02", "retagged 02", "retagged 02"],
        &[],
    ),
    (
        "a snapshot retagged",
        |s| {
            s.cloud.holdings(&region("us-east-1"), |holdings| {
                let snapshot = holdings.snapshots.get_mut("snap-3").expect("there");
                snapshot.tags.insert(tags::STATE.to_owned(), "revoked".to_owned());
            });
        },
        &["retagged 03"],
        &[],
    ),
    (
        "a snapshot's tags gone",
        |s| {
            s.cloud.holdings(&region("us-east-1"), |holdings| {
                holdings.snapshots.get_mut("snap-3").expect("there").tags.clear();
            })
        },
        &["snapshot-unmarked 03"],
        &[],
    ),
    (
        "unprotected",
        |s| s.edit("us-east-1", 3, |image| image.deregistration_protected = false),
        &["unprotected 03"],
        &[],
    ),
    (
        "disabled",
        |s| s.edit("us-east-1", 3, |image| image.state = "disabled".to_owned()),
        &["disabled 03"],
        &["disabled 03"],
    ),
    (
        "a retired one is disabled, as pruning does",
        |s| s.edit("us-east-1", 2, |image| image.state = "disabled".to_owned()),
        &[],
        &[],
    ),
    (
        "failed",
        |s| s.edit("us-east-1", 4, |image| image.state = "failed".to_owned()),
        &["not-available 04"],
        &["not-available 04"],
    ),
    (
        "deprecated",
        |s| s.edit("us-east-1", 3, |image| image.attributes.deprecation_time = "2026-01-01T00:00:00Z".to_owned()),
        &["deprecated 03"],
        &[],
    ),
    (
        "deprecated in the future",
        |s| s.edit("us-east-1", 3, |image| image.attributes.deprecation_time = "2999-01-01T00:00:00Z".to_owned()),
        &[],
        &[],
    ),
    (
        "a revocation came due",
        |s| s.edit("us-east-1", 5, |image| image.attributes.deprecation_time.clear()),
        &["not-deprecated 05"],
        &[],
    ),
    ("revoked and still shared", |s| s.share(5, &["210987654321"], false), &["shared-beyond 05"], &[]),
    (
        "another name",
        |s| s.edit("us-east-1", 3, |image| image.name = "other".to_owned()),
        &["not-the-recorded 03"],
        &["not-the-recorded 03"],
    ),
    (
        "another owner and date",
        |s| {
            s.edit("us-east-1", 3, |image| {
                image.owner = "999999999999".parse().expect("an account");
                image.created_at = "2026-11-23T00:00:00Z".to_owned();
            })
        },
        &["not-the-recorded 03", "not-the-recorded 03"],
        &["not-the-recorded 03", "not-the-recorded 03"],
    ),
    ("shared with a stranger", |s| s.share(3, &["210987654321", "666666666666"], false), &["shared-beyond 03"], &[]),
    ("not shared", |s| s.share(3, &[], false), &["not-shared 03"], &[]),
    ("vetted is shared", |s| s.share(4, &["666666666666"], false), &["shared-beyond 04"], &[]),
    ("public", |s| s.share(3, &["210987654321"], true), &["public 03"], &["public 03"]),
    (
        "the parameter points elsewhere",
        |s| {
            s.cloud.holdings(&region("us-east-1"), |holdings| {
                holdings.parameters.insert("/images/base/x86_64".to_owned(), ami(2).to_string());
            })
        },
        &["parameter"],
        &[],
    ),
    (
        "the parameter is gone",
        |s| s.cloud.holdings(&region("eu-west-1"), |holdings| holdings.parameters.clear()),
        &["parameter"],
        &[],
    ),
    (
        "planted",
        |s| {
            let mut planted = sample_image(ami(66).as_str(), &[]);
            planted.tags = WantedTags::of(&s.subjects[0].lock, run(3), Timestamp::now()).expect("gold").tags;
            s.cloud.add_image(&region("us-east-1"), planted);
        },
        &["planted 66"],
        &["planted 66"],
    ),
    (
        "another repository's gold of the same name",
        |s| {
            let mut other = sample_image(ami(66).as_str(), &[]);
            other.tags = WantedTags::of(&s.subjects[0].lock, run(3), Timestamp::now()).expect("gold").tags;
            other.tags.insert(tags::OWNER.to_owned(), "github.com/other/images".to_owned());
            s.cloud.add_image(&region("us-east-1"), other);
        },
        &[],
        &[],
    ),
    (
        "a candidate of ours",
        |s| {
            let mut candidate = sample_image(ami(66).as_str(), &[]);
            candidate.tags = WantedTags::of(&s.subjects[0].lock, run(3), Timestamp::now()).expect("gold").tags;
            candidate.tags.insert(tags::STATE.to_owned(), "candidate".to_owned());
            s.cloud.add_image(&region("us-east-1"), candidate);
        },
        &[],
        &[],
    ),
];

#[tokio::test]
async fn every_planted_difference_is_found_and_nothing_else_and_mended_where_it_can_be() {
    let mut wrong = Vec::new();
    for (what, plant, found, left) in PLANTED {
        let scene = scene();
        plant(&scene);
        let looked = scene.look().await;
        if names(&looked.drift) != *found || !looked.unknown.is_empty() {
            wrong.push(format!("{what}: found {:?} {:?}, wanted {found:?}", names(&looked.drift), looked.unknown));
        }
        let calls = scene.cloud.calls().len();
        let mended = mend(&scene.cloud, &scene.subjects, &looked.drift, &Default::default(), Timestamp::now()).await;
        let after = names(&scene.look().await.drift);
        if after != *left || !mended.failed.is_empty() || mended.done.is_empty() != (found == left) {
            wrong.push(format!("{what}: left {after:?}, wanted {left:?}; {mended:?}"));
        }
        let forbidden = ["RunInstances", "DeregisterImage", "DeleteSnapshot", "DisableImage", "CopyImage"];
        let calls = &scene.cloud.calls()[calls..];
        let action = |call: &String| call.split(' ').nth(1).unwrap_or_default().to_owned();
        assert!(!calls.iter().any(|call| forbidden.contains(&action(call).as_str())), "{what}: {calls:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_gone_is_missed_only_where_it_is_needed() {
    for (number, found) in [(3, vec!["gone 03"]), (4, vec!["gone 04"]), (2, vec!["gone 02"]), (5, vec![])] {
        let scene = scene();
        scene.remove(number).await;
        assert_eq!(names(&scene.look().await.drift), found, "{number}");
    }
}

#[test]
fn the_way_back_is_missed_however_long_ago_it_was_gold_and_nothing_else_that_is_retired() {
    let mut lock = lock();
    // What one promotion retires is of one time: the gold before, and a run that never was.
    for (number, state) in [(6, ImageState::Vetted), (6, ImageState::Retired)] {
        let mut entry = lock.last(run(2)).expect("an entry").clone();
        entry.candidate = (state == ImageState::Vetted).then(|| candidate(number, 400));
        (entry.run, entry.state) = (run(number), state);
        lock_file::append(&mut lock, entry);
    }
    lock.entries.iter_mut().for_each(|entry| entry.at = ago(400));
    let expected = super::drift::expected(&lock, Timestamp::now());
    let retired = expected.iter().filter(|one| one.wanted.state == ImageState::Retired && one.needed);
    assert_eq!(retired.map(|one| one.run).collect::<Vec<_>>(), [run(2), run(2)], "its AMI and its copy");
}

#[tokio::test]
async fn a_region_without_its_copy_and_one_that_was_never_covered() {
    let mut scene = scene();
    scene.subjects[0].declared.regions.push(region("ap-south-1"));
    let drift = scene.look().await.drift;
    assert_eq!(names(&drift), ["copy-missing"]);
    let cure = |drift: &[StatusDrift]| drift[0].cure().expect("a cure");
    assert!(cure(&drift).starts_with("assay build --image base --force base"), "promotion copies to ami_regions only");
    let lock = &scene.subjects[0].lock;
    let mut declared = scene.subjects[0].declared.clone();
    declared.distribution.ami_regions.push(region("ap-south-1"));
    assert_eq!(cure(&super::drift::missing_copies(lock, &declared, &[])), "assay promote --image base --to gold");
    declared.architectures = vec![assay_model::Architecture::Arm64];
    let drift = super::drift::missing_copies(lock, &declared, &[region("ap-south-1")]);
    assert!(cure(&drift).starts_with("assay build "), "there is nothing to copy");
    let only = look(&scene.cloud, &scene.subjects, &[region("us-east-1")], None, Timestamp::now()).await;
    assert_eq!(names(&only.drift), Vec::<String>::new(), "another region was not asked for");
}

#[tokio::test]
async fn a_region_that_does_not_answer_is_named_and_the_others_are_told() {
    let scene = scene();
    scene.tag(3, tags::STATE, "candidate");
    scene.cloud.fault("DescribeSnapshots", FakeFault::Refuse(CloudErrorKind::Denied));
    let looked = scene.look().await;
    let asked: Vec<&str> = looked.unknown.iter().map(|unknown| unknown.region.as_str()).collect();
    assert_eq!(asked, ["eu-west-1"], "the first that asks meets the fault");
    assert_eq!(names(&looked.drift), ["retagged 03"]);
}

#[tokio::test]
async fn a_region_that_was_given_up_and_does_not_answer_is_a_note() {
    // The first region that is asked is eu-west-1.
    let mut scene = scene();
    scene.cloud.fault("DescribeImages", FakeFault::Refuse(CloudErrorKind::Denied));
    let looked = scene.look().await;
    assert_eq!((looked.unknown.len(), looked.left.len()), (1, 0), "it is declared: {looked:?}");

    scene.subjects[0].declared.distribution.ami_regions.clear();
    scene.cloud.fault("DescribeImages", FakeFault::Refuse(CloudErrorKind::Denied));
    let looked = scene.look().await;
    assert_eq!((looked.unknown.len(), looked.left.len()), (0, 1), "{looked:?}");
    assert_eq!(names(&looked.drift), Vec::<String>::new());

    // Nor is a copy missed that whoever closed the region took away.
    let cloud = scene.cloud.region(&region("eu-west-1"));
    cloud.disable_deregistration_protection(&ami(13)).await.expect("lifted");
    cloud.deregister_image(&ami(13)).await.expect("gone");
    assert_eq!(names(&scene.look().await.drift), Vec::<String>::new());
    let looked = look(&scene.cloud, &scene.subjects, &[region("eu-west-1")], Some(OWNER), Timestamp::now()).await;
    assert_eq!(names(&looked.drift), Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_copy_is_made_again_by_the_next_promotion() {
    let scene = scene();
    let cloud = scene.cloud.region(&region("eu-west-1"));
    cloud.disable_deregistration_protection(&ami(13)).await.expect("lifted");
    cloud.deregister_image(&ami(13)).await.expect("gone");
    let looked = scene.look().await;
    let cures: Vec<_> = looked.drift.iter().filter_map(StatusDrift::cure).collect();
    assert_eq!(
        (names(&looked.drift), cures),
        (vec!["gone 13".to_owned()], vec!["assay promote --image base --to gold".to_owned()])
    );
}

#[tokio::test]
async fn a_snapshot_that_two_builds_share_is_nobodys_difference() {
    let scene = scene();
    let made: Timestamp = record("us-east-1", 3).created_at.parse().expect("a time");
    scene.cloud.holdings(&region("us-east-1"), |held| {
        let shared = held.snapshots.get_mut("snap-3").expect("there");
        shared.started_at = Some(made.as_second() - 30 * 24 * 3600);
        shared.tags.insert(tags::RUN.to_owned(), run(2).to_string());
    });
    assert_eq!(names(&scene.look().await.drift), Vec::<String>::new());
    scene.cloud.holdings(&region("us-east-1"), |held| held.snapshots.get_mut("snap-3").expect("there").tags.clear());
    assert_eq!(names(&scene.look().await.drift), Vec::<String>::new());
}
