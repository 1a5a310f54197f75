//! Which candidate `assay validate --candidate` means. It owns the choice: of the commit that is checked out, made from the inputs as they are; it
//! refuses to go to a remote, and to test what was made from something else unless it is named.

use crate::{
    config::Settings,
    exit::Exit,
    ledger::{self, Books, BooksRequest, Environment, LedgerError, ProvenanceRequest},
    model::{Candidate, ImageName, RunId, State},
};

/// Why there is no candidate to test.
#[derive(Debug, thiserror::Error)]
pub enum NoCandidate {
    /// The run was named.
    #[error("images/{image}/candidates/{run}.hcl is not in the commit that is checked out ({commit})")]
    NoSuchRun {
        /// The image.
        image: ImageName,
        /// The run.
        run: RunId,
        /// The commit's id.
        commit: String,
    },
    /// None fits the inputs.
    #[error(
        "no candidate of image {image} in the commit that is checked out ({commit}) was made from the inputs as they are ({digest}){others}"
    )]
    NoneOfInputs {
        /// The image.
        image: ImageName,
        /// The commit's id.
        commit: String,
        /// The source digest of the work tree.
        digest: String,
        /// Which there are, as the rest of the sentence.
        others: String,
    },
    /// Nobody can say which candidate fits.
    #[error("the source digest of image {image} is not known ({why}); name the run: --candidate RUN")]
    NoDigest {
        /// The image.
        image: ImageName,
        /// Why.
        why: String,
    },
    /// git.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl NoCandidate {
    /// The exit code that this amounts to.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoSuchRun { .. } | Self::NoneOfInputs { .. } => Exit::Nothing,
            Self::NoDigest { .. } => Exit::Usage,
            Self::Ledger(error) => error.exit(),
        }
    }
}

/// The candidate of `run`, else the newest in state candidate whose source digest is that of the inputs in the work tree; from the commit that is checked
/// out.
pub async fn candidate(settings: &Settings, image: &ImageName, run: Option<RunId>) -> Result<Candidate, NoCandidate> {
    choose(settings, image, run, &ledger::environment_of_process()).await
}

