//! Twenty writers append fifty commits each to one remote: nothing is lost, the history is a line, and `assay verify` finds it right. Takes minutes; by its
//! name it starts first, beside all others.

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use assay_ledger as ledger;
use assay_ledger::{
    BooksRequest, LedgerEdit, LedgerError, LedgerSnapshot, RacePatience, WriteRequest, candidate_file, lock_commit,
    lock_file, write::write,
};
use assay_model::{
    AmiRecord, Candidate, CandidateAmi, Digest, ImageName, ImageState, Provenance, RunId, Verdict, lock::LockEntry,
};

const WRITERS: usize = 20;
const COMMITS: usize = 50;
/// Five writers share a lock file; all share the branch.
const IMAGES: usize = 4;

fn git(folder: &Path, environment: &ledger::GitEnvironment, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(environment)
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// A vetted entry of a run of its own, and the evidence that its candidate names.
fn entry(image: &ImageName, writer: usize, number: usize) -> (LockEntry, Vec<u8>) {
    let run: RunId = format!("01KAQ3B6G0R8ZJ5Q2X7V{writer:03}{number:03}").parse().expect("a run");
    let evidence = format!("{{\"run\": \"{run}\"}}\n").into_bytes();
    let record = AmiRecord {
        ami: format!("us-east-1:ami-{:017x}", writer * 1000 + number).parse().expect("an AMI"),
        architecture: "x86_64".parse().expect("an architecture"),
        name: format!("{image}-{writer}-{number}"),
        owner: "123456789012".parse().expect("an account"),
        created_at: "2026-11-22T10:00:00.000Z".to_owned(),
        snapshots: vec![format!("snap-{:017x}", writer * 1000 + number)],
    };
    let at = "2026-11-22T10:05:00Z".to_owned();
    let digest = Digest::of(&evidence);
    let candidate = Candidate {
        image: image.clone(),
        run,
        state: ImageState::Candidate,
        verdict: Verdict::Passed,
        tested_at: at.clone(),
        provenance: Provenance::default(),
        evidence: digest.clone(),
        amis: vec![CandidateAmi { record, state: ImageState::Candidate, evidence: digest, tested_at: at.clone() }],
    };
    let entry = LockEntry {
        run,
        state: ImageState::Vetted,
        by: format!("writer {writer}"),
        at,
        reason: "the full suite passed".to_owned(),
        evidence: Some(Digest::of(&evidence)),
        effective_at: None,
        previous: None,
        candidate: Some(candidate),
        copies: Vec::new(),
    };
    (entry, evidence)
}

async fn one_writer(request: WriteRequest, writer: usize) -> u32 {
    let image: ImageName = format!("image-{}", writer % IMAGES).parse().expect("a name");
    let mut tries = 0;
    for number in 0..COMMITS {
        let (entry, evidence) = entry(&image, writer, number);
        let written = write(&request, async |books: &LedgerSnapshot| {
            let mut lock = books.lock(&image).await?;
            lock_file::append(&mut lock, entry.clone());
            let candidate = entry.candidate.as_ref().expect("a candidate");
            assert!(candidate_file::path(candidate).starts_with("images/"));
            let files = vec![
                (lock_file::path(&image), Some(lock_file::write(&lock).into_bytes())),
                (format!("images/evidence/{image}/{}.json", entry.run), Some(evidence.clone())),
            ];
            Ok::<_, LedgerError>(LedgerEdit {
                files,
                message: lock_commit(&lock, std::slice::from_ref(&entry)),
                tags: Vec::new(),
                earlier_tags: Vec::new(),
            })
        });
        tries += written.await.unwrap_or_else(|error| panic!("writer {writer}: {error}")).tries;
    }
    tries
}

#[test]
fn a_thousand_entries_of_twenty_writers_none_lost() {
    let world = tempfile::tempdir().expect("a folder");
    let configuration = world.path().join("gitconfig");
    // Packing in between would measure git's housekeeping.
    std::fs::write(&configuration, "[user]\nname = T\nemail = t@localhost\n[init]\ndefaultBranch = main\n[gc]\nauto = 0\n[receive]\nautogc = false\n")
        .expect("written");
    let mut environment = BTreeMap::new();
    environment.insert("PATH".to_owned(), std::env::var("PATH").expect("PATH"));
    environment.insert("HOME".to_owned(), world.path().display().to_string());
    environment.insert("GIT_CONFIG_GLOBAL".to_owned(), configuration.display().to_string());
    environment.insert("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned());
    let run = |arguments: &[&str]| git(world.path(), &environment, arguments);
    run(&["init", "-q", "--bare", "remote.git"]);
    run(&["init", "-q", "seed"]);
    run(&["-C", "seed", "commit", "-q", "--allow-empty", "-m", "first"]);
    run(&["-C", "seed", "push", "-q", "../remote.git", "HEAD:main"]);

    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let clone = format!("clone-{writer}");
        run(&["clone", "-q", "remote.git", &clone]);
        let books = BooksRequest {
            folder: world.path().join(clone),
            branch: "main".to_owned(),
            remote: None,
            environment: environment.clone(),
        };
        let patience = RacePatience { tries: 20, time: Duration::from_secs(1800) };
        let request = WriteRequest { books, open_branch: None, patience };
        writers.push(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(one_writer(request, writer))
        }));
    }
    let tries: u32 = writers.into_iter().map(|writer| writer.join().expect("a writer that ended well")).sum();
    eprintln!("{} commits in {tries} pushes", WRITERS * COMMITS);

    assert_eq!(run(&["-C", "remote.git", "rev-list", "--count", "main"]), (WRITERS * COMMITS + 1).to_string());
    assert_eq!(run(&["-C", "remote.git", "rev-list", "--merges", "main"]), "");
    run(&["clone", "-q", "remote.git", "fresh"]);
    for image in 0..IMAGES {
        let path = format!("images/image-{image}.lock.hcl");
        let text = std::fs::read_to_string(world.path().join("fresh").join(&path)).expect("a lock");
        let lock = lock_file::read(&path, &text).expect("a sound chain");
        for writer in (image..WRITERS).step_by(IMAGES) {
            for number in 0..COMMITS {
                let run = entry(&lock.image, writer, number).0.run;
                assert_eq!(lock.state_of(run), Some(ImageState::Vetted), "writer {writer}, commit {number}");
            }
        }
        assert_eq!(lock.entries.len(), WRITERS * COMMITS / IMAGES);
    }
    let began = std::time::Instant::now();
    let verify = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_assay"))
            .args(arguments)
            .current_dir(world.path().join("fresh"))
            .env_clear()
            .envs(&environment)
            .output()
            .expect("assay runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (code, said) = verify(&["verify"]);
    eprintln!("verified in {:?}\n{said}", began.elapsed());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("4 images, 1000 versions of locks, 1000 evidence files"), "{said}");

    // The same program on a lock that somebody cut: 2, and where.
    let path = world.path().join("fresh/images/image-0.lock.hcl");
    let text = std::fs::read_to_string(&path).expect("a lock");
    let last = text.rfind("\n  entry ").expect("an entry");
    std::fs::write(&path, format!("{}}}\n", &text[..last])).expect("written");
    git(&world.path().join("fresh"), &environment, &["commit", "-q", "-a", "-m", "cut"]);
    let (code, said) = verify(&["verify", "--ref", "HEAD", "--image", "image-0"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("wrong: images/image-0.lock.hcl:") && said.contains("dropped or edited"), "{said}");
}
