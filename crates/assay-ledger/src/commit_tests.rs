//! `commit` against real git: runs, reruns, branches, refusals, signing. Races and kills: `race_tests`.

use super::{
    CommitChange, CommitRequest, candidate_file,
    fixtures::RUN,
    world::{BuildFixture, GitWorld, candidate_path, done, fails, run, write_manifest},
};
use assay_model::{Digest, ImageState, ManifestRuns, exit::ExitStatus};

#[tokio::test]
async fn a_run_is_committed_tagged_and_pushed_and_the_checkout_stays() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    world.write("clone/README.md", "edited\n");
    world.write("clone/untracked", "mine\n");
    world.write("clone/staged", "mine\n");
    world.git("clone", &["add", "staged"]);
    let before = world.checkout_state("clone");

    let outcome = done(&world.request("build/manifest.json")).await;

    assert_eq!(world.checkout_state("clone"), before);
    assert_eq!((outcome.change, outcome.tries), (CommitChange::Pushed, 1));
    assert_eq!(outcome.commit, world.remote_tip());
    let evidence = world.git("remote.git", &["show", &format!("main:images/evidence/base/{RUN}.json")]) + "\n";
    assert_eq!(evidence.as_bytes(), std::fs::read(world.path("build/evidence-0.json")).expect("evidence"));
    let text = world.git("remote.git", &["show", &format!("main:{}", candidate_path(RUN))]) + "\n";
    let candidate = candidate_file::read("c", &text).expect("a candidate");
    assert_eq!(candidate.evidence, Digest::of(evidence.as_bytes()));
    assert_eq!((candidate.amis.len(), candidate.state), (2, ImageState::Candidate));
    let tag = format!("base/candidate/20261122-{RUN}");
    assert_eq!(world.git("remote.git", &["cat-file", "-t", &tag]), "tag");
    assert_eq!(world.git("remote.git", &["rev-parse", &format!("{tag}^{{commit}}")]), outcome.commit);
    let message = world.git("remote.git", &["log", "-1", "--format=%B", "main"]);
    assert!(message.starts_with(&format!("assay: base candidate (passed), run {RUN}\n")), "{message}");
    assert!(message.contains("ami-0abcdef1234567801"), "{message}");
    // Only what is assay's was committed.
    let files = world.git("remote.git", &["diff", "--name-only", "main~1", "main"]);
    assert_eq!(files, format!("{}\nimages/evidence/base/{RUN}.json", candidate_path(RUN)));
    world.assert_sound();
}

#[tokio::test]
async fn a_second_time_changes_nothing() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    let first = done(&world.request("build/manifest.json")).await;
    let references = world.git("remote.git", &["for-each-ref"]);
    let second = done(&world.request("build/manifest.json")).await;
    assert_eq!((second.change, second.tries), (CommitChange::AlreadyThere, 0));
    assert_eq!(second.commit, first.commit);
    assert!(second.files.is_empty() && !second.tags[0].created);
    assert_eq!(world.git("remote.git", &["for-each-ref"]), references);

    // Also from a fresh clone, after others went on.
    world.git("seed", &["pull", "-q", "../remote.git", "main"]);
    world.git("seed", &["commit", "-q", "--allow-empty", "-m", "more"]);
    world.git("seed", &["push", "-q", "../remote.git", "main"]);
    world.git(".", &["clone", "-q", "remote.git", "other"]);
    let third = done(&CommitRequest { repository: world.path("other"), ..world.request("build/manifest.json") }).await;
    assert_eq!((third.change, third.commit), (CommitChange::AlreadyThere, first.commit));
}

