//! Where moves are made from: the cloud, the books, and in whose name. It owns what all moves share; it refuses to know any of them.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;

use super::outcome::{LockChange, MovedRun, PromotionError};
use crate::test_run::EventSender;
use assay_aws::{cloud::CloudFactory, registry};
use assay_config::promotion_request::LedgerOptions;
use assay_ledger as ledger;
use assay_ledger::{
    BooksRequest, GitEnvironment, LedgerEdit, LedgerSnapshot, NewTag, RacePatience, WriteRequest, WrittenChange,
    lock_commit, lock_file, lock_tag,
};
use assay_model::{ImageName, ImageState, RunId, lock::Lock, lock::LockEntry};

/// How long copies may take, and how often they are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct CopyPace {
    /// Until all of them are available.
    pub patience: Duration,
    /// Between two looks.
    pub pause: Duration,
}

/// EC2 copies some GiB a minute, and a first copy to a region or with another key can take an hour.
const COPIES: CopyPace = CopyPace { patience: Duration::from_secs(2 * 3600), pause: Duration::from_secs(10) };

/// See the module.
pub(super) struct MoveContext<'a> {
    pub factory: &'a dyn CloudFactory,
    pub environment: &'a GitEnvironment,
    pub events: &'a EventSender,
    /// assay.hcl on disk, and from the root of the repository.
    pub config: PathBuf,
    pub config_path: String,
    pub write: WriteRequest,
    /// Who asks: a CI job's URL or a person.
    pub by: String,
    pub reason: Option<String>,
    pub copies: CopyPace,
}

impl<'a> MoveContext<'a> {
    /// Learns who works here and where assay.hcl lies. Fails where there is no repository.
    pub(super) async fn open(
        asked: &LedgerOptions,
        factory: &'a dyn CloudFactory,
        environment: &'a GitEnvironment,
        events: &'a EventSender,
    ) -> Result<Self, PromotionError> {
        let folder = asked.config.parent().map_or_else(|| PathBuf::from("."), std::path::Path::to_owned);
        let config_path = ledger::path_in_repository(&asked.config, environment).await?;
        let by = ledger::actor(&folder, environment).await;
        let books = BooksRequest {
            folder,
            branch: asked.git.branch.clone(),
            remote: asked.git.remote.clone(),
            environment: environment.clone(),
        };
        let open_branch = asked.open_branch.clone();
        Ok(Self {
            factory,
            environment,
            events,
            config: asked.config.clone(),
            config_path,
            write: WriteRequest { books, open_branch, patience: RacePatience::default() },
            by,
            reason: asked.reason.clone(),
            copies: COPIES,
        })
    }

    /// The protected branch.
    pub(super) fn branch(&self) -> &str {
        &self.write.books.branch
    }

    /// The books whose rules hold. With an open branch the edit may go on top of what others pushed there: rules are read from the protected branch all the same.
    pub(super) async fn law(&self, books: &LedgerSnapshot) -> Result<LedgerSnapshot, PromotionError> {
        match self.write.open_branch {
            Some(_) => Ok(LedgerSnapshot::open(&self.write.books).await?),
            None => Ok(books.clone()),
        }
    }

    /// An entry of now; `reason` where the user gave none.
    pub(super) fn entry(&self, run: RunId, state: ImageState, at: Timestamp, reason: &str) -> LockEntry {
        LockEntry {
            run,
            state,
            by: self.by.clone(),
            at: at.to_string(),
            reason: self.reason.clone().unwrap_or_else(|| reason.to_owned()),
            evidence: None,
            effective_at: None,
            previous: None,
            candidate: None,
            copies: Vec::new(),
        }
    }

