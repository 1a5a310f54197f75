//! `commit` against real git: runs, reruns, races, refusals and kills.

use std::{path::PathBuf, process::Command};

use super::{
    Change, CommitOutcome, CommitRequest, Environment, LedgerError, Patience, candidate_file, commit,
    fixtures::RUN,
    world::{Build, World, run, write_manifest},
};
use crate::{
    exit::Exit,
    model::{Digest, State},
};

fn candidate_path(run: &str) -> String {
    format!("images/base/candidates/{run}.hcl")
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

async fn done(request: &CommitRequest) -> CommitOutcome {
    commit(request).await.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

async fn fails(request: &CommitRequest) -> (LedgerError, String) {
    let error = commit(request).await.expect_err("must fail");
    let text = chain(&error);
    (error, text)
}

#[tokio::test]
async fn a_run_is_committed_tagged_and_pushed_and_the_checkout_stays() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    world.write("clone/README.md", "edited\n");
    world.write("clone/untracked", "mine\n");
    world.write("clone/staged", "mine\n");
    world.git("clone", &["add", "staged"]);
    let before = world.checkout_state("clone");

    let outcome = done(&world.request("build/manifest.json")).await;

    assert_eq!(world.checkout_state("clone"), before);
    assert_eq!((outcome.change, outcome.tries), (Change::Pushed, 1));
    assert_eq!(outcome.commit, world.remote_tip());
    let evidence = world.git("remote.git", &["show", &format!("main:images/evidence/base/{RUN}.json")]) + "\n";
    assert_eq!(evidence.as_bytes(), std::fs::read(world.path("build/evidence-0.json")).expect("evidence"));
    let text = world.git("remote.git", &["show", &format!("main:{}", candidate_path(RUN))]) + "\n";
    let candidate = candidate_file::read("c", &text).expect("a candidate");
    assert_eq!(candidate.evidence, Digest::of(evidence.as_bytes()));
    assert_eq!((candidate.amis.len(), candidate.state), (2, State::Candidate));
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
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    let first = done(&world.request("build/manifest.json")).await;
    let references = world.git("remote.git", &["for-each-ref"]);
    let second = done(&world.request("build/manifest.json")).await;
    assert_eq!((second.change, second.tries), (Change::AlreadyThere, 0));
    assert_eq!(second.commit, first.commit);
    assert!(second.files.is_empty() && !second.tags[0].created);
    assert_eq!(world.git("remote.git", &["for-each-ref"]), references);

    // Also from a fresh clone, after others went on.
    world.git("seed", &["pull", "-q", "../remote.git", "main"]);
    world.git("seed", &["commit", "-q", "--allow-empty", "-m", "more"]);
    world.git("seed", &["push", "-q", "../remote.git", "main"]);
    world.git(".", &["clone", "-q", "remote.git", "other"]);
    let third = done(&CommitRequest { repository: world.path("other"), ..world.request("build/manifest.json") }).await;
    assert_eq!((third.change, third.commit), (Change::AlreadyThere, first.commit));
}

#[tokio::test]
async fn two_builds_of_one_run_become_one_candidate_in_any_order() {
    let (x86, arm) = (("x86", "x86_64", 1), ("arm", "arm64", 2));
    let mut files = Vec::new();
    for order in [[x86, arm], [arm, x86]] {
        let world = World::new();
        for (folder, architecture, number) in order {
            write_manifest(&world.path(folder), &[Build::passed(RUN, architecture, number)]);
            let outcome = done(&world.request(&format!("{folder}/manifest.json"))).await;
            assert_eq!(outcome.change, Change::Pushed);
        }
        for (folder, ..) in order {
            let again = done(&world.request(&format!("{folder}/manifest.json"))).await;
            assert_eq!(again.change, Change::AlreadyThere);
            assert_eq!(again.candidates[0].amis.len(), 4);
        }
        files.push(world.git("remote.git", &["ls-tree", "-r", "main", "images"]));
    }
    assert_eq!(files[0], files[1]);
    assert_eq!(files[0].lines().count(), 3, "one candidate file, two evidence files: {}", files[0]);
}

#[tokio::test]
async fn two_builds_in_one_manifest_are_one_commit_and_one_tag() {
    let world = World::new();
    let mut web = Build::passed(RUN, "x86_64", 7);
    web.image = "web";
    web.state = State::Rejected;
    let builds = [Build::passed(RUN, "x86_64", 1), Build::passed(RUN, "arm64", 2), web];
    write_manifest(&world.path("build"), &builds);
    let outcome = done(&world.request("build/manifest.json")).await;
    assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "3");
    let names: Vec<&str> = outcome.tags.iter().map(|tag| tag.name.as_str()).collect();
    assert_eq!(names, [format!("base/candidate/20261122-{RUN}"), format!("web/rejected/20261122-{RUN}")]);
}

