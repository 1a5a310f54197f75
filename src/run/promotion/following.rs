//! Letting the cloud follow the lock to the end: once, and again for as long as the lock moved meanwhile, so that the last word is the lock's and not the slowest
//! writer's. It owns that loop; what one turn writes is the caller's.

use super::{
    desk::Desk,
    outcome::{Moved, PromotionError},
};
use crate::{
    ledger::Books,
    model::{RunId, cause::chain, lock::Lock},
};

/// How often a lock may move under one writer before that is said instead.
const MOST_TURNS: usize = 5;

/// What is followed: a lock, and what else a turn needs of the same books.
pub trait Followed: Sized {
    /// The lock.
    fn lock(&self) -> &Lock;
}

impl Followed for Lock {
    fn lock(&self) -> &Lock {
        self
    }
}

/// Makes `turn`s until the lock, as `newer` reads it, is the one that was followed; returns what was followed last. What stands in the way is in `moved.missing`.
pub async fn to_the_end<T: Followed>(
    mut what: T,
    moved: &mut Moved,
    turn: impl AsyncFn(&T, &mut Moved),
    newer: impl AsyncFn() -> Result<T, PromotionError>,
) -> T {
    for _ in 0..MOST_TURNS {
        moved.missing.clear();
        moved.amis.clear();
        turn(&what, moved).await;
        match newer().await {
            Ok(now) if now.lock() == what.lock() => return what,
            Ok(now) => what = now,
            Err(error) => {
                moved.missing.push(format!("whether the lock moved meanwhile: {}", chain(&error)));
                return what;
            }
        }
        moved.notes.push(format!("the lock of {} moved while this went on; tags follow it", what.lock().image));
    }
    moved.missing.push("the lock moves faster than tags can follow".to_owned());
    what
}

/// [`to_the_end`] for the tags of one run.
pub async fn run_to_the_end(desk: &Desk<'_>, lock: Lock, run: RunId, moved: &mut Moved) -> Lock {
    let image = lock.image.clone();
    let turn = async |lock: &Lock, moved: &mut Moved| desk.follow(lock, run, moved).await;
    let newer = async || Ok(Books::open(&desk.write.books).await?.lock(&image).await?);
    to_the_end(lock, moved, turn, newer).await
}
