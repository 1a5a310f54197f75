//! The protected branch's word of this moment, for the time between looking and doing. It owns that a branch which did not move is not read again, and that a read which is behind what was
//! read before counts for nothing.

use std::sync::Arc;

use futures::{FutureExt as _, future::LocalBoxFuture};
use tokio::sync::Mutex;

use super::record::RecordedImages;
use assay_ledger::{BooksRequest, LedgerError, LedgerSnapshot};
use assay_model::cause::chain;

/// Who can say what the protected branch says now.
pub(super) trait LatestRecord: Send + Sync {
    /// The record as it is now; `Err` says in words why it is not known.
    fn latest(&self) -> LocalBoxFuture<'_, Result<Arc<RecordedImages>, String>>;
}

/// The branch at its remote.
pub(super) struct BranchRecord {
    request: BooksRequest,
    /// The commit that was read last, and what it says.
    read: Mutex<(String, Arc<RecordedImages>)>,
}

impl BranchRecord {
    /// Reads it for the first time. Fails where it cannot be read.
    pub(super) async fn open(request: BooksRequest) -> Result<Self, LedgerError> {
        let books = LedgerSnapshot::open(&request).await?;
        let record = Arc::new(RecordedImages::read(&books).await?);
        Ok(Self { request, read: Mutex::new((books.commit().to_owned(), record)) })
    }

    async fn again(&self) -> Result<Arc<RecordedImages>, String> {
        let mut read = self.read.lock().await;
        let books = LedgerSnapshot::open(&self.request).await.map_err(|error| chain(&error))?;
        if books.commit() != read.0 {
            let record = Arc::new(RecordedImages::read(&books).await.map_err(|error| chain(&error))?);
            if !record.goes_on_from(&read.1) {
                return Err("the remote shows an older lock than before (a mirror that lags behind?)".to_owned());
            }
            *read = (books.commit().to_owned(), record);
        }
        Ok(read.1.clone())
    }
}

impl LatestRecord for BranchRecord {
    fn latest(&self) -> LocalBoxFuture<'_, Result<Arc<RecordedImages>, String>> {
        self.again().boxed_local()
    }
}
