//! Pruning on the fake cloud: each rule on its own, then the steps over time, then what goes wrong in between.

use std::time::Duration;

use super::{
    test_world::{PruneWorld, ago, lock_of, run},
    *,
};
use assay_aws::cloud::{
    CloudErrorKind, CloudFactory, CloudImage, EbsSnapshot, ImageSharing, ImageUse, SharedWith, UseKind, fake::FakeFault,
};
use assay_config::file::KeepRule;
use assay_model::{Architecture, ImageState, Region, exit::ExitStatus, lock::LockEntry, tags};

#[tokio::test]
async fn the_newest_and_the_young_stay_in_every_state_of_its_own() {
    let mut world = PruneWorld::new();
    world.request.keep = KeepRule { keep_releases: Some(1), keep_days: Some(30) };
    let (old, older) = (world.ami("candidate", 40), world.ami("candidate", 50));
    let (young, rejected) = (world.ami("untested", 5), world.ami("rejected", 60));
    world.kept_for(&old, "release 1 of 2 in state candidate").await;
    world.goes(&older).await;
    world.kept_for(&young, "5 days old").await;
    world.kept_for(&rejected, "release 1 of 1 in state rejected").await;
}

#[tokio::test]
async fn a_release_is_a_run_with_all_its_regions_and_architectures() {
    let mut world = PruneWorld::new();
    world.request.keep = KeepRule { keep_releases: Some(1), keep_days: Some(1) };
    let (first, second) = (run(900), run(901));
    let amd = world.ami_of(first, "candidate", 40, |_| {});
    let arm = world.ami_of(first, "candidate", 60, |image| {
        image.architecture = Some(Architecture::Arm64);
        "arm64".clone_into(&mut image.attributes.architecture);
    });
    let west: Region = "eu-west-1".parse().expect("a region");
    world.request.regions.push(west.clone());
    let older = world.ami_of(second, "candidate", 50, |_| {});
    let mut copy = world.image(&amd).expect("an AMI");
    copy.id = "ami-0000beef".parse().expect("an id");
    let kept = EbsSnapshot {
        id: copy.block_devices[0].snapshot.clone().unwrap(),
        tags: copy.tags.clone(),
        ..Default::default()
    };
    world.cloud.holdings(&west, |held| held.snapshots.insert(kept.id.clone(), kept));
    world.cloud.add_image(&west, copy.clone());
    for id in [&amd, &arm, &copy.id] {
        world.kept_for(id, "release 1 of 2").await;
    }
    world.goes(&older).await;
}

#[tokio::test]
async fn gold_stays_by_lock_alone_and_by_tag_alone() {
    let mut world = PruneWorld::new();
    let by_lock = world.ami("candidate", 90);
    let by_tag = world.ami("gold", 90);
    let mut lock = lock_of("base");
    world.lock(&mut lock, &by_lock, &[ImageState::Vetted, ImageState::Gold], None);
    world.record.add(lock, Vec::new());
    world.kept_for(&by_lock, "gold of image base on the protected branch").await;
    world.kept_for(&by_tag, "tagged gold").await;
    // Tags that say anything else do not matter to what the lock says.
    world.change(&by_lock, |image| drop(image.tags.insert(tags::STATE.to_owned(), "rejected".to_owned())));
    world.kept_for(&by_lock, "gold of image base").await;
}

#[tokio::test]
async fn the_way_back_stays_and_what_was_gold_outlives_what_a_promotion_superseded() {
    let mut world = PruneWorld::new();
    world.request.keep = KeepRule { keep_releases: Some(2), keep_days: Some(30) };
    // One time for all: the same promotion retired the last gold and two that it superseded, whose runs are younger.
    let [first, old, one, two, gold] = ["retired", "retired", "retired", "retired", "gold"].map(|s| world.ami(s, 90));
    let mut lock = lock_of("base");
    world.lock(&mut lock, &first, &[ImageState::Vetted, ImageState::Gold, ImageState::Retired], None);
    world.lock(&mut lock, &old, &[ImageState::Vetted, ImageState::Gold, ImageState::Retired], None);
    world.lock(&mut lock, &one, &[ImageState::Vetted, ImageState::Retired], None);
    world.lock(&mut lock, &two, &[ImageState::Vetted, ImageState::Retired], None);
    world.lock(&mut lock, &gold, &[ImageState::Vetted, ImageState::Gold], None);
    world.record.add(lock, Vec::new());
    world.kept_for(&first, "release 2 of 4 in state retired").await;
    world.kept_for(&old, "release 1 of 4 in state retired").await;
    world.goes(&one).await;
    world.goes(&two).await;
    world.request.keep = KeepRule { keep_releases: Some(0), keep_days: Some(0) };
    world.kept_for(&old, "assay rollback would bring it back").await;
    world.goes(&first).await;
}

