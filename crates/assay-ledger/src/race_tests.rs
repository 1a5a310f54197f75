//! `commit` under fire: races between processes, lost answers, SIGKILL at every git call.

use std::{path::PathBuf, process::Command};

use super::{
    BooksRequest, CommitChange, CommitRequest, GitEnvironment, LedgerEdit, LedgerError, LedgerSnapshot, RacePatience,
    WriteRequest, WrittenChange, candidate_file,
    fixtures::{RUN, lock},
    lock_commit, lock_file, lock_tag,
    world::{BuildFixture, GitWorld, candidate_path, done, run, write_manifest},
    write::write,
};
use assay_model::ManifestRuns;

#[tokio::test]
async fn a_lost_answer_is_found_as_done() {
    let mut world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
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
    assert_eq!((outcome.change, outcome.tries), (CommitChange::Pushed, 1));
    assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "3");
    assert_eq!(outcome.commit, world.remote_tip());
}

/// What a child process of these tests is told, in the variable `ASSAY_LEDGER_TEST`.
#[derive(serde::Serialize, serde::Deserialize)]
struct Errand {
    repository: PathBuf,
    /// Commits each of these.
    manifests: Vec<PathBuf>,
    /// Adds an entry to the lock of `base`, with its tag.
    promote: bool,
    environment: GitEnvironment,
}

/// Not a test by itself: the other end of [`start_child`], where it commits each manifest of its errand in turn.
#[tokio::test]
async fn child_process() {
    let Ok(errand) = std::env::var("ASSAY_LEDGER_TEST") else { return };
    let errand: Errand = serde_json::from_str(&errand).expect("an errand");
    if errand.promote {
        promoted(errand.repository.clone(), errand.environment.clone()).await;
    }
    for manifest in errand.manifests {
        done(&CommitRequest {
            manifest,
            runs: ManifestRuns::Last,
            repository: errand.repository.clone(),
            branch: None,
            remote: None,
            push: true,
            environment: errand.environment.clone(),
            patience: RacePatience::default(),
        })
        .await;
    }
}

/// Starts this test binary anew as a process that does the errand: only a process of its own can be killed, or race for real.
fn start_child(errand: &Errand) -> std::process::Child {
    Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "race_tests::child_process", "--test-threads=1"])
        .env("ASSAY_LEDGER_TEST", serde_json::to_string(errand).expect("an errand"))
        // A killed process leaves its temporary folders: they go with the world.
        .env("TMPDIR", errand.environment.get("TMPDIR").map_or("/tmp", String::as_str))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("a child")
}

#[test]
fn processes_that_race_lose_nothing_and_leave_a_line_of_commits() {
    const WRITERS: u8 = 6;
    const RUNS: u8 = 4;
    let world = GitWorld::new();
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
            write_manifest(&folder, &[BuildFixture::passed(&run, architecture, writer)]);
            manifests.push(folder.join("manifest.json"));
        }
        let environment = world.environment.clone();
        let errand = Errand { repository: world.path(&clone), manifests, promote: false, environment };
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
async fn killed_after_any_git_call_a_rerun_ends_at_the_same_place() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    std::fs::create_dir(world.path("bin")).expect("a folder");
    let (first, before) = (world.remote_tip(), world.checkout_state("clone"));
    let tag = format!("base/candidate/20261122-{RUN}");
    let mut points = 0;
    for call in 1.. {
        let killed = killed_after(&world, call);
        let outcome = done(&world.request("build/manifest.json")).await;
        assert_eq!(outcome.commit, world.remote_tip(), "call {call}");
        assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "3", "call {call}");
        assert_eq!(world.git("remote.git", &["rev-parse", &format!("{tag}^{{commit}}")]), outcome.commit);
        assert_eq!(world.checkout_state("clone"), before);
        world.assert_sound();
        if !killed {
            break;
        }
        points += 1;
        world.git("remote.git", &["update-ref", "refs/heads/main", &first]);
        world.git("remote.git", &["tag", "-d", &tag]);
    }
    assert!(points > 15, "only {points} calls were cut: the kill did not happen");
}

