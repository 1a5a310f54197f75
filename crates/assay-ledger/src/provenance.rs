//! Where a run came from: commit, branch, repository, CI build and the digest of the image's inputs, learned from git and the environment.
//! It owns the names that CI systems use; it refuses to fail: what cannot be learned is absent, with the reason in words.

use std::path::Path;

use super::{
    branch::of_ci,
    git::{GitEnvironment, GitError, GitProgram},
    input_digest::digest_of_files,
    location::CheckoutLocation,
    source_digest::SourceDigest,
    words::{clean, redact},
};
use assay_model::Provenance;

/// Where to look.
#[derive(Debug, Clone, Copy)]
pub struct ProvenanceRequest<'a> {
    /// The folder of assay.hcl, else the working folder; `inputs` are relative to it.
    pub folder: &'a Path,
    /// What git and the CI variables are read from; usually `environment_of_process`.
    pub environment: &'a GitEnvironment,
    /// `owner` as the user configured it; it wins over what git says.
    pub owner: Option<&'a str>,
    /// Paths or globs (`packer/**/*.hcl`) of what the image is made from; empty: no source digest.
    pub inputs: &'a [String],
    /// Paths that assay itself writes (projections), taken out of the inputs; `images/` always is.
    pub projections: &'a [String],
    /// What assay.hcl says of the image's build; empty: nothing.
    pub build: &'a str,
}

/// What was learned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LearnedProvenance {
    /// Everything but `parent`, which only Packer knows.
    pub provenance: Provenance,
    /// The provenance's source digest in every form that a record may have; `None` where it has none.
    pub source: Option<SourceDigest>,
    /// The CI workflow that this process is part of, see [`workflow`].
    pub workflow: Option<String>,
    /// What could not be learned, and why, in words.
    pub unknown: Vec<String>,
}

/// CI variables that hold the build's URL, best first; GitHub has only parts of one.
const CI_BUILDS: [&str; 7] = [
    "CIRCLE_BUILD_URL",
    "CI_PIPELINE_URL",
    "BUILDKITE_BUILD_URL",
    "TRAVIS_BUILD_WEB_URL",
    "DRONE_BUILD_LINK",
    "CODEBUILD_BUILD_URL",
    "BUILD_URL",
];

/// CI variables that hold the commit, for where there is no git.
const CI_COMMITS: [&str; 9] = [
    "CIRCLE_SHA1",
    "GITHUB_SHA",
    "CI_COMMIT_SHA",
    "BUILDKITE_COMMIT",
    "BITBUCKET_COMMIT",
    "TRAVIS_COMMIT",
    "BUILD_SOURCEVERSION",
    "CODEBUILD_RESOLVED_SOURCE_VERSION",
    "GIT_COMMIT",
];

/// CI variables that hold the id of what all jobs of one pass over the pipeline share, each as its CI documents it. Where jobs can be run again,
/// attempts are not told apart: CircleCI's rerun of what failed is a workflow of its own in the same pipeline, and does not validate again.
const CI_WORKFLOWS: [&str; 9] = [
    "CIRCLE_PIPELINE_ID",
    "CIRCLE_WORKFLOW_ID",
    "GITHUB_RUN_ID",
    "CI_PIPELINE_ID",
    "BUILDKITE_BUILD_ID",
    "BITBUCKET_PIPELINE_UUID",
    "TRAVIS_BUILD_ID",
    "BUILD_BUILDID",
    "DRONE_BUILD_LINK",
];

/// The id of the CI workflow that this process is part of, as CI gives it; `None` outside of CI, and where CI has no such thing.
pub fn workflow(environment: &GitEnvironment) -> Option<String> {
    let set = |name: &&str| environment.get(*name).filter(|value| !value.is_empty());
    CI_WORKFLOWS.iter().find_map(set).map(|id| clean(&redact(id)))
}

/// Whether evidence that names `id` as its workflow was made in the one that this process is part of. What older versions wrote on CircleCI is the
/// workflow's id where this one writes the pipeline's.
pub fn is_this_workflow(environment: &GitEnvironment, id: &str) -> bool {
    let set = |name: &&str| environment.get(*name).filter(|value| !value.is_empty());
    CI_WORKFLOWS.iter().filter_map(set).any(|ours| clean(&redact(ours)) == id)
}

