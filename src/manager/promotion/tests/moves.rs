//! Reject, retire, revoke, and branches that wait to be merged.

use super::*;

#[tokio::test]
async fn moves_that_are_not_legal_are_refused() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    bench.to_gold(&first).await;
    let revoke = |number, force| RunMove::Revoke { run: run(number), at: None, force };
    for (what, says) in [
        (RunMove::Retire { run: run(1) }, "is gold; promote another run first"),
        (RunMove::Reject { run: run(1), release: false }, "is gold; promote another run first"),
        (revoke(1, false), "is gold; promote another run first, or revoke it with --force"),
        (RunMove::Rollback { run: Some(run(2)) }, "is not in the lock"),
        (RunMove::Retire { run: run(9) }, "was its pull request merged?"),
    ] {
        let words = refused(bench.moved(what).await);
        assert!(words.contains(says), "{what:?}: {words}");
    }
    let error = bench.moved(RunMove::Rollback { run: None }).await.expect_err("nothing to go back to");
    assert_eq!(error.exit(), ExitStatus::Nothing);

    done(bench.moved(RunMove::Reject { run: run(2), release: false }).await);
    assert_eq!(bench.state_tag(&second.candidate.amis[0].record), "rejected");
    assert_eq!(bench.lock().await.state_of(run(2)), Some(ImageState::Rejected), "moved in from its candidate file");
    assert_eq!(done(bench.moved(RunMove::Reject { run: run(2), release: false }).await).change, LockChange::Already);
    let words = refused(bench.vet(&second).await);
    assert!(words.contains("state rejected cannot become vetted"), "{words}");
    done(bench.moved(revoke(2, false)).await);
    for what in [RunMove::Retire { run: run(2) }, RunMove::Reject { run: run(2), release: false }] {
        let words = refused(bench.moved(what).await);
        assert!(words.contains("state revoked cannot become"), "{words}");
    }
}

#[tokio::test]
async fn a_revoked_gold_is_deprecated_and_shared_with_nobody() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    bench.to_gold(&built).await;
    let moved = done(bench.moved(RunMove::Revoke { run: run(1), at: None, force: true }).await);
    assert!(moved.notes[0].contains("has no gold now"), "{:?}", moved.notes);
    let lock = bench.lock().await;
    assert_eq!(lock.gold, None);
    for record in lock.amis(run(1)) {
        let image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
        assert_eq!(image.tags[tags::STATE], "revoked");
        assert!(!image.attributes.deprecation_time.is_empty());
        bench.cloud.holdings(&record.ami.region, |held| assert!(held.sharing[&record.ami.id].nobody()));
    }
    let words = refused(bench.moved(RunMove::Rollback { run: Some(run(1)) }).await);
    assert!(words.contains("is revoked"), "{words}");
    assert_eq!(bench.gold().await.expect_err("nothing").exit(), ExitStatus::Nothing);
}

#[tokio::test]
async fn a_revocation_that_holds_is_not_put_off() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    bench.to_gold(&built).await;
    let revoke =
        |at: Option<&str>| RunMove::Revoke { run: run(1), at: at.map(|at| at.parse().expect("a time")), force: true };
    // What is only announced may be put off, and brought forward.
    for at in ["2098-01-01T00:00:00Z", "2099-01-01T00:00:00Z"] {
        done(bench.moved(revoke(Some(at))).await);
        assert!(!bench.lock().await.is_revoked(run(1), context::now()));
        let record = &built.candidate.amis[0].record;
        let image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
        let deprecated: jiff::Timestamp = image.attributes.deprecation_time.parse().expect("a time");
        assert_eq!(deprecated, at.parse().expect("a time"), "EC2 follows what is announced now");
    }
    done(bench.moved(revoke(None)).await);
    let words = refused(bench.moved(revoke(Some("2099-01-01T00:00:00Z"))).await);
    assert!(words.contains("is already revoked"), "{words}");
    // By hand it would not count either.
    let mut lock = bench.lock().await;
    let mut entry = lock.last(run(1)).expect("an entry").clone();
    entry.effective_at = Some("2099-01-01T00:00:00Z".to_owned());
    lock_file::append(&mut lock, entry);
    assert!(lock.is_revoked(run(1), context::now()));
}

#[tokio::test]
async fn a_promotion_ends_the_sharing_that_an_announced_revocation_has_reached() {
    let bench = Bench::new();
    let (first, second, third) = (bench.built(1).await, bench.built(2).await, bench.built(3).await);
    bench.to_gold(&first).await;
    bench.to_gold(&second).await;
    let at = context::now() + jiff::SignedDuration::from_secs(2);
    done(bench.moved(RunMove::Revoke { run: run(1), at: Some(at), force: false }).await);
    let record = first.candidate.amis[0].record.clone();
    let is_shared = || bench.cloud.holdings(&record.ami.region, |held| !held.sharing[&record.ami.id].nobody());
    assert!(is_shared());
    while context::now() < at {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    bench.to_gold(&third).await;
    assert!(!is_shared(), "its time has come");
}

#[tokio::test]
async fn an_announced_revocation_takes_nothing_away_before_its_time() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    bench.to_gold(&first).await;
    bench.to_gold(&second).await;
    let at = "2099-01-01T00:00:00Z".parse().expect("a time");
    done(bench.moved(RunMove::Revoke { run: run(1), at: Some(at), force: false }).await);
    let lock = bench.lock().await;
    let record = &lock.amis(run(1))[0];
    let image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
    assert_eq!(image.attributes.deprecation_time, "2099-01-01T00:00:00Z");
    bench.cloud.holdings(&record.ami.region, |held| assert!(!held.sharing[&record.ami.id].nobody()));
}

#[tokio::test]
async fn an_open_branch_changes_nothing_but_itself() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    let ledgering = || LedgerOptions { open_branch: Some("assay/base".to_owned()), ..bench.ledgering() };
    let tip = bench.world.remote_tip();
    let proposed = done(bench.promote_from(ledgering(), RunGoal::Vetted(vec![built.file.clone()]), None).await);
    assert_eq!(proposed.change, LockChange::Proposed);
    assert_eq!(bench.world.remote_tip(), tip);
    let again = done(bench.promote_from(ledgering(), RunGoal::Vetted(vec![built.file.clone()]), None).await);
    assert_eq!(again.change, LockChange::Proposed, "said twice is not merged");
    assert_eq!(bench.cloud.count("CreateTags"), 0);
    bench.world.git("seed", &["pull", "-q", "--rebase", "../remote.git", "assay/base"]);
    bench.world.git("seed", &["push", "-q", "../remote.git", "main"]);
    assert_eq!(bench.annotated("vetted"), 0, "tags belong to the protected branch");
    let merged = done(bench.promote_from(ledgering(), RunGoal::Vetted(vec![built.file.clone()]), None).await);
    assert_eq!(merged.change, LockChange::Already, "only the tags are due");
    assert_eq!(bench.state_tag(&built.candidate.amis[0].record), "vetted");
    assert_eq!(bench.annotated("vetted"), 1);

    let before = bench.cloud.calls().len();
    for _ in 0..2 {
        assert_eq!(done(bench.promote_from(ledgering(), RunGoal::Gold, None).await).change, LockChange::Proposed);
    }
    let changed: Vec<String> = bench.cloud.calls()[before..]
        .iter()
        .filter(|call| ["CreateTags", "ModifyImageAttribute", "PutParameter"].iter().any(|verb| call.contains(verb)))
        .cloned()
        .collect();
    assert_eq!(changed, [""; 0], "copies are all that is made before the merge");
}
