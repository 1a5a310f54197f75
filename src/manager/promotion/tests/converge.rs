//! Two promoters, and calls that fail: gold is never wrong, and the next run goes on.

use super::*;

#[tokio::test]
async fn of_two_promoters_one_is_refused_and_gold_is_one() {
    let bench = Arc::new(Bench::new());
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    done(bench.vet(&first).await);
    done(bench.vet(&second).await);
    let (a, b) = tokio::join!(
        bench.promote(RunGoal::Gold, Some(run(1))),
        bench.promote_from(
            LedgerOptions { config: bench.other_clone(), ..bench.ledgering() },
            RunGoal::Gold,
            Some(run(2))
        )
    );
    let exits = [&a, &b].map(|result| result.as_ref().map_or_else(PromotionError::exit, MovedRun::exit));
    let gold = bench.lock().await.gold.expect("one won");
    let refused = exits.iter().filter(|exit| **exit == ExitStatus::Conflict).count();
    // Either one was refused, or they came one after the other.
    assert!(refused <= 1, "{exits:?}");
    assert_eq!(bench.tagged_gold(), [gold.to_string()], "{exits:?}");
}

#[tokio::test]
async fn a_promoter_that_was_overtaken_before_its_push_is_refused() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    done(bench.vet(&first).await);
    done(bench.vet(&second).await);
    let other = bench.other_clone();
    // The other one's lock, as its push will leave it, goes in while ours copies.
    let mut lock = bench.lock().await;
    let mut entry = lock.entries[0].clone();
    (entry.state, entry.candidate, entry.evidence) = (ImageState::Gold, None, None);
    lock_file::append(&mut lock, entry);
    lock.gold = Some(run(1));
    std::fs::write(other.with_file_name("images").join("base.lock.hcl"), lock_file::write(&lock)).expect("written");
    bench.world.git("other", &["commit", "-q", "-am", "the other one"]);
    let pushed = Arc::new(AtomicUsize::new(0));
    let (folder, environment) = (bench.world.path("other"), bench.world.environment.clone());
    bench.cloud.on_call(move |action, _| {
        if action == "CopyImage" && pushed.fetch_add(1, Ordering::SeqCst) == 0 {
            let push = std::process::Command::new("git")
                .args(["push", "-q", "origin", "main"])
                .current_dir(&folder)
                .env_clear()
                .envs(&environment)
                .status();
            assert!(push.expect("git runs").success());
        }
    });
    let words = refused(bench.promote(RunGoal::Gold, Some(run(2))).await);
    assert!(words.contains(&format!("gold moved meanwhile from none to {}", run(1))), "{words}");
    assert_eq!(bench.lock().await.gold, Some(run(1)));
    assert_eq!(bench.tagged_gold(), [""; 0]);
    let left: Vec<CloudImage> = bench.images("eu-west-1");
    let states: Vec<&str> = left.iter().map(|image| image.tags[tags::STATE].as_str()).collect();
    assert_eq!(states, ["candidate"], "what it copied in vain is nobody's vetted AMI");
}

#[tokio::test]
async fn whatever_call_fails_the_next_run_converges() {
    for action in [
        "CopyImage",
        "CreateTags",
        "EnableImageDeregistrationProtection",
        "ModifyImageAttribute",
        "ModifySnapshotAttribute",
        "PutParameter",
        "GetParameter",
        "DescribeImageAttribute",
        "DescribeTags",
    ] {
        for fault in [FakeFault::Refuse(CloudErrorKind::Denied), FakeFault::LoseAnswer] {
            let bench = Bench::new();
            let built = bench.built(1).await;
            done(bench.vet(&built).await);
            bench.cloud.fault(action, fault);
            let broken = bench.gold().await;
            let exit = broken.as_ref().map_or_else(PromotionError::exit, MovedRun::exit);
            assert!(matches!(exit, ExitStatus::Undecided | ExitStatus::Done), "{action} {fault:?}: {broken:?}");
            if fault == FakeFault::Refuse(CloudErrorKind::Denied) {
                assert_eq!(exit, ExitStatus::Undecided, "{action}: {broken:?}");
            }
            let moved = done(bench.gold().await);
            assert_eq!(moved.state, ImageState::Gold, "{action} {fault:?}");
            let lock = bench.lock().await;
            assert_eq!(lock.amis(run(1)).len(), 3, "{action} {fault:?}");
            assert_eq!(bench.images("eu-west-1").len(), 1, "{action} {fault:?}: one copy, not two");
            for record in lock.amis(run(1)) {
                assert_eq!(bench.state_tag(&record), "gold", "{action} {fault:?}");
                bench.cloud.holdings(&record.ami.region, |held| {
                    assert_eq!(held.parameters["/images/base/x86_64"], record.ami.id.as_str(), "{action} {fault:?}");
                    assert_eq!(held.sharing[&record.ami.id].sharing.users.len(), 1, "{action} {fault:?}");
                });
            }
        }
    }
}