/// [`candidate`] with git's environment given.
async fn choose(
    settings: &Settings,
    image: &ImageName,
    run: Option<RunId>,
    environment: &Environment,
) -> Result<Candidate, NoCandidate> {
    let request = BooksRequest {
        folder: settings.base_dir.clone(),
        branch: "HEAD".to_owned(),
        remote: None,
        environment: environment.clone(),
    };
    let books = Books::at(&request, "HEAD").await?;
    let commit = books.commit().to_owned();
    let mut candidates = books.candidates(image).await?;
    if let Some(run) = run {
        let at = candidates.iter().position(|candidate| candidate.run == run);
        return at.map(|at| candidates.swap_remove(at)).ok_or(NoCandidate::NoSuchRun {
            image: image.clone(),
            run,
            commit,
        });
    }
    let no_digest = |why: String| NoCandidate::NoDigest { image: image.clone(), why };
    if settings.inputs.is_empty() {
        return Err(no_digest("assay.hcl names no inputs of it".to_owned()));
    }
    let learned = ledger::learn(ProvenanceRequest {
        folder: &settings.base_dir,
        environment,
        owner: settings.owner.as_deref(),
        inputs: &settings.inputs,
        projections: &settings.projections,
    })
    .await;
    let digest = learned.provenance.source_digest.ok_or_else(|| no_digest(learned.unknown.join("; ")))?;
    let others: Vec<String> = candidates.iter().map(|c| format!("{} ({})", c.run, c.state)).collect();
    let fits = |c: &Candidate| c.state == State::Candidate && c.provenance.source_digest.as_ref() == Some(&digest);
    candidates.into_iter().find(fits).ok_or_else(|| NoCandidate::NoneOfInputs {
        image: image.clone(),
        commit,
        digest: digest.to_string(),
        others: match others.is_empty() {
            true => "; there is none at all".to_owned(),
            false => format!("; there are {}", others.join(", ")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{AccessSettings, LaunchSettings, OnFailure, ProberSettings, SshSettings},
        ledger::{fixtures, world::World},
        suite::SuiteBounds,
    };

    const OLD: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M1C";
    const NEW: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M2D";

    fn settings(world: &World) -> Settings {
        Settings {
            image: None,
            suites: Vec::new(),
            bounds: SuiteBounds::default(),
            ssh: SshSettings::default(),
            launch: LaunchSettings::default(),
            access: AccessSettings::default(),
            tags: Default::default(),
            manifest: None,
            custom_data: Default::default(),
            report_dir: None,
            on_failure: OnFailure::default(),
            prober: ProberSettings::Local,
            owner: None,
            inputs: vec!["packer/**".to_owned()],
            projections: Vec::new(),
            base_dir: world.path("clone"),
        }
    }

    async fn chosen(world: &World, settings: &Settings, run: Option<&str>) -> Result<String, NoCandidate> {
        let run = run.map(|run| run.parse().expect("a run"));
        let image = "base".parse().expect("an image");
        choose(settings, &image, run, &world.environment).await.map(|candidate| candidate.run.to_string())
    }

    /// Commits a candidate file of this run.
    fn submit(world: &World, run: &str, digest: &str, tested_at: &str, state: State) {
        let mut candidate = fixtures::candidate();
        candidate.run = run.parse().expect("a run");
        candidate.provenance.source_digest = Some(digest.parse().expect("a digest"));
        candidate.amis[0].state = state;
        candidate.amis[0].tested_at = tested_at.to_owned();
        world.commit_candidate("clone", &Candidate { state, tested_at: tested_at.to_owned(), ..candidate });
    }

    async fn digest(world: &World, settings: &Settings) -> String {
        let learned = ledger::learn(ProvenanceRequest {
            folder: &settings.base_dir,
            environment: &world.environment,
            owner: None,
            inputs: &settings.inputs,
            projections: &[],
        });
        learned.await.provenance.source_digest.expect("a digest").to_string()
    }

    #[tokio::test]
    async fn the_newest_candidate_of_these_inputs_is_meant() {
        let world = World::new();
        let settings = settings(&world);
        let none = chosen(&world, &settings, None).await.expect_err("there is none");
        assert!(none.exit() == Exit::Nothing && none.to_string().contains("none at all"), "{none}");

        let ours = digest(&world, &settings).await;
        submit(&world, OLD, &ours, "2026-11-22T10:00:00Z", State::Candidate);
        let other = format!("sha256:{}", "0".repeat(64));
        submit(&world, NEW, &other, "2026-11-23T10:00:00Z", State::Candidate);
        assert_eq!(chosen(&world, &settings, None).await.expect("the one of these inputs"), OLD);
        submit(&world, NEW, &ours, "2026-11-23T10:00:00Z", State::Candidate);
        assert_eq!(chosen(&world, &settings, None).await.expect("the newest"), NEW);
        submit(&world, NEW, &ours, "2026-11-23T10:00:00Z", State::Rejected);
        assert_eq!(chosen(&world, &settings, None).await.expect("not a rejected one"), OLD);
        assert_eq!(chosen(&world, &settings, Some(NEW)).await.expect("unless it is named"), NEW);

        world.write("clone/packer/base.pkr.hcl", "# edited, and not committed\n");
        let stale = chosen(&world, &settings, None).await.expect_err("the inputs are others now");
        assert!(stale.exit() == Exit::Nothing && stale.to_string().contains(OLD), "{stale}");
    }

    #[tokio::test]
    async fn a_run_that_is_not_there_and_inputs_that_nobody_knows() {
        let world = World::new();
        let mut settings = settings(&world);
        let none = chosen(&world, &settings, Some(OLD)).await.expect_err("no such run");
        assert!(none.exit() == Exit::Nothing && none.to_string().contains(OLD), "{none}");
        settings.inputs.clear();
        let unknown = chosen(&world, &settings, None).await.expect_err("no digest");
        assert!(unknown.exit() == Exit::Usage && unknown.to_string().contains("--candidate RUN"), "{unknown}");
    }
}
