//! A small world for the ledger's tests: a bare remote, clones, manifests with evidence, and a git that knows nothing of this machine.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    CommitOutcome, CommitRequest, GitEnvironment, LedgerError, RacePatience, candidate_file, commit, fixtures,
    lock_file,
};
use assay_model::{
    Candidate, CandidateAmi, Digest, Evidence, HostKeyPin, ImageState, Manifest, ManifestBuild, ManifestRuns,
    Provenance, RunId, TargetEvidence, Verdict, cause::chain, evidence::EVIDENCE_SCHEMA, lock::Lock,
    manifest::StampedBuild,
};

pub struct GitWorld {
    pub folder: TempDir,
    pub environment: GitEnvironment,
}

impl Default for GitWorld {
    fn default() -> Self {
        Self::new()
    }
}

impl GitWorld {
    /// A bare remote `remote.git` with one commit on main, and a clone of it in `clone`.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("home");
        std::fs::create_dir(&home).expect("a home");
        let configuration = home.join("gitconfig");
        std::fs::write(&configuration, "[user]\nname = Test\nemail = test@localhost\n[init]\ndefaultBranch = main\n")
            .expect("a configuration");
        let mut environment = GitEnvironment::new();
        environment.insert("PATH".to_owned(), std::env::var("PATH").expect("PATH"));
        environment.insert("HOME".to_owned(), home.display().to_string());
        environment.insert("GIT_CONFIG_GLOBAL".to_owned(), configuration.display().to_string());
        environment.insert("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned());
        let temporary = folder.path().join("tmp");
        std::fs::create_dir(&temporary).expect("a folder");
        environment.insert("TMPDIR".to_owned(), temporary.display().to_string());
        let world = Self { folder, environment };
        world.git(".", &["init", "-q", "--bare", "remote.git"]);
        world.git(".", &["init", "-q", "seed"]);
        std::fs::create_dir_all(world.path("seed/packer")).expect("a folder");
        world.write("seed/README.md", "images\n");
        world.write("seed/packer/base.pkr.hcl", "# template\n");
        world.git("seed", &["add", "."]);
        world.git("seed", &["commit", "-q", "-m", "first"]);
        world.git("seed", &["commit", "-q", "--allow-empty", "-m", "second"]);
        world.git("seed", &["push", "-q", "../remote.git", "main"]);
        world.git(".", &["clone", "-q", "remote.git", "clone"]);
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect(name);
    }

    /// Makes an executable script, such as a hook of the remote.
    pub fn script(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        self.write(name, text);
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).expect("executable");
    }

    /// Runs git in a folder of the world; it must succeed.
    pub fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(self.path(folder))
            .env_clear()
            .envs(&self.environment)
            .output()
            .expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub fn request(&self, manifest: &str) -> CommitRequest {
        CommitRequest {
            manifest: self.path(manifest),
            runs: ManifestRuns::Last,
            repository: self.path("clone"),
            branch: None,
            remote: None,
            push: true,
            signer: None,
            environment: self.environment.clone(),
            patience: RacePatience { tries: 20, time: Duration::from_secs(60) },
        }
    }

    /// Everything that must stay as it was in a checkout: work tree, index, HEAD, local branches and tags.
    pub fn checkout_state(&self, clone: &str) -> String {
        let status = self.git(clone, &["status", "--porcelain=v2", "--branch", "--untracked-files=all"]);
        // The remote-tracking reference may move, and with it "ahead/behind".
        let status: Vec<&str> = status.lines().filter(|line| !line.starts_with("# branch.ab")).collect();
        let local = self.git(clone, &["for-each-ref", "refs/heads", "refs/tags"]);
        let index = std::fs::read(self.path(clone).join(".git/index")).expect("an index");
        format!("{}\n{local}\n{}", status.join("\n"), Digest::of(&index))
    }

    pub fn remote_tip(&self) -> String {
        self.git("remote.git", &["rev-parse", "main"])
    }

    /// Writes a candidate's file into a clone and commits it there.
    pub fn commit_candidate(&self, clone: &str, candidate: &Candidate) {
        self.commit_file(clone, &candidate_file::path(candidate), &candidate_file::write(candidate));
    }

    /// Writes a file into a clone and commits it there.
    pub fn commit_file(&self, clone: &str, path: &str, text: &str) {
        let full = format!("{clone}/{path}");
        std::fs::create_dir_all(self.path(&full).parent().expect("a folder")).expect("a folder");
        self.write(&full, text);
        self.git(clone, &["add", "images"]);
        self.git(clone, &["commit", "-q", "-m", path]);
    }

    /// Writes a lock into a clone and commits it there.
    pub fn commit_lock(&self, clone: &str, lock: &Lock) {
        self.commit_file(clone, &lock_file::path(&lock.image), &lock_file::write(lock));
    }

    /// Checks the remote: sound, and linear in its history.
    pub fn assert_sound(&self) {
        self.git("remote.git", &["fsck", "--strict", "--no-dangling"]);
        assert_eq!(self.git("remote.git", &["rev-list", "--merges", "main"]), "");
    }
}

