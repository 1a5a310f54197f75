//! Which AMI a lock gives, and what is said where it gives none.

use super::*;
use assay_ledger::lock_file::{append, entry_digest, write};
use assay_model::{Candidate, CandidateAmi, Digest, Provenance, Verdict, lock::LockCopy};

const RUN: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M1C";
const OLDER: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M1B";

fn record(architecture: &str, region: &str, id: &str) -> AmiRecord {
    AmiRecord {
        ami: format!("{region}:{id}").parse().expect("an AMI"),
        architecture: architecture.parse().expect("an architecture"),
        name: format!("base-{id}"),
        owner: "123456789012".parse().expect("an account"),
        created_at: "2026-11-22T10:00:00.000Z".to_owned(),
        snapshots: vec!["snap-0abcdef1234567890".to_owned()],
    }
}

fn candidate(run: &str) -> Candidate {
    let ami = |architecture, id| CandidateAmi {
        record: record(architecture, "us-east-1", id),
        state: ImageState::Candidate,
        evidence: Digest::of(b"one"),
        tested_at: "2026-11-22T10:05:00Z".to_owned(),
    };
    Candidate {
        image: "base".parse().expect("a name"),
        run: run.parse().expect("a run"),
        state: ImageState::Candidate,
        verdict: Verdict::Passed,
        tested_at: "2026-11-22T10:05:00Z".to_owned(),
        provenance: Provenance { source_digest: Some(Digest::of(b"inputs")), ..Provenance::default() },
        evidence: Digest::of(b"one"),
        amis: vec![ami("arm64", "ami-0aaaaaaaaaaaaaaa1"), ami("x86_64", "ami-0aaaaaaaaaaaaaaa2")],
    }
}

fn entry(run: &str, state: ImageState, at: &str) -> LockEntry {
    LockEntry {
        run: run.parse().expect("a run"),
        state,
        by: "https://ci.example/7".to_owned(),
        at: at.to_owned(),
        reason: "CVE-2026-1 \u{1b}[31m".to_owned(),
        evidence: None,
        effective_at: None,
        previous: None,
        candidate: None,
        copies: Vec::new(),
    }
}

/// Vetted, then gold with a copy in eu-west-1.
fn lock() -> Lock {
    let mut lock = Lock::new("base".parse().expect("a name"));
    let vetted = entry(RUN, ImageState::Vetted, "2026-11-22T11:00:00Z");
    append(&mut lock, LockEntry { candidate: Some(candidate(RUN)), ..vetted });
    let copy = LockCopy {
        record: record("x86_64", "eu-west-1", "ami-0aaaaaaaaaaaaaaa3"),
        of: "us-east-1:ami-0aaaaaaaaaaaaaaa2".parse().expect("an AMI"),
    };
    append(&mut lock, LockEntry { copies: vec![copy], ..entry(RUN, ImageState::Gold, "2026-11-22T12:00:00Z") });
    lock.gold = Some(RUN.parse().expect("a run"));
    lock
}

/// Other tests, in Go too, build on this very file.
#[test]
fn the_kept_lock_is_this_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gold/images/base.lock.hcl");
    if std::env::var_os("ASSAY_WRITE_GOLDENS").is_some() {
        std::fs::write(path, write(&lock())).expect("written");
    }
    assert_eq!(std::fs::read_to_string(path).expect("kept"), write(&lock()));
}

fn revoked(effective_at: Option<&str>) -> Lock {
    let mut lock = lock();
    let entry = entry(RUN, ImageState::Revoked, "2026-11-23T08:00:00Z");
    append(&mut lock, LockEntry { effective_at: effective_at.map(str::to_owned), ..entry });
    lock.gold = None;
    lock
}

fn request(folder: &Path, region: &str, architecture: &str) -> GoldRequest {
    GoldRequest {
        image: "base".parse().expect("a name"),
        region: region.parse().expect("a region"),
        architecture: architecture.parse().expect("an architecture"),
        config: None,
        reference: None,
        working_dir: folder.to_owned(),
        environment: GitEnvironment::new(),
        now: "2026-11-23T10:00:00Z".parse().expect("a time"),
    }
}

fn chosen(lock: &Lock, region: &str, architecture: &str) -> Result<GoldImage, String> {
    choose(lock, "images/base.lock.hcl", &request(Path::new("."), region, architecture)).map_err(|e| e.to_string())
}

fn refused(lock: &Lock) -> String {
    chosen(lock, "us-east-1", "x86_64").expect_err("refused")
}