#[tokio::test]
async fn two_builds_of_one_run_become_one_candidate_in_any_order() {
    let (x86, arm) = (("x86", "x86_64", 1), ("arm", "arm64", 2));
    let mut files = Vec::new();
    for order in [[x86, arm], [arm, x86]] {
        let world = GitWorld::new();
        for (folder, architecture, number) in order {
            write_manifest(&world.path(folder), &[BuildFixture::passed(RUN, architecture, number)]);
            let outcome = done(&world.request(&format!("{folder}/manifest.json"))).await;
            assert_eq!(outcome.change, CommitChange::Pushed);
        }
        for (folder, ..) in order {
            let again = done(&world.request(&format!("{folder}/manifest.json"))).await;
            assert_eq!(again.change, CommitChange::AlreadyThere);
            assert_eq!(again.candidates[0].amis.len(), 4);
        }
        files.push(world.git("remote.git", &["ls-tree", "-r", "main", "images"]));
    }
    assert_eq!(files[0], files[1]);
    assert_eq!(files[0].lines().count(), 3, "one candidate file, two evidence files: {}", files[0]);
}

#[tokio::test]
async fn two_builds_in_one_manifest_are_one_commit_and_one_tag() {
    let world = GitWorld::new();
    let mut web = BuildFixture::passed(RUN, "x86_64", 7);
    web.image = "web";
    web.state = ImageState::Rejected;
    let builds = [BuildFixture::passed(RUN, "x86_64", 1), BuildFixture::passed(RUN, "arm64", 2), web];
    write_manifest(&world.path("build"), &builds);
    let outcome = done(&world.request("build/manifest.json")).await;
    assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "3");
    let names: Vec<&str> = outcome.tags.iter().map(|tag| tag.name.as_str()).collect();
    assert_eq!(names, [format!("base/candidate/20261122-{RUN}"), format!("web/rejected/20261122-{RUN}")]);
}

#[tokio::test]
async fn a_run_is_chosen_by_the_last_writer_or_by_the_user() {
    let world = GitWorld::new();
    let (first, last) = (run(1), run(2));
    write_manifest(
        &world.path("build"),
        &[BuildFixture::passed(&last, "x86_64", 2), BuildFixture::passed(&first, "x86_64", 1)],
    );
    let outcome = done(&world.request("build/manifest.json")).await;
    assert_eq!(outcome.candidates[0].run.to_string(), first);
    let asked =
        CommitRequest { runs: ManifestRuns::One(last.parse().expect("a run")), ..world.request("build/manifest.json") };
    assert_eq!(done(&asked).await.candidates[0].run.to_string(), last);
    let unknown = CommitRequest { runs: ManifestRuns::One(run(9).parse().expect("a run")), ..asked };
    assert_eq!(fails(&unknown).await.0.exit(), ExitStatus::Nothing);
}

#[tokio::test]
async fn every_run_of_a_manifest_is_one_commit() {
    let world = GitWorld::new();
    let (first, second, third) = (run(1), run(2), run(3));
    let mut web = BuildFixture::passed(&second, "x86_64", 7);
    (web.image, web.state) = ("web", ImageState::Rejected);
    write_manifest(
        &world.path("build"),
        &[
            BuildFixture::passed(&first, "x86_64", 1),
            web,
            BuildFixture::passed(&third, "x86_64", 3),
            BuildFixture::passed(&first, "arm64", 2),
        ],
    );
    let all = CommitRequest { runs: ManifestRuns::All, ..world.request("build/manifest.json") };
    let outcome = done(&all).await;
    let stated: Vec<_> =
        outcome.candidates.iter().map(|c| (c.image.as_str(), c.run.to_string(), c.amis.len())).collect();
    assert_eq!(stated, [("base", first, 4), ("base", third, 2), ("web", second, 2)]);
    assert_eq!((outcome.tags.len(), outcome.tries), (3, 1));
    assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "3", "one commit for all");
    let subject = world.git("remote.git", &["log", "-1", "--format=%s", "main"]);
    assert_eq!(subject, "assay: base candidate (passed), base candidate (passed), web rejected (failed), 3 runs");
    assert_eq!(done(&all).await.change, CommitChange::AlreadyThere);
}