    /// The edit that the moves from `before` on amount to, in the order of `first` (the run that the commit is about) and the rest: `lock` holds them already.
    pub(super) fn edit(
        lock: &Lock,
        before: usize,
        first: RunId,
        mut files: Vec<(String, Option<Vec<u8>>)>,
    ) -> LedgerEdit {
        let mut moves: Vec<LockEntry> = lock.entries[before..].to_vec();
        moves.sort_by_key(|entry| entry.run != first);
        files.push((lock_file::path(&lock.image), Some(lock_file::write(lock).into_bytes())));
        let mut tags = due_tags(&lock.entries[..before], lock, first);
        tags.extend(moves.iter().filter(|entry| entry.run == first).map(|entry| lock_tag(lock, entry)));
        LedgerEdit { files, message: lock_commit(lock, &moves), tags, earlier_tags: all_tags(lock) }
    }

    /// An edit that changes nothing, but makes up for tags of a run that the remote lacks.
    pub(super) fn tags_alone(lock: &Lock, run: RunId) -> LedgerEdit {
        LedgerEdit { tags: due_tags(&lock.entries, lock, run), earlier_tags: all_tags(lock), ..LedgerEdit::default() }
    }

    /// With an open branch: the protected branch's own lock, where it `holds` the move already, so that the cloud may follow it. The run's tags, which belong to
    /// the protected branch, are made then.
    pub(super) async fn merged(
        &self,
        moved: &mut MovedRun,
        holds: impl Fn(&Lock) -> bool,
    ) -> Result<Option<Lock>, PromotionError> {
        let lock = LedgerSnapshot::open(&self.write.books).await?.lock(&moved.image).await?;
        if !holds(&lock) {
            return Ok(None);
        }
        let request = WriteRequest { open_branch: None, ..self.write.clone() };
        let tags = Self::tags_alone(&lock, moved.run);
        ledger::books::write(&request, async |_: &LedgerSnapshot| Ok::<_, PromotionError>(tags.clone())).await?;
        moved.change = LockChange::Already;
        Ok(Some(lock))
    }

    /// What is to be told after `written`, with nothing settled yet.
    pub(super) fn told(&self, image: &ImageName, run: RunId, state: ImageState, written: WrittenChange) -> MovedRun {
        // What an open branch says does not hold yet, however often it was said.
        let change = match self.write.open_branch {
            Some(_) => LockChange::Proposed,
            // Tags alone are no move.
            None if written.files.is_empty() => LockChange::Already,
            None => LockChange::Made,
        };
        let notes = written.warnings.clone();
        MovedRun {
            image: image.clone(),
            run,
            state,
            change,
            written,
            amis: Vec::new(),
            copied: Vec::new(),
            done: Vec::new(),
            notes,
            missing: Vec::new(),
        }
    }

    /// Lets the registry follow the lock for one run.
    pub(super) async fn follow(&self, lock: &Lock, run: RunId, moved: &mut MovedRun) {
        let repaired = registry::repair_run(self.factory, lock, run, now()).await;
        for one in repaired.iter().filter(|one| !one.changed.is_empty()) {
            self.events.note(format!("{}: {}", one.ami, one.changed.join(", ")));
        }
        moved.settled(run, repaired);
    }
}

/// The annotated tags that some `entries` of a run ask for.
fn due_tags(entries: &[LockEntry], lock: &Lock, run: RunId) -> Vec<NewTag> {
    let tagged = entries.iter().filter(|entry| entry.run == run && ledger::verify::is_tagged(entry.state));
    tagged.map(|entry| lock_tag(lock, entry)).collect()
}

/// The annotated tags that all entries ask for, of whatever run: a tag that is lost comes back with any write of the image.
fn all_tags(lock: &Lock) -> Vec<NewTag> {
    let tagged = lock.entries.iter().filter(|entry| ledger::verify::is_tagged(entry.state));
    tagged.map(|entry| lock_tag(lock, entry)).collect()
}

/// The time of a commit on top of `lock`: now, and later than all that the lock holds, whatever the clocks of others said. Moves of one commit are known by it.
pub(super) fn moment(lock: &Lock) -> Timestamp {
    let last = lock.entries.iter().filter_map(|entry| entry.at.parse::<Timestamp>().ok()).max();
    let next = last.and_then(|last| last.checked_add(jiff::SignedDuration::from_secs(1)).ok());
    next.map_or_else(now, |next| next.max(now()))
}

/// The time, to the second.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