#[test]
fn gold_is_the_ami_of_that_region_and_architecture() {
    let gold = chosen(&lock(), "us-east-1", "x86_64").expect("gold");
    assert_eq!(gold.ami.ami.id.as_str(), "ami-0aaaaaaaaaaaaaaa2");
    assert_eq!(gold.run.to_string(), RUN);
    assert_eq!(gold.promoted_at, "2026-11-22T12:00:00Z");
    assert_eq!(gold.source_digest, Some(Digest::of(b"inputs").to_string()));
    assert_eq!(gold.amis["x86_64"]["eu-west-1"], "ami-0aaaaaaaaaaaaaaa3");
    assert_eq!(gold.amis["arm64"].len(), 1);
    let copied = chosen(&lock(), "eu-west-1", "x86_64").expect("gold");
    assert_eq!(copied.ami.ami.id.as_str(), "ami-0aaaaaaaaaaaaaaa3", "what promotion copied counts too");
}

#[test]
fn what_gold_does_not_cover_is_said_with_what_it_covers() {
    let text = chosen(&lock(), "eu-west-1", "arm64").expect_err("refused");
    assert!(text.contains("has no AMI for arm64 in eu-west-1"), "{text}");
    assert!(text.contains("arm64 in us-east-1; x86_64 in eu-west-1, us-east-1"), "{text}");
    assert!(text.contains("ami_regions = [\"eu-west-1\"]"), "{text}");
}

#[test]
fn a_revoked_gold_is_refused_from_its_moment_on() {
    let text = refused(&revoked(None));
    assert!(text.contains("is revoked") && text.contains(RUN) && text.contains("rollback --image base"), "{text}");
    assert!(text.contains("at 2026-11-23T08:00:00Z") && text.contains("https://ci.example/7"), "{text}");
    assert!(!text.contains('\u{1b}'), "what stands in a lock does not reach a terminal as it is");

    let text = refused(&revoked(Some("2026-11-23T10:00:00Z")));
    assert!(text.contains("from 2026-11-23T10:00:00Z on"), "{text}");
    let announced = chosen(&revoked(Some("2026-11-23T10:00:01Z")), "us-east-1", "x86_64").expect("still gold");
    assert_eq!(announced.revoked_from.as_deref(), Some("2026-11-23T10:00:01Z"));
}

#[test]
fn after_a_rollback_the_revoked_one_is_history() {
    let mut lock = Lock::new("base".parse().expect("a name"));
    append(
        &mut lock,
        LockEntry { candidate: Some(candidate(OLDER)), ..entry(OLDER, ImageState::Gold, "2026-11-20T11:00:00Z") },
    );
    append(
        &mut lock,
        LockEntry { candidate: Some(candidate(RUN)), ..entry(RUN, ImageState::Gold, "2026-11-21T11:00:00Z") },
    );
    append(&mut lock, entry(OLDER, ImageState::Retired, "2026-11-21T11:00:00Z"));
    append(&mut lock, entry(RUN, ImageState::Revoked, "2026-11-22T11:00:00Z"));
    assert!(refused(&lock).contains(RUN), "the one that was gold last is the one that is told");
    append(&mut lock, entry(OLDER, ImageState::Gold, "2026-11-22T12:00:00Z"));
    lock.gold = Some(OLDER.parse().expect("a run"));
    assert_eq!(chosen(&lock, "us-east-1", "x86_64").expect("gold").run.to_string(), OLDER);
}

#[test]
fn no_gold_yet_says_what_there_is() {
    assert!(refused(&Lock::new("base".parse().expect("a name"))).contains("knows no run at all"));
    let mut vetted = lock();
    vetted.entries.pop();
    vetted.gold = None;
    let text = refused(&vetted);
    assert!(text.contains(&format!("run {RUN} (vetted)")) && text.contains("assay promote --image base --to gold"));
}

fn folder_with(lock: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("assay.hcl"), "").expect("written");
    std::fs::create_dir(folder.path().join("images")).expect("made");
    if let Some(text) = lock {
        std::fs::write(folder.path().join("images/base.lock.hcl"), text).expect("written");
    }
    folder
}

