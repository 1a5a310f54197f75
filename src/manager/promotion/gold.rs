//! `--to gold`: copies, then the lock commit that says gold, then tags, shares and pointers. It owns the order, and what a rerun finds done already; it refuses to go on where
//! the gold of the beginning is no longer the gold of the protected branch.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    context::{self, MoveContext},
    copying,
    distribution::distribute,
    evidence::FoundEvidence,
    following::{self, FollowedLock},
    outcome::{LockChange, MoveRefusal, MovedRun, PromotionError},
    rules::PromotionRules,
    sanity::{self, SanityCase},
    vetting::{self, KnownLine},
};
use assay_ledger as ledger;
use assay_ledger::{LedgerEdit, LedgerSnapshot, SourceDigest, candidate_file, lock_file, projection};
use assay_model::{
    AmiRecord, AmiRef, Candidate, ImageName, ImageState, RunId,
    history::{self, ImageHistory},
    lock::{Lock, LockCopy},
};

/// So many of the last moves to gold are looked at again.
const RECENT: usize = 4;

/// Makes a run gold: `run`, else the newest vetted one that is sane, else what is gold already is brought into order.
pub(super) async fn promote(
    context: &MoveContext<'_>,
    image: &ImageName,
    run: Option<RunId>,
) -> Result<MovedRun, PromotionError> {
    let books = LedgerSnapshot::open(&context.write.books).await?;
    let rules = PromotionRules::read(context, &books, image).await?;
    let lock = books.lock(image).await?;
    let is_named = run.is_some();
    let reason = if is_named { "promoted by name" } else { history::BY_ITSELF };
    let run = match run {
        Some(run) => named(&books, &lock, run).await?,
        None => newest(context, &books, &rules, &lock).await?,
    };
    climb(context, &books, &rules, &lock, GoldMove { run, rollback: false, named: is_named, reason }).await
}

/// The run that the user named, if it may become gold.
async fn named(books: &LedgerSnapshot, lock: &Lock, run: RunId) -> Result<RunId, PromotionError> {
    let image = &lock.image;
    let refuse = |why: String| Err(PromotionError::refused(image, run, format!("run {run}"), why));
    match lock.state_of(run) {
        Some(ImageState::Vetted | ImageState::Gold) => Ok(run),
        Some(ImageState::Retired) if lock.was_gold(run) => {
            refuse(format!("is retired; to bring it back: assay rollback --image {image} --run {run}"))
        }
        Some(state) => match ImageState::may_move(Some(state), ImageState::Gold) {
            Err(illegal) => refuse(illegal.to_string()),
            Ok(()) => refuse(format!("is {state} and was never gold; only a vetted run can become gold")),
        },
        None => {
            let candidate = vetting::waiting(books, image, run).await?;
            refuse(format!("is {}, not vetted; first: assay promote --image {image} --to vetted", candidate.state))
        }
    }
}

/// The newest vetted run that is sane, of those that may become gold by themselves; without one, what is gold.
async fn newest(
    context: &MoveContext<'_>,
    books: &LedgerSnapshot,
    rules: &PromotionRules,
    lock: &Lock,
) -> Result<RunId, PromotionError> {
    let source = rules.source_digest(books).await.ok();
    let open = SourceDigest::in_history(source.as_ref(), ImageHistory::of(lock, &[])).to_promote(context::now());
    let mut refusals = Vec::new();
    for run in &open {
        let found = reasons(context, books, rules, lock, *run, RunCopies::default(), false).await?;
        if found.is_empty() {
            return Ok(*run);
        }
        refusals.extend(found);
    }
    match (open.first(), lock.gold) {
        (Some(run), _) => Err(PromotionError::Refused { image: lock.image.clone(), run: Some(*run), refusals }),
        (None, Some(gold)) => Ok(gold),
        (None, None) => Err(PromotionError::Nothing { image: lock.image.clone(), why: nothing_to_promote(lock) }),
    }
}