#[tokio::test]
async fn vetted_stays_while_it_is_newer_than_gold() {
    let mut world = PruneWorld::new();
    let (gold, before, after) = (world.ami("gold", 60), world.ami("vetted", 70), world.ami("vetted", 50));
    world.kept_for(&before, "vetted, and newer than gold").await;
    let mut lock = lock_of("base");
    world.lock(&mut lock, &gold, &[ImageState::Vetted, ImageState::Gold], None);
    world.record.add(lock, Vec::new());
    world.kept_for(&after, "vetted, and newer than gold").await;
    world.goes(&before).await;
}

#[tokio::test]
async fn what_is_used_or_may_be_stays() {
    let mut world = PruneWorld::new();
    let (used, free) = (world.ami("candidate", 90), world.ami("candidate", 80));
    let by = ImageUse { kind: UseKind::LaunchTemplateVersion, id: "lt-1".to_owned(), detail: "version 3".to_owned() };
    world.cloud.holdings(&world.region, |held| {
        held.uses.found.insert(used.clone(), vec![by.clone()]);
    });
    world.kept_for(&used, "in use by launch template version lt-1 version 3").await;
    world.goes(&free).await;
    world.cloud.holdings(&world.region, |held| held.uses.unknown.push(by));
    world.kept_for(&free, "may be in use by").await;
}

#[tokio::test]
async fn a_parent_stays_with_what_was_built_from_it() {
    let mut world = PruneWorld::new();
    let (grandparent, lone) = (world.ami("retired", 90), world.ami("retired", 85));
    let parent = world.ami("retired", 80);
    let child = world.ami("candidate", 3);
    world.change(&child, |image| drop(image.tags.insert(tags::PARENT.to_owned(), parent.to_string())));
    world.change(&parent, |image| drop(image.tags.insert(tags::PARENT.to_owned(), grandparent.to_string())));
    world.kept_for(&parent, &format!("parent of {child}")).await;
    world.kept_for(&grandparent, &format!("parent of {parent}")).await;
    world.goes(&lone).await;
    let gold = world.ami("gold", 10);
    let mut lock = lock_of("app");
    world.lock(&mut lock, &gold, &[ImageState::Vetted, ImageState::Gold], Some(lone.clone()));
    world.record.add(lock, Vec::new());
    world.kept_for(&lone, "of image app, which is gold").await;
}

#[tokio::test]
async fn only_what_is_provably_ours_goes() {
    let mut world = PruneWorld::new();
    let ours = world.ami("candidate", 90);
    world.goes(&ours).await;
    let without = |key: &'static str| move |image: &mut CloudImage| drop(image.tags.remove(key));
    for (key, words) in [
        (tags::OWNER, "no tag assay:owner"),
        (tags::IMAGE, "no tag assay:image"),
        (tags::RUN, "no tag assay:run"),
        (tags::STATE, "has no state"),
    ] {
        let id = world.ami("candidate", 90);
        world.change(&id, without(key));
        world.kept_for(&id, words).await;
    }
    let foreign = world.ami("candidate", 90);
    world.change(&foreign, |image| drop(image.tags.insert(tags::OWNER.to_owned(), "github.com/other/x".to_owned())));
    world.kept_for(&foreign, "belongs to github.com/other/x").await;
    let other = world.ami("candidate", 90);
    world.change(&other, |image| drop(image.tags.insert(tags::IMAGE.to_owned(), "else".to_owned())));
    world.kept_for(&other, "which assay.hcl does not declare").await;
    let bare = world.ami("candidate", 90);
    let snapshot = world.image(&bare).unwrap().block_devices[0].snapshot.clone().unwrap();
    world.cloud.holdings(&world.region, |held| held.snapshots.get_mut(&snapshot).unwrap().tags.clear());
    world.kept_for(&bare, "does not carry the same image and run").await;
}

