//! What one client may have of a server at once. It owns the count of targets under test (and of connections) by client; one target more waits for a bounded
//! time, so that a fleet larger than the limit is tested and not refused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The bounds on what a client may ask.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// Targets of one client under test at once.
    pub targets: usize,
    /// Checks (properties) in one request.
    pub checks: usize,
    /// The time for one target.
    pub time: Duration,
    /// How long a client may take nothing of what it asked for.
    pub patience: Duration,
    /// How long running probes may go on after SIGTERM.
    pub drain: Duration,
}

/// The places of every client.
#[derive(Debug)]
pub(super) struct ClientQuotas {
    each: usize,
    /// As many as there are allowed names.
    of: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl ClientQuotas {
    pub(super) fn new(each: usize) -> Self {
        Self { each, of: Mutex::default() }
    }

    /// A place for one more target of `client`, waited for at most so long. It is free again when the place is dropped.
    pub(super) async fn place(&self, client: &str, wait: Duration) -> Result<OwnedSemaphorePermit, String> {
        match timeout(wait, self.places(client).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(format!(
                "{client} has {} targets under test already, which is the limit (--max-targets)",
                self.each
            )),
        }
    }

    /// A place that is free now.
    pub(super) fn place_now(&self, client: &str) -> Option<OwnedSemaphorePermit> {
        self.places(client).try_acquire_owned().ok()
    }

    fn places(&self, client: &str) -> Arc<Semaphore> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(of.entry(client.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.each))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_client_has_its_own_places() {
        let quotas = ClientQuotas::new(2);
        let wait = Duration::from_millis(10);
        let first = quotas.place("a", wait).await.expect("free");
        let _second = quotas.place("a", wait).await.expect("free");
        assert!(quotas.place("a", wait).await.expect_err("full").contains("--max-targets"));
        let _other = quotas.place("b", wait).await.expect("another client's");
        drop(first);
        let _again = quotas.place("a", wait).await.expect("free again");
    }
}