/// What the lock of `base` says in these tests, written as a promotion writes it: once, however often it is asked.
async fn promoted(folder: PathBuf, environment: GitEnvironment) -> WrittenChange {
    let books = BooksRequest { folder, branch: "main".to_owned(), remote: None, environment };
    let request = WriteRequest { books, open_branch: None, patience: RacePatience::default() };
    let written = write(&request, async |books: &LedgerSnapshot| {
        let image = "base".parse().expect("a name");
        let mut there = books.lock(&image).await?;
        let whole = lock();
        let new: Vec<_> = whole.entries.iter().skip(there.entries.len()).cloned().collect();
        new.iter().for_each(|entry| lock_file::append(&mut there, entry.clone()));
        there.gold = whole.gold;
        let files = vec![(lock_file::path(&image), Some(lock_file::write(&there).into_bytes()))];
        let tags = there.entries.iter().map(|entry| lock_tag(&there, entry)).collect();
        Ok::<_, LedgerError>(LedgerEdit { files, message: lock_commit(&there, &new), tags, ..LedgerEdit::default() })
    });
    written.await.unwrap_or_else(|error| panic!("{}", assay_model::cause::chain(&error)))
}

#[tokio::test]
async fn a_promotion_killed_after_any_git_call_is_ended_by_the_next() {
    for atomic in [true, false] {
        let world = GitWorld::new();
        std::fs::create_dir(world.path("bin")).expect("a folder");
        world.git("remote.git", &["config", "receive.advertiseAtomic", &atomic.to_string()]);
        let (first, before) = (world.remote_tip(), world.checkout_state("clone"));
        let names: Vec<String> = lock().entries.iter().map(|entry| lock_tag(&lock(), entry).name).collect();
        let mut points = 0;
        // Up to the push both are the same.
        for call in if atomic { 1.. } else { 16.. } {
            let killed = killed_in(&world, call, Vec::new(), true);
            let written = promoted(world.path("clone"), world.environment.clone()).await;
            assert_eq!(written.commit, world.remote_tip(), "call {call}");
            assert_eq!(world.git("remote.git", &["rev-list", "--count", "main"]), "3", "call {call}");
            let text = world.git("remote.git", &["show", "main:images/base.lock.hcl"]) + "\n";
            assert_eq!(lock_file::read("l", &text).expect("a lock"), lock(), "call {call}");
            for name in &names {
                let tagged = world.git("remote.git", &["rev-parse", &format!("{name}^{{commit}}")]);
                assert_eq!(tagged, written.commit, "call {call}");
            }
            assert_eq!(world.checkout_state("clone"), before);
            world.assert_sound();
            if !killed {
                break;
            }
            points += 1;
            world.git("remote.git", &["update-ref", "refs/heads/main", &first]);
            world.git("remote.git", &["tag", "-d", &names[0], &names[1]]);
        }
        assert!(points > if atomic { 12 } else { 2 }, "only {points} calls were cut: the kill did not happen");
    }
}

/// [`killed_in`] for a commit.
fn killed_after(world: &GitWorld, call: u32) -> bool {
    killed_in(world, call, vec![world.path("build/manifest.json")], false)
}

/// Runs an errand in a child that is killed (SIGKILL) as soon as its `call`-th git process has done its work; false when it ended by itself.
/// Only git processes change anything, so that between two of them all moments are the same.
fn killed_in(world: &GitWorld, call: u32, manifests: Vec<PathBuf>, promote: bool) -> bool {
    let path = world.environment["PATH"].clone();
    let count = world.path("count");
    world.write("count", "");
    world.script(
        "bin/git",
        &format!(
            "#!/bin/sh\nPATH='{path}'\necho >>{count}\nif [ $(wc -l <{count}) -ne {call} ]; then exec git \"$@\"; fi\n\
             git \"$@\"\nkill -9 $PPID\n",
            count = count.display()
        ),
    );
    let mut environment = world.environment.clone();
    environment.insert("PATH".to_owned(), format!("{}:{path}", world.path("bin").display()));
    let errand = Errand { repository: world.path("clone"), manifests, promote, environment };
    let status = start_child(&errand).wait().expect("a child");
    !status.success()
}