#[tokio::test]
async fn of_two_that_claim_one_place_the_unrecorded_one_is_somebodys_copy() {
    let mut world = PruneWorld::new();
    let (one, two) = (run(900), run(901));
    let (first, copy) = (world.ami_of(one, "candidate", 90, |_| {}), world.ami_of(one, "candidate", 90, |_| {}));
    world.kept_for(&first, "claims the place").await;
    world.kept_for(&copy, "claims the place").await;
    let (recorded, copied) = (world.ami_of(two, "candidate", 90, |_| {}), world.ami_of(two, "candidate", 90, |_| {}));
    let mut lock = lock_of("base");
    world.lock(&mut lock, &recorded, &[ImageState::Vetted, ImageState::Rejected], None);
    world.record.add(lock, Vec::new());
    world.goes(&recorded).await;
    world.kept_for(&copied, "claims the place").await;
    world.cloud.remove_image(&world.region, &recorded);
    world.kept_for(&copied, "which git records for this run").await;
}

#[tokio::test]
async fn an_ami_that_git_remembers_otherwise_is_not_touched() {
    let mut world = PruneWorld::new();
    let id = world.ami("retired", 90);
    let mut lock = lock_of("base");
    world.lock(&mut lock, &id, &[ImageState::Vetted, ImageState::Retired], None);
    world.record.add(lock, Vec::new());
    world.goes(&id).await;
    world.change(&id, |image| image.created_at = ago(91));
    world.kept_for(&id, "git records the creation date").await;
}

#[tokio::test]
async fn protection_is_lifted_only_where_it_is_ours() {
    let mut world = PruneWorld::new();
    world.request.grace = Duration::ZERO;
    let (rejected, candidate) = (world.ami("rejected", 90), world.ami("candidate", 90));
    for id in [&rejected, &candidate] {
        world.change(id, |image| image.deregistration_protected = true);
    }
    let pruned = world.prune().await;
    assert_eq!(pruned.exit(), ExitStatus::Done);
    assert!(world.image(&rejected).is_none());
    assert_eq!(world.image(&candidate).expect("kept").state, "available");
    world.kept_for(&candidate, "protected from deregistration, and not by assay").await;
}

#[tokio::test]
async fn shared_amis_are_announced_and_go_late() {
    let mut world = PruneWorld::new();
    let id = world.ami("candidate", 50);
    let user = "109876543210".parse().expect("an account");
    let with = SharedWith { sharing: ImageSharing { users: vec![user], ..ImageSharing::default() }, public: false };
    world.cloud.holdings(&world.region, |held| drop(held.sharing.insert(id.clone(), with.clone())));
    assert_eq!(world.judged(&id).await.0, PruneAction::Deprecate);
    world.prune().await;
    let image = world.image(&id).expect("kept");
    assert!(image.state == "available" && !image.attributes.deprecation_time.is_empty());
    world.kept_for(&id, "shared with other accounts").await;
    world.change(&id, |image| image.attributes.deprecation_time = ago(8));
    world.kept_for(&id, "kept for 60 days").await;
    world.change(&id, |image| image.created_at = ago(70));
    world.goes(&id).await;
    world.cloud.holdings(&world.region, |held| drop(held.last_launched.insert(id.clone(), ago(10))));
    world.kept_for(&id, "and launched at").await;
    let public = SharedWith { public: true, ..with };
    world.cloud.holdings(&world.region, |held| drop(held.sharing.insert(id.clone(), public)));
    world.kept_for(&id, "public").await;
}

