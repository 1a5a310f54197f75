//! The order of builds, rollbacks that hold, and what a candidate file says against what its AMI says.

use super::*;

#[tokio::test]
async fn an_older_candidate_of_the_same_inputs_does_not_follow_the_newer_one() {
    let bench = Bench::new();
    let (older, newer) = (bench.built(1).await, bench.built(2).await);
    done(bench.vet(&newer).await);
    let known = bench.gold().await;
    assert_eq!(done(known).run, run(2));
    assert_eq!(bench.lock().await.state_of(run(1)), Some(ImageState::Retired), "superseded in the same commit");
    // Its file comes back by a merge: it stays what it is.
    bench.waits(&older.candidate);
    let words = refused(bench.vet(&older).await);
    assert!(words.contains("retired"), "{words}");
    assert_eq!(done(bench.gold().await).run, run(2));
    assert_eq!(bench.lock().await.gold, Some(run(2)));
}

#[tokio::test]
async fn an_older_candidate_that_is_merged_later_becomes_gold_only_by_name() {
    let bench = Bench::new();
    let inputs = ["packer/**".to_owned(), "suites/**".to_owned()];
    let digest = bench.books().await.source_digest(&inputs, &[], "").await.expect("a digest").current;
    let older = bench.made(1, digest);
    let newer = bench.built(2).await;
    bench.to_gold(&newer).await;
    bench.waits(&older.candidate);
    let words = refused(bench.vet(&older).await);
    assert!(words.contains(&format!("is not newer than {}", run(2))) && words.contains("--run"), "{words}");
    done(bench.promote(RunGoal::Vetted(vec![older.file.clone()]), Some(run(1))).await);
    assert_eq!(done(bench.gold().await).run, run(2), "vetted by name, and not gold by itself");
    assert_eq!(done(bench.promote(RunGoal::Gold, Some(run(1))).await).run, run(1));
}

#[tokio::test]
async fn a_rollback_holds_against_what_waits_and_against_itself() {
    let bench = Bench::new();
    let first = bench.built(1).await;
    bench.to_gold(&first).await;
    bench.to_gold(&bench.built(2).await).await;
    let third = bench.built(3).await;
    assert_eq!(done(bench.moved(RunMove::Rollback { run: None }).await).run, run(1));
    let lock = bench.lock().await;
    assert_eq!(lock.state_of(run(3)), Some(ImageState::Retired), "what waited of the inputs that were gone back from");
    let words = refused(bench.vet(&third).await);
    assert!(words.contains("retired"), "{words}");
    for _ in 0..2 {
        let again = done(bench.moved(RunMove::Rollback { run: None }).await);
        assert_eq!((again.run, again.change), (run(1), LockChange::Already));
    }
    assert_eq!(done(bench.gold().await).run, run(1));
    assert_eq!(bench.tagged_gold(), [run(1).to_string()]);
}

#[tokio::test]
async fn what_a_candidate_file_says_of_its_inputs_must_be_what_its_ami_says() {
    let bench = Bench::new();
    let mut built = bench.made(1, Digest::of(b"last month's inputs"));
    let inputs = ["packer/**".to_owned(), "suites/**".to_owned()];
    let digest = bench.books().await.source_digest(&inputs, &[], "").await.expect("a digest").current;
    built.candidate.provenance.source_digest = Some(digest);
    bench.waits(&built.candidate);
    let words = refused(bench.vet(&built).await);
    assert!(words.contains("its tag assay:source-digest is sha256:"), "{words}");
}

#[tokio::test]
async fn an_ami_of_another_account_is_not_promoted() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    let mut foreign = built.clone();
    let record = &mut foreign.candidate.amis[0].record;
    record.owner = "999999999999".parse().expect("an account");
    let mut image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
    image.owner = record.owner.clone();
    bench.cloud.add_image(&record.ami.region, image);
    foreign.evidence.targets[0].ami = Some(record.clone());
    foreign.file = bench.hands_over("foreign.json", &foreign.evidence);
    bench.waits(&foreign.candidate);
    let words = refused(bench.vet(&foreign).await);
    assert!(words.contains("belongs to account 999999999999"), "{words}");
}

#[tokio::test]
async fn a_run_of_one_architecture_does_not_take_the_place_of_anothers() {
    let bench = Bench::new();
    let first = bench.built(1).await;
    bench.to_gold(&first).await;
    let mut other = bench.built(2).await;
    let record = &mut other.candidate.amis[0].record;
    record.architecture = Architecture::Arm64;
    let mut image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
    image.architecture = Some(Architecture::Arm64);
    bench.cloud.add_image(&record.ami.region, image);
    other.evidence.targets[0].ami = Some(record.clone());
    other.file = bench.hands_over("arm64.json", &other.evidence);
    bench.waits(&other.candidate);
    done(bench.vet(&other).await);
    let words = refused(bench.gold().await);
    assert!(words.contains("has no AMI for x86_64, and gold has one"), "{words}");
    assert_eq!(bench.lock().await.gold, Some(run(1)));
}