#[tokio::test]
async fn a_run_is_chosen_by_the_last_writer_or_by_the_user() {
    let world = World::new();
    let (first, last) = (run(1), run(2));
    write_manifest(&world.path("build"), &[Build::passed(&last, "x86_64", 2), Build::passed(&first, "x86_64", 1)]);
    let outcome = done(&world.request("build/manifest.json")).await;
    assert_eq!(outcome.candidates[0].run.to_string(), first);
    let asked = CommitRequest { run: Some(last.parse().expect("a run")), ..world.request("build/manifest.json") };
    assert_eq!(done(&asked).await.candidates[0].run.to_string(), last);
    let unknown = CommitRequest { run: Some(run(9).parse().expect("a run")), ..asked };
    assert_eq!(fails(&unknown).await.0.exit(), Exit::Nothing);
}

#[tokio::test]
async fn a_detached_head_commits_to_the_branch_that_ci_names() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    world.git("clone", &["checkout", "-q", "--detach"]);
    let mut request = world.request("build/manifest.json");
    let (error, text) = fails(&request).await;
    assert_eq!(error.exit(), Exit::Usage);
    assert!(text.contains("--branch"), "{text}");
    request.environment.insert("CIRCLE_BRANCH".to_owned(), "-x".to_owned());
    assert!(fails(&request).await.1.contains("CIRCLE_BRANCH"));
    request.environment.insert("CIRCLE_BRANCH".to_owned(), "main".to_owned());
    assert_eq!(done(&request).await.commit, world.remote_tip());
}

#[tokio::test]
async fn a_new_branch_begins_at_the_checkout() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    world.git("clone", &["checkout", "-q", "-b", "feature/x"]);
    let outcome = done(&world.request("build/manifest.json")).await;
    assert_eq!(world.git("remote.git", &["rev-parse", "feature/x"]), outcome.commit);
    assert_eq!(world.git("remote.git", &["rev-parse", "feature/x~1"]), world.remote_tip());
}

#[tokio::test]
async fn an_empty_remote_takes_a_first_commit() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    world.git(".", &["init", "-q", "--bare", "empty.git"]);
    world.git(".", &["clone", "-q", "empty.git", "fresh"]);
    let request = CommitRequest { repository: world.path("fresh"), ..world.request("build/manifest.json") };
    let outcome = done(&request).await;
    assert_eq!(world.git("empty.git", &["rev-parse", "main"]), outcome.commit);
    assert_eq!(done(&request).await.change, Change::AlreadyThere);
}

#[tokio::test]
async fn a_shallow_clone_behind_the_branch_works_and_stays_shallow() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
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
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    let ran = world.path("hook-ran");
    for hook in ["pre-push", "pre-commit", "post-commit", "reference-transaction", "post-checkout", "commit-msg"] {
        world.script(&format!("clone/.git/hooks/{hook}"), &format!("#!/bin/sh\necho {hook} >>{}\n", ran.display()));
    }
    done(&world.request("build/manifest.json")).await;
    assert!(!ran.exists(), "{}", std::fs::read_to_string(&ran).unwrap_or_default());
}

#[tokio::test]
async fn followed_tags_and_a_stale_index_lock_do_not_matter() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    world.git("clone", &["config", "push.followTags", "true"]);
    world.git("clone", &["tag", "-a", "-m", "mine", "private"]);
    world.write("clone/.git/index.lock", "");
    done(&world.request("build/manifest.json")).await;
    assert_eq!(world.git("remote.git", &["tag", "--list", "private"]), "");
}

