//! Which candidate `assay validate --candidate` means. It owns the choice: of the commit that is checked out, made from the inputs as they are; it
//! refuses to go to a remote, and to test what was made from something else unless it is named.

use super::promotion;
use crate::test_run::EventSender;
use assay_aws::cloud::{CloudError, CloudFactory, Ec2Factory};
use assay_config::Settings;
use assay_ledger as ledger;
use assay_ledger::{BooksRequest, GitEnvironment, LedgerError, LedgerSnapshot, ProvenanceRequest, SourceDigest};
use assay_model::{Candidate, ImageName, RunId, exit::ExitStatus, history::ImageHistory};

/// Why there is no candidate to test.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoCandidate {
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
        "no candidate of image {image} in the commit that is checked out ({commit}) was made from the inputs as they are ({digest}) and may become gold{others}"
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
    /// There are some, and none is what its file says.
    #[error(
        "no candidate of image {image} is what its file says; build it again: assay build --image {image} --force {image}"
    )]
    NoneThere {
        /// The image.
        image: ImageName,
    },
    /// EC2 did not say what is there.
    #[error("whether the candidate's AMIs are there is not known")]
    Cloud(#[from] CloudError),
    /// git.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl NoCandidate {
    /// The exit code that this amounts to.
    pub(crate) fn exit(&self) -> ExitStatus {
        match self {
            Self::NoSuchRun { .. } | Self::NoneOfInputs { .. } => ExitStatus::Nothing,
            Self::NoDigest { .. } => ExitStatus::Usage,
            Self::NoneThere { .. } => ExitStatus::Conflict,
            Self::Cloud(_) => ExitStatus::Undecided,
            Self::Ledger(error) => error.exit(),
        }
    }
}

/// The candidate of `run`, else the newest whose source digest is that of the inputs in the work tree, that may become gold by itself (see `model::history`), and whose AMIs are what its
/// file says; from the commit that is checked out. What is passed over is told.
pub(crate) async fn candidate(
    settings: &Settings,
    image: &ImageName,
    run: Option<RunId>,
    events: &EventSender,
) -> Result<Candidate, NoCandidate> {
    let chosen = choose(settings, image, run, &ledger::environment_of_process()).await?;
    if run.is_some() {
        return Ok(chosen.first);
    }
    let factory = Ec2Factory::connect(&settings.access).await;
    that_is_there(chosen, &factory, events).await
}

/// What fits, newest first.
#[derive(Debug)]
struct ChosenCandidate {
    first: Candidate,
    further: Vec<Candidate>,
}

/// The first whose AMIs EC2 shows as the candidate file has them: one file that a commit made up must not hold up the others.
async fn that_is_there(
    chosen: ChosenCandidate,
    factory: &dyn CloudFactory,
    events: &EventSender,
) -> Result<Candidate, NoCandidate> {
    let image = chosen.first.image.clone();
    for candidate in std::iter::once(chosen.first).chain(chosen.further) {
        let strange = promotion::strange_amis(factory, &candidate).await?;
        if strange.is_empty() {
            return Ok(candidate);
        }
        let why: Vec<String> = strange.iter().map(ToString::to_string).collect();
        events.warn(format!(
            "candidate {} of image {image} is passed over, since its AMIs are not what its file says: {}; set it aside: assay reject --image {image} --run {}",
            candidate.run,
            why.join("; "),
            candidate.run
        ));
    }
    Err(NoCandidate::NoneThere { image })
}

