//! Letting the cloud follow the lock to the end: once, and again for as long as the lock moved meanwhile, so that the last word is the lock's and not the slowest
//! writer's. It owns that loop; what one turn writes is the caller's.

use std::time::Duration;

use super::{
    context::MoveContext,
    outcome::{MovedRun, PromotionError},
};
use assay_ledger::LedgerSnapshot;
use assay_model::{
    RunId,
    cause::chain,
    history::{NextLock, next_lock},
    lock::Lock,
};

/// How often a lock may move under one writer before that is said instead.
const MOST_TURNS: usize = 5;
/// How often, and after which pauses, a lock is looked at again that is older than the one that was followed: reads may come from a mirror that lags behind pushes.
const LOOKS_AGAIN: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// What is followed: a lock, and what else a turn needs of the same books.
pub(super) trait FollowedLock: Sized {
    /// The lock.
    fn lock(&self) -> &Lock;
}

impl FollowedLock for Lock {
    fn lock(&self) -> &Lock {
        self
    }
}

/// Makes `turn`s until the lock, as `newer` reads it, is the one that was followed; returns what was followed last. A lock that is older than that is never followed. What stands in
/// the way is in `moved.missing`.
pub(super) async fn to_the_end<T: FollowedLock>(
    mut what: T,
    moved: &mut MovedRun,
    turn: impl AsyncFn(&T, &mut MovedRun),
    newer: impl AsyncFn() -> Result<T, PromotionError>,
) -> T {
    for _ in 0..MOST_TURNS {
        moved.missing.clear();
        moved.amis.clear();
        turn(&what, moved).await;
        match next(&what, &newer).await {
            Ok(None) => return what,
            Ok(Some(now)) => what = now,
            Err(why) => {
                moved.missing.push(format!("whether the lock moved meanwhile: {why}"));
                return what;
            }
        }
        moved.notes.push(format!("the lock of {} moved while this went on; tags follow it", what.lock().image));
    }
    moved.missing.push("the lock keeps changing; run the command again".to_owned());
    what
}

/// The lock that goes on from the one that was followed; none: that one still holds. `Err` says in words why nobody can tell.
async fn next<T: FollowedLock>(
    what: &T,
    newer: &impl AsyncFn() -> Result<T, PromotionError>,
) -> Result<Option<T>, String> {
    let mut pauses = LOOKS_AGAIN.iter();
    loop {
        let now = newer().await.map_err(|error| chain(&error))?;
        match next_lock(&what.lock().entries, &now.lock().entries) {
            NextLock::Done => return Ok(None),
            NextLock::Follow => return Ok(Some(now)),
            NextLock::Refuse => {
                return Err(
                    "the lock was rewritten: it does not continue the lock that was read before: look at the branch's history"
                        .to_owned(),
                );
            }
            NextLock::LookAgain => match pauses.next() {
                Some(pause) => tokio::time::sleep(pause_of(*pause)).await,
                None => {
                    return Err(
                        "the remote shows an older lock than was pushed (a mirror that lags behind?); that one is not followed"
                            .to_owned(),
                    );
                }
            },
        }
    }
}

/// Tests do not wait.
fn pause_of(pause: Duration) -> Duration {
    if cfg!(test) { Duration::from_millis(1) } else { pause }
}

/// [`to_the_end`] for the tags of one run.
pub(super) async fn run_to_the_end(context: &MoveContext<'_>, lock: Lock, run: RunId, moved: &mut MovedRun) -> Lock {
    let image = lock.image.clone();
    let turn = async |lock: &Lock, moved: &mut MovedRun| context.follow(lock, run, moved).await;
    let newer = async || Ok(LedgerSnapshot::open(&context.write.books).await?.lock(&image).await?);
    to_the_end(lock, moved, turn, newer).await
}
