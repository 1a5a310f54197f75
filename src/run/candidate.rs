//! Which candidate `assay validate --candidate` means. It owns the choice: of the commit that is checked out, made from the inputs as they are; it
//! refuses to go to a remote, and to test what was made from something else unless it is named.

use crate::{
    config::Settings,
    exit::Exit,
    ledger::{self, Books, BooksRequest, LedgerError, ProvenanceRequest},
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
    let environment = ledger::environment_of_process();
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
        environment: &environment,
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