#[tokio::test]
async fn three_steps_over_time_and_then_nothing() {
    let mut world = PruneWorld::new();
    let id = world.ami("rejected", 90);
    let snapshot = world.image(&id).unwrap().block_devices[0].snapshot.clone().unwrap();
    let first = world.prune().await;
    assert_eq!((first.due(), first.exit()), (1, ExitStatus::Done));
    assert_eq!(world.image(&id).expect("still there").state, "disabled");
    let second = world.prune().await;
    assert!(matches!(second.plan.subjects[0].decided(), PruneAction::Wait(_)));
    assert!(second.outcomes.expect("asked").is_empty());
    world.change(&id, |image| image.attributes.deprecation_time = ago(7));
    world.prune().await;
    assert!(world.image(&id).is_none());
    assert!(world.cloud.holdings(&world.region, |held| !held.snapshots.contains_key(&snapshot)));
    let calls = world.cloud.calls().len();
    let last = world.prune().await;
    assert_eq!((last.due(), last.exit()), (0, ExitStatus::Done));
    let changing = ["CreateTags", "DisableImage", "EnableImageDeprecation", "DeregisterImage", "DeleteSnapshot"];
    let more: Vec<String> = world.cloud.calls().split_off(calls);
    assert!(more.iter().all(|call| !changing.contains(&call.split(' ').nth(1).unwrap_or_default())), "{more:?}");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let mut world = PruneWorld::new();
    let id = world.retired("candidate", 90, 30);
    world.ami("candidate", 90);
    world.request.yes = false;
    assert_eq!(world.prune().await.due(), 2);
    assert_eq!(world.judged(&id).await.0, PruneAction::Delete);
    for action in ["CreateTags", "DisableImage", "EnableImageDeprecation", "DeregisterImage", "DeleteSnapshot"] {
        assert_eq!(world.cloud.count(action), 0, "{action}");
    }
}

#[tokio::test]
async fn what_could_not_be_learned_is_kept_and_said() {
    for action in ["DescribeImages", "DescribeTags", "DescribeLaunchTemplates", "DescribeImageAttribute"] {
        let mut world = PruneWorld::new();
        world.request.grace = Duration::ZERO;
        let id = world.ami("candidate", 90);
        world.cloud.fault(action, FakeFault::Refuse(CloudErrorKind::Denied));
        let pruned = world.prune().await;
        assert_eq!(pruned.exit(), ExitStatus::Undecided, "{action}");
        assert_eq!(pruned.plan.errors.len(), 1, "{action}");
        assert_eq!(world.image(&id).expect("kept").state, "available", "{action}");
        assert_eq!(world.cloud.count("DisableImage"), 0, "{action}");
    }
}

#[tokio::test]
async fn a_use_that_leads_to_no_ami_is_not_learned_before_and_between() {
    let by = ImageUse { kind: UseKind::LaunchTemplateVersion, id: "lt-1".to_owned(), detail: "takes what".to_owned() };
    let mut world = PruneWorld::new();
    let id = world.ami("candidate", 90);
    world.cloud.holdings(&world.region, |held| held.uses.unknown.push(by.clone()));
    let pruned = world.prune().await;
    assert_eq!((pruned.exit(), pruned.due()), (ExitStatus::Undecided, 0));
    assert_eq!(
        pruned.plan.errors,
        ["us-east-1: which AMI is used is not known: launch template version lt-1 takes what"]
    );
    world.cloud.holdings(&world.region, |held| held.uses.unknown.clear());
    world.request.grace = Duration::ZERO;
    let (cloud, region) = (world.cloud.clone(), world.region.clone());
    world.cloud.on_call(move |action, _| {
        if action == "DisableImage" {
            cloud.holdings(&region, |held| held.uses.unknown.push(by.clone()));
        }
    });
    let pruned = world.prune().await;
    assert_eq!(pruned.exit(), ExitStatus::Undecided);
    assert!(matches!(pruned.outcomes.expect("asked").into_values().next(), Some(DeletionOutcome::Unknown(_))));
    assert_eq!(world.image(&id).expect("kept").state, "available");
}

#[tokio::test]
async fn a_region_that_does_not_answer_may_hold_what_was_built_on_it() {
    let mut world = PruneWorld::new();
    world.request.grace = Duration::ZERO;
    let id = world.ami("candidate", 90);
    world.request.regions.insert(0, "eu-west-1".parse().expect("a region"));
    world.cloud.fault("DescribeImages", FakeFault::Refuse(CloudErrorKind::Denied));
    let pruned = world.prune().await;
    assert_eq!(pruned.exit(), ExitStatus::Undecided);
    assert_eq!(world.image(&id).expect("kept").state, "available");
    assert_ne!(world.prune().await.due(), 0, "once it answers the AMI is due");
}

