//! The ways that lead to gold and back, and what they leave behind.

use super::*;

#[tokio::test]
async fn a_candidate_becomes_vetted_and_then_gold_everywhere() {
    let bench = Bench::new();
    let built = bench.built(1).await;
    let record = &built.candidate.amis[0].record;

    let vetted = done(bench.vet(&built).await);
    assert_eq!((vetted.state, &vetted.change), (ImageState::Vetted, &LockChange::Made));
    assert_eq!(bench.state_tag(record), "vetted");
    let books = bench.books().await;
    assert_eq!(books.candidates(&base()).await.expect("candidates"), [], "moved into the lock");
    let lock = bench.lock().await;
    assert_eq!(lock.entries[0].candidate.as_ref(), Some(&built.candidate));
    assert_eq!(lock.entries[0].by, "https://ci.example/promote/7");
    let kept = evidence::path(&base(), run(1), lock.evidence_of(run(1)).expect("a digest"));
    let bytes = books.file(&kept).await.expect("read").expect("the evidence is in git");
    assert_eq!(bytes, std::fs::read(&built.file).expect("the file"), "byte for byte");
    assert_eq!(done(bench.vet(&built).await).change, LockChange::Already);

    let gold = done(bench.gold().await);
    assert_eq!((gold.run, gold.state, gold.copied.len()), (run(1), ImageState::Gold, 2));
    let lock = bench.lock().await;
    assert_eq!(lock.gold, Some(run(1)));
    let amis = lock.amis(run(1));
    assert_eq!(amis.len(), 3, "the tested one and two copies");
    for record in &amis {
        let image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
        assert_eq!(image.tags[tags::STATE], "gold");
        assert_eq!(image.tags["Team"], "platform", "the user's tags go along");
        assert_eq!(image.tags[tags::EVIDENCE], lock.evidence_of(run(1)).expect("a digest").as_str());
        assert_eq!(image.tags[tags::PROMOTED_BY], "https://ci.example/promote/7");
        assert!(image.deregistration_protected);
        bench.cloud.holdings(&record.ami.region, |held| {
            let users = &held.sharing[&record.ami.id].sharing.users;
            assert_eq!(users.iter().map(ToString::to_string).collect::<Vec<_>>(), ["210987654321"]);
            assert_eq!(held.volume_permissions[&record.snapshots[0]].len(), 1);
            assert_eq!(held.snapshots[&record.snapshots[0]].tags[tags::STATE], "gold");
            assert_eq!(held.parameters["/images/base/x86_64"], record.ami.id.as_str());
        });
    }
    let names = bench.world.git("remote.git", &["tag", "--list"]);
    assert!(names.contains("base/vetted/") && names.contains("base/gold/"), "{names}");
    assert_eq!(
        bench.world.git(
            "remote.git",
            &["cat-file", "-t", names[names.find("base/gold").expect("there")..].lines().next().expect("a name")]
        ),
        "tag"
    );
    bench.world.assert_sound();

    let changes = |bench: &Bench| {
        let changing =
            |call: &&String| !call.contains(" Describe") && !call.contains(" Get") && !call.contains("ModifySnapshot");
        bench.cloud.calls().iter().filter(changing).count()
    };
    let (before, tip) = (changes(&bench), bench.world.remote_tip());
    let again = done(bench.gold().await);
    assert_eq!((again.change, again.copied.len()), (LockChange::Already, 0));
    assert_eq!((changes(&bench), bench.world.remote_tip()), (before, tip), "nothing is done twice");
}

#[tokio::test]
async fn a_new_gold_retires_the_old_one_in_the_same_commit() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    bench.to_gold(&first).await;
    let moved = bench.to_gold(&second).await;
    let lock = bench.lock().await;
    assert_eq!((lock.gold, lock.state_of(run(1))), (Some(run(2)), Some(ImageState::Retired)));
    let lines = bench.world.git("remote.git", &["show", "--format=", "--name-only", &moved.written.commit]);
    assert_eq!(lines, "images/base.lock.hcl");
    for record in lock.amis(run(1)) {
        let image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
        assert_eq!(image.tags[tags::STATE], "retired");
        assert!(!image.deregistration_protected, "our protection is lifted");
    }
    assert_eq!(bench.tagged_gold(), [run(2).to_string()]);

    let back = done(bench.moved(RunMove::Rollback { run: None }).await);
    assert_eq!(back.run, run(1));
    let lock = bench.lock().await;
    assert_eq!((lock.gold, lock.state_of(run(2))), (Some(run(1)), Some(ImageState::Retired)));
    assert_eq!(bench.tagged_gold(), [run(1).to_string()]);
    bench.cloud.holdings(&region("us-west-2"), |held| {
        let gold = lock.amis(run(1)).into_iter().find(|r| r.ami.region == region("us-west-2")).expect("a copy");
        assert_eq!(held.parameters["/images/base/x86_64"], gold.ami.id.as_str());
    });
    let stays = done(bench.gold().await);
    assert_eq!(
        (stays.run, stays.change),
        (run(1), LockChange::Already),
        "a promotion without anything new keeps the rollback"
    );
}

