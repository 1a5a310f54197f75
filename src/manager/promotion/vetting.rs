//! `--to vetted`: a candidate file and the evidence of its full validation move into the lock. It owns that move; it refuses to trust a tag for it.

use super::{
    context::{self, MoveContext},
    evidence::FoundEvidence,
    following,
    outcome::{MoveRefusal, MovedRun, PromotionError},
    rules::PromotionRules,
    sanity::SanityCase,
    vouching,
};
use assay_ledger as ledger;
use assay_ledger::{LedgerEdit, LedgerSnapshot, SourceDigest, candidate_file, lock_file};
use assay_model::{
    Candidate, ImageName, ImageState, RunId,
    history::{self, GoldObjection, ImageHistory, LockOrder},
    lock::Lock,
};

/// What an entry says where the user gives no reason.
const REASON: &str = "full suite passed";

/// Vets the run that `proof` is of. Running it again with the same evidence changes nothing but what the cloud lacks.
pub(super) async fn vet(
    context: &MoveContext<'_>,
    image: &ImageName,
    run: Option<RunId>,
    proof: Option<&FoundEvidence>,
) -> Result<MovedRun, PromotionError> {
    let Some(proof) = proof else {
        return Err(PromotionError::Nothing { image: image.clone(), why: "none of the evidence is of it".to_owned() });
    };
    let of = proof.evidence.run;
    if let Some(run) = run.filter(|run| *run != of) {
        return Err(PromotionError::refused(image, run, &proof.shown, format!("is of run {of}, not of run {run}")));
    }
    let mut after = Lock::new(image.clone());
    let edit = async |books: &LedgerSnapshot| {
        let (edit, lock) = edit(context, books, image, proof, run.is_some()).await?;
        after = lock;
        Ok(edit)
    };
    let written = ledger::books::write(&context.write, edit).await?;
    let state = after.state_of(of).unwrap_or(ImageState::Vetted);
    let mut moved = context.told(image, of, state, written);
    let after = match context.write.open_branch {
        Some(_) => context.merged(&mut moved, |lock| is_vetted_by(lock, proof)).await?,
        None => Some(after),
    };
    if let Some(after) = after {
        following::run_to_the_end(context, after, of, &mut moved).await;
    }
    Ok(moved)
}

/// Whether there is nothing left to say of the proof's run.
fn is_vetted_by(lock: &Lock, proof: &FoundEvidence) -> bool {
    let run = proof.evidence.run;
    match lock.state_of(run) {
        Some(ImageState::Gold) => true,
        Some(ImageState::Vetted) => lock.evidence_of(run) == Some(&proof.digest),
        _ => false,
    }
}

/// The edit for the books as they are, and the lock after it.
async fn edit(
    context: &MoveContext<'_>,
    books: &LedgerSnapshot,
    image: &ImageName,
    proof: &FoundEvidence,
    named: bool,
) -> Result<(LedgerEdit, Lock), PromotionError> {
    let law = context.law(books).await?;
    let KnownLine { mut lock, known, waiting } = KnownLine::read(context, &law, books, image).await?;
    let run = proof.evidence.run;
    let state = lock.state_of(run);
    if is_vetted_by(&lock, proof) {
        return Ok((MoveContext::tags_alone(&lock, run), lock));
    }
    if let Err(illegal) = ImageState::may_move(Some(state.unwrap_or(ImageState::Candidate)), ImageState::Vetted) {
        return Err(PromotionError::refused(image, run, format!("run {run}"), illegal.to_string()));
    }
    let candidate = match known.candidate(run) {
        Some(candidate) => candidate.clone(),
        None => self::waiting(&law, image, run).await?,
    };
    let rules = PromotionRules::read(context, &law, image).await?;
    let case = SanityCase {
        context,
        books: &law,
        rules: &rules,
        candidate: &candidate,
        copies: Vec::new(),
        proof,
        in_lock: state.is_some(),
        rollback: false,
    };
    let mut refusals = case.check().await?;
    refusals.extend(not_a_candidate(&candidate));
    if known.candidate(run).is_none() {
        refusals.extend(vouching::of_candidate(&law, &rules, image, run).await?);
    }
    let source = rules.source_digest(&law).await.ok();
    let history = SourceDigest::in_history(source.as_ref(), ImageHistory::of(&known, &waiting));
    refusals.extend(objection(&history, run, named));
    if !refusals.is_empty() {
        return Err(PromotionError::Refused { image: image.clone(), run: Some(run), refusals });
    }
    let before = lock.entries.len();
    let mut entry = context.entry(run, ImageState::Vetted, context::moment(&lock), REASON);
    entry.evidence = Some(proof.digest.clone());
    entry.candidate = state.is_none().then(|| candidate.clone());
    lock_file::append(&mut lock, entry);
    let mut files = proof.files(image, run);
    if state.is_none() {
        files.push((candidate_file::path(&candidate), None));
    }
    let edit = MoveContext::edit(&lock, before, run, files);
    Ok((edit, lock))
}

