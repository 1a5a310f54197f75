//! The rules that hold: what assay.hcl, the suites and the allowed signers say *on the protected branch*. It owns reading them from there; it refuses the work tree, which
//! whoever wrote the commit may have changed.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::{
    context::MoveContext,
    outcome::{MoveRefusal, PromotionError},
};
use assay_config::file::{self, ALLOWED_SIGNERS, BuildDecl, ConfigFile, ImageDecl, PromotionDecl};
use assay_ledger::{LedgerSnapshot, SourceDigest};
use assay_model::{Candidate, Digest, ImageName, Region, cause::chain};
use assay_signing::AllowedSigners;
use assay_suite as suite;
use assay_suite::{SuiteBounds, VarSources};

/// What the protected branch says of one image.
#[derive(Debug, Clone)]
pub(super) struct PromotionRules {
    pub image: ImageDecl,
    pub promotion: PromotionDecl,
    /// `promotion.allowed_signers` from the repository's root.
    pub allowed_signers: String,
    /// The folder of assay.hcl from the root, empty or with `/` at its end.
    pub prefix: String,
}

/// A suite that evidence must show: its path as assay.hcl names it, and the digest of what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SuiteDemand {
    pub path: String,
    pub digest: Digest,
}

impl PromotionRules {
    /// Reads assay.hcl of the books. Refused where it is not there, is wrong, or does not declare the image.
    pub(super) async fn read(
        context: &MoveContext<'_>,
        books: &LedgerSnapshot,
        image: &ImageName,
    ) -> Result<Self, PromotionError> {
        let path = &context.config_path;
        let shown = PathBuf::from(format!("{}:{path}", context.branch()));
        let refused = |why: String| PromotionError::refused(image, None, shown.display(), why);
        let Some(bytes) = books.file(path).await? else {
            return Err(refused("is not there; promotion goes by the assay.hcl of the protected branch".to_owned()));
        };
        let mut problems = Vec::new();
        let file = file::parse(&context.config, &shown, &String::from_utf8_lossy(&bytes), &mut problems);
        if !problems.is_empty() {
            let refusals = problems.iter().map(|p| MoveRefusal::new(context.branch(), p.to_string())).collect();
            return Err(PromotionError::Refused { image: image.clone(), run: None, refusals });
        }
        let prefix = folder_of(path);
        file.and_then(|file| Self::of(&file, image, prefix))
            .ok_or_else(|| refused(format!("declares no image {:?}", image.as_str())))
    }

    fn of(file: &ConfigFile, image: &ImageName, prefix: String) -> Option<Self> {
        let named = file.promotion.allowed_signers.as_ref().map(|path| path.display().to_string());
        let named = named.unwrap_or_else(|| ALLOWED_SIGNERS.to_owned());
        Some(Self {
            image: file.image(image)?.clone(),
            promotion: file.promotion.clone(),
            allowed_signers: format!("{prefix}{}", named.trim_start_matches("./")),
            prefix,
        })
    }

    /// See [`ImageDecl::covers`].
    pub(super) fn covers(&self, region: &Region, candidate: &Candidate) -> bool {
        self.image.covers(region, candidate)
    }

    /// The digest of the image's inputs in the books.
    pub(super) async fn source_digest(&self, books: &LedgerSnapshot) -> Result<SourceDigest, MoveRefusal> {
        let inputs = self.list("inputs");
        let about = format!("image {}", self.image.name);
        if inputs.is_empty() {
            let why = "assay.hcl names no inputs, so nothing says what it is made from; set inputs = [\"packer/**\"]";
            return Err(MoveRefusal::new(about, why));
        }
        let projections: Vec<String> = self.image.projections.iter().map(|p| p.path.display().to_string()).collect();
        let build = self.image.build.as_ref().map(BuildDecl::canonical_text).unwrap_or_default();
        let digest = books.source_digest(&inputs, &projections, &build).await;
        digest.map_err(|why| MoveRefusal::new(about, format!("its source digest cannot be told: {why}")))
    }

    /// The suites that evidence must show: those of `candidate` and `gold`, as the books hold them.
    pub(super) async fn suites(&self, books: &LedgerSnapshot) -> Result<Vec<SuiteDemand>, Vec<MoveRefusal>> {
        let about = || format!("image {}", self.image.name);
        let mut paths: Vec<PathBuf> = self.list("suites").into_iter().map(PathBuf::from).collect();
        paths.extend(self.image.gold_suites.iter().filter(|path| !paths.contains(path)).cloned().collect::<Vec<_>>());
        if paths.is_empty() {
            return Err(vec![MoveRefusal::new(about(), "assay.hcl names no suites { candidate, gold } for it")]);
        }
        let no_folder = |why: String| vec![MoveRefusal::new(about(), format!("its suites cannot be read: {why}"))];
        let scratch = tempfile::Builder::new().prefix("assay-suites-").tempdir();
        let scratch = scratch.map_err(|error| no_folder(error.to_string()))?;
        books.checkout(scratch.path()).await.map_err(|error| no_folder(chain(&error)))?;
        let folder = scratch.path().join(&self.prefix);
        let vars = self.vars(&folder, scratch.path());
        let suites = suite::load_with(&paths, &folder, &vars).map_err(|wrong| {
            wrong.iter().map(|text| MoveRefusal::new(about(), text.to_string())).collect::<Vec<_>>()
        })?;
        let demand = |suite: &suite::Suite| SuiteDemand {
            path: suite.path.display().to_string(),
            digest: Digest::clone(&suite.digest),
        };
        Ok(suites.iter().map(demand).collect())
    }

