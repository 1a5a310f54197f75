//! `verify` against real git: green for what assay writes and however it is merged, a finding with its place for each way to tamper.

use super::{VerifyRequest, VerifyResult, verify};
use crate::{
    BooksRequest, CommitChange, CommitRequest, LedgerEdit, LedgerError, LedgerSnapshot, RacePatience, WriteRequest,
    WrittenChange,
    fixtures::{self, RUN},
    lock_commit, lock_file, lock_tag,
    world::{BuildFixture, GitWorld, done, fails, run, write_manifest},
    write::write,
};
use assay_model::{
    Digest, ImageState, ManifestRuns, RunId,
    cause::chain,
    exit::ExitStatus,
    lock::{Lock, LockEntry},
};

const LOCK: &str = "images/base.lock.hcl";

fn books(world: &GitWorld) -> BooksRequest {
    let environment = world.environment.clone();
    BooksRequest { folder: world.path("clone"), branch: "main".to_owned(), remote: None, environment }
}

fn request(world: &GitWorld) -> VerifyRequest {
    VerifyRequest {
        books: books(world),
        at: None,
        image: None,
        tags: true,
        signatures: false,
        require_signature: false,
        require_signed_candidate: false,
        allowed_signers: None,
    }
}

async fn verified(request: &VerifyRequest) -> VerifyResult {
    verify(request).await.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

async fn green(world: &GitWorld) -> VerifyResult {
    let verified = verified(&request(world)).await;
    assert_eq!((&verified.findings, &verified.unknown), (&Vec::new(), &Vec::new()));
    verified
}

/// The only finding there is.
async fn finding(world: &GitWorld) -> String {
    let verified = verified(&request(world)).await;
    let [one] = verified.findings.as_slice() else { panic!("{:#?}", verified.findings) };
    assert!(!one.cure.is_empty());
    format!("{}:{}: {}", one.place, one.line.unwrap_or(0), one.message)
}

/// Makes a run gold as a promotion does: candidate committed, then vetted with evidence, then gold; the old gold retires.
async fn promote(world: &GitWorld, run: &str, number: u8, open_branch: Option<&str>) -> WrittenChange {
    let folder = world.path(&format!("build-{number}"));
    write_manifest(&folder, &[BuildFixture::passed(run, "x86_64", number)]);
    done(&world.request(&format!("build-{number}/manifest.json"))).await;
    move_in(world, run, open_branch).await
}

async fn move_in(world: &GitWorld, run: &str, open_branch: Option<&str>) -> WrittenChange {
    let id: RunId = run.parse().expect("a run");
    let open_branch = open_branch.map(str::to_owned);
    let request = WriteRequest { books: books(world), open_branch, patience: RacePatience::default() };
    let written = write(&request, async |books: &LedgerSnapshot| {
        let image = "base".parse().expect("a name");
        let mut lock = books.lock(&image).await?;
        let candidates = books.candidates(&image).await?;
        let candidate = candidates.into_iter().find(|candidate| candidate.run == id).expect("a candidate");
        let evidence = format!("{{\"run\": \"{run}\"}}\n").into_bytes();
        let digest = Digest::of(&evidence);
        let first = lock.entries.len();
        let entry = |run, state, candidate, evidence| LockEntry {
            run,
            state,
            candidate,
            evidence,
            // All entries of a commit are of one time.
            at: format!("2026-11-22T12:{first:02}:00Z"),
            ..fixtures::lock().entries[1].clone()
        };
        let path = crate::candidate_file::path(&candidate);
        let without = |entry: LockEntry| LockEntry { copies: Vec::new(), ..entry };
        lock_file::append(&mut lock, without(entry(id, ImageState::Vetted, Some(candidate), Some(digest.clone()))));
        if let Some(old) = lock.gold.replace(id) {
            lock_file::append(&mut lock, without(entry(old, ImageState::Retired, None, None)));
        }
        lock_file::append(&mut lock, without(entry(id, ImageState::Gold, None, None)));
        let digits: String = digest.as_str().trim_start_matches("sha256:").chars().take(12).collect();
        let files = vec![
            (LOCK.to_owned(), Some(lock_file::write(&lock).into_bytes())),
            (path, None),
            (format!("images/evidence/base/{run}-{digits}.json"), Some(evidence)),
        ];
        let moves = &lock.entries[first..];
        let tags = moves.iter().filter(|e| e.state != ImageState::Retired).map(|e| lock_tag(&lock, e)).collect();
        Ok::<_, LedgerError>(LedgerEdit { files, message: lock_commit(&lock, moves), tags, ..LedgerEdit::default() })
    });
    written.await.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

/// Somebody's own push to main: what the files shall hold; none: they go.
fn push(world: &GitWorld, what: &str, files: &[(&str, Option<String>)]) {
    world.git("seed", &["fetch", "-q", "../remote.git", "main"]);
    world.git("seed", &["checkout", "-q", "--detach", "FETCH_HEAD"]);
    for (path, text) in files {
        match text {
            Some(text) => {
                std::fs::create_dir_all(world.path("seed").join(path).parent().expect("a folder")).expect("a folder");
                world.write(&format!("seed/{path}"), text);
            }
            None => std::fs::remove_file(world.path("seed").join(path)).expect(path),
        }
    }
    world.git("seed", &["add", "-A"]);
    world.git("seed", &["commit", "-q", "-m", what]);
    world.git("seed", &["push", "-q", "../remote.git", "HEAD:main"]);
}

fn shown(world: &GitWorld, revision: &str, path: &str) -> String {
    world.git("remote.git", &["show", &format!("{revision}:{path}")]) + "\n"
}

#[tokio::test]
async fn what_assay_wrote_is_green() {
    let world = GitWorld::new();
    assert_eq!(green(&world).await.images, []);
    for number in 1..=3 {
        promote(&world, &run(number), number, None).await;
    }
    write_manifest(&world.path("waiting"), &[BuildFixture::passed(RUN, "x86_64", 9)]);
    done(&world.request("waiting/manifest.json")).await;
    let verified = green(&world).await;
    let base = &verified.images[0];
    assert_eq!((base.entries, base.candidates, base.gold.map(|r| r.to_string())), (8, 1, Some(run(3))));
    // Each run: smoke evidence named by the candidate in the lock, and the validation's; the waiting one its smoke evidence.
    assert_eq!((verified.evidence, verified.tags, verified.versions), (7, 6, 3));

    // Also of another image, of a local commit with local tags, and of the one image that is asked for.
    world.git("clone", &["fetch", "-q", "--tags", "origin", "main"]);
    let local = VerifyRequest { at: Some("FETCH_HEAD".to_owned()), ..request(&world) };
    assert_eq!(self::verified(&local).await, verified);
    let other = VerifyRequest { image: Some("web".parse().expect("a name")), ..request(&world) };
    assert_eq!(self::verified(&other).await.images, []);
}

#[tokio::test]
async fn gold_that_went_back_by_itself_is_found_until_gold_moves_on() {
    let world = GitWorld::new();
    promote(&world, &run(2), 2, None).await;
    promote(&world, &run(1), 1, None).await;
    let back = verified(&request(&world)).await;
    let [found] = back.findings.as_slice() else { panic!("{:#?}", back.findings) };
    assert!(found.message.contains("became gold by itself, though it is not newer"), "{found:#?}");
    let text = shown(&world, "main", LOCK);
    let line = found.line.and_then(|line| text.lines().nth(line - 1)).expect("a line");
    assert_eq!(line, format!("  entry \"{}\" {{", run(1)));
    promote(&world, &run(3), 3, None).await;
    green(&world).await;
}

#[tokio::test]
async fn a_build_job_that_runs_again_after_the_promotion_changes_nothing() {
    let world = GitWorld::new();
    promote(&world, &run(1), 1, None).await;
    let references = world.git("remote.git", &["for-each-ref"]);
    let again = world.request("build-1/manifest.json");
    for push in [true, false] {
        world.git("clone", &["pull", "-q", "--ff-only"]);
        let outcome = done(&CommitRequest { push, ..again.clone() }).await;
        assert_eq!((&outcome.change, &outcome.commit), (&CommitChange::AlreadyThere, &world.remote_tip()));
        assert_eq!((outcome.files, outcome.tags, outcome.candidates), (Vec::new(), Vec::new(), Vec::new()));
    }
    assert_eq!(world.git("remote.git", &["for-each-ref"]), references);
    green(&world).await;

    // Beside a run that is new the old one is left alone too.
    write_manifest(
        &world.path("two"),
        &[BuildFixture::passed(&run(1), "x86_64", 1), BuildFixture::passed(&run(2), "x86_64", 2)],
    );
    let both = done(&CommitRequest { runs: ManifestRuns::All, ..world.request("two/manifest.json") }).await;
    assert_eq!(both.candidates.iter().map(|c| c.run.to_string()).collect::<Vec<_>>(), [run(2)]);
    assert_eq!((both.change, both.tags.len(), both.files.len()), (CommitChange::Pushed, 1, 2));
    green(&world).await;

    // AMIs that the lock does not hold came too late.
    let tip = world.remote_tip();
    write_manifest(&world.path("late"), &[BuildFixture::passed(&run(1), "arm64", 7)]);
    let (error, text) = fails(&world.request("late/manifest.json")).await;
    assert_eq!(error.exit(), ExitStatus::Conflict);
    assert!(text.contains(&format!("run {} of base is gold in {LOCK}", run(1))), "{text}");
    assert_eq!(world.remote_tip(), tip);
}

#[tokio::test]
async fn an_edited_entry_and_a_cut_tail_are_found() {
    let world = GitWorld::new();
    promote(&world, &run(1), 1, None).await;
    let first = shown(&world, "main", LOCK);
    promote(&world, &run(2), 2, None).await;
    let second = shown(&world, "main", LOCK);

    // Edited: the chain is broken, and the history shows who did it.
    push(&world, "edit", &[(LOCK, Some(second.replacen("promoted", "trust me", 1)))]);
    let both = verified(&request(&world)).await;
    assert_eq!(both.findings.len(), 2, "{:#?}", both.findings);
    assert!(both.findings[0].message.contains("the chain is broken"), "{:#?}", both.findings);
    assert_eq!(both.findings[1].line, Some(second.lines().position(|l| l.contains("promoted")).expect("a line") + 1));

    // Edited and put back: the lock is right again, the history keeps it.
    push(&world, "back", &[(LOCK, Some(second.clone()))]);
    assert_eq!(verified(&request(&world)).await.findings.len(), 2);

    // Cut: an older version is a good lock by itself. Its tags and its history are not.
    let world = GitWorld::new();
    promote(&world, &run(1), 1, None).await;
    promote(&world, &run(2), 2, None).await;
    push(&world, "cut", &[(LOCK, Some(first))]);
    assert!(finding(&world).await.contains("dropped or edited what stood here"), "{}", finding(&world).await);
    let deleted = GitWorld::new();
    promote(&deleted, &run(1), 1, None).await;
    push(&deleted, "gone", &[(LOCK, None)]);
    assert!(finding(&deleted).await.contains("took the lock away"));
}

#[tokio::test]
async fn a_gold_line_moved_by_hand_is_found_even_when_it_was_put_back() {
    let world = GitWorld::new();
    promote(&world, &run(1), 1, None).await;
    promote(&world, &run(2), 2, None).await;
    let good = shown(&world, "main", LOCK);
    let moved = good.replacen(&run(2), &run(1), 1);
    push(&world, "pointer", &[(LOCK, Some(moved))]);
    push(&world, "back", &[(LOCK, Some(good))]);
    let found = finding(&world).await;
    assert!(found.contains("moved the gold line alone: gold names run"), "{found}");
}

#[tokio::test]
async fn another_layout_of_the_same_entries_is_no_loss() {
    let world = GitWorld::new();
    promote(&world, &run(1), 1, None).await;
    let text = shown(&world, "main", LOCK).replace("  gold = ", "  # said by hand\n  gold   = ");
    push(&world, "layout", &[(LOCK, Some(text))]);
    promote(&world, &run(2), 2, None).await;
    green(&world).await;
}

#[tokio::test]
async fn illegal_moves_are_found_though_the_chain_holds() {
    let world = GitWorld::new();
    promote(&world, &run(1), 1, None).await;
    let good = lock_file::read("l", &shown(&world, "main", LOCK)).expect("a lock");
    let entry = |run: &str, state| LockEntry { run: run.parse().expect("a run"), state, ..good.entries[1].clone() };
    let with = |change: &dyn Fn(&mut Lock)| {
        let mut lock = good.clone();
        change(&mut lock);
        lock_file::write(&lock)
    };
    let moved_in = |state| {
        let mut first = good.entries[0].clone();
        first.run = run(2).parse().expect("a run");
        first.state = state;
        first.candidate.as_mut().expect("a candidate").run = first.run;
        first.evidence = None;
        first
    };
    for (name, words, text) in [
        (
            "straight to gold",
            "state candidate cannot become gold",
            with(&|lock| lock_file::append(lock, moved_in(ImageState::Gold))),
        ),
        (
            "two gold",
            "2 runs are gold at once",
            with(&|lock| {
                lock_file::append(lock, moved_in(ImageState::Vetted));
                lock_file::append(lock, entry(&run(2), ImageState::Gold));
            }),
        ),
        (
            "gold to rejected",
            "state gold cannot become rejected",
            with(&|lock| {
                lock_file::append(lock, entry(&run(1), ImageState::Rejected));
                lock.gold = None;
            }),
        ),
        (
            "never gold",
            "was retired and never gold",
            with(&|lock| {
                for state in [ImageState::Vetted, ImageState::Retired] {
                    lock_file::append(
                        lock,
                        if state == ImageState::Vetted { moved_in(state) } else { entry(&run(2), state) },
                    );
                }
                lock_file::append(lock, entry(&run(1), ImageState::Retired));
                lock_file::append(lock, entry(&run(2), ImageState::Gold));
                lock.gold = Some(run(2).parse().expect("a run"));
            }),
        ),
        ("no pointer", "and gold does not name it", with(&|lock| lock.gold = None)),
    ] {
        push(&world, name, &[(LOCK, Some(text))]);
        let findings = VerifyRequest { tags: false, ..request(&world) };
        let findings = verified(&findings).await.findings;
        assert!(findings.iter().any(|f| f.message.contains(words) && f.place == LOCK), "{name}: {findings:#?}");
        push(&world, "back", &[(LOCK, Some(lock_file::write(&good)))]);
    }
}

#[tokio::test]
async fn evidence_must_be_there_and_what_it_was() {
    let world = GitWorld::new();
    promote(&world, &run(1), 1, None).await;
    let smoke = format!("images/evidence/base/{}.json", run(1));
    let before = shown(&world, "main", &smoke);
    push(&world, "edited", &[(&smoke, Some(before.replace("passed", "PASSED")))]);
    let found = finding(&world).await;
    assert!(
        found.starts_with(&format!("{LOCK}:5: run {}: no file in images/evidence/base has the digest", run(1))),
        "{found}"
    );
    push(&world, "gone", &[(&smoke, None)]);
    assert!(finding(&world).await.contains("there is images/evidence/base/"));
    push(&world, "back", &[(&smoke, Some(before))]);
    green(&world).await;

    let stray = format!("images/base/candidates/{}.hcl", run(7));
    push(&world, "stray", &[(&stray, Some("candidate \"base\" {\n  run = 5\n}\n".to_owned()))]);
    assert_eq!(finding(&world).await, format!("{stray}:1: the candidate needs tested_at"));
}

#[tokio::test]
async fn a_candidate_that_was_moved_in_or_claims_more_is_found() {
    let world = GitWorld::new();
    write_manifest(&world.path("build"), &[BuildFixture::passed(RUN, "x86_64", 1)]);
    done(&world.request("build/manifest.json")).await;
    let path = crate::world::candidate_path(RUN);
    let text = shown(&world, "main", &path);
    move_in(&world, RUN, None).await;
    push(&world, "again", &[(&path, Some(text.clone()))]);
    assert!(finding(&world).await.contains("was moved into the lock"));
    push(&world, "gone", &[(&path, None)]);
    let other = crate::world::candidate_path(&run(5));
    let claims = text.replacen("= \"candidate\"", "= \"gold\"", 1);
    push(&world, "claims", &[(&other, Some(claims))]);
    let findings = verified(&request(&world)).await.findings;
    assert!(findings.iter().any(|f| f.message.contains("cannot make an AMI gold")), "{findings:#?}");
    assert!(findings.iter().any(|f| f.message.contains("that belongs to")), "{findings:#?}");
}

#[tokio::test]
async fn tags_must_be_there_annotated_and_on_their_commit() {
    let world = GitWorld::new();
    let written = promote(&world, &run(1), 1, None).await;
    let gold = written.tags.iter().find(|name| name.contains("/gold/")).expect("a tag").clone();
    let text = world.git("remote.git", &["cat-file", "tag", &gold]);
    let message = text.split_once("\n\n").expect("a message").1.to_owned();

    world.git("remote.git", &["tag", "-d", &gold]);
    assert!(finding(&world).await.contains("has no such tag"));
    world.git("remote.git", &["tag", &gold, "main"]);
    assert!(finding(&world).await.contains("is not assay's word"));
    for (words, text, commit) in
        [("is not assay's word", "trust me", "main"), ("does not hold the entry", message.as_str(), "main~1")]
    {
        world.git("seed", &["fetch", "-q", "../remote.git", "+main:refs/seen/main"]);
        let commit = world.git("remote.git", &["rev-parse", commit]);
        world.git("seed", &["tag", "-f", "-a", "--cleanup=verbatim", "-m", text, &gold, &commit]);
        world.git("seed", &["push", "-q", "-f", "../remote.git", &format!("refs/tags/{gold}")]);
        assert!(finding(&world).await.contains(words), "{words}: {}", finding(&world).await);
    }
    // Its own tag beside a foreign one.
    let right = world.git("remote.git", &["rev-parse", "main"]);
    world.git("seed", &["tag", "-f", "-a", "-m", "trust me", &gold, &right]);
    let beside = format!("{gold}-2");
    world.git("seed", &["tag", "-f", "-a", "--cleanup=verbatim", "-m", &message, &beside, &right]);
    world.git(
        "seed",
        &["push", "-q", "-f", "../remote.git", &format!("refs/tags/{gold}"), &format!("refs/tags/{beside}")],
    );
    assert!(finding(&world).await.contains(&format!("the move's own tag is {beside}")), "{}", finding(&world).await);
    world.git("remote.git", &["tag", "-d", &beside]);
    // A commit that nobody merged.
    world.git("seed", &["checkout", "-q", "--detach", "refs/seen/main"]);
    world.git("seed", &["commit", "-q", "--allow-empty", "-m", "side"]);
    world.git("seed", &["tag", "-f", "-a", "--cleanup=verbatim", "-m", &message, &gold, "HEAD"]);
    world.git("seed", &["push", "-q", "-f", "../remote.git", &format!("refs/tags/{gold}")]);
    assert!(finding(&world).await.contains("is not in the branch's history"));
    // What is not signed is only wrong where signatures are asked for.
    let asked = verified(&VerifyRequest { signatures: true, ..request(&world) }).await;
    assert!(asked.findings.iter().any(|f| f.message.contains("that nobody signed")), "{:#?}", asked.findings);
    assert!(asked.findings.iter().any(|f| f.message.contains("does not trust its signature")), "{:#?}", asked.findings);
}

#[tokio::test]
async fn signatures_are_checked_against_the_keys_on_the_branch() {
    let world = GitWorld::new();
    promote(&world, &run(1), 1, None).await;
    let listed = world.git("remote.git", &["ls-tree", "-r", "--name-only", "main", "images/evidence/base"]);
    let path = listed.lines().find(|path| path.contains('-')).expect("validation evidence").to_owned();
    let file = world.path("evidence.json");
    std::fs::write(&file, shown(&world, "main", &path)).expect("written");
    let mut keys = Vec::new();
    for name in ["tester", "stranger"] {
        let key = world.path(name);
        let keygen = |arguments: &[&str]| {
            let status =
                std::process::Command::new("ssh-keygen").args(arguments).stderr(std::process::Stdio::null()).status();
            assert!(status.expect("ssh-keygen runs (package openssh-client)").success());
        };
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key.to_str().expect("UTF-8")]);
        keygen(&[
            "-Y",
            "sign",
            "-q",
            "-f",
            key.to_str().expect("UTF-8"),
            "-n",
            "assay-evidence",
            file.to_str().expect("UTF-8"),
        ]);
        let signature = world.path("evidence.json.sig");
        keys.push((
            std::fs::read_to_string(world.path(&format!("{name}.pub"))).expect("a key"),
            std::fs::read_to_string(&signature).expect("a signature"),
        ));
        std::fs::remove_file(signature).expect("removed");
    }
    let allowed = "images/allowed_signers";
    let beside = format!("{path}.sig");
    let asked = VerifyRequest { require_signature: true, allowed_signers: Some(allowed.to_owned()), ..request(&world) };
    assert!(verified(&asked).await.findings.iter().any(|f| f.message.contains("the commit has none")));
    push(&world, "keys", &[(allowed, Some(format!("tester@ci {}", keys[0].0))), (&beside, Some(keys[0].1.clone()))]);
    let good = verified(&asked).await;
    assert_eq!((good.signatures, good.findings), (1, Vec::new()));
    push(&world, "forged", &[(&beside, Some(keys[1].1.clone()))]);
    let forged = verified(&asked).await;
    assert_eq!((forged.signatures, forged.findings.len()), (0, 1), "{:#?}", forged.findings);
    assert_eq!(forged.findings[0].place, beside);
    // The cure holds: on a run that is revoked nothing rests, whoever signed.
    let becomes = |state| {
        let text = with_entry(&shown(&world, "main", LOCK), &run(1), state);
        push(&world, "moved", &[(LOCK, Some(text))]);
    };
    let untagged = VerifyRequest { tags: false, ..asked.clone() };
    becomes(ImageState::Retired);
    assert_eq!(verified(&untagged).await.findings.len(), 1, "what is forged stays so on a retired run");
    becomes(ImageState::Revoked);
    assert_eq!(verified(&untagged).await.findings, []);
}