#[tokio::test]
async fn protection_of_others_is_not_lifted() {
    let bench = Bench::new();
    let (first, second) = (bench.built(1).await, bench.built(2).await);
    let record = &first.candidate.amis[0].record;
    let mut image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
    image.deregistration_protected = true;
    bench.cloud.add_image(&record.ami.region, image);
    bench.to_gold(&first).await;
    bench.to_gold(&second).await;
    let image = bench.cloud.image(&record.ami.region, &record.ami.id).expect("an AMI");
    assert_eq!((image.tags[tags::STATE].as_str(), image.deregistration_protected), ("retired", true));
}

#[tokio::test]
async fn what_is_superseded_is_retired_and_what_is_not_stays() {
    let bench = Bench::new();
    let old_inputs = bench.made(1, Digest::of(b"older inputs"));
    let mut candidate = old_inputs.candidate.clone();
    candidate.tested_at = "2026-11-20T00:00:00Z".to_owned();
    candidate.amis[0].tested_at.clone_from(&candidate.tested_at);
    bench.waits(&candidate);
    let (vetted, gold, later) = (bench.built(2).await, bench.built(3).await, bench.built(4).await);
    done(bench.vet(&vetted).await);
    bench.to_gold(&gold).await;
    let lock = bench.lock().await;
    assert_eq!(lock.gold, Some(run(3)));
    assert_eq!(lock.state_of(run(1)), Some(ImageState::Retired), "an old candidate of other inputs");
    assert_eq!(lock.state_of(run(2)), Some(ImageState::Retired), "vetted before");
    assert_eq!(lock.last(run(2)).expect("an entry").reason, format!("superseded by {}", run(3)));
    assert_eq!(lock.state_of(run(4)), None, "of the same inputs: it stays a candidate");
    assert_eq!(bench.state_tag(&vetted.candidate.amis[0].record), "retired");
    assert_eq!(bench.state_tag(&later.candidate.amis[0].record), "candidate");
}

#[tokio::test]
async fn what_assay_hcl_declares_must_be_covered() {
    let config = CONFIG.replace("  inputs = [", "  architectures = [\"x86_64\", \"arm64\"]\n  inputs = [");
    let bench = Bench::with(&config);
    let built = bench.built(1).await;
    done(bench.vet(&built).await);
    let words = refused(bench.gold().await);
    assert!(words.contains("declares arm64 in eu-west-1, and the run has no such AMI"), "{words}");
    assert_eq!(bench.cloud.count("CopyImage"), 0, "nothing is copied for what cannot be gold");
}

#[tokio::test]
async fn projections_follow_gold_in_the_same_commit_and_only_the_ids_change() {
    let config = CONFIG.replace(
        "  distribution {",
        "  projection \"infra/base.auto.tfvars\" {\n    variable     = \"base_ami\"\n    region       = \"us-east-1\"\n    architecture = \"x86_64\"\n  }\n  distribution {",
    );
    let bench = Bench::with(&config);
    std::fs::create_dir_all(bench.world.path("seed/infra")).expect("a folder");
    bench.world.write("seed/infra/base.auto.tfvars", "# who\nbase_ami = \"ami-00000000\" # gold\nother = 1\n");
    bench.commit("who uses base");
    let built = bench.built(1).await;
    let moved = bench.to_gold(&built).await;
    let id = &built.candidate.amis[0].record.ami.id;
    let text = bench.world.git("remote.git", &["show", "main:infra/base.auto.tfvars"]);
    assert_eq!(text, format!("# who\nbase_ami = \"{id}\" # gold\nother = 1"));
    let mut files = moved.written.files.clone();
    files.sort();
    assert_eq!(files, ["images/base.lock.hcl", "infra/base.auto.tfvars"]);
    // Somebody edits it: the next promotion puts it right.
    bench.world.git("seed", &["pull", "-q", "--rebase", "../remote.git", "main"]);
    bench.world.write("seed/infra/base.auto.tfvars", "base_ami = \"ami-00000001\"\n");
    bench.commit("by hand");
    assert_eq!(done(bench.gold().await).written.files, ["infra/base.auto.tfvars"]);
}