#[tokio::test]
async fn tags_that_change_in_between_stop_the_deed() {
    let mut world = PruneWorld::new();
    let id = world.retired("candidate", 90, 30);
    let (cloud, region, ami) = (world.cloud.clone(), world.region.clone(), id.clone());
    let seen = std::sync::atomic::AtomicBool::new(false);
    // The list has been read, the deed is next: somebody makes it gold.
    world.cloud.on_call(move |action, _| {
        if action == "DescribeImageAttribute" && !seen.swap(true, std::sync::atomic::Ordering::SeqCst) {
            let mut image = cloud.image(&region, &ami).expect("an AMI");
            image.tags.insert(tags::STATE.to_owned(), "gold".to_owned());
            cloud.add_image(&region, image);
        }
    });
    let pruned = world.prune().await;
    let outcomes = pruned.outcomes.expect("asked");
    assert_eq!(
        outcomes.into_values().collect::<Vec<_>>(),
        [DeletionOutcome::Kept("changed since it was looked at; run prune again".to_owned())]
    );
    assert_eq!(world.cloud.count("DeregisterImage"), 0);
}

#[tokio::test]
async fn a_launch_that_won_the_race_brings_the_ami_back() {
    let mut world = PruneWorld::new();
    world.request.grace = Duration::ZERO;
    let id = world.ami("candidate", 90);
    let (cloud, region, ami) = (world.cloud.clone(), world.region.clone(), id.clone());
    world.cloud.on_call(move |action, _| {
        if action == "DisableImage" {
            let by = ImageUse { kind: UseKind::Instance, id: "i-1".to_owned(), detail: "running".to_owned() };
            cloud.holdings(&region, |held| drop(held.uses.found.insert(ami.clone(), vec![by])));
        }
    });
    let pruned = world.prune().await;
    assert_eq!(pruned.exit(), ExitStatus::Done);
    let image = world.image(&id).expect("kept");
    assert_eq!((image.state.as_str(), image.attributes.deprecation_time.as_str()), ("available", ""));
}

/// EC2 takes the sharing away with the disabling, and does not give it back.
#[tokio::test]
async fn a_shared_ami_that_is_brought_back_is_shared_as_before() {
    let mut world = PruneWorld::new();
    world.request.grace = Duration::ZERO;
    let id = world.ami("candidate", 90);
    let (cloud, region, ami) = (world.cloud.clone(), world.region.clone(), id.clone());
    world.cloud.on_call(move |action, _| {
        if action == "DisableImage" {
            let by = ImageUse { kind: UseKind::Instance, id: "i-1".to_owned(), detail: "running".to_owned() };
            cloud.holdings(&region, |held| drop(held.uses.found.insert(ami.clone(), vec![by])));
        }
    });
    // Deprecated long ago: what others may launch goes no sooner.
    let mut image = world.image(&id).expect("there");
    image.attributes.deprecation_time = "2020-01-01T00:00:00Z".to_owned();
    world.cloud.add_image(&world.region, image);
    let shared = SharedWith {
        sharing: ImageSharing { users: vec!["999999999999".parse().expect("an account")], ..Default::default() },
        public: false,
    };
    let with = shared.clone();
    world.cloud.holdings(&world.region, |held| drop(held.sharing.insert(id.clone(), with)));
    let pruned = world.prune().await;
    assert_eq!(pruned.exit(), ExitStatus::Done);
    assert_eq!(world.image(&id).expect("kept").state, "available");
    assert_eq!(world.cloud.count("DisableImage"), 1);
    let now = world.cloud.region(&world.region).image_sharing(&id).await.expect("known");
    assert_eq!(now, shared);
}

#[tokio::test]
async fn snapshots_that_another_ami_holds_stay() {
    let mut world = PruneWorld::new();
    let id = world.retired("candidate", 90, 30);
    let shared = world.image(&id).unwrap().block_devices[0].snapshot.clone().unwrap();
    let mut other = assay_aws::cloud::fake::sample_image("ami-0000cafe", &[&shared]);
    other.tags.clear();
    world.cloud.add_image(&world.region, other);
    let pruned = world.prune().await;
    assert_eq!(pruned.exit(), ExitStatus::Done);
    assert!(world.image(&id).is_none());
    assert_eq!(world.cloud.count("DeleteSnapshot"), 0);
}