#[tokio::test]
async fn changed_evidence_is_refused() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    let evidence = std::fs::read_to_string(world.path("build/evidence-0.json")).expect("evidence");
    world.write("build/evidence-0.json", &evidence.replace("injected", "given"));
    let (error, text) = fails(&world.request("build/manifest.json")).await;
    assert_eq!(error.exit(), Exit::Conflict);
    assert!(text.contains("evidence-0.json") && text.contains("the manifest says sha256:"), "{text}");
    assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "2");
}

#[tokio::test]
async fn evidence_of_other_amis_is_refused() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    let manifest = std::fs::read_to_string(world.path("build/manifest.json")).expect("a manifest");
    world.write("build/manifest.json", &manifest.replace("ami-0abcdef1234567801", "ami-0abcdef1234567899"));
    let (error, text) = fails(&world.request("build/manifest.json")).await;
    assert_eq!(error.exit(), Exit::Conflict);
    assert!(text.contains("this evidence covers"), "{text}");
}

#[tokio::test]
async fn a_broken_manifest_names_its_place() {
    let world = World::new();
    world.write("manifest.json", "{\n  \"builds\": [,]\n}");
    let (error, text) = fails(&world.request("manifest.json")).await;
    assert_eq!(error.exit(), Exit::Usage);
    assert!(text.contains("manifest.json: line 2, column 14"), "{text}");
    assert_eq!(fails(&world.request("none.json")).await.0.exit(), Exit::Usage);
    world.write("packer.json", "{\"builds\": [], \"last_run_uuid\": \"\"}");
    assert_eq!(fails(&world.request("packer.json")).await.0.exit(), Exit::Nothing);
}

#[tokio::test]
async fn a_refusing_hook_ends_it_with_the_remotes_words_and_nothing_changed() {
    for hook in ["pre-receive", "update"] {
        let world = World::new();
        write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
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
        assert_eq!(error.exit(), Exit::Conflict);
        assert!(text.contains("main is \\x1b[31mprotected") && text.contains("--branch"), "{hook}: {text}");
        assert_eq!(world.git("remote.git", &["for-each-ref"]), before, "{hook}");
    }
}

#[tokio::test]
async fn another_ami_in_the_same_place_is_a_conflict() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    done(&world.request("build/manifest.json")).await;
    let tip = world.remote_tip();
    write_manifest(&world.path("other"), &[Build::passed(RUN, "x86_64", 5)]);
    let (error, text) = fails(&world.request("other/manifest.json")).await;
    assert_eq!(error.exit(), Exit::Conflict);
    assert!(text.contains("ami-0abcdef1234567801") && text.contains("ami-0abcdef1234567805"), "{text}");
    assert_eq!(world.remote_tip(), tip);
}

#[tokio::test]
async fn a_tag_on_something_else_is_never_moved() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    let tag = format!("base/candidate/20261122-{RUN}");
    world.git("remote.git", &["tag", &tag, "main"]);
    let (error, text) = fails(&world.request("build/manifest.json")).await;
    assert_eq!(error.exit(), Exit::Conflict);
    assert!(text.contains(&tag), "{text}");
    assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "2");
}

#[tokio::test]
async fn a_missing_tag_is_made_up_for() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    let first = done(&world.request("build/manifest.json")).await;
    let tag = format!("base/candidate/20261122-{RUN}");
    world.git("remote.git", &["tag", "-d", &tag]);
    let second = done(&world.request("build/manifest.json")).await;
    assert_eq!((second.change, second.tags[0].created), (Change::Pushed, true));
    assert_eq!(world.git("remote.git", &["rev-parse", &format!("{tag}^{{commit}}")]), first.commit);
    assert_eq!(world.remote_tip(), first.commit);
}

