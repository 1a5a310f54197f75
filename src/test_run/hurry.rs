//! Patience that ends with a cancel: the calls before and after the examination are worth finishing, but nobody waits a minute for them once the run is
//! cancelled. It owns that bound.

use std::{future::Future, time::Duration};

use tokio_util::sync::CancellationToken;

/// How long a call may still take after a cancel.
const GRACE: Duration = Duration::from_secs(6);

/// Runs `work` to its end; after a cancel only for a few seconds more. `None`: it was given up.
pub(super) async fn bounded<T>(cancel: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    within(GRACE, cancel, work).await
}

async fn within<T>(grace: Duration, cancel: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = async { cancel.cancelled().await; tokio::time::sleep(grace).await } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cancel_leaves_a_moment_and_no_more() {
        let (cancel, grace) = (CancellationToken::new(), Duration::from_millis(10));
        assert_eq!(within(grace, &cancel, async { 1 }).await, Some(1));
        cancel.cancel();
        assert_eq!(within(grace, &cancel, async { 2 }).await, Some(2), "what is done is not thrown away");
        assert_eq!(within(grace, &cancel, std::future::pending::<()>()).await, None);
    }
}
