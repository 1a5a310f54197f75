//! `write` against real git: races, lost answers, tags, open branches, kinds of clones, signing. Kills: `race_tests`.

use std::path::PathBuf;

use super::{
    BooksRequest, LedgerEdit, LedgerError, LedgerSnapshot, NewTag, RacePatience, WriteError, WriteRequest,
    WrittenChange, world::GitWorld, write::write,
};
use assay_model::{cause::chain, exit::ExitStatus};

fn request(world: &GitWorld, clone: &str) -> WriteRequest {
    let folder = world.path(clone);
    let books =
        BooksRequest { folder, branch: "main".to_owned(), remote: None, environment: world.environment.clone() };
    WriteRequest { books, open_branch: None, patience: RacePatience::default() }
}

fn opening(world: &GitWorld, clone: &str, branch: &str) -> WriteRequest {
    WriteRequest { open_branch: Some(branch.to_owned()), ..request(world, clone) }
}

/// Adds a line to `images/list`, and a tag. It does not look whether the line is there: whoever asks it twice has it twice.
async fn line(books: &LedgerSnapshot, line: &str) -> Result<LedgerEdit, LedgerError> {
    let before = books.file("images/list").await?.unwrap_or_default();
    let text = [before, format!("{line}\n").into_bytes()].concat();
    Ok(LedgerEdit {
        files: vec![("images/list".to_owned(), Some(text))],
        message: format!("add {line}\n"),
        tags: vec![tag(line)],
        ..LedgerEdit::default()
    })
}

fn tag(line: &str) -> NewTag {
    NewTag {
        name: format!("base/gold/20261122-{line}"),
        message: format!("assay: base gold, run {line}\n\n  line {line}\n"),
    }
}

async fn add(request: &WriteRequest, words: &str) -> Result<WrittenChange, WriteError<LedgerError>> {
    write(request, async |books: &LedgerSnapshot| line(books, words).await).await
}