/// The lock with one entry more, and without gold.
fn with_entry(lock: &str, run: &str, state: ImageState) -> String {
    let mut lock = lock_file::read(LOCK, lock).expect("a lock");
    let run = run.parse().expect("a run");
    lock_file::append(&mut lock, LockEntry { run, state, copies: Vec::new(), ..fixtures::lock().entries[1].clone() });
    lock.gold = None;
    lock_file::write(&lock)
}

#[tokio::test]
async fn a_signature_is_demanded_of_what_a_run_stands_on_now() {
    let world = GitWorld::new();
    let asked = VerifyRequest { require_signature: true, tags: false, ..request(&world) };
    for number in 1..=2 {
        promote(&world, &run(number), number, None).await;
        // The run before has retired: another gold is a cure.
        let findings = verified(&asked).await.findings;
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].message, format!("run {} was vetted on evidence that nobody signed", run(number)));
    }
    let text = with_entry(&shown(&world, "main", LOCK), &run(2), ImageState::Revoked);
    push(&world, "revoked", &[(LOCK, Some(text))]);
    assert_eq!(verified(&asked).await.findings, []);
}

#[tokio::test]
async fn a_shallow_clone_cannot_tell() {
    let world = GitWorld::new();
    promote(&world, &run(1), 1, None).await;
    let url = format!("file://{}", world.path("remote.git").display());
    world.git(".", &["clone", "-q", "--depth=1", &url, "shallow"]);
    let mut shallow = request(&world);
    shallow.books.folder = world.path("shallow");
    let verified = verified(&shallow).await;
    assert_eq!((verified.findings, verified.unknown.len()), (Vec::new(), 1));
}

