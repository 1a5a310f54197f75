//! A project at CircleCI, played on this machine: a bare remote, contexts with one AWS role each, and the runner of tests/tools/circleci that executes this
//! repository's own `.circleci/config.yml`. It owns the set-up that docs/circleci.md asks people for; it refuses to know the configuration's jobs.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    certificates::Authority,
    cloud::Cloud,
    repository::{Repository, git_environment},
    tools,
};

/// What docs/circleci.md restricts the contexts of main-only jobs with; tests/tools/circleci compares.
const MAIN_ONLY: &str =
    r#"pipeline.git.branch == "main" and not job.ssh.enabled and not (pipeline.config_source starts-with "api")"#;
/// What it restricts the builder's with.
const BUILDER: &str = r#"not job.ssh.enabled and not (pipeline.config_source starts-with "api")"#;

/// The roles, each with a context of its own.
const ROLES: [&str; 4] = ["builder", "tester", "promoter", "sweeper"];

/// A repository of images, its remote, and its project.
pub(crate) struct Project<'a> {
    cloud: &'a Cloud,
    folder: TempDir,
    sts: Sts,
    /// The developer's clone and the bare remote.
    pub repository: Repository,
}

/// What the runner recorded: pipelines, in order, the first one and those that its pushes started.
pub(crate) struct Ran {
    pub record: Value,
}

impl<'a> Project<'a> {
    /// This repository's templates, suites and CI configuration, published; `change` edits the clone before its first commit.
    pub(crate) fn new(cloud: &'a Cloud, change: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::with_prefix("assay-circleci-").expect("a folder");
        let work = folder.path().join("work");
        std::fs::create_dir(&work).expect("a folder");
        for name in ["packer", "assay.hcl", ".circleci"] {
            tools::copy(&tools::root().join(name), &work);
        }
        allow_pushes(&folder.path().join("write-key"), &work.join(".circleci/config.yml"));
        change(&work);
        tools::copy(&tools::plugins(), &folder.path().join("plugins"));
        let bin = folder.path().join("home/assay/bin");
        std::fs::create_dir_all(&bin).expect("a folder");
        // What the cache holds is a way to the binary under test and not a copy of its hundred megabytes.
        program(&bin.join("assay"), &format!("#!/bin/sh\nexec {} \"$@\"\n", tools::assay().display()));
        let repository = Repository::publish(&work, &folder.path().join("remote.git"));
        Self { cloud, folder, sts: Sts::start(cloud), repository }
    }

    /// The developer's clone.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Replaces a text in a file of the clone; panics where it is not.
    pub(crate) fn edit(&self, name: &str, old: &str, new: &str) {
        let path = self.work().join(name);
        let text = std::fs::read_to_string(&path).expect("readable");
        assert!(text.contains(old), "{old:?} is not in {name}");
        std::fs::write(path, text.replacen(old, new, 1)).expect("written");
    }

    /// A branch from the remote's main with what `change` does in it, pushed.
    pub(crate) fn branch(&self, name: &str, change: impl FnOnce(&Self)) {
        let git = |arguments: &[&str]| self.repository.git(arguments);
        git(&["fetch", "-q", "--tags", "origin"]);
        git(&["switch", "-q", "-C", name, "origin/main"]);
        change(self);
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", &format!("Change: {name}")]);
        git(&["push", "-q", "--force", "origin", name]);
    }

    /// The merge button: `how` is `merge`, `squash` or `rebase`.
    pub(crate) fn merge(&self, branch: &str, how: &str) {
        let git = |arguments: &[&str]| self.repository.git(arguments);
        git(&["fetch", "-q", "--tags", "origin"]);
        let from = format!("origin/{branch}");
        match how {
            "merge" => {
                git(&["switch", "-q", "-C", "main", "origin/main"]);
                git(&["merge", "-q", "--no-ff", "-m", &format!("Merge {branch}"), &from]);
            }
            "squash" => {
                git(&["switch", "-q", "-C", "main", "origin/main"]);
                git(&["merge", "-q", "--squash", &from]);
                git(&["commit", "-q", "-m", &format!("{branch}, squashed")]);
            }
            "rebase" => {
                git(&["switch", "-q", "-C", "rebasing", &from]);
                git(&["rebase", "-q", "origin/main"]);
                git(&["switch", "-q", "-C", "main", "rebasing"]);
            }
            other => panic!("no way to merge: {other}"),
        }
        git(&["push", "-q", "origin", "main"]);
    }

    /// A push of `branch` as CircleCI sees it, and the pipelines of whatever its jobs push.
    pub(crate) fn push(&self, branch: &str) -> Ran {
        self.run(&format!("refs/heads/{branch}"), "github_oauth", &[])
    }

    /// The schedule trigger, on main, with its parameters.
    pub(crate) fn schedule(&self, parameters: &[(&str, &str)]) -> Ran {
        self.run("refs/heads/main", "schedule", parameters)
    }

