//! The facts of a plan, from git: what each image's inputs are as they are checked out, which builds the branch and the protected branch know of, what
//! is gold. It owns which commit is asked for what; it decides nothing.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use jiff::Timestamp;
use serde_json::Value as Json;

use super::{BuildDecision, ImageFacts, MadeBuild, ParentFacts, ParentGold, PlanError};
use assay_config::{
    ConfigProblem,
    file::{BuildDecl, ImageDecl},
    image_requests::PlanRequest,
};
use assay_ledger as ledger;
use assay_ledger::{
    BooksRequest, GitEnvironment, LedgerError, LedgerSnapshot, ProvenanceRequest, SourceDigest,
    vantage::{self, ReadPoints},
};
use assay_model::{AmiId, Candidate, Digest, ImageName, cause::chain, history::ImageHistory, lock::Lock};

/// What git says of the images.
#[derive(Debug, Clone, Default)]
pub(crate) struct GatheredFacts {
    /// By image: those that were asked for and all that they are built on.
    pub images: BTreeMap<ImageName, KnownImage>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// The protected branch, where there is one.
    pub protected: Option<LedgerSnapshot>,
}

/// What git says of one image.
#[derive(Debug, Clone)]
pub(crate) struct KnownImage {
    /// Digest of its inputs as they are checked out; `None`: none are named.
    pub source: Option<SourceDigest>,
    /// Why the lock cannot be read: then nothing is known of the image, and nothing is done for it.
    pub unreadable: Option<String>,
    /// The lock: the protected branch's word, or where only local knowledge was asked the longer one of what is here.
    pub lock: Lock,
    /// The lock of the checked out commit.
    pub lock_here: Lock,
    /// Candidates that wait: of the checked out commit, the branch's tip and the protected branch, each run once, newest test first.
    pub candidates: Vec<Candidate>,
}

/// Asks git. Fails where it cannot be read, and where declared inputs have no digest.
pub(crate) async fn gather(request: &PlanRequest, environment: &GitEnvironment) -> Result<GatheredFacts, PlanError> {
    let file = &request.file;
    let books = BooksRequest {
        folder: file.folder.clone(),
        branch: file.git.branch.clone(),
        remote: file.git.remote.clone(),
        environment: environment.clone(),
    };
    let vantage = vantage::look(&books, request.fetch).await?;
    let mut gathered = GatheredFacts { protected: vantage.protected.clone(), ..GatheredFacts::default() };
    if request.fetch && !vantage.fetched {
        gathered.notes.push("there is no remote: what this repository knows counts".to_owned());
    }
    if vantage.fetched && vantage.protected.is_none() {
        gathered.notes.push("the remote has no branch yet: nothing was ever built".to_owned());
    }
    let mut problems = Vec::new();
    for image in needed(request) {
        let source = match source(image, request, environment, &mut gathered.notes).await {
            Ok(source) => source,
            Err(words) => {
                let shown = format!("image {:?}: inputs", image.name.as_str());
                problems.push(ConfigProblem::in_file(&file.shown, line_of_inputs(image), shown, words));
                None
            }
        };
        let known = known(&vantage, &image.name, source, &mut gathered.notes).await?;
        gathered.images.insert(image.name.clone(), known);
    }
    gathered.notes.extend(behind(request, &gathered));
    if problems.is_empty() { Ok(gathered) } else { Err(PlanError::Configuration(problems)) }
}

/// The images that were asked for and, since their state counts, all that they are built on.
fn needed(request: &PlanRequest) -> Vec<&ImageDecl> {
    let mut needed: Vec<&ImageDecl> = Vec::new();
    for image in request.file.images.iter().filter(|image| request.wants(&image.name)) {
        let mut next = Some(image);
        while let Some(found) = next.filter(|found| !needed.iter().any(|known| known.name == found.name)) {
            needed.push(found);
            next = found.parent.as_ref().and_then(|parent| request.file.image(parent));
        }
    }
    needed
}

