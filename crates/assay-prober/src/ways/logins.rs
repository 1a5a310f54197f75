//! Logins at a bastion, which others share. It owns how many are tried at once, and that what the bastion said once holds for all targets of a run: a login that
//! is refused stays refused (nothing at a bastion comes later with cloud-init), and servers shut out an address that goes on trying.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};

use crate::proto;

/// Logins at once, as soon as one has worked: fewer than sshd begins to drop by chance (MaxStartups 10:30:100).
const AT_ONCE: usize = 8;
/// After so many refusals in a row no further login is tried.
const REFUSALS: u32 = 2;
/// The pause after a refusal: one in five seconds never adds up (sshd_config, PerSourcePenalties).
const PAUSE: Duration = Duration::from_millis(5_200);
/// How long a bastion that could not be reached counts as such for those that wait.
const STILL: Duration = Duration::from_secs(2);

/// The logins at one bastion.
#[derive(Debug)]
pub(super) struct BastionLogins {
    places: Arc<Semaphore>,
    known: Mutex<LoginState>,
    pause: Duration,
    still: Duration,
}

#[derive(Debug, Default)]
struct LoginState {
    /// A login worked.
    proven: bool,
    /// Refusals since the last one that worked.
    refusals: u32,
    /// Why none is tried any more.
    given_up: Option<String>,
    /// Why the last one did not come about, and when that was.
    failed: Option<(Instant, String)>,
}

/// One login's turn. Dropped without a word of how it went it counts as not made.
#[derive(Debug)]
pub(super) struct LoginTurn<'a> {
    logins: &'a BastionLogins,
    place: OwnedSemaphorePermit,
}

impl BastionLogins {
    pub(super) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(1)), known: Mutex::default(), pause: PAUSE, still: STILL }
    }

    /// Waits for a turn. The error is what another target was told.
    pub(super) async fn turn(&self) -> Result<LoginTurn<'_>, proto::CarryEnd> {
        let ended = |reason: &str, hopeless| proto::CarryEnd { reason: reason.to_owned(), hopeless };
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| ended("no login is tried any more", true))?;
        let known = self.known();
        if let Some(why) = &known.given_up {
            return Err(ended(why, true));
        }
        match &known.failed {
            Some((when, why)) if when.elapsed() < self.still => Err(ended(why, false)),
            _ => Ok(LoginTurn { logins: self, place }),
        }
    }

    fn known(&self) -> MutexGuard<'_, LoginState> {
        // What is known is changed in single steps.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoginTurn<'_> {
    /// The login worked.
    pub(super) fn worked(self) {
        let mut known = self.logins.known();
        (known.refusals, known.failed) = (0, None);
        if !std::mem::replace(&mut known.proven, true) {
            self.logins.places.add_permits(AT_ONCE - 1);
        }
    }

    /// It did not. Returns what the target is told.
    pub(super) fn failed(self, failed: &proto::HopFailed, reason: String) -> proto::CarryEnd {
        if failed.onward {
            self.worked();
            return proto::CarryEnd { reason, hopeless: failed.hopeless };
        }
        let mut known = self.logins.known();
        if failed.refused {
            known.refusals += 1;
            let (place, pause) = (self.place, self.logins.pause);
            tokio::spawn(async move {
                sleep(pause).await;
                drop(place);
            });
        } else if !failed.hopeless && !known.proven {
            known.failed = Some((Instant::now(), reason.clone()));
        }
        if failed.hopeless || known.refusals >= REFUSALS {
            known.given_up = Some(reason.clone());
        }
        proto::CarryEnd { reason, hopeless: known.given_up.is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the long pauses.
    fn logins() -> BastionLogins {
        BastionLogins { pause: Duration::from_millis(50), still: Duration::from_millis(200), ..BastionLogins::new() }
    }

    fn refused() -> proto::HopFailed {
        proto::HopFailed { refused: true, ..proto::HopFailed::default() }
    }

    #[tokio::test]
    async fn two_refusals_end_it_for_every_target() {
        let logins = Arc::new(logins());
        let tried = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let targets = (0..100).map(|_| async {
            loop {
                let end = match logins.turn().await {
                    Ok(turn) => {
                        tried.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        turn.failed(&refused(), "login refused".to_owned())
                    }
                    Err(end) => end,
                };
                if end.hopeless {
                    return end.reason;
                }
                sleep(Duration::from_millis(5)).await;
            }
        });
        let ends = futures::future::join_all(targets).await;
        assert_eq!(tried.load(std::sync::atomic::Ordering::Relaxed), 2);
        assert!(ends.iter().all(|reason| reason == "login refused"));
    }

    #[tokio::test]
    async fn a_login_that_works_lets_others_in_and_forgets_refusals() {
        let logins = logins();
        let first = logins.turn().await.expect("free");
        assert!(logins.places.try_acquire().is_err(), "one at a time until it is proven");
        assert!(!first.failed(&refused(), "no".to_owned()).hopeless);
        logins.turn().await.expect("free after the pause").worked();
        assert_eq!(logins.places.available_permits(), AT_ONCE);
        let onward = proto::HopFailed { onward: true, ..proto::HopFailed::default() };
        for _ in 0..9 {
            assert!(!logins.turn().await.expect("free").failed(&onward, "the target".to_owned()).hopeless);
        }
        assert!(!logins.turn().await.expect("free").failed(&refused(), "no".to_owned()).hopeless, "the first since");
    }

    #[tokio::test]
    async fn a_bastion_that_is_not_there_is_asked_for_all_who_wait() {
        let logins = logins();
        let failed = proto::HopFailed::default();
        let end = logins.turn().await.expect("free").failed(&failed, "connection refused".to_owned());
        assert!(!end.hopeless);
        assert_eq!(logins.turn().await.expect_err("known").reason, "connection refused");
        sleep(logins.still).await;
        assert!(logins.turn().await.is_ok(), "and tried again later");
    }
}