/// Two pull requests with a candidate each and a scheduled rebuild, merged in the three ways that hosts offer; then promoted by pull requests too.
#[tokio::test]
async fn merge_squash_and_rebase_all_stay_green_without_a_conflict() {
    let world = GitWorld::new();
    let host = |arguments: &[&str]| world.git("seed", arguments);
    let merge = |way: &str, branch: &str| {
        host(&["fetch", "-q", "../remote.git", "+main:refs/seen/main", &format!("+{branch}:refs/seen/branch")]);
        host(&["checkout", "-q", "--detach", "refs/seen/main"]);
        match way {
            "merge" => drop(host(&["merge", "-q", "--no-ff", "-m", "Merge", "refs/seen/branch"])),
            "squash" => {
                host(&["merge", "-q", "--squash", "refs/seen/branch"]);
                host(&["commit", "-q", "-m", "Squashed"]);
            }
            _ => {
                host(&["checkout", "-q", "--detach", "refs/seen/branch"]);
                host(&["rebase", "-q", "refs/seen/main"]);
            }
        }
        host(&["push", "-q", "../remote.git", "HEAD:main", &format!(":{branch}")]);
    };
    // All three begin at the same main.
    for (number, branch) in [(1, "pr-one"), (2, "pr-two"), (3, "rebuild")] {
        world.git("remote.git", &["branch", branch, "main"]);
        write_manifest(&world.path(branch), &[BuildFixture::passed(&run(number), "x86_64", number)]);
        let request = world.request(&format!("{branch}/manifest.json"));
        done(&crate::CommitRequest { branch: Some(branch.to_owned()), ..request }).await;
    }
    for (way, branch) in [("merge", "pr-one"), ("squash", "pr-two"), ("rebase", "rebuild")] {
        merge(way, branch);
        green(&world).await;
    }
    for (way, number) in [("squash", 1), ("rebase", 2), ("merge", 3)] {
        let written = move_in(&world, &run(number), Some("assay/base")).await;
        assert_eq!(written.tags_to_come.len(), 2);
        merge(way, "assay/base");
        let verified = verified(&VerifyRequest { tags: false, ..request(&world) }).await;
        assert_eq!(verified.findings, [], "{way}");
        assert_eq!(verified.images[0].gold.map(|gold| gold.to_string()), Some(run(number)));
    }
    // The tags come with the next run of the promotion.
    let due = verified(&request(&world)).await.findings;
    assert!(due.len() == 6 && due.iter().all(|f| f.message.contains("has no such tag")), "{due:#?}");
}