    /// Who may sign; `None` where the books hold no such file.
    pub(super) async fn signers(&self, books: &LedgerSnapshot) -> Result<Option<AllowedSigners>, PromotionError> {
        let path = &self.allowed_signers;
        let Some(bytes) = books.file(path).await? else { return Ok(None) };
        let zone = jiff::tz::TimeZone::UTC;
        AllowedSigners::parse(&String::from_utf8_lossy(&bytes), path, &zone).map(Some).map_err(|wrong| {
            let refusals = wrong.0.iter().map(|line| MoveRefusal::new("allowed signers", line.clone())).collect();
            PromotionError::Refused { image: self.image.name.clone(), run: None, refusals }
        })
    }

    /// The variables; all that is read lies in the checkout at `checkout`.
    fn vars(&self, folder: &Path, checkout: &Path) -> VarSources {
        let given = |name: &str| self.image.options.given.get(name).map(|given| &given.value);
        VarSources {
            folder: folder.to_owned(),
            files: self.list("vars").into_iter().map(PathBuf::from).collect(),
            inline: given("vars_inline").and_then(Json::as_str).map(str::to_owned),
            bounds: SuiteBounds {
                checkout: Some(checkout.to_owned()),
                environment: self.list("suite_env"),
                ..SuiteBounds::default()
            },
        }
    }

    fn list(&self, name: &str) -> Vec<String> {
        let items = self.image.options.given.get(name).and_then(|given| given.value.as_array());
        items.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
    }
}

/// The folder of a file by its path from the root, empty or with `/` at its end.
fn folder_of(path: &str) -> String {
    path.rsplit_once('/').map_or_else(String::new, |(folder, _)| format!("{folder}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_what_stands_before_the_last_slash() {
        for (path, folder) in [
            ("assay.hcl", ""),
            ("ci/assay.hcl", "ci/"),
            ("ci/prod-assay.hcl", "ci/"),
            ("prod-assay.hcl", ""),
            ("a/b/x", "a/b/"),
        ] {
            assert_eq!(folder_of(path), folder, "{path}");
        }
    }

    /// What validates in a checkout is read the same from the commit: also with assay.hcl in a folder of its own, and without a look at the work tree.
    #[tokio::test]
    async fn suites_of_a_commit_may_include_what_the_commit_holds_and_nothing_else() {
        use assay_ledger::{BooksRequest, world::GitWorld};
        let world = GitWorld::new();
        let write = |name: &str, text: &str| {
            let path = world.path("clone").join(name);
            std::fs::create_dir_all(path.parent().expect("one")).expect("a folder");
            std::fs::write(path, text).expect("written");
        };
        let text = "image \"base\" {\n  suites { gold = [\"suites/g.yaml\"] }\n}\n";
        write("ci/assay.hcl", text);
        write("ci/suites/g.yaml", "gossfile:\n  ../../shared/a.yaml: {}\n");
        write("shared/a.yaml", "user:\n  root: {exists: true, title: '{{ readFile \"../note\" }}'}\n");
        write("note", "read");
        let request = BooksRequest {
            folder: world.path("clone/ci"),
            branch: "main".to_owned(),
            remote: None,
            environment: world.environment.clone(),
        };
        let suites = async || {
            world.git("clone", &["add", "."]);
            world.git("clone", &["commit", "-q", "-m", "suites"]);
            let books = LedgerSnapshot::at(&request, "HEAD").await.expect("books");
            let mut problems = Vec::new();
            let path = world.path("clone/ci/assay.hcl");
            let file = file::parse(&path, Path::new("assay.hcl"), text, &mut problems).expect("HCL");
            let rules =
                PromotionRules::of(&file, &"base".parse().expect("a name"), "ci/".to_owned()).expect("declared");
            rules.suites(&books).await.map_err(|wrong| wrong.iter().map(|one| format!("{one:?}\n")).collect::<String>())
        };
        assert_eq!(suites().await.expect("read").len(), 1);
        // An absolute link would lead from the commit's files into the work tree, which is no commit's.
        std::fs::remove_file(world.path("clone/shared/a.yaml")).expect("removed");
        write("elsewhere.yaml", "user:\n  root: {exists: true}\n");
        std::os::unix::fs::symlink(world.path("clone/elsewhere.yaml"), world.path("clone/shared/a.yaml"))
            .expect("linked");
        let why = suites().await.expect_err("a link out of the commit");
        assert!(why.contains("lies outside of"), "{why}");
    }
}
