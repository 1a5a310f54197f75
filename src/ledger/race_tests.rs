//! `commit` under fire: races between processes, lost answers, SIGKILL at every git call.

use std::{path::PathBuf, process::Command};

use super::{
    Change, CommitRequest, Environment, Patience, candidate_file,
    fixtures::RUN,
    world::{Build, World, candidate_path, done, run, write_manifest},
};

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
        .args(["--exact", "ledger::race_tests::child_process", "--test-threads=1"])
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
async fn killed_after_any_git_call_a_rerun_ends_at_the_same_place() {
    let world = World::new();
    write_manifest(&world.path("build"), &[Build::passed(RUN, "x86_64", 1)]);
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

/// Runs a commit in a child that is killed (SIGKILL) as soon as its `call`-th git process has done its work; false when it ended by itself.
/// Only git processes change anything, so that between two of them all moments are the same.
fn killed_after(world: &World, call: u32) -> bool {
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
    let errand =
        Errand { repository: world.path("clone"), manifests: vec![world.path("build/manifest.json")], environment };
    let status = start_child(&errand).wait().expect("a child");
    !status.success()
}
