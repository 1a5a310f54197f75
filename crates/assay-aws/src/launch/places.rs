//! How many instances may be alive at once. It owns the counting; which target waits for a place, and when an instance gives its own back, is `fleet`'s business.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The right to have one instance alive; given back when it is dropped.
#[derive(Debug)]
pub(super) struct InstanceSlot(OwnedSemaphorePermit);

/// Every place stays taken for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoneLeft;

/// The places of one fleet. Targets get them in the order in which they ask.
#[derive(Debug)]
pub(super) struct InstanceSlots {
    free: Arc<Semaphore>,
    usable: AtomicUsize,
}

impl InstanceSlots {
    /// `count` places; at least one.
    pub(super) fn new(count: usize) -> Self {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(count)), usable: AtomicUsize::new(count) }
    }

    /// Waits for a place. Fails when none will ever come free again.
    pub(super) async fn take(&self) -> Result<InstanceSlot, NoneLeft> {
        self.free.clone().acquire_owned().await.map(InstanceSlot).map_err(|_closed| NoneLeft)
    }

    /// A place that is never given back: something may be alive in it that we could not end. With the last one gone nobody waits any longer.
    pub(super) fn lose(&self, place: InstanceSlot) {
        place.0.forget();
        if self.usable.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.free.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lost_places_are_not_given_again_and_the_last_one_ends_the_waiting() {
        let places = InstanceSlots::new(2);
        let (first, second) = (places.take().await.expect("a place"), places.take().await.expect("a place"));
        assert!(futures::poll!(Box::pin(places.take())).is_pending(), "no third one");
        drop(first);
        let third = places.take().await.expect("given back");
        places.lose(second);
        let mut waiting = Box::pin(places.take());
        assert!(futures::poll!(&mut waiting).is_pending());
        places.lose(third);
        assert_eq!(waiting.await.map(drop), Err(NoneLeft));
        assert!(InstanceSlots::new(0).take().await.is_ok());
    }
}