#[tokio::test]
async fn a_build_of_other_variables_is_of_other_inputs_and_what_an_earlier_version_recorded_counts() {
    let with = |version: &str| {
        let build =
            format!("  build {{\n    template = \"packer\"\n    variables = {{ nginx = \"{version}\" }}\n  }}\n");
        CONFIG.replace("  distribution {", &format!("{build}  distribution {{"))
    };
    let bench = Bench::with(&with("1.27.4"));
    let inputs = ["packer/**".to_owned(), "suites/**".to_owned()];
    let build = assay_config::file::BuildDecl {
        template: "packer".into(),
        variables: [("nginx".to_owned(), "1.27.4".to_owned())].into(),
        ..Default::default()
    };
    let source = bench.books().await.source_digest(&inputs, &[], &build.canonical_text()).await.expect("a digest");
    let former = bench.made(1, source.former.clone());
    bench.waits(&former.candidate);
    bench.to_gold(&former).await;
    let said = |plan: crate::manager::plan::BuildPlan| (plan.images[0].due, plan.images[0].reasons[0].name());
    assert_eq!(said(bench.planned().await), (false, "gold-is-current"));
    let first = bench.made(2, source.current.clone());
    bench.waits(&first.candidate);
    bench.to_gold(&first).await;

    let second = bench.made(3, source.current);
    bench.waits(&second.candidate);
    bench.world.write("seed/assay.hcl", &with("1.27.5"));
    bench.commit("another nginx");
    let words = refused(bench.vet(&second).await);
    assert!(words.contains("was made from other inputs"), "{words}");
    assert_eq!(bench.lock().await.gold, Some(run(2)));
    assert_eq!(said(bench.planned().await), (true, "inputs-changed"));
}

/// A clone that reads from a mirror which is behind, and pushes to the primary.
#[tokio::test]
async fn a_mirror_that_lags_behind_does_not_lead_the_cloud_back() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    bench.to_gold(&first).await;
    done(bench.vet(&second).await);
    bench.world.git(".", &["clone", "-q", "--mirror", "remote.git", "mirror.git"]);
    let primary = bench.world.path("remote.git").display().to_string();
    let mirror = bench.world.path("mirror.git").display().to_string();
    bench.world.git("clone", &["remote", "set-url", "origin", &mirror]);
    bench.world.git("clone", &["remote", "set-url", "--push", "origin", &primary]);
    let moved = bench.gold().await.expect("the push is taken");
    assert!(moved.missing.iter().any(|why| why.contains("older lock than was pushed")), "{:?}", moved.missing);
    assert_eq!(bench.tagged_gold(), [run(2).to_string()]);
    bench.cloud.holdings(&region("us-east-1"), |held| {
        let gold = &second.candidate.amis[0].record.ami.id;
        assert_eq!(held.parameters["/images/base/x86_64"], gold.as_str());
    });
}

#[tokio::test]
async fn a_rollback_does_not_wait_for_a_region_that_is_down() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    bench.to_gold(&first).await;
    bench.to_gold(&second).await;
    let ids: Vec<_> = bench.images("us-west-2").into_iter().map(|image| image.id).collect();
    assert_eq!(ids.len(), 2, "a copy of each");
    // The region's first answers fail: those that the check asks for.
    bench.cloud.fault("DescribeImages", FakeFault::Refuse(CloudErrorKind::Denied));
    let moved = bench.moved(RunMove::Rollback { run: None }).await.expect("the lock is moved");
    assert_eq!(moved.run, run(1));
    assert_eq!(bench.lock().await.gold, Some(run(1)));
}

#[tokio::test]
async fn a_rollback_asks_nothing_of_a_region_that_was_given_up() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    bench.to_gold(&first).await;
    bench.to_gold(&second).await;
    for image in bench.images("us-west-2") {
        let cloud = bench.cloud.region(&region("us-west-2"));
        cloud.disable_deregistration_protection(&image.id).await.expect("lifted");
        cloud.deregister_image(&image.id).await.expect("gone");
    }
    bench.world.git("seed", &["pull", "-q", "--rebase", "../remote.git", "main"]);
    bench.world.write("seed/assay.hcl", &CONFIG.replace(", \"us-west-2\"", ""));
    bench.commit("us-west-2 is left");
    let moved = done(bench.moved(RunMove::Rollback { run: None }).await);
    assert_eq!((moved.run, bench.lock().await.gold), (run(1), Some(run(1))));
    assert_eq!(done(bench.gold().await).run, run(1), "and gold is brought into order");
}

#[tokio::test]
async fn a_copy_that_was_lost_is_made_again() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    bench.to_gold(&built).await;
    let lost = bench.images("eu-west-1")[0].id.clone();
    let cloud = bench.cloud.region(&region("eu-west-1"));
    cloud.disable_deregistration_protection(&lost).await.expect("lifted");
    cloud.deregister_image(&lost).await.expect("gone");
    let moved = done(bench.gold().await);
    assert_eq!(moved.copied.len(), 1, "{moved:?}");
    let made = &moved.copied[0];
    assert!(made.region == region("eu-west-1") && made.id != lost);
    let lock = bench.lock().await;
    let there: Vec<_> = lock.amis(run(1)).into_iter().map(|record| record.ami).collect();
    assert!(there.contains(made) && !there.iter().any(|ami| ami.id == lost), "{there:?}");
    bench.cloud.holdings(&region("eu-west-1"), |held| {
        assert_eq!(held.parameters["/images/base/x86_64"], made.id.as_str());
    });
    assert_eq!(done(bench.gold().await).change, LockChange::Already);
}

#[tokio::test]
async fn evidence_of_another_run_beside_the_newest_is_not_passed_over_in_silence() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    let moved = done(bench.promote(RunGoal::Vetted(vec![first.file.clone(), second.file.clone()]), None).await);
    let other = if moved.run == run(1) { run(2) } else { run(1) };
    let told = moved.notes.iter().filter(|note| note.contains(&format!("is of run {other} and passed over")));
    assert_eq!(told.count(), 1, "{:?}", moved.notes);
}