#[tokio::test]
async fn of_all_runs_what_is_sound_is_committed_and_the_rest_is_named() {
    let world = GitWorld::new();
    let [good, changed, unseen, twice] = [run(1), run(2), run(3), run(4)];
    let builds = [
        BuildFixture::passed(&changed, "x86_64", 2),
        BuildFixture::passed(&unseen, "x86_64", 3),
        BuildFixture::passed(&good, "x86_64", 1),
        BuildFixture::passed(&twice, "x86_64", 4),
        BuildFixture::passed(&twice, "x86_64", 5),
    ];
    write_manifest(&world.path("build"), &builds);
    world.write("build/evidence-0.json", "{}\n");
    let text = std::fs::read_to_string(world.path("build/manifest.json")).expect("a manifest");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    manifest["builds"][1]["assay"]["records"] = serde_json::json!([]);
    world.write("build/manifest.json", &manifest.to_string());

    let all = CommitRequest { runs: ManifestRuns::All, ..world.request("build/manifest.json") };
    let outcome = done(&all).await;
    assert_eq!(outcome.candidates.iter().map(|c| c.run.to_string()).collect::<Vec<_>>(), [good]);
    assert_eq!((&outcome.change, &outcome.commit), (&CommitChange::Pushed, &world.remote_tip()));
    let words = ["evidence-0.json: these bytes have the digest", "EC2 never described", "exclude each other"];
    let exits = [ExitStatus::Conflict, ExitStatus::Undecided, ExitStatus::Conflict];
    assert_eq!(outcome.left.iter().map(|left| left.exit).collect::<Vec<_>>(), exits);
    for (left, words) in outcome.left.iter().zip(words) {
        assert!(left.why.contains(words), "{words}: {}", left.why);
    }
    let again = done(&all).await;
    assert_eq!((again.change, again.left), (CommitChange::AlreadyThere, outcome.left), "a rerun does not hide them");

    // One run alone is all or nothing; so are all of them where none is sound.
    let one = CommitRequest { runs: ManifestRuns::One(changed.parse().expect("a run")), ..all.clone() };
    assert_eq!(fails(&one).await.0.exit(), ExitStatus::Conflict);
    manifest["builds"].as_array_mut().expect("builds").truncate(2);
    world.write("build/manifest.json", &manifest.to_string());
    assert_eq!(fails(&all).await.0.exit(), ExitStatus::Conflict);
}

#[tokio::test]
async fn a_detached_head_commits_to_the_branch_that_ci_names() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    world.git("clone", &["checkout", "-q", "--detach"]);
    let mut request = world.request("build/manifest.json");
    let (error, text) = fails(&request).await;
    assert_eq!(error.exit(), ExitStatus::Usage);
    assert!(text.contains("--branch"), "{text}");
    request.environment.insert("CIRCLE_BRANCH".to_owned(), "-x".to_owned());
    assert!(fails(&request).await.1.contains("CIRCLE_BRANCH"));
    request.environment.insert("CIRCLE_BRANCH".to_owned(), "main".to_owned());
    assert_eq!(done(&request).await.commit, world.remote_tip());
}

#[tokio::test]
async fn a_new_branch_begins_at_the_checkout() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    world.git("clone", &["checkout", "-q", "-b", "feature/x"]);
    let outcome = done(&world.request("build/manifest.json")).await;
    assert_eq!(world.git("remote.git", &["rev-parse", "feature/x"]), outcome.commit);
    assert_eq!(world.git("remote.git", &["rev-parse", "feature/x~1"]), world.remote_tip());
}

#[tokio::test]
async fn a_branch_that_was_deleted_meanwhile_is_a_conflict_and_is_not_pushed_anew() {
    let world = GitWorld::new();
    world.git("clone", &["switch", "-q", "-c", "topic"]);
    world.git("clone", &["push", "-q", "-u", "origin", "topic"]);
    world.git("remote.git", &["branch", "-D", "topic"]);
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    let references = world.git("remote.git", &["for-each-ref"]);
    let (error, words) = fails(&world.request("build/manifest.json")).await;
    assert_eq!(error.exit(), ExitStatus::Conflict, "{words}");
    assert!(words.contains("no longer has the branch topic") && words.contains("git fetch --prune origin"), "{words}");
    assert_eq!(world.git("remote.git", &["for-each-ref"]), references);
    // Who means it makes the clone forget the branch, as the message says.
    world.git("clone", &["fetch", "-q", "--prune", "origin"]);
    assert_eq!(done(&world.request("build/manifest.json")).await.change, CommitChange::Pushed);
}

