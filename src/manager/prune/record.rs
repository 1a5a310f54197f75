//! What git says of AMIs: every lock and waiting candidate of the protected branch. It owns the look-ups that pruning needs; it refuses to read a work tree,
//! where a pull request could have written that nothing is gold.

use std::collections::BTreeMap;

use jiff::Timestamp;

use assay_ledger::{LedgerError, LedgerSnapshot, UnreadableFile};
use assay_model::{
    AmiId, AmiRecord, AmiRef, Architecture, Candidate, ImageName, ImageState, Region, RunId,
    history::{ImageHistory, LockOrder, lock_order},
    lock::Lock,
};

/// The books of the protected branch, as far as they name AMIs.
#[derive(Debug, Clone, Default)]
pub(crate) struct RecordedImages {
    locks: BTreeMap<ImageName, Lock>,
    waiting: BTreeMap<ImageName, Vec<Candidate>>,
    /// Files that cannot be read, each with its image and whether it is the lock.
    unreadable: Vec<(ImageName, bool, UnreadableFile)>,
}

impl RecordedImages {
    /// Reads all of it. A file that cannot be read keeps what it might speak for, and no more: see [`Self::unaccounted`].
    pub(crate) async fn read(books: &LedgerSnapshot) -> Result<Self, LedgerError> {
        let mut record = Self::default();
        for files in books.images().await? {
            let lock = files.lock.unwrap_or_else(|file| {
                record.unreadable.push((files.image.clone(), true, file));
                Lock::new(files.image.clone())
            });
            let lost = files.candidates.unreadable.into_iter().map(|file| (files.image.clone(), false, file));
            record.unreadable.extend(lost);
            record.add(lock, files.candidates.candidates);
        }
        Ok(record)
    }