    /// Another `max_age` in the schedule's workflow, committed to main without a pipeline of its own.
    pub(crate) fn patch_what_is_older_than(&self, age: &str) {
        let git = |arguments: &[&str]| self.repository.git(arguments);
        git(&["fetch", "-q", "--tags", "origin"]);
        git(&["switch", "-q", "-C", "main", "origin/main"]);
        self.edit(".circleci/config.yml", "max_age: 7d", &format!("max_age: {age}"));
        git(&["commit", "-q", "-a", "-m", &format!("Patch what is older than {age}")]);
        git(&["push", "-q", "origin", "main"]);
    }

    /// Runs pipelines until nothing is pushed any more.
    pub(crate) fn run(&self, reference: &str, kind: &str, parameters: &[(&str, &str)]) -> Ran {
        let request = json!({
            "remote": self.folder.path().join("remote.git"), "state": self.folder.path().join("circleci"), "ref": reference, "kind": kind,
            "parameters": parameters.iter().copied().collect::<BTreeMap<_, _>>(), "contexts": self.contexts(), "machine": self.machine(),
            "keys": [self.folder.path().join("write-key")],
            "caches": { "assay-v2-{{ arch }}-{{ checksum \"target/assay-sources\" }}": self.folder.path().join("home") }, "follow": 30,
        });
        let file = self.folder.path().join("request.json");
        std::fs::write(&file, request.to_string()).expect("written");
        let output = Command::new(tools::python())
            .arg("-B")
            .arg(tools::root().join("tests/tools/circleci/run"))
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .expect("the runner starts");
        let record = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("the runner: {output:?}"));
        Ran { record }
    }

    fn contexts(&self) -> Value {
        let account = self.cloud.account("main");
        let context = |role: &str| {
            let environment =
                json!({ "AWS_ROLE_ARN": format!("arn:aws:iam::{account}:role/{role}"), "AWS_REGION": "us-east-1" });
            let restriction = if role == "builder" { BUILDER } else { MAIN_ONLY };
            json!({ "environment": environment, "restriction": restriction })
        };
        ROLES.iter().map(|role| (format!("assay-{role}"), context(role))).collect::<serde_json::Map<_, _>>().into()
    }

    /// What the jobs' machine has: programs, and where the cloud is; no keys.
    fn machine(&self) -> BTreeMap<String, String> {
        let text = |path: PathBuf| path.to_str().expect("UTF-8").to_owned();
        let packer = tools::packer("recent");
        let bin = packer.parent().expect("a folder").display().to_string();
        let mut machine: BTreeMap<_, _> = self.cloud.environment("main").into_iter().collect();
        machine.retain(|name, _| !matches!(name.as_str(), "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY"));
        machine.extend([
            ("PATH".to_owned(), format!("{bin}:{}:/usr/local/bin:/usr/bin:/bin", tools::ansible().display())),
            ("PACKER_PLUGIN_PATH".to_owned(), text(self.folder.path().join("plugins"))),
            // For Packer's plugin alone, see tests/tools/sts-proxy; assay asks where AWS_ENDPOINT_URL says.
            ("HTTPS_PROXY".to_owned(), format!("http://127.0.0.1:{}", self.sts.port)),
            ("SSL_CERT_FILE".to_owned(), text(self.sts.authority.ca.clone())),
            ("CHECKPOINT_DISABLE".to_owned(), "1".to_owned()),
            ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
            ("PKR_VAR_ssh_source_cidrs".to_owned(), "[\"127.0.0.1/32\"]".to_owned()),
        ]);
        machine
    }

    /// `assay …` by a person with all rights, in a fresh clone of `branch`.
    pub(crate) fn assay(&self, branch: &str, arguments: &[&str]) -> Output {
        let clone = TempDir::new_in(self.folder.path()).expect("a folder");
        let remote = self.folder.path().join("remote.git");
        let path = clone.path().to_str().expect("UTF-8");
        self.repository.git(&["clone", "-q", "-b", branch, remote.to_str().expect("UTF-8"), path]);
        Command::new(tools::assay())
            .args(arguments)
            .current_dir(clone.path())
            .stdin(Stdio::null())
            .env_remove("AWS_PROFILE")
            .envs(git_environment(clone.path()))
            .envs(self.cloud.environment("main"))
            .env("XDG_STATE_HOME", clone.path().join("state"))
            .output()
            .expect("assay runs")
    }

    /// A file at the tip of a branch of the remote; empty where there is none.
    pub(crate) fn file(&self, branch: &str, path: &str) -> String {
        let names = self.repository.remote(&["ls-tree", "-r", "--name-only", branch]);
        if names.lines().any(|name| name == path) {
            self.repository.remote(&["show", &format!("{branch}:{path}")])
        } else {
            String::new()
        }
    }

    /// Names of files at the tip of a branch that begin so.
    pub(crate) fn files(&self, branch: &str, start: &str) -> Vec<String> {
        let names = self.repository.remote(&["ls-tree", "-r", "--name-only", branch]);
        names.lines().filter(|name| name.starts_with(start)).map(str::to_owned).collect()
    }

    /// `objecttype name` of every tag of the remote.
    pub(crate) fn tags(&self) -> Vec<String> {
        let list = self.repository.remote(&["for-each-ref", "--format=%(objecttype) %(refname:short)", "refs/tags"]);
        list.lines().map(str::to_owned).collect()
    }
}