async fn looked_up(folder: &Path) -> Result<GoldImage, String> {
    gold(&request(folder, "us-east-1", "x86_64")).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_lock_lies_beside_assay_hcl_which_may_be_further_up() {
    let folder = folder_with(Some(&write(&lock())));
    let deeper = folder.path().join("packer/inner");
    std::fs::create_dir_all(&deeper).expect("made");
    assert!(looked_up(&deeper).await.is_ok());
}

#[tokio::test]
async fn in_a_repository_the_lock_is_at_its_top_alone() {
    let folder = folder_with(Some(&write(&lock())));
    std::fs::create_dir_all(folder.path().join("part")).expect("made");
    std::fs::rename(folder.path().join("assay.hcl"), folder.path().join("part/assay.hcl")).expect("moved");
    let part = folder.path().join("part");
    assert!(looked_up(&part).await.expect_err("no repository").contains("has no gold yet"));
    std::fs::create_dir(folder.path().join(".git")).expect("made");
    assert!(looked_up(&part).await.is_ok());
    // No promotion writes the nearer one: what it says is old, or somebody's own.
    std::fs::create_dir(part.join("images")).expect("made");
    std::fs::write(part.join("images/base.lock.hcl"), write(&revoked(None))).expect("written");
    assert!(looked_up(&part).await.is_ok());
    std::fs::remove_file(folder.path().join("images/base.lock.hcl")).expect("removed");
    let text = looked_up(&part).await.expect_err("none at the top");
    assert!(text.contains("has no gold yet") && !text.contains("part/images"), "{text}");
}

#[tokio::test]
async fn the_lock_of_another_image_gives_none() {
    let folder = folder_with(Some(&write(&lock())));
    std::fs::rename(folder.path().join("images/base.lock.hcl"), folder.path().join("images/web.lock.hcl"))
        .expect("moved");
    let mut request = request(folder.path(), "us-east-1", "x86_64");
    request.image = "web".parse().expect("a name");
    let words = "images/web.lock.hcl:2: this is the lock of base; it belongs to images/base.lock.hcl";
    let text = gold(&request).await.expect_err("another's").to_string();
    assert!(text.contains(words), "{text}");

    git(folder.path(), &["init", "-q", "-b", "main"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-qm", "renamed"]);
    request.environment = assay_ledger::environment_of_process();
    request.reference = Some("main".to_owned());
    let text = gold(&request).await.expect_err("another's").to_string();
    assert!(text.contains(&format!("main:{words}")), "{text}");
}

fn git(folder: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    let status = std::process::Command::new("git")
        .args(identity)
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .status();
    assert!(status.expect("git runs").success(), "git {arguments:?}");
}

#[tokio::test]
async fn a_missing_lock_is_told_with_its_cure() {
    let folder = folder_with(None);
    std::fs::write(folder.path().join("images/bse.lock.hcl"), "").expect("written");
    let text = looked_up(folder.path()).await.expect_err("no lock");
    for words in ["base has no gold yet", "images/base.lock.hcl", "did you mean \"bse\"", "ref = \"origin/main\""] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    let nowhere = tempfile::tempdir().expect("a folder");
    let text = looked_up(nowhere.path()).await.expect_err("no assay.hcl");
    assert!(text.contains("there is no assay.hcl in"), "{text}");
    let mut named = request(folder.path(), "us-east-1", "x86_64");
    named.config = Some("elsewhere/assay.hcl".into());
    let text = gold(&named).await.expect_err("not there").to_string();
    assert_eq!(text, "elsewhere/assay.hcl cannot be read: there is no such file");
}

#[tokio::test]
async fn a_changed_lock_is_refused_with_file_and_line() {
    let text = write(&lock()).replacen("11:00:00Z", "11:00:01Z", 1);
    let folder = folder_with(Some(&text));
    let text = looked_up(folder.path()).await.expect_err("changed");
    let line = text.split(".lock.hcl:").nth(1).and_then(|rest| rest.split(':').next()).expect("a line");
    assert!(line.parse::<u32>().is_ok_and(|line| line > 1), "{text}");
    assert!(text.contains("the chain is broken") && text.contains("git checkout origin/main"), "{text}");
    assert!(lock().entries[1].previous == Some(entry_digest(&lock().entries[0])));
}

#[tokio::test]
async fn another_commits_lock_counts_where_it_is_named() {
    let folder = folder_with(Some(&write(&lock())));
    let git = |arguments: &[&str]| git(folder.path(), arguments);
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "gold"]);
    std::fs::remove_file(folder.path().join("images/base.lock.hcl")).expect("removed");
    assert!(looked_up(folder.path()).await.is_err());

    let mut request = request(folder.path(), "us-east-1", "x86_64");
    request.environment = assay_ledger::environment_of_process();
    request.reference = Some("main".to_owned());
    assert_eq!(gold(&request).await.expect("gold").run.to_string(), RUN);

    request.image = "bas".parse().expect("a name");
    let text = gold(&request).await.expect_err("no such image").to_string();
    assert!(text.contains("main:images/bas.lock.hcl") && text.contains("did you mean \"base\""), "{text}");
    request.reference = Some("origin/main".to_owned());
    let text = gold(&request).await.expect_err("no such commit").to_string();
    assert!(text.contains("ref: \"origin/main\"") && text.contains("git fetch origin"), "{text}");
}