#[tokio::test]
async fn credentials_in_a_url_are_never_shown() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    // Port 1 of loopback answers nobody.
    for url in ["https://user:s3cret@127.0.0.1:1/o/r.git", "http://s3cret@127.0.0.1:1/o/r.git?token=s3cret"] {
        let request = CommitRequest { remote: Some(url.to_owned()), ..world.request("build/manifest.json") };
        let (error, text) = fails(&request).await;
        assert_eq!(error.exit(), Exit::Undecided, "{text}");
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
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    let request = CommitRequest { push: false, ..world.request("build/manifest.json") };
    let status = world.git("clone", &["status", "--porcelain"]);
    let outcome = done(&request).await;
    assert_eq!(world.git("clone", &["status", "--porcelain"]), status);
    assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "2");
    let Change::Kept { reference, moved_branch: false, cure: Some(cure) } = outcome.change else {
        panic!("{:?}", outcome.change)
    };
    let again = done(&request).await;
    assert_eq!((again.change, &again.commit), (Change::AlreadyThere, &outcome.commit));
    assert_eq!(cure, format!("git merge --ff-only {reference}"));
    world.git("clone", &["merge", "-q", "--ff-only", &reference]);
    assert!(world.path("clone").join(candidate_path(RUN)).exists());
    assert_eq!(done(&request).await.change, Change::AlreadyThere);
    // What was made without a push can be pushed later.
    world.git("clone", &["push", "-q", "--follow-tags", "origin", "main"]);
    assert_eq!(done(&world.request("build/manifest.json")).await.change, Change::AlreadyThere);
}

#[tokio::test]
async fn without_push_a_branch_that_nobody_has_checked_out_moves() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    let branch = Some("ledger".to_owned());
    let request = CommitRequest { push: false, branch, ..world.request("build/manifest.json") };
    let outcome = done(&request).await;
    assert!(matches!(outcome.change, Change::Kept { moved_branch: true, cure: None, .. }), "{:?}", outcome.change);
    assert_eq!(world.git("clone", &["rev-parse", "ledger"]), outcome.commit);
    assert_eq!(done(&request).await.change, Change::AlreadyThere);
}

#[tokio::test]
async fn the_users_signing_holds_for_commit_and_tag() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
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
    let mut world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    // An e-mail address that is set but empty: git will not make one up either.
    world.write("home/nobody", "[user]\nemail =\nname =\n");
    world.environment.insert("GIT_CONFIG_GLOBAL".to_owned(), world.path("home/nobody").display().to_string());
    world.environment.insert("EMAIL".to_owned(), String::new());
    done(&world.request("build/manifest.json")).await;
    assert_eq!(world.git("remote.git", &["log", "-1", "--format=%an <%ae>", "main"]), "assay <assay@localhost>");
}

#[tokio::test]
async fn a_lost_answer_is_found_as_done() {
    let mut world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
    // A git whose first push reaches the remote and then says nothing of it.
    std::fs::create_dir(world.path("bin")).expect("a folder");
    let path = world.environment["PATH"].clone();
    let lost = world.path("lost");
    world.script(
        "bin/git",
        &format!(
            "#!/bin/sh\nPATH='{path}'\ncase \" $* \" in *' push '*) if [ ! -e {lost} ]; then git \"$@\" >/dev/null 2>&1; touch {lost}; \
             echo 'fatal: the remote end hung up unexpectedly' >&2; exit 128; fi;; esac\nexec git \"$@\"\n",
            lost = lost.display()
        ),
    );
    world.environment.insert("PATH".to_owned(), format!("{}:{path}", world.path("bin").display()));
    let outcome = done(&world.request("build/manifest.json")).await;
    assert!(lost.exists());
    assert_eq!((outcome.change, outcome.tries), (Change::Pushed, 1));
    assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "3");
    assert_eq!(outcome.commit, world.remote_tip());
}

/// What a child process of these tests is told, in the variable `ASSAY_LEDGER_TEST`.
#[derive(serde::Serialize, serde::Deserialize)]
struct Errand {
    repository: PathBuf,
    manifests: Vec<PathBuf>,
    environment: Environment,
}

/// Not a test by itself: the other end of [`start_child`], where it commits each manifest of its errand in turn.
#[tokio::test]
async fn child_process() {
    let Ok(errand) = std::env::var("ASSAY_LEDGER_TEST") else { return };
    let errand: Errand = serde_json::from_str(&errand).expect("an errand");
    for manifest in errand.manifests {
        done(&CommitRequest {
            manifest,
            run: None,
            repository: errand.repository.clone(),
            branch: None,
            remote: None,
            push: true,
            environment: errand.environment.clone(),
            patience: Patience::default(),
        })
        .await;
    }
}