#[tokio::test]
async fn snapshots_that_the_build_did_not_make_stay() {
    for (before, goes) in [(Some(23), true), (Some(25), false), (None, false)] {
        let mut world = PruneWorld::new();
        let id = world.retired("candidate", 90, 30);
        let image = world.image(&id).expect("an AMI");
        let made: jiff::Timestamp = image.created_at.parse().expect("a time");
        let snapshot = image.block_devices[0].snapshot.clone().expect("a snapshot");
        let began = before.map(|hours| made.as_second() - hours * 3600);
        world.cloud.holdings(&world.region, |held| held.snapshots.get_mut(&snapshot).unwrap().started_at = began);
        let pruned = world.prune().await;
        assert_eq!(pruned.exit(), ExitStatus::Done);
        assert!(world.image(&id).is_none());
        let left = world.cloud.holdings(&world.region, |held| held.snapshots.get(&snapshot).cloned());
        assert_eq!(left.is_none(), goes, "{before:?}");
        assert!(left.is_none_or(|left| !left.tags.contains_key(tags::PRUNED)), "nor does the next prune take it");
        let said = format!("{:?}", pruned.outcomes.expect("asked"));
        assert_eq!(said.contains(&format!("snapshot {snapshot} kept: ")), !goes, "{said}");
        assert_eq!(world.prune().await.due(), 0);
    }
}

#[tokio::test]
async fn what_ends_in_the_middle_is_finished_by_the_next_prune() {
    let mut world = PruneWorld::new();
    let id = world.retired("candidate", 90, 30);
    world.cloud.fault("DeleteSnapshot", FakeFault::Refuse(CloudErrorKind::Throttled));
    let first = world.prune().await;
    assert_eq!(first.exit(), ExitStatus::Leftovers);
    assert!(world.image(&id).is_none());
    let second = world.prune().await;
    assert_eq!((second.plan.orphans.len(), second.exit()), (1, ExitStatus::Done));
    assert!(world.cloud.holdings(&world.region, |held| held.snapshots.is_empty()));
    assert_eq!(world.prune().await.due(), 0);
}

#[tokio::test]
async fn a_lost_answer_to_deregistering_is_looked_up() {
    let mut world = PruneWorld::new();
    let (done, not) = (world.retired("candidate", 90, 30), world.retired("candidate", 91, 30));
    world.cloud.fault("DeregisterImage", FakeFault::LoseAnswer).fault("DeregisterImage", FakeFault::Drop);
    let pruned = world.prune().await;
    assert_eq!(pruned.exit(), ExitStatus::Leftovers);
    assert!(world.image(&done).is_none() && world.image(&not).is_some());
    let region = world.cloud.region(&world.region);
    assert_eq!(region.own_images().await.expect("answers").len(), 1);
}

#[tokio::test]
async fn a_build_at_work_is_not_taken_for_one_that_was_given_up() {
    let mut world = PruneWorld::new();
    world.request.keep = KeepRule { keep_releases: Some(0), keep_days: Some(0) };
    let (fresh, stale) = (world.ami("building", 0), world.ami("building", 2));
    world.kept_for(&fresh, "may still be building").await;
    world.goes(&stale).await;
}