#[test]
fn a_promotion_in_a_long_lock_changes_the_gold_line_and_adds_entries() {
    let mut lock = fixtures::lock();
    let candidate = lock.entries[0].candidate.clone().expect("a candidate");
    for number in 0..500_u32 {
        let run: RunId = format!("01KAQ3B6G0R8ZJ5Q2X7V{number:06}").parse().expect("a run");
        let first = LockEntry {
            run,
            candidate: Some(assay_model::Candidate { run, ..candidate.clone() }),
            ..lock.entries[0].clone()
        };
        let retired = LockEntry {
            run: lock.gold.expect("gold"),
            state: ImageState::Retired,
            copies: Vec::new(),
            ..lock.entries[1].clone()
        };
        let gold = LockEntry { run, copies: Vec::new(), ..lock.entries[1].clone() };
        if number == 499 {
            let before = lock_file::write(&lock);
            for entry in [first, retired, gold] {
                lock_file::append(&mut lock, entry);
            }
            lock.gold = Some(run);
            let after = lock_file::write(&lock);
            let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
            let changed: Vec<usize> = (0..old.len() - 1).filter(|at| old[*at] != new[*at]).collect();
            assert_eq!(changed, [2], "only the gold line");
            assert_eq!(lock_file::read("l", &after).expect("reads"), lock);
            return;
        }
        for entry in [first, retired, gold] {
            lock_file::append(&mut lock, entry);
        }
        lock.gold = Some(run);
    }
}
