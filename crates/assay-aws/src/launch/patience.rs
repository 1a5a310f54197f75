//! How long and how often a call is made again. It owns the pace and the retry of calls in general; what is called, and what an error means, is its users' business.

use std::{future::Future, time::Duration};

use rand_core::RngCore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::target::CreateOutcome;
use crate::cloud::{CloudErrorKind, CloudResult};

/// How fast to ask. Tests ask faster.
#[derive(Debug, Clone, Copy)]
pub(super) struct PollPace {
    /// How long a thing just created may remain invisible to the calls that use it.
    pub(super) visibility: Duration,
    /// The pause before a call is made again; it doubles.
    pub(super) first_pause: Duration,
    /// Up to here.
    pub(super) longest_pause: Duration,
    /// The pause before the first look at launched instances; it grows.
    pub(super) first_look: Duration,
    /// Up to here.
    pub(super) longest_look: Duration,
    /// Up to here while EC2 throttles.
    pub(super) longest_throttled: Duration,
}

impl Default for PollPace {
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(8),
            first_look: Duration::from_millis(300),
            longest_look: Duration::from_secs(2),
            longest_throttled: Duration::from_secs(15),
        }
    }
}

/// The patience with one piece of work.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryPolicy<'a> {
    pub(super) pace: PollPace,
    /// Ends all trying again.
    pub(super) cancel: &'a CancellationToken,
    /// When to stop trying.
    pub(super) deadline: Instant,
}

impl RetryPolicy<'_> {
    /// Makes a call until it is answered, with growing pauses: throttling, silence, and errors of the kinds in `also` (those for
    /// [`PollPace::visibility`] at most) are tried again until the deadline or a cancellation. A call that was begun is always waited for.
    pub(super) async fn insist<T, F>(&self, also: &[CloudErrorKind], mut call: impl FnMut() -> F) -> CreateOutcome<T>
    where
        F: Future<Output = CloudResult<T>>,
    {
        let (mut ambiguous, mut pause) = (false, self.pace.first_pause);
        let visible_by = Instant::now() + self.pace.visibility;
        loop {
            let answer = call().await;
            let Err(error) = &answer else { return CreateOutcome { answer, ambiguous } };
            let kind = error.kind;
            let again = kind.may_pass() || (also.contains(&kind) && Instant::now() < visible_by);
            if !again || Instant::now() + pause >= self.deadline || !self.pause(jittered(pause)).await {
                return CreateOutcome { answer, ambiguous };
            }
            ambiguous |= kind == CloudErrorKind::Unknown;
            pause = (pause * 2).min(self.pace.longest_pause);
        }
    }

    /// Waits; false when the work was cancelled meanwhile.
    pub(super) async fn pause(&self, length: Duration) -> bool {
        tokio::select! {
            () = self.cancel.cancelled() => false,
            () = tokio::time::sleep(length) => true,
        }
    }
}

/// Between the length and half as much again, so that regions and processes do not ask in step.
pub(super) fn jittered(length: Duration) -> Duration {
    length + length.mul_f64(f64::from(rand_core::OsRng.next_u32()) / f64::from(u32::MAX) / 2.0)
}