#[tokio::test]
async fn a_role_that_may_not_touch_vetted_leaves_it_and_fails_on_all_else() {
    for (state, exit) in [("vetted", ExitStatus::Done), ("retired", ExitStatus::Leftovers)] {
        let mut world = PruneWorld::new();
        let (gold, id) = (world.ami("gold", 60), world.ami(state, 90));
        let mut lock = lock_of("base");
        world.lock(&mut lock, &gold, &[ImageState::Vetted, ImageState::Gold], None);
        world.record.add(lock, Vec::new());
        world.cloud.fault("EnableImageDeprecation", FakeFault::Refuse(CloudErrorKind::Denied));
        assert_eq!(world.prune().await.exit(), exit, "{state}");
        assert_eq!(world.image(&id).expect("kept").state, "available");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_keeps_what_it_may_speak_for_and_nothing_else() {
    let git = assay_ledger::world::GitWorld::new();
    let mut world = PruneWorld::new();
    let (recorded, unrecorded, named) =
        (world.ami("retired", 400), world.ami("rejected", 400), world.ami("retired", 300));
    let mut lock = lock_of("base");
    world.lock(&mut lock, &recorded, &[ImageState::Vetted, ImageState::Retired], None);
    world.lock(&mut lock, &named, &[ImageState::Vetted, ImageState::Retired], None);
    let mut chained = lock_of("base");
    lock.entries.iter().for_each(|entry| assay_ledger::lock_file::append(&mut chained, entry.clone()));
    git.commit_lock("clone", &chained);
    let read = async || {
        git.git("clone", &["push", "-q", "origin", "HEAD:main"]);
        let request = assay_ledger::BooksRequest {
            folder: git.path("clone"),
            branch: "main".to_owned(),
            remote: None,
            environment: git.environment.clone(),
        };
        let books = assay_ledger::LedgerSnapshot::open(&request).await.expect("books");
        record::RecordedImages::read(&books).await.expect("a record")
    };
    // The file of a run that no AMI here is of, and of an image that nobody declares.
    git.commit_file("clone", &format!("images/base/candidates/{}.hcl", run(900)), "<<<<<<< HEAD\n");
    git.commit_file("clone", "images/zzz/candidates/n.hcl", "junk\n");
    world.record = read().await;
    for id in [&recorded, &unrecorded, &named] {
        world.goes(id).await;
    }
    let pruned = world.prune().await;
    assert_eq!(pruned.exit(), ExitStatus::Undecided);
    assert!(
        pruned.plan.errors.iter().any(|error| error.contains("images/zzz/candidates/n.hcl:1: ")),
        "{:?}",
        pruned.plan.errors
    );

    git.commit_file("clone", "images/zzz.lock.hcl", &format!("# {named}\njunk\n"));
    git.commit_file("clone", "images/base/candidates/notes.hcl", "junk\n");
    world.record = read().await;
    world.kept_for(&named, "images/zzz.lock.hcl:2: ").await;
    world.kept_for(&unrecorded, "images/base/candidates/notes.hcl:1: ").await;
    let (action, why) = world.judged(&recorded).await;
    assert_ne!(action, PruneAction::Keep, "git says all of it: {why}");

    git.commit_file("clone", "images/base.lock.hcl", "junk\n");
    world.record = read().await;
    world.kept_for(&recorded, "images/base.lock.hcl:1: ").await;
}

#[tokio::test]
async fn what_the_lock_moved_since_the_look_is_left_alone() {
    let mut world = PruneWorld::new();
    world.request.keep = KeepRule { keep_releases: Some(0), keep_days: Some(0) };
    let [first, second, gold] = ["retired", "retired", "gold"].map(|state| world.ami(state, 90));
    let mut lock = lock_of("base");
    world.lock(&mut lock, &first, &[ImageState::Vetted, ImageState::Gold, ImageState::Retired], None);
    world.lock(&mut lock, &second, &[ImageState::Vetted, ImageState::Gold, ImageState::Retired], None);
    world.lock(&mut lock, &gold, &[ImageState::Vetted, ImageState::Gold], None);
    world.record.add(lock.clone(), Vec::new());
    world.goes(&first).await;
    // A rollback brings the first one back; its tags do not say so yet.
    let entry = lock.entries.iter().find(|entry| entry.candidate.is_some()).expect("its first").clone();
    lock.entries.push(LockEntry { state: ImageState::Gold, candidate: None, ..entry.clone() });
    lock.gold = Some(entry.run);
    let mut pushed = record::RecordedImages::default();
    pushed.add(lock, Vec::new());
    (world.pushed, world.looks) = (Some(pushed), Default::default());
    let outcomes = world.prune().await.outcomes.expect("deeds");
    let outcome = &outcomes[&format!("us-east-1:{first}")];
    assert!(
        matches!(outcome, DeletionOutcome::Kept(why) if why.contains("the protected branch moved it")),
        "{outcome:?}"
    );
    assert_eq!(world.image(&first).expect("it is there").state, "available");
    assert_eq!(world.cloud.count("DisableImage"), 0);
}