/// Learns what can be learned. Never fails: a folder that is no repository, or a machine without git, only means less.
pub async fn learn(request: ProvenanceRequest<'_>) -> LearnedProvenance {
    let mut unknown = Vec::new();
    let placed = match PlacedGit::find(request.folder, request.environment).await {
        Ok(placed) => placed,
        Err(error) => {
            if !request.inputs.is_empty() {
                unknown.push(format!("source digest: {error}"));
            } else if !matches!(error, GitError::NoRepository { .. }) {
                unknown.push(format!("repository: {error}"));
            }
            return learned(&request, InGit::default(), unknown);
        }
    };
    let git = &placed.git;
    let mut known = |what: &str, result: Result<Option<String>, GitError>| match result {
        Ok(found) => found.filter(|text| !text.is_empty()),
        Err(error) => {
            unknown.push(format!("{what}: {error}"));
            None
        }
    };
    let commit = known("commit", git.ask(&["rev-parse", "--quiet", "--verify", "HEAD^{commit}"]).await);
    let branch = known("branch", git.ask(&["symbolic-ref", "--quiet", "--short", "HEAD"]).await);
    let remote = known("owner", remote_url(git, branch.as_deref()).await);
    let source = if request.inputs.is_empty() {
        None
    } else {
        digest_of_files(&placed, request.inputs, request.projections, &mut unknown)
            .await
            .map(|files| SourceDigest::of(files, request.build))
            .map_err(|reason| unknown.push(format!("source digest: {reason}")))
            .ok()
    };
    learned(&request, InGit { commit, branch, remote, source }, unknown)
}

/// What git said.
#[derive(Default)]
struct InGit {
    commit: Option<String>,
    branch: Option<String>,
    remote: Option<String>,
    source: Option<SourceDigest>,
}

/// What git said, and where it is silent, what the CI system says.
fn learned(request: &ProvenanceRequest<'_>, git: InGit, unknown: Vec<String>) -> LearnedProvenance {
    let InGit { commit, branch, remote, source } = git;
    let owner = request.owner.map(str::to_owned).or_else(|| remote.as_deref().and_then(owner_of));
    let provenance = Provenance {
        owner,
        commit: commit.or_else(|| commit_of_ci(request.environment)),
        branch: branch.or_else(|| of_ci(request.environment).map(|(branch, _)| branch)),
        pipeline: pipeline(request.environment),
        source_digest: source.as_ref().map(|source| source.current.clone()),
        parent: None,
        began_at: None,
    };
    LearnedProvenance { provenance, source, workflow: workflow(request.environment), unknown }
}

/// git in a folder of a checkout, and where that is.
pub(super) struct PlacedGit {
    pub(super) git: GitProgram,
    pub(super) location: CheckoutLocation,
    /// The folder from the top, empty or with `/` at its end.
    pub(super) prefix: String,
}

impl PlacedGit {
    pub(super) fn new(
        location: &CheckoutLocation,
        folder: &Path,
        environment: &GitEnvironment,
    ) -> Result<Self, GitError> {
        let prefix = location.prefix(folder)?;
        let folder = location.top().join(&prefix);
        Ok(Self { git: GitProgram::of(location, &folder, environment), location: location.clone(), prefix })
    }

    async fn find(folder: &Path, environment: &GitEnvironment) -> Result<Self, GitError> {
        Self::new(&CheckoutLocation::of(folder, environment).await?, folder, environment)
    }
}

/// The URL of the remote that the branch belongs to, else of `origin`, else of the only one; insteadOf applied.
async fn remote_url(git: &GitProgram, branch: Option<&str>) -> Result<Option<String>, GitError> {
    let mut names = Vec::new();
    if let Some(branch) = branch {
        names.extend(git.ask(&["config", "--get", &format!("branch.{branch}.remote")]).await?);
    }
    names.push("origin".to_owned());
    let all = git.ask(&["remote"]).await?.unwrap_or_default();
    names.extend(all.lines().take(1).map(str::to_owned));
    for name in names {
        if let Some(url) = git.ask(&["remote", "get-url", "--", &name]).await? {
            return Ok(url.lines().next().map(str::to_owned));
        }
    }
    Ok(None)
}

