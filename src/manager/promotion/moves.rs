//! Reject, retire, revoke and rollback: moves that need a reason and no evidence. It owns which of them is legal for which run, and that a run which still waits as a candidate
//! file is moved into the lock with it; it refuses to take gold away without a replacement, but for a revocation by force.

use futures::future::join_all;
use jiff::Timestamp;

use super::{
    context::{self, MoveContext},
    following,
    gold::{self, GoldMove},
    outcome::{MovedRun, PromotionError},
    rules::PromotionRules,
    vetting,
};
use assay_aws::cloud::CloudErrorKind;
use assay_config::promotion_request::RunMove;
use assay_ledger as ledger;
use assay_ledger::{LedgerEdit, LedgerSnapshot, candidate_file, lock_file};
use assay_model::{
    ImageName, ImageState, RunId,
    history::{ImageHistory, RollbackMove},
    lock::{Lock, LockEntry},
};

/// Makes the move.
pub(super) async fn make(
    context: &MoveContext<'_>,
    image: &ImageName,
    what: RunMove,
) -> Result<MovedRun, PromotionError> {
    let asked = match what {
        RunMove::Rollback { run } => return rollback(context, image, run).await,
        RunMove::Reject { run, .. } => AskedMove { run, to: ImageState::Rejected, at: None, force: false },
        RunMove::Retire { run } => AskedMove { run, to: ImageState::Retired, at: None, force: false },
        RunMove::Revoke { run, at, force } => AskedMove { run, to: ImageState::Revoked, at, force },
    };
    let run = asked.run;
    let mut after = Lock::new(image.clone());
    let mut was_gold = false;
    let edit = async |books: &LedgerSnapshot| {
        let before = books.lock(image).await?;
        was_gold = before.gold == Some(run);
        let (edit, lock) = edit(context, books, before, asked).await?;
        after = lock;
        Ok(edit)
    };
    let written = ledger::books::write(&context.write, edit).await?;
    let mut moved = context.told(image, run, asked.to, written);
    if was_gold {
        moved.notes.push(format!(
            "image {image} has no gold now; projections and SSM parameters still name {run}: promote another run, or assay rollback --image {image}"
        ));
    }
    if context.write.open_branch.is_some() {
        match context.merged(&mut moved, |lock| asked.is_done(lock)).await? {
            Some(lock) => after = lock,
            None => return Ok(moved),
        }
    }
    let after = following::run_to_the_end(context, after, run, &mut moved).await;
    if matches!(what, RunMove::Reject { release: true, .. }) {
        release(context, &after, run, &mut moved).await;
    }
    Ok(moved)
}

/// A move by name.
#[derive(Debug, Clone, Copy)]
struct AskedMove {
    run: RunId,
    to: ImageState,
    at: Option<Timestamp>,
    force: bool,
}

impl AskedMove {
    /// Whether the lock says so already; a revocation that holds needs no further one.
    fn is_done(&self, lock: &Lock) -> bool {
        let effective_at = self.at.map(|at| at.to_string());
        let says = |last: &LockEntry| last.state == self.to && last.effective_at == effective_at;
        let now = context::now();
        let holds =
            self.to == ImageState::Revoked && lock.is_revoked(self.run, now) && self.at.is_none_or(|at| at <= now);
        holds || lock.last(self.run).is_some_and(says)
    }
}

