//! The record of our own deregistration protections: a journal of its own, since it must be written before the run knows its account and must outlive the
//! instances' record. It owns "noted before it is turned on, struck out after it is off"; it refuses to be a reason not to protect.

use std::path::Path;

use super::event::EventSender;
use assay_aws::{
    cloud::{Cloud, CloudError, CloudErrorKind, CloudImage},
    journal::{self, Journal, JournalError},
    registry::{self, ProtectionOrigin},
};
use assay_model::{AmiRef, RunId};

/// The record of one run's protections; empty where the run protects nothing.
pub(super) struct ProtectionRecord {
    journal: Option<Journal>,
}

impl ProtectionRecord {
    /// For a run that turns no protection on.
    pub(super) fn none() -> Self {
        Self { journal: None }
    }

    /// A new record in the user's state folder. Where none can be made, that is warned of, and the AMIs are protected without it: losing an AMI is
    /// worse than losing the note about it.
    pub(super) fn open(run: RunId, events: &EventSender) -> Self {
        match journal::default_root() {
            Ok(root) => Self::open_at(&root, run, events),
            Err(error) => Self::unrecorded(&error, events),
        }
    }

    pub(super) fn open_at(root: &Path, run: RunId, events: &EventSender) -> Self {
        match Journal::create(root, run, None) {
            Ok(journal) => Self { journal: Some(journal) },
            Err(error) => Self::unrecorded(&error, events),
        }
    }

    fn unrecorded(error: &JournalError, events: &EventSender) -> Self {
        events.warn(format!("AMIs are protected without a record of it: {error}"));
        Self::none()
    }

    /// Turns protection on, noted first. `image`: what EC2 said of the AMI; absent where it could not be described, and then it is protected
    /// all the same (a failing API must not cost the AMI). Fails with EC2's answer.
    pub(super) async fn protect(
        &self,
        cloud: &dyn Cloud,
        ami: &AmiRef,
        image: Option<&CloudImage>,
    ) -> Result<ProtectionOrigin, CloudError> {
        if image.is_some_and(|image| image.deregistration_protected) {
            return Ok(ProtectionOrigin::Before);
        }
        self.note(|journal| journal.protecting(ami));
        let turned_on = match image {
            Some(image) => registry::protect(cloud, image).await,
            None => cloud.enable_deregistration_protection(&ami.id).await.map(|()| ProtectionOrigin::Ours),
        };
        // A lost answer may be a done call: its note stays.
        if turned_on.as_ref().is_err_and(|error| error.kind != CloudErrorKind::Unknown) {
            self.note(|journal| journal.unprotected(ami));
        }
        turned_on
    }

    /// Turns our own protection off, struck out of the record when EC2 has done it. Fails with EC2's answer.
    pub(super) async fn lift(&self, cloud: &dyn Cloud, ami: &AmiRef, image: &CloudImage) -> Result<(), CloudError> {
        registry::release(cloud, image, ProtectionOrigin::Ours).await?;
        self.note(|journal| journal.unprotected(ami));
        Ok(())
    }

    /// Ends the record; it is removed where none of our protections is left.
    pub(super) fn close(self) {
        self.note(Journal::close);
    }

    fn note(&self, write: impl FnOnce(&Journal) -> Result<(), JournalError>) {
        if let Some(Err(error)) = self.journal.as_ref().map(write) {
            tracing::warn!(%error, "the record of protections is not complete");
        }
    }
}