/// `host/owner/name` of a remote's URL, in either of git's notations (git-fetch(1), GIT URLS), without user, password, port, query and
/// `.git`. A path on this machine becomes `local/<folder>/<name>`. `None` where there is no name in it.
pub fn owner_of(url: &str) -> Option<String> {
    let (host, path) = match url.split_once("://") {
        Some(("file", path)) => ("local".to_owned(), path),
        Some((_, rest)) => {
            let (authority, path) = rest.split_once('/')?;
            (host_of(authority), path)
        }
        // `user@host:path`; a colon after a slash belongs to a path.
        None => match url.split_once(':') {
            Some((authority, path)) if !authority.contains('/') => (host_of(authority), path),
            _ => ("local".to_owned(), url),
        },
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_matches('/').trim_end_matches(".git");
    let mut parts: Vec<&str> =
        path.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..").collect();
    if host == "local" {
        // A whole path would say more of this machine than of the repository.
        parts.drain(..parts.len().saturating_sub(2));
    }
    let owner = assay_model::escape::escape_line(&format!("{host}/{}", parts.join("/")));
    (!parts.is_empty() && !host.is_empty()).then_some(owner)
}

fn host_of(authority: &str) -> String {
    let host = authority.rsplit('@').next().unwrap_or_default();
    let port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let host = match host.rsplit_once(':') {
        Some((name, number)) if port(number) => name,
        _ => host,
    };
    host.to_ascii_lowercase()
}

/// The CI build's URL, or what identifies it, without credentials.
fn pipeline(environment: &GitEnvironment) -> Option<String> {
    let set = |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let github = || {
        let (server, repository, run) = (set("GITHUB_SERVER_URL")?, set("GITHUB_REPOSITORY")?, set("GITHUB_RUN_ID")?);
        Some(format!("{server}/{repository}/actions/runs/{run}"))
    };
    let bitbucket = || {
        let (origin, number) = (set("BITBUCKET_GIT_HTTP_ORIGIN")?, set("BITBUCKET_BUILD_NUMBER")?);
        Some(format!("{origin}/pipelines/results/{number}"))
    };
    let azure = || {
        let (server, project, build) =
            (set("SYSTEM_COLLECTIONURI")?, set("SYSTEM_TEAMPROJECT")?, set("BUILD_BUILDID")?);
        Some(format!("{}/{project}/_build/results?buildId={build}", server.trim_end_matches('/')))
    };
    let url = CI_BUILDS.iter().find_map(|name| set(name)).map(str::to_owned);
    url.or_else(github).or_else(bitbucket).or_else(azure).map(|url| clean(&redact(&url)))
}

fn commit_of_ci(environment: &GitEnvironment) -> Option<String> {
    let is_commit = |text: &&String| matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    CI_COMMITS.iter().find_map(|name| environment.get(*name).filter(is_commit)).map(|id| id.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::GitWorld;
    use assay_model::Digest;

    #[tokio::test]
    async fn an_edit_in_the_second_of_the_checkout_is_seen() {
        let world = GitWorld::new();
        world.write("clone/packer/base.pkr.hcl", "# 1.1\n");
        world.git("clone", &["commit", "-q", "-a", "-m", "1.1"]);
        let committed = digest(&world, "clone", &["packer"]).await;
        // Same size, same file, and all of it in the second of the index.
        let (file, index) = (world.path("clone/packer/base.pkr.hcl"), world.path("clone/.git/index"));
        let time = std::fs::metadata(&file).expect("a file").modified().expect("a time");
        world.write("clone/packer/base.pkr.hcl", "# 1.2\n");
        for path in [&file, &index] {
            std::fs::File::options().write(true).open(path).expect("opens").set_modified(time).expect("set");
        }
        world.git("clone", &["config", "core.trustctime", "false"]);
        std::fs::File::options().write(true).open(&index).expect("opens").set_modified(time).expect("set");
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        assert_ne!(digest(&world, "clone", &["packer"]).await, committed);
    }

    #[tokio::test]
    async fn what_a_sparse_checkout_leaves_out_counts_as_the_index_has_it() {
        let world = GitWorld::new();
        let whole = digest(&world, "clone", &["packer", "README.md"]).await;
        world.git("clone", &["sparse-checkout", "set", "nothing"]);
        assert!(!world.path("clone/packer").exists());
        assert_eq!(digest(&world, "clone", &["packer", "README.md"]).await, whole);
        world.git("clone", &["sparse-checkout", "disable"]);
        world.git("clone", &["update-index", "--skip-worktree", "packer/base.pkr.hcl"]);
        world.write("clone/packer/base.pkr.hcl", "# mine alone\n");
        assert_eq!(digest(&world, "clone", &["packer", "README.md"]).await, whole, "git status does not see it either");
    }

    async fn learned(world: &GitWorld, folder: &str, inputs: &[&str]) -> LearnedProvenance {
        let inputs: Vec<String> = inputs.iter().map(|input| (*input).to_owned()).collect();
        learn(ProvenanceRequest {
            folder: &world.path(folder),
            environment: &world.environment,
            owner: None,
            inputs: &inputs,
            projections: &["packer/gold.pkrvars.hcl".to_owned()],
            build: "",
        })
        .await
    }

    async fn digest(world: &GitWorld, folder: &str, inputs: &[&str]) -> Digest {
        let learned = learned(world, folder, inputs).await;
        learned.provenance.source_digest.unwrap_or_else(|| panic!("{:?}", learned.unknown))
    }

    #[tokio::test]
    async fn a_checkout_knows_its_commit_branch_and_owner() {
        let world = GitWorld::new();
        world.git("clone", &["remote", "set-url", "origin", "https://user:s3cret@GitHub.com/example/images.git"]);
        let learned = learned(&world, "clone/packer", &[]).await;
        assert_eq!(learned.provenance.owner.as_deref(), Some("github.com/example/images"));
        assert_eq!(learned.provenance.branch.as_deref(), Some("main"));
        assert_eq!(learned.provenance.commit, Some(world.remote_tip()));
        assert_eq!(learned.unknown, Vec::<String>::new());
    }

    #[tokio::test]
    async fn without_git_the_ci_system_is_asked() {
        let mut world = GitWorld::new();
        world.environment.insert("CIRCLE_SHA1".to_owned(), "0123456789abcdef0123456789abcdef01234567".to_owned());
        world.environment.insert("CIRCLE_BRANCH".to_owned(), "main".to_owned());
        world.environment.insert("CIRCLE_BUILD_URL".to_owned(), "https://u:s3cret@ci.example/7".to_owned());
        std::fs::create_dir(world.path("plain")).expect("a folder");
        let learned = learned(&world, "plain", &["packer"]).await;
        assert_eq!(learned.provenance.commit.as_deref(), Some("0123456789abcdef0123456789abcdef01234567"));
        assert_eq!(learned.provenance.branch.as_deref(), Some("main"));
        assert_eq!(learned.provenance.pipeline.as_deref(), Some("https://ci.example/7"));
        assert_eq!(learned.provenance.source_digest, None);
        let reasons = learned.unknown.join("\n");
        assert!(reasons.starts_with("source digest: ") && reasons.contains("not in a git repository"), "{reasons}");
    }

    #[test]
    fn owners_have_one_form() {
        for url in [
            "https://github.com/o/n.git",
            "https://user:p@ss@GitHub.com:443/o/n",
            "git@github.com:o/n.git",
            "github.com:o/n",
            "ssh://git@github.com:22/o/n.git/",
            "https://github.com/o/n?token=x#y",
        ] {
            assert_eq!(owner_of(url).as_deref(), Some("github.com/o/n"), "{url}");
        }
        assert_eq!(owner_of("https://git.example/a/b/c.git").as_deref(), Some("git.example/a/b/c"));
        assert_eq!(owner_of("/srv/git/team/images.git").as_deref(), Some("local/team/images"));
        assert_eq!(owner_of("file:///srv/images.git").as_deref(), Some("local/srv/images"));
        assert_eq!(owner_of("../remote.git").as_deref(), Some("local/remote"));
        assert_eq!(owner_of("https://github.com/"), None);
    }

    #[test]
    fn pipelines_of_ci_systems() {
        let of =
            |pairs: &[(&str, &str)]| pipeline(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let github =
            [("GITHUB_SERVER_URL", "https://github.com"), ("GITHUB_REPOSITORY", "o/n"), ("GITHUB_RUN_ID", "5")];
        assert_eq!(of(&github).as_deref(), Some("https://github.com/o/n/actions/runs/5"));
        assert_eq!(of(&[("CI_PIPELINE_URL", "https://gitlab.com/p/1")]).as_deref(), Some("https://gitlab.com/p/1"));
        assert_eq!(of(&[("BUILD_URL", "https://ci/job/1/")]).as_deref(), Some("https://ci/job/1/"));
        assert_eq!(of(&[]), None);
    }

    #[tokio::test]
    async fn the_source_digest_is_of_the_inputs_and_nothing_else() {
        let world = GitWorld::new();
        let inputs = ["packer", "policy/**/*.sh"];
        let clean = digest(&world, "clone", &inputs).await;
        let before = world.checkout_state("clone");

        // Not inputs: other files, untracked ones, what assay writes.
        std::fs::create_dir_all(world.path("clone/images/base")).expect("a folder");
        world.write("clone/images/base/x.hcl", "x");
        world.write("clone/README.md", "edited\n");
        world.write("clone/packer/untracked", "x");
        assert_eq!(digest(&world, "clone", &inputs).await, clean);
        world.write("clone/packer/gold.pkrvars.hcl", "ami = 1\n");
        world.git("clone", &["add", "packer/gold.pkrvars.hcl", "images"]);
        assert_eq!(digest(&world, "clone", &inputs).await, clean);
        assert_eq!(digest(&world, "clone", &["packer", "images"]).await, clean);
        world.git("clone", &["reset", "-q", "--hard"]);
        std::fs::remove_file(world.path("clone/packer/untracked")).expect("removed");
        assert_eq!(world.checkout_state("clone").lines().next(), before.lines().next());

        // Inputs: their bytes, their modes, their names, whether they exist.
        world.write("clone/packer/base.pkr.hcl", "# edited\n");
        let edited = digest(&world, "clone", &inputs).await;
        assert_ne!(edited, clean);
        world.git("clone", &["commit", "-q", "-a", "-m", "edited"]);
        assert_eq!(digest(&world, "clone", &inputs).await, edited, "committed or not is the same");
        world.git("clone", &["update-index", "--chmod=+x", "packer/base.pkr.hcl"]);
        world.script("clone/packer/base.pkr.hcl", "# edited\n");
        assert_ne!(digest(&world, "clone", &inputs).await, edited);
        std::fs::remove_file(world.path("clone/packer/base.pkr.hcl")).expect("removed");
        let gone = learned(&world, "clone", &inputs).await;
        assert_eq!(gone.provenance.source_digest, None);
        assert_eq!(
            gone.unknown,
            [
                "source digest: no tracked file matches the input \"policy/**/*.sh\"",
                "source digest: every input was deleted from the work tree"
            ]
        );
    }

    #[tokio::test]
    async fn the_source_digest_does_not_touch_the_checkout_and_is_the_same_in_another() {
        let world = GitWorld::new();
        world.write("clone/packer/base.pkr.hcl", "# edited\n");
        let before = world.checkout_state("clone");
        let objects = world.git("clone", &["count-objects"]);
        let here = digest(&world, "clone", &["packer/*.hcl"]).await;
        assert_eq!(digest(&world, "clone/packer", &["*.hcl"]).await, here, "names are from the root");
        assert_eq!(world.checkout_state("clone"), before);
        assert_eq!(world.git("clone", &["count-objects"]), objects);
        world.git(
            ".",
            &["clone", "-q", "--depth=1", &format!("file://{}", world.path("remote.git").display()), "other"],
        );
        world.git("other", &["config", "core.autocrlf", "true"]);
        world.write("other/packer/base.pkr.hcl", "# edited\r\n");
        assert_eq!(digest(&world, "other", &["packer/*.hcl"]).await, here, "line ends of the checkout do not count");
    }
}