/// Why nothing becomes gold by itself where nothing is gold.
fn nothing_to_promote(lock: &Lock) -> String {
    let known = ImageHistory::of(lock, &[]);
    let vetted = lock.runs().into_iter().filter(|run| lock.state_of(*run) == Some(ImageState::Vetted));
    let told = vetted.filter_map(|run| known.objection(run, context::now()).map(|found| format!("run {run} {found}")));
    match told.collect::<Vec<_>>().join("; ") {
        none if none.is_empty() => "nothing is vetted, and nothing is gold".to_owned(),
        told => format!("no vetted run may become gold automatically; name one with --run; name it with --run: {told}"),
    }
}

/// A way to gold.
#[derive(Debug, Clone, Copy)]
pub(super) struct GoldMove {
    pub run: RunId,
    /// It was gold before.
    pub rollback: bool,
    /// A person named it: then it may be an older one.
    pub named: bool,
    /// What the entry says where the user gives no reason.
    pub reason: &'static str,
}

/// From the books as they were read to gold that is tagged, shared and pointed to.
pub(super) async fn climb(
    context: &MoveContext<'_>,
    books: &LedgerSnapshot,
    rules: &PromotionRules,
    lock: &Lock,
    climb: GoldMove,
) -> Result<MovedRun, PromotionError> {
    let GoldMove { run, rollback, .. } = climb;
    let lost = match rollback {
        true => BTreeSet::new(),
        false => copying::lost(context.factory, lock, run, &rules.image.distribution.ami_regions).await,
    };
    let mut has = lock.amis(run);
    has.retain(|record| !lost.contains(&record.ami));
    let is_gold = lock.gold == Some(run);
    // A way back waits for no copy; those that are declared by now come with the next promotion.
    let due = match rollback {
        true => Vec::new(),
        false => copying::due(&has, &rules.image.distribution.ami_regions),
    };
    // What the lock calls gold already is asked what can still be asked before anything is tagged or shared on its word.
    let mut refusals =
        reasons(context, books, rules, lock, run, RunCopies { lost: &lost, more: &[] }, rollback || is_gold).await?;
    // A way back must be open even where more is declared by now than was then.
    if lock.gold != Some(run) && !rollback {
        let planned = due.iter().map(|one| (one.of.architecture, one.to.clone()));
        let places = places(&has).into_iter().chain(planned).collect();
        refusals.extend(sanity::coverage(rules, format!("run {run}"), &places));
        let before = lock.gold.map(|gold| lock.amis(gold)).unwrap_or_default();
        refusals.extend(sanity::lost(rules, format!("run {run}"), &before, &places));
    }
    if !refusals.is_empty() {
        return Err(PromotionError::Refused { image: lock.image.clone(), run: Some(run), refusals });
    }
    if !due.is_empty() {
        context.events.note(copying::words(&lock.image, &due));
    }
    let copies = copying::make(context, lock, run, &rules.image.distribution, &due).await;
    let copies = copies.map_err(|problems| PromotionError::Copying { image: lock.image.clone(), run, problems })?;
    let mut kept = (lock.clone(), rules.clone());
    let edit = async |books: &LedgerSnapshot| {
        let (edit, after, rules) = edit(context, books, lock, climb, &copies).await?;
        kept = (after, rules);
        Ok(edit)
    };
    let written = ledger::books::write(&context.write, edit).await?;
    let mut moved = context.told(&lock.image, run, ImageState::Gold, written);
    moved.copied = copies.iter().map(|copy| copy.record.ami.clone()).collect();
    if moved.change != LockChange::Proposed {
        settle(context, &mut moved, kept.0, kept.1).await;
    } else if lock.gold == Some(run) && copies.is_empty() {
        // An open branch was asked for, and what it would say is merged already.
        if let Some(lock) = context.merged(&mut moved, |lock| lock.gold == Some(run)).await? {
            settle(context, &mut moved, lock, rules.clone()).await;
        }
    }
    Ok(moved)
}

fn places(amis: &[AmiRecord]) -> BTreeSet<(assay_model::Architecture, assay_model::Region)> {
    amis.iter().map(|record| (record.architecture, record.ami.region.clone())).collect()
}

/// RunCopies of a run beside what the lock says.
#[derive(Clone, Copy)]
struct RunCopies<'a> {
    /// Those that do not exist any more.
    lost: &'a BTreeSet<AmiRef>,
    /// Those that the lock does not hold yet.
    more: &'a [LockCopy],
}