    /// What could not be read, in words.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = String> {
        self.unreadable.iter().map(|(_, _, file)| format!("{file}; what it may speak for is kept"))
    }

    /// Why git may say more of an AMI than is known: a file that cannot be read is the lock of its image, or the candidate file of its run, or of no run by its name,
    /// or its text names the AMI. `image` and `run`: what its tags say.
    pub(crate) fn unaccounted(&self, ami: &AmiRef, image: Option<&ImageName>, run: Option<RunId>) -> Option<String> {
        let recorded = self.ami(ami).is_some();
        let speaks_for = |(of, is_lock, file): &&(ImageName, bool, UnreadableFile)| {
            let by_name = Some(of) == image
                && (*is_lock || (!recorded && (file.run().is_none() || run.is_none() || file.run() == run)));
            by_name || file.mentions(&ami.id)
        };
        let (_, _, file) = self.unreadable.iter().find(speaks_for)?;
        Some(format!("git may say more of it: {} cannot be read", file.error))
    }

    /// Adds what is said of one image.
    pub(crate) fn add(&mut self, lock: Lock, waiting: Vec<Candidate>) {
        self.waiting.insert(lock.image.clone(), waiting);
        self.locks.insert(lock.image.clone(), lock);
    }

    /// The state of a run: the lock's, else that of the candidate that waits.
    pub(crate) fn state(&self, image: &ImageName, run: RunId) -> Option<ImageState> {
        let locked = self.locks.get(image).and_then(|lock| lock.state_of(run));
        locked.or_else(|| self.candidate(image, run).map(|candidate| candidate.state))
    }

    /// When the lock last moved a run.
    pub(crate) fn moved_at(&self, image: &ImageName, run: RunId) -> Option<Timestamp> {
        self.locks.get(image)?.last(run)?.at.parse().ok()
    }

    /// Whether the lock says that a run is gold, in either of the two places where it says so.
    pub(crate) fn is_gold(&self, image: &ImageName, run: RunId) -> bool {
        let lock = self.locks.get(image);
        lock.is_some_and(|lock| lock.gold == Some(run) || lock.state_of(run) == Some(ImageState::Gold))
    }

    /// Whether a run is the one that a rollback would bring back.
    pub(crate) fn is_rollback_target(&self, image: &ImageName, run: RunId) -> bool {
        self.locks.get(image).is_some_and(|lock| lock.rollback_target() == Some(run))
    }

    /// Whether a run must be there whatever its age: gold, the way back, or what may yet become gold by itself.
    pub(crate) fn must_stay(&self, image: &ImageName, run: RunId, now: Timestamp) -> bool {
        let waiting = self.waiting.get(image).map(Vec::as_slice).unwrap_or_default();
        self.locks.get(image).is_some_and(|lock| ImageHistory::of(lock, waiting).must_stay(run, now))
    }

    /// Whether every lock of `before` is here as it was, or goes on from there.
    pub(crate) fn goes_on_from(&self, before: &Self) -> bool {
        before.locks.iter().all(|(image, lock)| {
            let now = self.locks.get(image).map(|lock| lock.entries.as_slice()).unwrap_or_default();
            matches!(lock_order(&lock.entries, now), LockOrder::Same | LockOrder::Later)
        })
    }

    /// Whether a run was gold at some time.
    pub(crate) fn was_gold(&self, image: &ImageName, run: RunId) -> bool {
        self.locks.get(image).is_some_and(|lock| lock.was_gold(run))
    }

    /// The image of which an AMI is gold, whatever its tags say.
    pub(crate) fn gold_of(&self, id: &AmiId) -> Option<&ImageName> {
        let holds = |lock: &&Lock| {
            let gold = lock.runs().into_iter().chain(lock.gold).filter(|run| self.is_gold(&lock.image, *run));
            gold.into_iter().any(|run| lock.amis(run).iter().any(|record| record.ami.id == *id))
        };
        self.locks.values().find(holds).map(|lock| &lock.image)
    }

    /// When the newest AMI of an image's gold was made; `None` without gold.
    pub(crate) fn gold_made_at(&self, image: &ImageName) -> Option<Timestamp> {
        let lock = self.locks.get(image)?;
        let made = |record: &AmiRecord| record.created_at.parse::<Timestamp>().ok();
        lock.amis(lock.gold?).iter().filter_map(made).max()
    }

    /// What is recorded of an AMI, with the image and run that it is recorded under.
    pub(crate) fn ami(&self, ami: &AmiRef) -> Option<(&ImageName, RunId, AmiRecord)> {
        self.amis().find(|(_, _, record)| record.ami == *ami)
    }

    /// The AMI that is recorded as this run's of this architecture and region.
    pub(crate) fn at_place(&self, image: &ImageName, run: RunId, of: Architecture, region: &Region) -> Option<AmiId> {
        let there = |record: &AmiRecord| record.architecture == of && record.ami.region == *region;
        let mut here = self.amis().filter(|(line, its, record)| (*line, *its) == (image, run) && there(record));
        here.next().map(|(_, _, record)| record.ami.id)
    }

    fn amis(&self) -> impl Iterator<Item = (&ImageName, RunId, AmiRecord)> {
        let locked = self.locks.values().flat_map(|lock| {
            let of_run = move |run| lock.amis(run).into_iter().map(move |ami| (&lock.image, run, ami));
            lock.runs().into_iter().flat_map(of_run)
        });
        let waiting = self.waiting.values().flatten().flat_map(|candidate| {
            candidate.amis.iter().map(|ami| (&candidate.image, candidate.run, ami.record.clone()))
        });
        locked.chain(waiting)
    }

    /// The AMI that a run was built from.
    pub(crate) fn parent(&self, image: &ImageName, run: RunId) -> Option<AmiId> {
        let locked = self.locks.get(image).and_then(|lock| lock.candidate(run));
        locked.or_else(|| self.candidate(image, run))?.provenance.parent.clone()
    }

    /// The parents of what the lock calls gold or vetted, with words for the child.
    pub(crate) fn living_parents(&self) -> BTreeMap<AmiId, String> {
        let mut parents = BTreeMap::new();
        for lock in self.locks.values() {
            for run in lock.runs() {
                let state = lock.state_of(run).filter(|state| matches!(state, ImageState::Gold | ImageState::Vetted));
                let parent = lock.candidate(run).and_then(|candidate| candidate.provenance.parent.clone());
                if let (Some(state), Some(parent)) = (state, parent) {
                    parents
                        .entry(parent)
                        .or_insert_with(|| format!("run {run} of image {}, which is {state}", lock.image));
                }
            }
        }
        parents
    }

    fn candidate(&self, image: &ImageName, run: RunId) -> Option<&Candidate> {
        self.waiting.get(image)?.iter().find(|candidate| candidate.run == run)
    }
}
