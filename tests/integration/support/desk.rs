//! A repository of images as CI sees it: assay.hcl, templates, a bare remote, candidates and locks as promotion writes them. It owns making history;
//! it refuses to assert.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use assay_ledger::{candidate_file, lock_file};
use assay_model::{
    AmiRecord, Candidate, CandidateAmi, Digest, ImageState, Provenance, RunId, Verdict,
    lock::{Lock, LockEntry},
};
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;

use super::repository::{Repository, git_environment};

/// A clone with `main` checked out, and its remote.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    repository: Repository,
}

/// One build as git knows it.
#[derive(Clone)]
pub(crate) struct Build {
    pub image: String,
    pub run: RunId,
    pub digest: Option<Digest>,
    pub parent: Option<String>,
    pub days_ago: i64,
    pub amis: Vec<AmiRecord>,
}

/// The n-th run.
pub(crate) fn run(number: u8) -> RunId {
    format!("01KAQ3B6G0R8ZJ5Q2X7V9N4M{number:02}").parse().expect("a run")
}

/// An AMI that only git knows.
pub(crate) fn record(number: u8) -> AmiRecord {
    AmiRecord {
        ami: format!("us-east-1:ami-0abcdef12345678{number:02}").parse().expect("an AMI"),
        architecture: "x86_64".parse().expect("an architecture"),
        name: format!("image-{number}"),
        owner: "123456789012".parse().expect("an account"),
        created_at: ago(0).to_string(),
        snapshots: vec![format!("snap-0abcdef12345678{number:02}")],
    }
}

/// What stands for a run's evidence: `verify` asks for the bytes that a lock names, not for what they say.
fn evidence_of(run: RunId) -> Vec<u8> {
    format!("{{\"run\": \"{run}\"}}\n").into_bytes()
}

/// So many days ago; the same time however often it is asked.
pub(crate) fn ago(days: i64) -> Timestamp {
    static NOW: std::sync::LazyLock<Timestamp> = std::sync::LazyLock::new(Timestamp::now);
    NOW.checked_sub((days * 24).hours()).expect("a time")
}

impl Build {
    /// Run and AMI `number` of an image, tested an hour or some days ago.
    pub(crate) fn new(image: &str, number: u8, digest: &str, days_ago: i64) -> Self {
        let digest = Some(digest.parse().expect("a digest"));
        let amis = vec![AmiRecord { created_at: ago(days_ago).to_string(), ..record(number) }];
        Self { image: image.to_owned(), run: run(number), digest, parent: None, days_ago, amis }
    }

    pub(crate) fn on(self, parent: &AmiRecord) -> Self {
        Self { parent: Some(parent.ami.id.to_string()), ..self }
    }

    pub(crate) fn candidate(&self, state: ImageState) -> Candidate {
        let tested_at = ago(self.days_ago).to_string();
        let evidence = Digest::of(&evidence_of(self.run));
        let amis = self.amis.iter().map(|record| CandidateAmi {
            record: record.clone(),
            state,
            evidence: evidence.clone(),
            tested_at: tested_at.clone(),
        });
        Candidate {
            image: self.image.parse().expect("a name"),
            run: self.run,
            state,
            verdict: if state == ImageState::Rejected { Verdict::Failed } else { Verdict::Passed },
            tested_at: tested_at.clone(),
            provenance: Provenance {
                source_digest: self.digest.clone(),
                parent: self.parent.as_ref().map(|id| id.parse().expect("an AMI id")),
                ..Provenance::default()
            },
            evidence: evidence.clone(),
            amis: amis.collect(),
        }
    }
}

impl Desk {
    /// `assay_hcl` and other files, committed on `main` of a new remote.
    pub(crate) fn new(assay_hcl: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let work = folder.path().join("work");
        std::fs::create_dir_all(&work).expect("a folder");
        for (name, text) in [("assay.hcl", assay_hcl)].iter().chain(files) {
            let path = work.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, text).expect("written");
        }
        let repository = Repository::publish(&work, &folder.path().join("remote.git"));
        repository.git(&["switch", "-q", "main"]);
        Self { folder, repository }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, text).expect("written");
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.repository.git(arguments)
    }

    /// Commits everything and pushes the branch that is checked out.
    pub(crate) fn push(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["push", "-q", "origin", "HEAD"]);
    }

    /// Writes a candidate file, as `assay commit` does.
    pub(crate) fn candidate(&self, build: &Build, state: ImageState) {
        let candidate = build.candidate(state);
        self.write(&candidate_file::path(&candidate), &candidate_file::write(&candidate));
    }

    /// Writes an image's lock: each move is a build, the state it got, and how many days ago.
    pub(crate) fn lock(&self, image: &str, moves: &[(&Build, ImageState, i64)]) -> Lock {
        let mut lock = Lock::new(image.parse().expect("a name"));
        for (build, state, days_ago) in moves {
            let first = lock.candidate(build.run).is_none();
            let entry = LockEntry {
                run: build.run,
                state: *state,
                by: "tester".to_owned(),
                at: ago(*days_ago).to_string(),
                reason: "test".to_owned(),
                evidence: Some(Digest::of(&evidence_of(build.run))),
                effective_at: None,
                previous: None,
                candidate: first.then(|| build.candidate(ImageState::Candidate)),
                copies: Vec::new(),
            };
            lock_file::append(&mut lock, entry);
            match state {
                ImageState::Gold => lock.gold = Some(build.run),
                _ if lock.gold == Some(build.run) => lock.gold = None,
                _ => {}
            }
        }
        self.write(&lock_file::path(&lock.image), &lock_file::write(&lock));
        for (build, _, _) in moves {
            // A lock whose evidence is not there does not verify, and nothing follows it.
            let evidence = String::from_utf8(evidence_of(build.run)).expect("text");
            self.write(&format!("images/evidence/{image}/{}.json", build.run), &evidence);
        }
        lock
    }

    /// Runs assay in the clone.
    pub(crate) fn assay(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("assay runs")
    }

    /// assay in the clone, to be run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(super::tools::assay());
        command.args(arguments).current_dir(self.path("")).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CIRCLE") || name.starts_with("CI")) {
            command.env_remove(name);
        }
        command.envs(git_environment(Path::new("/nonexistent")));
        command
    }

    /// `assay … --format json`: the document and the exit code.
    pub(crate) fn json(&self, arguments: &[&str]) -> (Value, i32) {
        let output = self.assay(&[arguments, &["--format", "json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let document = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        (document, output.status.code().expect("an exit code"))
    }
}