impl RunCopies<'_> {
    /// Those that count.
    fn standing(&self, lock: &Lock, run: RunId) -> Vec<LockCopy> {
        let counts = |copy: &&LockCopy| {
            !self.lost.contains(&copy.record.ami) && !self.more.iter().any(|more| more.replaces(copy))
        };
        lock.copies(run).filter(counts).chain(self.more).cloned().collect()
    }
}

impl Default for RunCopies<'_> {
    fn default() -> Self {
        Self { lost: const { &BTreeSet::new() }, more: &[] }
    }
}

/// Every reason why a run of the lock may not become gold by these books.
async fn reasons(
    context: &MoveContext<'_>,
    books: &LedgerSnapshot,
    rules: &PromotionRules,
    lock: &Lock,
    run: RunId,
    copies: RunCopies<'_>,
    rollback: bool,
) -> Result<Vec<MoveRefusal>, PromotionError> {
    let Some(candidate) = lock.candidate(run) else {
        return Ok(vec![MoveRefusal::new(format!("run {run}"), "is not in the lock")]);
    };
    // The digest in the lock says which bytes count, wherever they lie.
    let proof = match FoundEvidence::of_lock(books, lock, run).await? {
        Ok(proof) => proof,
        Err(refusal) => return Ok(vec![refusal]),
    };
    let copies = copies.standing(lock, run);
    SanityCase { context, books, rules, candidate, copies, proof: &proof, in_lock: true, rollback }.check().await
}

/// The edit for the books as they are now: everything is asked again. `began`: the lock as it was when this began.
async fn edit(
    context: &MoveContext<'_>,
    books: &LedgerSnapshot,
    began: &Lock,
    climb: GoldMove,
    copies: &[LockCopy],
) -> Result<(LedgerEdit, Lock, PromotionRules), PromotionError> {
    let GoldMove { run, rollback, named, reason } = climb;
    let law = context.law(books).await?;
    let rules = PromotionRules::read(context, &law, &began.image).await?;
    let KnownLine { mut lock, known: protected, waiting } = KnownLine::read(context, &law, books, &began.image).await?;
    let before = lock.entries.len();
    // All entries of one commit are of one time: by it a rerun knows them.
    let at = context::moment(&lock);
    let known: BTreeSet<_> = lock.amis(run).into_iter().map(|record| record.ami).collect();
    let fresh: Vec<LockCopy> = copies.iter().filter(|copy| !known.contains(&copy.record.ami)).cloned().collect();
    let mut files = Vec::new();
    if lock.gold == Some(run) {
        if fresh.is_empty() {
            return Ok((again(books, &rules, &lock, run).await?, lock, rules));
        }
    } else {
        meanwhile(began, &lock, run)?;
        let source = rules.source_digest(&law).await.ok();
        let history = SourceDigest::in_history(source.as_ref(), ImageHistory::of(&protected, &waiting));
        let mut refusals = reasons(
            context,
            &law,
            &rules,
            &protected,
            run,
            RunCopies { more: &fresh, ..RunCopies::default() },
            rollback,
        )
        .await?;
        refusals.extend(vetting::objection(&history, run, named).filter(|_| !rollback));
        if !refusals.is_empty() {
            return Err(PromotionError::Refused { image: lock.image.clone(), run: Some(run), refusals });
        }
        let left = LeftBehind { runs: history.left_behind(run), waiting: &waiting, rollback };
        files.extend(leave(context, books, &mut lock, run, left, at).await?);
        if let Some(old) = lock.gold {
            let mut entry = context.entry(old, ImageState::Retired, at, "");
            entry.reason = match &context.reason {
                Some(reason) => format!("replaced by {run}: {reason}"),
                None => format!("replaced by {run}"),
            };
            lock_file::append(&mut lock, entry);
        }
    }
    let mut entry = context.entry(run, ImageState::Gold, at, reason);
    entry.copies = fresh;
    lock_file::append(&mut lock, entry);
    lock.gold = Some(run);
    files.extend(projected(books, &rules, &lock, run).await?);
    Ok((MoveContext::edit(&lock, before, run, files), lock, rules))
}

