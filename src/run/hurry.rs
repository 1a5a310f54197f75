//! Patience that ends with a cancel: the calls before and after the examination are worth finishing, but nobody waits a minute for them once the run is
//! cancelled. It owns that bound.

use std::{future::Future, time::Duration};

use tokio_util::sync::CancellationToken;

/// How long a call may still take after a cancel.
const GRACE: Duration = Duration::from_secs(6);

/// Runs `work` to its end; after a cancel only for a few seconds more. `None`: it was given up.
pub async fn bounded<T>(cancel: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = grace(cancel) => None,
    }
}

async fn grace(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_cancel_leaves_a_few_seconds() {
        let cancel = CancellationToken::new();
        assert_eq!(bounded(&cancel, async { 1 }).await, Some(1));
        cancel.cancel();
        assert_eq!(bounded(&cancel, async { 2 }).await, Some(2), "what is done is not thrown away");
        assert_eq!(bounded(&cancel, std::future::pending::<()>()).await, None);
    }
}