async fn added(request: &WriteRequest, words: &str) -> WrittenChange {
    add(request, words).await.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

async fn refused(request: &WriteRequest, words: &str) -> (ExitStatus, String) {
    match add(request, words).await.expect_err("must fail") {
        WriteError::Ledger(error) => (error.exit(), chain(&error)),
        WriteError::Edit(error) => panic!("the edit: {}", chain(&error)),
    }
}

fn lines(world: &GitWorld, branch: &str) -> Vec<String> {
    world.git("remote.git", &["show", &format!("{branch}:images/list")]).lines().map(str::to_owned).collect()
}

/// Another's commit on main.
fn move_main(world: &GitWorld, file: &str) {
    world.git("seed", &["pull", "-q", "--rebase", "../remote.git", "main"]);
    world.write(&format!("seed/{file}"), "moved\n");
    world.git("seed", &["add", file]);
    world.git("seed", &["commit", "-q", "-m", file]);
    world.git("seed", &["push", "-q", "../remote.git", "HEAD:main"]);
}

#[tokio::test]
async fn an_edit_goes_to_the_remote_that_has_the_protected_branch_not_to_where_pushes_go_by_default() {
    let world = GitWorld::new();
    world.git(".", &["clone", "-q", "--bare", "remote.git", "fork.git"]);
    world.git("clone", &["remote", "add", "fork", "../fork.git"]);
    world.git("clone", &["config", "remote.pushDefault", "fork"]);
    let before = world.git("fork.git", &["for-each-ref"]);
    added(&request(&world, "clone"), "one").await;
    added(&opening(&world, "clone", "promotion"), "two").await;
    assert_eq!(
        (lines(&world, "main"), lines(&world, "promotion")),
        (vec!["one".to_owned()], vec!["one".to_owned(), "two".to_owned()])
    );
    assert_eq!(world.git("fork.git", &["for-each-ref"]), before);
}

#[tokio::test]
async fn an_edit_is_computed_anew_for_every_tip_and_nothing_is_lost() {
    let world = GitWorld::new();
    let writers = (0..4).map(|number| {
        let clone = format!("clone{number}");
        world.git(".", &["clone", "-q", "remote.git", &clone]);
        let request = request(&world, &clone);
        async move { added(&request, &number.to_string()).await }
    });
    futures::future::join_all(writers).await;
    let mut found = lines(&world, "main");
    found.sort();
    assert_eq!(found, ["0", "1", "2", "3"]);
    assert_eq!(world.git("remote.git", &["tag", "--list"]).lines().count(), 4);
    world.assert_sound();
}

#[tokio::test]
async fn an_edit_that_changes_nothing_makes_no_commit_and_the_checkout_stays() {
    let world = GitWorld::new();
    let (before, tip) = (world.checkout_state("clone"), world.remote_tip());
    let request = request(&world, "clone");
    let written = write(&request, async |books: &LedgerSnapshot| {
        let same = books.file("README.md").await?;
        let files = vec![("README.md".to_owned(), same)];
        Ok::<_, LedgerError>(LedgerEdit { files, message: "nothing\n".to_owned(), ..LedgerEdit::default() })
    });
    let written = written.await.expect("nothing to do");
    assert_eq!((written.pushed, written.files.len()), (false, 0));
    assert_eq!(world.remote_tip(), tip);
    assert_eq!(world.checkout_state("clone"), before);
}

#[tokio::test]
async fn a_lost_answer_is_found_as_pushed_and_the_edit_is_not_made_twice() {
    for (name, atomic) in [("atomic", true), ("one-by-one", false)] {
        let mut world = GitWorld::new();
        world.git("remote.git", &["config", "receive.advertiseAtomic", &atomic.to_string()]);
        let path = world.environment["PATH"].clone();
        std::fs::create_dir(world.path("bin")).expect("a folder");
        // A git whose first push of a branch reaches the remote and then says nothing of it.
        let lost = world.path("lost");
        world.script(
            "bin/git",
            &format!(
                "#!/bin/sh\nPATH='{path}'\ncase \" $* \" in *' push '*refs/heads*) if [ ! -e {lost} ]; then git \"$@\" >{lost} 2>&1 && \
                 {{ echo 'fatal: the remote end hung up unexpectedly' >&2; exit 128; }}; cat {lost} >&2; rm {lost}; exit 128; fi;; esac\n\
                 exec git \"$@\"\n",
                lost = lost.display()
            ),
        );
        world.environment.insert("PATH".to_owned(), format!("{}:{path}", world.path("bin").display()));
        let written = added(&request(&world, "clone"), "one").await;
        assert!(lost.exists(), "{name}");
        assert_eq!(written.tags, ["base/gold/20261122-one"]);
        assert!(written.pushed, "{name}");
        assert_eq!(lines(&world, "main"), ["one"], "{name}");
        assert_eq!(written.commit, world.remote_tip());
        let tagged = world.git("remote.git", &["rev-parse", "base/gold/20261122-one^{commit}"]);
        assert_eq!(tagged, written.commit, "{name}");
    }
}

#[tokio::test]
async fn a_tag_that_says_the_same_is_ours_and_any_other_costs_a_warning_and_never_the_edit() {
    let world = GitWorld::new();
    let request = request(&world, "clone");
    added(&request, "one").await;
    let again = async || {
        let wanted = async |_: &LedgerSnapshot| {
            Ok::<_, LedgerError>(LedgerEdit { tags: vec![tag("one")], ..LedgerEdit::default() })
        };
        write(&request, wanted).await
    };
    let found = again().await.expect("the same tag");
    assert_eq!((found.pushed, found.tags.len()), (false, 1));

    // Gone: made up for.
    world.git("remote.git", &["tag", "-d", &tag("one").name]);
    assert!(again().await.expect("made anew").pushed);
    assert_eq!(world.git("remote.git", &["cat-file", "-t", &tag("one").name]), "tag");

    for (what, arguments) in [
        ("other words", vec!["tag", "-f", "-a", "-m", "assay: base gold, run two", "base/gold/20261122-one", "main"]),
        ("a lightweight tag", vec!["tag", "-f", "base/gold/20261122-one", "main"]),
    ] {
        world.git("seed", &["fetch", "-q", "../remote.git", "main:main", "--force", "--update-head-ok"]);
        world.git("seed", &arguments);
        world.git("seed", &["push", "-q", "-f", "../remote.git", "refs/tags/base/gold/20261122-one"]);
        let written = again().await.expect(what);
        assert_eq!(written.tags, ["base/gold/20261122-one-2"], "{what}");
        let [warning] = written.warnings.as_slice() else { panic!("{what}: {:?}", written.warnings) };
        assert!(warning.contains("base/gold/20261122-one exists"), "{what}: {warning}");
        assert_eq!(world.git("remote.git", &["cat-file", "-t", &written.tags[0]]), "tag", "{what}");
        assert!(!again().await.expect("there by now").pushed, "{what}");
        world.git("remote.git", &["tag", "-d", &written.tags[0]]);
    }
}

#[tokio::test]
async fn no_tag_that_somebody_can_push_stops_an_edit() {
    for planted in ["base", "base/gold", "base/gold/20261122-one/x", "base/gold/20261122-one"] {
        let world = GitWorld::new();
        world.git("remote.git", &["tag", planted, "main"]);
        let written = added(&request(&world, "clone"), "one").await;
        assert!(written.pushed && lines(&world, "main") == ["one"], "{planted}");
        assert!(written.warnings[0].contains(planted), "{planted}: {:?}", written.warnings);
    }
}

#[tokio::test]
async fn a_file_and_a_folder_never_take_each_others_place() {
    let world = GitWorld::new();
    added(&request(&world, "clone"), "one").await;
    let tip = world.remote_tip();
    for path in ["images/list/candidates/x.hcl", "images"] {
        let wanted = async |_: &LedgerSnapshot| {
            let files = vec![(path.to_owned(), Some(b"x".to_vec()))];
            Ok::<_, LedgerError>(LedgerEdit { files, message: "x\n".to_owned(), ..LedgerEdit::default() })
        };
        let WriteError::Ledger(error) = write(&request(&world, "clone"), wanted).await.expect_err(path) else {
            panic!("{path}")
        };
        assert!(chain(&error).contains("expected a f"), "{path}: {}", chain(&error));
    }
    assert_eq!(world.remote_tip(), tip);
}

#[tokio::test]
async fn what_the_remote_calls_a_race_though_nothing_moves_is_told_in_its_words() {
    let world = GitWorld::new();
    // git rejects the whole push as "atomic transaction failed", whatever the reason; that one stands among the remote's words.
    world.git("remote.git", &["branch", "assay/base/x", "main"]);
    let started = std::time::Instant::now();
    let (exit, words) = refused(&opening(&world, "clone", "assay/base"), "one").await;
    assert_eq!(exit, ExitStatus::Conflict);
    assert!(words.contains("'refs/heads/assay/base/x' exists"), "{words}");
    assert!(started.elapsed() < std::time::Duration::from_secs(120), "patience is for races");
}

#[tokio::test]
async fn an_open_branch_begins_at_main_is_continued_and_never_forced() {
    let world = GitWorld::new();
    world.script(
        "remote.git/hooks/post-receive",
        "#!/bin/sh\nprintf '\\nCreate a pull request by visiting:\\n  https://git.example/pr/\\033[1mnew\\n\\n'\n",
    );
    let main = world.remote_tip();
    let one = added(&opening(&world, "clone", "assay/base"), "one").await;
    assert_eq!((one.branch.as_str(), one.tags.len(), &one.tags_to_come), ("assay/base", 0, &vec![tag("one").name]));
    assert!(one.remote_words.contains("https://git.example/pr/\\x1b[1mnew"), "{}", one.remote_words);
    assert_eq!(world.remote_tip(), main);
    assert_eq!(world.git("remote.git", &["tag", "--list"]), "");

    let two = added(&opening(&world, "clone", "assay/base"), "two").await;
    assert_eq!(world.git("remote.git", &["rev-parse", &format!("{}~1", two.commit)]), one.commit);
    assert_eq!(lines(&world, "assay/base"), ["one", "two"]);

    // Main goes on: the branch is stale.
    move_main(&world, "other");
    let (exit, words) = refused(&opening(&world, "clone", "assay/base"), "three").await;
    assert_eq!(exit, ExitStatus::Conflict);
    assert!(words.contains("--delete assay/base") && words.contains("--open-branch"), "{words}");
    assert_eq!(world.git("remote.git", &["rev-parse", "assay/base"]), two.commit);

    // Merged: the branch goes on from main.
    world.git("seed", &["fetch", "-q", "../remote.git", "assay/base"]);
    world.git("seed", &["merge", "-q", "--no-ff", "-m", "merge", "FETCH_HEAD"]);
    world.git("seed", &["push", "-q", "../remote.git", "HEAD:main"]);
    let three = added(&opening(&world, "clone", "assay/base"), "three").await;
    assert_eq!(world.git("remote.git", &["rev-parse", &format!("{}~1", three.commit)]), world.remote_tip());

    let (exit, words) = refused(&opening(&world, "clone", "main"), "x").await;
    assert_eq!((exit, words.contains("is the protected branch itself")), (ExitStatus::Usage, true), "{words}");
    assert_eq!(refused(&opening(&world, "clone", "-x"), "x").await.0, ExitStatus::Usage);
}

#[tokio::test]
async fn every_kind_of_clone_writes_and_stays_as_it_is() {
    let world = GitWorld::new();
    world.git("remote.git", &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", world.path("remote.git").display());
    let url = url.as_str();
    world.git(".", &["clone", "-q", "--depth=1", url, "shallow"]);
    world.git(".", &["clone", "-q", "--filter=blob:none", "--no-checkout", url, "blobless"]);
    world.git(".", &["clone", "-q", "--filter=tree:0", "--no-checkout", url, "treeless"]);
    world.git("clone", &["worktree", "add", "-q", "--detach", "../linked"]);
    world.git(".", &["clone", "-q", url, "detached"]);
    world.git("detached", &["checkout", "-q", "--detach"]);
    let kinds = ["shallow", "blobless", "treeless", "linked", "detached"];
    for (number, clone) in kinds.into_iter().enumerate() {
        // The clone is behind, by another's commit and by the one before.
        move_main(&world, &format!("other-{number}"));
        let heads = world.git(clone, &["for-each-ref", "refs/heads", "refs/tags"]);
        let head = world.git(clone, &["rev-parse", "HEAD"]);
        let written = added(&request(&world, clone), clone).await;
        assert_eq!(written.commit, world.remote_tip(), "{clone}");
        assert_eq!(world.git(clone, &["for-each-ref", "refs/heads", "refs/tags"]), heads, "{clone}");
        assert_eq!(world.git(clone, &["rev-parse", "HEAD"]), head, "{clone}");
    }
    assert_eq!(lines(&world, "main"), kinds);
    assert_eq!(world.git("shallow", &["rev-parse", "--is-shallow-repository"]), "true");
    world.assert_sound();
}

#[tokio::test]
async fn a_file_keeps_its_mode_and_a_link_is_not_written_over() {
    let world = GitWorld::new();
    world.script("seed/run.tfvars", "x\n");
    std::os::unix::fs::symlink("README.md", world.path("seed/link")).expect("a link");
    world.git("seed", &["add", "."]);
    world.git("seed", &["commit", "-q", "-m", "files"]);
    world.git("seed", &["push", "-q", "../remote.git", "HEAD:main"]);
    let set = async |path: &str| {
        let files = vec![(path.to_owned(), Some(b"new\n".to_vec()))];
        let edit = LedgerEdit { files, message: "set\n".to_owned(), ..LedgerEdit::default() };
        write(&request(&world, "clone"), async |_: &LedgerSnapshot| Ok::<_, LedgerError>(edit.clone())).await
    };
    set("run.tfvars").await.expect("written");
    assert!(world.git("remote.git", &["ls-tree", "main", "run.tfvars"]).starts_with("100755 "));
    let error = set("link").await.expect_err("a link");
    assert!(chain(&error).contains("not a link"), "{}", chain(&error));
    // git itself leaves these out and calls it a success.
    for path in ["./run.tfvars", "a/./b", "a//b", "a/../b", "/a", "a/", ".git/config", "x/.GIT/y"] {
        let error = set(path).await.expect_err(path);
        assert!(chain(&error).contains("a path from the repository's root"), "{path}: {}", chain(&error));
    }
}

#[tokio::test]
async fn signing_with_ssh_holds_for_commits_and_tags_and_git_verifies_them() {
    let world = GitWorld::new();
    let key = world.path("home/key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test@localhost", "-f"])
        .arg(&key)
        .status()
        .expect("ssh-keygen runs (package openssh-client)");
    assert!(made.success());
    let public = std::fs::read_to_string(world.path("home/key.pub")).expect("a public key");
    world.write("home/allowed", &format!("test@localhost {public}"));
    let text = |path: &PathBuf| path.to_str().expect("UTF-8").to_owned();
    for (name, value) in [
        ("commit.gpgsign", "true".to_owned()),
        ("tag.gpgsign", "true".to_owned()),
        ("gpg.format", "ssh".to_owned()),
        ("user.signingkey", text(&world.path("home/key.pub"))),
        ("gpg.ssh.allowedSignersFile", text(&world.path("home/allowed"))),
    ] {
        world.git("clone", &["config", name, &value]);
    }
    let request = request(&world, "clone");
    let written = added(&request, "one").await;
    world.git("clone", &["fetch", "-q", "--tags", "origin"]);
    world.git("clone", &["verify-commit", &written.commit]);
    world.git("clone", &["verify-tag", &written.tags[0]]);
    // A signed tag says the same as what it was made from.
    let wanted =
        async |_: &LedgerSnapshot| Ok::<_, LedgerError>(LedgerEdit { tags: vec![tag("one")], ..LedgerEdit::default() });
    assert!(!write(&request, wanted).await.expect("the same tag").pushed);
}

#[tokio::test]
async fn a_refusing_hook_is_told_in_the_remotes_words() {
    let world = GitWorld::new();
    world.script("remote.git/hooks/pre-receive", "#!/bin/sh\necho 'main takes only pull requests' >&2\nexit 1\n");
    let (exit, words) = refused(&request(&world, "clone"), "one").await;
    assert_eq!(exit, ExitStatus::Conflict);
    assert!(words.contains("main takes only pull requests") && words.contains("--open-branch"), "{words}");
}

#[tokio::test]
async fn the_digest_of_a_commit_is_that_of_its_checkout() {
    let world = GitWorld::new();
    let inputs = ["packer/**".to_owned()];
    let books = LedgerSnapshot::open(&request(&world, "clone").books).await.expect("opens");
    let folder = world.path("clone");
    let learned = crate::learn(crate::ProvenanceRequest {
        folder: &folder,
        environment: &world.environment,
        owner: None,
        inputs: &inputs,
        projections: &[],
        build: "{}",
    });
    let there = books.source_digest(&inputs, &[], "{}").await.expect("a digest");
    let learned = learned.await;
    assert_eq!(Some(&there.current), learned.provenance.source_digest.as_ref());
    assert_eq!(Some(&there), learned.source.as_ref());
    let other = books.source_digest(&inputs, &[], "{1}").await.expect("a digest");
    assert!(other.current != there.current && other.former == there.former);
}