/// What is said of parents whose gold is another one in this checkout than on the protected branch.
fn behind(request: &PlanRequest, gathered: &GatheredFacts) -> Vec<String> {
    let wanted = request.file.images.iter().filter(|image| request.wants(&image.name));
    let mut parents: Vec<&ImageName> = wanted.filter_map(|image| image.parent.as_ref()).collect();
    parents.sort();
    parents.dedup();
    let different = parents.into_iter().filter_map(|parent| {
        let known = gathered.images.get(parent)?;
        let (there, here) = (known.lock.gold?, known.lock_here.gold);
        (here != Some(there)).then(|| {
            let here = here.map_or("no gold".to_owned(), |run| format!("gold {run}"));
            format!("{parent} has {here} in this checkout and gold {there} on the protected branch: what is built here stands on the former")
        })
    });
    different.collect()
}

fn line_of_inputs(image: &ImageDecl) -> usize {
    match image.options.given.get("inputs").map(|given| &given.place) {
        Some(assay_config::ValuePlace::File { line, .. }) => *line,
        _ => image.line,
    }
}

/// `inputs` of an image, as assay.hcl gives them.
pub(super) fn inputs(image: &ImageDecl) -> Vec<String> {
    let given = image.options.given.get("inputs").and_then(|given| given.value.as_array());
    given.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// The files that promotion writes, as they stand in assay.hcl.
pub(super) fn projections(image: &ImageDecl) -> Vec<String> {
    image.projections.iter().map(|projection| projection.path.display().to_string()).collect()
}

async fn source(
    image: &ImageDecl,
    request: &PlanRequest,
    environment: &GitEnvironment,
    notes: &mut Vec<String>,
) -> Result<Option<SourceDigest>, String> {
    let inputs = inputs(image);
    if inputs.is_empty() {
        return Ok(None);
    }
    let learned = ledger::learn(ProvenanceRequest {
        folder: &request.file.folder,
        environment,
        owner: None,
        inputs: &inputs,
        projections: &projections(image),
        build: &image.build.as_ref().map(BuildDecl::canonical_text).unwrap_or_default(),
    })
    .await;
    let mut why = learned.unknown.iter().filter_map(|line| line.strip_prefix("source digest: "));
    match learned.source {
        Some(source) => {
            notes.extend(why.map(|line| format!("{}: {line}", image.name)));
            Ok(Some(source))
        }
        None => Err(why.next_back().unwrap_or("their digest cannot be made").to_owned()),
    }
}

async fn known(
    vantage: &ReadPoints,
    image: &ImageName,
    source: Option<SourceDigest>,
    notes: &mut Vec<String>,
) -> Result<KnownImage, LedgerError> {
    let mut unreadable = None;
    let mut read = async |books: &LedgerSnapshot| match books.lock(image).await {
        // Somebody's mistake in the lock of one image stops no other.
        Err(error @ LedgerError::Unreadable { .. }) => {
            unreadable = Some(chain(&error));
            Ok(Lock::new(image.clone()))
        }
        lock => lock,
    };
    let lock_here = read(&vantage.head).await?;
    let lock = match &vantage.protected {
        Some(books) => read(books).await?,
        None => lock_here.clone(),
    };
    // Not asked now, the protected branch as it is known here may be behind what is checked out; locks only grow.
    let lock = if vantage.fetched || lock.entries.len() >= lock_here.entries.len() { lock } else { lock_here.clone() };
    let books: Vec<&LedgerSnapshot> =
        [Some(&vantage.head), vantage.branch.as_ref(), vantage.protected.as_ref()].into_iter().flatten().collect();
    let mut candidates: Vec<Candidate> = Vec::new();
    let files = try_join_all(books.iter().map(|books| books.candidate_files(image))).await?;
    for unreadable in files.iter().flat_map(|files| &files.unreadable) {
        let note = unreadable.to_string();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    for found in files.into_iter().flat_map(|files| files.candidates) {
        match candidates.iter_mut().find(|known| known.run == found.run) {
            // Another job of the run may have added its AMIs.
            Some(known) if known.amis.len() < found.amis.len() => *known = found,
            Some(_) => {}
            None => candidates.push(found),
        }
    }
    candidates.sort_by_key(|candidate| std::cmp::Reverse((time(&candidate.tested_at), candidate.run)));
    Ok(KnownImage { source, unreadable, lock, lock_here, candidates })
}

/// A time of a file that assay wrote and checked when it was read.
fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

impl GatheredFacts {
    /// The facts of one image; `decided` are those before it. `None`: it is not needed.
    pub(crate) fn facts(
        &self,
        request: &PlanRequest,
        image: &ImageDecl,
        decided: &[BuildDecision],
        now: Timestamp,
    ) -> Option<ImageFacts> {
        let known = self.images.get(&image.name)?;
        let asked = request.wants(&image.name);
        let parent = image.parent.as_ref().and_then(|parent| {
            let before = decided.iter().find(|decision| decision.image == *parent);
            let pending = before.is_some_and(|decision| decision.due || decision.waits_for.is_some())
                || self.images.get(parent).is_some_and(|known| known.unreadable.is_some());
            Some(ParentFacts { image: parent.clone(), gold: self.images.get(parent)?.parent_gold(), pending })
        });
        Some(ImageFacts {
            image: image.name.clone(),
            digest: known.source.as_ref().map(|source| source.current.clone()),
            made: known.made(now),
            gold_here: known.lock_here.gold.and_then(|run| known.recorded(known.lock_here.candidate(run)?)),
            parent,
            max_age: request.max_age.filter(|_| asked).or(image.max_age),
            forced: asked && request.force.contains(&image.name),
            architectures: image.architectures.clone(),
            regions: image.regions.iter().filter(|r| !image.distribution.ami_regions.contains(r)).cloned().collect(),
        })
    }
}

impl KnownImage {
    /// The digest of what a build was made from; what an earlier version recorded of the checked out inputs is their digest.
    fn recorded(&self, candidate: &Candidate) -> Option<Digest> {
        let recorded = candidate.provenance.source_digest.clone()?;
        match &self.source {
            Some(source) if source.is(&recorded) => Some(source.current.clone()),
            _ => Some(recorded),
        }
    }

    /// All that is known, as the law of the registry is asked.
    fn history(&self) -> ImageHistory<'_> {
        SourceDigest::in_history(self.source.as_ref(), ImageHistory::of(&self.lock, &self.candidates))
    }

    /// Every build, newest test first; where the lock has a run its word counts.
    pub(crate) fn made(&self, now: Timestamp) -> Vec<MadeBuild> {
        let history = self.history();
        let runs = self.lock.runs();
        let in_lock = runs.iter().filter_map(|run| self.lock.candidate(*run));
        let waiting = self.candidates.iter().filter(|candidate| !runs.contains(&candidate.run));
        let mut made: Vec<MadeBuild> =
            in_lock.chain(waiting).map(|candidate| self.build(candidate, &history, now)).collect();
        made.sort_by_key(|made| std::cmp::Reverse((made.tested_at, made.run)));
        made
    }

    fn build(&self, candidate: &Candidate, history: &ImageHistory<'_>, now: Timestamp) -> MadeBuild {
        let run = candidate.run;
        let state = self.lock.state_of(run).unwrap_or(candidate.state);
        let made_at = candidate.amis.iter().filter_map(|ami| ami.record.created_at.parse().ok()).min();
        let tested_at = time(&candidate.tested_at);
        let tested = candidate.amis.iter().map(|ami| &ami.record);
        let copies = self.lock.copies(run).map(|copy| &copy.record);
        MadeBuild {
            run,
            // A revocation that was announced for later does not hold yet, but nobody should wait for such a build.
            state,
            digest: self.recorded(candidate),
            parent: candidate.provenance.parent.clone(),
            tested_at,
            made_at: made_at.unwrap_or(tested_at),
            places: tested.chain(copies).map(|record| (record.architecture, record.ami.region.clone())).collect(),
            superseded: history.is_superseded(run),
            objection: history.objection(run, now),
        }
    }

    /// The gold to build on. A checkout that is behind can only build on the gold that its own lock names (`data "assay-image"` reads that one): such
    /// a build is as current as it can be there, or each would lead to another.
    fn parent_gold(&self) -> Option<ParentGold> {
        let run = self.lock.gold?;
        let locks = [Some((&self.lock, run)), self.lock_here.gold.map(|here| (&self.lock_here, here))];
        let golds = || locks.iter().flatten();
        let amis: Vec<AmiId> = golds().flat_map(|(lock, run)| lock.amis(*run)).map(|record| record.ami.id).collect();
        let since = golds().filter_map(|(lock, run)| lock.gold_since(*run)).map(time).min();
        Some(ParentGold { run, amis, since: since.unwrap_or(Timestamp::UNIX_EPOCH) })
    }
}