#[tokio::test]
async fn an_empty_remote_takes_a_first_commit() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    world.git(".", &["init", "-q", "--bare", "empty.git"]);
    world.git(".", &["clone", "-q", "empty.git", "fresh"]);
    let request = CommitRequest { repository: world.path("fresh"), ..world.request("build/manifest.json") };
    let outcome = done(&request).await;
    assert_eq!(world.git("empty.git", &["rev-parse", "main"]), outcome.commit);
    assert_eq!(done(&request).await.change, CommitChange::AlreadyThere);
}

#[tokio::test]
async fn a_shallow_clone_behind_the_branch_works_and_stays_shallow() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    let url = format!("file://{}", world.path("remote.git").display());
    world.git(".", &["clone", "-q", "--depth=1", &url, "shallow"]);
    world.git("seed", &["commit", "-q", "--allow-empty", "-m", "meanwhile"]);
    world.git("seed", &["push", "-q", "../remote.git", "main"]);
    let boundary = std::fs::read(world.path("shallow/.git/shallow")).expect("shallow");
    let before = world.checkout_state("shallow");
    let request = CommitRequest { repository: world.path("shallow"), ..world.request("build/manifest.json") };
    assert_eq!(done(&request).await.commit, world.remote_tip());
    assert_eq!(std::fs::read(world.path("shallow/.git/shallow")).expect("shallow"), boundary);
    assert_eq!(world.checkout_state("shallow"), before);
    assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "4");
    world.assert_sound();
}

#[tokio::test]
async fn the_users_hooks_do_not_run() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    let ran = world.path("hook-ran");
    for hook in ["pre-push", "pre-commit", "post-commit", "reference-transaction", "post-checkout", "commit-msg"] {
        world.script(&format!("clone/.git/hooks/{hook}"), &format!("#!/bin/sh\necho {hook} >>{}\n", ran.display()));
    }
    done(&world.request("build/manifest.json")).await;
    assert!(!ran.exists(), "{}", std::fs::read_to_string(&ran).unwrap_or_default());
}

#[tokio::test]
async fn followed_tags_and_a_stale_index_lock_do_not_matter() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    world.git("clone", &["config", "push.followTags", "true"]);
    world.git("clone", &["tag", "-a", "-m", "mine", "private"]);
    world.write("clone/.git/index.lock", "");
    done(&world.request("build/manifest.json")).await;
    assert_eq!(world.git("remote.git", &["tag", "--list", "private"]), "");
}

#[tokio::test]
async fn changed_evidence_is_refused() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    let evidence = std::fs::read_to_string(world.path("build/evidence-0.json")).expect("evidence");
    world.write("build/evidence-0.json", &evidence.replace("injected", "given"));
    let (error, text) = fails(&world.request("build/manifest.json")).await;
    assert_eq!(error.exit(), ExitStatus::Conflict);
    assert!(text.contains("evidence-0.json") && text.contains("the manifest says sha256:"), "{text}");
    assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "2");
}

#[tokio::test]
async fn evidence_of_other_amis_is_refused() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    let manifest = std::fs::read_to_string(world.path("build/manifest.json")).expect("a manifest");
    world.write("build/manifest.json", &manifest.replace("ami-0abcdef1234567801", "ami-0abcdef1234567899"));
    let (error, text) = fails(&world.request("build/manifest.json")).await;
    assert_eq!(error.exit(), ExitStatus::Conflict);
    assert!(
        text.contains("this evidence covers") && text.contains("and not us-east-1:ami-0abcdef1234567899"),
        "{text}"
    );
}