async fn edit(
    context: &MoveContext<'_>,
    books: &LedgerSnapshot,
    mut lock: Lock,
    asked: AskedMove,
) -> Result<(LedgerEdit, Lock), PromotionError> {
    let AskedMove { run, to, at, force } = asked;
    let image = lock.image.clone();
    let effective_at = at.map(|at| at.to_string());
    let (state, waiting) = match lock.state_of(run) {
        Some(state) => (state, None),
        None => {
            // Who may push the open branch could have written the file there.
            let candidate = vetting::waiting(&context.law(books).await?, &image, run).await?;
            (candidate.state, Some(candidate))
        }
    };
    if asked.is_done(&lock) {
        return Ok((LedgerEdit::default(), lock));
    }
    if lock.gold == Some(run) && !(to == ImageState::Revoked && force) {
        let cure = match to {
            ImageState::Revoked => "promote another run first, or revoke it with --force: then nothing is gold",
            _ => "promote another run first, or go back: assay rollback",
        };
        return Err(PromotionError::refused(&image, run, format!("run {run}"), format!("is gold; {cure}")));
    }
    let now = context::now();
    if to == ImageState::Revoked && lock.is_revoked(run, now) {
        let why = "is already revoked; the revocation cannot be postponed";
        return Err(PromotionError::refused(&image, run, format!("run {run}"), why));
    }
    let by_force = lock.gold == Some(run) || state == to;
    if let Err(illegal) = ImageState::may_move(Some(state), to)
        && !by_force
    {
        return Err(PromotionError::refused(&image, run, format!("run {run}"), illegal.to_string()));
    }
    let before = lock.entries.len();
    let mut entry = context.entry(run, to, context::moment(&lock), to.as_str());
    entry.effective_at = effective_at;
    let mut files = Vec::new();
    if let Some(candidate) = waiting {
        files.push((candidate_file::path(&candidate), None));
        entry.candidate = Some(candidate);
    }
    if lock.gold == Some(run) {
        lock.gold = None;
    }
    lock_file::append(&mut lock, entry);
    Ok((MoveContext::edit(&lock, before, run, files), lock))
}

/// Lifts protection from deregistration on every AMI of a rejected run.
async fn release(context: &MoveContext<'_>, lock: &Lock, run: RunId, moved: &mut MovedRun) {
    let amis = lock.amis(run);
    let lifted = join_all(amis.iter().map(|record| async move {
        let cloud = context.factory.region(&record.ami.region);
        let images = cloud.describe_images(std::slice::from_ref(&record.ami.id)).await?;
        if !images.first().is_some_and(|image| image.deregistration_protected) {
            return Ok(false);
        }
        cloud.disable_deregistration_protection(&record.ami.id).await.map(|()| true)
    }))
    .await;
    for (record, result) in amis.iter().zip(lifted) {
        match result {
            Ok(true) => moved.done.push(format!("{} may be deregistered", record.ami)),
            Ok(false) => {}
            Err(error) if error.kind == CloudErrorKind::NotFound => {}
            Err(error) => moved.missing.push(format!("lifting the protection of {}: {error}", record.ami)),
        }
    }
}

/// Brings back what was gold: `run`, else what was gold before gold first became gold. Asked again it says that it is done.
async fn rollback(
    context: &MoveContext<'_>,
    image: &ImageName,
    run: Option<RunId>,
) -> Result<MovedRun, PromotionError> {
    let books = LedgerSnapshot::open(&context.write.books).await?;
    let rules = PromotionRules::read(context, &books, image).await?;
    let lock = books.lock(image).await?;
    let (run, note) = match ImageHistory::of(&lock, &[]).rollback(run) {
        RollbackMove::To(run) => (run, None),
        RollbackMove::Already { run, further } => (run, further.map(|further| to_go_further(&lock, run, further))),
        RollbackMove::Refused(run, state) => return Err(cannot_come_back(&lock, run, state)),
        RollbackMove::Nothing => {
            let why = "no run that was gold is retired: there is nothing to go back to".to_owned();
            return Err(PromotionError::Nothing { image: image.clone(), why });
        }
    };
    let climb = GoldMove { run, rollback: true, named: true, reason: "rollback" };
    let mut moved = gold::climb(context, &books, &rules, &lock, climb).await?;
    moved.notes.extend(note);
    Ok(moved)
}

fn to_go_further(lock: &Lock, run: RunId, further: RunId) -> String {
    let image = &lock.image;
    let since = lock.gold_since(run).unwrap_or_default();
    format!(
        "a rollback brought {run} back at {since}; to go further back: assay rollback --image {image} --run {further}"
    )
}

fn cannot_come_back(lock: &Lock, run: RunId, state: Option<ImageState>) -> PromotionError {
    let why = match state {
        Some(ImageState::Retired) => "is retired, but was never gold".to_owned(),
        Some(state) => format!("is {state}; only a run that was gold and is retired can come back"),
        None => "is not in the lock".to_owned(),
    };
    PromotionError::refused(&lock.image, run, format!("run {run}"), why)
}