/// One build of a manifest.
pub struct BuildFixture<'a> {
    pub image: &'a str,
    pub run: &'a str,
    pub state: ImageState,
    pub tested_at: &'a str,
    pub amis: Vec<CandidateAmi>,
}

impl<'a> BuildFixture<'a> {
    pub fn passed(run: &'a str, architecture: &str, number: u8) -> Self {
        let tested_at = "2026-11-22T23:59:59Z";
        let amis = vec![
            fixtures::ami(architecture, "us-east-1", number, b"", tested_at),
            fixtures::ami(architecture, "eu-west-1", number, b"", tested_at),
        ];
        Self { image: "base", run, state: ImageState::Candidate, tested_at, amis }
    }

    fn verdict(&self) -> Verdict {
        match self.state {
            ImageState::Candidate => Verdict::Passed,
            ImageState::Rejected => Verdict::Failed,
            _ => Verdict::Undecided,
        }
    }

    fn evidence(&self) -> Evidence {
        let target = |ami: &CandidateAmi| TargetEvidence {
            verdict: self.verdict(),
            host_key: HostKeyPin::Injected,
            ..TargetEvidence::new(ami.record.ami.to_string(), Some(ami.record.clone()))
        };
        Evidence {
            schema: EVIDENCE_SCHEMA,
            runs: Vec::new(),
            shard: None,
            verdict: self.verdict(),
            run: self.run.parse().expect("a run"),
            image: Some(self.image.parse().expect("a name")),
            provenance: Provenance::default(),
            started_at: self.tested_at.to_owned(),
            finished_at: self.tested_at.to_owned(),
            suites: Vec::new(),
            targets: self.amis.iter().map(target).collect(),
            assay_version: "0.1.0".to_owned(),
            workflow: None,
            inventories: BTreeMap::new(),
            confinement: Vec::new(),
            leftovers: Vec::new(),
        }
    }
}

/// Writes a manifest and its evidence files into `folder` (made if need be).
pub fn write_manifest(folder: &Path, builds: &[BuildFixture<'_>]) {
    std::fs::create_dir_all(folder).expect("a folder");
    let mut manifest = Manifest::default();
    for (number, build) in builds.iter().enumerate() {
        let mut bytes = serde_json::to_vec_pretty(&build.evidence()).expect("evidence");
        bytes.push(b'\n');
        let name = format!("evidence-{number}.json");
        std::fs::write(folder.join(&name), &bytes).expect("written");
        manifest.last_run_uuid = uuid(build.run);
        manifest.builds.push(ManifestBuild {
            name: "base".to_owned(),
            builder_type: "amazon-ebs".to_owned(),
            build_time: Some(1),
            files: None,
            artifact_id: build.amis.iter().map(|a| a.record.ami.to_string()).collect::<Vec<_>>().join(","),
            packer_run_uuid: uuid(build.run),
            custom_data: None,
            assay: Some(StampedBuild {
                image: build.image.parse().expect("a name"),
                run: build.run.parse().expect("a run"),
                state: build.state,
                verdict: build.verdict(),
                amis: build
                    .amis
                    .iter()
                    .map(|a| (a.record.ami.region.to_string(), a.record.ami.id.to_string()))
                    .collect::<BTreeMap<_, _>>(),
                records: build.amis.iter().map(|a| a.record.clone()).collect(),
                provenance: Provenance::default(),
                evidence: name,
                evidence_digest: Digest::of(&bytes),
                tested_at: build.tested_at.to_owned(),
                leftovers: Vec::new(),
            }),
        });
    }
    let text = serde_json::to_string_pretty(&manifest).expect("a manifest");
    std::fs::write(folder.join("manifest.json"), text).expect("written");
}

/// Any text that is the same for the same run does for Packer's run UUID here.
fn uuid(run: &str) -> String {
    format!("uuid-of-{run}")
}

/// A run id for the n-th run.
pub fn run(number: u8) -> String {
    let run: RunId = format!("01KAQ3B6G0R8ZJ5Q2X7V9N4M{number:02}").parse().expect("a run");
    run.to_string()
}

pub fn candidate_path(run: &str) -> String {
    format!("images/base/candidates/{run}.hcl")
}

pub async fn done(request: &CommitRequest) -> CommitOutcome {
    commit(request).await.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

pub async fn fails(request: &CommitRequest) -> (LedgerError, String) {
    let error = commit(request).await.expect_err("must fail");
    let text = chain(&error);
    (error, text)
}