#[tokio::test]
async fn one_evidence_for_the_amis_of_two_builds_is_enough() {
    let world = GitWorld::new();
    write_manifest(
        &world.path("build"),
        &[BuildFixture::passed(RUN, "x86_64", 1), BuildFixture::passed(RUN, "arm64", 2)],
    );
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(world.path(name)).expect("a file")).expect("JSON")
    };
    let (mut both, second) = (read("build/evidence-0.json"), read("build/evidence-1.json"));
    let more = second["targets"].as_array().expect("targets").clone();
    both["targets"].as_array_mut().expect("targets").extend(more);
    world.write("build/both.json", &both.to_string());
    let mut manifest = read("build/manifest.json");
    for build in manifest["builds"].as_array_mut().expect("builds") {
        build["assay"]["evidence"] = "both.json".into();
        build["assay"]["evidence_digest"] = Digest::of(both.to_string().as_bytes()).as_str().into();
    }
    world.write("build/manifest.json", &manifest.to_string());
    let outcome = done(&world.request("build/manifest.json")).await;
    assert_eq!((outcome.candidates[0].amis.len(), outcome.files.len()), (4, 2));
}

#[tokio::test]
async fn a_verdict_that_the_evidence_does_not_bear_is_refused() {
    let world = GitWorld::new();
    let mut rejected = BuildFixture::passed(RUN, "x86_64", 1);
    rejected.state = ImageState::Rejected;
    write_manifest(&world.path("build"), &[rejected]);
    let manifest = std::fs::read_to_string(world.path("build/manifest.json")).expect("a manifest");
    world.write("build/manifest.json", &manifest.replace("rejected", "candidate").replace("failed", "passed"));
    let (error, text) = fails(&world.request("build/manifest.json")).await;
    assert_eq!(error.exit(), ExitStatus::Conflict);
    assert!(text.contains("this evidence says failed, the manifest says passed"), "{text}");
}

#[tokio::test]
async fn a_broken_manifest_names_its_place() {
    let world = GitWorld::new();
    world.write("manifest.json", "{\n  \"builds\": [,]\n}");
    let (error, text) = fails(&world.request("manifest.json")).await;
    assert_eq!(error.exit(), ExitStatus::Usage);
    assert!(text.contains("manifest.json: line 2, column 14"), "{text}");
    assert_eq!(fails(&world.request("none.json")).await.0.exit(), ExitStatus::Usage);
    world.write("packer.json", "{\"builds\": [], \"last_run_uuid\": \"\"}");
    assert_eq!(fails(&world.request("packer.json")).await.0.exit(), ExitStatus::Nothing);
}

#[tokio::test]
async fn a_refusing_hook_ends_it_with_the_remotes_words_and_nothing_changed() {
    for hook in ["pre-receive", "update"] {
        let world = GitWorld::new();
        write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
        let refuse = match hook {
            // Only the branch: the tag must not arrive alone.
            "update" => {
                "#!/bin/sh\ncase $1 in refs/heads/*) printf 'main is \\033[31mprotected\\n' >&2; exit 1;; esac\n"
            }
            _ => "#!/bin/sh\nprintf 'main is \\033[31mprotected\\n' >&2\nexit 1\n",
        };
        world.script(&format!("remote.git/hooks/{hook}"), refuse);
        let before = world.git("remote.git", &["for-each-ref"]);
        let (error, text) = fails(&world.request("build/manifest.json")).await;
        assert_eq!(error.exit(), ExitStatus::Conflict);
        assert!(text.contains("main is \\x1b[31mprotected") && text.contains("--branch"), "{hook}: {text}");
        assert_eq!(world.git("remote.git", &["for-each-ref"]), before, "{hook}");
    }
}

#[tokio::test]
async fn another_ami_in_the_same_place_is_a_conflict() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    done(&world.request("build/manifest.json")).await;
    let tip = world.remote_tip();
    write_manifest(&world.path("other"), &[BuildFixture::passed(RUN, "x86_64", 5)]);
    let (error, text) = fails(&world.request("other/manifest.json")).await;
    assert_eq!(error.exit(), ExitStatus::Conflict);
    assert!(text.contains("ami-0abcdef1234567801") && text.contains("ami-0abcdef1234567805"), "{text}");
    assert_eq!(world.remote_tip(), tip);
}