/// What is known of an image line where it is about to be changed.
pub(super) struct KnownLine {
    /// The lock that the edit goes on top of: that of the open branch, where there is one.
    pub lock: Lock,
    /// The lock of the protected branch. What is decided goes by it.
    pub known: Lock,
    /// The candidates that wait on the protected branch.
    pub waiting: Vec<Candidate>,
}

impl KnownLine {
    /// Reads `books`, which are written on top of, and `law`, the protected branch's. Refused where the open branch's lock does not go on from the protected one's: whoever may
    /// push there could have written it.
    pub(super) async fn read(
        context: &MoveContext<'_>,
        law: &LedgerSnapshot,
        books: &LedgerSnapshot,
        image: &ImageName,
    ) -> Result<Self, PromotionError> {
        let known = law.lock(image).await?;
        let lock = books.lock(image).await?;
        if !matches!(history::lock_order(&known.entries, &lock.entries), LockOrder::Same | LockOrder::Later) {
            let branch = context.write.open_branch.as_deref().unwrap_or_default();
            let why = format!(
                "of branch {branch} does not go on from that of {}; delete the branch, and run it again",
                context.branch()
            );
            return Err(PromotionError::refused(image, None, lock_file::path(image), why));
        }
        Ok(Self { lock, known, waiting: law.candidates(image).await? })
    }
}

/// What the law says against a run that nobody named, or that nobody can name.
pub(super) fn objection(history: &ImageHistory<'_>, run: RunId, named: bool) -> Option<MoveRefusal> {
    let found = history.objection(run, context::now()).filter(|found| !(named && found.may_be_overruled()))?;
    let cure = if found.may_be_overruled() { "; a person may name it: --run" } else { "" };
    // Its state is asked about elsewhere, in other words.
    let by_state = matches!(found, GoldObjection::State(_) | GoldObjection::Unknown);
    (!by_state).then(|| MoveRefusal::new(format!("run {run}"), format!("{found}{cure}")))
}

/// The candidate file of a run on the protected branch.
pub(super) async fn waiting(
    books: &LedgerSnapshot,
    image: &ImageName,
    run: RunId,
) -> Result<Candidate, PromotionError> {
    books.candidate(image, run).await?.ok_or_else(|| {
        let why = format!(
            "neither images/{image}/candidates/{run}.hcl nor images/{image}.lock.hcl of the protected branch knows it; was its pull request merged?"
        );
        PromotionError::refused(image, run, format!("run {run}"), why)
    })
}

fn not_a_candidate(candidate: &Candidate) -> Vec<MoveRefusal> {
    let mut refusals = Vec::new();
    let states = std::iter::once((format!("run {}", candidate.run), candidate.state))
        .chain(candidate.amis.iter().map(|ami| (ami.record.ami.to_string(), ami.state)));
    for (about, state) in states.filter(|(_, state)| *state != ImageState::Candidate) {
        refusals
            .push(MoveRefusal::new(about, format!("is {state} in its candidate file; only a candidate can be vetted")));
    }
    if candidate.amis.is_empty() {
        refusals.push(MoveRefusal::new(format!("run {}", candidate.run), "its candidate file holds no AMI"));
    }
    refusals
}