#[tokio::test]
async fn what_a_killed_promotion_left_behind_is_made_up_for_by_those_after_it() {
    let bench = Bench::new();
    let (first, second, third) = (bench.built(1).await, bench.built(2).await, bench.built(3).await);
    bench.to_gold(&first).await;
    bench.to_gold(&second).await;
    // As if the second one had been killed between its push and its tags, on a remote that takes branch and tags one by one.
    let record = &first.candidate.amis[0].record;
    let mut image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
    image.tags.insert(tags::STATE.to_owned(), "gold".to_owned());
    bench.cloud.add_image(&record.ami.region, image);
    let lock = bench.lock().await;
    for entry in lock.entries.iter().filter(|entry| entry.run == run(2)) {
        let name = assay_ledger::lock_tag_name(&lock, entry);
        bench.world.git("remote.git", &["tag", "-d", &name]);
    }
    done(bench.gold().await);
    assert_eq!((bench.annotated("vetted"), bench.annotated("gold")), (2, 2), "its vetted tag too");
    bench.to_gold(&third).await;
    assert_eq!(bench.state_tag(record), "retired");
    assert_eq!(bench.tagged_gold(), [run(3).to_string()]);
}

#[tokio::test]
async fn a_copy_that_ec2_failed_is_made_again_a_few_times() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    done(bench.vet(&built).await);
    let region: Region = "eu-west-1".parse().expect("a region");
    bench.cloud.holdings(&region, |held| held.failing_copies = 1);
    let words = undecided(bench.gold().await);
    assert!(words.contains("to eu-west-1: EC2 failed it; run the promotion again"), "{words}");
    assert_eq!((bench.lock().await.gold, bench.tagged_gold().len()), (None, 0));
    assert_eq!(done(bench.gold().await).state, ImageState::Gold);
    let states: Vec<String> = bench.images("eu-west-1").into_iter().map(|image| image.state).collect();
    assert_eq!(states.iter().filter(|state| *state == "available").count(), 1, "{states:?}");
    assert_eq!(states.len(), 2, "what failed is left to look at: {states:?}");
}

#[tokio::test]
async fn copies_that_always_fail_come_to_an_end() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    done(bench.vet(&built).await);
    let region: Region = "eu-west-1".parse().expect("a region");
    bench.cloud.holdings(&region, |held| held.failing_copies = 9);
    for _ in 0..3 {
        undecided(bench.gold().await);
    }
    let words = undecided(bench.gold().await);
    assert!(words.contains("EC2 has failed it 3 times") && words.contains("deregister-image"), "{words}");
    assert_eq!(bench.images("eu-west-1").len(), 3, "no fourth copy");

    // The cause is mended, and the failed ones are removed, as the message says: EC2 still answers their tokens with them.
    for image in bench.images("eu-west-1") {
        bench.cloud.remove_image(&region, &image.id);
    }
    bench.cloud.holdings(&region, |held| held.failing_copies = 0);
    assert_eq!(done(bench.gold().await).state, ImageState::Gold);
}

#[tokio::test]
async fn a_token_that_was_used_for_another_request_is_passed_over() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    done(bench.vet(&built).await);
    // By somebody who has changed assay.hcl meanwhile, like its kms_key_id.
    bench.cloud.fault("CopyImage", FakeFault::Code("IdempotentParameterMismatch"));
    assert_eq!(done(bench.gold().await).state, ImageState::Gold);
}

#[tokio::test]
async fn a_region_that_is_added_later_gets_its_copy() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    bench.to_gold(&built).await;
    bench.world.git("seed", &["pull", "-q", "--rebase", "../remote.git", "main"]);
    bench.world.write("seed/assay.hcl", &CONFIG.replace("\"us-west-2\"", "\"us-west-2\", \"eu-central-1\""));
    bench.commit("one region more");
    let moved = done(bench.gold().await);
    assert_eq!((moved.change, moved.copied.len()), (LockChange::Made, 1));
    let lock = bench.lock().await;
    assert_eq!((lock.gold, lock.amis(run(1)).len()), (Some(run(1)), 4));
    assert_eq!(bench.images("eu-central-1")[0].tags[tags::STATE], "gold");
}