#[tokio::test]
async fn evidence_that_the_candidate_never_named_stays() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    done(&world.request("build/manifest.json")).await;
    world.git("clone", &["pull", "-q", "--ff-only"]);
    let validation = format!("images/evidence/base/{RUN}-0123456789ab.json");
    world.commit_file("clone", &validation, "{}\n");
    world.git("clone", &["push", "-q"]);
    let mut later = BuildFixture::passed(RUN, "x86_64", 1);
    later.tested_at = "2026-11-23T00:30:00Z";
    write_manifest(&world.path("later"), &[later]);
    let outcome = done(&world.request("later/manifest.json")).await;
    assert_eq!(outcome.files, [candidate_path(RUN), format!("images/evidence/base/{RUN}.json")]);
    assert_eq!(world.git("remote.git", &["show", &format!("main:{validation}")]), "{}");
}

#[tokio::test]
async fn a_tag_on_something_else_is_never_moved_and_stops_nobody() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    let tag = format!("base/candidate/20261122-{RUN}");
    world.git("remote.git", &["tag", &tag, "main"]);
    let planted = world.git("remote.git", &["rev-parse", &tag]);
    let outcome = done(&world.request("build/manifest.json")).await;
    assert_eq!(outcome.tags[0].name, format!("{tag}-2"));
    assert!(outcome.warnings[0].contains(&tag), "{:?}", outcome.warnings);
    assert_eq!(world.git("remote.git", &["rev-parse", &tag]), planted);
    assert_eq!(world.git("remote.git", &["cat-file", "-t", &outcome.tags[0].name]), "tag");
    let again = done(&world.request("build/manifest.json")).await;
    assert_eq!((again.change, again.tags[0].created), (CommitChange::AlreadyThere, false));
}

#[tokio::test]
async fn a_missing_tag_is_made_up_for() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    let first = done(&world.request("build/manifest.json")).await;
    let tag = format!("base/candidate/20261122-{RUN}");
    world.git("remote.git", &["tag", "-d", &tag]);
    let second = done(&world.request("build/manifest.json")).await;
    assert_eq!((second.change, second.tags[0].created), (CommitChange::Pushed, true));
    assert_eq!(world.git("remote.git", &["rev-parse", &format!("{tag}^{{commit}}")]), first.commit);
    assert_eq!(world.remote_tip(), first.commit);
}

#[tokio::test]
async fn credentials_in_a_url_are_never_shown() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    // Port 1 of loopback answers nobody.
    for url in ["https://user:s3cret@127.0.0.1:1/o/r.git", "http://s3cret@127.0.0.1:1/o/r.git?token=s3cret"] {
        let request = CommitRequest { remote: Some(url.to_owned()), ..world.request("build/manifest.json") };
        let (error, text) = fails(&request).await;
        assert_eq!(error.exit(), ExitStatus::Undecided, "{text}");
        assert!(!format!("{text} {error:?}").contains("s3cret"), "{text} {error:?}");
        assert!(text.contains("127.0.0.1"), "{text}");
    }
    // A URL that works is shown without them too.
    world.git(
        "clone",
        &["config", &format!("url.{}.insteadOf", world.path("remote.git").display()), "https://u:s3cret@git.example/r"],
    );
    let request = CommitRequest {
        remote: Some("https://u:s3cret@git.example/r".to_owned()),
        ..world.request("build/manifest.json")
    };
    let outcome = done(&request).await;
    assert_eq!(outcome.remote.as_deref(), Some("https://git.example/r"));
}