/// [`candidate`] with git's environment given.
async fn choose(
    settings: &Settings,
    image: &ImageName,
    run: Option<RunId>,
    environment: &GitEnvironment,
) -> Result<ChosenCandidate, NoCandidate> {
    let request = BooksRequest {
        folder: settings.base_dir.clone(),
        branch: "HEAD".to_owned(),
        remote: None,
        environment: environment.clone(),
    };
    let books = LedgerSnapshot::at(&request, "HEAD").await?;
    let commit = books.commit().to_owned();
    let lock = books.lock(image).await?;
    let mut candidates = books.candidates(image).await?;
    if let Some(run) = run {
        let at = candidates.iter().position(|candidate| candidate.run == run);
        let one = at.map(|at| ChosenCandidate { first: candidates.swap_remove(at), further: Vec::new() });
        return one.ok_or(NoCandidate::NoSuchRun { image: image.clone(), run, commit });
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
        build: &settings.build,
    })
    .await;
    let source = learned.source.ok_or_else(|| no_digest(learned.unknown.join("; ")))?;
    let digest = &source.current;
    let now = jiff::Timestamp::now();
    let history = SourceDigest::in_history(Some(&source), ImageHistory::of(&lock, &candidates));
    let fitting = history.to_validate(digest.as_str(), now);
    let told = |candidate: &Candidate| match history.objection(candidate.run, now) {
        Some(found) if candidate.provenance.source_digest.as_ref().is_some_and(|made| source.is(made)) => {
            format!("{} ({found})", candidate.run)
        }
        _ => format!("{} ({})", candidate.run, candidate.state),
    };
    let others: Vec<String> = candidates.iter().map(told).collect();
    let of_run = |run: &RunId| candidates.iter().find(|candidate| candidate.run == *run).cloned();
    let mut fitting = fitting.iter().filter_map(of_run);
    let chosen = fitting.next().map(|first| ChosenCandidate { first, further: fitting.collect() });
    chosen.ok_or_else(|| NoCandidate::NoneOfInputs {
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
    use assay_aws::cloud::fake::FakeCloud;
    use assay_config::{AccessSettings, LaunchSettings, OnFailure, ProberSettings, SshSettings};
    use assay_ledger::{fixtures, world::GitWorld};
    use assay_model::ImageState;
    use assay_suite::SuiteBounds;

    const OLD: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M1C";
    const NEW: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M2D";

    fn settings(world: &GitWorld) -> Settings {
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
            build: "{}".to_owned(),
            base_dir: world.path("clone"),
        }
    }

    async fn chosen(world: &GitWorld, settings: &Settings, run: Option<&str>) -> Result<String, NoCandidate> {
        let run = run.map(|run| run.parse().expect("a run"));
        let image = "base".parse().expect("an image");
        choose(settings, &image, run, &world.environment).await.map(|chosen| chosen.first.run.to_string())
    }

    /// Commits a candidate file of this run.
    fn submit(world: &GitWorld, run: &str, digest: &str, tested_at: &str, state: ImageState) {
        let mut candidate = fixtures::candidate();
        candidate.run = run.parse().expect("a run");
        candidate.provenance.source_digest = Some(digest.parse().expect("a digest"));
        candidate.amis[0].state = state;
        candidate.amis[0].tested_at = tested_at.to_owned();
        candidate.amis[0].record.created_at = tested_at.to_owned();
        world.commit_candidate("clone", &Candidate { state, tested_at: tested_at.to_owned(), ..candidate });
    }

    async fn digest(world: &GitWorld, settings: &Settings) -> String {
        let learned = ledger::learn(ProvenanceRequest {
            folder: &settings.base_dir,
            environment: &world.environment,
            owner: None,
            inputs: &settings.inputs,
            projections: &[],
            build: &settings.build,
        });
        learned.await.provenance.source_digest.expect("a digest").to_string()
    }

    #[tokio::test]
    async fn the_newest_candidate_of_these_inputs_is_meant() {
        let world = GitWorld::new();
        let settings = settings(&world);
        let none = chosen(&world, &settings, None).await.expect_err("there is none");
        assert!(none.exit() == ExitStatus::Nothing && none.to_string().contains("none at all"), "{none}");

        let ours = digest(&world, &settings).await;
        submit(&world, OLD, &ours, "2026-11-22T10:00:00Z", ImageState::Candidate);
        let other = format!("sha256:{}", "0".repeat(64));
        submit(&world, NEW, &other, "2026-11-23T10:00:00Z", ImageState::Candidate);
        assert_eq!(chosen(&world, &settings, None).await.expect("the one of these inputs"), OLD);
        submit(&world, NEW, &ours, "2026-11-23T10:00:00Z", ImageState::Candidate);
        assert_eq!(chosen(&world, &settings, None).await.expect("the newest"), NEW);
        submit(&world, NEW, &ours, "2026-11-23T10:00:00Z", ImageState::Rejected);
        assert_eq!(chosen(&world, &settings, None).await.expect("not a rejected one"), OLD);
        assert_eq!(chosen(&world, &settings, Some(NEW)).await.expect("unless it is named"), NEW);

        submit(&world, NEW, &ours, "9999-01-01T00:00:00Z", ImageState::Candidate);
        assert_eq!(chosen(&world, &settings, None).await.expect("not one of the future"), OLD);

        world.write("clone/packer/base.pkr.hcl", "# edited, and not committed\n");
        let stale = chosen(&world, &settings, None).await.expect_err("the inputs are others now");
        assert!(stale.exit() == ExitStatus::Nothing && stale.to_string().contains(OLD), "{stale}");
    }

    #[tokio::test]
    async fn a_run_that_is_not_there_and_inputs_that_nobody_knows() {
        let world = GitWorld::new();
        let mut settings = settings(&world);
        let none = chosen(&world, &settings, Some(OLD)).await.expect_err("no such run");
        assert!(none.exit() == ExitStatus::Nothing && none.to_string().contains(OLD), "{none}");
        settings.inputs.clear();
        let unknown = chosen(&world, &settings, None).await.expect_err("no digest");
        assert!(unknown.exit() == ExitStatus::Usage && unknown.to_string().contains("--candidate RUN"), "{unknown}");
    }

    #[tokio::test]
    async fn a_made_up_candidate_is_passed_over() {
        let cloud = FakeCloud::new();
        let there = fixtures::candidate();
        let record = &there.amis[0].record;
        let mut image = assay_aws::cloud::fake::sample_image(record.ami.id.as_str(), &[]);
        (image.name, image.owner, image.created_at) =
            (record.name.clone(), record.owner.clone(), record.created_at.clone());
        image.architecture = Some(record.architecture);
        image.block_devices = assay_aws::cloud::fake::sample_image(
            record.ami.id.as_str(),
            &record.snapshots.iter().map(String::as_str).collect::<Vec<_>>(),
        )
        .block_devices;
        image.tags = assay_aws::cloud::fake::tag_set(&[
            ("assay:managed", "true"),
            ("assay:image", "base"),
            ("assay:run", &there.run.to_string()),
            ("assay:state", "candidate"),
        ]);
        cloud.add_image(&record.ami.region, image);
        let mut made_up = there.clone();
        made_up.run = NEW.parse().expect("a run");
        made_up.amis[0].record.ami.id = "ami-0fedcba9876543210".parse().expect("an AMI");
        let (events, _heard) = EventSender::channel();
        let chosen = ChosenCandidate { first: made_up.clone(), further: vec![there.clone()] };
        assert_eq!(that_is_there(chosen, &cloud, &events).await.expect("the other one").run, there.run);
        let none = that_is_there(ChosenCandidate { first: made_up, further: Vec::new() }, &cloud, &events).await;
        assert_eq!(none.expect_err("it is not there").exit(), ExitStatus::Conflict);
    }
}