/// Starts this test binary anew as a process that does the errand: only a process of its own can be killed, or race for real.
fn start_child(errand: &Errand) -> std::process::Child {
    Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "ledger::commit_tests::child_process", "--test-threads=1"])
        .env("ASSAY_LEDGER_TEST", serde_json::to_string(errand).expect("an errand"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("a child")
}

#[test]
fn processes_that_race_lose_nothing_and_leave_a_line_of_commits() {
    const WRITERS: u8 = 6;
    const RUNS: u8 = 4;
    let world = World::new();
    let mut children = Vec::new();
    for writer in 0..WRITERS {
        // Two writers share a clone: a runner with two jobs in one checkout.
        let clone = format!("clone-{}", writer / 2);
        if writer % 2 == 0 {
            world.git(".", &["clone", "-q", "remote.git", &clone]);
        }
        let mut manifests = Vec::new();
        for number in 0..RUNS {
            let folder = world.path(&format!("build-{writer}-{number}"));
            // Every run is built twice, by writers 0 and 1, 2 and 3, …: amd64 here, arm64 there.
            let run = run(writer / 2 * RUNS + number);
            let architecture = if writer % 2 == 0 { "x86_64" } else { "arm64" };
            write_manifest(&folder, &[Build::passed(&run, architecture, writer)]);
            manifests.push(folder.join("manifest.json"));
        }
        let errand = Errand { repository: world.path(&clone), manifests, environment: world.environment.clone() };
        children.push(start_child(&errand));
    }
    for child in children {
        let output = child.wait_with_output().expect("a child");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for number in 0..WRITERS / 2 * RUNS {
        let run = run(number);
        let text = world.git("remote.git", &["show", &format!("main:{}", candidate_path(&run))]) + "\n";
        let candidate = candidate_file::read("c", &text).expect("a candidate");
        assert_eq!(candidate.amis.len(), 4, "{text}");
        let tag = format!("base/candidate/20261122-{run}");
        assert_eq!(world.git("remote.git", &["cat-file", "-t", &tag]), "tag");
    }
    let commits = world.git("remote.git", &["rev-list", "--count", "main"]);
    assert_eq!(commits, (2 + u32::from(WRITERS) * u32::from(RUNS)).to_string());
    world.assert_sound();
}

#[tokio::test]
async fn killed_at_any_git_call_a_rerun_ends_at_the_same_place() {
    let mut points = 0;
    for when in ["before", "after"] {
        for call in 1.. {
            let mut world = World::new();
            write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
            let killed = kill_at(&mut world, call, when);
            let before = world.checkout_state("clone");
            let outcome = done(&world.request("build/manifest.json")).await;
            assert_eq!(outcome.commit, world.remote_tip(), "{when} call {call}");
            assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "3", "{when} call {call}");
            let tag = format!("base/candidate/20261122-{RUN}^{{commit}}");
            assert_eq!(world.git("remote.git", &["rev-parse", &tag]), outcome.commit);
            assert_eq!(world.checkout_state("clone"), before);
            world.assert_sound();
            if !killed {
                break;
            }
            points += 1;
        }
    }
    assert!(points > 20, "only {points} calls were cut: the kill did not happen");
}

/// Runs a commit in a child that is killed (SIGKILL) right before or after its `call`-th git process; false when it ended by itself.
fn kill_at(world: &mut World, call: u32, when: &str) -> bool {
    std::fs::create_dir(world.path("bin")).expect("a folder");
    let path = world.environment["PATH"].clone();
    let count = world.path("count").display().to_string();
    let kill = "kill -9 $PPID; exit 1";
    let (first, last) = if when == "before" { (kill, ":") } else { (":", kill) };
    world.script(
        "bin/git",
        &format!(
            "#!/bin/sh\nPATH='{path}'\necho >>{count}\nif [ $(wc -l <{count}) -ne {call} ]; then exec git \"$@\"; fi\n\
             {first}\ngit \"$@\"\n{last}\n"
        ),
    );
    let mut environment = world.environment.clone();
    environment.insert("PATH".to_owned(), format!("{}:{path}", world.path("bin").display()));
    let errand =
        Errand { repository: world.path("clone"), manifests: vec![world.path("build/manifest.json")], environment };
    let status = start_child(&errand).wait().expect("a child");
    !status.success()
}