#[tokio::test]
async fn without_push_the_checked_out_branch_stays_and_the_cure_takes_the_commit_in() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    let request = CommitRequest { push: false, ..world.request("build/manifest.json") };
    let status = world.git("clone", &["status", "--porcelain"]);
    let outcome = done(&request).await;
    assert_eq!(world.git("clone", &["status", "--porcelain"]), status);
    assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "2");
    let CommitChange::Kept { reference, moved_branch: false, cure: Some(cure) } = outcome.change else {
        panic!("{:?}", outcome.change)
    };
    let again = done(&request).await;
    assert_eq!((again.change, &again.commit), (CommitChange::AlreadyThere, &outcome.commit));
    assert_eq!(cure, format!("git merge --ff-only {reference}"));
    world.git("clone", &["merge", "-q", "--ff-only", &reference]);
    assert!(world.path("clone").join(candidate_path(RUN)).exists());
    assert_eq!(done(&request).await.change, CommitChange::AlreadyThere);
    // What was made without a push can be pushed later.
    world.git("clone", &["push", "-q", "--follow-tags", "origin", "main"]);
    assert_eq!(done(&world.request("build/manifest.json")).await.change, CommitChange::AlreadyThere);
}

#[tokio::test]
async fn without_push_a_branch_that_nobody_has_checked_out_moves() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    let branch = Some("ledger".to_owned());
    let request = CommitRequest { push: false, branch, ..world.request("build/manifest.json") };
    let outcome = done(&request).await;
    assert!(
        matches!(outcome.change, CommitChange::Kept { moved_branch: true, cure: None, .. }),
        "{:?}",
        outcome.change
    );
    assert_eq!(world.git("clone", &["rev-parse", "ledger"]), outcome.commit);
    assert_eq!(done(&request).await.change, CommitChange::AlreadyThere);
}

#[tokio::test]
async fn the_users_signing_holds_for_commit_and_tag() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    // A signing program in gpg's place (gpg.program): what git asks of it is what matters.
    world.script(
        "signer",
        "#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED D 1 8 00 0 K' >&2\nprintf -- '-----BEGIN PGP SIGNATURE-----\\n\\nby %s\\n-----END PGP SIGNATURE-----\\n' \"$3\"\n",
    );
    for (name, value) in [
        ("commit.gpgsign", "true"),
        ("tag.gpgsign", "true"),
        ("gpg.program", world.path("signer").to_str().expect("UTF-8")),
        ("user.signingkey", "KEY7"),
    ] {
        // In the repository's own configuration: the tag is made elsewhere and must see it all the same.
        world.git("clone", &["config", name, value]);
    }
    let before = world.git("clone", &["for-each-ref", "refs/tags"]);
    done(&world.request("build/manifest.json")).await;
    let commit = world.git("remote.git", &["cat-file", "commit", "main"]);
    assert!(commit.contains("gpgsig -----BEGIN PGP SIGNATURE-----") && commit.contains("by KEY7"), "{commit}");
    let tag = world.git("remote.git", &["cat-file", "tag", &format!("base/candidate/20261122-{RUN}")]);
    assert!(tag.contains("by KEY7") && tag.contains("verdict   passed"), "{tag}");
    assert_eq!(world.git("clone", &["for-each-ref", "refs/tags"]), before);
}

#[tokio::test]
async fn a_machine_without_a_git_identity_commits_as_assay() {
    let mut world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    // An e-mail address that is set but empty: git will not make one up either.
    world.write("home/nobody", "[user]\nemail =\nname =\n");
    world.environment.insert("GIT_CONFIG_GLOBAL".to_owned(), world.path("home/nobody").display().to_string());
    world.environment.insert("EMAIL".to_owned(), String::new());
    done(&world.request("build/manifest.json")).await;
    assert_eq!(world.git("remote.git", &["log", "-1", "--format=%an <%ae>", "main"]), "assay <assay@localhost>");
}

#[tokio::test]
async fn a_remote_that_cannot_push_atomically_gets_the_branch_before_the_tag() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    world.git("remote.git", &["config", "receive.advertiseAtomic", "false"]);
    let outcome = done(&world.request("build/manifest.json")).await;
    assert_eq!((outcome.change, &outcome.commit), (CommitChange::Pushed, &world.remote_tip()));
    assert_eq!(world.git("remote.git", &["cat-file", "-t", &outcome.tags[0].name]), "tag");
    assert_eq!(done(&world.request("build/manifest.json")).await.change, CommitChange::AlreadyThere);
}