/// What a rerun may still have to write: projections that somebody changed, and the tag where the remote took branch and tag one by one.
async fn again(
    books: &LedgerSnapshot,
    rules: &PromotionRules,
    lock: &Lock,
    run: RunId,
) -> Result<LedgerEdit, PromotionError> {
    let Some(at) = lock.entries.iter().rposition(|entry| entry.run == run && entry.state == ImageState::Gold) else {
        return Ok(LedgerEdit::default());
    };
    let mut edit = MoveContext::edit(lock, at, run, projected(books, rules, lock, run).await?);
    // The lock stays as it is.
    edit.files.retain(|(path, _)| *path != lock_file::path(&lock.image));
    Ok(edit)
}

/// Refused where another promotion was faster.
fn meanwhile(began: &Lock, now: &Lock, run: RunId) -> Result<(), PromotionError> {
    let state = now.state_of(run);
    let shown = |gold: Option<RunId>| gold.map_or("none".to_owned(), |run| run.to_string());
    let why = if began.gold != now.gold {
        let last = now.gold.and_then(|gold| now.last(gold));
        let by = last.map_or(String::new(), |entry| format!(", by {} at {}", entry.by, entry.at));
        format!(
            "gold moved meanwhile from {} to {}{by}; look at it, and run it again",
            shown(began.gold),
            shown(now.gold)
        )
    } else if began.state_of(run) != state {
        format!("became {} meanwhile", state.map_or("unknown", ImageState::as_str))
    } else {
        return Ok(());
    };
    Err(PromotionError::refused(&now.image, run, format!("run {run}"), why))
}

/// What a move of gold leaves behind.
struct LeftBehind<'a> {
    runs: Vec<RunId>,
    /// The candidates of the protected branch.
    waiting: &'a [Candidate],
    rollback: bool,
}

/// Retires what the move leaves behind in the same commit: what is older than the new gold, or, where gold goes back, what waits of the inputs that it goes back from. Their candidate
/// files go.
async fn leave(
    context: &MoveContext<'_>,
    books: &LedgerSnapshot,
    lock: &mut Lock,
    run: RunId,
    left: LeftBehind<'_>,
    at: jiff::Timestamp,
) -> Result<Vec<(String, Option<Vec<u8>>)>, PromotionError> {
    let reason = match left.rollback {
        true => format!("set aside by the rollback to {run}"),
        false => format!("superseded by {run}"),
    };
    let there = books.candidates(&lock.image).await?;
    let mut files = Vec::new();
    for other in left.runs {
        // A merge may have brought back the file of a run that was moved in before.
        let file = there.iter().find(|candidate| candidate.run == other);
        files.extend(file.map(|candidate| (candidate_file::path(candidate), None)));
        let candidate = left.waiting.iter().find(|candidate| candidate.run == other);
        let is_new = lock.state_of(other).is_none();
        if lock.state_of(other) == Some(ImageState::Retired) || is_new && candidate.is_none() {
            continue;
        }
        let mut entry = context.entry(other, ImageState::Retired, at, &reason);
        entry.reason.clone_from(&reason);
        entry.candidate = candidate.filter(|_| is_new).cloned();
        lock_file::append(lock, entry);
    }
    Ok(files)
}

/// The projections as they must read once `run` is gold; only those that differ. Refused where one of them cannot hold it.
async fn projected(
    books: &LedgerSnapshot,
    rules: &PromotionRules,
    lock: &Lock,
    run: RunId,
) -> Result<Vec<(String, Option<Vec<u8>>)>, PromotionError> {
    let amis = lock.amis(run);
    let mut files: BTreeMap<String, (Option<Vec<u8>>, Vec<u8>)> = BTreeMap::new();
    let mut refusals = Vec::new();
    for projection in &rules.image.projections {
        let path = format!("{}{}", rules.prefix, projection.path.display());
        // Two projections may write one file: the second goes on from the first.
        let before = match files.get(&path) {
            Some((before, _)) => before.clone(),
            None => books.file(&path).await?,
        };
        let old = files.get(&path).map(|(_, new)| new.clone()).or_else(|| before.clone());
        match projection::apply(Path::new(&path), old.as_deref(), projection, &rules.image.architectures, &amis) {
            Ok(new) => drop(files.insert(path, (before, new))),
            Err(error) => refusals.push(MoveRefusal::new("projection", error.to_string())),
        }
    }
    if !refusals.is_empty() {
        return Err(PromotionError::Refused { image: lock.image.clone(), run: Some(run), refusals });
    }
    let changed = files.into_iter().filter(|(_, (before, new))| before.as_ref() != Some(new));
    Ok(changed.map(|(path, (_, new))| (path, Some(new))).collect())
}