/// AWS's token service at its own name, answered by the mini cloud: tests/tools/sts-proxy. Ends with the value.
struct Sts {
    child: Child,
    port: u16,
    authority: Authority,
}

impl Sts {
    fn start(cloud: &Cloud) -> Self {
        let authority = Authority::new();
        let pair = authority.server("sts.us-east-1.amazonaws.com");
        let mut child = Command::new(tools::python())
            .arg(tools::root().join("tests/tools/sts-proxy"))
            .arg(cloud.endpoint())
            .args([pair.cert, pair.key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the proxy starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        Self { child, port: line.trim().parse().expect("a port"), authority }
    }
}

impl Drop for Sts {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

/// Makes the project's write deploy key, and puts its fingerprint where docs/circleci.md says that it belongs.
fn allow_pushes(key: &Path, config: &Path) {
    let run = |arguments: &[&str]| {
        let output = Command::new("ssh-keygen").args(arguments).arg("-f").arg(key).output();
        let output = output.expect("ssh-keygen runs; install it with: apt-get install openssh-client");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    run(&["-q", "-t", "ed25519", "-N", "", "-C", "write"]);
    let fingerprint = run(&["-l"]).split(' ').nth(1).expect("a fingerprint").to_owned();
    let text = std::fs::read_to_string(config).expect("readable");
    let with = text.replace("push_key: &push-key \"\"", &format!("push_key: &push-key \"{fingerprint}\""));
    assert_ne!(with, text, "the place of the fingerprint in .circleci/workflows.yml");
    std::fs::write(config, with).expect("written");
}

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
}

impl Ran {
    /// `WORKFLOW` of each pipeline that had one, in order.
    pub(crate) fn workflows(&self) -> Vec<&str> {
        let pipelines = self.record["pipelines"].as_array().expect("pipelines");
        let flows = pipelines.iter().flat_map(|p| p["workflows"].as_array().expect("workflows"));
        flows.map(|flow| flow["name"].as_str().expect("a name")).collect()
    }

    /// The job of the `number`th pipeline that had a workflow.
    pub(crate) fn job(&self, number: usize, name: &str) -> &Value {
        let pipelines = self.record["pipelines"].as_array().expect("pipelines");
        let flows: Vec<_> = pipelines.iter().flat_map(|p| p["workflows"].as_array().expect("workflows")).collect();
        let jobs = flows.get(number).and_then(|flow| flow["jobs"].as_array()).expect("a workflow");
        jobs.iter().find(|job| job["name"] == name).unwrap_or_else(|| panic!("no job {name} in {jobs:#?}"))
    }

    /// A file that the first container of a job has stored.
    pub(crate) fn stored(&self, number: usize, job: &str, path: &str) -> String {
        let folder = self.job(number, job)["containers"][0]["folder"].as_str().expect("a folder");
        let path = Path::new(folder).join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Panics with every red step and its output unless all pipelines were green and their workflows are these.
    #[track_caller]
    pub(crate) fn green(&self, workflows: &[&str]) -> &Self {
        let red = self.red();
        assert!(red.is_empty(), "red:\n{}", red.join("\n"));
        assert_eq!(self.workflows(), workflows, "the workflows of all pipelines");
        self
    }

    /// `JOB: STEP` with its output, for each step that failed.
    pub(crate) fn red(&self) -> Vec<String> {
        let mut red = Vec::new();
        for pipeline in self.record["pipelines"].as_array().expect("pipelines") {
            for job in pipeline["workflows"]
                .as_array()
                .expect("workflows")
                .iter()
                .flat_map(|w| w["jobs"].as_array().expect("jobs"))
            {
                if job["status"] == "unauthorized" {
                    red.push(format!("{}: {}", job["name"], job["error"]));
                }
                let containers = job["containers"].as_array().expect("containers");
                for step in containers.iter().flat_map(|c| c["steps"].as_array().expect("steps")) {
                    if step["status"] == "failed" {
                        let output = step["output"]
                            .as_str()
                            .and_then(|path| std::fs::read_to_string(path).ok())
                            .unwrap_or_default();
                        red.push(format!(
                            "{} {}: {}: exit {}: {}\n{output}",
                            pipeline["ref"], job["name"], step["name"], step["exit"], step["error"]
                        ));
                    }
                }
            }
        }
        red
    }
}