/// A lock, and the rules of the books that it was read from.
struct LockWithRules(Lock, PromotionRules);

impl FollowedLock for LockWithRules {
    fn lock(&self) -> &Lock {
        &self.0
    }
}

/// Lets tags, shares and pointers follow the lock.
async fn settle(context: &MoveContext<'_>, moved: &mut MovedRun, lock: Lock, rules: PromotionRules) {
    let image = lock.image.clone();
    let turn = async |LockWithRules(lock, rules): &LockWithRules, moved: &mut MovedRun| {
        moved.state = lock.state_of(moved.run).unwrap_or(ImageState::Gold);
        for run in concerned(lock, moved.run, context::now()) {
            context.follow(lock, run, moved).await;
        }
        if let Some((gold, candidate)) = lock.gold.and_then(|gold| Some((gold, lock.candidate(gold)?))) {
            let mut amis = lock.amis(gold);
            amis.retain(|record| rules.covers(&record.ami.region, candidate));
            distribute(context.factory, &rules.image.distribution, &amis, moved).await;
        }
        elsewhere_is_a_note(lock, rules, moved);
    };
    let newer = async || newer(context, &image).await;
    let _followed = following::to_the_end(LockWithRules(lock, rules), moved, turn, newer).await;
}

/// What could not be done in a region that assay.hcl does not name any more holds nothing up.
fn elsewhere_is_a_note(lock: &Lock, rules: &PromotionRules, moved: &mut MovedRun) {
    let Some(gold) = lock.gold.and_then(|gold| lock.candidate(gold)) else { return };
    let elsewhere = moved.amis.iter().filter(|one| !rules.covers(&one.ami.region, gold));
    let elsewhere: Vec<String> = elsewhere.map(|one| format!("{}: ", one.ami)).collect();
    let is_elsewhere = |words: &String| elsewhere.iter().any(|ami| words.starts_with(ami));
    let (notes, missing): (Vec<String>, Vec<String>) = moved.missing.drain(..).partition(is_elsewhere);
    moved.missing = missing;
    moved.notes.extend(notes.into_iter().map(|words| format!("in a region that assay.hcl does not name: {words}")));
}

async fn newer(context: &MoveContext<'_>, image: &ImageName) -> Result<LockWithRules, PromotionError> {
    let books = LedgerSnapshot::open(&context.write.books).await?;
    Ok(LockWithRules(books.lock(image).await?, PromotionRules::read(context, &books, image).await?))
}

/// The run itself, what is gold, and what was moved together with either; what was gold shortly before, since whoever moved it may have been killed before the
/// tags; and what a revocation that was announced has reached meanwhile. Gold last, so that none is without its tags while another has them.
fn concerned(lock: &Lock, run: RunId, now: jiff::Timestamp) -> Vec<RunId> {
    let times: BTreeSet<&str> =
        [Some(run), lock.gold].into_iter().flatten().filter_map(|run| lock.gold_since(run)).collect();
    let mut runs: Vec<RunId> = Vec::new();
    let together = lock.entries.iter().filter(|entry| times.contains(entry.at.as_str())).map(|entry| entry.run);
    let before = lock.entries.iter().rev().filter(|entry| entry.state == ImageState::Gold).map(|entry| entry.run);
    let announced = lock.entries.iter().filter(|entry| entry.effective_at.is_some()).map(|entry| entry.run);
    let reached = announced.filter(|run| lock.is_revoked(*run, now));
    for one in reached.chain(before.take(RECENT)).chain(together).chain([run]).chain(lock.gold) {
        runs.retain(|known| *known != one);
        runs.push(one);
    }
    runs
}
